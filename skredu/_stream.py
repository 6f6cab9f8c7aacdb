"""Samples that come in parts, and estimators whose `partial_fit` only adds samples.

A `Summary` is what is kept of samples that arrive in parts: the scatters and counts of
the classes, and some of the samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skredu._base import SkreduEstimator, all_or_nothing, warn
from skredu._checks import check_training, has_gaps, known_classes
from skredu._compat import namespace, to_numpy
from skredu.coding._choose import MAX_ROWS
from skredu.coding._linalg import blocks_of_rows, widen
from skredu.coding._rows import (
    Rows,
    check_reach,
    codes_of,
    joined,
    unit_of,
    weights_to_add,
)
from skredu.coding._scatter import Scatter

# Largest number of entries of samples that are not merged: 8 MB in double precision.
MOST_WAITING = 2**20
# Largest number of parts that are not joined: each call copies a tuple of them.
MOST_PARTS = 256


@dataclass(frozen=True, eq=False, repr=False)
class Summary:
    """Statistics of samples; those of parts merge to those of all samples.

    Parameters
    ----------
    scatters : list of Scatter
        Scatter of each class.
    seen : int
        Number of samples.
    kept : dict or None
        Samples by which parameters are chosen: all, or the 5 000 different ones with
        the smallest hashes, which are a random sample of all that does not depend on
        their order. None if no parameter is chosen.
    """

    scatters: list[Scatter]
    seen: int
    kept: dict[str, Any] | None = None

    @property
    def complete(self) -> bool:
        """Whether all samples are kept."""
        return self.kept is not None and self.kept["complete"]

    @classmethod
    def of(cls, rows: Rows, scatters: list[Scatter], *, keep: bool) -> Summary:
        """Summarise samples whose scatters are known."""
        scatters = [replace(scatter, shares=None) for scatter in scatters]
        kept = None
        if keep:
            xp, order = namespace(rows.source), np.argsort(rows.index)
            X, codes = rows.take(order), rows.y[order]
            weights = xp.asarray(rows.all_weights[order], device=X.device)
            kept = {"X": X, "codes": codes, "weights": weights}
            kept = _thinned({**kept, "hash": hashes(X, codes), "complete": True})
        return cls(scatters, len(rows.index), kept)

    def merge(self, other: Summary) -> Summary:
        """Return the summary of both sets of samples."""
        pairs = zip(self.scatters, other.scatters, strict=True)
        scatters, kept = [a.merge(b) for a, b in pairs], None
        if self.kept is not None and other.kept is not None:
            pair, xp = (self.kept, other.kept), namespace(self.kept["X"])
            join = {"X": xp.concat, "weights": xp.concat}
            join |= {"codes": np.concatenate, "hash": np.concatenate}
            kept = {name: f([part[name] for part in pair]) for name, f in join.items()}
            kept = _thinned({**kept, "complete": self.complete and other.complete})
        return Summary(scatters, self.seen + other.seen, kept)

    def scaled(self, factor: float) -> Summary:
        """Return the summary with scatters in another unit of length."""
        if factor == 1.0:
            return self
        square = factor * factor

        def scaled(s: Scatter) -> Scatter:
            root = None if s.root is None else factor * s.root
            matrix = None if s.matrix is None else square * s.matrix
            lengths = {n: factor * getattr(s, n) for n in ("mean", "rest", "epsilon")}
            return replace(s, root=root, matrix=matrix, **lengths)

        return replace(self, scatters=[scaled(scatter) for scatter in self.scatters])

    def to_state(self) -> dict[str, Any]:
        """Return the summary as arrays, numbers and containers."""
        return {**vars(self), "scatters": [vars(s) for s in self.scatters]}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Summary:
        """Restore the summary from what `to_state` returned."""
        return cls(**{**state, "scatters": [Scatter(**s) for s in state["scatters"]]})


def _thinned(kept: dict[str, Any]) -> dict[str, Any]:
    """Return kept samples; if there are many, at most ``MAX_ROWS`` different ones.

    Equal samples become one with their total weight.
    """
    if len(kept["hash"]) <= MAX_ROWS:
        return kept
    found, first, places = np.unique(
        kept["hash"], return_index=True, return_inverse=True
    )
    xp, n = namespace(kept["X"]), min(len(found), MAX_ROWS)
    weights = np.bincount(places, to_numpy(kept["weights"]), minlength=len(found))
    order = np.argsort(first[:n])  # as they came
    index, place = first[order], {"device": kept["X"].device}
    return {
        "X": xp.take(kept["X"], xp.asarray(index, **place), axis=0),
        "codes": kept["codes"][index],
        "weights": xp.asarray(weights[order], dtype=xp.float64, **place),
        "hash": found[order],
        "complete": kept["complete"] and n == len(found),
    }


def hashes(X: Any, codes: Any) -> NDArray[np.uint64]:
    """Return hashes of samples and their classes, which do not depend on the others.

    They are products of the bits of double precision with odd numbers, modulo 2^64.
    Bits are folded first, because those of round numbers end with zeros.
    """
    X, found = to_numpy(X), [np.empty(0, np.uint64)]
    odd = _mixed(np.arange(X.shape[1], dtype=np.uint64)) | np.uint64(1)
    for block in blocks_of_rows(len(X), X.shape[1]):
        bits = (X[block].astype(np.float64) + 0.0).view(np.uint64)  # no negative zero
        bits ^= bits >> np.uint64(32)
        found.append(bits @ odd)
    return _mixed(np.concatenate(found) + _mixed(codes.astype(np.uint64)))


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return pseudo-random numbers, different ones for different numbers (SplitMix)."""
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
    return numbers ^ (numbers >> np.uint64(31))


