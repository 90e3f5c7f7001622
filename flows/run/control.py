"""The information-control certificate of a study: is only the coordination different between its configurations?

Taken from the bytes of every draw that the study's cells used, not from settings: one model, one set of sampling
parameters, one output cap, one system prompt, one tool list and one price visibility in all requests, one market block
per market. A field is controlled only where all requests agree; one request that differs is a difference. The memorisation
probe is left out: it differs on purpose, and is never compared.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from coordeval.analysis.control import Answered, Control, Field, Value
from coordeval.flows.study.in_arms import left_out
from coordeval.flows.study.roles import blind_roles, roles_without_tools
from coordeval.ledger import Reader


def control(reader: Reader, study: str) -> Control:
    """The certificate of a study at one moment, by name or the start of its id. Raises LedgerError where there is none."""
    with reader.moment() as held:
        return _control(held, study)


def _control(reader: Reader, study: str) -> Control:
    found = reader.study(study)
    planned = reader.query(_DRAWS, [found.study_id]).to_dicts()
    probe = left_out(reader)
    rows = [row for row in planned if row["configuration"] != probe]
    draws = {row["configuration"]: row["draws"] for row in rows if row["draws"]}
    silent = [row["configuration"] for row in rows if not row["draws"]]
    asking = {name for name, elements in found.elements.items() if elements.get("endpoints")}
    blind = {label: sorted(blind_roles(elements)) for label, elements in found.elements.items()}
    hidden = [f"{label}{_APART}{role}" for label, roles in blind.items() for role in roles]
    without = {label: roles_without_tools(elements) for label, elements in found.elements.items()}
    bare = [f"{label}{_APART}{role}" for label, roles in without.items() for role in roles]
    never = [f"{label}{_APART}{role}" for label, roles in without.items() for role in roles if roles[role] == "withheld"]
    values = reader.query(_VALUES, [hidden, bare, never, found.study_id, probe]).to_dicts()
    imported = "published" in found.content
    elsewhere = "imported" in found.content  # forecasts alone: whether a model was asked, and which, is not known
    asked_and_served = [] if imported else reader.query(_ANSWERED, [found.study_id, probe]).to_dicts()
    answered = tuple(Answered(**row) for row in asked_and_served)
    compared = (
        {**FIELDS, "system prompt": f"{FIELDS['system prompt']}, but for the role's text and the form of the answer"}
        if imported
        else FIELDS
    )
    return Control(
        study_id=found.study_id,
        study=found.name,
        simulated=found.simulated,
        imported=imported,
        draws=draws,
        baselines=() if elsewhere else tuple(name for name in silent if name not in asking),
        probes=tuple(row["configuration"] for row in planned if row["configuration"] == probe),
        unasked=tuple(name for name in silent if name in asking),
        fields=tuple(
            _withheld(_hidden(_named(_field(name, detail, values), answered), blind, draws), without, draws)
            for name, detail in compared.items()
        ),
        answered=answered,
    )


def _named(field: Field, answered: tuple[Answered, ...]) -> Field:
    """The field of the served model says who that is where its name is not the asked one's."""
    others = [one for one in answered if one.served != one.asked]
    if field.name != "served model" or not others:
        return field
    words = "another model than the one asked" if any(not one.alike for one in others) else "the asked one by its full name"
    who = ", ".join(f"{one.served} answered {one.draws} requests for {one.asked}" for one in others)
    return replace(field, detail=f"{field.detail}; {words}: {who}")


def _hidden(field: Field, blind: Mapping[str, list[str]], draws: Mapping[str, int]) -> Field:
    """The field of the price says to whom it is not shown because they declare it; that is their structure."""
    declared = [f"{', '.join(map(repr, roles))} of {label}" for label, roles in blind.items() if roles and label in draws]
    if field.name != "price visibility" or not declared:
        return field
    status = "same" if field.status == "not recorded" else field.status  # nobody else was asked
    return replace(field, status=status, detail=f"{field.detail}; not shown to {'; '.join(declared)}, as declared")


def _withheld(field: Field, without: Mapping[str, Mapping[str, str]], draws: Mapping[str, int]) -> Field:
    """The field of the tools says from whom they are withheld because a role declares it."""
    declared = [
        f"{', '.join(f'{role!r}' + (' (some asks)' if how == 'optional' else '') for role, how in roles.items())} of {label}"
        for label, roles in without.items()
        if roles and label in draws
    ]
    if field.name != "tools" or not declared:
        return field
    status = "same" if field.status == "not recorded" else field.status  # nobody else was asked
    return replace(field, status=status, detail=f"{field.detail}; withheld from {'; '.join(declared)}, as declared")


