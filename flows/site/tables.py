"""The page of the ledger's tables, read from the migrations that make them."""

import duckdb

from coordeval.flows.exports.dictionary import dictionary
from coordeval.flows.site.markdown import cell, code, table
from coordeval.ledger.schema import load


def tables_page() -> str:
    """Every table and view with its columns, as the newest version of the schema has them."""
    with duckdb.connect() as con:
        for migration in load():
            con.execute(migration.sql)
        names = con.execute(
            "SELECT table_name, comment, false FROM duckdb_tables() WHERE NOT internal AND NOT temporary UNION ALL "
            "SELECT view_name, comment, true FROM duckdb_views() WHERE NOT internal AND NOT temporary ORDER BY 1"
        ).fetchall()
        columns = dictionary(con, {name: 0 for name, _, _ in names})
    lines = [
        "# Tables of the ledger",
        "",
        'One DuckDB file. Query it while a run writes: `coordeval.read(ledger).query("SELECT ...")`, or any DuckDB',
        "client in read-only mode when nothing writes. `coordeval export STUDY DIR` writes these columns beside the Parquet",
        "files as `dictionary.csv`.",
        "",
        "A market row holds nothing that was known only later: outcomes are a table of their own, which nothing that asks a",
        "model reads.",
        "",
    ]
    for name, comment, view in names:
        lines += [f"## {name}", ""]
        if view or comment:
            lines += [f"{'A view. ' if view else ''}{cell(comment or '')}".strip(), ""]
        rows = [
            (
                code(row["column"]),
                cell(row["type"]),
                "" if view else ("yes" if row["may_be_null"] else "no"),
                cell(row["meaning"]),
            )
            for row in columns
            if row["table"] == name
        ]
        lines += table(["column", "type", "may be null", "what it is"], rows)
    return "\n".join(lines)
