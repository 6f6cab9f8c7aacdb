r"""One layer, for vectors and for signals: a gradient step on the rate reduction.

.. math:: z^+ = z + \eta\alpha \Bigl(\sum_j \pi_j(z) P_j z - P z\Bigr)

up to the norm, with the soft projections :math:`P = I - (I + \alpha S)^{-1}` of all
samples and :math:`P_j` of each class. Since :math:`\gamma_j\alpha_j = \alpha` and
memberships sum to one, this is equal to the published step
:math:`z + \eta(Ez - \sum_j \gamma_j\pi_j C_jz)`. Features are arrays of shape (F, C,
n); see `skredu.coding._group`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from skredu._compat import namespace
from skredu.coding._choose import label_code
from skredu.coding._dense import (
    DenseGroup,
    group_of_state,
    packed_together,
    shared,
    side_by_side,
)
from skredu.coding._group import Group
from skredu.coding._linalg import (
    blocks_of_rows,
    norms,
    one_block,
    real_dtype,
    run_of,
    softmax,
    split,
    spread_columns,
    take,
)

# Membership rules, and the power of the operator in the forms from which they compute
# the costs of samples; see `skredu.coding._dense.DenseGroup`. The rule "coding" is that
# of `skredu.MICLClassifier` with ``assume_centered=True`` and ``priors=None``. The rule
# "relu" computes no memberships: a feature is a member of every class in which its
# projection is positive.
MEMBERSHIPS = {"coding": 1, "residual": 2, "weighted_residual": 2, "relu": 0}
# Step rules, and whether samples have a velocity, which is carried from layer to layer.
STEPS = {"relative": False, "published": False, "momentum": True, "nesterov": True}
# A step size is halved at most this number of times.
HALVINGS = 9
# Memberships of classes that are this number of nats worse than the best one are below
# the rounding errors: exp(-40) = 4e-18.
FAR = 40.0
# With at least this number of coordinates, forms are first summed over a share of them.
# A layer of ten classes then transforms 5000 samples of 784 features, and 3000 of 300,
# in 0.61 to 0.63 of the time (medians of five, with and without in turns).
LEAST_BOUNDED = 128
FIRST_SHARE = 0.25


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
    membership : {"coding", "residual", "weighted_residual", "relu"}
        Membership rule.
    temperature : float
        Inverse temperature of the residual rules.
    label_code : list of float, default=None
        Nats to add to the scores of each class, fitted to left-out samples.
    space : Vectors or Grid, default=None
        Space of the features, which shows operators and computes positive parts.
    """

    def __init__(
        self,
        whole: Any,
        classes: list[Any],
        epsilon: float,
        membership: str,
        temperature: float,
        label_code: list[float] | None = None,
        space: Any = None,
    ) -> None:
        self.whole = whole
        self.classes, self.bases = side_by_side(classes)
        counts, like = [group.n for group in classes], whole.blocks.counts
        self.counts = namespace(like).asarray(
            counts, dtype=like.dtype, device=like.device
        )
        self.epsilon, self.label_code = epsilon, label_code
        self.epsilons = namespace(like).full_like(like[:1], epsilon)
        self.membership, self.temperature = membership, temperature
        self.power, self.space = MEMBERSHIPS[membership], space

    def to_state(self) -> dict[str, Any]:
        """Return the state as arrays, numbers and containers."""
        names = ("epsilon", "membership", "temperature", "label_code")
        scores, squares = self.power == 1, self.power == 2
        return {
            "whole": self.whole.to_state(scores=False),
            "classes": [
                group.to_state(scores=scores, squares=squares) for group in self.classes
            ],
            **{name: getattr(self, name) for name in names},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], space: Any) -> Layer:
        """Restore the layer from its state and the space of its features."""
        classes = [group_of_state(part) for part in state["classes"]]
        whole = group_of_state(state["whole"])
        return cls(**{**state, "whole": whole, "classes": classes, "space": space})

    @property
    def alpha(self) -> float:
        r"""Scale :math:`d / (n\epsilon^2)` of the expansion operator."""
        return float(self.whole.blocks.dim / self.epsilon**2 / self.whole.n)

    @cached_property
    def rates(self) -> tuple[float, float, float]:
        """The rates of all samples and of the classes, and their difference.

        They are in nats. For signals, they are those of all shifts, per point of the
        grid.
        """
        unit = 2.0 * self.whole.blocks.n_points
        R = float(self.whole.volumes(self.epsilons)[0]) / unit
        volumes = [
            group.n / self.whole.n * float(group.volumes(self.epsilons)[0])
            for group in self.classes
        ]
        Rc = sum(volumes) / unit
        return R, Rc, R - Rc

    @cached_property
    def forms(self) -> Any:
        """Packed forms of the classes, for all samples; None if there are none."""
        return packed_together(self.classes, self.power) if self.power else None

    # -- memberships ------------------------------------------------------------------

    def _memberships(self, costs: Any) -> Any:
        """Return memberships (b, k) from costs, which are extra nats or residuals."""
        if self.power == 0:
            return namespace(costs).ones_like(costs)
        return softmax(self.scores(costs))

    def scores(self, costs: Any) -> Any:
        r"""Return logarithms of memberships (b, k), up to a constant, from costs.

        They are :math:`\log\gamma_j` minus extra nats, or :math:`-\lambda \|C_jz\|` or
        :math:`-\lambda\gamma_j \|C_jz\|`, where :math:`C_j z` is the residual times
        :math:`\alpha_j`.
        """
        xp, n = namespace(costs), self.whole.n
        if self.power == 1:
            scores = xp.log(self.counts / n) - costs
        else:
            factor = self.temperature * self.whole.blocks.dim / self.epsilon**2
            favoured = self.membership == "residual"  # large classes
            scores = -factor / (self.counts if favoured else n) * costs
        if self.label_code is None:
            return scores
        place = {"dtype": scores.dtype, "device": scores.device}
        return scores + xp.asarray(self.label_code, **place)

    def _cost(self, group: Any, Z: Any, known: Any = None) -> Any:
        """Return extra nats, or norms of residuals, (b,) of samples in one group."""
        if self.power == 1:
            return group.extra(Z, self.epsilons, known=known)[:, 0]
        return group.residual(Z, self.epsilons, known)[:, 0]

    def _costs(self, Z: Any, known: list[Any]) -> Any:
        """Return the costs (b, k) of samples in all classes; see `_cost`."""
        xp = namespace(Z)
        if self.power == 0:
            shape, dtype = (Z.shape[2], len(self.classes)), real_dtype(Z)
            return xp.zeros(shape, dtype=dtype, device=Z.device)
        pairs = zip(self.classes, known, strict=True)
        return xp.stack([self._cost(group, Z, one) for group, one in pairs], axis=1)

    def _sharp_costs(self, Z: Any, known: list[Any]) -> Any:
        """Return costs that may be too small if memberships are below rounding errors.

        The first coordinates of the samples yield lower bounds of forms, and so of
        costs. The cost in the class with the highest membership is completed first,
        then those in all classes that may have a higher membership than that.
        """
        C, power = Z.shape[1], self.power
        dense = np.asarray([isinstance(group, DenseGroup) for group in self.classes])
        many = C >= LEAST_BOUNDED and power > 0 and namespace(Z) is np and one_block(Z)
        if not many or not dense.any():
            return self._costs(Z, known)
        size = int(FIRST_SHARE * C)
        bounds = [
            self._cost(group.head(size, power), Z[:, :size, :])
            if isinstance(group, DenseGroup)
            else self._cost(group, Z, one)
            for group, one in zip(self.classes, known, strict=True)
        ]
        costs = np.stack(bounds, axis=1)
        best = self.scores(costs).argmax(axis=1)
        missing = dense & (best[:, None] == np.arange(len(dense)))
        for _ in range(2):
            for j in np.flatnonzero(missing.any(axis=0)):
                index = np.flatnonzero(missing[:, j])
                costs[index, j] = self._cost(self.classes[j], Z[:, :, index])
            scores = self.scores(costs)
            highest = scores[np.arange(len(best)), best]
            missing = dense & (scores >= highest[:, None] - FAR) & ~missing
        return costs

    # -- motion -----------------------------------------------------------------------

    def change(self, Z: Any) -> Any:
        """Return the change of samples for a step size of ``1 / alpha``."""
        change = namespace(Z).empty_like(Z)
        for at in self._blocks(Z, slice(0, Z.shape[2])):
            rows = Z[:, :, at]
            known = shared(self.classes, rows, self.bases, self.forms)
            Pi = self._memberships(self._sharp_costs(rows, known))
            start = self.whole.project(rows, self.epsilon)
            start *= -1.0
            change[:, :, at] = self._add_projections(start, rows, Pi, known)
        return change

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
        if construction == "left_out":
            return self._change_left_out(Z, rows)
        change = namespace(Z).empty_like(Z)
        for group, part in zip(self.classes, rows.slices, strict=True):
            for at in self._blocks(Z, part):
                own = group.project(Z[:, :, at], self.epsilon)
                change[:, :, at] = own - self.whole.project(Z[:, :, at], self.epsilon)
        return change

    def _change_left_out(self, Z: Any, rows: Any) -> Any:
        """Move every sample by the operators of the others.

        A sample that is left out of its own class, and of all samples, moves as a new
        sample would. The label code is fitted to the samples unless it is known.
        """
        xp, dtype = namespace(Z), real_dtype(Z)
        blocks, costs = self._blocks(Z, slice(0, Z.shape[2])), []
        for at in blocks:
            known = shared(self.classes, Z[:, :, at], self.bases, self.forms)
            costs.append(self._costs(Z[:, :, at], known))
        costs = xp.concat(costs)
        change = xp.empty_like(Z)  # at first, projections on own classes
        for j, (group, part) in enumerate(zip(self.classes, rows.slices, strict=True)):
            for at in self._blocks(Z, part):
                here = slice(at.start - part.start, at.stop - part.start)
                weights = rows.weights_at(at)
                cost, own = group.left_out(
                    Z[:, :, at], self.epsilon, weights, here, coded=self.power == 1
                )
                if self.power == 2:
                    cost = norms(Z[:, :, at] - own)
                if self.power == 0:
                    change[:, :, at] = self.space.positive(own)
                else:
                    change[:, :, at], costs[at, j] = own, cost
        if self.power == 1 and self.label_code is None:
            weights = rows.weights_at(slice(None))
            self.label_code = label_code(self.scores(costs), rows.slices, weights)
        Pi = self._memberships(costs)
        for j, part in enumerate(rows.slices):
            change[:, :, part] *= xp.astype(Pi[part, j], dtype, copy=False)
            Pi[part, j] = xp.zeros_like(Pi[part, j])
        unknown = [None] * len(self.classes)
        for at in blocks:
            weights, block = rows.weights_at(at), Z[:, :, at]
            _, start = self.whole.left_out(
                block, self.epsilon, weights, at, coded=False
            )
            start = change[:, :, at] - start
            change[:, :, at] = self._add_projections(start, block, Pi[at, :], unknown)
        return change

    def _add_projections(self, total: Any, Z: Any, Pi: Any, known: list[Any]) -> Any:
        """Add the projections on the classes times memberships, in place if possible.

        Memberships are sharp; those below rounding errors need no product.
        """
        xp, dtype = namespace(Z), real_dtype(Z)
        members = Pi > float(xp.finfo(dtype).eps)
        some = xp.any(members, axis=0)
        for j, group in enumerate(self.classes):
            if not some[j]:
                continue
            index, rest = split(members[:, j])
            shares = xp.astype(xp.take(Pi[:, j], index), dtype, copy=False)
            along = None
            if known[j] is not None and isinstance(group, Group):
                along = take(known[j][0], index)
            part = group.project(take(Z, index), self.epsilon, along)
            if self.power == 0:
                part = self.space.positive(part)
            if not xp.all(shares == 1.0):
                part = shares * part
            run = run_of(index)
            if run is not None or xp is np:
                total[:, :, index if run is None else run] += part
            else:
                total = total + spread_columns(part, index, rest)
        return total

    def _blocks(self, Z: Any, part: slice) -> list[slice]:
        """Return slices of consecutive samples that are processed together."""
        F, C, _ = Z.shape
        r = 0 if self.bases is None else self.bases.shape[2]
        width = F * (5 * C + r + len(self.classes))
        width = max(width, self.whole.width(1))  # of all images of a sample
        blocks = blocks_of_rows(part.stop - part.start, width)
        return [slice(part.start + b.start, part.start + b.stop) for b in blocks]


