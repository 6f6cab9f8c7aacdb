"""Training samples sorted by class, their unit of length, and their weights.

In sorted samples, every class is a slice without a copy.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from skredu._base import warn
from skredu._checks import check_range, has_gaps, naming
from skredu._compat import namespace, to_numpy
from skredu.coding._linalg import blocks_of_rows, largest, power_of_two, widen
from skredu.coding._scatter import Scatter
from skredu.coding._symmetry import first_images, images

# Number of columns that distinguish most rows.
FEW_COLUMNS = 24
# The largest number to this power is the largest ratio of two lengths whose squares
# stay in range.
REACH = 0.49
# Range of distortions in the unit of the samples: the squares of smaller ones vanish,
# and for larger ones, all lengths are rounding errors.
SMALLEST_EPSILON, LARGEST_EPSILON = 1e-153, 1e150
# Beyond this total weight, more copies change bits by less than a millionth, but coding
# lengths become imprecise for a single sample.
MOST_COPIES = 1e9
# Smallest weight relative to the largest one; smaller weights are increased to it, so
# that no class vanishes.
LEAST_SHARE = 1e-30
ABSENT = (
    "All samples of the classes {} have weight zero (sample_weight times "
    "class_weight): the model and classes_ do not contain these classes."
)


@dataclass(frozen=True, eq=False, repr=False)
class Rows:
    """Training samples with positive weights, sorted by class.

    Parameters
    ----------
    source : array of shape (m, ...)
        The samples in their original order.
    y : ndarray of shape (n,)
        Classes of the sorted samples as integers.
    weights : array of shape (n,) or None
        Weights of the sorted samples, on the device of the source.
    classes : ndarray of shape (k,)
        Labels of the classes.
    index : ndarray of shape (n,)
        Positions of the sorted samples in the source.
    copies : tuple of ndarrays of shape (c,), default=()
        Positions in the source of samples that were merged into equal ones, and those
        of the latter.
    """

    source: Any
    y: Any
    weights: Any
    classes: Any
    index: Any
    copies: tuple[Any, ...] = ()

    @classmethod
    def of(cls, X: Any, y: Any, weights: Any, classes: Any = None) -> Rows:
        """Sort samples by their labels, an ndarray, and drop those of weight zero.

        Classes without a positive weight are dropped, too, with a warning, unless
        ``classes`` are given.
        """
        xp, index = namespace(X), np.arange(len(y))
        if weights is not None:
            index = index[to_numpy(weights) > 0]
        if classes is None:
            classes, codes = np.unique(y[index], return_inverse=True)
            absent = np.setdiff1d(y, classes)
            if len(absent):
                warn(ABSENT.format(absent.tolist()))
        else:
            codes = codes_of(y[index], classes)
        order = np.argsort(codes, kind="stable")
        index = index[order]
        if weights is not None:
            weights = xp.take(weights, xp.asarray(index, device=X.device))
        return cls(X, codes[order], weights, classes, index)

    @classmethod
    def of_parts(cls, parts: Sequence[dict[str, Any]], classes: Any) -> Rows:
        """Sort the samples of parts of a stream."""
        part = joined(parts)
        X, codes, weights, xp = *part.values(), namespace(part["X"])
        if xp.all(weights == 1.0):
            weights = None  # as in `fit` without weights
        return cls.of(X, classes[codes], weights, classes)

    def merged(self, permutations: Any = None) -> Rows:
        """Merge equal samples of a class to one sample with their total weight.

        Samples are left out together with those that are equal to them, because a copy
        of a sample contains no new information. With ``permutations`` (g, d) of the
        features, samples that are images of each other count as equal.
        """
        X = to_numpy(self.source)
        if permutations is not None:
            X = first_images(X, permutations)
        elif has_gaps(self.source):
            X = np.where(np.isnan(X), np.inf, X)  # equal gaps are equal
        first = first_of_equal(X, self.y, self.index)
        if first is None:
            return self
        merged = first != np.arange(len(first))
        keep, xp = np.flatnonzero(~merged), namespace(self.source)
        total = np.bincount(first, self.all_weights, minlength=len(first))[keep]
        return replace(
            self,
            y=self.y[keep],
            weights=xp.asarray(total, dtype=xp.float64, device=self.source.device),
            index=self.index[keep],
            copies=(self.index[merged], self.index[first[merged]]),
        )

    def part(self, chosen: Any) -> Rows:
        """Return the sorted samples at some positions, which ascend."""
        y, index, weights = self.y[chosen], self.index[chosen], self.weights
        if weights is not None:
            there = namespace(weights).asarray(chosen, device=weights.device)
            weights = namespace(weights).take(weights, there)
        return replace(self, y=y, weights=weights, index=index)

    def scaled(self, unit: float) -> Rows:
        """Return the samples in a unit of length."""
        if unit == 1.0:
            return self
        return replace(self, source=in_unit(self.source, unit))

    @cached_property
    def X(self) -> Any:  # noqa: N802
        """The sorted samples, in which each class is a slice."""
        xp, source = namespace(self.source), self.source
        return xp.take(source, xp.asarray(self.index, device=source.device), axis=0)

    def take(self, part: Any) -> Any:
        """Return the sorted samples at some positions, a slice or an index array."""
        xp = namespace(self.source)
        if "X" in vars(self) and isinstance(part, slice):
            return self.X[part, ...]
        index = xp.asarray(self.index[part], device=self.source.device)
        return xp.take(self.source, index, axis=0)

    @cached_property
    def slices(self) -> list[slice]:
        """Slice of each class; empty for a class without samples so far."""
        stops = np.searchsorted(self.y, np.arange(len(self.classes)), side="right")
        return [slice(a, b) for a, b in pairwise([0, *stops.tolist()])]

    @property
    def sizes(self) -> list[int]:
        """Number of samples of each class."""
        return [part.stop - part.start for part in self.slices]

    def weights_at(self, part: Any) -> Any:
        """Return weights of sorted samples in double precision, None if all are one."""
        if self.weights is None:
            return None
        return widen(self.weights[part])

    @property
    def all_weights(self) -> Any:
        """Weights of the sorted samples as a NumPy array in double precision."""
        if self.weights is None:
            return np.ones(len(self.y))
        return to_numpy(widen(self.weights))

    @property
    def counts(self) -> list[float]:
        """Weight of the samples of each class."""
        if self.weights is None:
            return [float(size) for size in self.sizes]
        return [float(np.sum(to_numpy(self.weights_at(p)))) for p in self.slices]

    def scatters(
        self, assume_centered: bool, epsilon: float | None = None
    ) -> list[Scatter]:
        """Return the scatter of each class; see `Scatter` for a given distortion."""
        return [
            Scatter.from_rows(
                self.X[part, ...],
                None if self.weights is None else self.weights[part],
                assume_centered=assume_centered,
                epsilon=epsilon or math.inf,
            )
            for part in self.slices
        ]

    def spread(self, assume_centered: bool, permutations: Any = None) -> float:
        """Return the root mean square distance from the mean, or the norm.

        With ``permutations`` (g, d), the mean is that of all images of the samples.

        Samples that are equal up to rounding have no spread. In this case their norm is
        returned, and one for zeros, so the result can always be used as a unit of
        length.
        """
        X, n = self.X, len(self.index)
        xp = namespace(X)
        weights = self.weights
        if weights is None:
            weights = xp.ones(n, dtype=X.dtype, device=X.device)
        shares, blocks = weights / xp.sum(weights), blocks_of_rows(n, X.shape[1])

        def mean_of(rows: Any, block: Any) -> Any:  # PyTorch multiplies equal types
            return shares[block] @ xp.astype(rows, shares.dtype, copy=False)

        mean = sum(mean_of(X[block, :], block) for block in blocks)
        if permutations is not None:  # an image of a sample is as far from this mean
            mean = sum(images(mean[None, :], permutations))[0, :] / len(permutations)
        spread = norm = 0.0
        for block in blocks:
            part = X[block, :]
            spread += float(mean_of(xp.sum((part - mean) ** 2, axis=1), block))
            norm += float(mean_of(xp.sum(part**2, axis=1), block))
        eps = float(xp.finfo(X.dtype).eps)
        return root_spread(norm if assume_centered else spread, norm, eps)

    def fingerprint(self) -> str:
        """Return a hash of the samples in their order, of their classes and weights."""
        found = hashlib.sha256(repr(self.classes.tolist()).encode())
        weights = np.ones(1) if self.weights is None else to_numpy(self.weights)
        if (weights == 1.0).all():
            weights = np.ones(1)
        for array in (to_numpy(self.source), self.index, self.y, weights):
            found.update(f"{array.dtype} {array.shape}".encode())
            found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()


def joined(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return parts of a stream as one part: samples, their classes and weights."""
    xp = namespace(parts[0]["X"])
    X, weights = (xp.concat([part[n] for part in parts]) for n in ("X", "weights"))
    codes = np.concatenate([part["codes"] for part in parts])
    return {"X": X, "codes": codes, "weights": weights}


