r"""MICL in the span of the training rows: everything from products, never features.

A class is factored by the eigenvectors of its centred Gram matrix; a row then needs
its products with the rows of the class and with itself. What of a row lies outside
the span of the class is the rest of its squared norm, so nothing is approximated.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack, solve_triangular
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.utils import gen_batches

from skredu.classification._coders import Coder, Prepared
from skredu.classification._training import Training, root_spread, spread_of
from skredu.coding._incremental import (
    Code,
    Coordinates,
    Leverages,
    joined_extra,
    left_out_extra,
)

Floats = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)
# Rows whose products with each other are computed for the diagonal alone.
NORM_BLOCK = 32


@dataclass(frozen=True, eq=False, repr=False)
class KernelGroup:
    """A coded class in feature space.

    Parameters
    ----------
    code : Code
    shares : array of shape (n_j,)
        Weights of the rows that sum to one: the mean is their weighted sum.
    products : array of shape (n_j,)
        Products of the rows with the mean.
    basis : array of shape (n_j, r)
        Eigenvectors of the scatter as combinations of the rows.
    """

    code: Code
    shares: Floats
    products: Floats
    basis: Floats

    def coordinates(self, K: Floats, norms: Floats) -> Coordinates:
        """Coordinates of rows from products (b, n_j) and squared norms (b,)."""
        if self.code.assume_centered:
            dots, centred, total = np.zeros(len(K)), K, norms
        else:
            dots = K @ self.shares
            centred = K - self.products + (self.code.mean_square - dots[:, None])
            total = norms - 2.0 * dots + self.code.mean_square
        squares = (centred @ self.basis) ** 2
        outside = np.maximum(total - squares.sum(axis=1), 0.0)
        return Coordinates(squares, outside, dots, norms)


def kernel_group(
    K: Floats,
    weights: Floats,
    n_features: float,
    assume_centered: bool,
    eps: float = EPS,
) -> tuple[KernelGroup, Leverages]:
    """Factor a class from its Gram matrix (n_j, n_j) and weights (n_j,).

    ``eps`` is the relative rounding error of the products.
    """
    count = float(weights.sum())
    # centring leaves rounding of the products behind
    floor = len(K) * eps * float((weights * np.abs(K.diagonal())).max())
    shares, roots = weights / count, np.sqrt(weights)
    products, mean_square = np.zeros(len(K)), 0.0
    if not assume_centered:
        products = K @ shares
        mean_square = max(float(products @ shares), 0.0)
        K = K - products - products[:, None] + mean_square
    eigenvalues, V = np.linalg.eigh(K * roots * roots[:, None])
    top = float(np.abs(eigenvalues).max())
    if eigenvalues[0] < -max(floor, 1e-6 * top):
        warnings.warn(
            "The kernel is not positive semi-definite on the training rows: found an "
            f"eigenvalue {eigenvalues[0]:.3g} beside a largest one of {top:.3g}; "
            "negative eigenvalues are taken as 0.",
            stacklevel=2,
        )
    keep = eigenvalues > max(floor, len(K) * eps * top)
    eigenvalues, V = eigenvalues[keep], V[:, keep]
    code = Code(count, n_features, eigenvalues, mean_square, assume_centered)
    basis = roots[:, None] * V / np.sqrt(eigenvalues)
    full = len(eigenvalues) >= len(K) - (not assume_centered)
    return KernelGroup(code, shares, products, basis), Leverages(V**2, full)


@dataclass(frozen=True, eq=False, repr=False)
class Span:
    """The span of all training rows, by a pivoted Cholesky factor of their products.

    Parameters
    ----------
    rank : int
        Dimension of the span.
    pivots : array of shape (rank,)
        Rows that span it.
    factor : array of shape (rank, rank)
        Lower-triangular factor of the products of these rows.
    """

    rank: int
    pivots: NDArray[np.intp]
    factor: Floats

    def squared_norms(self, K: Floats) -> Floats:
        """Squared norms of rows in the span, from their products (b, n)."""
        solved = solve_triangular(
            self.factor, K[:, self.pivots].T, lower=True, check_finite=False
        )
        return np.einsum("ij,ij->j", solved, solved)


def span(K: Floats, eps: float = EPS) -> Span:
    """Rank and spanning rows of a Gram matrix of shape (n, n)."""
    n = len(K)
    top = float(K.diagonal().max(initial=0.0))
    if top <= 0.0:
        return Span(0, np.zeros(0, dtype=np.intp), np.zeros((0, 0)))
    factor, pivots, rank, _ = lapack.dpstrf(K, lower=1, tol=n * eps * top)
    chosen = np.asarray(pivots[:rank] - 1, dtype=np.intp)
    return Span(int(rank), chosen, np.tril(factor[:rank, :rank]))


@dataclass(frozen=True, eq=False, repr=False)
class Products:
    """Products of rows with the training rows and with themselves.

    Parameters
    ----------
    kernel : str or callable
    parameters : dict
        Keyword arguments of the kernel.
    X : array of shape (n, d)
        The training rows, less the origin.
    origin : array of shape (d,) or 0.0
        What is taken from rows first: distances far from zero keep their digits.
    by_pairs : bool
        The kernel is a function of two rows, not of two matrices.
    """

    kernel: str | Callable[..., Any]
    parameters: dict[str, Any]
    X: Any
    origin: Any = 0.0
    by_pairs: bool = False

    @classmethod
    def of_distances(cls, kernel: str, parameters: dict[str, Any], X: Any) -> Products:
        """Products of a kernel that does not change when all rows move."""
        origin = X.mean(axis=0, dtype=np.float64)
        return cls(kernel, parameters, X - origin, origin)

    @classmethod
    def of_callable(cls, kernel: Any, parameters: dict[str, Any], X: Any) -> Products:
        """Products of a function of two rows or of two matrices."""
        by_pairs = not gives_matrices(kernel, parameters, X.astype(np.float64))
        return cls(kernel, parameters, X, by_pairs=by_pairs)

    def __call__(self, X: Any) -> tuple[Floats, Floats]:
        """Products with the training rows (b, n) and with themselves (b,)."""
        # rounding in single precision would pass for further dimensions
        X = X.astype(np.float64, copy=False) - self.origin
        size = 1 if self.by_pairs else NORM_BLOCK
        norms = [
            np.diagonal(self._kernel(X[part], X[part]))
            for part in gen_batches(len(X), size)
        ]
        return self._kernel(X, self.X), np.concatenate(norms)

    def gram(self) -> Floats:
        """Products of the training rows with each other."""
        X = self.X.astype(np.float64)
        return self._kernel(X, X)

    def _kernel(self, X: Any, Y: Any) -> Floats:
        Y = Y.astype(np.float64, copy=False)
        if callable(self.kernel):
            return self._called(X, Y)
        if self.kernel == "cosine":  # rows of any size have an angle
            X, Y = _of_size_one(X), _of_size_one(Y)
        with np.errstate(over="ignore", invalid="ignore"):
            K = pairwise_kernels(X, Y, metric=self.kernel, **self.parameters)
        return self._checked(np.asarray(K, dtype=np.float64))

    def _called(self, X: Any, Y: Any) -> Floats:
        """Products by a callable; half of those of equal rows, which are symmetric."""
        shape = (len(X), len(Y))
        if not self.by_pairs:
            return self._checked(self._numbers(self.kernel, X, Y, shape))
        K = np.empty(shape)
        for i, x in enumerate(X):
            others = Y[i:] if Y is X else Y
            K[i, len(Y) - len(others) :] = self._numbers(
                self._with_each, x, others, (len(others),)
            )
        if Y is X:
            lower = np.tril_indices(len(K), -1)
            K[lower] = K.T[lower]
        return self._checked(K)

    def _with_each(self, x: Any, Y: Any, **parameters: Any) -> Any:
        assert callable(self.kernel)
        return np.array([self.kernel(x, y, **parameters) for y in Y])

    def _numbers(self, function: Any, X: Any, Y: Any, shape: tuple[int, ...]) -> Floats:
        """Values of a function, which must be real numbers of a shape."""
        try:
            with np.errstate(all="ignore"):
                values = np.asarray(function(X, Y, **self.parameters))
        except Exception as error:
            raise ValueError(f"{self._asked} It raised {error!r}.") from error
        if values.shape != shape or values.dtype.kind not in "biuf":
            raise ValueError(
                f"{self._asked} Found an array of shape {values.shape} and type "
                f"{values.dtype}, for one of shape {shape}."
            )
        return values.astype(np.float64)

    @property
    def _asked(self) -> str:
        return (
            f"kernel={self.kernel!r} must give a real number for two rows, or a matrix "
            "of shape (n, m) for arrays of n and m rows."
        )

    def _checked(self, K: Floats) -> Floats:
        if not np.isfinite(K).all():
            raise ValueError(
                f"kernel={self.kernel!r} gives products that are not finite: scale "
                "the rows, or choose other kernel parameters."
            )
        return K


def gives_matrices(kernel: Any, parameters: dict[str, Any], X: Any) -> bool:
    """Whether a function gives a matrix for two arrays of rows.

    It is tried on two numbers of rows that differ from each other and from the number
    of features: a function of two rows fails then, or gives something else.
    """
    n, m = (2, 3) if X.shape[1] not in (2, 3) else (4, 5)
    rows = np.resize(X, (m, X.shape[1]))
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bool(np.shape(kernel(rows[:n], rows, **parameters)) == (n, m))
    except Exception:  # noqa: BLE001 - functions of rows fail in their own ways
        return False


def _of_size_one(X: Any) -> Any:
    """Rows whose largest entry is one; rows of zeros stay."""
    X = np.asarray(X, dtype=np.float64)
    sizes = np.abs(X).max(axis=1, keepdims=True)
    return X / np.where(sizes > 0.0, sizes, 1.0)


@dataclass(frozen=True, eq=False, repr=False)
class GivenProducts:
    """Products that the caller computes; the norms of rows follow from them.

    Parameters
    ----------
    index : array of shape (n,)
        Columns of the training rows, sorted by class.
    norm : float or None
        Squared norm of the training rows, where all have the same.
    rank, pivots, factor :
        The span of the training rows, see `Span`.
    """

    index: NDArray[np.intp]
    norm: float | None
    rank: int
    pivots: NDArray[np.intp]
    factor: Floats

    @classmethod
    def of(cls, index: NDArray[np.intp], K: Floats, spanned: Span) -> GivenProducts:
        """Take the norms from the Gram matrix (n, n) of the sorted training rows."""
        norms = K.diagonal()
        same = np.allclose(norms, norms[0], rtol=1e-7, atol=0.0)
        return cls(index, float(norms[0]) if same else None, **vars(spanned))

    def __call__(self, X: Any) -> tuple[Floats, Floats]:
        """Products with the training rows (b, n) and with themselves (b,)."""
        K = np.asarray(X[:, self.index], dtype=np.float64)
        if self.norm is not None:
            return K, np.full(len(K), self.norm)
        return K, Span(self.rank, self.pivots, self.factor).squared_norms(K)


def products_of(rows: Training, estimator: Any, unit: float) -> list[Products]:
    """Products for the kernel parameters of an estimator; several to choose from.

    ``rows`` are in units of ``unit``, and so is the ``gamma`` of the products.
    """
    kernel, gamma = estimator.kernel, estimator.gamma
    if callable(kernel):
        return [Products.of_callable(kernel, estimator.kernel_params or {}, rows.X)]
    if kernel not in ("rbf", "poly"):
        return [Products(kernel, {}, rows.X)]
    if gamma is not None:
        gammas = [min(gamma * unit * unit, np.finfo(np.float64).max)]
    elif kernel == "poly":
        gammas = [1.0 / spread_of(rows, assume_centered=True) ** 2]
    else:
        # the mean squared distance of two rows is twice that to the mean
        gammas = [0.5 / spread_of(rows, assume_centered=False) ** 2]
        if estimator.epsilon == "auto":
            gammas.append(gammas[0] / 8.0)
    if kernel == "poly":
        more = {"degree": estimator.degree, "coef0": estimator.coef0}
        return [Products(kernel, {"gamma": value, **more}, rows.X) for value in gammas]
    first = Products.of_distances(kernel, {"gamma": gammas[0]}, rows.X)
    return [replace(first, parameters={"gamma": gamma}) for gamma in gammas]


class KernelCoder(Coder):
    """Classes by the products of their rows.

    Parameters
    ----------
    groups : list of KernelGroup
        One a class; the training rows are sorted by class.
    products : Products or GivenProducts
        Gives, for rows, their products with the sorted training rows (b, n) and with
        themselves (b,).
    leverages : list of Leverages
        Of the training rows of each class; only leave-one-out needs them.
    """

    def __init__(
        self,
        groups: list[KernelGroup],
        products: Products | GivenProducts,
        leverages: Sequence[Leverages] = (),
    ) -> None:
        self.groups, self.products = groups, products
        self.leverages = leverages
        self.n_classes = len(groups)
        self.n_features = groups[0].code.n_features
        self.counts = [group.code.count for group in groups]
        self.training_spread = 1.0
        self.gram: Any = None  # only leave-one-out needs it
        self.stops = np.cumsum([len(group.shares) for group in groups])

    @classmethod
    def fit(
        cls, rows: Training, products: Products, assume_centered: bool
    ) -> KernelCoder:
        """Factor every class from the products of the training rows."""
        given: Products | GivenProducts = products
        eps = EPS
        if products.kernel == "precomputed":
            K = np.asarray(rows.X[:, rows.index], dtype=np.float64)
            eps = float(np.finfo(rows.X.dtype).eps)
            spanned = span(K, eps)
            given = GivenProducts.of(rows.index, K, spanned)
        else:
            K = products.gram()
            spanned = span(K)
        weights = np.concatenate(rows.class_weights())
        fitted = [
            kernel_group(
                K[part, part], weights[part], max(spanned.rank, 1), assume_centered, eps
            )
            for part in rows.slices
        ]
        coder = cls([g for g, _ in fitted], given, [rest for _, rest in fitted])
        coder.gram = K
        shares = weights / weights.sum()
        norm = float(shares @ K.diagonal())
        spread = norm if assume_centered else norm - float(shares @ K @ shares)
        coder.training_spread = root_spread(spread, norm, math.sqrt(EPS) / 4.0)
        return coder

    def plain(self) -> dict[str, Any]:
        """Return the state as arrays, numbers and containers."""
        groups = [{**vars(g), "code": vars(g.code)} for g in self.groups]
        return {"groups": groups, "products": vars(self.products)}

    @classmethod
    def of_plain(cls, state: dict[str, Any]) -> KernelCoder:
        """Restore the coder from its plain state."""
        groups = [
            KernelGroup(**{**group, "code": Code(**group["code"])})
            for group in state["groups"]
        ]
        kind = Products if "kernel" in state["products"] else GivenProducts
        return cls(groups, kind(**state["products"]))

    @property
    def width(self) -> int:
        """Entries that one row takes: its products, and those of a class centred."""
        return 2 * int(self.stops[-1])

    def spread(self, rows: Training) -> float:
        """Root mean square distance of rows to their mean in feature space."""
        return self.training_spread

    def prepare(self, X: Any) -> Prepared:
        """Every class needs products."""
        return self.products(X)

    def prepare_training(self, rows: Training, index: Any) -> Prepared:
        """Return the products of some training rows, which are known."""
        return self.gram[index], self.gram.diagonal()[index]

    def joined(self, j: int, prepared: Prepared, epsilons: Any) -> Any:
        """Extra nats (b, e) of rows that are not in class ``j``."""
        code = self.groups[j].code
        return joined_extra(code, self._coordinates(j, prepared), epsilons)

    def left(
        self, j: int, rows: Training, index: Any, prepared: Prepared, epsilons: Any
    ) -> Any:
        """Extra nats (b, e) of rows ``index``, all of class ``j``, when left out."""
        return left_out_extra(
            self.groups[j].code,
            self._coordinates(j, prepared),
            epsilons,
            rows.weights_of(index),
            self.leverages[j].take(rows.positions[index]),
        )

    def lengths(self, epsilons: Any) -> Any:
        """Nats of each class itself, of shape (k, e)."""
        return np.stack([group.code.length(epsilons) for group in self.groups])

    def _coordinates(self, j: int, prepared: Prepared) -> Coordinates:
        K, norms = prepared
        part = slice(self.stops[j] - len(self.groups[j].shares), self.stops[j])
        return self.groups[j].coordinates(K[:, part], norms)
