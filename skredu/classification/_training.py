"""Training rows sorted by class, so that every class is a slice without a copy."""

from __future__ import annotations

import hashlib
import math
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from skredu._compat import namespace, to_numpy
from skredu.coding._linalg import BLOCK, largest, widen
from skredu.coding._old_group import too_steep
from skredu.coding._scatter import Scatter

# Columns that tell most rows apart.
FEW_COLUMNS = 24
# In the unit of the rows: beyond it all lengths are zero to rounding.
LARGEST_EPSILON = 1e150
SMALLEST_GIVEN = 1e-153


@dataclass(frozen=True, eq=False, repr=False)
class Training:
    """Rows of positive weight, in the order of their classes.

    Parameters
    ----------
    source : array of shape (m, d)
        The rows as they came; `X` has them sorted.
    y : array of shape (n,)
        Classes as integers, in the namespace of ``X``.
    weights : array of shape (n,) or None
    classes : ndarray of shape (k,)
        Their labels.
    sizes : list of int
        Number of rows of each class, zero for one that has not come yet.
    index : ndarray of shape (n,)
        Where the sorted rows stand in the source.
    """

    source: Any
    y: Any
    weights: Any
    classes: Any
    sizes: list[int]
    index: Any

    @classmethod
    def of(cls, X: Any, y: Any, weights: Any, classes: Any = None) -> Training:
        """Order rows by their labels ``y``, an ndarray; drop those of weight zero."""
        xp = namespace(X)
        index = np.arange(len(y))
        if weights is not None:
            index = index[to_numpy(weights) > 0]
        found, codes = np.unique(y[index], return_inverse=True)
        if classes is None:
            classes = found
        elif not np.isin(found, classes).all():
            raise ValueError(
                f"y holds labels {np.setdiff1d(found, classes)!r} that are not in "
                f"classes={classes!r}."
            )
        codes = np.searchsorted(classes, found)[codes]
        order = np.argsort(codes, kind="stable")
        index, codes = index[order], codes[order]
        rows = xp.asarray(index, device=X.device)
        return cls(
            source=X,
            y=xp.asarray(codes, device=X.device),
            weights=None if weights is None else xp.take(weights, rows),
            classes=classes,
            sizes=np.bincount(codes, minlength=len(classes)).tolist(),
            index=index,
        )

    @classmethod
    def of_kept(cls, kept: dict[str, Any], classes: Any) -> Training:
        """Order rows of which the classes are integers."""
        labels, weights = classes[kept["codes"]], kept["weights"]
        if namespace(weights).all(weights == 1.0):
            weights = None  # as `fit` without weights
        return cls.of(kept["X"], labels, weights, classes)

    def merged(self) -> Training:
        """Equal rows of a class as one with the weights of all, the first of them.

        Rows are left out with what is equal to them: a copy tells nothing new.
        """
        codes = to_numpy(self.y)
        first = first_of_equal(to_numpy(self.source), codes, self.index)
        if first is None:
            return self
        xp = namespace(self.source)
        keep = np.flatnonzero(first == np.arange(len(first)))
        weights = np.ones(len(first))
        if self.weights is not None:
            weights = to_numpy(self.weights).astype(np.float64)
        total = np.bincount(first, weights, minlength=len(first))[keep]
        place = {"dtype": xp.float64, "device": self.source.device}
        return replace(
            self,
            y=xp.take(self.y, xp.asarray(keep, device=self.source.device)),
            weights=xp.asarray(total, **place),
            sizes=np.bincount(codes[keep], minlength=len(self.sizes)).tolist(),
            index=self.index[keep],
        )

    def scaled(self, unit: float) -> Training:
        """Return the rows in another unit of length."""
        return replace(self, source=in_unit(self.source, unit))

    @cached_property
    def X(self) -> Any:  # noqa: N802
        """The sorted rows, each class a slice."""
        return self.take(slice(None))

    @property
    def some(self) -> Any:
        """The rows in any order: those as they came, where none was dropped."""
        return self.source if len(self.index) == self.source.shape[0] else self.X

    def take(self, part: slice) -> Any:
        """Return some of the sorted rows."""
        xp = namespace(self.source)
        index = xp.asarray(self.index[part], device=self.source.device)
        return xp.take(self.source, index, axis=0)

    @cached_property
    def slices(self) -> list[slice]:
        """Where each class stands."""
        stops = np.cumsum(self.sizes).tolist()
        return [
            slice(stop - size, stop)
            for size, stop in zip(self.sizes, stops, strict=True)
        ]

    @cached_property
    def positions(self) -> Any:
        """Position of every row within its class."""
        starts = np.repeat([part.start for part in self.slices], self.sizes)
        xp = namespace(self.source)
        return xp.asarray(np.arange(len(starts)) - starts, device=self.source.device)

    def class_rows(self, part: slice) -> tuple[Any, Any]:
        """Rows and weights of one class."""
        weights = None if self.weights is None else self.weights[part]
        rows = self.X[part, :] if "X" in vars(self) else self.take(part)
        return rows, weights

    def as_they_came(self) -> tuple[Any, Any, Any]:
        """Rows, classes as an ndarray of integers, and weights, unsorted."""
        xp = namespace(self.source)
        order = np.argsort(self.index)
        rows = xp.asarray(self.index[order], device=self.source.device)
        weights = self.weights
        if weights is not None:
            order_there = xp.asarray(order, device=self.source.device)
            weights = xp.take(weights, order_there)
        return xp.take(self.source, rows, axis=0), to_numpy(self.y)[order], weights

    def fingerprint(self) -> str:
        """Return a hash of the rows in their order, of their classes and weights."""
        found = hashlib.sha256(repr(self.classes.tolist()).encode())
        weights = np.ones(1) if self.weights is None else to_numpy(self.weights)
        if (weights == 1.0).all():
            weights = np.ones(1)
        for array in (to_numpy(self.source), self.index, to_numpy(self.y), weights):
            found.update(f"{array.dtype} {array.shape}".encode())
            found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()

    def weights_of(self, index: Any) -> Any:
        """Weights of some rows in double precision, None where all are one."""
        if self.weights is None:
            return None
        xp = namespace(self.source)
        return xp.astype(xp.take(self.weights, index), xp.float64)

    @property
    def counts(self) -> list[float]:
        """Weight of the rows of each class."""
        return [float(np.sum(to_numpy(w))) for w in self.class_weights()]

    def class_weights(self) -> list[Any]:
        """Weights of the rows of each class in double precision, one where none."""
        if self.weights is None:
            return [np.ones(size) for size in self.sizes]
        return [widen(self.weights[part]) for part in self.slices]

    def scatters(
        self,
        before: list[Scatter | None],
        assume_centered: bool,
        epsilon: float | None,
    ) -> list[Scatter]:
        """Scatter of each class, merged with those before.

        Where a given distortion is so small that a ``d x d`` matrix would lose the
        null directions, the rows are kept as a triangular root instead.
        """
        scatters = []
        for part, old in zip(self.slices, before, strict=True):
            scatter = self._scatter(part, old, assume_centered)
            if epsilon is not None and too_steep(scatter, epsilon):
                scatter = self._scatter(part, old, assume_centered, precise=True)
            scatters.append(scatter)
        return scatters

    def _scatter(
        self,
        part: slice,
        old: Scatter | None,
        assume_centered: bool,
        precise: bool = False,
    ) -> Scatter:
        scatter = Scatter.from_rows(
            *self.class_rows(part), assume_centered=assume_centered, precise=precise
        )
        if old is None:
            return scatter
        return replace(old, precise=precise or old.precise).merge(scatter)