def first_of_equal(X: Any, codes: Any, index: Any) -> Any:
    """Return, for rows ``X[index]``, the first row that is equal and has the same code.

    None means that all rows differ. A few columns distinguish most rows before all
    columns are compared.
    """
    d, first, some = X.shape[1], np.arange(len(index)), np.arange(len(index))
    for columns in (np.unique(np.linspace(0, d - 1, FEW_COLUMNS, dtype=int)), slice(d)):
        rows = X[:, columns][index[some]]
        order = np.lexsort((*rows.T[::-1], codes[some]))
        rows, some = rows[order], some[order]
        same = (rows[1:] == rows[:-1]).all(axis=1)
        same &= codes[some[1:]] == codes[some[:-1]]
        if not same.any():
            return None
        near = np.append(same, False) | np.append(False, same)
        starts = np.flatnonzero(~np.append(False, same))
        runs = np.repeat(some[starts], np.diff(np.append(starts, len(some))))
        first[some], some = runs, np.sort(some[near])
    return first


def codes_of(y: Any, classes: Any) -> Any:
    """Return the positions of labels among the sorted labels of the classes."""
    try:
        codes = np.searchsorted(classes, y)
    except TypeError as error:  # such as dates among integers
        raise ValueError(
            f"y contains labels of dtype {y.dtype}, which cannot be compared with "
            f"classes={classes.tolist()}."
        ) from error
    known = classes[np.minimum(codes, len(classes) - 1)] == y
    if not known.all():
        raise ValueError(
            f"y contains labels {np.unique(y[~known]).tolist()} that are not in "
            f"classes={classes.tolist()}."
        )
    return codes


