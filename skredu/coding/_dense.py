r"""A coded group represented by matrices: faster than eigenvectors, for one distortion.

With the scatter :math:`S` and :math:`M = I + cS`, samples are moved by the soft
projection :math:`P = I - M^{-1}` and scored by the form
:math:`m = z^H (I + c'S)^{-1} z` at the scale :math:`c'` of one more sample. The form is
the squared norm of :math:`W^H z` with a triangular ``W``, which takes half of the
operations of a product. The forms of several small blocks are sums of the products
:math:`\bar z_a z_b`, which all groups share.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar, cast

from skredu._compat import at_least, namespace
from skredu.coding._group import NOTHING_LEFT, Blocks, Coded, Group
from skredu.coding._linalg import (
    adjoint_product,
    blocks_of_rows,
    coordinates,
    factors,
    inverses,
    is_complex,
    one_block,
    real_dots,
    real_dtype,
    right_triangle,
    squared_norms,
    swept,
    whitenings,
    widen,
)

Method = TypeVar("Method", bound=Callable[..., Any])

# Up to this number of coordinates, the forms of several blocks are packed; a layer then
# moves samples in 0.55 of the time.
MAX_PACKED = 48
# Number of products of coordinates that are computed at a time, to stay in the cache.
PRODUCTS = 2**17
# Up to this condition, forms of single-precision samples are summed in that precision.
MAX_SINGLE = 1e3
# Up to this condition, factors are inverted in the precision of the samples.
MAX_SINGLE_INVERSE = 1e5


def _once(method: Method) -> Method:
    """Compute the result of a method of `DenseGroup` once for each argument."""

    @wraps(method)
    def call(self: DenseGroup, argument: Any) -> Any:
        key = method.__name__, argument
        if key not in self.made:
            self.made[key] = method(self, argument)
        return self.made[key]

    return cast(Method, call)


class DenseGroup(Coded):
    """A group represented by matrices, which are computed when they are first needed.

    Parameters
    ----------
    n : float
        Weight of the samples.
    blocks : Blocks
    epsilon : float
        The only distortion. Methods have the same arguments as those of `Group`.
    scatter : array of shape (F, a, a) or None
        The scatter in double precision; None if the matrices are known.
    dtype : data type, default=None
        Type of the samples.
    condition : float, default=0.0
        Largest trace of ``c S`` among the blocks.
    mean, varying, constant :
        See `Coded`.
    made : dict, default=None
        The results that are known, by method and argument.
    """

    def __init__(
        self,
        n: float,
        blocks: Blocks,
        epsilon: float,
        scatter: Any = None,
        dtype: Any = None,
        *,
        condition: float = 0.0,
        mean: Any = None,
        varying: Any = None,
        constant: Any = None,
        made: dict[tuple[str, Any], Any] | None = None,
    ) -> None:
        self.n, self.blocks, self.epsilon = n, blocks, epsilon
        self.scatter, self.dtype, self.condition = scatter, dtype, condition
        self.mean, self.varying, self.constant = mean, varying, constant
        self.made = {} if made is None else made
        self.packs = blocks.counts.shape[0] > 1 and blocks.dim <= MAX_PACKED

    @_once
    def log_det(self, change: float) -> float:
        """Return the log-determinant of ``I + c S`` at a changed weight."""
        found = self._swept(change) if self.packs else self._factor(change)
        return float(self.blocks.total(found[1]))

    @_once
    def matrix(self, epsilon: float) -> Any:
        """Return the soft projection ``P`` as matrices (F, C, C)."""
        inverse = self._inverse(0.0)
        xp = namespace(inverse)
        eye = xp.eye(inverse.shape[-1], dtype=inverse.dtype, device=inverse.device)
        return xp.astype(eye - inverse, self.dtype, copy=False)

    def project(self, Z: Any, epsilon: float, along: None = None) -> Any:
        """Return soft projections ``z - (I + c S)^{-1} z`` of samples, (F, C, b)."""
        P, xp = self.matrix(epsilon), namespace(Z)
        if not one_block(P):
            return P @ Z
        # samples of one block stay rows in memory, and real matrices are symmetric
        return xp.matrix_transpose(xp.matrix_transpose(Z) @ P)

    @_once
    def form_matrix(self, power: int) -> Any:
        """Return the matrix of forms: ``W`` (F, C, C), or packed ones (F, C^2).

        The power 1 is that of extra nats, with the factor ``c`` of one more sample. The
        power 2 is that of squared residuals.
        """
        xp, dtype = namespace(self.scatter), self.dtype
        if self.packs:
            Q = self._inverse(1.0) if power == 1 else self._inverse(0.0)
            matrix = packed(Q if power == 1 else Q @ Q)
            single = self.condition <= MAX_SINGLE
            dtype = real_dtype(xp.empty(0, dtype=dtype)) if single else xp.float64
        elif power == 1:
            matrix = whitenings(xp.asarray(self._factor(1.0)[0], copy=True))
        else:
            matrix = self._inverse(0.0)
            if one_block(matrix):
                matrix = right_triangle(matrix[0, ...])[None, ...]
        return xp.astype(matrix, dtype, copy=False)

    def extra(self, Z: Any, epsilons: Any, change: Any = 1.0, known: Any = None) -> Any:
        """Return the extra nats of samples that join the group; see `Coded.extra`.

        One copy of a sample joins a group about the origin in fewer steps: `transform`
        of a single sample takes 0.7 of the time, `predict` of a network 0.77.
        """
        if self.mean is not None or change != 1.0:
            return super().extra(Z, epsilons, change, known)
        c = self.blocks.scale(self.n + 1.0, self.epsilon)[:, None]
        forms = self._forms(Z, c[..., None], 1, known)[:, 0, :]
        factors = self.blocks.total(namespace(forms).log1p(c * forms))
        n, before = self.n + self.blocks.dim, self.log_det(0.0)
        nats = (n + 1.0) / 2.0 * (self.log_det(1.0) + factors) - n / 2.0 * before
        return nats[:, None]

    def head(self, size: int, power: int) -> DenseGroup:
        """Return a group whose forms are the first terms of the sums of this one.

        They need only the first coordinates of samples, and are lower bounds.
        """
        head = copy(self)
        matrix = self.form_matrix(power)[:, :size, :size]
        head.made = {**self.made, ("form_matrix", power): matrix}
        return head

    def left_out(
        self,
        Z: Any,
        epsilon: float,
        weights: Any = None,
        part: Any = None,
        *,
        coded: bool = True,
    ) -> tuple[Any, Any]:
        """Return extra nats (b,) and projections (F, C, b) of left-out samples.

        All samples of the group must have the same weight, with which a sample leaves:
        only then do the remaining samples always have the same scale. See
        `skredu.coding._group.Group.left_out`.
        """
        xp, w = namespace(Z), 1.0 if weights is None else float(weights[0])
        if self.n - w <= NOTHING_LEFT * self.n:
            return self.as_first(Z, epsilon) if coded else None, xp.zeros_like(Z)
        (solved, left, before), nats = self._changed_by(Z, -w), None
        if coded:
            after = self.log_det(0.0) if w == 1.0 else self._changed_by(Z, 1.0 - w)[2]
            n = self.n - w + self.blocks.dim
            nats = (n + 1.0) / 2.0 * after - n / 2.0 * before
        return nats, Z - xp.astype(solved / left[:, None, :], Z.dtype, copy=False)

    def _changed_by(self, Z: Any, change: float) -> tuple[Any, Any, Any]:
        """Change the number of copies of each sample, one sample at a time.

        Returns their products with the inverse for the old scatter, the factor (F, b)
        of the determinant, and the log-determinant (b,).
        """
        xp, inverse = namespace(Z), self._inverse(change)
        rows = Z if one_block(Z) else widen(Z)
        solved = xp.astype(inverse, rows.dtype, copy=False) @ rows
        step = self.blocks.scale(self.n + change, self.epsilon)[:, None] * change
        m = widen(real_dots(rows, solved))
        eps = float(xp.finfo(rows.dtype).eps)
        factor = xp.maximum(1.0 + step * m, eps / (1.0 + xp.abs(step) * m))
        log_det = self.log_det(change) + self.blocks.total(xp.log(factor))
        return solved, factor, log_det

    def to_state(
        self, *, scores: bool = True, moves: bool = True, squares: bool = False
    ) -> dict[str, Any]:
        """Return everything that predictions need as arrays, numbers and containers.

        ``scores`` includes what `extra` needs, ``moves`` what `project` needs, and
        ``squares`` what `residual` needs.
        """
        names = ("n", "epsilon", "mean", "varying", "constant")
        state = {name: getattr(self, name) for name in names}
        state |= {"blocks": vars(self.blocks), "log_det": self.log_det(0.0)}
        if scores:
            state["scoring"] = self.log_det(1.0), self.form_matrix(1)
        if squares:
            state["squaring"] = self.form_matrix(2)
        if moves:
            state["projection"] = self.matrix(self.epsilon)
        return state

    @_once
    def _factor(self, change: float) -> tuple[Any, Any]:
        """Return Cholesky factors of ``I + c S``, and log-determinants (F,).

        The factors have the precision in which they are inverted.
        """
        c = self.blocks.scale(self.n + change, self.epsilon)
        L, log_dets = factors(c[:, None, None] * self.scatter)
        if one_block(L) and self.condition <= MAX_SINGLE_INVERSE:
            L = namespace(L).astype(L, self.dtype, copy=False)
        return L, log_dets

    @_once
    def _swept(self, change: float) -> tuple[Any, Any]:
        """Return inverses of small blocks of ``I + c S``, and log-determinants (F,)."""
        c = self.blocks.scale(self.n + change, self.epsilon)
        return swept(c[:, None, None] * self.scatter)

    @_once
    def _inverse(self, change: float) -> Any:
        """Return the inverse of ``I + c S``, (F, C, C)."""
        if self.packs:
            return self._swept(change)[0]
        c = self.blocks.scale(self.n + change, self.epsilon)
        return inverses(c[:, None, None] * self.scatter, self._factor(change)[0])

    def _scales(self, epsilons: Any, change: float) -> tuple[Any, Any]:
        if float(epsilons[0]) != self.epsilon:
            raise ValueError(
                f"This group has matrices for epsilon={self.epsilon}, found {epsilons}."
            )
        c = self.blocks.scale(self.n + change, self.epsilon)[:, None, None]
        return c, namespace(epsilons).full_like(epsilons, self.log_det(change))[:, None]

    def solved(self, Z: Any, epsilon: float) -> Any:
        W = widen(self.form_matrix(1))
        return W @ adjoint_product(W, Z)

    def _forms(self, Z: Any, c: Any, power: int = 1, known: Any = None) -> Any:
        if known is not None:
            return known
        matrix = self.form_matrix(power)
        if self.packs:
            return packed_forms(matrix[:, None, :], Z)
        Z, constant = self._centred(Z)
        own = self.varying is not None or self.mean is not None
        whitened = adjoint_product(matrix, Z, overwrite=own)
        return (squared_norms(whitened) + constant)[:, None, :]


def group_of_state(state: dict[str, Any]) -> Group | DenseGroup:
    """Restore a group from the result of its ``to_state``."""
    state = {**state, "blocks": Blocks(**state["blocks"])}
    if "basis" in state:
        return Group(**state)
    made: dict[tuple[str, Any], Any] = {("log_det", 0.0): state.pop("log_det")}
    if "scoring" in state:
        scoring = state.pop("scoring")
        made["log_det", 1.0], made["form_matrix", 1] = scoring
    if "squaring" in state:
        made["form_matrix", 2] = state.pop("squaring")
    if "projection" in state:
        made["matrix", state["epsilon"]] = state.pop("projection")
    return DenseGroup(**state, made=made)


# -- forms of small blocks ------------------------------------------------------------


def packed(Q: Any) -> Any:
    """Return coefficients (F, ..., p) of forms of Hermitian matrices (F, ..., C, C).

    They belong to the products of `_products`; ``p`` is C^2, or C (C + 1) / 2 for real
    matrices.
    """
    xp, C, last = namespace(Q), Q.shape[-1], Q.ndim - 2
    pairs = [(a, b) for a in range(C) for b in range(a, C)]
    place = xp.asarray([a * C + b for a, b in pairs], device=Q.device)
    double = [1.0 + (a < b) for a, b in pairs]
    double = xp.asarray(double, dtype=xp.float64, device=Q.device)
    upper = xp.take(xp.reshape(Q, (*Q.shape[:-2], C * C)), place, axis=last)
    if not is_complex(Q):
        return double * upper
    off = [i for i, (a, b) in enumerate(pairs) if a < b]
    off = xp.asarray(off, dtype=place.dtype, device=Q.device)
    imaginary = xp.imag(xp.take(upper, off, axis=last))
    return xp.concat([double * xp.real(upper), -2.0 * imaginary], axis=last)


def packed_forms(coefficients: Any, Z: Any) -> Any:
    """Return forms (F, k, b) of columns of Z for k matrices, `packed` (F, k, p)."""
    xp, (F, C, b) = namespace(Z), Z.shape
    parts = [
        coefficients[block, :, :] @ _products(Z[block, :, :], coefficients.dtype)
        for block in blocks_of_rows(F, C * C * b, PRODUCTS)
    ]
    return at_least(parts[0] if len(parts) == 1 else xp.concat(parts), 0.0)


def side_by_side(groups: list[Any]) -> tuple[list[Any], Any]:
    """Return groups about the origin, and one array with all bases as (F, C, r).

    The factored groups contain views of the array, which is None if there are none.
    Groups that contain such views already are returned as they are.
    """
    bases = [group.basis for group in groups if isinstance(group, Group)]
    if len(bases) < 2:
        return groups, bases[0] if bases else None
    width, found = sum(basis.shape[2] for basis in bases), []
    # Each call of `transform` restores layers from views: with copies of all bases, it
    # would take 1.1 times as long for 75 channels on 28 x 28 points.
    stack = getattr(bases[0], "base", None)
    views = all(getattr(basis, "base", None) is stack for basis in bases)
    if views and getattr(stack, "shape", ()) == (*bases[0].shape[:2], width):
        return groups, stack
    stack, stop = namespace(bases[0]).concat(bases, axis=2), 0
    for group in groups:
        if not isinstance(group, Group):
            found.append(group)
            continue
        start, stop = stop, stop + group.basis.shape[2]
        found.append(replace(group, basis=stack[:, :, start:stop]))
    return found, stack


def packed_together(groups: list[Any], power: int) -> Any:
    """Return packed forms (F, k, p) of the groups that have them, None if none has."""
    parts = [g.form_matrix(power) for g in groups if g.packs]
    if not parts:
        return None
    xp = namespace(parts[0])
    dtype = xp.result_type(*{matrix.dtype for matrix in parts})
    return xp.stack([xp.astype(Q, dtype, copy=False) for Q in parts], axis=1)


def shared(groups: list[Any], Z: Any, stack: Any = None, forms: Any = None) -> Any:
    """Return what samples have in common for several groups about the origin.

    For each factored group, these are the coordinates of the samples in its basis and
    their squared norms (F, b), from one product with the ``stack`` of all bases. For
    each packed group, these are forms (F, 1, b), from one array of products of
    coordinates and the packed ``forms`` of all groups. Other groups share nothing:
    None.
    """
    found: list[Any] = [None] * len(groups)
    if stack is not None:
        along, norms, stop = coordinates(stack, Z), squared_norms(Z), 0
        for j, group in enumerate(groups):
            if isinstance(group, Group):
                start, stop = stop, stop + group.basis.shape[2]
                found[j] = along[:, start:stop, :], norms
    if forms is not None:
        packs = [j for j, group in enumerate(groups) if group.packs]
        values = packed_forms(forms, Z)
        for i, j in enumerate(packs):
            found[j] = values[:, i : i + 1, :]
    return found


def _products(Z: Any, dtype: Any) -> Any:
    """Return products ``conj(z_a) z_b`` for ``a <= b``, real parts first, (F, p, b)."""
    xp, (F, C, b), is_real = namespace(Z), Z.shape, not is_complex(Z)
    Z = xp.permute_dims(widen(Z) if dtype == xp.float64 else Z, (1, 0, 2))
    left, n_pairs = Z if is_real else xp.conj(Z), C * (C + 1) // 2
    shape = n_pairs if is_real else C * C, F, b
    found = xp.empty(shape, dtype=real_dtype(Z), device=Z.device)
    start, imaginary = 0, n_pairs
    for a in range(C):  # products of whole planes
        part, stop = left[a, ...] * Z[a:, ...], start + C - a
        found[start:stop, ...] = part if is_real else xp.real(part)
        if not is_real:  # squares have no imaginary part
            end = imaginary + C - a - 1
            found[imaginary:end, ...] = xp.imag(part[1:, ...])
            imaginary = end
        start = stop
    return xp.permute_dims(found, (1, 0, 2))
