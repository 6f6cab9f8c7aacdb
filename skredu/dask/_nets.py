"""Networks with layers, for samples in blocks.

A layer is computed from scatters, which add up, and moves every sample on its own. So
one pass over the blocks moves them and adds up the scatters of the next layer, and only
operators and scatters travel. Parameters are chosen by at most 5 000 samples, which are
kept here and move along.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, reduce
from typing import Any

import dask
import numpy as np
from sklearn.base import clone

from skredu._stream import Summary
from skredu.coding._linalg import root_mean_square
from skredu.coding._rows import Rows
from skredu.coding._scatter import Scatter, dense_group, group_of_scatter
from skredu.dask._blocks import reduced, with_weight
from skredu.redunet import BaseNet, Layer, ReduNetLayer, Samples, fit_decision


class SampleBlocks(Samples):
    """Training samples in blocks, of which some are kept here to choose parameters.

    Parameters
    ----------
    net, rows, space, Z, before :
        See `Samples`; those of the kept samples.
    parts : list of delayed
        Valid samples of each block, as `_valid` returns them.
    overview : dict
        What is known of all samples, as `_merged` returns it.
    keep_features : bool
        Whether workers keep the features of all samples between layers. Otherwise, each
        pass computes them again from the samples.
    states : list of delayed, default=()
        Samples of each block, their features, and what the next step needs for the
        velocity.
    """

    def __init__(
        self,
        *kept: Any,
        parts: list[Any],
        overview: dict[str, Any],
        keep_features: bool,
        states: Sequence[Any] = (),
    ) -> None:
        super().__init__(*kept)
        self.parts, self.overview, self.states = parts, overview, states
        self.keep_features = keep_features
        self.mean_norm = overview["mean_norm"] or 1.0

    def enter(self, space: Any) -> SampleBlocks:
        """Return all samples in a space."""
        space = space.on(self.rows.source)
        Z, _ = space.to_features(self.rows.X)
        given, enter = _shared(space), dask.delayed(_enter)
        states = [enter(part, given) for part in self.parts]
        return self._at(states, space, Z)

    def move(self, layer: ReduNetLayer) -> SampleBlocks:
        """Return all samples after a step of their layer."""
        kept = super().move(layer)  # which fits the label code, too
        given, move = _shared((layer, self.net.construction)), dask.delayed(_move)
        states = [move(state, given) for state in self.states]
        return self._at(states, self.space, kept.Z, kept.before)

    def _at(self, states: list[Any], *kept: Any) -> SampleBlocks:
        """Return the same samples with other features."""
        if self.keep_features:
            states = dask.persist(*states)
        return SampleBlocks(
            self.net,
            self.rows,
            *kept,
            parts=self.parts,
            overview=self.overview,
            keep_features=self.keep_features,
            states=states,
        )

    def decision(self, *, first: bool = False) -> dict[str, Any]:
        """Return a decision, of which the kept samples choose the parameters."""
        rows = self.rows
        # no distortion is known at first
        found = self._scatters(math.inf, centred=False) if first else self.scatters
        groups = [self._factored(scatter) for scatter in found]
        centred = self.space.centred and not first
        return fit_decision(
            self.Z, rows, self.space, rows.classes, groups=groups, centred=centred
        )

    @cached_property
    def layer(self) -> Layer:
        """The layer that is computed from the features of all samples."""
        net, own = self.net, [about_origin(scatter) for scatter in self.scatters]
        uneven, any_uneven = self._uneven()
        classes = [self._coded(s, u) for s, u in zip(own, uneven, strict=True)]
        whole = self._coded(reduce(Scatter.merge, own), any_uneven)
        temperature = float(net.inverse_temperature)
        return Layer(
            whole, classes, net.epsilon_, net.membership, temperature, space=self.space
        )

    @cached_property
    def scatters(self) -> list[Scatter]:
        """Scatters of the classes for layer and decision."""
        centred = bool(self.net._decides and self.space.centred)
        return self._scatters(self.net.epsilon_, centred=centred)

    def _scatters(self, epsilon: float, *, centred: bool) -> list[Scatter]:
        given, scatters = (self.space, epsilon, centred), dask.delayed(_scatters_of)
        shared = _shared(given)
        return reduced([scatters(state, shared) for state in self.states], _sums)

    def _uneven(self) -> tuple[list[bool], bool]:
        """Return for each class whether samples with different weights are left out.

        The second result is whether those of all classes are.
        """
        if self.net.construction != "left_out":
            return [False] * len(self.rows.classes), False
        lightest, heaviest = self.overview["lightest"], self.overview["heaviest"]
        own = [self.rows.weights_at(part) for part in self.rows.slices]
        differ = [w is not None and bool(np.any(w != w[0])) for w in own]
        uneven = [bool(u) for u in (lightest != heaviest) | differ]
        return uneven, any(uneven) or lightest.min() != heaviest.max()

    def _coded(self, scatter: Scatter, uneven: bool) -> Any:
        """Return the group of a layer: matrices if they are precise, else factored."""
        if uneven or scatter.matrix is None:
            return self._factored(scatter)
        S, n = _stack(scatter.matrix), scatter.count
        given = self.space.blocks, self.net.epsilon_, self.Z.dtype
        group = dense_group(S, n, *given, exact=self.exact)
        return self._factored(scatter) if group is None else group

    def _factored(self, scatter: Scatter) -> Any:
        """Return a group from which samples can be left out at any distortion."""
        blocks, mean = self.space.blocks, scatter.mean.astype(self.Z.dtype)
        if scatter.matrix is not None:
            scatter = replace(scatter, mean=mean, matrix=_stack(scatter.matrix))
            n_rows = self.overview["summary"].seen
            return group_of_scatter(scatter, blocks, n_rows=n_rows)
        group: Any = group_of_scatter(replace(scatter, mean=mean), blocks)
        whitening = group.basis / np.sqrt(group.eigenvalues)[:, None, :]
        return replace(group, whitening=whitening)


def about_origin(scatter: Scatter) -> Scatter:
    """Return the scatter of the same samples about the origin."""
    if scatter.assume_centered:
        return scatter
    # merged from two groups of half the weight: one with the scatter about the mean,
    # and one with that of as many samples that are equal to the mean
    mean, zeros = scatter.mean + scatter.rest, 0.0 * scatter.mean
    root = scatter.count**0.5 * mean[None, :]
    options: dict[str, Any] = {"epsilon": scatter.epsilon, "assume_centered": True}
    only = Scatter(0.5 * scatter.count, zeros, root, None, **options)
    half = replace(scatter, count=only.count, mean=zeros, rest=0.0, **options)
    return half.merge(only)


def _stack(matrix: Any) -> Any:
    """Return a scatter as blocks (F, C, C)."""
    return matrix if matrix.ndim == 3 else matrix[None, ...]


def fit_net(
    net: BaseNet, parts: list[dict[str, Any]], classes: Any, *, keep_features: bool
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
    rows_of = dask.delayed(_valid)
    blocks = [rows_of(shared, part, classes) for part in parts]
    overview = reduced([dask.delayed(_overview)(block) for block in blocks], _merged)
    if overview is None:
        return None
    if not np.all(overview["counts"] > 0.0):
        missing = classes[overview["counts"] == 0.0].tolist()
        raise ValueError(
            f"classes contains labels that no sample of positive weight has: {missing}."
        )
    for name, value in overview["attributes"].items():
        setattr(net, name, value)
    rows = Rows.of_parts([overview["summary"].kept], classes).merged()
    options = {"overview": overview, "keep_features": keep_features}
    samples = SampleBlocks(net, rows, parts=blocks, **options)
    net._build(samples, net.n_layers)
    net.class_count_, net._n_rows = overview["counts"], overview["summary"].seen
    return net


def _shared(value: Any) -> Any:
    """Return a delayed value, which is sent once for all blocks."""
    return dask.delayed(value, traverse=False)


# -- what is computed for each block --------------------------------------------------


def _valid(net: Any, part: dict[str, Any], classes: Any) -> Any:
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
        "summary": Summary.of(rows, [], keep=True),
        "attributes": attributes,
        "counts": np.asarray(rows.counts),
        "lightest": np.asarray([w.min() if len(w) else np.inf for w in weights]),
        "heaviest": np.asarray([w.max() if len(w) else 0.0 for w in weights]),
        "mean_norm": root_mean_square(rows.X, rows.weights) if rows.X.any() else 0.0,
    }


def _merged(found: list[dict[str, Any]]) -> dict[str, Any]:
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
    norms = np.asarray([one["mean_norm"] for one in found])
    largest = norms.max() or 1.0  # squares of the others do not overflow
    mean_square = np.sum(totals / totals.sum() * (norms / largest) ** 2)
    return {
        "summary": reduce(Summary.merge, [one["summary"] for one in found]),
        "attributes": first["attributes"],
        "counts": sum(one["counts"] for one in found),
        "lightest": np.min([one["lightest"] for one in found], axis=0),
        "heaviest": np.max([one["heaviest"] for one in found], axis=0),
        "mean_norm": float(largest * math.sqrt(mean_square)),
    }


def _enter(part: Any, space: Any) -> Any:
    """Return the samples of a block, their features, and those before the last step."""
    if part is None:
        return None
    rows, _ = part
    Z, _ = space.to_features(rows.X)
    return replace(rows, source=rows.source[:0]), Z, None


def _move(state: Any, given: tuple[ReduNetLayer, str]) -> Any:
    """Return the samples of a block after a layer."""
    if state is None:
        return None
    rows, Z, before = state
    layer, construction = given
    change = layer.operators.training_change(Z, rows, construction)
    return rows, *layer.move(Z, before, change)


def _scatters_of(state: Any, given: tuple[Any, float, bool]) -> list[Scatter] | None:
    """Return the scatters of the classes of a block."""
    if state is None:
        return None
    rows, Z, _ = state
    space, epsilon, centred = given
    found: list[Scatter] = space.scatters(Z, rows, epsilon, centred=centred)
    return found


def _sums(found: list[list[Scatter]]) -> list[Scatter]:
    return [reduce(Scatter.merge, same) for same in zip(*found, strict=True)]
