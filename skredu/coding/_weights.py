"""Sample weights, multiplied by the weights of the classes, in a suitable range."""

from __future__ import annotations

from typing import Any

import numpy as np

from skredu._base import warn
from skredu._checks import check_range, naming
from skredu._compat import namespace, to_numpy

# Beyond this total weight, more copies change bits by less than a millionth, but coding
# lengths become imprecise for a single sample.
MOST_COPIES = 1e9
# Smallest weight relative to the largest one; smaller weights are increased to it, so
# that no class vanishes.
LEAST_SHARE = 1e-30

TOO_LITTLE = (
    "The weights (sample_weight times class_weight) sum to less than the number of "
    "classes or a tenth of the number of samples. Weights are numbers of copies, so "
    "there would be hardly any samples; therefore they are rescaled to have mean one. "
    "To avoid this warning, pass sample_weight * n / sample_weight.sum(), where n is "
    "the number of samples with positive weights."
)


def weights_to_fit(X: Any, y: Any, weights: Any, class_weight: Any = None) -> Any:
    """Return the weights of all samples of a fit, or None.

    Parameters
    ----------
    X : array of shape (n, d)
        The samples.
    y : ndarray of shape (n,)
        The labels.
    weights : array of shape (n,) or None
        The sample weights.
    class_weight : dict, "balanced" or None
        Factors of the weights of each class. ``"balanced"`` gives all classes the same
        total weight.
    """
    if weights is None and class_weight is None:
        return None
    w = _in_range(_products(y, weights, class_weight, np.unique(y)), y)
    return namespace(X).asarray(w, dtype=X.dtype, device=X.device)


def weights_to_add(X: Any, y: Any, weights: Any, class_weight: Any, known: Any) -> Any:
    """Return the weights of more samples of a stream, or None, without rescaling.

    ``known`` are all classes that occur in any call.
    """
    if class_weight == "balanced":
        raise ValueError(
            "class_weight='balanced' needs all samples at once: pass a dict, or pass "
            "sample_weight to partial_fit."
        )
    if weights is None and class_weight is None:
        return None
    w = _products(y, weights, class_weight, known)
    w = check_range(w, LEAST_SHARE, MOST_COPIES, where=" in partial_fit")
    return namespace(X).asarray(w, dtype=X.dtype, device=X.device)


def _products(y: Any, weights: Any, class_weight: Any, known: Any) -> Any:
    """Return weights times those of the classes."""
    w = np.ones(len(y)) if weights is None else to_numpy(weights).astype(np.float64)
    if class_weight is None:
        return w
    classes, codes = np.unique(y, return_inverse=True)
    if isinstance(class_weight, str):
        shares = np.bincount(codes, w / w.max())
        present = shares > 0.0
        factors = shares.sum() / present.sum() / np.where(present, shares, 1.0)
    else:
        with naming("class_weight"):
            factors = np.array(list(class_weight.values()), np.float64)
            if not (np.isfinite(factors) & (factors >= 0.0)).all():
                raise ValueError(
                    f"must be finite and not negative, found {class_weight}."
                )
            labels = set(known)
            if not (labels <= set(class_weight) or set(class_weight) <= labels):
                raise ValueError(
                    f"must have keys among the classes {known.tolist()}, found "
                    f"{list(class_weight)}."
                )
        factors = np.array([class_weight.get(c, 1.0) for c in classes], np.float64)
    return w * factors[codes]


def _in_range(weights: Any, y: Any) -> Any:
    """Scale weights so that the weight of a single sample is not lost in the total."""
    largest = weights.max()
    if largest == 0.0:
        raise ValueError(
            "All weights are zero: class_weight times sample_weight must be positive "
            "for at least one sample."
        )
    present, shares = weights > 0, weights / largest
    sums, n = float(shares.sum()), int(present.sum())
    total = sums * float(largest)
    if total < max(len(np.unique(y[present])), n / 10.0):
        warn(TOO_LITTLE)
        unit = n / sums
    elif total > MOST_COPIES:
        unit = MOST_COPIES / sums
    else:
        unit = float(largest)
    return np.where(present, np.maximum(shares, LEAST_SHARE) * unit, 0.0)