def root_spread(squared_spread: float, squared_norm: float, eps: float) -> float:
    """Return a unit of length, from the mean square distance and norm of samples."""
    if squared_spread <= (4.0 * eps) ** 2 * squared_norm:
        squared_spread = squared_norm
    return math.sqrt(squared_spread) if squared_spread > 0.0 else 1.0


# -- the unit of length ---------------------------------------------------------------


def unit_of(X: Any, epsilon: float | None = None) -> float:
    """Return a power of two as a unit in which squares are in range.

    It is one if the squares of samples and distortion are in range anyhow.
    """
    reach = float(namespace(X).finfo(X.dtype).max) ** REACH
    lengths = [size for size in (largest(X), epsilon) if size]
    if all(reach**-0.5 < length < reach**0.5 for length in lengths):
        return 1.0
    if epsilon is not None and lengths[0] > reach * epsilon:
        raise ValueError(
            f"epsilon={epsilon} is too small for samples with entries of "
            f"{lengths[0]:.3g}: it must exceed {lengths[0] / reach:.3g}."
        )
    return power_of_two(lengths[0])


def in_unit(X: Any, unit: float) -> Any:
    """Return samples in a unit of length, in double precision if necessary."""
    if unit == 1.0:
        return X
    limits = namespace(X).finfo(X.dtype)
    if not float(limits.smallest_normal) < unit < float(limits.max):
        X = widen(X)
    if largest(X) / unit > float(namespace(X).finfo(X.dtype).max):
        raise ValueError(
            f"X contains an entry of {largest(X):.3g}, too large compared with "
            f"training samples of about {unit:.3g}: scale the samples."
        )
    return X / unit


