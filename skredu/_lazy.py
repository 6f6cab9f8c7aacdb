"""Names that are imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy(
    package: str, homes: dict[str, str], modules: frozenset[str] = frozenset()
) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package that imports its names on first use.

    Parameters
    ----------
    package : str
        Name of the package.
    homes : dict of str to str
        Submodule of the package that defines each name.
    modules : frozenset of str, default=frozenset()
        Submodules that are public names themselves.
    """

    def load(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")
        if name not in homes:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return load
