"""Networks with layers, for samples in blocks.

A layer is computed from scatters, which add up, and moves every sample on its own. So
one pass over the blocks moves them and adds up the scatters of the next layer, and only
operators and scatters travel. Parameters are chosen by at most 5 000 samples, which are
kept here and move along.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce
from typing import Any

import dask
import numpy as np
from sklearn.base import clone

from skredu._stream import Summary
from skredu.coding._dense import DenseGroup
from skredu.coding._linalg import MAX_DENSE_CONDITION, MAX_GRAM, root_mean_square
from skredu.coding._rows import Rows
from skredu.coding._scatter import Scatter, group_of_scatter
from skredu.dask._blocks import reduced, with_weight
from skredu.redunet._layer import MEMBERSHIPS, Layer, advanced
from skredu.redunet._net import BaseNet, fit_decision, least_reduction


class SampleBlocks:
    """Training samples in blocks, which move from layer to layer.

    Parameters
    ----------
    parts : list of delayed
        Valid samples of each block, as `valid` returns them.
    keep : bool
        Whether workers keep the features of all samples between layers. Otherwise, each
        pass computes them again from the samples.
    """

    def __init__(self, parts: list[Any], *, keep: bool) -> None:
        self.parts, self.keep = parts, keep
        self.states: list[Any] = []
        self.moved: list[Any] = []

    def overview(self) -> dict[str, Any] | None:
        """Return what the network needs to know of all samples."""
        found = [dask.delayed(_overview)(part) for part in self.parts]
        return reduced(found, _all)

    def enter(self, space: Any) -> None:
        """Convert the samples to features of a space."""
        given = _shared(space)
        enter = dask.delayed(_features)
        self.moved = self._kept([enter(part, given) for part in self.parts])

    def move(self, motion: tuple[Any, ...]) -> None:
        """Try to move all samples by a layer, from where they are."""
        given = _shared(motion)
        move = dask.delayed(_moved)
        self.moved = self._kept([move(state, given) for state in self.states])

    def stay(self) -> None:
        """Let samples go on from where they have been moved."""
        self.states, self.moved = self.moved, []

    def scatters(self, space: Any, epsilon: float, *, centred: bool) -> list[Scatter]:
        """Return the scatters of the classes, where samples have been moved."""
        given = _shared((space, epsilon, centred))
        found = [dask.delayed(_scatters)(state, given) for state in self.moved]
        return reduced(found, _sums)

    def _kept(self, states: list[Any]) -> list[Any]:
        return list(dask.persist(*states)) if self.keep else states


def _shared(value: Any) -> Any:
    """Return a delayed value, which is sent once for all blocks."""
    return dask.delayed(value, traverse=False)


# -- what is computed for each block --------------------------------------------------


def valid(net: Any, part: dict[str, Any], classes: Any) -> Any:
    """Return the samples of a block as `Rows`, and the attributes that they set.

    None means that no sample has a weight.
    """
    found = with_weight(**part)
    if found is None:
        return None
    net = clone(net)
    rows = net._training_rows(*found, classes=classes)
    given = net.get_params(deep=False)
    return rows, {n: v for n, v in vars(net).items() if n not in given}


def _overview(part: Any) -> dict[str, Any] | None:
    """Return what the network needs to know of the samples of a block."""
    if part is None:
        return None
    rows, attributes = part
    weights = [rows.weights_at(p) for p in rows.slices]
    weights = [np.ones(1) if w is None else w for w in weights]
    return {
        "kept": Summary.of(rows, [], keep=True),
        "attributes": attributes,
        "counts": np.asarray(rows.counts),
        "lightest": np.asarray([w.min() if len(w) else np.inf for w in weights]),
        "heaviest": np.asarray([w.max() if len(w) else 0.0 for w in weights]),
        "size": root_mean_square(rows.X, rows.weights) if rows.X.any() else 0.0,
    }


def _all(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the overview of several blocks."""
    first = found[0]
    for one in found[1:]:
        for name, value in first["attributes"].items():
            if not np.array_equal(value, one["attributes"].get(name)):
                raise ValueError(
                    f"All blocks of X must have the same {name}, found {value!r} and "
                    f"{one['attributes'].get(name)!r}."
                )
    totals = np.asarray([one["counts"].sum() for one in found])
    sizes = np.asarray([one["size"] for one in found])
    largest = sizes.max() or 1.0  # squares of the others do not overflow
    mean_square = np.sum(totals / totals.sum() * (sizes / largest) ** 2)
    return {
        "kept": reduce(Summary.merge, [one["kept"] for one in found]),
        "attributes": first["attributes"],
        "counts": sum(one["counts"] for one in found),
        "lightest": np.min([one["lightest"] for one in found], axis=0),
        "heaviest": np.max([one["heaviest"] for one in found], axis=0),
        "size": float(largest * math.sqrt(mean_square)),
    }