_APART = "\x1f"
FIELDS: Mapping[str, str] = {
    "model": "the model that was asked for",
    "served model": "the model that answered, by its own word",
    "sampling": "sampling parameters",
    "output cap": "max_tokens of each call",
    "system prompt": "the bytes of the system prompt",
    "tools": "the bytes of the tool list",
    "market block": "the market's facts as they stand in the prompt, per market",
    "price visibility": "whether the prompt shows the market's price",
}
"""Field -> what is compared."""

_DRAWS = """
    SELECT c.configuration, count(DISTINCT k.draw_id) AS draws
    FROM cells c LEFT JOIN calls k USING (forecast_id) WHERE c.study_id = ? GROUP BY 1 ORDER BY 1
"""
_ANSWERED = """
    SELECT d.model AS asked, d.served_model AS served, count(*) AS draws
    FROM draws d SEMI JOIN (SELECT draw_id FROM cells c JOIN calls k USING (forecast_id)
        WHERE c.study_id = ? AND c.configuration != ?) USING (draw_id)
    GROUP BY ALL ORDER BY draws DESC, served, asked
"""
# An imported request has only systemPrompt, and userPrompt, whose head, up to the first blank line, is the market block. In
# systemPrompt the text from "Role:" to the paragraph about tools is the role's, and what follows "End your response" is the
# form of the answer, which is asked of those who estimate and not of those who report.
_VALUES = r"""
    WITH used AS (
        SELECT DISTINCT c.configuration, c.market_id, k.draw_id,
            list_contains(?::VARCHAR[], c.configuration || chr(31) || k.role) AS blind,
            list_contains(?::VARCHAR[], c.configuration || chr(31) || k.role) AS may_lack,
            list_contains(?::VARCHAR[], c.configuration || chr(31) || k.role) AS never_has
        FROM cells c JOIN calls k USING (forecast_id) WHERE c.study_id = ? AND c.configuration != ?
    ), bodies AS (
        SELECT draw_id, served_model, TRY_CAST(request AS JSON) AS body,
            json_extract_string(body, ['$.model', '$.max_tokens', '$.system', '$.tools', '$.messages[0].content[0].text',
                '$.messages[0].content', '$.systemPrompt', '$.userPrompt']) AS part,
            coalesce(part[5], part[6]) AS opening, part[8] AS published
        FROM draws SEMI JOIN used USING (draw_id)
    ), parts AS (
        SELECT draw_id, part[1] AS model, CASE WHEN published IS NULL THEN served_model END AS served,
            CASE WHEN published IS NULL THEN CAST(json_merge_patch(body,
                '{"model":null,"max_tokens":null,"system":null,"messages":null,"tools":null}') AS VARCHAR) END AS sampling,
            part[2] AS cap, part[4] AS tools,
            len(list_filter(json_extract_string(part[4], '$[*].name'), lambda name: NOT starts_with(name, 'submit_'))) = 0
                AS bare,
            coalesce(part[3], regexp_replace(regexp_replace(part[7],
                '(^|\n)Role: .*?(\nYou have access|$)', '\1Role: …\2', 's'), '\nEnd your response .*$', '', 's')) AS prompt,
            coalesce(regexp_extract(opening, '^<market>\n.*?\n</market>', 0, 's'),
                split_part(published, chr(10) || chr(10), 1)) AS block,
            chr(10) || coalesce(opening, published) AS lines,
            CASE WHEN lines IS NULL THEN NULL
                WHEN contains(lines, chr(10) || 'Market price of YES: ') THEN 'shown'
                WHEN contains(lines, chr(10) || 'Current market mid-price: ') THEN 'shown' ELSE 'not shown' END AS visibility
        FROM bodies
    ), alike AS (
        SELECT u.configuration, u.market_id, u.blind, u.may_lack AND bare AS lacks, model, served, sampling, cap, prompt,
            CASE WHEN u.never_has AND NOT bare
                THEN 'tools given to a role that declares to have none' ELSE tools END AS tools,
            block, visibility, count(*) AS draws, min(draw_id) AS example
        FROM parts JOIN used u USING (draw_id) GROUP BY ALL
    ), shown AS (
        SELECT market_id, regexp_replace(block, '\nMarket price of YES: [^\n]*', '') AS without, min(block) AS block
        FROM alike WHERE NOT blind GROUP BY 1, 2
    ), as_declared AS (
        -- where a role declares that it does not see the price, the block without it is the market's as well
        SELECT a.* REPLACE (coalesce(s.block, a.block) AS block, CASE WHEN a.blind AND a.visibility = 'shown'
            THEN 'shown to a role that declares not to see it' ELSE a.visibility END AS visibility)
        FROM alike a LEFT JOIN shown s ON a.blind AND a.market_id = s.market_id AND a.block = s.without
    ), facts AS (
        SELECT configuration, market_id, blind, lacks, draws, example, unnest([
            {'field': 'model', 'value': model}, {'field': 'served model', 'value': served},
            {'field': 'sampling', 'value': sampling}, {'field': 'output cap', 'value': cap},
            {'field': 'system prompt', 'value': prompt}, {'field': 'tools', 'value': tools},
            {'field': 'market block', 'value': block}, {'field': 'price visibility', 'value': visibility}
        ], recursive := true)
        FROM as_declared
    ), counted AS (
        SELECT field, CASE WHEN field = 'market block' THEN market_id END AS market_id, value, configuration,
            CAST(sum(draws) AS BIGINT) AS draws, min(example) AS example
        FROM facts WHERE NOT (blind AND field = 'price visibility' AND value = 'not shown')
            AND NOT (lacks AND field = 'tools') GROUP BY ALL
    ), judged AS (
        SELECT *, count(DISTINCT coalesce(value, '')) OVER (PARTITION BY field, market_id) AS values_here,
            min(example) OVER (PARTITION BY field, market_id) = example AS first_here
        FROM counted
    )
    -- of a market whose block is the same everywhere, the rows of one draw are enough
    SELECT field, market_id, value, configuration, draws, example, values_here FROM judged
    WHERE market_id IS NULL OR values_here > 1 OR first_here
    ORDER BY field, market_id, value, configuration
"""
_UNREADABLE = "(not in the request)"
_EXCERPT = 60