def epsilon_in_unit(epsilon: float, unit: float) -> float:
    """Return a given distortion in a unit of length; large ones become the largest."""
    if epsilon / unit < SMALLEST_EPSILON:
        raise ValueError(
            f"epsilon={epsilon} is too small compared with the samples: its square "
            "vanishes."
        )
    return min(epsilon / unit, LARGEST_EPSILON)


def in_floats(value: float) -> float:
    """Clip a number to the range of positive finite floats."""
    return min(max(value, math.ulp(0.0)), sys.float_info.max)


def check_reach(X: Any, unit: float, length: float) -> None:
    """Raise an error if the square of an entry, in a unit of length, overflows."""
    size = largest(X)
    most = 10.0 * float(namespace(X).finfo(X.dtype).max) ** REACH * length
    if size / unit > most:
        raise ValueError(
            f"X contains an entry of {size:.3g}, too large compared with the "
            f"training samples: entries of up to {most * unit:.3g} are allowed."
        )


# -- weights --------------------------------------------------------------------------

TOO_LITTLE = (
    "The weights (sample_weight times class_weight) sum to less than the number of "
    "classes or a tenth of the number of samples. Weights are numbers of copies, so "
    "there would be hardly any samples; therefore they are rescaled to have mean one. "
    "To avoid this warning, pass sample_weight * n / sample_weight.sum(), where n is "
    "the number of samples with positive weights."
)


def weights_to_fit(
    X: Any, y: Any, weights: Any, class_weight: Any = None, *, given: bool = True
) -> Any:
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
    given : bool, default=True
        Whether the weights are those of the user, who is warned if they are rescaled.
    """
    if weights is None and class_weight is None:
        return None
    w = _products(y, weights, class_weight, np.unique(y))
    most = float(w.max())
    if most == 0.0:
        raise ValueError(
            "All weights are zero: class_weight times sample_weight must be positive "
            "for at least one sample."
        )
    present, shares, unit = w > 0, w / most, most
    sums, n = float(shares.sum()), int(present.sum())
    if sums * most < max(len(np.unique(y[present])), n / 10.0):
        if given:
            warn(TOO_LITTLE)
        unit = n / sums
    elif sums * most > MOST_COPIES:
        unit = MOST_COPIES / sums
    # so that the weight of a single sample is not lost in the total
    w = np.where(present, np.maximum(shares, LEAST_SHARE) * unit, 0.0)
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


def even_choice(n: int, most: int) -> Any:
    """Return at most ``most`` evenly spaced positions out of ``n``."""
    return np.linspace(0, n - 1, min(n, most)).astype(np.intp)


def n_candidates(weights: Any, n_neighbors: int) -> int:
    """Return how many samples weigh ``n_neighbors`` in any case, plus one to omit."""
    sums = np.cumsum(np.sort(weights))
    return min(int(np.searchsorted(sums, n_neighbors)) + 2, len(sums))


def neighbours(
    search: Any, X: Any, weights: Any, n_neighbors: int, most: int, own: Any = None
) -> tuple[Any, Any]:
    """Find nearest training samples that weigh ``n_neighbors`` together.

    Parameters
    ----------
    search : NearestNeighbors
        Index of the training samples.
    X : array of shape (b, d)
        The samples whose neighbours are wanted.
    weights : array of shape (n,)
        Weights of the training samples.
    n_neighbors : int
    most : int
        Number of candidates; see `n_candidates`.
    own : array of shape (b,), default=None
        Positions of ``X`` among the training samples, if they are left out.

    Returns
    -------
    near, shares : arrays of shape (b, m)
        Positions of the neighbours, and how much of the weight of each counts.
    """
    near = search.kneighbors(X, most, return_distance=False)
    shares = weights[near]
    if own is not None:
        shares = np.where(near == own[:, None], 0.0, shares)
    before = np.cumsum(shares, axis=1) - shares
    return near, np.clip(n_neighbors - before, 0.0, shares)