class StreamEstimator(SkreduEstimator):
    """Base class of estimators whose `partial_fit` only adds samples.

    Attributes that depend on all samples so far are computed on first access. Every
    call replaces the dict ``_stream``, which contains

    - ``summary``: state of the `Summary` of all merged samples, or None;
    - ``waiting``: samples that have not been merged yet, so that many small parts cost
      as much as one;
    - ``entries``: how many numbers these samples have;
    - ``keep``: whether the summary keeps samples by which parameters are chosen;
    - ``found``: attributes that were computed from these samples, or None. So a slow
      thread stores its results with the samples from which it computed them;
    - and what else an estimator needs.
    """

    classes_: Any
    class_weight: Any
    # Of subclasses: whether samples may come in parts, with the present parameters; a
    # method that returns the scatters of the classes of ``Rows``; and one that returns
    # the attributes that depend on all samples of a stream.
    _adds_up: Any
    _scatters: Any
    _follow: Any
    __sklearn_is_fitted__: Any
    # Attributes that depend on all samples, and others of `fit` only.
    _following: ClassVar[tuple[str, ...]]
    _forgotten: ClassVar[tuple[str, ...]] = ()
    # Unit of length of the scatters.
    _unit: float = 1.0
    # Whether parameters are chosen by samples.
    _chooses: Any = False
    # Parameters that must not change between parts.
    _constant: ClassVar[tuple[str, ...]] = ()

    @available_if(lambda self: self._adds_up)
    @all_or_nothing
    def merge(self, other: Any) -> Any:
        """Add the samples of another model; the result is one model of all samples.

        The order in which models are merged does not matter. They must have the same
        parameters, classes and features. Fit the parts by `partial_fit`, because `fit`
        does not keep the samples by which parameters are chosen. Available if
        `partial_fit` is.

        Parameters
        ----------
        other : estimator of the same class
            A fitted model of other samples, which is not changed.

        Returns
        -------
        self : estimator
            The model of the samples of both.

        Raises
        ------
        ValueError
            If the models do not fit together.
        """
        check_is_fitted(self)
        check_is_fitted(other)
        self._check_alike(other)
        for model in (self, other):
            stream = vars(model).get("_stream")
            if stream is None or (stream["choice"] is not None and model._chooses):
                raise ValueError(
                    f"This {type(model).__name__} was fitted by fit, which does not "
                    "keep what models of all samples need: use partial_fit for models "
                    "that will be merged."
                )
        mine, theirs = self._stream_so_far(), other._stream_so_far()
        unit = max(self._unit, other._unit)  # squares of larger numbers may overflow
        summary = self._merged(mine).scaled(self._unit / unit)
        summary = summary.merge(other._merged(theirs).scaled(other._unit / unit))
        self._forget()
        self._unit = unit
        self._count(summary)
        self._stream = {**mine, "waiting": (), "summary": summary.to_state()}
        self._stream["found"] = None
        return self

    @classmethod
    def from_parts(cls, models: Iterable[Any]) -> Any:
        """Return one model of all samples, from models of parts of them.

        Parameters
        ----------
        models : iterable of estimators of this class
            Fitted models of parts of the samples, in any order; see `merge`. They are
            not changed.

        Returns
        -------
        model : estimator
            The model of all samples.

        Raises
        ------
        ValueError
            If there is no model, or if the models do not fit together.
        """
        whole = None
        for model in models:
            if not isinstance(model, cls):
                raise ValueError(f"models must be of {cls.__name__}, found {model!r}.")
            check_is_fitted(model)
            whole = copy(model) if whole is None else whole.merge(model)
        if whole is None:
            raise ValueError("models must contain at least one fitted model.")
        return whole

    def _check_alike(self, other: Any) -> None:
        """Raise an error if the samples of another model cannot be added."""
        if getattr(self, "class_weight", None) == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all samples at once: models that were "
                "fitted to parts with it cannot be merged."
            )
        pairs: dict[str, tuple[Any, Any]] = {
            name: (getattr(self, name, None), getattr(other, name, None))
            for name in ("classes_", "n_features_in_", "feature_names_in_")
        }
        pairs = {"type": (type(self).__name__, type(other).__name__), **pairs}
        given = other.get_params(deep=False)
        for name, value in self.get_params(deep=False).items():
            if name != "n_jobs":
                pairs[name] = value, given.get(name)
        for name, (mine, theirs) in pairs.items():
            if not np.array_equal(mine, theirs):
                raise ValueError(
                    f"Models that are merged must have the same {name}, found {mine!r} "
                    f"and {theirs!r}."
                )

    def _count(self, summary: Summary) -> None:
        """Set the fitted attributes that depend on numbers of samples only."""

    def _begin_stream(self, scatters: list[Scatter], n: int, choice: Any) -> None:
        """Start a stream with the samples of a fit, whose choice is kept."""
        self._stream = {
            "summary": Summary(scatters, n).to_state(),
            "waiting": (),
            "keep": False,
            "choice": choice,
            "parameters": deepcopy(self.get_params(deep=False)),
            "found": None,
        }

    def _add(self, X: Any, y: Any, classes: Any, sample_weight: Any) -> None:
        """Add valid samples to the stream, which may be the first ones."""
        stream, first = self._stream_so_far(), "_stream" not in vars(self)
        if first and self.__sklearn_is_fitted__():
            warn(
                f"{type(self).__name__}.partial_fit starts anew, without the samples "
                "of the last fit, because the parameters of that fit need all samples "
                "at once."
            )
        known = None if first else self.classes_
        part, known = self._checked_part(X, y, classes, sample_weight, known)
        if first:
            self._unit, stream["keep"] = self._unit_for(part["X"]), self._chooses
        check_reach(part["X"], self._unit, 1.0)
        self._forget()
        self.classes_ = known
        self._extend(stream, part)

    def _unit_for(self, X: Any) -> float:
        """Return a unit of length for samples."""
        return unit_of(X)

    def _stream_so_far(self) -> dict[str, Any]:
        """Return a copy of the stream with the present parameters, which are valid.

        If a choice of `fit` is kept, the parameters that it is for must not change.
        Whether ``epsilon`` is chosen must never change.
        """
        stream = {"choice": None, **vars(self).get("_stream", {})}
        then = stream.get("parameters", {})
        # `get_params` takes as long as all else that a call does with a sample
        if then and all(getattr(self, n) is value for n, value in then.items()):
            return stream
        self._validate_params()
        now = self.get_params(deep=False)
        names = list(self._constant) if then else []
        if then and stream["choice"] is not None and now["calibrate"]:
            names += ["epsilon", "priors"]
        pairs = {name: (now[name], then[name]) for name in names}
        if then and "epsilon" in now:
            auto = now["epsilon"] == "auto", then["epsilon"] == "auto"
            pairs = {"epsilon == 'auto'": auto, **pairs}
        for name, (found, before) in pairs.items():
            if not np.array_equal(found, before):
                raise ValueError(
                    f"{name} is {found} and was {before} before: it must not change "
                    "between calls of partial_fit. Call fit to start again."
                )
        return {**stream, "parameters": deepcopy(now)}

    def _checked_part(
        self, X: Any, y: Any, classes: Any, sample_weight: Any, known: Any
    ) -> tuple[dict[str, Any], Any]:
        """Return a copy of valid samples, and all classes.

        ``known`` are the classes of the first call; None if this is the first call.
        """
        given = known_classes(classes, known)
        X, y, weights = check_training(self, X, y, sample_weight, reset=known is None)
        if has_gaps(X):
            raise ValueError(
                "X contains NaN: partial_fit adds samples without missing values only. "
                "Use fit, or replace missing values first (sklearn.impute)."
            )
        weights = weights_to_add(X, y, weights, self.class_weight, given)
        xp, codes = namespace(X), codes_of(y, given)
        if weights is None:
            weights = xp.ones(X.shape[0], dtype=xp.float64, device=X.device)
        X = xp.asarray(X, copy=True)
        return {"X": X, "codes": codes, "weights": widen(weights)}, given

    def _extend(self, stream: dict[str, Any], part: dict[str, Any]) -> None:
        """Store a stream with one more part."""
        waiting = (*stream.get("waiting", ()), part)
        if len(waiting) == MOST_PARTS:
            waiting = (joined(waiting),)
        entries = math.prod(part["X"].shape)
        if stream.get("waiting"):
            entries += stream["entries"]
        stream = {"summary": None, **stream, "waiting": waiting, "found": None}
        if entries >= MOST_WAITING:
            summary = self._merged(stream).to_state()
            stream = {**stream, "summary": summary, "waiting": ()}
        self._stream = {**stream, "entries": entries}

    def _merged(self, stream: dict[str, Any]) -> Summary:
        """Return the summary of all samples of a stream."""
        summary = None
        if stream["summary"] is not None:
            summary = Summary.of_state(stream["summary"])
        if not stream["waiting"]:
            assert summary is not None
            return summary
        rows = Rows.of_parts(stream["waiting"], self.classes_)
        part = Summary.of(rows, self._scatters(rows), keep=stream["keep"])
        return part if summary is None else summary.merge(part)

    def _with_last_parameters(self, stream: dict[str, Any]) -> Any:
        """Return an estimator with the parameters of the last call, for its stream."""
        twin = type(self)(**stream["parameters"])
        twin.classes_, twin._unit = self.classes_, self._unit
        return twin

    def _merged_scatters(self) -> list[Scatter]:
        """Return the scatters of all samples, by the parameters of the last call."""
        stream = self._stream
        return list(self._with_last_parameters(stream)._merged(stream).scatters)

    def _scatters_for_gaps(self) -> list[Scatter]:
        """Return the scatters by which samples with missing features are coded."""
        stream = vars(self).get("_stream")
        if stream is None or stream["parameters"].get("symmetry") is not None:
            raise ValueError(
                f"X contains NaN, but this {type(self).__name__} was fitted with "
                "parameters, such as a symmetry, that allow no missing values."
            )
        return self._merged_scatters()

    def _forget(self) -> None:
        """Delete the attributes that depend on previous samples."""
        for name in (*self._following, *self._forgotten, "_stream"):
            self.__dict__.pop(name, None)

    if not TYPE_CHECKING:  # otherwise type checkers would accept any attribute

        def __getattr__(self, name: str) -> Any:
            stream = vars(self).get("_stream")
            if stream is None or name not in self._following:
                kind, hint = type(self), ""
                if hasattr(kind, name):
                    hint = " with its present parameters: see the documentation"
                elif name in self._forgotten:
                    hint = ": the documentation of the class says when fit sets it"
                text = f"{kind.__name__!r} object has no attribute {name!r}{hint}."
                raise AttributeError(text)
            found = stream["found"]
            if found is None:
                found = stream["found"] = self._follow(stream)
            return found[name]

    def __dir__(self) -> Iterable[str]:
        """Return the names of all attributes, including those not yet computed."""
        late = self._following if "_stream" in vars(self) else ()
        return {*super().__dir__(), *late}


class StreamClassifier(StreamEstimator):
    """Base class of classifiers whose `partial_fit` only adds samples."""

    @available_if(lambda self: self._adds_up)
    @all_or_nothing
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Any:
        """Add samples; the model is that of `fit` on all samples so far.

        Attributes that depend on all samples are computed when a prediction or a user
        first needs them. See the notes of the class for details, such as an automatic
        ``epsilon``, which may differ from that of `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data.
        y : array-like of shape (n_samples,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All class labels that occur in any call. Required in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each sample. Multiplied by ``class_weight``, if there is
            one, it has to be 0 or between 1e-30 and 1e9, since weights are not rescaled
            here.

        Returns
        -------
        self : estimator
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array is invalid, if ``classes`` is missing in the
            first call, if a parameter needs all samples at once, such as
            ``class_weight="balanced"``, or if one has changed that must not change
            between calls, such as ``assume_centered``.
        """
        self._add(X, y, classes, sample_weight)
        return self
