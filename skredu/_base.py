"""Base classes of all estimators of skredu."""

from __future__ import annotations

import functools
import math
import sys
import warnings
from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar, TypeVar, cast

from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.validation import check_is_fitted

from skredu._checks import as_float, check_namespace, check_rows, rows_and_weights
from skredu._compat import check_same_namespace

Method = TypeVar("Method", bound=Callable[..., Any])

# Increased whenever fitted attributes change such that earlier pickles cannot be used.
LAYOUT = 4


def all_or_nothing(method: Method) -> Method:
    """Make a method restore its estimator if it raises an error.

    This includes memory errors and keyboard interrupts. The method may set and delete
    attributes, but must not modify the previous values of attributes in place.
    """

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = vars(self).copy()
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            self.__dict__ = before  # an atomic step, which cannot be interrupted
            raise

    return cast(Method, call)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of code that called skredu, from anywhere inside of it."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _is_ours(module: str) -> bool:
    """Return whether a module is part of skredu or runs its callbacks."""
    return module.startswith(("skredu.", "sklearn.callback."))


class SkreduEstimator(BaseEstimator):
    """Base class with a documentation link and checks of parameters and pickles."""

    # Name of a fitted array, which is in the namespace of the training samples.
    _reference: ClassVar[str]
    _n_features_out: Any
    _doc_link_module = "skredu"
    # The pages are named after the package, so {estimator_module} is not used.
    _doc_link_template = (
        "https://skredu.readthedocs.io/en/stable/generated/skredu.{estimator_name}.html"
    )

    def _validate_params(self) -> None:
        """Validate all parameters; numbers must be in the range of floats."""
        super()._validate_params()
        for name, value in self.get_params(deep=False).items():
            boolean = "boolean" in self._parameter_constraints.get(name, ["boolean"])
            if not boolean and isinstance(value, Real) and math.isnan(as_float(value)):
                raise ValueError(
                    f"{name} of {type(self).__name__} must be a number in the range of "
                    f"floats, and not a bool, found {value}."
                )

    def _check_rows(self, X: Any, method: str) -> Any:
        """Return valid samples for a method of a fitted estimator, on its device."""
        check_is_fitted(self)
        X = check_rows(self, X, reset=False)
        check_same_namespace(X, self, attribute=self._reference, method=method)
        return X

    def _check_features(self, Z: Any) -> Any:
        """Return valid features for `inverse_transform`, on the estimator's device."""
        check_is_fitted(self)
        Z, _ = rows_and_weights(Z, None)
        check_namespace(self, Z)
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"X must have the {self._n_features_out} features that transform "
                f"returns, found {Z.shape[1]}."
            )
        method = "inverse_transform"
        check_same_namespace(Z, self, attribute=self._reference, method=method)
        return Z

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with the version and the layout of the fitted attributes."""
        from skredu import __version__

        written = {"_skredu_version": __version__, "_skredu_layout": LAYOUT}
        return {**super().__getstate__(), **written}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state, with a warning if another version wrote it.

        Raises
        ------
        ValueError
            If its fitted attributes have another layout.
        """
        from skredu import __version__

        state = dict(state)
        written_by = state.pop("_skredu_version", "unknown")
        layout = state.pop("_skredu_layout", 1)
        if layout != LAYOUT and "n_features_in_" in state:
            raise ValueError(
                f"This {type(self).__name__} was pickled by skredu {written_by}, whose "
                f"fitted attributes have layout {layout}. This version, {__version__}, "
                f"needs layout {LAYOUT}: fit it again."
            )
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
