"""Names that are loaded on first use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy(
    package: str, homes: dict[str, str], modules: frozenset[str] = frozenset()
) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package whose names live in modules of it.

    Parameters
    ----------
    package : str
    homes : dict of str to str
        Module, below the package, of each name.
    modules : frozenset of str, default=frozenset()
        Modules of the package that are names themselves.
    """

    def load(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")
        if name not in homes:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return load
