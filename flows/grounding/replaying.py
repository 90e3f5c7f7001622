"""One game as it was played: what was said, offered, acknowledged, agreed and submitted, and what rounds lost to what."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from coordeval.analysis.figures import style
from coordeval.analysis.report.rendering import templates
from coordeval.flows.study.stored import SHORT
from coordeval.flows.terminal import table, words
from coordeval.grounding.agreements import understood
from coordeval.grounding.game import MEDIATOR, PLAYERS, Game, Message, Rules
from coordeval.grounding.optimum import optimum
from coordeval.grounding.waterfall import CAUSES, lost
from coordeval.ledger import Reader
from coordeval.ledger.games import game_id, games_of


@dataclass(frozen=True)
class Replay:
    """A game with what it lost."""

    id: str
    label: str
    simulated: bool
    game: Game

    def as_json(self) -> dict[str, Any]:
        game, rules = self.game, self.game.instance.rules
        return {
            "game": self.id,
            "arm": self.label,
            "simulated": self.simulated,
            "instance": game.instance.id,
            "tension": game.instance.tension,
            "seat": game.seat,
            "conditions": game.conditions.name,
            "repair": game.repair,
            "replicate": game.replicate + 1,
            "efficiency": game.efficiency,
            "asks": game.asks,
            "resources": [{"name": r.name, "supply": r.supply, "cost": r.cost} for r in rules.resources],
            "rounds": [self._round(number) for number in range(len(game.rounds))],
        }

    def _round(self, number: int) -> dict[str, Any]:
        game, rules, played = self.game, self.game.instance.rules, self.game.rounds[number]
        agreed, source = understood(played, rules)
        projects = game.instance.projects[number]
        best = optimum(rules, projects).plans[0]
        return {
            "round": number + 1,
            "projects": [
                [f"{one.name}: {rules.words(one.needs)} earns {one.reward}" for one in projects[player]]
                for player in PLAYERS
            ],
            "said": [_said(message, rules) for message in played.messages],
            "agreed": [None if part is None else rules.words(part) for part in agreed],
            "agreed_by": source,
            "bound": None if played.bound is None else rules.plan_words(played.bound),
            "submitted": [None if units is None else rules.words(units) for units in played.submitted],
            "overdrawn": list(played.over),
            "rewards": list(played.rewards),
            "got": sum(played.rewards),
            "optimum": played.optimum,
            "best_plan": rules.plan_words(best),
            "lost": [{"cause": cause, "about": CAUSES[cause], "reward": loss} for cause, loss in lost(game, played) if loss],
            "mishaps": [
                {"who": _who(one.player), "name": one.name, "what": one.what, "then": one.then}
                for one in game.mishaps
                if one.round == number and one.name != "overdrawn"
            ],
        }

    def html(self) -> str:
        """The page, complete in itself."""
        made = self.as_json()
        lines = [lines_of(played) for played in made["rounds"]]
        page = templates().get_template("replay.html.j2")
        return page.render(game=made, lines=lines, style=style, version=version("coordeval"))


def replayed(reader: Reader, start: str) -> Replay:
    """The game whose id begins so. Raises CoordevalError where there is not exactly one."""
    with reader.moment() as held:
        whole = game_id(held, start)
        game = games_of(held, [whole])[whole]
        row = held.query(
            "SELECT g.label, f.simulated FROM games g JOIN forecasts f USING (forecast_id) WHERE forecast_id = ?", [whole]
        ).row(0)
    return Replay(whole, row[0], row[1], game)


def print_replay(found: Replay, console: Console) -> None:
    """Round by round."""
    made = found.as_json()
    head = words(f"{found.label}, game {found.id[:SHORT]}: {made['efficiency']:.0%} of the optimum", "bold")
    console.print(head)
    mark = "SIMULATED, " if found.simulated else ""
    about = f"{mark}instance {made['instance'][:SHORT]}, tension {made['tension']:g}, replicate {made['replicate']}"
    console.print(words(f"{about}; {made['conditions']}; repair: {made['repair']}", "dim"))
    for played in made["rounds"]:
        got = f"Round {played['round']}: {played['got']} of {played['optimum']}"
        console.print(Padding(words(got, "bold"), (1, 0, 0, 0)))
        if played["said"]:
            rows = table("who", "said", "plan, acts")
            for said in played["said"]:
                rows.add_row(words(said["who"]), words(said["text"]), words(said["does"]))
            console.print(rows)
        for line in lines_of(played):
            console.print(Padding(words(line), (0, 0, 0, 2)))
    console.print(Text(""))


def lines_of(played: dict[str, Any]) -> list[str]:
    """What a round came to, in lines."""
    parts = zip(PLAYERS, played["submitted"], strict=True)
    handed = (f"player {p + 1}: {'nothing, forfeited' if units is None else units}" for p, units in parts)
    lines = [f"submitted: {'; '.join(handed)}"]
    if played["agreed_by"] is not None:
        both = zip(PLAYERS, played["agreed"], strict=True)
        agreed = "; ".join(f"player {p + 1}: {units or 'not said'}" for p, units in both)
        lines.insert(0, f"agreed (read by {played['agreed_by']}): {agreed}")
    if played["bound"] is not None:
        lines.insert(0, f"bound to: {played['bound']}")
    if played["overdrawn"]:
        lines.append(f"void: more {' and '.join(played['overdrawn'])} was wanted than there is")
    lines.append(f"earned: {' and '.join(map(str, played['rewards']))}")
    for loss in played["lost"]:
        sign = "lost" if loss["reward"] > 0 else "gained"
        lines.append(f"{sign} {abs(loss['reward'])}: {loss['about']}")
    if played["lost"]:
        lines.append(f"best plan: {played['best_plan']}")
    lines += [f"{one['who']}, {one['name']} ({one['then']}): {one['what']}" for one in played["mishaps"]]
    return lines


def _who(player: int) -> str:
    return "mediator" if player == MEDIATOR else f"player {player + 1}"


def _said(message: Message, rules: Rules) -> dict[str, Any]:
    does = [*message.acts, *([rules.plan_words(message.plan)] if message.plan is not None else [])]
    return {
        "who": _who(message.player),
        "step": message.step,
        "text": message.text,
        "does": "; ".join(does),
        "done": message.ready,
    }
