"""Training samples of networks, from which layers and decisions are computed."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from skredu._compat import namespace
from skredu.coding._choose import choose
from skredu.coding._classes import Classes
from skredu.coding._linalg import blocks_of_rows, root_mean_square
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

    def __init__(
        self, net: Any, rows: Rows, space: Any = None, Z: Any = None, before: Any = None
    ) -> None:
        self.net, self.rows, self.space = net, rows, space
        self.Z, self.before = Z, before
        self.exact = MEMBERSHIPS[net.membership] == 2  # whether residuals are compared

    @property
    def size(self) -> float:
        """Root mean square norm of the samples."""
        return root_mean_square(self.rows.X, self.rows.weights)

    def counts(self) -> tuple[list[float], int]:
        """Return the weight of each class, and the number of samples."""
        return self.rows.counts, len(self.rows.index)

    def enter(self, space: Any) -> Samples:
        """Return the samples in a space."""
        return Samples(self.net, self.rows, space, space.fit(self.rows))

    def decision(self, *, first: bool = False) -> dict[str, Any]:
        """Return a decision by the features; the ``first`` one is about the origin."""
        groups, rows = self.factored_classes(first=first), self.rows
        centred = self.space.centred and not first
        return fit_decision(
            self.Z, rows, self.space, rows.classes, groups=groups, centred=centred
        )

    @cached_property
    def layer(self) -> Layer:
        """The layer that is computed from the features.

        If the network is constructed by left-out samples, it can leave them out.
        """
        net = self.net
        temperature = float(net.inverse_temperature)
        return Layer(
            *self.groups(), net.epsilon_, net.membership, temperature, space=self.space
        )

    def groups(self) -> tuple[Any, list[Any]]:
        """Return the groups of all samples and of the classes, about the origin."""
        Z, rows, space = self.Z, self.rows, self.space
        options = {
            "epsilon": self.net.epsilon_,
            "n_coded": Z.shape[2],
            "left_out": self.net.construction == "left_out",
            "exact": self.exact,
        }
        classes = [
            space.group(Z[:, :, part], rows.weights_at(part), **options)
            for part in rows.slices
        ]
        scatters: list[Any] = [getattr(group, "scatter", None) for group in classes]
        total = None if any(S is None for S in scatters) else sum(scatters)
        weights = rows.weights_at(slice(None))
        return space.group(Z, weights, **options, scatter=total), classes

    def factored_classes(self, *, first: bool) -> list[Any]:
        """Return the groups of the classes for a decision, at any distortion."""
        centred = self.space.centred and not first
        return [
            self.space.group(
                self.Z[:, :, part], self.rows.weights_at(part), centred=centred
            )
            for part in self.rows.slices
        ]

    @cached_property
    def change(self) -> Any:
        """The direction in which each sample moves."""
        return self.layer.training_change(self.Z, self.rows, self.net.construction)

    def move(self, layer: ReduNetLayer) -> Samples:
        """Return the samples after a step of their layer."""
        return Samples(self.net, self.rows, self.space, *self._moved(layer))

    def _moved(self, layer: ReduNetLayer) -> tuple[Any, Any]:
        F, C, n = self.Z.shape
        blocks = blocks_of_rows(n, F * C)
        if len(blocks) == 1 or STEPS[layer.rule]:
            return layer.move(self.Z, self.before, self.change)
        # for many samples, two arrays of their size have to suffice
        moved = self.change
        del self.change
        for at in blocks:
            moved[:, :, at] = stepped(self.Z[:, :, at], moved[:, :, at], layer.step)
        return moved, None


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
