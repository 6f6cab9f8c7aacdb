"""MICL by the scatters of the classes in the input space."""

from __future__ import annotations

from typing import Any

from skredu._compat import namespace
from skredu.classification._coders import Coder, Prepared
from skredu.classification._training import Training, spread_of
from skredu.coding._incremental import Code, Leverages, left_out_extra
from skredu.coding._old_group import Group, spectral_group, triangular_group
from skredu.coding._scatter import Scatter


class LinearCoder(Coder):
    """Classes by their factored scatters.

    Parameters
    ----------
    groups : list of Group
        One a class.
    leverages : list of (Leverages or None)
        Of the training rows of each class; only leave-one-out needs them.
    """

    def __init__(
        self, groups: list[Group], leverages: list[Leverages | None] | None = None
    ) -> None:
        self.groups = groups
        self.n_classes = len(groups)
        self.leverages = leverages or [None] * len(groups)
        self.n_features = groups[0].code.n_features
        self.counts = [group.code.count for group in groups]
        self.assume_centered = groups[0].code.assume_centered

    def plain(self) -> dict[str, Any]:
        """Return the state as arrays, numbers and containers."""
        return {"groups": [{**vars(g), "code": vars(g.code)} for g in self.groups]}

    @classmethod
    def of_plain(cls, state: dict[str, Any]) -> LinearCoder:
        """Restore the coder from its plain state."""
        return cls([Group(**{**g, "code": Code(**g["code"])}) for g in state["groups"]])

    @classmethod
    def from_scatters(
        cls, scatters: list[Scatter], epsilon: float | None = None
    ) -> LinearCoder:
        """Factor scatters for one distortion, or for every one."""
        groups, leverages = [], []
        for scatter in scatters:
            group = None if epsilon is None else triangular_group(scatter, epsilon)
            rows = None
            if group is None:
                group, rows = spectral_group(scatter)
            groups.append(group)
            leverages.append(rows)
        return cls(groups, leverages)

    def at(self, scatters: list[Scatter], epsilon: float) -> LinearCoder:
        """Return the coder for one distortion: half the operations for each row."""
        pairs = zip(scatters, self.groups, strict=True)
        return LinearCoder([triangular_group(s, epsilon) or g for s, g in pairs])

    @property
    def width(self) -> int:
        """Entries that one row takes: centred, projected, squared."""
        return 3 * int(self.n_features)

    def spread(self, rows: Training) -> float:
        """Root mean square distance of rows to their mean."""
        return spread_of(rows, self.assume_centered)

    def prepare(self, X: Any) -> Prepared:
        """Every class needs the rows themselves."""
        return (X,)

    def joined(self, j: int, prepared: Prepared, epsilons: Any) -> Any:
        """Extra nats (b, e) of rows that are not in class ``j``."""
        return self.groups[j].joined_extra(prepared[0], epsilons)

    def left(
        self, j: int, rows: Training, index: Any, prepared: Prepared, epsilons: Any
    ) -> Any:
        """Extra nats (b, e) of rows ``index``, all of class ``j``, when left out."""
        xp = namespace(rows.X)
        leverages, group = self.leverages[j], self.groups[j]
        if leverages is not None:
            leverages = leverages.take(xp.take(rows.positions, index))
        return left_out_extra(
            group.code,
            group.coordinates(prepared[0]),
            epsilons,
            rows.weights_of(index),
            leverages,
        )

    def lengths(self, epsilons: Any) -> Any:
        """Nats of each class itself, of shape (k, e)."""
        xp = namespace(epsilons)
        return xp.stack([group.code.length(epsilons) for group in self.groups])