def first_of_equal(X: Any, codes: Any, index: Any) -> Any:
    """For rows ``X[index]``, the first that is equal and has the same code.

    None where all differ. A few columns rule out most rows before all are compared.
    """
    d = X.shape[1]
    first, some = np.arange(len(index)), np.arange(len(index))
    for columns in (np.unique(np.linspace(0, d - 1, FEW_COLUMNS, dtype=int)), slice(d)):
        rows = X[index[some]][:, columns]
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


def keep_evenly(
    kept: dict[str, Any] | None, rows: Training, most: int
) -> dict[str, Any]:
    """Add rows to those kept of a stream: at most ``most``, evenly over all so far.

    Every row is kept until there are too many, then every second of them, and so on.
    """
    X, codes, weights = rows.as_they_came()
    xp = namespace(X)
    if weights is None:
        weights = xp.ones(X.shape[0], dtype=xp.float64, device=X.device)
    seen, stride = (0, 1) if kept is None else (kept["seen"], kept["stride"])
    start = -seen % stride
    parts = [X[start::stride, :], codes[start::stride], weights[start::stride]]
    if kept is not None:
        join = (xp.concat, np.concatenate, xp.concat)
        old = kept["X"], kept["codes"], kept["weights"]
        parts = [f([a, b]) for f, a, b in zip(join, old, parts, strict=True)]
    while parts[0].shape[0] > most:
        parts, stride = [a[::2, ...] for a in parts], 2 * stride
    names = ("X", "codes", "weights")
    return dict(zip(names, parts, strict=True), seen=seen + X.shape[0], stride=stride)


def classes_of_stream(classes: Any, known: Any) -> Any:
    """Labels of a stream, from those given and those of its first call or None."""
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