def _field(name: str, about: str, rows: list[dict[str, Any]]) -> Field:
    own = [row for row in rows if row["field"] == name]
    if all(row["value"] is None for row in own):
        return Field(name=name, status="not recorded", detail=f"{about}: no stored request has it", values=())
    apart = [row for row in own if row["values_here"] > 1]
    if not apart:
        markets = {row["market_id"] for row in own} - {None}
        detail = f"{about}: one for each of {len(markets)} markets" if markets else about
        return Field(name=name, status="same", detail=detail, values=() if markets else _values(own))
    first = apart[0]["market_id"]
    if first is not None:
        count, total = (len({row["market_id"] for row in those}) for those in (apart, own))
        about += f"; it differs in {count} of {total} markets, the first is {first}"
    found = _values([row for row in apart if row["market_id"] == first])
    return Field(name=name, status="differs", detail=about, values=found)


def _values(rows: list[dict[str, Any]]) -> tuple[Value, ...]:
    """The distinct values, the most frequent first; of long ones the place where they part from the most frequent."""
    draws: dict[str, Counter[str]] = {}
    example: dict[str, str] = {}
    for row in rows:
        value = _UNREADABLE if row["value"] is None else row["value"]
        draws.setdefault(value, Counter())[row["configuration"]] += row["draws"]
        example[value] = min(example.get(value, row["example"]), row["example"])
    order = sorted(draws, key=lambda value: (-draws[value].total(), value))
    shown = [_excerpt(value, order[1 if value == order[0] and len(order) > 1 else 0]) for value in order]
    return tuple(
        Value(value=text, draws=dict(draws[value]), example=example[value]) for text, value in zip(shown, order, strict=True)
    )


def _excerpt(value: str, other: str) -> str:
    """All of a short value; of a long one, what stands where it parts from `other`."""
    if len(value) <= 2 * _EXCERPT:
        return value
    place = next((i for i, (a, b) in enumerate(zip(value, other, strict=False)) if a != b), min(len(value), len(other)))
    start = 0 if value == other else max(0, place - _EXCERPT // 2)
    cut = value[start : start + 2 * _EXCERPT]
    return ("… " if start else "") + cut + (" …" if start + 2 * _EXCERPT < len(value) else "")
