"""One game from beginning to end, as a generator that knows no model: it yields asks and is sent what came of them.

    playing = play(instance, conditions, repair)
    asks = next(playing)
    try:
        while True:
            asks = playing.send([answered(ask) for ask in asks])
    except StopIteration as end:
        game = end.value

Whoever drives it puts all asks of one tuple at once, sends a malformed answer back once with what is wrong (the ask's form
and its `rule` say what is), and sends an `Answer`, or the `AskFailed` where there is none for good, in the asks' order.
"""

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from coordeval.agents.answers import Answer
from coordeval.agents.cell import AskFailed
from coordeval.agents.scaffold import Ask, Statement
from coordeval.grounding.commitments import Commitments
from coordeval.grounding.faults import named
from coordeval.grounding.game import (
    MEDIATOR,
    PLAYERS,
    Conditions,
    Game,
    GameError,
    Instance,
    Message,
    Mishap,
    Plan,
    Round,
    Seat,
    Step,
    Units,
)
from coordeval.grounding.handed import plan_of, purchase_problem, units_of
from coordeval.grounding.mending import extras_of, shown_by
from coordeval.grounding.optimum import optimum
from coordeval.grounding.prompts import all_facts, facts, template
from coordeval.grounding.repairs import Repair
from coordeval.grounding.rewards import settled
from coordeval.grounding.table import Table

Replies = Sequence[Answer | AskFailed]
Play = Generator[tuple[Ask, ...], Replies, Game]
Steps = Generator[tuple[Ask, ...], Replies, None]
AS_IT_IS = Repair()


def play(
    instance: Instance, conditions: Conditions, repair: Repair = AS_IT_IS, *, seat: Seat = "pair", replicate: int = 0
) -> Play:
    """One game. Alone (`solo`) or for both (`oracle`) nobody is talked to, and no repair is of use.

    Raises GameError for a seat that does not exist.
    """
    if seat not in ("pair", "solo", "oracle"):
        raise GameError(f"seat is {seat!r}; it is pair, solo or oracle")
    playing = _Playing(instance, conditions, repair, seat)
    for number in range(instance.rules.rounds):
        yield from playing.round(number)
    return Game(
        instance=instance,
        conditions=conditions,
        repair=repair.name,
        seat=seat,
        replicate=replicate,
        rounds=tuple(playing.done),
        mishaps=tuple(playing.mishaps),
        asks=sum(playing.counts.values()),
        extra=dict(playing.counts),
    )