def _features(part: Any, space: Any) -> Any:
    """Return the samples of a block, their features, and those before the last step."""
    if part is None:
        return None
    rows, _ = part
    Z, _ = space.to_features(rows.X)
    return replace(rows, source=rows.source[:0]), Z, None


def _moved(state: Any, motion: tuple[Any, ...]) -> Any:
    """Return the samples of a block after a layer."""
    if state is None:
        return None
    rows, Z, before = state
    layer, construction, *step = motion
    change = layer.training_change(Z, rows, construction)
    return rows, *advanced(Z, change, before, *step)


def _scatters(state: Any, given: tuple[Any, float, bool]) -> list[Scatter] | None:
    """Return the scatters of the classes of a block."""
    if state is None:
        return None
    rows, Z, _ = state
    space, epsilon, centred = given
    found: list[Scatter] = space.scatters(Z, rows, epsilon, centred=centred)
    return found


def _sums(found: list[list[Scatter]]) -> list[Scatter]:
    return [reduce(Scatter.merge, same) for same in zip(*found, strict=True)]


# -- the network ----------------------------------------------------------------------


def fit_net(
    net: BaseNet, parts: list[dict[str, Any]], classes: Any, *, keep: bool
) -> BaseNet | None:
    """Fit a network to samples in blocks; return None if no sample has a weight."""
    net._validate_params()
    if net.warm_start:
        raise ValueError(
            "warm_start=True compares all samples with those of the last call, which "
            "skredu.dask does not load: set it to False."
        )
    if getattr(net, "symmetry", None) is not None:
        raise ValueError(
            f"symmetry={net.symmetry!r} of networks is not available in skredu.dask."
        )
    if getattr(net, "class_weight", None) == "balanced":
        raise ValueError(
            "class_weight='balanced' needs the counts of all classes: pass a dict."
        )
    shared, classes = _shared(clone(net)), np.unique(classes)
    rows_of = dask.delayed(valid)
    blocks = SampleBlocks([rows_of(shared, part, classes) for part in parts], keep=keep)
    seen = blocks.overview()
    if seen is None:
        return None
    if not np.all(seen["counts"] > 0.0):
        missing = classes[seen["counts"] == 0.0].tolist()
        raise ValueError(f"classes contains labels that no sample has: {missing}.")
    for name, value in seen["attributes"].items():
        setattr(net, name, value)
    return _Fit(net, blocks, seen, classes).run()


