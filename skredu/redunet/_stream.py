"""Signals that come in parts: of all of them, only scatters and some rows are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skredu._checks import check_training
from skredu._compat import check_same_namespace, namespace, to_numpy
from skredu.classification._selection import MAX_ROWS, Codes, choose_codes
from skredu.classification._training import Training, classes_of_stream, keep_evenly
from skredu.lifting._signals import NAME, refuse_stacks
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
        Of their spectra, in double precision.
    seen : int
        Number of rows.
    kept : dict or None
        Rows, evenly over all so far, by which distortions are judged; None where the
        first of them were not kept.
    """

    counts: list[float]
    scatters: list[Any]
    seen: int
    kept: dict[str, Any] | None

    @classmethod
    def of(cls, rows: Training, grid: Grid) -> Stream:
        """Start with rows."""
        empty = [0.0] * len(rows.sizes)
        kept = keep_evenly(None, rows, MAX_ROWS)
        return cls(empty, empty, 0, kept)._with(rows, grid)

    @classmethod
    def of_decision(cls, decision: dict[str, Any], n_rows: int) -> Stream:
        """Start with the rows that a decision was fitted to."""
        counts, found = [], []
        for part in decision["coder"]["classes"]:
            V = widen(part["basis"])
            counts.append(part["count"])
            found.append((V * part["eigenvalues"][:, None, :]) @ adjoint(V))
        return cls(counts, found, n_rows, None)

    def add(self, rows: Training, grid: Grid) -> Stream:
        """Return what is known with more rows."""
        kept = self.kept and keep_evenly(self.kept, rows, MAX_ROWS)
        return replace(self, kept=kept)._with(rows, grid)

    def _with(self, rows: Training, grid: Grid) -> Stream:
        Z = grid.enter_by_blocks(len(rows.index), rows.take)
        found = scatters(Z, rows.slices, rows.weights)
        return replace(
            self,
            counts=[a + b for a, b in zip(self.counts, rows.counts, strict=True)],
            scatters=[a + b for a, b in zip(self.scatters, found, strict=True)],
            seen=self.seen + len(rows.index),
        )

    def decision(
        self, grid: Grid, rows: Training, stay: Codes | None
    ) -> dict[str, Any]:
        """Fit a decision, or stay with codes; its state as arrays and numbers."""
        xp, like = namespace(rows.source), self.scatters[0]
        dtype = xp.result_type(rows.source.dtype, xp.complex64)
        coder = SpectralCoder.of_scatters(
            self.scatters, self.counts, self.seen, grid.frequencies(like), dtype
        )
        if self.kept is not None:
            kept = Training.of_kept(self.kept, rows.classes)
            Z = grid.enter_by_blocks(len(kept.index), kept.take)
            rows = replace(kept, source=rows_of(Z), index=np.arange(Z.shape[2]))
        return state_of(coder, choose_codes(coder, rows, None, "auto", stay), like)

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


class BaseStreamingNet(BaseDecidingNet, BaseInvariantReduNet):
    """A network for signals that decides and, without layers, takes rows in parts."""

    def _add_rows(self, X: Any, y: Any, classes: Any, sample_weight: Any) -> Any:
        """Add rows to those of the calls before; all or nothing."""
        self._validate_params()
        first = not hasattr(self, "_layers")
        known = classes_of_stream(classes, None if first else self.classes_)
        refuse_stacks(X)
        checked = check_training(self, X, y, sample_weight, reset=first)
        grid = self._grid_for(X, checked[0].shape[1])
        X, rows = checked[0], Training.of(*checked, known)
        if first:
            self._keep_stream(Stream.of(rows, grid), grid, rows, None)
            return self
        self._check_goes_on(X, grid)
        before, stay = self._stream_so_far()
        self._keep_stream(before.add(rows, grid), grid, rows, stay)
        return self

    def _stream_so_far(self) -> tuple[Stream, Codes | None]:
        """Rows before and, where none were kept, the codes to stay with."""
        decision = self._decisions[-1]
        if hasattr(self, "_stream"):
            stream = Stream(**self._stream)
        else:
            stream = Stream.of_decision(decision, self._n_rows)
        if stream.kept is not None:
            return stream, None
        frequencies = np.asarray(stream.counts) / sum(stream.counts)
        shift = to_numpy(decision["log_priors"]) - np.log(frequencies)
        known = {name: decision[name] for name in ("epsilon", "loss", "temperature")}
        return stream, Codes(log_priors=None, label_shift=shift, **known)

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

    def _keep_stream(
        self, stream: Stream, grid: Grid, rows: Training, stay: Codes | None
    ) -> None:
        """Decide by all rows so far; be as if fitted to them."""
        decision = stream.decision(grid, rows, stay)
        epsilon = decision["epsilon"] if self.epsilon == "auto" else self.epsilon
        rates = stream.rates(grid, decision, float(epsilon))
        self._stand_on(grid)
        self._forget()
        self._begin_anew(rows, stream.counts, stream.seen)
        self._decisions, self._best = [], 0
        self.epsilon_ = float(epsilon)
        self._record(rates)
        self._keep_decision(decision)
        self._stream = vars(stream)

    def _forget(self) -> None:
        super()._forget()
        self.__dict__.pop("_stream", None)
