"""What MICL asks of a way to know the classes: scatters, products or nearest rows.

A coder answers two questions for every class and every distortion: the extra nats of
rows that are not in it (`Coder.extra`), and of its own rows when they are left out
(`Coder.left_out`). The label code is not its business.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from sklearn.utils import gen_batches

from skredu._compat import namespace
from skredu.classification._training import Training
from skredu.coding._linalg import BLOCK

Prepared = tuple[Any, ...]


class Coder(ABC):
    """The classes of a data set, ready to code rows."""

    n_classes: int
    n_features: float
    counts: list[float]

    @property
    @abstractmethod
    def width(self) -> int:
        """Entries that one row takes while it is coded."""

    @abstractmethod
    def prepare(self, X: Any) -> Prepared:
        """Return what all classes need of rows."""

    def prepare_training(self, rows: Training, index: Any) -> Prepared:
        """Return what all classes need of some training rows, of the sorted ones."""
        xp = namespace(rows.source)
        places = xp.asarray(rows.index, device=rows.source.device)
        return self.prepare(self.pick(rows.source, xp.take(places, index)))

    @abstractmethod
    def joined(self, j: int, prepared: Prepared, epsilons: Any) -> Any:
        """Extra nats (b, e) of rows that are not in class ``j``."""

    @abstractmethod
    def left(
        self, j: int, rows: Training, index: Any, prepared: Prepared, epsilons: Any
    ) -> Any:
        """Extra nats (b, e) of rows ``index``, all of class ``j``, when left out."""

    @abstractmethod
    def spread(self, rows: Training) -> float:
        """Root mean square distance of rows to their mean, where they are coded."""

    @abstractmethod
    def plain(self) -> dict[str, Any]:
        """Return the state as arrays, numbers and containers, for persistence."""

    @abstractmethod
    def lengths(self, epsilons: Any) -> Any:
        """Nats of each class itself, of shape (k, e)."""

    def extra(self, X: Any, epsilons: Any) -> Any:
        """Extra nats of rows in every class, of shape (n, k, e)."""
        xp = namespace(X)
        blocks = []
        for block in self._blocks(X.shape[0]):
            prepared = self.prepare(X[block, ...])
            parts = [self.joined(j, prepared, epsilons) for j in range(self.n_classes)]
            blocks.append(xp.stack(parts, axis=1))
        return xp.concat(blocks)

    def scores(self, X: Any, epsilon: float, log_priors: Any) -> Any:
        """Minus the extra bits of rows in every class, label included, (n, k)."""
        xp = namespace(X)
        epsilons = xp.asarray([epsilon], dtype=xp.float64, device=X.device)
        return (log_priors - self.extra(X, epsilons)[:, :, 0]) / math.log(2.0)

    @staticmethod
    def pick(X: Any, index: Any) -> Any:
        """Return some rows."""
        return namespace(X).take(X, index, axis=0)

    def left_out(self, rows: Training, chosen: Any, epsilons: Any) -> Any:
        """Extra nats of training rows in every class, in their own without them.

        Parameters
        ----------
        rows : Training
            The rows that the coder was fitted on.
        chosen : array of shape (m,)
            Which of them to code.
        epsilons : array of shape (e,)

        Returns
        -------
        nats : array of shape (m, k, e)
        """
        xp = namespace(rows.source)
        blocks = []
        for block in self._blocks(chosen.shape[0]):
            index = chosen[block]
            prepared = self.prepare_training(rows, index)
            parts = [
                self._left_or_joined(j, rows, index, prepared, epsilons)
                for j in range(self.n_classes)
            ]
            blocks.append(xp.stack(parts, axis=1))
        return xp.concat(blocks)

    def _left_or_joined(
        self, j: int, rows: Training, index: Any, prepared: Prepared, epsilons: Any
    ) -> Any:
        xp = namespace(rows.source)
        labels = xp.take(rows.y, index)
        own, other = xp.nonzero(labels == j)[0], xp.nonzero(labels != j)[0]
        parts = []
        if own.shape[0]:
            part = tuple(self.pick(a, own) for a in prepared)
            parts.append(self.left(j, rows, xp.take(index, own), part, epsilons))
        if other.shape[0]:
            part = tuple(self.pick(a, other) for a in prepared)
            parts.append(self.joined(j, part, epsilons))
        order = xp.argsort(xp.concat([own, other]))
        return xp.take(xp.concat(parts), order, axis=0)

    def _blocks(self, n: int) -> Any:
        return gen_batches(n, max(1, BLOCK // self.width))
