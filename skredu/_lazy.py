"""Names and packages that are imported on first use."""

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


def data_frame(caller: str, *args: Any, **options: Any) -> Any:
    """Return a pandas.DataFrame, or explain how to install pandas."""
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise ImportError(
            f"{caller} needs pandas. Install it with: pip install pandas"
        ) from error
    return pandas.DataFrame(*args, **options)
