"""The page of `import coordeval`, and of the classes that a plugin of one's own is made of."""

from collections.abc import Iterable

import coordeval

KINDS = {
    "Run, report, read": (
        "run", "report", "read", "import_forecasts", "import_dataset", "conversation", "trace", "telemetry", "certificate",
        "Report",
    ),
    "What a configuration is made of": (
        "Configuration", "Elements", "Endpoint", "Panel", "Estimate", "Said", "Statistic", "Forecast", "peers",
    ),
    "Errors": ("CoordevalError", "PanelError", "NoAnswer", "NoForecast"),
}  # fmt: skip
"""All of `coordeval.__all__`; a test holds that none is missing."""

MORE = {
    "What a ledger's reader gives": ["coordeval.ledger.reader.Reader"],
    "What a source of markets is made of": ["coordeval.market_data.venues.base"],
    "What a repair of the grounding game is made of": ["coordeval.grounding.repairs", "coordeval.grounding.table"],
    "What a form of forecasts is made of": ["coordeval.market_data.forecasts.base"],
}


def python_page() -> str:
    lines = [
        "# Python",
        "",
        "`import coordeval` has these names. The measures are in `coordeval.analysis`: see "
        "[which function answers what](../analysis.md).",
        "",
    ]
    for title, names in KINDS.items():
        lines += [f"## {title}", "", *_blocks(_home(name) for name in names)]
    for title, paths in MORE.items():
        lines += [f"## {title}", "", *_blocks(paths)]
    return "\n".join(lines)


def _home(name: str) -> str:
    """Where the thing of this name is written."""
    home = getattr(coordeval, name).__module__
    return f"{home if home.startswith('coordeval.') else 'coordeval.configurations.said'}.{name}"  # a union has no home


def _blocks(paths: Iterable[str]) -> list[str]:
    return [line for path in paths for line in (f"::: {path}", "    options: {heading_level: 3}", "")]
