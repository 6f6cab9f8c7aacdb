r"""Keep types in docstrings plain text that editors and terminals show well.

``ndarray of shape (n_features_in_,)`` would be a link target in reStructuredText, and
``(n_filters, *kernel)`` the start of emphasis. Types of parameters are escaped before
numpydoc sees them, and those that go on behind a backslash are joined.
"""

from __future__ import annotations

import re
from typing import Any

# "name : type" at the margin of a section; descriptions are indented.
TYPE = re.compile(r"^(?P<name>[\w*, ]+ : )(?P<type>\S.*)$")
SPECIAL = re.compile(r"(?<=\w)_(?=\W|$)|\*(?=\w)")


def joined(lines: list[str]) -> list[str]:
    """Join lines that end with a backslash with the next line."""
    return re.sub(r"\\\n\s*", "", "\n".join(lines)).split("\n")


def escaped(line: str) -> str:
    """Escape the type in a line, if it has one."""
    found = TYPE.match(line)
    if found is None:
        return line
    return found["name"] + SPECIAL.sub(lambda m: "\\" + m[0], found["type"])


def process(
    _app: Any, _what: str, _name: str, _obj: Any, _opt: Any, lines: Any
) -> None:
    """Change the lines of a docstring in place, as autodoc expects it."""
    lines[:] = [escaped(line) for line in joined(lines)]


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx, before numpydoc."""
    app.connect("autodoc-process-docstring", process, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