class _Fit:
    """The construction of a network from samples in blocks.

    Parameters
    ----------
    net : BaseNet
        The network, which is fitted.
    blocks : SampleBlocks
        All samples.
    seen : dict
        The overview of all samples.
    classes : array of shape (k,)
        Labels of the classes.
    """

    def __init__(
        self, net: BaseNet, blocks: SampleBlocks, seen: dict[str, Any], classes: Any
    ) -> None:
        self.net, self.blocks, self.seen = net, blocks, seen
        self.rows = Rows.of_parts([seen["kept"].kept], classes).merged()
        self.space: Any = None
        self.scatters: list[Scatter] = []

    def run(self) -> BaseNet:
        """Build the network layer by layer."""
        net = self.net
        state = self._begin(), None
        layer = self._layer()
        self._record(layer, state)
        for _ in range(net.n_layers):
            step = self._step(layer, *state)
            if step is None:
                break
            new, state, layer = step
            net._layers = [*net._layers, new]
            if self._record(layer, state):
                break
        net._finish()
        return net

    def _begin(self) -> Any:
        """Choose space and distortion, and return the features of the kept samples."""
        net, rows, seen = self.net, self.rows, self.seen
        spaces = [s.on(rows.source) for s in net._spaces(rows, seen["size"] or 1.0)]
        features = [space.to_features(rows.X)[0] for space in spaces]
        self.dtype = features[0].dtype

        def decide(i: int) -> dict[str, Any]:
            self.blocks.enter(spaces[i])
            found = self.blocks.scatters(spaces[i], math.inf, centred=False)
            return self._decision(features[i], spaces[i], found, centred=False)

        best = net._choose_space(spaces, decide)
        self.space = spaces[best]
        net._begin_anew(rows, self.space, seen["counts"].tolist(), seen["kept"].seen)
        self.blocks.enter(self.space)
        return features[best]

    def _layer(self) -> Layer:
        """Return the layer of samples where they have been moved."""
        net, space, epsilon = self.net, self.space, self.net.epsilon_
        centred = bool(net._decides and space.centred)
        self.scatters = self.blocks.scatters(space, epsilon, centred=centred)
        own = [about_origin(scatter) for scatter in self.scatters]
        uneven, any_uneven = self._uneven()
        classes = [self._coded(s, u) for s, u in zip(own, uneven, strict=True)]
        whole = self._coded(reduce(Scatter.merge, own), any_uneven)
        temperature = float(net.inverse_temperature)
        return Layer(whole, classes, epsilon, net.membership, temperature, space=space)

    def _step(
        self, layer: Layer, Z: Any, before: Any
    ) -> tuple[dict[str, Any], tuple[Any, Any], Layer] | None:
        """Move all samples by the first step that increases the rate reduction.

        See `BaseNet._step`.
        """
        net, rule = self.net, self.net.step
        # this also fits the label code, by the kept samples
        change = layer.training_change(Z, self.rows, net.construction)
        self.blocks.stay()
        least = least_reduction(layer, Z)
        for length, momentum in net._tries(layer):
            motion = length, momentum, rule
            self.blocks.move((layer, net.construction, *motion))
            following = self._layer()
            if rule == "published" or following.rates[2] >= least:
                new = {"step": length, "momentum": momentum, "rule": rule}
                state = advanced(Z, change, before, *motion)
                return {"layer": layer.to_state(), **new}, state, following
        return None

    def _record(self, layer: Layer, state: tuple[Any, Any]) -> bool:
        """Record a layer; return whether to stop."""
        net, Z = self.net, state[0]
        if net._decides and len(net._decisions) == net.n_iter_:
            centred = self.space.centred
            new = self._decision(Z, self.space, self.scatters, centred=centred)
            net._decisions = [*net._decisions, new]
        return net._record(layer, state, self.rows)

    def _decision(
        self, Z: Any, space: Any, scatters: list[Scatter], *, centred: bool
    ) -> dict[str, Any]:
        """Code the classes, and choose parameters by the kept samples."""
        groups = [self._factored(scatter, space.blocks) for scatter in scatters]
        return fit_decision(
            Z, self.rows, space, self.rows.classes, centred=centred, groups=groups
        )

    def _uneven(self) -> tuple[list[bool], bool]:
        """Return for each class whether samples with different weights are left out.

        The second result is whether those of all classes are.
        """
        if self.net.construction != "left_out":
            return [False] * len(self.rows.classes), False
        lightest, heaviest = self.seen["lightest"], self.seen["heaviest"]
        own = [self.rows.weights_at(part) for part in self.rows.slices]
        differ = [w is not None and bool(np.any(w != w[0])) for w in own]
        uneven = [bool(u) for u in (lightest != heaviest) | differ]
        return uneven, any(uneven) or lightest.min() != heaviest.max()

    def _coded(self, scatter: Scatter, uneven: bool) -> Any:
        """Return the group of a layer, in the form that `group_of` would choose."""
        blocks, epsilon = self.space.blocks, self.net.epsilon_
        if uneven or scatter.matrix is None:
            return self._factored(scatter, blocks)
        S, n = _stack(scatter.matrix), scatter.count
        diagonals = np.real(np.linalg.diagonal(S))
        traces = np.sum(blocks.scale(n, epsilon)[:, None] * diagonals, axis=1)
        exact = MEMBERSHIPS[self.net.membership] == 2
        if traces.max() > (MAX_GRAM if exact else MAX_DENSE_CONDITION):
            return self._factored(scatter, blocks)
        condition = float(traces.max())
        return DenseGroup(n, blocks, epsilon, S, self.dtype, condition=condition)

    def _factored(self, scatter: Scatter, blocks: Any) -> Any:
        """Return a group from which samples can be left out at any distortion."""
        mean = scatter.mean.astype(self.dtype)
        if scatter.matrix is not None:
            scatter = replace(scatter, mean=mean, matrix=_stack(scatter.matrix))
            return group_of_scatter(scatter, blocks, n_rows=self.seen["kept"].seen)
        group: Any = group_of_scatter(replace(scatter, mean=mean), blocks)
        whitening = group.basis / np.sqrt(group.eigenvalues)[:, None, :]
        return replace(group, whitening=whitening)


def about_origin(scatter: Scatter) -> Scatter:
    """Return the scatter of the same samples about the origin."""
    if scatter.assume_centered:
        return scatter
    mean, zeros = scatter.mean + scatter.rest, 0.0 * scatter.mean
    root = scatter.count**0.5 * mean[None, :]
    options: dict[str, Any] = {"epsilon": scatter.epsilon, "assume_centered": True}
    only = Scatter(0.5 * scatter.count, zeros, root, None, **options)
    half = replace(scatter, count=only.count, mean=zeros, rest=0.0, **options)
    return half.merge(only)


def _stack(matrix: Any) -> Any:
    """Return a scatter as blocks (F, C, C)."""
    return matrix if matrix.ndim == 3 else matrix[None, ...]
