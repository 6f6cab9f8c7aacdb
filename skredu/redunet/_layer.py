r"""One layer, for vectors and for signals: a gradient step on the rate reduction.

.. math:: z^+ = z + \eta\alpha \Bigl(\sum_j \pi_j(z) P_j z - P z\Bigr)

up to the norm, with the soft projections :math:`P = I - (I + \alpha S)^{-1}` of all
samples and :math:`P_j` of each class. Since :math:`\gamma_j\alpha_j = \alpha` and
memberships sum to one, this is equal to the published step
:math:`z + \eta(Ez - \sum_j \gamma_j\pi_j C_jz)`. Features are arrays of shape (F, C,
n); see `skredu.coding._blocks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from skredu._compat import namespace
from skredu.coding._choose import label_code
from skredu.coding._dense import group_of_state
from skredu.coding._factoring import group_of
from skredu.coding._linalg import (
    blocks_of_rows,
    norms,
    real_dtype,
    softmax,
    split,
)
from skredu.redunet._memberships import MEMBERSHIPS
from skredu.redunet._scores import Scores


class Layer:
    """Operators of all samples and of every class, at one distortion.

    Parameters
    ----------
    whole : Group or DenseGroup
        Group of all samples.
    classes : list of Group or DenseGroup
        Groups of the classes.
    epsilon : float
        Distortion.
    membership : {"coding", "residual", "weighted_residual"}
        Membership rule.
    temperature : float
        Inverse temperature of the residual rules.
    label_code : list of float, default=None
        Nats to add to the scores of each class, fitted to left-out samples.
    """

    def __init__(
        self,
        whole: Any,
        classes: list[Any],
        epsilon: float,
        membership: str,
        temperature: float,
        label_code: list[float] | None = None,
    ) -> None:
        self.whole, self.classes = whole, classes
        self.epsilon, self.label_code = epsilon, label_code
        self.membership, self.temperature = membership, temperature
        self.rule = MEMBERSHIPS[membership]

    @classmethod
    def build(
        cls,
        Z: Any,
        rows: Any,
        blocks: Any,
        epsilon: float,
        membership: str,
        temperature: float,
        *,
        left_out: bool,
    ) -> Layer:
        """Build the layer of training features (F, C, n), sorted by class as ``rows``.

        With ``left_out``, the layer can move these samples without themselves.
        """
        options = {
            "epsilon": epsilon,
            "n_coded": Z.shape[2],
            "left_out": left_out,
            "exact": MEMBERSHIPS[membership].measure == "residual",
        }
        classes = [
            group_of(Z[:, :, part], rows.weights_at(part), blocks, **options)
            for part in rows.slices
        ]
        scatters: list[Any] = [getattr(group, "scatter", None) for group in classes]
        total = None if any(S is None for S in scatters) else sum(scatters)
        whole = group_of(
            Z, rows.weights_at(slice(None)), blocks, **options, scatter=total
        )
        return cls(whole, classes, epsilon, membership, temperature)

    def to_state(self) -> dict[str, Any]:
        """Return the state as arrays, numbers and containers."""
        names = ("epsilon", "membership", "temperature", "label_code")
        extra = self.rule.measure == "extra"
        scored = {"scores": extra, "squares": not extra}
        return {
            "whole": self.whole.to_state(scores=False),
            "classes": [group.to_state(**scored) for group in self.classes],
            **{name: getattr(self, name) for name in names},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Layer:
        """Restore the layer from its state."""
        classes = [group_of_state(part) for part in state["classes"]]
        whole = group_of_state(state["whole"])
        return cls(**{**state, "whole": whole, "classes": classes})

    @property
    def alpha(self) -> float:
        r"""Scale :math:`d / (n\epsilon^2)` of the expansion operator."""
        return float(self.whole.blocks.dim / self.epsilon**2 / self.whole.n)

    def rates(self) -> tuple[float, float, float]:
        """Return the rates of all samples and of the classes, and their difference.

        They are in nats. For signals, they are those of all shifts, per point of the
        grid.
        """
        return rates_of(self.whole, self.classes, self.epsilon)

    def _blocks(self, Z: Any, n: int | None = None) -> list[slice]:
        """Return slices of samples (all of Z, or ``n``) that are processed together."""
        F, C, b = Z.shape
        width = F * (4 * C + self._scores.width)
        return blocks_of_rows(b if n is None else n, width)

    @property
    def _factor(self) -> float:
        """Return the factor of residual norms in the rules that use them."""
        return float(self.temperature * self.whole.blocks.dim / self.epsilon**2)

    @cached_property
    def _scores(self) -> Scores:
        return Scores(self.classes, self.epsilon, self.rule, self.whole.n, self._factor)

    def memberships(self, Z: Any) -> Any:
        """Return memberships of samples, in double precision, of shape (b, k)."""
        return softmax(self._scores(Z, self.label_code)[0])

    def change(self, Z: Any) -> Any:
        """Return the change of samples for a step size of ``1 / alpha``."""

        def of(rows: Any) -> Any:
            scores, along = self._scores(rows, self.label_code, sharp=True)
            start = -self.whole.project(rows, self.epsilon)
            return self._add_projections(start, rows, softmax(scores), along)

        blocks = self._blocks(Z)
        if len(blocks) == 1:
            return of(Z)
        change = namespace(Z).empty_like(Z)
        for block in blocks:
            change[:, :, block] = of(Z[:, :, block])
        return change

    def _add_projections(
        self, total: Any, Z: Any, Pi: Any, along: dict[int, Any]
    ) -> Any:
        """Add the projections on the classes times memberships, in place if possible.

        Memberships are sharp; those below rounding errors need no product. ``along``
        contains the coordinates of the samples in factored classes, if known.
        """
        xp, dtype = namespace(Z), real_dtype(Z)
        members = Pi > float(xp.finfo(dtype).eps)
        some = xp.any(members, axis=0)
        for j, group in enumerate(self.classes):
            if some[j]:
                index, rest = split(members[:, j])
                shares = xp.astype(xp.take(Pi[:, j], index), dtype, copy=False)
                if j in along:
                    part = group.project_along(take(along[j], index), self.epsilon)
                else:
                    part = group.project(take(Z, index), self.epsilon)
                total = add_to(total, index, rest, shares * part)
        return total

    def move(self, Z: Any, step: float) -> Any:
        """Return samples after a step."""
        return stepped(Z, self.change(Z), step)

    def training_change(self, Z: Any, rows: Any, construction: str) -> Any:
        """Return the direction in which training samples move.

        Parameters
        ----------
        Z : array of shape (F, C, n)
            Their features, from which the layer was computed.
        rows : Rows
        construction : {"left_out", "estimated", "labels"}
            By the operators and memberships of the other samples, as a new sample
            moves; by those of all samples; or by their labels.
        """
        if construction == "estimated":
            return self.change(Z)
        change = namespace(Z).empty_like(Z)
        if construction == "left_out":
            return self._change_left_out(Z, rows, change)
        for group, part in zip(self.classes, rows.slices, strict=True):
            for at, _ in self._pieces(Z, part):
                own = group.project(Z[:, :, at], self.epsilon)
                change[:, :, at] = own - self.whole.project(Z[:, :, at], self.epsilon)
        return change

    def _change_left_out(self, Z: Any, rows: Any, own: Any) -> Any:
        """Move every sample by the operators of the others, and fit the label code.

        A sample that is left out of its own class, and of all samples, moves as a new
        sample would. ``own`` is an array that first contains the projections of samples
        on their classes, and finally the change.
        """
        xp = namespace(Z)
        scores = self._scores_left_out(Z, rows, own)
        if self.rule.fits_label_code:
            weights = rows.weights_at(slice(None))
            self.label_code = label_code(scores, rows.slices, weights)
            scores = scores + xp.asarray(
                self.label_code, dtype=scores.dtype, device=scores.device
            )
        Pi = softmax(scores)
        for block in self._blocks(Z):
            shares, weights = Pi[block, :], rows.weights_at(block)
            change = -self.whole.left_out(Z[:, :, block], self.epsilon, weights, block)[
                1
            ]
            for j, part in enumerate(rows.slices):
                start, stop = max(part.start, block.start), min(part.stop, block.stop)
                if start < stop:
                    at = slice(start, stop)
                    here = slice(start - block.start, stop - block.start)
                    share = xp.astype(shares[here, j], real_dtype(Z), copy=False)
                    change[:, :, here] += share * own[:, :, at]
                    shares[here, j] = xp.zeros_like(share, dtype=shares.dtype)
            own[:, :, block] = self._add_projections(change, Z[:, :, block], shares, {})
        return own

    def _scores_left_out(self, Z: Any, rows: Any, own: Any) -> Any:
        """Return scores (n, k) without label code; write projections on own classes."""
        xp = namespace(Z)
        scores = [self._scores(Z[:, :, block])[0] for block in self._blocks(Z)]
        scores = scores[0] if len(scores) == 1 else xp.concat(scores)
        for j, (group, part) in enumerate(zip(self.classes, rows.slices, strict=True)):
            for at, here in self._pieces(Z, part):
                found, projected = group.left_out(
                    Z[:, :, at], self.epsilon, rows.weights_at(at), here
                )
                own[:, :, at] = projected
                if self.rule.measure == "residual":
                    found = norms(Z[:, :, at] - projected)
                scores[at, j] = self.rule.scores(
                    found, group.n, self.whole.n, self._factor
                )
        return scores

    def _pieces(self, Z: Any, part: slice) -> Iterator[tuple[slice, slice]]:
        """Iterate over parts of a class: positions in all samples, and in the class."""
        for here in self._blocks(Z, part.stop - part.start):
            yield slice(part.start + here.start, part.start + here.stop), here


class ReduNetLayer:
    r"""A layer with its operators, which are computed on demand.

    A sample ``z`` becomes :math:`z + \eta (Ez - \sum_j \gamma_j \pi_j(z) C_j z)`,
    divided by its norm. Operators on vectors are matrices, and those on signals are the
    filters of circular convolutions.

    Parameters
    ----------
    layer : Layer
        The layer on features.
    step : float
        Step size of the layer, relative to ``1 / alpha``.
    space : Vectors or Grid
        The space of the samples.

    Attributes
    ----------
    eta : float
        Step size in the units of the paper; for signals, on all of their shifts.
    gamma : list of float
        Share of each class.
    expansion : array of shape (d, d) or (C, C, *signal_shape)
        The expansion operator ``E``.
    """

    def __init__(self, layer: Layer, step: float, space: Any) -> None:
        self._layer, self._step, self._space = layer, step, space

    def __repr__(self) -> str:
        dim, k = int(self._space.blocks.dim), len(self._layer.classes)
        return f"{type(self).__name__}({dim} features, {k} classes)"

    @property
    def eta(self) -> float:
        """Step size in the units of the paper; for signals, on all of their shifts."""
        return self._step / self._layer.alpha

    @property
    def gamma(self) -> list[float]:
        """Share of each class."""
        return [group.n / self._layer.whole.n for group in self._layer.classes]

    @property
    def expansion(self) -> Any:
        """The expansion operator ``E``."""
        return self._operator(self._layer.whole)

    def compression(self, j: int) -> Any:
        """Return the compression operator ``C_j`` of the class with index j."""
        return self._operator(self._layer.classes[j])

    def _operator(self, group: Any) -> Any:
        epsilon = self._layer.epsilon
        alpha = group.blocks.dim / epsilon**2 / group.n
        return self._space.show(group.matrix(epsilon), alpha)


def rates_of(
    whole: Any, classes: list[Any], epsilon: float
) -> tuple[float, float, float]:
    """Return the rates of all samples and of the classes, and their difference."""
    unit = 2.0 * whole.blocks.n_points
    R = whole.volume(epsilon) / unit
    Rc = sum(g.n / whole.n * g.volume(epsilon) / unit for g in classes)
    return R, Rc, R - Rc


def stepped(Z: Any, change: Any, step: float) -> Any:
    """Return samples after a step; for a very large step, only the change remains."""
    return normalised(Z + step * change if step <= 1.0 else (1.0 / step) * Z + change)


def moved_by(Z: Any, change: Any, step: float) -> tuple[Any, Any]:
    """Return training features after a step, and the change (None if overwritten).

    For many samples, only the features and their change are in memory; for few samples,
    the change is kept for a smaller step.
    """
    F, C, n = Z.shape
    blocks = blocks_of_rows(n, F * C)
    if len(blocks) == 1:
        return stepped(Z, change, step), change
    for block in blocks:
        change[:, :, block] = stepped(Z[:, :, block], change[:, :, block], step)
    return change, None


def normalised(Z: Any) -> Any:
    """Scale features to norm one; zeros stay zeros."""
    xp, size = namespace(Z), norms(Z)
    size = xp.where(size > 0, size, xp.ones_like(size))
    return Z / xp.astype(size, real_dtype(Z), copy=False)


def take(Z: Any, index: Any) -> Any:
    """Return some samples; NumPy copies none if they are consecutive."""
    xp, run = namespace(Z), run_of(index)
    if run is not None:
        return Z[:, :, run]
    return Z[:, :, index] if xp is np else xp.take(Z, index, axis=2)


def add_to(total: Any, index: Any, rest: Any, part: Any) -> Any:
    """Add samples to those at ``index`` and none at ``rest``, in place if possible."""
    xp, run = namespace(total), run_of(index)
    if run is not None or xp is np:
        total[:, :, index if run is None else run] += part
        return total
    none = xp.zeros(
        (*part.shape[:2], rest.shape[0]), dtype=part.dtype, device=part.device
    )
    order = xp.argsort(xp.concat([index, rest]))
    return total + xp.take(xp.concat([part, none], axis=2), order, axis=2)


def run_of(index: Any) -> slice | None:
    """Return an ascending index as a slice, None if it has gaps."""
    first, last = int(index[0]), int(index[-1])
    return slice(first, last + 1) if last - first + 1 == index.shape[0] else None
