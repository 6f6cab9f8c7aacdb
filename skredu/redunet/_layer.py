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
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from sklearn.utils import gen_batches

from skredu._compat import namespace
from skredu.coding._linalg import BLOCK
from skredu.redunet._base_layer import BaseLayer
from skredu.redunet._forms import Dense, Factored, Form, squared_norms
from skredu.redunet._panels import sharp_scores, worthwhile
from skredu.redunet._sphere import normalised


class Prepared(NamedTuple):
    """Rows (b, r), the same with features in the order of dense classes, coordinates.

    Coordinates, (b, m), are those along the eigenvectors of a factored class; None for
    a dense one.
    """

    Z: Any
    ordered: Any
    parts: list[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Layer(BaseLayer):
    """Operators of a layer, in the coordinates of a frame; see `BaseLayer`.

    Parameters
    ----------
    whole : Factored or Dense
    classes : sequence of Factored or Dense
    stack : array of shape (r, m) or None
    kind : {"coding", "residual", "weighted_residual"}
    temperature : float
    label_code : list of float or None
    """

    axis: ClassVar[int] = 0
    factored: ClassVar[type[Any]] = Factored
    dense: ClassVar[type[Any]] = Dense
    normalised = staticmethod(normalised)

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
        return cls(whole, cls.sharing(classes, stack), stack, kind, temperature)

    @staticmethod
    def norms(Z: Any) -> Any:
        """Norms of rows, in double precision, of shape (b,)."""
        return namespace(Z).sqrt(squared_norms(Z))

    def prepare(self, Z: Any) -> Prepared:
        """Return what scores and projections share: one product for all classes."""
        parts: list[Any] = []
        start, products, ordered = 0, Z, Z
        if self.stack is not None:
            products = Z @ self.stack
        for form in self.classes:
            if isinstance(form, Factored):
                stop = start + form.rank
                parts.append(products[:, start:stop])
                start = stop
            else:
                if ordered is Z:
                    ordered = namespace(Z).take(Z, form.order, axis=1)
                parts.append(None)
        return Prepared(Z, ordered, parts)

    def size(self, rows: Prepared, j: int) -> Any:
        """Extra nats of prepared rows in a class or norms of their residuals, (b,)."""
        form = self.classes[j]
        if isinstance(form, Dense):
            return form.size(form.squares(rows.ordered), self.kind)
        if self.kind == "coding":
            return form.extra(rows.Z, rows.parts[j])
        return form.residual(rows.Z, rows.parts[j])

    def sharp_log_memberships(self, rows: Prepared) -> Any:
        """`log_memberships`, those below rounding perhaps too large, but below it."""
        if worthwhile(self, rows):
            return sharp_scores(self, rows)
        return self.log_memberships(rows)

    def source(self, rows: Prepared, j: int) -> Any:
        """From what the operator of class ``j`` makes projections of prepared rows."""
        return rows.Z if rows.parts[j] is None else rows.parts[j]

    def blocks(self, n: int) -> list[slice]:
        """Slices of rows of which one at a time is in work."""
        columns = 0 if self.stack is None else self.stack.shape[1]
        width = 4 * self.whole.width + columns + len(self.classes)
        return list(gen_batches(n, max(1, BLOCK // width)))
