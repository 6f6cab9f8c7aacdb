"""Checks of input to functions and estimators; every message names the argument."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_consistent_length, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from skredu._compat import (
    ARRAY_API_SUPPORT,
    check_sample_weight,
    move_to,
    namespace,
    to_numpy,
)

# Tolerance of the row sums of memberships (for single precision and printed tables).
MEMBERSHIP_TOLERANCE = 1e-4
# Types that are integers to Python, but no numbers to users.
NO_NUMBERS: tuple[Any, ...] = (bool, np.timedelta64)
# Prefixes of the names of types that NumPy would convert to numbers.
TIMES = ("date", "time", "duration", "period")


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Convert exceptions of a check to a ValueError that names the argument."""
    try:
        yield
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"Bad {name}: {error}") from error


def check_rows(estimator: Any, X: Any, *y: Any, reset: bool = True) -> Any:
    """Validate samples, and labels if given, for an estimator."""
    if not reset and _are_plain(estimator, X, *y):
        return (X, *y) if y else X
    if type(X).__module__.partition(".")[0] == "dask":
        raise TypeError(
            f"X is a collection of Dask, which {type(estimator).__name__} would load "
            "as a whole: use the functions of skredu.dask or pass X.compute()."
        )
    check_numbers(X, "X")
    for labels in y:
        check_numbers(labels, "y", times=True)
    gaps, xp = get_tags(estimator).input_tags.allow_nan, namespace(X)
    try:
        with np.errstate(all="ignore"):  # conversions, and sums of non-finite values
            rows = validate_data(
                estimator,
                X,
                *y,
                reset=reset,
                dtype=[xp.float64, xp.float32],
                ensure_all_finite="allow-nan" if gaps else True,
            )
    except OverflowError as error:
        which = "X or y" if y else "X"
        raise ValueError(f"{which}: an integer is too large for a float.") from error
    except ValueError as error:
        if not str(error).startswith("Input X contains NaN"):
            raise
        raise ValueError(
            f"X contains NaN, which {estimator!r} does not accept: put an imputer of "
            "sklearn.impute before it. Without a symmetry, missing values are accepted "
            "by CompressionClustering, CompressionOutlierDetector and "
            "MICLClassifier(kernel='linear')."
        ) from None
    check_namespace(estimator, rows[0] if y else rows)
    return rows


def _are_plain(estimator: Any, X: Any, *y: Any) -> bool:
    """Return whether there is nothing to convert, to warn of or to refuse.

    The checks of scikit-learn take longer than what is done with a few samples.
    """
    with np.errstate(all="ignore"):
        return (
            type(X) is np.ndarray
            and X.dtype in (np.float64, np.float32)
            and X.ndim == 2
            and len(X) > 0
            and X.shape[1] == getattr(estimator, "n_features_in_", None)
            and not hasattr(estimator, "feature_names_in_")
            and math.isfinite(X.sum())
            and all(
                type(labels) is np.ndarray
                and labels.dtype.kind in "biuU"
                and labels.shape == (len(X),)
                for labels in y
            )
        )


def check_namespace(estimator: Any, X: Any) -> None:
    """Raise an error for an array of a library that an estimator does not support."""
    found = namespace(X).__name__
    if found.startswith("jax"):
        raise TypeError(
            f"X is an array of {found}, which cannot be modified in place as "
            f"{type(estimator).__name__} does: use array_api_dispatch=False, which "
            "converts X to a NumPy array."
        )
    only_numpy = ARRAY_API_SUPPORT and not get_tags(estimator).array_api_support
    if only_numpy and found != namespace(np.empty(0)).__name__:
        raise TypeError(
            f"X is an array of {found}, but {estimator!r} takes NumPy arrays only: "
            "convert X, or use array_api_dispatch=False."
        )


def check_training(
    estimator: Any, X: Any, y: Any, sample_weight: Any, *, reset: bool = True
) -> tuple[Any, Any, Any]:
    """Validate samples, labels, which become an ndarray, and weights if given."""
    X, y = check_rows(estimator, X, y, reset=reset)
    try:
        if reset or to_numpy(y).dtype.kind == "O":  # otherwise the classes are known
            check_classification_targets(y)
    except TypeError as error:
        raise ValueError(f"y must contain labels that can be sorted: {error}.") from (
            error
        )
    return X, to_numpy(y), check_weights(sample_weight, X)


