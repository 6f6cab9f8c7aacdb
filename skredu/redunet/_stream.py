"""Incremental learning for signals: scatters and some samples are kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from skredu._base import StreamEstimator
from skredu._checks import check_training
from skredu._compat import check_same_namespace, namespace, to_numpy
from skredu.coding._choose import Choice
from skredu.coding._factoring import group_of_stack
from skredu.coding._linalg import adjoint, scatters, weighted, widen
from skredu.coding._rows import Rows, Summary, classes_of_stream, codes_of
from skredu.coding._scatter import Scatter
from skredu.coding._weights import weights_to_add
from skredu.lifting._signals import NAME, refuse_stacks
from skredu.redunet._decision import choose_decision
from skredu.redunet._layer import rates_of
from skredu.redunet._net import RATES
from skredu.redunet._signals import Grid


class StreamingNet(StreamEstimator):
    """Base class of networks for signals with incremental learning without layers."""

    _following = ("_decisions", "epsilon_", "rates_", "temperature_")

    def _add_rows(self, X: Any, y: Any, classes: Any, sample_weight: Any) -> Any:
        """Add samples to those of previous calls."""
        self._validate_params()
        first = not hasattr(self, "_layers")
        known = classes_of_stream(classes, None if first else self.classes_)
        refuse_stacks(X)
        source = X  # carries the shape of its grid
        X, y, weights = check_training(self, X, y, sample_weight, reset=first)
        weights = weights_to_add(X, y, weights, self.class_weight, known)
        rows = Rows.of(X, y, weights, known)
        grid = self._grid_for(source, X.shape[1]).on(X)
        stream: dict[str, Any] = {"choice": None}
        counts, summary = np.asarray(rows.counts), Summary()
        if not first:
            self._check_goes_on(X, grid)
            stream = vars(self).get("_stream") or self._stream_of_fit()
            counts += to_numpy(self.class_count_)
            summary = Summary.of_state(stream)
        summary = summary.add(X, codes_of(y, known), weights)
        if summary.full:
            summary = settled(summary, grid, known, keep=stream["choice"] is None)
        self._stand_on(grid)
        self._forget()
        self._begin_anew(rows, grid, counts.tolist(), summary.seen)
        like = namespace(X).empty(0, dtype=X.dtype, device=X.device)
        now = {"epsilon": self.epsilon, "like": like, "found": None}
        self._stream = {**summary.to_state(), "choice": stream["choice"], **now}
        return self

    def _stream_of_fit(self) -> dict[str, Any]:
        """Return a stream that starts with the samples of the last `fit`."""
        decision, found = self._decisions[-1], []
        for state in decision["groups"]:
            V = widen(state["basis"])
            S = (V * state["eigenvalues"][:, None, :]) @ adjoint(V)
            found.append(Scatter(state["n"], S[0, :, 0] * 0.0, None, S, True))
        choice = {name: decision[name] for name in Choice._fields}
        return {**Summary(found, self._n_rows).to_state(), "choice": choice}

    def _follow(self, stream: dict[str, Any]) -> dict[str, Any]:
        grid, epsilon = self._restored_space(), stream["epsilon"]
        choice = None if stream["choice"] is None else Choice(**stream["choice"])
        summary = Summary.of_state(stream)
        summary = settled(summary, grid, self.classes_, keep=choice is None)
        assert summary.scatters is not None
        xp = namespace(grid.counts)
        dtype = xp.result_type(stream["like"].dtype, xp.complex64)

        def group(scatter: Scatter) -> Any:
            return group_of_stack(scatter, grid.blocks, summary.seen, dtype)

        groups = [group(scatter) for scatter in summary.scatters]
        rows, Z = None, None
        if summary.kept is not None and choice is None:
            rows = Rows.of_kept(summary.kept, self.classes_).merged()
            Z = grid.fit(rows)
        decision = choose_decision(groups, rows, Z, grid, self.classes_, choice)
        epsilon = float(decision["epsilon"] if epsilon == "auto" else epsilon)
        first, *others = summary.scatters
        for scatter in others:
            first = first.merge(scatter)
        some = [g for g in groups if g.n > 0.0]
        rates = rates_of(group(first), some, epsilon)
        return {
            "_decisions": [decision],
            "epsilon_": epsilon,
            "rates_": {n: np.asarray([r]) for n, r in zip(RATES, rates, strict=True)},
            "temperature_": decision["temperature"],
        }

    def _check_goes_on(self, X: Any, grid: Grid) -> None:
        if self._layers:
            raise ValueError(
                "partial_fit needs a model without layers, found n_iter_="
                f"{self.n_iter_}: call fit with n_layers=0, or use a new estimator."
            )
        reference = {"attribute": self._reference, "method": "partial_fit"}
        check_same_namespace(X, self, **reference)
        if grid.shape != self.signal_shape_:
            raise ValueError(
                f"{NAME} is {grid.shape} and was {self.signal_shape_} before: it must "
                "not change between calls of partial_fit."
            )

    def _forget(self) -> None:
        super()._forget()
        for name in (*self._following, "_stream"):
            self.__dict__.pop(name, None)


def settled(summary: Summary, grid: Grid, classes: Any, *, keep: bool) -> Summary:
    """Return the summary with all samples, and all of their shifts, merged."""

    def scatters_of(rows: Rows, before: list[Scatter] | None) -> list[Scatter]:
        Z, found = grid.fit(rows), []
        for j, (part, n) in enumerate(zip(rows.slices, rows.counts, strict=True)):
            S = scatters(weighted(Z[:, :, part], rows.weights_at(part)))
            scatter = Scatter(n, S[0, :, 0] * 0.0, None, S, True)
            found.append(scatter if before is None else before[j].merge(scatter))
        return found

    return summary.settled(classes, scatters_of, keep=keep)
