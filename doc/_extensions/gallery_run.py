"""Hold the examples of the gallery to two rules while they run.

A warning is an error, and no example leaves a file behind. Sphinx-Gallery calls
`strict` before and after each example, in the process that runs it.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples"
running: list[tuple[Any, set[Path]]] = []


def strict(_conf: Any, name: str, when: str) -> None:
    """Turn warnings into errors before an example, and look for new files after it."""
    files = {path for path in EXAMPLES.rglob("*") if "__pycache__" not in path.parts}
    if when == "before":
        caught = warnings.catch_warnings(action="error")
        caught.__enter__()
        warnings.filterwarnings("ignore", ".* is non-interactive")  # of plt.show()
        running.append((caught, files))
        return
    caught, before = running.pop()
    caught.__exit__(None, None, None)
    if files - before:
        new = ", ".join(sorted(map(str, files - before)))
        raise RuntimeError(f"{name} has left files behind: {new}.")