def known_classes(classes: Any, known: Any) -> Any:
    """Return the sorted classes of all calls of `partial_fit`.

    ``known`` are those of the first call; None if this is the first call.
    """
    if classes is None and known is None:
        raise ValueError("classes must be given in the first partial_fit call.")
    same = classes is None or (known is not None and np.array_equal(classes, known))
    given = known if same else np.unique(classes)
    if known is not None and not np.array_equal(given, known):
        raise ValueError(
            f"classes={classes!r} differ from those of the first call, {known!r}."
        )
    return given


def has_gaps(X: Any) -> bool:
    """Return whether a feature of a sample is missing, that is, NaN."""
    xp = namespace(X)
    with np.errstate(all="ignore"):  # a sum is faster and needs no memory
        suspect = xp.isnan(xp.sum(X))
    return bool(suspect) and bool(xp.any(xp.isnan(X)))


def check_range(
    weights: Any, low: float = 1e-50, high: float = 1e50, *, where: str = ""
) -> Any:
    """Return the weights if all positive ones are in a range; None stays None.

    The default range ensures that products and quotients of weights with other numbers
    do not overflow. ``where`` is added to the message to state where the range applies.
    """
    if weights is None:
        return None
    xp, positive = namespace(weights), weights[weights > 0]
    least, most = float(xp.min(positive)), float(xp.max(positive))
    if least < low or most > high:
        allowed = f"0 or from {low:.3g} to {high:.3g}" if low else f"at most {high:.3g}"
        raise ValueError(
            f"sample_weight must be {allowed}{where}, found positive weights from "
            f"{least:.3g} to {most:.3g}."
        )
    return weights


def check_finite(Z: Any, what: str) -> Any:
    """Return a result of `transform`, unless it has overflowed."""
    xp = namespace(Z)
    if not xp.all(xp.isfinite(Z)):
        raise ValueError(
            f"X contains values so large that {what} overflow in {Z.dtype}: scale X."
        )
    return Z


def is_integer(value: Any) -> bool:
    """Return whether a value is an integer; bools and times are not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, NO_NUMBERS)


def check_integer(
    value: Any, name: str, low: float = -math.inf, high: float = math.inf
) -> int:
    """Return a value as an int if it is an integer in a range."""
    if not is_integer(value) or not low <= value <= high:
        allowed = "" if low == -math.inf else f" of at least {low}"
        allowed = allowed if high == math.inf else f" from {low} to {high}"
        raise ValueError(f"Bad {name}: must be an integer{allowed}, found {value!r}.")
    return int(value)


def as_float(value: Any) -> float:
    """Return a number as a float, or NaN if a float cannot hold the value."""
    found = math.nan
    if isinstance(value, numbers.Real) and not isinstance(value, NO_NUMBERS):
        with suppress(OverflowError):
            found = float(value)
    return math.nan if found == 0.0 and value != 0 else found


def check_numbers(values: Any, name: str, *, times: bool = False) -> None:
    """Refuse masks, tensors that require a gradient, and times unless allowed."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(
            f"{name} is a masked array, whose mask would be ignored: remove the masked "
            "values, or replace them, by NaN where missing values are accepted."
        )
    if getattr(values, "requires_grad", False):
        raise ValueError(
            f"{name} requires a gradient, which would be lost: pass {name}.detach()."
        )
    if times:
        return
    if isinstance(values, list | tuple):
        with suppress(ValueError):  # ragged
            values = np.asarray(values)
    if hasattr(values, "dtype"):
        types = {"": values.dtype}
    else:
        columns = zip(
            getattr(values, "columns", ()), getattr(values, "dtypes", ()), strict=False
        )
        types = {f" in column {column!r}": found for column, found in columns}
    for where, found in types.items():
        if str(found).lower().startswith(TIMES):
            raise ValueError(f"{name} must contain real numbers, found {found}{where}.")


def rows_and_weights(X: Any, weights: Any, name: str = "X") -> tuple[Any, Any]:
    """Return finite samples of shape (n, d), and weights of shape (n,) or None."""
    with naming(name):
        check_numbers(X, name)
        with np.errstate(all="ignore"):
            xp = namespace(X)
            X = check_array(X, dtype=[xp.float64, xp.float32], input_name=name)
    with naming("weights"), np.errstate(over="ignore"):
        weights = check_weights(weights, X, "weights")
        if weights is not None and math.isinf(float(xp.sum(weights))):
            raise ValueError("their sum is too large for a float.")
    return X, weights


