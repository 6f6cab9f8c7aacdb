"""What layers for vectors and for signals share: operators of groups, and their use.

Features of one row stand along ``axis``: vectors have rows first, (n, r), and spectra
have them last, (F, C, n).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np

from skredu._compat import namespace
from skredu.coding._incremental import Code
from skredu.coding._linalg import split
from skredu.redunet._memberships import score, softmax


class BaseLayer(ABC):
    """Operators of a layer.

    Subclasses are data classes with these fields, in this order but for others between.

    Attributes
    ----------
    whole : Factored or Dense
        Soft projection on the span of all rows.
    classes : sequence of Factored or Dense
        The same for each class.
    stack : array of shape (..., r, m) or None
        Eigenvectors of all factored classes side by side.
    kind : {"coding", "residual", "weighted_residual"}
        Rule for memberships.
    temperature : float
        Inverse temperature of the residual rules.
    label_code : list of float or None
        Nats by which rows left out correct the scores of the classes.
    """

    axis: ClassVar[int]
    factored: ClassVar[type[Any]]
    dense: ClassVar[type[Any]]
    # Fields of an operator that are objects themselves.
    parts: ClassVar[dict[str, type[Any]]] = {"code": Code}

    whole: Any
    classes: Sequence[Any]
    stack: Any
    kind: str
    temperature: float
    label_code: list[float] | None

    @staticmethod
    @abstractmethod
    def normalised(Z: Any) -> Any:
        """Features whose rows have norm one."""

    @staticmethod
    @abstractmethod
    def norms(Z: Any) -> Any:
        """Norms of rows, in double precision, of shape (b,)."""

    @abstractmethod
    def prepare(self, Z: Any) -> Any:
        """Return what memberships and projections of rows share."""

    @abstractmethod
    def size(self, rows: Any, j: int) -> Any:
        """Extra nats of prepared rows in a class or norms of their residuals, (b,)."""

    @abstractmethod
    def source(self, rows: Any, j: int) -> Any:
        """From what the operator of class ``j`` makes projections of prepared rows."""

    @abstractmethod
    def blocks(self, n: int) -> list[slice]:
        """Slices of rows of which one at a time is in work."""

    @property
    def alpha(self) -> float:
        """Scale of the expansion operator: dimension over ``n epsilon^2``."""
        return alpha_of(self.whole)

    def rates(self) -> tuple[float, float, float]:
        """Coding rate of all rows, that class by class, and their difference, in nats.

        Of signals they are those of all shifts, a point of the grid.
        """
        parts = [(form.code.count, form.volume()) for form in self.classes]
        return rates_of(self.whole.code.count, self.whole.volume(), parts)

    def log_memberships(self, rows: Any) -> Any:
        """Logarithms of memberships of prepared rows, not normalised, (b, k)."""
        columns = [self.score(j, self.size(rows, j)) for j in range(len(self.classes))]
        return namespace(columns[0]).stack(columns, axis=1)

    def sharp_log_memberships(self, rows: Any) -> Any:
        """`log_memberships`, those below rounding perhaps too large, but below it."""
        return self.log_memberships(rows)

    def score(self, j: int, size: Any) -> Any:
        """Logarithms of memberships in a class, not normalised, from `size`."""
        total = self.whole.code.count
        scores = score(self.classes[j], size, total, self.kind, self.temperature)
        return scores if self.label_code is None else scores + self.label_code[j]

    def size_at(self, j: int, scores: Any) -> Any:
        """Inverse of `score`."""
        zero = self.score(j, 0.0)
        return (scores - zero) / (self.score(j, 1.0) - zero)

    def corrected(self, scores: Any) -> Any:
        """Scores with the label code."""
        xp = namespace(scores)
        place = {"dtype": scores.dtype, "device": scores.device}
        return scores + xp.asarray(self.label_code, **place)

    def left_out_scores(self, j: int, Z: Any, nats: Any, projected: Any) -> Any:
        """Scores of rows of class ``j`` in it, made from the other rows."""
        size = nats if self.kind == "coding" else self.norms(Z - projected)
        return self.score(j, size)

    def memberships(self, Z: Any) -> Any:
        """Memberships of rows, in double precision, of shape (b, k)."""
        return softmax(self.log_memberships(self.prepare(Z)))

    def change(self, Z: Any) -> Any:
        """Change of rows with a step of ``1 / alpha``, of the shape of the rows."""
        n, axis = Z.shape[self.axis], self.axis
        contrasts = self._contrasts(n)
        blocks = self.blocks(n)
        if len(blocks) == 1:
            return self._change(Z, contrasts)
        change = namespace(Z).empty_like(Z)
        for block in blocks:
            at = rows_at(block, axis)
            change[at] = self._change(Z[at], contrasts)
        return change

    def _change(self, Z: Any, contrasts: BaseLayer | None) -> Any:
        rows = self.prepare(Z)
        Pi = softmax(self.sharp_log_memberships(rows))
        if contrasts is None:
            return self.add_projections(-self.project_whole(Z), rows, Pi)
        return contrasts.add_projections(namespace(Z).zeros_like(Z), rows, Pi)

    def _contrasts(self, n: int) -> BaseLayer | None:
        """Return the layer of the differences ``P_j - P``; None where they do not pay.

        As memberships sum to one, ``P`` is in them: one product a row less.
        """
        if any(isinstance(f, self.factored) for f in (self.whole, *self.classes)):
            return None
        whole = self.whole.matrix()
        if n < whole.shape[-1]:
            return None
        classes = [replace(f, ridge=f.matrix() - whole) for f in self.classes]
        return replace(self, classes=classes)  # type: ignore[type-var]

    def move(self, Z: Any, step: float) -> Any:
        """Rows after a step."""
        return self.normalised(stepped(Z, self.change(Z), step))

    def project_whole(self, Z: Any) -> Any:
        """Projections of rows on the span of all rows."""
        return self.whole.project(self.whole.prepare(Z))

    def add_projections(self, total: Any, rows: Any, Pi: Any) -> Any:
        """Add the projections on the classes times memberships, perhaps in place.

        Memberships are sharp: only those above rounding cost a product.
        """
        xp, dtype = namespace(total), real_dtype(total)
        members = Pi > float(xp.finfo(dtype).eps)
        for j in range(len(self.classes)):
            index, rest = split(members[:, j])
            if index.shape[0]:
                shares = xp.astype(xp.take(Pi[:, j], index), dtype, copy=False)
                source = self.source(rows, j)
                if rest.shape[0]:
                    source = take_rows(source, index, self.axis)
                part = self.classes[j].project(source)
                if not xp.all(shares == 1.0):
                    part = across(shares, self.axis) * part
                total = add_rows(total, part, index, rest, self.axis)
        return total

    def plain(self) -> dict[str, Any]:
        """Return the state as arrays, numbers and containers."""
        classes = [self._plain(form) for form in self.classes]
        for state in classes:
            if "basis" in state:
                state["basis"] = None  # it stands in the stack
        return {**vars(self), "whole": self._plain(self.whole), "classes": classes}

    @classmethod
    def of_plain(cls, state: dict[str, Any]) -> Self:
        """Restore the layer from its plain state."""
        classes = cls.sharing([cls._form(s) for s in state["classes"]], state["stack"])
        whole = cls._form(state["whole"])
        return cls(**{**state, "whole": whole, "classes": classes})

    @classmethod
    def sharing(cls, classes: Sequence[Any], stack: Any) -> list[Any]:
        """Let the factored classes look into the stack instead of holding a copy."""
        forms: list[Any] = []
        start = 0
        for form in classes:
            if isinstance(form, cls.factored):
                stop = start + form.rank
                forms.append(replace(form, basis=stack[..., start:stop]))
                start = stop
            else:
                forms.append(form)
        return forms

    @classmethod
    def _plain(cls, form: Any) -> dict[str, Any]:
        return {**vars(form), **{name: vars(getattr(form, name)) for name in cls.parts}}

    @classmethod
    def _form(cls, state: dict[str, Any]) -> Any:
        kind = cls.dense if "ridge" in state else cls.factored
        parts = {name: make(**state[name]) for name, make in cls.parts.items()}
        return kind(**{**state, **parts})


def stepped(Z: Any, change: Any, step: float) -> Any:
    """Rows after a step, of any length: a long one leaves the change alone."""
    return Z + step * change if step <= 1.0 else (1.0 / step) * Z + change


def rates_of(
    n: float, volume: float, parts: Sequence[tuple[float, float]]
) -> tuple[float, float, float]:
    """Rates, in nats, from weights and log-determinants of all rows and of classes."""
    R = volume / 2.0
    Rc = sum(count / n * part / 2.0 for count, part in parts)
    return R, Rc, R - Rc


def alpha_of(form: Any) -> float:
    """Scale of an operator: dimension over weight and squared distortion."""
    return float(form.code.n_features / form.epsilon**2 / form.code.count)


def real_dtype(Z: Any) -> Any:
    """Type of the real parts."""
    xp = namespace(Z)
    return (xp.real(Z) if xp.isdtype(Z.dtype, "complex floating") else Z).dtype


def rows_at(part: Any, axis: int) -> tuple[Any, ...]:
    """Index of some rows, which stand along the first or the last axis."""
    return (part, ...) if axis == 0 else (..., part)


def across(values: Any, axis: int) -> Any:
    """One value a row, to be multiplied with features."""
    return values[:, None] if axis == 0 else values


def as_slice(index: Any) -> Any:
    """Return an ascending index as a slice where it has no gaps."""
    first, last = int(index[0]), int(index[-1])
    return slice(first, last + 1) if last - first + 1 == len(index) else index


def take_rows(source: Any, index: Any, axis: int) -> Any:
    """Return some rows; NumPy copies none that follow each other."""
    xp = namespace(source)
    if xp is np and isinstance(part := as_slice(index), slice):
        return source[rows_at(part, axis)]
    return xp.take(source, index, axis=axis)


def add_rows(total: Any, part: Any, index: Any, rest: Any, axis: int) -> Any:
    """Add rows to those at ``index`` and none at ``rest``; NumPy adds in place."""
    xp = namespace(total)
    if rest.shape[0] == 0:
        return total + part
    if xp is np:
        total[rows_at(as_slice(index), axis)] += part
        return total
    shape = (*part.shape[:axis], rest.shape[0], *part.shape[axis + 1 :])
    zeros = xp.zeros(shape, dtype=part.dtype, device=part.device)
    order = xp.argsort(xp.concat([index, rest]))
    return total + xp.take(xp.concat([part, zeros], axis=axis), order, axis=axis)


def weights_differ(weights: Any) -> bool:
    """Whether rows that are left out leave several scales behind.

    Square matrices serve one scale, eigenvectors any.
    """
    return weights is not None and bool(namespace(weights).any(weights != weights[0]))
