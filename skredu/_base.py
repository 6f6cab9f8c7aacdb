"""What all estimators of skredu share."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from skredu._checks import check_number

Method = TypeVar("Method", bound=Callable[..., Any])


def all_or_nothing(method: Method) -> Method:
    """Make a method leave its estimator as before the call if it does not return.

    Whatever ends it: bad input, no memory, Ctrl-C. The method may set and delete
    attributes, but must not change in place what one of before the call holds.
    """

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = vars(self).copy()
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            self.__dict__ = before  # one step, which nothing can interrupt
            raise

    return cast(Method, call)


class SkreduEstimator(BaseEstimator):
    """Documentation link and version check of pickles; think twice before adding."""

    _doc_link_module = "skredu"
    # Not {estimator_module}: pages are named after the package, not its folders.
    _doc_link_template = (
        "https://skredu.readthedocs.io/en/stable/generated/skredu.{estimator_name}.html"
    )

    def _validate_params(self) -> None:
        """Check all parameters; numbers are numbers that floats can hold."""
        super()._validate_params()
        for name, value in self.get_params(deep=False).items():
            if "boolean" not in self._parameter_constraints[name]:
                check_number(value, f"{name} of {type(self).__name__}")

    def __getstate__(self) -> dict[str, Any]:
        """Return the state, stamped with the version that writes it."""
        from skredu import __version__

        return {**super().__getstate__(), "_skredu_version": __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state; warn where another version wrote it."""
        from skredu import __version__

        state = dict(state)
        written_by = state.pop("_skredu_version", "unknown")
        if written_by != __version__:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=__version__,
                    original_sklearn_version=written_by,
                ),
                stacklevel=2,
            )
        super().__setstate__(state)
