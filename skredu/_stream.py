"""Samples that come in parts, and estimators whose `partial_fit` only adds samples.

A `Summary` is what is kept of samples that arrive in parts: the scatters and counts of
the classes, and some of the samples.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from skredu._base import SkreduEstimator
from skredu._checks import check_training
from skredu._compat import namespace
from skredu.coding._choose import MAX_ROWS
from skredu.coding._linalg import widen
from skredu.coding._rows import Rows, codes_of, weights_to_add
from skredu.coding._scatter import Scatter

# Largest number of entries of samples that are not merged: 8 MB in double precision.
MOST_WAITING = 2**20


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


class StreamEstimator(SkreduEstimator):
    """Base class of estimators whose `partial_fit` only adds samples.

    Attributes that depend on all samples so far are computed on first access. Every
    call replaces the dict ``_stream``, which contains

    - ``summary``: state of the `Summary` of all merged samples, or None;
    - ``waiting``: samples that have not been merged yet, so that many small parts cost
      as much as one;
    - ``keep``: whether the summary keeps samples by which parameters are chosen;
    - ``found``: attributes that were computed from these samples, or None. So a slow
      thread stores its results with the samples from which it computed them;
    - and what else an estimator needs.
    """

    classes_: Any
    class_weight: Any
    # Attributes that depend on all samples, and others of `fit` only.
    _following: ClassVar[tuple[str, ...]]
    _forgotten: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def _scatters(self, rows: Rows) -> list[Scatter]:
        """Return the scatters of the classes of samples of a stream."""

    @abstractmethod
    def _follow(self, stream: dict[str, Any]) -> dict[str, Any]:
        """Compute the attributes that depend on all samples of a stream."""

    def _checked_part(
        self, X: Any, y: Any, classes: Any, sample_weight: Any, known: Any
    ) -> tuple[dict[str, Any], Any]:
        """Return a copy of valid samples, and all classes.

        ``known`` are the classes of the first call; None if this is the first call.
        """
        classes = classes_of_stream(classes, known)
        X, y, weights = check_training(self, X, y, sample_weight, reset=known is None)
        weights = weights_to_add(X, y, weights, self.class_weight, classes)
        xp, codes = namespace(X), codes_of(y, classes)
        if weights is None:
            weights = xp.ones(X.shape[0], dtype=xp.float64, device=X.device)
        X = xp.asarray(X, copy=True)
        return {"X": X, "codes": codes, "weights": widen(weights)}, classes

    def _extend(self, stream: dict[str, Any], part: dict[str, Any]) -> None:
        """Store a stream with one more part."""
        waiting = (*stream.get("waiting", ()), part)
        stream = {"summary": None, **stream, "waiting": waiting, "found": None}
        if sum(math.prod(part["X"].shape) for part in waiting) >= MOST_WAITING:
            summary = self._merged(stream).to_state()
            stream = {**stream, "summary": summary, "waiting": ()}
        self._stream = stream

    def _merged(self, stream: dict[str, Any]) -> Summary:
        """Return the summary of all samples of a stream."""
        summary = None
        if stream["summary"] is not None:
            summary = Summary.of_state(stream["summary"])
        if not stream["waiting"]:
            assert summary is not None
            return summary
        rows = Rows.of_parts(stream["waiting"], self.classes_)
        first = 0 if summary is None else summary.seen
        part = Summary.of(rows, self._scatters(rows), keep=stream["keep"], first=first)
        return part if summary is None else summary.merge(part)

    def _forget(self) -> None:
        """Delete the attributes that depend on previous samples."""
        for name in (*self._following, *self._forgotten, "_stream"):
            self.__dict__.pop(name, None)

    if not TYPE_CHECKING:  # otherwise type checkers would accept any attribute

        def __getattr__(self, name: str) -> Any:
            stream = vars(self).get("_stream")
            if stream is None or name not in self._following:
                kind = type(self).__name__
                raise AttributeError(f"{kind!r} object has no attribute {name!r}")
            found = stream["found"]
            if found is None:
                found = stream["found"] = self._follow(stream)
            return found[name]

    def __dir__(self) -> Iterable[str]:
        """Return the names of all attributes, including those not yet computed."""
        late = self._following if "_stream" in vars(self) else ()
        return {*super().__dir__(), *late}


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


def check_unchanged(
    then: dict[str, Any], now: dict[str, Any], names: list[str]
) -> None:
    """Raise an error for parameters that changed between calls of `partial_fit`.

    Whether ``epsilon`` is chosen must not change, either.
    """
    pairs = {name: (now[name], then[name]) for name in names}
    auto = now["epsilon"] == "auto", then["epsilon"] == "auto"
    for name, (found, before) in {"epsilon == 'auto'": auto, **pairs}.items():
        if not np.array_equal(found, before):
            raise ValueError(
                f"{name} is {found} and was {before} before: it must not change "
                "between calls of partial_fit. Call fit to start again."
            )
