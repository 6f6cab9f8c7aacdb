r"""One layer for signals: the layer for vectors on the set of all of their shifts.

At every frequency spectra move by

.. math:: z^+ = z + \eta\alpha \Bigl(\sum_j \pi_j(z) P_j z - P z\Bigr)

up to the norm, with ``C x C`` soft projections (see `skredu.redunet._spectral_forms`).
Memberships pool all frequencies. A row comes with all of its shifts: its extra nats in
a class are those of all of them, a shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from skredu._compat import namespace, to_numpy
from skredu.coding._incremental import Code
from skredu.coding._linalg import BLOCK, split
from skredu.redunet._hermitian import batches, forms, mixed, mixing_pays, packed
from skredu.redunet._memberships import score, softmax
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
    adjoint,
    normalised,
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
class SpectralLayer:
    """Operators of a layer at all frequencies.

    Parameters
    ----------
    whole : Factored or Dense
        Soft projection on the span of all rows.
    classes : sequence of Factored or Dense
        The same for each class.
    stack : array of shape (F, C, r) or None
        Eigenvectors of all factored classes side by side.
    coefficients : array of shape (F, m, C^2) or None
        Packed matrices of all dense classes, by which memberships go.
    kind : {"coding", "residual", "weighted_residual"}
        Rule for memberships.
    temperature : float
        Inverse temperature of the residual rules.
    label_code : list of float or None
        Nats by which rows left out correct the scores of the classes.
    """

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
        found = _from_stack([g.form for g in classes], stack)
        return cls(whole.form, found, stack, coefficients, kind, temperature)

    @property
    def alpha(self) -> float:
        """Scale of the expansion operator, ``C / (n epsilon^2)``."""
        code = self.whole.code
        return code.n_features / self.whole.epsilon**2 / code.count

    def rates(self) -> tuple[float, float, float]:
        """Coding rate of all rows, that class by class, and their difference.

        Of all shifts, in nats a point of the grid.
        """
        n, T = self.whole.code.count, self.whole.frequencies.n_points
        R = _volume(self.whole) / 2.0 / T
        Rc = sum(f.code.count / n * _volume(f) / 2.0 / T for f in self.classes)
        return R, Rc, R - Rc

    def prepare(self, Z: Any) -> Prepared:
        """Return what memberships and projections share."""
        norms = coordinates = sizes = None
        if self.stack is not None:
            norms, coordinates = squared_norms(Z), adjoint(self.stack) @ Z
        if self.coefficients is not None:
            sizes = self._sizes(forms(self.coefficients, Z))
        return Prepared(Z, norms, coordinates, sizes)

    def log_memberships(self, rows: Prepared) -> Any:
        """Logarithms of memberships of rows, not normalised, of shape (b, k)."""
        xp, columns = namespace(rows.Z), []
        total = sum(form.code.count for form in self.classes)
        dense = 0
        for j, form in enumerate(self.classes):
            if isinstance(form, Factored):
                size = self._factored_size(form, rows, j)
            else:
                size = rows.sizes[dense, :]
                dense += 1
            columns.append(score(form, size, total, self.kind, self.temperature))
        scores = xp.stack(columns, axis=1)
        return scores if self.label_code is None else self.corrected(scores)

    def _factored_size(self, form: Factored, rows: Prepared, j: int) -> Any:
        xp, coordinates = namespace(rows.Z), self.coordinates(rows, j)
        if self.kind != "coding":
            return xp.sqrt(form.residual(rows.norms, coordinates))
        scale = form.frequencies.scale(form.code.count + 1.0, form.epsilon)
        return extra(form, form.quadratic(rows.norms, coordinates, scale))

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
            form.eigenvalues.shape[1] if isinstance(form, Factored) else 0
            for form in self.classes[: j + 1]
        ]
        return rows.coordinates[:, sum(ranks[:-1]) : sum(ranks), :]

    def corrected(self, scores: Any) -> Any:
        """Scores with the label code."""
        xp = namespace(scores)
        place = {"dtype": scores.dtype, "device": scores.device}
        return scores + xp.asarray(self.label_code, **place)

    def left_out_scores(self, j: int, Z: Any, nats: Any, projected: Any) -> Any:
        """Scores of rows of class ``j`` in it, made from the other rows."""
        xp, size = namespace(Z), nats
        if self.kind != "coding":
            size = xp.sqrt(xp.sum(squared_norms(Z - projected), axis=0))
        total = self.whole.code.count
        return score(self.classes[j], size, total, self.kind, self.temperature)

    def memberships(self, Z: Any) -> Any:
        """Memberships of rows, in double precision, of shape (b, k)."""
        return softmax(self.log_memberships(self.prepare(Z)))

    def blocks(self, n: int) -> list[slice]:
        """Slices of rows of which one at a time is in work."""
        F, C = self.whole.frequencies.counts.shape[0], int(self.whole.code.n_features)
        columns = 0 if self.stack is None else self.stack.shape[2]
        width = F * (4 * C + columns + len(self.classes))
        return batches(n, BLOCK // width)

    def change(self, Z: Any) -> Any:
        """Change of rows with a step of ``1 / alpha``, of shape (F, C, b)."""
        blocks = self.blocks(Z.shape[2])
        changes = [self._change(Z[:, :, block]) for block in blocks]
        return changes[0] if len(changes) == 1 else namespace(Z).concat(changes, axis=2)

    def _change(self, Z: Any) -> Any:
        xp, rows = namespace(Z), self.prepare(Z)
        Pi = softmax(self.log_memberships(rows))
        if self.stack is None and isinstance(self.whole, Dense):
            runs = runs_of(Pi > float(xp.finfo(xp.real(Z).dtype).eps))
            if runs is not None:  # one product a row serves both projections
                differences = [f.matrix() - self.whole.ridge for f in self.classes]
                pairs = zip(differences, runs, strict=True)
                return xp.concat([D @ Z[:, :, run] for D, run in pairs], axis=2)
        return self.add_projections(-self.project_whole(Z), rows, Pi)

    def project_whole(self, Z: Any) -> Any:
        """Projections of rows on the span of all rows."""
        whole = self.whole
        return whole.project(
            adjoint(whole.basis) @ Z if isinstance(whole, Factored) else Z
        )

    def move(self, Z: Any, step: float) -> Any:
        """Rows after a step."""
        return normalised(Z + step * self.change(Z))

    def add_projections(self, total: Any, rows: Prepared, Pi: Any) -> Any:
        """Add the projections on the classes times memberships, perhaps in place.

        Memberships are sharp: only those above rounding cost a product.
        """
        xp, dtype = namespace(total), namespace(total).real(total).dtype
        members = Pi > float(xp.finfo(dtype).eps)
        ridges = [form.ridge for form in self.classes if isinstance(form, Dense)]
        if len(ridges) == Pi.shape[1] and mixing_pays(
            int(xp.count_nonzero(members)), total.shape, len(ridges)
        ):
            return total + mixed(xp.stack(ridges, axis=1), Pi.T, rows.Z)
        for j, form in enumerate(self.classes):
            index, rest = split(members[:, j])
            if index.shape[0]:
                source = rows.Z
                if isinstance(form, Factored):
                    source = self.coordinates(rows, j)
                if rest.shape[0]:
                    source = xp.take(source, index, axis=2)
                shares = xp.astype(xp.take(Pi[:, j], index), dtype, copy=False)
                total = add_rows(total, shares * form.project(source), index, rest)
        return total

    def plain(self) -> dict[str, Any]:
        """Return the state as arrays, numbers and containers."""
        classes = [_plain(form) for form in self.classes]
        for state in classes:
            if "basis" in state:
                state["basis"] = None  # it stands in the stack
        return {**vars(self), "whole": _plain(self.whole), "classes": classes}

    @classmethod
    def of_plain(cls, state: dict[str, Any]) -> SpectralLayer:
        """Restore the layer from its plain state."""
        classes = _from_stack([_form(s) for s in state["classes"]], state["stack"])
        whole = _form(state["whole"])
        return cls(**{**state, "whole": whole, "classes": classes})


def runs_of(members: Any) -> list[slice] | None:
    """Rows of each class if they have one class each and are sorted, otherwise None."""
    xp = namespace(members)
    ones = xp.astype(members, xp.int64)
    labels = xp.argmax(ones, axis=1)
    if xp.any(xp.sum(ones, axis=1) != 1) or xp.any(labels[1:] < labels[:-1]):
        return None
    stops = np.cumsum(to_numpy(xp.sum(ones, axis=0))).tolist()
    return [slice(a, b) for a, b in pairwise([0, *stops])]


def add_rows(total: Any, part: Any, index: Any, rest: Any) -> Any:
    """Add rows to those at ``index`` and none at ``rest``; NumPy adds in place."""
    xp = namespace(total)
    if rest.shape[0] == 0:
        return total + part
    if xp is np:
        total[:, :, index] += part
        return total
    place = {"dtype": part.dtype, "device": part.device}
    zeros = xp.zeros((*part.shape[:2], rest.shape[0]), **place)
    order = xp.argsort(xp.concat([index, rest]))
    return total + xp.take(xp.concat([part, zeros], axis=2), order, axis=2)


def _volume(form: Form) -> float:
    return float(form.code.volumes[0])  # type: ignore[index]


def _from_stack(classes: Sequence[Form], stack: Any) -> list[Form]:
    """Let the factored classes look into the stack instead of holding a copy."""
    found: list[Form] = []
    start = 0
    for form in classes:
        if isinstance(form, Factored):
            stop = start + form.eigenvalues.shape[1]
            found.append(replace(form, basis=stack[:, :, start:stop]))
            start = stop
        else:
            found.append(form)
    return found


def _plain(form: Form) -> dict[str, Any]:
    return {
        **vars(form),
        "code": vars(form.code),
        "frequencies": vars(form.frequencies),
    }


def _form(state: dict[str, Any]) -> Form:
    kind = Dense if "ridge" in state else Factored
    code, frequencies = Code(**state["code"]), Frequencies(**state["frequencies"])
    return kind(**{**state, "code": code, "frequencies": frequencies})
