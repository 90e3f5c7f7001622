"""What a scheduled job leaves for those who watch in Prefect's UI: the leaderboard as a table, figures, where to read on.

Prefect shows Markdown, and what stands here may come from a venue or a model: every such text is shown as text.
"""

import base64
import html
import socket
import tempfile
from pathlib import Path
from urllib.parse import quote

from prefect.artifacts import create_image_artifact, create_link_artifact, create_markdown_artifact, create_table_artifact

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.report.exports import figures
from coordeval.analysis.report.page import Report
from coordeval.flows.jobs.job import Done
from coordeval.flows.orchestration.names import key, ledger_tag
from coordeval.market_data.text import one_line

DASHBOARD = "http://127.0.0.1:8050"
"""Where `coordeval dashboard` answers unless it is told otherwise."""
FIGURE_BYTES = 400_000
"""A larger picture is not sent to Prefect's database."""
_MARKED = r"\`*_{}[]()#+-.!|<>~:"


def shown(job: str, done: Done, ledger: Path) -> None:
    """Makes the artifacts of one day. Raises what Prefect's API raises."""
    tag = ledger_tag(ledger)
    create_markdown_artifact(f"**{job}**: {plain(done.said)}", key=key(job, "said", tag))
    if done.report is None:
        return
    name = done.report.study["name"]
    rows = [
        {column: one_line(value) if isinstance(value, str) else value for column, value in row.items()}
        for row in done.report.board.table.to_dicts()
    ]
    rows = [{column: value for column, value in row.items() if not isinstance(value, list)} for row in rows]
    create_table_artifact(rows, key=key("leaderboard", name, tag), description=plain(" ".join(done.report.headline)))
    if done.page is not None:
        create_markdown_artifact(_where(done.page), key=key("report", name, tag), description="The report, one file")
    address = f"{DASHBOARD}/?study={quote(done.report.study['study_id'])}"
    create_link_artifact(address, link_text="dashboard, where `coordeval dashboard` runs", key=key("dashboard", name, tag))
    if picture := plane(done.report):
        create_image_artifact(picture, key=key("cost-quality", name, tag), description="Cost against quality")


def _where(page: Path) -> str:
    """Where a file is, in words: a browser on another machine does not open what stands on this one."""
    return (
        f"On the machine {plain(socket.gethostname())}, in the file {plain(page)}: copy it from there, it needs nothing "
        f"else. [On that machine itself]({page.as_uri()})"
    )


def plain(text: object) -> str:
    """Text of whoever it may be, as Markdown that shows just that text: no link, no picture, no HTML."""
    escaped = html.escape(one_line(text), quote=False)
    return "".join(f"\\{c}" if c in _MARKED and c not in "<>" else c for c in escaped)


def plane(report: Report) -> str:
    """The first figure of the report as a data address; "" where no browser can draw it or it is too large."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            first = figures(report, Path(folder), "png")[0].read_bytes()
    except AnalysisError:
        return ""
    return f"data:image/png;base64,{base64.b64encode(first).decode()}" if len(first) <= FIGURE_BYTES else ""
