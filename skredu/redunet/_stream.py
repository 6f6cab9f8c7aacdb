"""Signals that come in parts: of all of them, only scatters and some rows are kept."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from skredu._base import StreamEstimator
from skredu._checks import check_training
from skredu._compat import check_same_namespace, namespace, to_numpy
from skredu.classification._selection import MAX_ROWS, Codes, choose_codes
from skredu.classification._stream import all_waiting, are_many, wait
from skredu.classification._training import Training, classes_of_stream, keep_evenly
from skredu.classification._weights import weights_to_add
from skredu.lifting._signals import NAME, refuse_stacks
from skredu.redunet._base import RATES
from skredu.redunet._base_layer import rates_of
from skredu.redunet._deciding import BaseDecidingNet
from skredu.redunet._decision import state_of
from skredu.redunet._invariant_net import BaseInvariantReduNet
from skredu.redunet._spectral_decision import SpectralCoder, rows_of
from skredu.redunet._spectral_forms import directions
from skredu.redunet._spectrum import Grid, adjoint, scatters, widen


@dataclass(frozen=True, eq=False, repr=False)
class Stream:
    """What is known of the rows so far.

    Parameters
    ----------
    counts : list of float
        Weight of the rows of each class.
    scatters : list of arrays of shape (F, C, C)
        Of the spectra of those that do not wait, in double precision.
    seen : int
        Number of rows.
    like : array of shape (0,)
        With the precision and place of rows.
    stay : dict or None
        A choice of distortion and label code to stay with.
    kept : dict or None
        Otherwise rows, evenly over those that do not wait, to choose by.
    waiting : list of dict
        Rows that are not in the scatters yet.
    """

    counts: list[float]
    scatters: list[Any]
    seen: int
    like: Any
    stay: dict[str, Any] | None = None
    kept: dict[str, Any] | None = None
    waiting: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of_decision(cls, decision: dict[str, Any], n_rows: int, like: Any) -> Stream:
        """Start with the rows that a decision was fitted to."""
        counts, found = [], []
        for part in decision["coder"]["classes"]:
            V = widen(part["basis"])
            counts.append(part["count"])
            found.append((V * part["eigenvalues"][:, None, :]) @ adjoint(V))
        frequencies = np.asarray(counts) / sum(counts)
        shift = to_numpy(decision["log_priors"]) - np.log(frequencies)
        stay = {name: decision[name] for name in ("epsilon", "loss", "temperature")}
        stay.update(log_priors=None, label_shift=shift)
        return cls(counts, found, n_rows, like, stay)

    @classmethod
    def of_plain(cls, state: dict[str, Any]) -> Stream:
        """Restore what is known from the state of an estimator."""
        return cls(**{f.name: state[f.name] for f in fields(cls)})

    def add(self, rows: Training, grid: Grid) -> Stream:
        """Return what is known with more rows."""
        more = replace(
            self,
            counts=[a + b for a, b in zip(self.counts, rows.counts, strict=True)],
            seen=self.seen + len(rows.index),
            waiting=wait(self.waiting, rows),
        )
        return more.merged(grid, rows.classes) if are_many(more.waiting) else more

    def merged(self, grid: Grid, classes: Any) -> Stream:
        """Return the same with no rows that wait."""
        if not self.waiting:
            return self
        rows = all_waiting(self.waiting, classes)
        Z = grid.enter_by_blocks(len(rows.index), rows.take)
        found = scatters(Z, rows.slices, rows.weights)
        return replace(
            self,
            scatters=[a + b for a, b in zip(self.scatters, found, strict=True)],
            kept=None if self.stay else keep_evenly(self.kept, rows, MAX_ROWS),
            waiting=[],
        )

    def decision(self, grid: Grid, classes: Any) -> dict[str, Any]:
        """Fit a decision, or stay with the one before; arrays and numbers."""
        place, xp = self.scatters[0], namespace(self.like)
        coder = SpectralCoder.of_scatters(
            self.scatters,
            self.counts,
            self.seen,
            grid.frequencies(place),
            xp.result_type(self.like.dtype, xp.complex64),
        )
        rows, stay = None, None if self.stay is None else Codes(**self.stay)
        if self.kept is not None:
            rows = Training.of_kept(self.kept, classes).merged()
            Z = grid.enter_by_blocks(len(rows.index), rows.take)
            rows = replace(rows, source=rows_of(Z), index=np.arange(Z.shape[2]))
        codes = choose_codes(coder, rows, None, "auto", classes, stay)
        return state_of(coder, codes, place)

    def rates(
        self, grid: Grid, decision: dict[str, Any], epsilon: float
    ) -> tuple[float, float, float]:
        """Coding rate of all rows, that class by class, and their difference."""
        frequencies, n = grid.frequencies(self.scatters[0]), sum(self.counts)
        total = sum(self.scatters[1:], self.scatters[0])
        eigenvalues, *_ = directions(total, max(self.seen, total.shape[1]))

        def volume(eigenvalues: Any, count: float) -> float:
            return frequencies.volume(eigenvalues, count, epsilon) / grid.n_points

        parts = [
            (part["count"], volume(part["eigenvalues"], part["count"]))
            for part in decision["coder"]["classes"]
            if part["count"] > 0.0
        ]
        return rates_of(n, volume(eigenvalues, n), parts)


class BaseStreamingNet(BaseDecidingNet, BaseInvariantReduNet, StreamEstimator):
    """A network for signals that decides and, without layers, takes rows in parts."""

    _following = ("_decisions", "epsilon_", "rates_", "temperature_")

    def _add_rows(self, X: Any, y: Any, classes: Any, sample_weight: Any) -> Any:
        """Add rows to those of the calls before; be as if fitted to all of them."""
        self._validate_params()
        first = not hasattr(self, "_layers")
        known = classes_of_stream(classes, None if first else self.classes_)
        refuse_stacks(X)
        source = X  # says its grid
        X, y, weights = check_training(self, X, y, sample_weight, reset=first)
        weights = weights_to_add(X, y, weights, self.class_weight, known)
        grid = self._grid_for(source, X.shape[1])
        rows = Training.of(X, y, weights, known)
        like = namespace(X).empty(0, dtype=X.dtype, device=X.device)
        if first:
            empty = [0.0] * len(known)
            stream = Stream(empty, empty, 0, like)
        else:
            self._check_goes_on(X, grid)
            stream = replace(self._stream_so_far(like), like=like)
        stream = stream.add(rows, grid)
        self._stand_on(grid)
        self._forget()
        self._begin_anew(rows, stream.counts, stream.seen)
        self._best = 0
        self._stream = {**vars(stream), "epsilon": self.epsilon, "found": None}
        return self

    def _stream_so_far(self, like: Any) -> Stream:
        if "_stream" not in vars(self):
            return Stream.of_decision(self._decisions[-1], self._n_rows, like)
        return Stream.of_plain(self._stream)

    def _follow(self, stream: dict[str, Any]) -> dict[str, Any]:
        grid, epsilon = self._grid, stream["epsilon"]
        rows = Stream.of_plain(stream).merged(grid, self.classes_)
        decision = rows.decision(grid, self.classes_)
        epsilon = float(decision["epsilon"] if epsilon == "auto" else epsilon)
        rates = rows.rates(grid, decision, epsilon)
        return {
            "_decisions": [decision],
            "epsilon_": epsilon,
            "rates_": {n: np.asarray([r]) for n, r in zip(RATES, rates, strict=True)},
            "temperature_": decision["temperature"],
        }

    def _check_goes_on(self, X: Any, grid: Grid) -> None:
        if self._layers:
            raise ValueError(
                f"partial_fit needs a model without layers, found n_iter_="
                f"{self.n_iter_}: call fit with n_layers=0, or start anew."
            )
        reference = {"attribute": self._reference, "method": "partial_fit"}
        check_same_namespace(X, self, **reference)
        if grid.shape != self.signal_shape_:
            raise ValueError(
                f"{NAME} is {grid.shape} and was {self.signal_shape_} before: between "
                "calls of partial_fit it must stay."
            )

    def _forget(self) -> None:
        super()._forget()
        for name in (*self._following, "_stream"):
            self.__dict__.pop(name, None)
