r"""One layer for vectors: a step of gradient ascent on the rate reduction.

.. math:: z^+ = z + \eta\alpha \Bigl(\sum_j \pi_j(z) P_j z - P z\Bigr)

up to the norm, with the soft projections :math:`P` of all rows and :math:`P_j` of each
class (see `skredu.redunet._forms`). As :math:`\gamma_j\alpha_j = \alpha` and
memberships sum to one, this *is* the published step
:math:`z + \eta(Ez - \sum_j \gamma_j\pi_j C_jz)`: what it adds to a row is a difference
of two vectors in the span of the training rows, so a row keeps what it has outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from skredu._compat import namespace
from skredu.coding._incremental import Code
from skredu.coding._linalg import BLOCK, split
from skredu.redunet._forms import Dense, Factored, Form, squared_norms
from skredu.redunet._memberships import log_memberships, score, softmax
from skredu.redunet._sphere import normalised


@dataclass(frozen=True, eq=False, repr=False)
class Layer:
    """Operators of a layer, in the coordinates of a frame.

    Parameters
    ----------
    whole : Factored or Dense
        Soft projection on the span of all rows.
    classes : sequence of Factored or Dense
        The same for each class.
    stack : array of shape (r, m) or None
        Eigenvectors of all factored classes side by side.
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
    kind: str
    temperature: float
    label_code: list[float] | None = None

    @classmethod
    def of(
        cls, whole: Form, classes: Sequence[Form], kind: str, temperature: float
    ) -> Layer:
        """Put the operators of the groups together."""
        bases = [form.basis for form in classes if isinstance(form, Factored)]
        stack = namespace(bases[0]).concat(bases, axis=1) if bases else None
        return cls(whole, _from_stack(classes, stack), stack, kind, temperature)

    @property
    def alpha(self) -> float:
        """Scale of the expansion operator, ``d / (n epsilon^2)``."""
        code = self.whole.code
        return code.n_features / self.whole.epsilon**2 / code.count

    def rates(self) -> tuple[float, float, float]:
        """Coding rate of all rows, that class by class, and their difference."""
        n = self.whole.code.count
        R = self.whole.volume() / 2.0
        Rc = sum(f.code.count / n * f.volume() / 2.0 for f in self.classes)
        return R, Rc, R - Rc

    def prepare(self, Z: Any) -> list[Any]:
        """Return what lengths and projections share: one product for all classes."""
        prepared: list[Any] = []
        start, products = 0, Z
        if self.stack is not None:
            products = Z @ self.stack
        for form in self.classes:
            if isinstance(form, Factored):
                stop = start + form.basis.shape[1]
                prepared.append(products[:, start:stop])
                start = stop
            else:
                prepared.append(form.prepare(Z))
        return prepared

    def log_memberships(self, Z: Any, prepared: list[Any]) -> Any:
        """Logarithms of memberships of rows, not normalised, of shape (b, k)."""
        scores = log_memberships(self.classes, Z, prepared, self.kind, self.temperature)
        return scores if self.label_code is None else self.corrected(scores)

    def corrected(self, scores: Any) -> Any:
        """Scores with the label code."""
        xp = namespace(scores)
        place = {"dtype": scores.dtype, "device": scores.device}
        return scores + xp.asarray(self.label_code, **place)

    def left_out_scores(self, j: int, Z: Any, nats: Any, projected: Any) -> Any:
        """Scores of rows of class ``j`` in it, made from the other rows."""
        size = nats
        if self.kind != "coding":
            size = namespace(Z).sqrt(squared_norms(Z - projected))
        total = self.whole.code.count
        return score(self.classes[j], size, total, self.kind, self.temperature)

    def memberships(self, Z: Any) -> Any:
        """Memberships of rows, in double precision, of shape (b, k)."""
        return softmax(self.log_memberships(Z, self.prepare(Z)))

    def blocks(self, n: int) -> list[slice]:
        """Slices of rows of which one at a time is in work."""
        columns = 0 if self.stack is None else self.stack.shape[1]
        width = 4 * self.whole.width + columns + len(self.classes)
        return list(gen_batches(n, max(1, BLOCK // width)))

    def change(self, Z: Any) -> Any:
        """Change of rows with a step of ``1 / alpha``, of shape (b, r)."""
        blocks = self.blocks(Z.shape[0])
        changes = [self._change(Z[block, :]) for block in blocks]
        return changes[0] if len(changes) == 1 else namespace(Z).concat(changes)

    def _change(self, Z: Any) -> Any:
        prepared = self.prepare(Z)
        Pi = softmax(self.log_memberships(Z, prepared))
        whole = self.whole.project(self.whole.prepare(Z))
        return self.add_projections(-whole, prepared, Pi)

    def move(self, Z: Any, step: float) -> Any:
        """Rows after a step."""
        return normalised(Z + step * self.change(Z))

    def add_projections(self, total: Any, prepared: list[Any], Pi: Any) -> Any:
        """Add the projections on the classes times memberships, perhaps in place.

        Memberships are sharp: only those above rounding cost a product.
        """
        xp = namespace(total)
        for j, form in enumerate(self.classes):
            index, rest = split(Pi[:, j] > float(xp.finfo(total.dtype).eps))
            if index.shape[0]:
                shares = xp.astype(xp.take(Pi[:, j], index), total.dtype)
                part = form.project(xp.take(prepared[j], index, axis=0))
                total = add_rows(total, shares[:, None] * part, index, rest)
        return total

    def plain(self) -> dict[str, Any]:
        """Return the state as arrays, numbers and containers."""
        classes = [_plain(form) for form in self.classes]
        for state in classes:
            if "basis" in state:
                state["basis"] = None  # it stands in the stack
        return {**vars(self), "whole": _plain(self.whole), "classes": classes}

    @classmethod
    def of_plain(cls, state: dict[str, Any]) -> Layer:
        """Restore the layer from its plain state."""
        classes = _from_stack([_form(s) for s in state["classes"]], state["stack"])
        whole = _form(state["whole"])
        return cls(**{**state, "whole": whole, "classes": classes})


def add_rows(total: Any, part: Any, index: Any, rest: Any) -> Any:
    """Add rows to those at ``index`` and none at ``rest``; NumPy adds in place."""
    xp = namespace(total)
    if xp is np:
        total[index] += part
        return total
    place = {"dtype": part.dtype, "device": part.device}
    zeros = xp.zeros((rest.shape[0], part.shape[1]), **place)
    order = xp.argsort(xp.concat([index, rest]))
    return total + xp.take(xp.concat([part, zeros]), order, axis=0)


def _from_stack(classes: Sequence[Form], stack: Any) -> list[Form]:
    """Let the factored classes look into the stack instead of holding a copy."""
    forms: list[Form] = []
    start = 0
    for form in classes:
        if isinstance(form, Factored):
            stop = start + form.code.eigenvalues.shape[0]
            forms.append(replace(form, basis=stack[:, start:stop]))
            start = stop
        else:
            forms.append(form)
    return forms


def _plain(form: Form) -> dict[str, Any]:
    return {**vars(form), "code": vars(form.code)}


def _form(state: dict[str, Any]) -> Form:
    kind = Dense if "ridge" in state else Factored
    return kind(**{**state, "code": Code(**state["code"])})