class _Playing:
    """A game under way."""

    def __init__(self, instance: Instance, conditions: Conditions, repair: Repair, seat: Seat) -> None:
        self.instance, self.conditions, self.repair, self.seat = instance, conditions, repair, seat
        self.done: list[Round] = []
        self.mishaps: list[Mishap] = []
        self.counts: Counter[str] = Counter()
        self.past: dict[tuple[int, int], tuple[Statement, ...]] = {}
        self._ordinal = 0
        self._submitted: dict[int, int] = {}
        """Player -> the ask of its last submission."""

    def round(self, number: int) -> Steps:
        rules = self.instance.rules
        table = Table(self.instance, self.conditions, number, list(self.done), Commitments(rules), past=self.past)
        handed: dict[int, Units | None] = {}
        if self.seat == "pair":
            if self.conditions.talk:
                yield from self._talk(table)
            yield from self._extras(table)
            asks = [self._submission(table, player) for player in PLAYERS]
            replies = yield tuple(asks)
            for ask, reply in zip(asks, replies, strict=True):
                handed[ask.agent] = self._units(table, ask, reply)
        else:
            yield from self._alone(table, handed)
        plan: Plan = (handed[0] or rules.nothing, handed[1] or rules.nothing)
        over, rewards = settled(rules, table.projects, plan)
        if over:
            wanted = f"{rules.plan_words(plan)} is more {' and '.join(over)} than there is"
            for player in PLAYERS:
                self._mishap(number, player, self._submitted.get(player, self._ordinal - 1), "overdrawn", wanted, "void")
        self.done.append(
            Round(
                number=number,
                messages=tuple(table.messages),
                submitted=(handed[0], handed[1]),
                bound=table.bound,
                over=over,
                rewards=rewards,
                optimum=optimum(rules, table.projects).joint,
            )
        )

    def _talk(self, table: Table) -> Steps:
        """Exchanges until both have nothing more to say, an agreement binds, or they are spent; who begins alternates."""
        order = PLAYERS if table.number % 2 == 0 else PLAYERS[::-1]
        ready = dict.fromkeys(PLAYERS, False)
        exchanges = table.rules.exchanges
        form = "proposal" if self.repair.commits else "message" if self.conditions.structured else "words"
        text = template("proposal" if self.repair.commits else "talk")
        for exchange in range(exchanges):
            for player in order:
                rule = self._talk_rule(table, player, form)
                asked = text.format(exchanges=exchanges - exchange)
                ask = self._ask(table, player, "talk", form, asked, rule=rule)
                [reply] = yield (ask,)
                message = self._message(table, ask, reply, exchange)
                ready[player] = message is not None and message.ready
                if message is not None:
                    table.messages.append(message)
                if table.bound is not None or all(ready.values()):
                    return
        last = max((said.exchange for said in table.messages), default=0)
        for player in PLAYERS:
            if not ready[player]:
                what = f"{exchanges} exchanges were spent, and player {player + 1} had not said that it was done"
                self._mishap(
                    table.number, player, self._ordinal - 1, "endless talk", f"{what} (exchange {last + 1})", "cut off"
                )

    def _extras(self, table: Table) -> Steps:
        extras = extras_of(self.repair, table)
        if not extras:
            return
        asks = [self._ask(table, e.player, e.step, "words", e.text, known=e.facts) for e in extras]
        replies = yield tuple(asks)
        exchange = 1 + max((said.exchange for said in table.messages), default=-1)
        heard = [self._message(table, ask, reply, exchange) for ask, reply in zip(asks, replies, strict=True)]
        table.messages += [message for message in heard if message is not None]

    def _alone(self, table: Table, handed: dict[int, Units | None]) -> Steps:
        """`oracle`: one agent for both, one after the other. `solo`: the two seats by turns, the other's part given."""
        rules, best = table.rules, optimum(table.rules, table.projects)
        known: str | None
        if self.seat == "solo":
            seats, known = [table.number % 2], None
            handed[1 - seats[0]] = best.plans[0][1 - seats[0]]
        else:
            seats, known = [0, 1], all_facts(self.instance, table.number)
        for player in seats:
            shown = [
                Statement(
                    author="the game",
                    role="fixed",
                    round=table.number + 1,
                    text=f"Player {who + 1} buys {rules.words(units)}.",
                )
                for who, units in handed.items()
                if units is not None
            ]
            text = template(self.seat).format(number=player + 1) if self.seat == "oracle" else template("solo")
            ask = self._ask(table, player, "submission", "submission", text, known=known, shown=shown)
            [reply] = yield (ask,)
            handed[player] = self._units(table, ask, reply)

    def _submission(self, table: Table, player: int) -> Ask:
        return self._ask(table, player, "submission", "submission", template("submission"))

    def _ask(
        self,
        table: Table,
        player: int,
        step: Step,
        form: str,
        text: str,
        *,
        known: str | None = None,
        shown: Sequence[Statement] | None = None,
        rule: Callable[[Mapping[str, Any]], str] | None = None,
    ) -> Ask:
        told = known if known is not None else facts(self.instance, table.number, player, self.conditions)
        if shown is None:
            shown = [*shown_by(self.repair, "earlier", table, player), *table.said(player)]
            shown += shown_by(self.repair, "beside", table, player)
        if form == "submission":
            rule = self._submission_rule(table, player)
        ask = Ask(
            ordinal=self._ordinal,
            agent=player,
            round=table.number,
            role=step,
            role_text=f"{told}\n\n{text}",
            answer=form,
            shown=tuple(shown),
            rule=rule,
        )
        self._ordinal += 1
        return ask

    @staticmethod
    def _talk_rule(table: Table, player: int, form: str) -> Callable[[Mapping[str, Any]], str] | None:
        if form == "proposal":
            return lambda content: table.commitments.problem(content, player)
        if form == "message":
            return lambda content: plan_of(content["plan"], player, table.rules)[1]
        return None

    @staticmethod
    def _submission_rule(table: Table, player: int) -> Callable[[Mapping[str, Any]], str]:
        def rule(content: Mapping[str, Any]) -> str:
            units, problem = units_of(content["purchases"], table.rules)
            if units is None or (problem := purchase_problem(units, table.rules)):
                return problem
            if table.bound is not None and units != table.bound[player]:
                return f"you are bound to buy {table.rules.words(table.bound[player])} by your agreement; submit that"
            return ""

        return rule

    def _mishap(self, number: int, player: int, ask: int, name: str, what: str, then: str) -> None:
        self.mishaps.append(Mishap(round=number, player=player, ask=ask, name=name, what=what, then=then))

    def _answered(self, table: Table, ask: Ask, reply: Answer | AskFailed, then: str) -> Answer | None:
        """Counts an ask and enters what was wrong with what came of it."""
        failed = isinstance(reply, AskFailed)
        what = reply.reason if isinstance(reply, AskFailed) else reply.sent_back
        again = "corrective re-ask" in what if failed else bool(what)
        self.counts[ask.role] += 1 + again
        if what:
            self._mishap(
                table.number, ask.agent, ask.ordinal, named(what, failed=failed), what, then if failed else "asked again"
            )
        return None if isinstance(reply, AskFailed) else reply

    def _units(self, table: Table, ask: Ask, reply: Answer | AskFailed) -> Units | None:
        """What a submission counts as: None where it is forfeited, what an agreement says where one binds."""
        bound = table.bound
        self._submitted[ask.agent] = ask.ordinal
        answer = self._answered(table, ask, reply, "forfeited" if bound is None else "bound")
        if answer is None:
            return None if bound is None else bound[ask.agent]
        return units_of(answer.content["purchases"], table.rules)[0]

    def _message(self, table: Table, ask: Ask, reply: Answer | AskFailed, exchange: int) -> Message | None:
        answer = self._answered(table, ask, reply, "not delivered")
        if answer is None:
            return None
        content, plan = answer.content, None
        acts: tuple[str, ...] = ()
        if ask.answer == "proposal":
            made = table.commitments.do(content, ask.agent)
            acts = tuple(act.text for act in made)
            plan = next((act.plan for act in made if act.verb == "propose"), None)
        elif ask.answer == "message" and content["plan"]:
            plan = plan_of(content["plan"], ask.agent, table.rules)[0]
        step: Step = "mediation" if ask.agent == MEDIATOR else "restating" if ask.role == "restating" else "talk"
        return Message(
            player=ask.agent, step=step, exchange=exchange, text=content["text"], plan=plan, acts=acts, ready=content["done"]
        )
