"""Incremental learning for signals: scatters and some samples are kept."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if

from skredu._base import all_or_nothing
from skredu._compat import check_same_namespace, namespace, to_numpy
from skredu._signals import NAME, refuse_stacks
from skredu._stream import StreamEstimator, Summary
from skredu.coding._choose import Choice
from skredu.coding._linalg import adjoint, widen
from skredu.coding._rows import Rows
from skredu.coding._scatter import Scatter, group_of_scatter
from skredu.redunet._grid import Grid
from skredu.redunet._layer import Layer
from skredu.redunet._net import FITTED, RATES
from skredu.redunet._samples import fit_decision


class StreamingNet(StreamEstimator):
    """Base class of networks for signals with incremental learning without layers."""

    _following = ("_decisions", "epsilon_", "rates_", "temperature_")
    _forgotten = FITTED
    _chooses = True
    class_count_: Any
    _layers: list[Any]
    _n_rows: int

    @available_if(lambda self: self._adds_up)
    @all_or_nothing
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Any:
        """Add samples; the model is that of `fit` on all samples so far.

        The distortion of the decision is chosen by at most 5 000 samples, a random
        sample of all so far, and may differ from that of `fit` if there are more; after
        `fit`, it is kept. Only available with ``n_layers=0``, because layers need all
        samples at once. Classes are factored, and the distortion is chosen, when a
        prediction or an attribute first needs them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data.
        y : array-like of shape (n_samples,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All class labels that occur in any call. Required in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each sample; fractions are allowed, and zero means
            absent. Multiplied by ``class_weight``, it has to be 0 or between 1e-30 and
            1e9, since weights are not rescaled here.

        Returns
        -------
        self : InvariantReduNetClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array is invalid, if ``classes`` is missing in the
            first call, if a label is not among them, if the grid differs, if `fit` has
            built layers, or if ``class_weight="balanced"``, which needs all samples at
            once.

        Examples
        --------
        >>> import numpy as np
        >>> from skredu import InvariantReduNetClassifier
        >>> from skredu.datasets import make_shifted_signals
        >>> X, y = make_shifted_signals(30, n_timesteps=64, random_state=0)
        >>> model = InvariantReduNetClassifier(n_layers=0)
        >>> for part in np.array_split(np.arange(60), 3):
        ...     model = model.partial_fit(X[part], y[part], classes=[0, 1])
        >>> [float(count) for count in model.class_count_]
        [30.0, 30.0]
        """
        self._validate_params()
        refuse_stacks(X)
        first = not hasattr(self, "_layers")
        source, known = X, None if first else self.classes_
        part, known = self._checked_part(X, y, classes, sample_weight, known)
        rows, X = Rows.of_parts([part], known), part["X"]
        grid = self._grid_for(source, X.shape[1]).on(X)  # the source may have a shape
        stream: dict[str, Any] = {"choice": None, "keep": True}
        counts, n_rows = np.asarray(rows.counts), X.shape[0]
        if not first:
            self._check_goes_on(X, grid)
            stream = vars(self).get("_stream") or self._stream_of_fit()
            counts += to_numpy(self.class_count_)
            n_rows += self._n_rows
        self.signal_shape_, self.n_channels_ = grid.shape, grid.n_channels
        self._invariant = self.output == "invariant"
        self._forget()
        self._begin_anew(rows, grid, counts.tolist(), n_rows)
        like = namespace(X).empty(0, dtype=X.dtype, device=X.device)
        if "like" in stream:  # a last part in single precision leaves the others double
            like = namespace(X).concat([stream["like"], like])
        self._extend({**stream, "epsilon": self.epsilon, "like": like}, part)
        return self

    def _stream_of_fit(self) -> dict[str, Any]:
        """Return a stream that starts with the samples of the last `fit`."""
        decision, found = self._decisions[-1], []
        for state in decision["groups"]:
            V = widen(state["basis"])
            S = (V * state["eigenvalues"][:, None, :]) @ adjoint(V)
            found.append(Scatter(state["n"], V[0, :, 0] * 0.0, None, S, True))
        choice = {name: decision[name] for name in Choice._fields}
        summary = Summary(found, self._n_rows).to_state()
        return {"summary": summary, "choice": choice, "keep": False}

    def _scatters(self, rows: Rows) -> list[Scatter]:
        """Return the scatters of all shifts of the signals of each class."""
        grid = self._restored_space()
        return list(grid.scatters(grid.fit(rows), rows))

    def _follow(self, stream: dict[str, Any]) -> dict[str, Any]:
        grid, epsilon = self._restored_space(), stream["epsilon"]
        before = None if stream["choice"] is None else Choice(**stream["choice"])
        summary, xp = self._merged(stream), namespace(grid.counts)
        dtype = xp.result_type(stream["like"].dtype, xp.complex64)

        def group(scatter: Scatter) -> Any:
            scatter = replace(scatter, mean=xp.astype(scatter.mean, dtype))
            return group_of_scatter(scatter, grid.blocks, n_rows=summary.seen)

        groups = [group(scatter) for scatter in summary.scatters]
        rows, Z = None, None
        if summary.kept is not None:
            rows = Rows.of_parts([summary.kept], self.classes_).merged()
            Z = grid.fit(rows)
        options: dict[str, Any] = {"groups": groups, "before": before}
        decision = fit_decision(Z, rows, grid, self.classes_, **options)
        epsilon = float(decision["epsilon"] if epsilon == "auto" else epsilon)
        whole = group(reduce(Scatter.merge, summary.scatters))
        some = [g for g in groups if g.n > 0.0]
        rates = Layer(whole, some, epsilon, "coding", 1.0).rates
        return {
            "_decisions": [decision],
            "epsilon_": epsilon,
            "rates_": {n: np.asarray([r]) for n, r in zip(RATES, rates, strict=True)},
            "temperature_": decision["temperature"],
        }

    @property
    def _adds_up(self) -> bool:
        return bool(self.n_layers == 0)

    def _count(self, summary: Summary) -> None:
        counts = [scatter.count for scatter in summary.scatters]
        self.class_count_ = namespace(self.class_count_).asarray(
            counts, dtype=self.class_count_.dtype, device=self.class_count_.device
        )
        self._n_rows, self._layers = summary.seen, []

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
