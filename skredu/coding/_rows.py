"""Training samples sorted by class, their unit of length, and summaries of streams.

In sorted samples, every class is a slice without a copy. A `Summary` is what is kept of
samples that arrive in parts: the scatters and counts of the classes, and some of the
samples.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from skredu._compat import namespace, to_numpy
from skredu.coding._linalg import blocks_of_rows, largest, power_of_two, widen
from skredu.coding._scatter import Scatter

# Number of columns that distinguish most rows.
FEW_COLUMNS = 24
# The largest number to this power is the largest ratio of two lengths whose squares
# stay in range.
REACH = 0.49
# Largest number of samples of a stream that are kept to choose parameters.
MAX_ROWS = 5_000


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
        """Sort samples by their labels, an ndarray, and drop those of weight zero."""
        xp, index = namespace(X), np.arange(len(y))
        if weights is not None:
            index = index[to_numpy(weights) > 0]
        if classes is None:
            classes, codes = np.unique(y[index], return_inverse=True)
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
        xp = namespace(parts[0]["X"])
        X, weights = (xp.concat([part[n] for part in parts]) for n in ("X", "weights"))
        codes = np.concatenate([part["codes"] for part in parts])
        if xp.all(weights == 1.0):
            weights = None  # as in `fit` without weights
        return cls.of(X, classes[codes], weights, classes)

    def merged(self) -> Rows:
        """Merge equal samples of a class to one sample with their total weight.

        Samples are left out together with those that are equal to them, because a copy
        of a sample contains no new information.
        """
        first = first_of_equal(to_numpy(self.source), self.y, self.index)
        if first is None:
            return self
        n = len(first)
        merged = first != np.arange(n)
        keep, weights = np.flatnonzero(~merged), np.ones(n)
        if self.weights is not None:
            weights = to_numpy(self.weights).astype(np.float64)
        total = np.bincount(first, weights, minlength=n)[keep]
        return replace(
            self,
            y=self.y[keep],
            weights=namespace(self.source).asarray(
                total, dtype=namespace(self.source).float64, device=self.source.device
            ),
            index=self.index[keep],
            copies=(self.index[merged], self.index[first[merged]]),
        )

    def part(self, chosen: Any) -> Rows:
        """Return some of the sorted samples, by ascending positions."""
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
        return self.take(slice(None))

    def take(self, part: Any) -> Any:
        """Return some of the sorted samples, by a slice or an index."""
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
    def counts(self) -> list[float]:
        """Weight of the samples of each class."""
        if self.weights is None:
            return [float(size) for size in self.sizes]
        return [float(np.sum(to_numpy(self.weights_at(p)))) for p in self.slices]

    def scatters(
        self, assume_centered: bool, epsilon: float | None = None
    ) -> list[Scatter]:
        """Return the scatter of each class; see `Scatter` for a given distortion."""
        finest = math.inf if epsilon is None else epsilon
        return [
            Scatter.from_rows(
                self.take(part),
                None if self.weights is None else self.weights[part],
                assume_centered=assume_centered,
                epsilon=finest,
            )
            for part in self.slices
        ]

    def spread(self, assume_centered: bool) -> float:
        """Return the root mean square distance from the mean, or the norm.

        Samples that are equal up to rounding have no spread. In this case their norm is
        returned, and one for zeros, so the result can always be used as a unit of
        length.
        """
        X, n = self.X, len(self.index)
        xp = namespace(X)
        weights = self.weights
        if weights is None:
            weights = xp.ones(n, dtype=X.dtype, device=X.device)
        shares = weights / xp.sum(weights)
        mean = shares @ X
        spread = norm = 0.0
        for block in blocks_of_rows(n, X.shape[1]):
            part = shares[block]
            spread += float(part @ xp.sum((X[block, :] - mean) ** 2, axis=1))
            norm += float(part @ xp.sum(X[block, :] ** 2, axis=1))
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
            f"classes={classes!r}."
        ) from error
    known = classes[np.minimum(codes, len(classes) - 1)] == y
    if not known.all():
        raise ValueError(
            f"y contains labels {np.unique(y[~known])!r} that are not in "
            f"classes={classes!r}."
        )
    return codes


def root_spread(squared_spread: float, squared_norm: float, eps: float) -> float:
    """Return a unit of length, from the mean square distance and norm of samples."""
    if squared_spread <= (4.0 * eps) ** 2 * squared_norm:
        squared_spread = squared_norm
    return math.sqrt(squared_spread) if squared_spread > 0.0 else 1.0


# -- samples that come in parts -------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class Summary:
    """What is kept of samples; summaries of parts merge to that of all samples.

    Parameters
    ----------
    scatters : list of Scatter
        Scatter of each class.
    seen : int
        Number of samples.
    kept : dict or None
        Samples by which parameters are chosen, with their positions among all samples:
        those whose position is a multiple of ``stride``, the smallest power of two for
        which there are at most 5 000. None if no parameter is chosen.
    """

    scatters: list[Scatter]
    seen: int
    kept: dict[str, Any] | None = None

    @classmethod
    def of(
        cls, rows: Rows, scatters: list[Scatter], *, keep: bool, first: int = 0
    ) -> Summary:
        """Summarise samples, of which ``first`` is the position of the first one."""
        scatters = [replace(scatter, shares=None) for scatter in scatters]
        kept = None
        if keep:
            xp, order = namespace(rows.source), np.argsort(rows.index)
            there = xp.asarray(order, device=rows.source.device)
            weights = rows.weights_at(...)
            if weights is None:
                weights = xp.ones(len(order), dtype=xp.float64, device=there.device)
            kept = _thinned(
                {
                    "X": rows.take(order),
                    "codes": rows.y[order],
                    "weights": xp.take(weights, there),
                    "position": first + np.arange(len(order)),
                    "stride": 1,
                }
            )
        return cls(scatters, len(rows.index), kept)

    def merge(self, other: Summary) -> Summary:
        """Return the summary of both sets of samples.

        If both count positions from the same one, the other samples are the later ones.
        """
        pairs = zip(self.scatters, other.scatters, strict=True)
        scatters, kept = [a.merge(b) for a, b in pairs], None
        if self.kept is not None and other.kept is not None:
            later, stride = other.kept, other.kept["stride"]
            if np.isin(later["position"], self.kept["position"]).any():
                after = -(-self.seen // stride) * stride
                later = {**later, "position": later["position"] + after}
            pair, xp = (self.kept, later), namespace(self.kept["X"])
            join = {"X": xp.concat, "weights": xp.concat}
            join |= {"codes": np.concatenate, "position": np.concatenate}
            kept = {name: f([part[name] for part in pair]) for name, f in join.items()}
            kept = _thinned({**kept, "stride": max(part["stride"] for part in pair)})
        return Summary(scatters, self.seen + other.seen, kept)

    def to_state(self) -> dict[str, Any]:
        """Return the summary as arrays, numbers and containers."""
        return {**vars(self), "scatters": [vars(s) for s in self.scatters]}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Summary:
        """Restore the summary from what `to_state` returned."""
        return cls(**{**state, "scatters": [Scatter(**s) for s in state["scatters"]]})


def _thinned(kept: dict[str, Any]) -> dict[str, Any]:
    """Return kept samples with the stride of all of them, and at most ``MAX_ROWS``."""
    stride, chosen = kept["stride"], kept["position"] % kept["stride"] == 0
    while chosen.sum() > MAX_ROWS:
        stride *= 2
        chosen = kept["position"] % stride == 0
    if chosen.all():
        return kept
    xp, index = namespace(kept["X"]), np.flatnonzero(chosen)
    there = xp.asarray(index, device=kept["X"].device)
    return {
        **{name: xp.take(kept[name], there, axis=0) for name in ("X", "weights")},
        **{name: kept[name][index] for name in ("codes", "position")},
        "stride": stride,
    }


def classes_of_stream(classes: Any, known: Any) -> Any:
    """Return the labels of a stream, given ones or those of its first call."""
    if classes is None:
        if known is None:
            raise ValueError("classes must be given in the first partial_fit call.")
        return known
    found = np.unique(classes)
    if known is not None and not np.array_equal(found, known):
        raise ValueError(
            f"classes={classes!r} differ from those of the first call, {known!r}."
        )
    return found


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


def check_reach(X: Any, unit: float, length: float) -> None:
    """Raise an error if the square of an entry, in a unit of length, overflows."""
    size = largest(X)
    most = 10.0 * float(namespace(X).finfo(X.dtype).max) ** REACH * length
    if size / unit > most:
        raise ValueError(
            f"X contains an entry of {size:.3g}, too large compared with the "
            f"training samples: entries of up to {most * unit:.3g} are allowed."
        )
