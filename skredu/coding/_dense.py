r"""A coded group represented by matrices: faster than eigenvectors, for one distortion.

With the scatter :math:`S` and :math:`M = I + cS`, samples are moved by the soft
projection :math:`P = I - M^{-1}` and scored by the form
:math:`m = z^H (I + c'S)^{-1} z` at the scale :math:`c'` of one more sample. The form is
the squared norm of :math:`W^H z` with a triangular ``W``, which takes half of the
operations of a product. The forms of several small blocks are sums of the products
:math:`\bar z_a z_b`, which all groups share.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from skredu._compat import at_least, namespace
from skredu.coding._blocks import Blocks
from skredu.coding._group import NOTHING_LEFT, Coded, Group
from skredu.coding._linalg import (
    adjoint_product,
    batches,
    factors,
    inverse_of,
    inverses,
    is_complex,
    one_block,
    product,
    real_dots,
    real_dtype,
    right_triangle,
    squared_norms,
    whitenings,
    widen,
)

# Up to this number of coordinates, the forms of several blocks are packed; a layer then
# moves samples in 0.55 of the time.
MAX_PACKED = 48
# Number of products of coordinates that are computed at a time, to stay in the cache.
PRODUCTS = 2**19
# Up to this condition, forms of single-precision samples are summed in that precision.
MAX_SINGLE = 1e3
# Up to this condition, factors are inverted in the precision of the samples.
MAX_SINGLE_INVERSE = 1e5


class DenseGroup(Coded):
    """A group represented by matrices, which are computed when they are first needed.

    Parameters
    ----------
    n : float
        Weight of the samples.
    blocks : Blocks
    epsilon : float
        The distortion. Methods have the same arguments as those of `Group`, but accept
        no other distortion.
    scatter : array of shape (F, a, a) or None
        The scatter in double precision; None if the matrices are known.
    dtype : data type, default=None
        Type of the samples.
    condition : float, default=0.0
        Largest trace of ``c S`` among the blocks.
    mean, varying, constant :
        See `Coded`.
    """

    def __init__(
        self,
        n: float,
        blocks: Blocks,
        epsilon: float,
        scatter: Any,
        dtype: Any = None,
        *,
        condition: float = 0.0,
        mean: Any = None,
        varying: Any = None,
        constant: Any = None,
    ) -> None:
        self.n, self.blocks, self.epsilon = n, blocks, epsilon
        self.scatter, self.dtype, self.condition = scatter, dtype, condition
        self.mean, self.varying, self.constant = mean, varying, constant
        self._inverses: dict[float, tuple[Any, float]] = {}  # by change of weight

    @cached_property
    def log_det(self) -> float:
        """Log-determinant of ``I + c S`` over all blocks."""
        return self._total(self._factor_or_inverse[1])

    @cached_property
    def projection(self) -> Any:
        """The soft projection ``P``, (F, C, C)."""
        xp, found = namespace(self.scatter), self._solution
        eye = xp.eye(found.shape[1], dtype=found.dtype, device=found.device)
        return xp.astype(eye - found, self.dtype, copy=False)

    @cached_property
    def _solution(self) -> Any:
        """Inverse of ``I + c S``, (F, C, C)."""
        found = self._factor_or_inverse[0]
        if one_block(found):
            found = inverse_of(self._rounded(found)[0, ...])[None, ...]
        return found

    @cached_property
    def squaring(self) -> Any:
        """Matrix of the forms of ``(I + c S)^{-2}``, as in `scoring`."""
        inverse = self._solution
        if one_block(inverse):
            return self._cast(right_triangle(inverse[0, ...])[None, ...])
        if self._packs(inverse):
            return self._cast(packed(inverse @ inverse), packed=True)
        return self._cast(inverse)

    def form_matrix(self, *, extra: bool) -> Any:
        """Return the matrix of forms for extra nats, or the one for residuals."""
        return self.scoring[1] if extra else self.squaring

    @cached_property
    def scoring(self) -> tuple[float, Any]:
        """Log-determinant at the scale of one more sample, and the matrix of forms.

        The matrix is ``W`` (F, C, C) or contains packed coefficients (F, C^2).
        """
        S = self._scaled(1.0)
        if self._packs(S):
            inverse, logs = inverses(S)
            return self._total(logs), self._cast(packed(inverse), packed=True)
        L, logs = factors(S)
        return self._total(logs), self._cast(whitenings(self._rounded(L)))

    @staticmethod
    def _packs(S: Any) -> bool:
        return bool(S.shape[0] > 1 and S.shape[1] <= MAX_PACKED)

    def _cast(self, matrix: Any, *, packed: bool = False) -> Any:
        """Return a matrix in the precision of samples, or in a higher one if packed."""
        xp, dtype = namespace(matrix), self.dtype
        if packed:
            dtype = xp.float64
            if self.condition <= MAX_SINGLE:
                dtype = real_dtype(xp.empty(0, dtype=self.dtype))
        return xp.astype(matrix, dtype, copy=False)

    def volume(self, epsilon: float) -> float:
        """Return the log-determinant of ``I + c S`` over all blocks."""
        return self.log_det

    def project(self, Z: Any, epsilon: float) -> Any:
        """Return soft projections ``z - (I + c S)^{-1} z`` of samples, (F, C, b)."""
        return product(self.projection, Z)

    def matrix(self, epsilon: float) -> Any:
        """Return the soft projection as matrices (F, C, C)."""
        return self.projection

    def left_out(
        self, Z: Any, epsilon: float, weights: Any = None, part: Any = None
    ) -> tuple[Any, Any]:
        """Return extra nats (b,) and projections (F, C, b) of left-out samples.

        All samples of the group must have the same weight, with which a sample leaves:
        only then do the remaining samples always have the same scale.
        """
        xp, w = namespace(Z), 1.0 if weights is None else float(weights[0])
        if self.n - w <= NOTHING_LEFT * self.n:
            return self.as_first(Z, epsilon), xp.zeros_like(Z)
        solved, left, before = self._changed_by(Z, -w)
        after = self.log_det
        if w != 1.0:
            after = self._changed_by(Z, 1.0 - w)[2]
        n = self.n - w + self.blocks.dim
        nats = (n + 1.0) / 2.0 * after - n / 2.0 * before
        return nats, Z - xp.astype(solved / left[:, None, :], Z.dtype, copy=False)

    def _changed_by(self, Z: Any, change: float) -> tuple[Any, Any, Any]:
        """Change the number of copies of each sample, one sample at a time.

        Returns their products with the inverse for the old scatter, the factor (F, b)
        of the determinant, and the log-determinant (b,).
        """
        xp = namespace(Z)
        inverse, log_det = self._inverse(change)
        rows = Z if one_block(Z) else widen(Z)
        solved = xp.astype(inverse, rows.dtype, copy=False) @ rows
        step = self.blocks.scale(self.n + change, self.epsilon)[:, None] * change
        m = widen(real_dots(rows, solved))
        eps = float(xp.finfo(rows.dtype).eps)
        factor = xp.maximum(1.0 + step * m, eps / (1.0 + xp.abs(step) * m))
        return solved, factor, log_det + self.blocks.total(xp.log(factor))

    def to_state(
        self, *, scores: bool = True, moves: bool = True, squares: bool = False
    ) -> dict[str, Any]:
        """Return everything that predictions need as arrays, numbers and containers.

        ``scores`` includes what `extra` needs, ``moves`` what `project` needs, and
        ``squares`` includes `squaring`.
        """
        names = ["n", "epsilon", "mean", "varying", "constant", "log_det"]
        names += ["scoring"] * scores + ["projection"] * moves + ["squaring"] * squares
        state = {name: getattr(self, name) for name in names}
        return {**state, "blocks": vars(self.blocks)}

    def _scaled(self, change: float) -> Any:
        """Return the scatters times their factor at a changed weight."""
        c = self.blocks.scale(self.n + change, self.epsilon)
        return c[:, None, None] * self.scatter

    @cached_property
    def _factor_or_inverse(self) -> tuple[Any, Any]:
        """Factor of one real block, or inverses of several, and log-determinants."""
        S = self._scaled(0.0)
        return factors(S) if one_block(S) else inverses(S)

    def _inverse(self, change: float) -> tuple[Any, float]:
        """Return inverses and log-determinant at a changed weight, computed once."""
        if change not in self._inverses:
            inverse, logs = inverses(self._scaled(change))
            self._inverses[change] = inverse, self._total(logs)
        return self._inverses[change]

    def _rounded(self, L: Any) -> Any:
        """Return a copy of factors in the precision in which they are inverted."""
        single = self.condition <= MAX_SINGLE_INVERSE
        return namespace(L).astype(L, self.dtype if single else L.dtype, copy=True)

    def _total(self, logs: Any) -> float:
        return float(self.blocks.total(logs))

    def _scales(self, epsilons: Any, change: Any) -> tuple[Any, Any]:
        xp, t = namespace(epsilons), float(change[0])
        log_det = self.scoring[0] if t == 1.0 else self.log_det
        c = self.blocks.scale(self.n + t, self.epsilon)[:, None, None]
        return c, xp.full_like(epsilons, log_det)[:, None]

    def _forms(self, Z: Any, c: Any) -> Any:
        Z, constant = self._centred(Z)
        matrix = self.scoring[1]
        if matrix.ndim == 2:
            return packed_forms(matrix[:, None, :], Z)
        own = self.varying is not None or self.mean is not None
        whitened = adjoint_product(matrix, Z, overwrite=own)
        return (squared_norms(whitened) + constant)[:, None, :]


def group_of_state(state: dict[str, Any]) -> Group | DenseGroup:
    """Restore a group from the result of its ``to_state``."""
    state = {**state, "blocks": Blocks(**state["blocks"])}
    if "basis" in state:
        return Group(**state)
    made: dict[str, Any] = {
        name: state.pop(name)
        for name in ("log_det", "scoring", "projection", "squaring")
        if name in state
    }
    group = DenseGroup(scatter=None, **state)
    vars(group).update(made)
    return group


# -- forms of small blocks ------------------------------------------------------------


def packed(Q: Any) -> Any:
    """Return coefficients (F, p) of the forms of Hermitian matrices (F, C, C).

    They belong to the products of `_products`; ``p`` is C^2, or C (C + 1) / 2 for real
    matrices.
    """
    xp, (F, C, _) = namespace(Q), Q.shape
    pairs = [(a, b) for a in range(C) for b in range(a, C)]
    place = xp.asarray([a * C + b for a, b in pairs], device=Q.device)
    double = [1.0 + (a < b) for a, b in pairs]
    double = xp.asarray(double, dtype=xp.float64, device=Q.device)
    upper = xp.take(xp.reshape(Q, (F, C * C)), place, axis=1)
    if not is_complex(Q):
        return double * upper
    off = [i for i, (a, b) in enumerate(pairs) if a < b]
    off = xp.asarray(off, dtype=place.dtype, device=Q.device)
    imaginary = xp.imag(xp.take(upper, off, axis=1))
    return xp.concat([double * xp.real(upper), -2.0 * imaginary], axis=1)


def packed_forms(coefficients: Any, Z: Any) -> Any:
    """Return forms (F, k, b) of columns of Z for k matrices, `packed` (F, k, p)."""
    xp, (F, C, b) = namespace(Z), Z.shape
    parts = [
        coefficients[block, :, :] @ _products(Z[block, :, :], coefficients.dtype)
        for block in batches(F, PRODUCTS // max(1, C * C * b))
    ]
    return at_least(parts[0] if len(parts) == 1 else xp.concat(parts), 0.0)


def _products(Z: Any, dtype: Any) -> Any:
    """Return products ``conj(z_a) z_b`` for ``a <= b``, real parts first, (F, p, b)."""
    xp, C = namespace(Z), Z.shape[1]
    if dtype == xp.float64:
        Z = widen(Z)
    Z = xp.permute_dims(Z, (1, 0, 2))  # products of whole planes
    if not is_complex(Z):
        products = xp.concat([Z[a : a + 1, ...] * Z[a:, ...] for a in range(C)])
        return xp.permute_dims(products, (1, 0, 2))
    parts = [xp.conj(Z[a : a + 1, ...]) * Z[a:, ...] for a in range(C)]
    real = [xp.real(part) for part in parts]
    imaginary = [xp.imag(part[1:, ...]) for part in parts]  # squares are real
    return xp.permute_dims(xp.concat(real + imaginary), (1, 0, 2))
