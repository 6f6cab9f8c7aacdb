r"""One layer for signals: the layer for vectors on the set of all of their shifts.

At every frequency spectra move by

.. math:: z^+ = z + \eta\alpha \Bigl(\sum_j \pi_j(z) P_j z - P z\Bigr)

up to the norm, with ``C x C`` soft projections (see `skredu.redunet._spectral_forms`).
Memberships pool all frequencies. A row comes with all of its shifts: its extra nats in
a class are those of all of them, a shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from skredu._compat import count, namespace
from skredu.coding._incremental import Code
from skredu.coding._linalg import BLOCK, batches
from skredu.redunet._base_layer import BaseLayer
from skredu.redunet._hermitian import forms, mixed, mixing_pays, packed
from skredu.redunet._spectral_forms import (
    MAX_SINGLE,
    Dense,
    Factored,
    Form,
    Group,
    extra,
)
from skredu.redunet._spectrum import (
    Frequencies,
    coordinates,
    normalised,
    norms_of,
    squared_norms,
)


class Prepared(NamedTuple):
    """Spectra of rows, and what all classes have made of them.

    Parameters
    ----------
    Z : array of shape (F, C, b)
    norms : array of shape (F, b) or None
        Squared norms, for factored classes.
    coordinates : array of shape (F, r, b) or None
        Along the eigenvectors of all factored classes.
    sizes : array of shape (m, b) or None
        Extra nats or norms of residuals in all dense classes.
    """

    Z: Any
    norms: Any
    coordinates: Any
    sizes: Any


@dataclass(eq=False, repr=False)
class SpectralLayer(BaseLayer):
    """Operators of a layer at all frequencies; see `BaseLayer`.

    Parameters
    ----------
    whole : Factored or Dense
    classes : sequence of Factored or Dense
    stack : array of shape (F, C, r) or None
    coefficients : array of shape (F, m, C^2) or None
        Packed matrices of all dense classes, by which memberships go.
    kind : {"coding", "residual", "weighted_residual"}
    temperature : float
    label_code : list of float or None
    """

    axis: ClassVar[int] = 2
    factored: ClassVar[type[Any]] = Factored
    dense: ClassVar[type[Any]] = Dense
    parts: ClassVar[dict[str, type[Any]]] = {"code": Code, "frequencies": Frequencies}
    normalised = staticmethod(normalised)
    norms = staticmethod(norms_of)

    whole: Form
    classes: Sequence[Form]
    stack: Any
    coefficients: Any
    kind: str
    temperature: float
    label_code: list[float] | None = None

    @classmethod
    def of(
        cls,
        whole: Group,
        classes: Sequence[Group],
        matrices: Any,
        kind: str,
        temperature: float,
    ) -> SpectralLayer:
        """Put the operators of the groups together; see `complete` for the matrices."""
        xp = namespace(whole.Z)
        bases = [g.form.basis for g in classes if isinstance(g.form, Factored)]
        stack = xp.concat(bases, axis=2) if bases else None
        coefficients = None
        if matrices is not None:
            steep = max(g.steepness for g in classes) > MAX_SINGLE
            dtype = xp.float64 if steep else xp.real(whole.Z).dtype
            coefficients = xp.astype(packed(matrices), dtype, copy=False)
        found = cls.sharing([g.form for g in classes], stack)
        return cls(whole.form, found, stack, coefficients, kind, temperature)

    def prepare(self, Z: Any) -> Prepared:
        """Return what memberships and projections share."""
        norms = found = sizes = None
        if self.stack is not None:
            norms, found = squared_norms(Z), coordinates(self.stack, Z)
        if self.coefficients is not None:
            sizes = self._sizes(forms(self.coefficients, Z))
        return Prepared(Z, norms, found, sizes)

    def size(self, rows: Prepared, j: int) -> Any:
        """Extra nats of prepared rows in a class or norms of their residuals, (b,)."""
        form = self.classes[j]
        if isinstance(form, Factored):
            return self._factored_size(form, rows, j)
        before = sum(isinstance(other, Dense) for other in self.classes[:j])
        return rows.sizes[before, :]

    def _factored_size(self, form: Factored, rows: Prepared, j: int) -> Any:
        xp, along = namespace(rows.Z), self.coordinates(rows, j)
        if self.kind != "coding":
            return xp.sqrt(form.residual(rows.norms, along))
        scale = form.frequencies.scale(form.code.count + 1.0, form.epsilon)
        return extra(form, form.quadratic(rows.norms, along, scale))

    def _sizes(self, found: Any) -> Any:
        """Extra nats or norms of residuals, (m, b), from forms (F, m, b)."""
        xp = namespace(found)
        found = xp.maximum(found, xp.zeros_like(found))
        if self.kind != "coding":
            return xp.sqrt(xp.astype(xp.sum(found, axis=0), xp.float64, copy=False))
        dense = [form for form in self.classes if isinstance(form, Dense)]
        return xp.stack([extra(form, found[:, i, :]) for i, form in enumerate(dense)])

    def coordinates(self, rows: Prepared, j: int) -> Any:
        """Coordinates of rows along the eigenvectors of a class, (F, r, b)."""
        ranks = [
            form.rank if isinstance(form, Factored) else 0
            for form in self.classes[: j + 1]
        ]
        return rows.coordinates[:, sum(ranks[:-1]) : sum(ranks), :]

    def source(self, rows: Prepared, j: int) -> Any:
        """From what the operator of class ``j`` makes projections of prepared rows."""
        factored = isinstance(self.classes[j], Factored)
        return self.coordinates(rows, j) if factored else rows.Z

    def blocks(self, n: int) -> list[slice]:
        """Slices of rows of which one at a time is in work."""
        F, C = self.whole.frequencies.counts.shape[0], int(self.whole.code.n_features)
        columns = 0 if self.stack is None else self.stack.shape[2]
        width = F * (4 * C + columns + len(self.classes))
        return batches(n, BLOCK // width)

    def add_projections(self, total: Any, rows: Prepared, Pi: Any) -> Any:
        """Add the projections on the classes times memberships, perhaps in place."""
        xp = namespace(total)
        ridges = [form.ridge for form in self.classes if isinstance(form, Dense)]
        if len(ridges) == Pi.shape[1]:
            members = Pi > float(xp.finfo(xp.real(total).dtype).eps)
            n_members = count(members)
            pays = mixing_pays(n_members, total.shape, len(ridges))
            if pays and not in_order(members):
                return total + mixed(xp.stack(ridges, axis=1), Pi.T, rows.Z)
        return super().add_projections(total, rows, Pi)


def in_order(members: Any) -> bool:
    """Whether rows have one class each and are sorted: none is copied then."""
    xp = namespace(members)
    ones = xp.astype(members, xp.int64)
    labels = xp.argmax(ones, axis=1)
    single = xp.all(xp.sum(ones, axis=1) == 1)
    return bool(single) and bool(xp.all(labels[1:] >= labels[:-1]))
