"""What rules for vectors and for signals share: how training rows pass a layer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from skredu._compat import namespace, to_numpy
from skredu.classification._selection import MOST_LABELS, select
from skredu.coding._linalg import BLOCK, batches, widen
from skredu.redunet._base_layer import (
    BaseLayer,
    across,
    real_dtype,
    rows_at,
    stepped,
)
from skredu.redunet._memberships import softmax

if TYPE_CHECKING:
    from skredu.redunet._protocols import LeftOut


class Built(NamedTuple):
    """Operators of a layer and the groups of rows that they are made from."""

    layer: Any
    whole: Any
    classes: list[Any]


class BaseRule(ABC):
    """How layers are made from rows that are sorted by class.

    Subclasses are data classes with these fields.

    Attributes
    ----------
    slices : list of slice
        Where the rows of each class stand.
    weights : array of shape (n,) or None
        Number of copies of each row.
    membership : {"coding", "residual", "weighted_residual"}
        Rule for memberships.
    construction : {"left_out", "estimated", "labels"}
        By which operators and memberships training rows move: as a new row would, with
        operators made from the other rows; with the operators as they are and estimated
        memberships; or with their labels.
    """

    kind: ClassVar[type[BaseLayer]]

    slices: list[slice]
    weights: Any
    membership: str
    construction: str

    @abstractmethod
    def build(self, Z: Any) -> Built:
        """Operators of a layer from training features, good for its rates."""

    def completed(self, built: Built, Z: Any) -> Built:
        """Operators that move rows, too."""
        return built

    @staticmethod
    @abstractmethod
    def left_out(groups: Sequence[Any]) -> list[LeftOut]:
        """How rows of groups are coded and projected by the other rows of theirs."""

    @staticmethod
    def total_scatter(classes: Sequence[Any]) -> Any:
        """Scatter of all rows, from those of the classes; None where one has none."""
        scatters = [group.scatter for group in classes]
        if any(scatter is None for scatter in scatters):
            return None
        return sum(scatters[1:], scatters[0])

    def change(self, built: Built, Z: Any) -> tuple[Any, Any]:
        """Complete a layer, and say in which direction it moves the training rows."""
        built = self.completed(built, Z)
        if self.construction == "estimated":
            return built.layer, built.layer.change(Z)
        if self.construction == "left_out":
            return self._change_left_out(built, Z)
        return built.layer, self._change_by_labels(built, Z)

    def moved(self, Z: Any, change: Any, step: float) -> tuple[Any, Any]:
        """Training rows after a step, and the change, None where they took its place.

        Of many rows, no more than the rows themselves and their change are held; of a
        few the change is kept for a shorter step.
        """
        normalised, axis = self.kind.normalised, self.kind.axis
        blocks = _blocks(Z, axis)
        if len(blocks) == 1:
            return normalised(stepped(Z, change, step)), change
        for block in blocks:
            at = rows_at(block, axis)
            change[at] = normalised(stepped(Z[at], change[at], step))
        return change, None

    def _change_by_labels(self, built: Built, Z: Any) -> Any:
        layer, axis = built.layer, self.kind.axis
        change = namespace(Z).empty_like(Z)
        for group, part in zip(built.classes, self.slices, strict=True):
            for _, there in _pieces(part, layer):
                at = rows_at(there, axis)
                projected = group.form.project(group.form.prepare(Z[at]))
                change[at] = projected - layer.project_whole(Z[at])
        return change

    def _change_left_out(self, built: Built, Z: Any) -> tuple[Any, Any]:
        """Move every row by the operators of the others.

        Left out of its own class, and of all rows, it moves as a new row would.
        """
        xp, layer, axis = namespace(Z), built.layer, self.kind.axis
        nats, change = self._left_out_of_their_class(built, Z)
        scores, rows = self._scores_left_out(layer, Z, nats, change)
        if self.membership == "coding":
            code = label_code(scores, self.slices, self.weights)
            layer = replace(layer, label_code=code)
            scores = layer.corrected(scores)
        Pi = softmax(scores)
        (whole,) = self.left_out([built.whole])
        for block in layer.blocks(Z.shape[axis]):
            at = rows_at(block, axis)
            if rows is None:
                rows = layer.prepare(Z[at])
            shares, own = Pi[block, :], change[at]
            part = -whole(block)[1]
            for j, _, here in parts_of(self.slices, block):
                share = xp.astype(shares[here, j], real_dtype(Z), copy=False)
                mine = rows_at(here, axis)
                part[mine] += across(share, axis) * own[mine]
                shares[here, j] = xp.zeros_like(shares[here, j])
            change[at] = layer.add_projections(part, rows, shares)
            rows = None
        return layer, change

    def _left_out_of_their_class(self, built: Built, Z: Any) -> tuple[Any, Any]:
        """Extra nats (n,) and projections of rows by the others of their class."""
        xp, nats, projected = namespace(Z), [], namespace(Z).empty_like(Z)
        for own, part in zip(self.left_out(built.classes), self.slices, strict=True):
            for here, there in _pieces(part, built.layer):
                found, projected[rows_at(there, self.kind.axis)] = own(here)
                nats.append(found)
        return xp.concat(nats), projected

    def _scores_left_out(
        self, layer: Any, Z: Any, nats: Any, projected: Any
    ) -> tuple[Any, Any]:
        """Scores (n, k), and what the layer has prepared if one block has all rows."""
        axis, parts = self.kind.axis, []
        blocks = layer.blocks(Z.shape[axis])
        for block in blocks:
            rows = layer.prepare(Z[rows_at(block, axis)])
            scores = layer.log_memberships(rows)
            for j, there, here in parts_of(self.slices, block):
                at = rows_at(there, axis)
                scores[here, j] = layer.left_out_scores(
                    j, Z[at], nats[there], projected[at]
                )
            parts.append(scores)
        return namespace(Z).concat(parts), rows if len(blocks) == 1 else None


def _blocks(Z: Any, axis: int) -> list[slice]:
    """Slices of rows of which one at a time is in work."""
    return batches(Z.shape[axis], BLOCK * Z.shape[axis] // math.prod(Z.shape))


def _pieces(part: slice, layer: Any) -> Iterator[tuple[slice, slice]]:
    """Iterate over some rows of a class at a time: where in the class, and in all."""
    for here in layer.blocks(part.stop - part.start):
        yield here, slice(part.start + here.start, part.start + here.stop)


def label_code(scores: Any, slices: list[slice], weights: Any) -> list[float]:
    """Fit a label code to the scores of rows left out, (n, k), as MICL does."""
    if len(slices) > MOST_LABELS:
        return [0.0] * len(slices)
    scores = to_numpy(scores)
    y = np.repeat(np.arange(len(slices)), [p.stop - p.start for p in slices])
    weights = np.ones(len(y)) if weights is None else to_numpy(widen(weights))
    _, _, code, _ = select(scores[:, :, None], y, weights, fit_labels=True)
    return code.tolist()


def parts_of(slices: list[slice], block: slice) -> Iterator[tuple[int, slice, slice]]:
    """Classes with rows in a block: where these are among all, and in the block."""
    for j, part in enumerate(slices):
        start, stop = max(part.start, block.start), min(part.stop, block.stop)
        if start < stop:
            here = slice(start - block.start, stop - block.start)
            yield j, slice(start, stop), here
