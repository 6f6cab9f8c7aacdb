r"""MICL in the span of the training samples, computed from inner products only.

A class is factored by the eigenvectors of its centred Gram matrix. A new sample then
needs its products with the samples of the class and with itself. The component outside
the span of the class is the rest of its squared norm, so nothing is approximated.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack, solve_triangular
from sklearn.metrics.pairwise import pairwise_kernels

from skredu._base import warn
from skredu._progress import UNWATCHED, Progress
from skredu.coding._classes import Classes
from skredu.coding._group import Blocks, Group, shrunk, vector_blocks
from skredu.coding._linalg import blocks_of_rows, on_sphere
from skredu.coding._rows import Rows, root_spread
from skredu.coding._scatter import without_directions
from skredu.coding._symmetry import images, permutations_of

Floats = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)
# Largest product relative to the square of a small distortion.
MOST_PRODUCT = 1e304
# Largest product times the total weight of the samples, so that sums are finite.
MOST_WEIGHTED = 1e304
# Largest squared cosine of an eigenvector of a centred class and its null direction.
MOST_NULL = 0.1
# Second candidate of ``gamma`` with an automatic distortion, relative to the first one.
WIDER = {"rbf": 1.0 / 8.0, "laplacian": 0.3}
# Number of samples whose mutual products are computed for the diagonal only.
NORM_BLOCK = 32


@dataclass(frozen=True, eq=False, repr=False)
class KernelGroup(Group):
    """A coded class in feature space.

    The features of samples are their products with all training samples and, last, with
    themselves, of shape (1, n + 1, b). The eigenvectors in ``basis`` are combinations
    of the samples of the class, and ``mean`` contains the shares of these in the mean.

    Parameters
    ----------
    start : int, default=0
        Position of the first sample of the class among the training samples.
    products : array of shape (n_j,)
        Products of the samples of the class with their mean.
    mean_square : float, default=0.0
        Squared norm of the mean.
    """

    start: int = 0
    products: Any = None
    mean_square: float = 0.0

    def to_state(self, **needed: bool) -> dict[str, Any]:
        """Return everything that predictions need as arrays, numbers and containers."""
        names = ("start", "products", "mean_square")
        return {
            **super().to_state(**needed),
            **{name: getattr(self, name) for name in names},
        }

    def width(self, n_epsilons: int) -> int:
        """Return how many numbers one sample takes while it is coded."""
        return 3 * (self.start + len(self.products) + n_epsilons)

    def _mean_products(self, Z: Any) -> tuple[Any, Any, Any]:
        if Z is None:
            return self.mean_square, 0.0, 0.0
        return self.mean_square, self.mean @ self._own(Z), Z[0, -1]

    def _own(self, Z: Any) -> Any:
        """Return the products of samples with those of the class, (n_j, b)."""
        return Z[0, self.start : self.start + len(self.products)]

    def _forms(self, Z: Any, c: Any, power: int = 1, known: Any = None) -> Any:
        K, total = self._own(Z), Z[0, -1]
        if self.mean is not None:
            dots = self.mean @ K
            K = K - self.products[:, None] + (self.mean_square - dots)
            total = total - 2.0 * dots + self.mean_square
        inside = (self.basis[0].T @ K) ** 2
        outside = np.maximum(total - inside.sum(axis=0), 0.0)
        return shrunk(inside[None], self.eigenvalues, c, power) + outside


def kernel_group(
    K: Floats,
    weights: Floats,
    blocks: Blocks,
    assume_centered: bool,
    eps: float = EPS,
    start: int = 0,
) -> KernelGroup:
    """Factor a class from its Gram matrix (n_j, n_j) and weights (n_j,).

    ``eps`` is the relative rounding error of the products.
    """
    n = float(weights.sum())
    # rounding errors of the products remain after centring
    floor = len(K) * eps * float((weights * np.abs(K.diagonal())).max())
    shares, roots = weights / n, np.sqrt(weights)
    products, mean_square = np.zeros(len(K)), 0.0
    if not assume_centered:
        products = K @ shares
        mean_square = max(float(products @ shares), 0.0)
        K = K - products - products[:, None] + mean_square
    eigenvalues, V = np.linalg.eigh(K * roots * roots[:, None])
    top = float(np.abs(eigenvalues).max())
    if eigenvalues[0] < -max(floor, 1e-6 * top):
        warn(
            "The kernel is not positive semi-definite on the training data: found an "
            f"eigenvalue of {eigenvalues[0]:.3g} and a largest one of {top:.3g}; "
            "negative eigenvalues are replaced by 0."
        )
    keep = eigenvalues > max(floor, len(K) * eps * top)
    if not assume_centered:  # this direction is null, whatever rounding makes of it
        keep &= (np.sqrt(shares) @ V) ** 2 < MOST_NULL
    basis = roots[:, None] * V / np.sqrt(np.where(keep, eigenvalues, 1.0))
    group = Group(
        n,
        blocks,
        eigenvalues[None],
        basis[None],
        None if assume_centered else shares,
        leverages=V.T[None] ** 2,
    )
    kept = vars(without_directions(group, keep, shares))
    return KernelGroup(**kept, start=start, products=products, mean_square=mean_square)


def span(K: Floats, eps: float = EPS) -> tuple[NDArray[np.intp], Floats]:
    """Find samples that span all others, and their factor, by their Gram matrix (n, n).

    The number of samples is the rank, and the factor is lower-triangular.
    """
    top = float(K.diagonal().max(initial=0.0))
    factor, pivots, rank, _ = lapack.dpstrf(K, lower=1, tol=len(K) * eps * top)
    chosen = np.asarray(pivots[:rank] - 1, dtype=np.intp)
    return chosen, np.tril(factor[:rank, :rank])


class Products:
    """Products of samples with the training samples and with themselves.

    Parameters
    ----------
    kernel : str or callable
    parameters : dict
        Keyword arguments of the kernel.
    X : array of shape (n, d) or None
        The training samples minus the origin; None if products are precomputed.
    origin : array of shape (d,), default=0.0
        Vector that is subtracted from samples first, so that distances far from zero
        are precise.
    by_pairs : bool, default=False
        Whether the kernel is a function of two samples instead of two arrays.
    index : array of shape (n,), default=None
        Columns of the sorted training samples in precomputed products.
    norms : float or tuple of arrays, default=None
        Determines squared norms: the common norm of all training samples, or their
        span; see `span`.
    epsilon : float, default=1.0
        The distortion, compared with which products must be in range.
    images : array of int of shape (g, d), default=None
        Permutations of features, over which the kernel is averaged.
    """

    def __init__(
        self,
        kernel: str | Callable[..., Any],
        parameters: dict[str, Any],
        X: Any,
        origin: Any = 0.0,
        by_pairs: bool = False,
        index: Any = None,
        norms: Any = None,
        epsilon: float = 1.0,
        images: Any = None,
    ) -> None:
        self.kernel, self.parameters, self.X = kernel, parameters, X
        self.images = images
        self.origin, self.by_pairs = origin, by_pairs
        self.index, self.norms, self.epsilon = index, norms, epsilon

    def __call__(self, X: Any) -> Floats:
        """Return features (1, n + 1, b): products with the training samples and own."""
        if self.kernel == "precomputed":
            K = self.checked(np.asarray(X[:, self.index], dtype=np.float64))
            if isinstance(self.norms, float):
                return as_features(K, self.norms)
            pivots, factor = self.norms
            solved = solve_triangular(
                factor, K[:, pivots].T, lower=True, check_finite=False
            )
            return as_features(K, np.einsum("ij,ij->j", solved, solved))
        # rounding errors of single precision would appear as additional dimensions
        X = X.astype(np.float64, copy=False) - self.origin
        if self.kernel in ("rbf", "laplacian") and self.images is None:
            return as_features(self._kernel(X, self.X), 1.0)
        size = 1 if self.by_pairs else NORM_BLOCK
        norms = [
            np.diagonal(self._kernel(X[part], X[part]))
            for part in blocks_of_rows(len(X), 1, size)
        ]
        return as_features(self._kernel(X, self.X), np.concatenate(norms))

    def gram(self) -> Floats:
        """Return the products of the training samples with each other."""
        X = self.X.astype(np.float64)
        return self._kernel(X, X)

    def _kernel(self, X: Any, Y: Any) -> Floats:
        Y, kernel = Y.astype(np.float64, copy=False), self.kernel
        if not callable(kernel):
            if kernel == "cosine":  # samples of any magnitude have an angle
                X, Y = on_sphere(X), on_sphere(Y)
            turned = [Y] if self.images is None else images(Y, self.images)
            with np.errstate(over="ignore", invalid="ignore"):
                K = sum(
                    pairwise_kernels(X, part, metric=kernel, **self.parameters)
                    for part in turned
                )
                K = np.asarray(K, dtype=np.float64) / len(turned)
        elif not self.by_pairs:
            K = self._values(kernel, X, Y, (len(X), len(Y)))
        else:
            K = np.empty((len(X), len(Y)))
            for i, x in enumerate(X):
                others = Y[i:] if Y is X else Y  # the kernel is symmetric
                K[i, len(Y) - len(others) :] = self._values(
                    lambda x, Y, **known: [kernel(x, y, **known) for y in Y],
                    x,
                    others,
                    (len(others),),
                )
            if Y is X:
                lower = np.tril_indices(len(K), -1)
                K[lower] = K.T[lower]
        return self.checked(K)

    def checked(self, K: Floats) -> Floats:
        """Raise an error if products, which are squared lengths, are out of range."""
        most = MOST_PRODUCT * min(self.epsilon, 1.0) ** 2
        if not np.all(np.abs(K) <= most):  # false for NaN, too
            raise ValueError(
                f"kernel={self.kernel!r} returns products that are not finite or too "
                f"large compared with epsilon, found {np.max(np.abs(K)):.3g}: up to "
                f"{most:.3g} are allowed. Scale the samples, or choose other kernel "
                "parameters or a larger epsilon."
            )
        return K

    def check_weighted(self, K: Floats, total: float) -> None:
        """Raise an error if products times the total weight are out of range."""
        largest = float(np.abs(K).max(initial=0.0))
        if largest * total > MOST_WEIGHTED:  # of floats, which does not warn
            raise ValueError(
                f"kernel={self.kernel!r} returns products up to {largest:.3g}, and "
                f"the weights of the samples sum to {total:.3g}: their product must "
                f"be at most {MOST_WEIGHTED:.3g}. Scale the samples or sample_weight."
            )

    def _values(self, function: Any, X: Any, Y: Any, shape: tuple[int, ...]) -> Floats:
        """Return the values of a function if they are real and of the right shape."""
        asked = (
            f"kernel={self.kernel!r} must return a real number for two samples, or a "
            "matrix of shape (n, m) for arrays of n and m samples."
        )
        try:
            with np.errstate(all="ignore"):
                values = np.asarray(function(X, Y, **self.parameters))
        except Exception as error:
            raise ValueError(f"{asked} It raised {error!r}.") from error
        if values.shape != shape or values.dtype.kind not in "biuf":
            raise ValueError(
                f"{asked} Found an array of shape {values.shape} and type "
                f"{values.dtype} instead of shape {shape}."
            )
        return values.astype(np.float64)


def gives_matrices(kernel: Any, parameters: dict[str, Any], X: Any) -> bool:
    """Return whether a function returns a matrix for two arrays of samples.

    It is called with two numbers of samples that differ from each other and from the
    number of features: a function of two samples then fails or returns something else.
    """
    n, m = (2, 3) if X.shape[1] not in (2, 3) else (4, 5)
    rows = np.resize(X, (m, X.shape[1]))
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bool(np.shape(kernel(rows[:n], rows, **parameters)) == (n, m))
    except Exception:  # noqa: BLE001 - functions of rows fail in their own ways
        return False


def as_features(K: Floats, norms: Any) -> Floats:
    """Combine products (b, n) and squared norms (b,) to features (1, n + 1, b)."""
    rows = np.empty((len(K), K.shape[1] + 1))
    rows[:, :-1], rows[:, -1] = K, norms
    return rows.T[None]


def products_of(
    rows: Rows, estimator: Any, unit: float, gamma_factor: float | None = None
) -> list[Products]:
    """Return the kernel products of an estimator, one for each candidate of ``gamma``.

    ``rows`` are in units of ``unit``, and so is the ``gamma`` of the products. A factor
    multiplies its default, and leaves no other candidate.
    """
    kernel, gamma, X = estimator.kernel, estimator.gamma, rows.X
    group = permutations_of(estimator.symmetry, estimator.signal_shape, X.shape[1])
    if callable(kernel):
        parameters = dict(estimator.kernel_params or {})
        by_pairs = not gives_matrices(kernel, parameters, X.astype(np.float64))
        return [Products(kernel, parameters, X, by_pairs=by_pairs)]
    if kernel not in ("rbf", "laplacian", "poly"):
        known = None if kernel == "precomputed" else X
        return [Products(kernel, {}, known, images=group)]
    if gamma is not None:
        gammas = [min(gamma * unit ** unit_power(kernel), np.finfo(np.float64).max)]
    elif kernel == "poly":
        gammas = [1.0 / rows.spread(assume_centered=True) ** 2]
    elif kernel == "laplacian":
        gammas = [1.0 / mean_distance(rows, group)]
    else:
        # the mean squared distance of two samples is twice that from the mean
        gammas = [0.5 / rows.spread(assume_centered=False, permutations=group) ** 2]
    if gamma_factor is not None:
        gammas = [gammas[0] * gamma_factor]
    elif kernel in WIDER and gamma is None and estimator.epsilon == "auto":
        gammas.append(gammas[0] * WIDER[kernel])
    parameters, origin = {}, np.zeros(X.shape[1])
    if kernel == "poly":
        parameters = {"degree": estimator.degree, "coef0": estimator.coef0}
    else:  # a kernel of distances does not change if all samples are shifted
        origin = X.mean(axis=0, dtype=np.float64)
        origin = origin if group is None else origin[group].mean(axis=0)
        X = X - origin
    return [
        Products(kernel, {"gamma": value, **parameters}, X, origin, images=group)
        for value in gammas
    ]


def unit_power(kernel: str) -> int:
    """Return the power of lengths in a kernel, whose inverse is that in ``gamma``."""
    return 1 if kernel == "laplacian" else 2


def mean_distance(rows: Rows, permutations: Any = None) -> float:
    r"""Return the mean sum of absolute differences between two training samples.

    With ``permutations`` (g, d), it is that between all images of the samples. For one
    feature with the distribution function F, it is :math:`2 \int F (1 - F) dx`. If all
    samples are equal, one is returned, so the result can always be used as a unit of
    length.
    """
    group = np.arange(rows.X.shape[1])[None] if permutations is None else permutations
    shares, total = np.repeat(rows.all_weights, len(group)), 0.0
    shares = shares / shares.sum()
    for places in group.T:
        column = rows.X[:, places].ravel()
        order = np.argsort(column, kind="stable")
        below = np.cumsum(shares[order])[:-1]
        gaps = np.diff(column[order].astype(np.float64))
        total += 2.0 * float(gaps @ (below * np.maximum(1.0 - below, 0.0)))
    return total if total > 0.0 else 1.0


class KernelClasses(Classes):
    """Classes represented by the products of their samples.

    Parameters
    ----------
    groups : list of KernelGroup
        Groups of the training samples, which are sorted by class.
    products : Products
        Computes the features of samples.
    Z : array of shape (1, n + 1, n), default=None
        Features of the training samples, to leave them out.
    spread : float, default=None
        Root mean square distance of the training samples from their mean.
    """

    products: Products

    @classmethod
    def fit(
        cls,
        rows: Rows,
        products: Products,
        assume_centered: bool,
        progress: Progress = UNWATCHED,
    ) -> KernelClasses:
        """Factor every class from the products of the training samples."""
        eps = EPS
        with progress.task("products"):
            if products.kernel == "precomputed":
                K = products.checked(np.asarray(rows.X[:, rows.index], np.float64))
                eps = float(np.finfo(rows.X.dtype).eps)
            else:
                K = products.gram()
        pivots, factor = span(K, eps)
        if products.kernel == "precomputed":
            norms = K.diagonal()
            same = np.allclose(norms, norms[0], rtol=1e-7, atol=0.0)
            products.index = rows.index
            products.norms = float(norms[0]) if same else (pivots, factor)
        weights = rows.all_weights
        products.check_weighted(K, float(weights.sum()))
        blocks = vector_blocks(max(len(pivots), 1), K)
        groups = [
            kernel_group(K[p, p], weights[p], blocks, assume_centered, eps, p.start)
            for p in progress.follow("factor classes", rows.slices, len(rows.slices))
        ]
        shares = weights / weights.sum()
        norm = float(shares @ K.diagonal())
        spread = norm if assume_centered else norm - float(shares @ K @ shares)
        spread = root_spread(spread, norm, math.sqrt(EPS) / 4.0)
        return cls._of(groups, products, as_features(K, K.diagonal()), spread)

    def features(self, Z: Any) -> Any:
        """Return the products of samples with the training samples and themselves."""
        return self.products(Z[0].T)

    def to_state(self) -> dict[str, Any]:
        """Return everything that predictions need as arrays, numbers and containers."""
        groups = [group.to_state() for group in self.groups]
        return {"groups": groups, "products": vars(self.products)}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> KernelClasses:
        """Restore the classes from what `to_state` returned."""
        groups = [
            KernelGroup(**{**group, "blocks": Blocks(**group["blocks"])})
            for group in state["groups"]
        ]
        return cls._of(groups, Products(**state["products"]))

    @classmethod
    def _of(cls, groups: list[KernelGroup], products: Products, *known: Any) -> Any:
        found = cls(groups, *known)
        found.products = products
        return found