def check_stream(rows: Training, stream: dict[str, Any], estimator: Any) -> None:
    """Check what later rows must have in common with those before, their parameters."""
    before = stream["parameters"]
    centered, auto = before["assume_centered"], before["epsilon"] == "auto"
    found = {
        "assume_centered": (estimator.assume_centered, centered),
        "epsilon == 'auto'": (estimator.epsilon == "auto", auto),
        "calibrate": (bool(estimator.calibrate), bool(before["calibrate"])),
    }
    if stream["stay"] is not None and estimator.calibrate:
        for name in ("epsilon", "priors"):  # `fit` calibrated by them
            found[name] = getattr(estimator, name), before[name]
    for name, (now, then) in found.items():
        if not np.array_equal(now, then):
            raise ValueError(
                f"{name} is {now} and was {then} before: between calls of partial_fit "
                "it must stay; call fit to start again."
            )
    check_reach(rows.some, estimator._unit, 1.0)


def reach_of(X: Any) -> float:
    """How often one length may go into another so that their squares stay in range."""
    return float(namespace(X).finfo(X.dtype).max) ** 0.49


def unit_of(X: Any, epsilon: float | None = None) -> float:
    """Power of two in which squares of rows and distortion neither vanish nor overflow.

    One where they do not anyhow.
    """
    limit = reach_of(X) ** 0.5
    lengths = [size for size in (largest(X), epsilon) if size]
    if all(1.0 / limit < length < limit for length in lengths):
        return 1.0
    if epsilon is not None and lengths[0] > reach_of(X) * epsilon:
        raise ValueError(
            f"epsilon={epsilon} is too small beside rows with entries of "
            f"{lengths[0]:.3g}: it must be more than {lengths[0] / reach_of(X):.3g}."
        )
    return math.ldexp(1.0, math.frexp(lengths[0])[1] - 1)


def in_unit(X: Any, unit: float) -> Any:
    """Rows in a unit of length, in double precision where single cannot hold it."""
    if unit == 1.0:
        return X
    limits = namespace(X).finfo(X.dtype)
    if not float(limits.smallest_normal) < unit < float(limits.max):
        X = widen(X)
    if largest(X) / unit > float(namespace(X).finfo(X.dtype).max):
        raise ValueError(
            f"X holds an entry of {largest(X):.3g}, too large beside training rows of "
            f"about {unit:.3g}: scale the rows."
        )
    return X / unit


def in_reach(epsilon: float, unit: float) -> float:
    """Return a given distortion in a unit of length."""
    if epsilon / unit < SMALLEST_GIVEN:
        raise ValueError(
            f"epsilon={epsilon} is too small beside the rows: its square must not "
            "vanish."
        )
    return min(epsilon / unit, LARGEST_EPSILON)


def in_units(epsilon: float, unit: float) -> float:
    """Return a distortion in the units of the caller, positive and finite."""
    return min(max(epsilon * unit, math.ulp(0.0)), sys.float_info.max)


def check_reach(X: Any, unit: float, length: float) -> None:
    """Refuse rows with an entry whose square in a length (in the unit) overflows."""
    size = largest(X)
    most = 10.0 * reach_of(X) * length
    if size / unit > most:
        raise ValueError(
            f"X holds an entry of {size:.3g}, too large beside the training rows: "
            f"allowed are entries of up to {most * unit:.3g}."
        )


def spread_of(rows: Training, assume_centered: bool) -> float:
    """Root mean square distance of rows to their mean, or norm around the origin.

    Rows that are equal up to rounding have no spread; then it is their norm, and one
    for rows of zeros, so that it is always a length to measure by.
    """
    xp, X, weights = namespace(rows.X), rows.X, rows.weights
    n, d = X.shape
    weights = xp.ones(n, dtype=X.dtype, device=X.device) if weights is None else weights
    shares = weights / xp.sum(weights)
    mean = shares @ X
    spread = norm = 0.0
    for block in gen_batches(n, max(1, BLOCK // d)):
        part = shares[block]
        spread += float(part @ xp.sum((X[block, :] - mean) ** 2, axis=1))
        norm += float(part @ xp.sum(X[block, :] ** 2, axis=1))
    eps = float(xp.finfo(X.dtype).eps)
    return root_spread(norm if assume_centered else spread, norm, eps)


def root_spread(squared_spread: float, squared_norm: float, eps: float) -> float:
    """Length to measure rows by, from their mean square distance and norm."""
    if squared_spread <= (4.0 * eps) ** 2 * squared_norm:
        squared_spread = squared_norm
    return math.sqrt(squared_spread) if squared_spread > 0.0 else 1.0


def take_labels(classes: Any, best: Any) -> Any:
    """Labels of classes chosen by index: numbers where ``best`` lives, else NumPy."""
    xp = namespace(best)
    if xp is np or classes.dtype.kind not in "biuf":
        return classes[np.asarray(best)]
    return xp.take(xp.asarray(classes, device=best.device), best)