class ReduNetLayer:
    r"""A layer with its step, and with its operators, which are computed on demand.

    A sample ``z`` becomes :math:`z + \eta (Ez - \sum_j \gamma_j \pi_j(z) C_j z)`,
    divided by its norm; see the network for ``membership="relu"`` and steps with
    momentum. Operators on vectors are matrices, and those on signals are the
    filters of circular convolutions.

    Parameters
    ----------
    operators : Layer
        The operators on features.
    step : float
        Step size of the layer, relative to ``1 / alpha``.
    momentum : float, default=0.0
        Factor of the velocity.
    rule : {"relative", "published", "momentum", "nesterov"}, default="relative"
        Step rule.

    Attributes
    ----------
    eta : float
        Step size in the units of the paper; for signals, on all of their shifts.
    momentum : float
        Factor of the velocity; 0 if there is none, or if it was dropped in this layer.
    gamma : list of float
        Share of each class.
    expansion : array of shape (d, d) or (C, C, *signal_shape)
        The expansion operator ``E``.
    """

    def __init__(
        self,
        operators: Layer,
        step: float,
        momentum: float = 0.0,
        rule: str = "relative",
    ) -> None:
        self.operators, self.step = operators, step
        self.momentum, self.rule = momentum, rule

    def __repr__(self) -> str:
        dim, k = int(self.operators.whole.blocks.dim), len(self.operators.classes)
        return f"{type(self).__name__}({dim} features, {k} classes)"

    @classmethod
    def candidates(
        cls, operators: Layer, net: Any, last: float
    ) -> Iterator[ReduNetLayer]:
        """Yield the layers that a network tries in turn until one is good enough.

        The ``"published"`` step is the only one. Others are halved, and recover from
        the ``last`` one, that of the layer before. Before a step is halved, the
        velocity is dropped.
        """
        rule, step = net.step, float(net.eta)
        if rule == "published":
            yield cls(operators, step * operators.alpha, 0.0, rule)
            return
        step = min(step, 2.0 * last)
        if STEPS[rule]:
            yield cls(operators, step, float(net.momentum), rule)
        for halving in range(HALVINGS + 1):
            yield cls(operators, step / 2**halving, 0.0, rule)

    @property
    def eta(self) -> float:
        """Step size in the units of the paper; for signals, on all of their shifts."""
        return self.step / self.operators.alpha

    @property
    def gamma(self) -> list[float]:
        """Share of each class."""
        n = self.operators.whole.n
        return [group.n / n for group in self.operators.classes]

    @property
    def expansion(self) -> Any:
        """The expansion operator ``E``."""
        return self._shown(self.operators.whole)

    def compression(self, j: int) -> Any:
        """Return the compression operator ``C_j`` of the class with index j."""
        return self._shown(self.operators.classes[j])

    def _shown(self, group: Any) -> Any:
        epsilon, space = self.operators.epsilon, self.operators.space
        alpha = group.blocks.dim / epsilon**2 / group.n
        return space.show(group.matrix(epsilon), alpha)

    def move(self, Z: Any, before: Any = None, change: Any = None) -> tuple[Any, Any]:
        """Move features through the layer.

        Parameters
        ----------
        Z : array of shape (F, C, n)
            The features.
        before : array of shape (F, C, n), default=None
            The second result of the layer before, for the velocity; None in the first
            layer, in which samples are at rest.
        change : array of shape (F, C, n), default=None
            The direction of each sample. If None, it is that of new samples.

        Returns
        -------
        Z : array of shape (F, C, n)
            The features after the step.
        before : array of shape (F, C, n) or None
            What the next layer needs for the velocity: the features before the step
            (``"momentum"``), or after the step without the velocity (``"nesterov"``).
        """
        change = self.operators.change(Z) if change is None else change
        before = Z if before is None else before
        if self.rule == "nesterov":
            reached = stepped(Z, change, self.step)
            return stepped(reached, reached - before, self.momentum), reached
        if self.rule == "momentum":
            change = change + (self.momentum / self.step) * (Z - before)
            return stepped(Z, change, self.step), Z
        return stepped(Z, change, self.step), None

    def to_state(self) -> dict[str, Any]:
        """Return the state as arrays, numbers and containers."""
        names = ("step", "momentum", "rule")
        own = {name: getattr(self, name) for name in names}
        return {"layer": self.operators.to_state(), **own}

    @classmethod
    def from_state(cls, state: dict[str, Any], space: Any) -> ReduNetLayer:
        """Restore the layer from its state and the space of its features."""
        own = {name: value for name, value in state.items() if name != "layer"}
        return cls(Layer.from_state(state["layer"], space), **own)


def stepped(Z: Any, change: Any, step: float) -> Any:
    """Return samples after a step, with norm one; zeros stay zeros.

    For a very large step, only the change remains.
    """
    xp, short = namespace(Z), step <= 1.0
    moved = step * change if short else (1.0 / step) * Z
    moved += Z if short else change
    size = norms(moved)
    scale = 1.0 / xp.where(size > 0, size, xp.ones_like(size))
    scale = xp.astype(scale, real_dtype(Z), copy=False)
    # tensors may need their values for gradients
    return np.multiply(moved, scale, out=moved) if xp is np else moved * scale