def check_weights(weights: Any, X: Any, name: str = "sample_weight") -> Any:
    """Return the weights of the samples ``X`` in double precision, or None.

    They are finite, not negative and not all zero. A number is the weight of each.
    """
    if weights is None:
        return None
    check_numbers(weights, name)
    xp = namespace(X)
    try:
        if isinstance(weights, numbers.Real):
            weights = np.full(X.shape[0], float(weights))
        (weights,) = move_to(X, weights)
        with np.errstate(all="ignore"):
            weights = check_sample_weight(weights, X, dtype=xp.float64)
    except OverflowError as error:
        raise ValueError(f"{name}: an integer is too large for a float.") from error
    if xp.any(weights < 0):
        raise ValueError(
            f"Negative values in {name}: every weight must be 0 or more, "
            f"found {float(xp.min(weights))}."
        )
    if not xp.any(weights > 0):
        raise ValueError(
            f"All weights in {name} are zero: at least one weight must be positive."
        )
    return weights


def distortion(epsilon: Any) -> float:
    """Return a distortion, which is positive and finite, as a float."""
    value = as_float(epsilon)
    if not 0.0 < value < math.inf:
        shown = epsilon.item() if isinstance(epsilon, np.generic) else epsilon
        raise ValueError(
            f"Bad epsilon: must be a positive finite number, found {shown!r}."
        )
    return value


def memberships(y: Any, X: Any) -> Any:
    """Return labels as integers, or memberships (n, k), on the device of ``X``."""
    with naming("y"):
        check_numbers(y, "y", times=True)
        if not isinstance(y, type(X)):
            y = np.asarray(y)
        check_consistent_length(X, y)
        if y.ndim != 2:
            return _integer_labels(y, X)
        try:
            return _memberships(y, X)
        except ValueError as error:
            if y.shape[1] != 1:
                raise
            raise ValueError(
                f"{error} (An array of shape (n, 1) contains memberships in one group; "
                "labels have shape (n,): pass y.ravel().)"
            ) from error


def _memberships(Pi: Any, X: Any) -> Any:
    """Return memberships in groups, which sum to one in every row."""
    xp = namespace(X)
    (Pi,) = move_to(X, Pi)
    Pi = check_array(Pi, dtype=X.dtype, input_name="y")
    sums = xp.sum(Pi, axis=1)
    smallest, off = float(xp.min(Pi)), float(xp.max(xp.abs(sums - 1.0)))
    if smallest < 0.0 or off > MEMBERSHIP_TOLERANCE:
        raise ValueError(
            "memberships must not be negative and must sum to one in every row, found "
            f"a smallest entry of {smallest:.3g} and a row sum off by {off:.3g}."
        )
    return Pi / sums[:, None]


def _integer_labels(labels: Any, X: Any) -> Any:
    """Return labels as integers from 0."""
    if labels.ndim != 1:
        raise ValueError(
            "must be labels of shape (n,) or memberships of shape (n, k), found an "
            f"array of shape {tuple(labels.shape)}."
        )
    missing = _missing(labels)
    if missing:
        raise ValueError(f"labels must be finite and not missing, found {missing[0]}.")
    xp = namespace(labels)
    try:
        integers = xp.unique_inverse(labels)[1]
    except TypeError as error:
        raise ValueError(f"labels must be sortable: {error}.") from error
    return move_to(X, xp.reshape(integers, (X.shape[0],)))[0]


def _missing(labels: Any) -> list[Any]:
    """Return missing labels: NaN, infinity, and None or NA of pandas as objects."""
    xp = namespace(labels)
    if xp is np and labels.dtype == object:
        return [x for x in labels.tolist() if x is None or _is_nan(x)]
    if not xp.isdtype(labels.dtype, ("real floating", "complex floating")):
        return []
    index = xp.nonzero(~xp.isfinite(labels))[0]
    return [labels[int(index[0])]] if index.shape[0] else []


def _is_nan(label: Any) -> bool:
    """Return whether a label differs from itself; NA of pandas cannot be compared."""
    try:
        return bool(label != label)  # noqa: PLR0124
    except TypeError:
        return True
