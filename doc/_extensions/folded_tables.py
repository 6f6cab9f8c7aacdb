"""Fold long tables on the pages of benchmarks: the short ones are seen first."""

from __future__ import annotations

from typing import Any

from docutils import nodes

# Entries that a table shows without a click.
MOST = 160


def fold(_app: Any, doctree: Any, page: str) -> None:
    """Put each long table into an element that opens with a click."""
    if not page.startswith("benchmarks/"):
        return
    for table in list(doctree.findall(nodes.table)):
        rows = len(next(table.findall(nodes.tbody)).children)
        if rows * len(list(table.findall(nodes.colspec))) > MOST:
            place = table.parent.index(table)
            start = f"<details><summary>Show the table ({rows} rows)</summary>"
            table.parent.insert(place + 1, nodes.raw("", "</details>", format="html"))
            table.parent.insert(place, nodes.raw("", start, format="html"))


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("doctree-resolved", fold)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
