"""Training samples of networks, from which layers and decisions are computed."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from skredu._compat import namespace
from skredu.coding._choose import choose
from skredu.coding._classes import Classes
from skredu.coding._linalg import blocks_of_rows
from skredu.coding._rows import Rows
from skredu.redunet._layer import MEMBERSHIPS, STEPS, Layer, ReduNetLayer, stepped


class Samples:
    """Training samples in memory, with their features between two layers.

    Parameters
    ----------
    net : BaseNet
        The network that is built.
    rows : Rows
        The samples.
    space : Vectors or Grid, default=None
        Space of the features.
    Z : array of shape (F, C, n), default=None
        The features; None before the samples enter a space.
    before : array of shape (F, C, n), default=None
        What the next step needs for the velocity; see `ReduNetLayer.move`.
    """

    # Root mean square norm of all samples, if these are more than ``rows``.
    mean_norm: float | None = None

    def __init__(
        self, net: Any, rows: Rows, space: Any = None, Z: Any = None, before: Any = None
    ) -> None:
        self.net, self.rows, self.space = net, rows, space
        self.Z, self.before = Z, before
        self.exact = MEMBERSHIPS[net.membership] == 2  # whether residuals are compared

    def enter(self, space: Any) -> Samples:
        """Return the samples in a space."""
        return Samples(self.net, self.rows, space, space.fit(self.rows))

    def decision(self, *, first: bool = False) -> dict[str, Any]:
        """Return a decision by the features; the ``first`` one is about the origin."""
        Z, rows, space = self.Z, self.rows, self.space
        centred = space.centred and not first
        groups = [
            space.group(Z[:, :, part], rows.weights_at(part), centred=centred)
            for part in rows.slices
        ]
        return fit_decision(
            Z, rows, space, rows.classes, groups=groups, centred=centred
        )

    @cached_property
    def layer(self) -> Layer:
        """The layer that is computed from the features.

        If the network is constructed by left-out samples, it can leave them out.
        """
        net, Z, rows, space = self.net, self.Z, self.rows, self.space
        options = {
            "epsilon": net.epsilon_,
            "n_coded": Z.shape[2],
            "left_out": net.construction == "left_out",
            "exact": self.exact,
        }
        classes = [
            space.group(Z[:, :, part], rows.weights_at(part), **options)
            for part in rows.slices
        ]
        scatters: list[Any] = [getattr(group, "scatter", None) for group in classes]
        total = None if any(S is None for S in scatters) else sum(scatters)
        weights = rows.weights_at(slice(None))
        whole = space.group(Z, weights, **options, scatter=total)
        temperature = float(net.inverse_temperature)
        return Layer(
            whole, classes, net.epsilon_, net.membership, temperature, space=space
        )

    @cached_property
    def change(self) -> Any:
        """The direction in which each sample moves."""
        return self.layer.training_change(self.Z, self.rows, self.net.construction)

    def move(self, layer: ReduNetLayer) -> Samples:
        """Return the samples after a step of their layer."""
        F, C, n = self.Z.shape
        blocks, before = blocks_of_rows(n, F * C), None
        if len(blocks) == 1 or STEPS[layer.rule]:
            Z, before = layer.move(self.Z, self.before, self.change)
        else:  # for many samples, two arrays of their size have to suffice
            Z = self.change
            del self.change
            for at in blocks:
                Z[:, :, at] = stepped(self.Z[:, :, at], Z[:, :, at], layer.step)
        return Samples(self.net, self.rows, self.space, Z, before)


def fit_decision(
    Z: Any,
    rows: Rows | None,
    space: Any,
    labels: Any,
    *,
    groups: list[Any],
    centred: bool = False,
    before: Any = None,
) -> dict[str, Any]:
    """Choose the parameters of a decision by coded classes, and return its state.

    Distortion, label code and temperature are chosen by leave-one-out, or are those of
    a choice ``before``. The ``groups`` of the classes may contain more samples than
    ``rows``, with the features ``Z``, by which the choice is made.
    """
    spread = 1.0  # on the sphere, about the origin
    if rows is not None and space.centred:  # vectors; signals have no mean
        spread = space.spread(Z, rows, centred=centred)
    classes = Classes(groups, Z, spread)
    choice = choose(classes, rows, labels=labels, before=before)
    counts = space.counts
    xp, place = namespace(counts), {"dtype": counts.dtype, "device": counts.device}
    log_priors = xp.asarray(choice.log_priors, **place)
    return {**classes.to_state(), **choice._asdict(), "log_priors": log_priors}


def decision_scores(decision: dict[str, Any], Z: Any) -> Any:
    """Return minus the extra bits of features in every class, with labels, (n, k)."""
    classes = Classes.of_state(decision)
    return classes.scores(Z, decision["epsilon"], decision["log_priors"])
