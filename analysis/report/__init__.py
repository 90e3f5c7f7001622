"""What a person is handed: the page, the terminal, results.json."""

from coordeval.analysis.report.page import Report, build_report

__all__ = ["Report", "build_report"]
