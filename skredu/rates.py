r"""Functions that compute coding lengths, coding rates and the rate reduction.

The *distortion* ``epsilon`` is a length in the units of the samples, and the formulas
use its square. Code that was published with the papers passes the square under the name
``eps``; its ``eps=0.1`` is ``epsilon=0.1**0.5`` here. Coding lengths are in bits, and
rates are in nats.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np

from skredu._checks import distortion, memberships, rows_and_weights
from skredu._compat import namespace
from skredu.coding._linalg import (
    largest,
    log_volume,
    power_of_two,
    volume_gradient,
    widen,
)
from skredu.coding._scatter import centre

__all__ = [
    "class_coding_rate",
    "coding_length",
    "coding_rate",
    "partition_coding_length",
    "rate_reduction",
    "rate_reduction_gradient",
]


def coding_length(
    X: Any, *, epsilon: float, assume_centered: bool = False, weights: Any = None
) -> float:
    r"""Compute the coding length of samples, in bits.

    It is the number of bits that are needed to code the samples up to the distortion
    ``epsilon``,

    .. math::

        L(X) = \frac{n+d}{2} \log_2 \det\Bigl(I + \frac{d}{n\epsilon^2} S\Bigr)
               + \frac{d}{2} \log_2\Bigl(1 + \frac{\mu^T\mu}{\epsilon^2}\Bigr)

    with the mean :math:`\mu` and the scatter :math:`S = \sum_i (x_i-\mu)(x_i-\mu)^T`.
    With ``assume_centered=True``, the scatter is :math:`S = \sum_i x_i x_i^T`, and
    there is no second term.

    Parameters
    ----------
    X : array of shape (n, d)
        The samples.
    epsilon : float
        Distortion, a length in the units of ``X``. Published code uses its square.
    assume_centered : bool, default=False
        Whether to code linear subspaces through the origin instead of affine ones.
    weights : array of shape (n,), default=None
        Number of copies of each sample; fractions are allowed.

    Returns
    -------
    length : float
        Coding length in bits.

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive and finite, if ``X`` is not a dense, finite,
        two-dimensional array of real numbers, or if ``weights`` are negative, all zero
        or of a different length.

    See Also
    --------
    partition_coding_length : Compute the coding length of a partition.
    coding_rate : Compute the coding rate, in nats per sample.

    References
    ----------
    Ma, Derksen, Hong and Wright, "Segmentation of multivariate mixed data via lossy
    data coding and compression", IEEE TPAMI 29(9), 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from skredu.rates import coding_length
    >>> line = np.outer(np.linspace(-1, 1, 50), [1.0, 2.0])
    >>> round(coding_length(line, epsilon=0.1), 2)
    219.51
    >>> round(coding_length(line, epsilon=0.01), 2)
    392.14
    """
    X, weights = rows_and_weights(X, weights)
    return float(_length(X, distortion(epsilon), assume_centered, weights))


def partition_coding_length(
    X: Any,
    y: Any,
    *,
    epsilon: float,
    assume_centered: bool = False,
    weights: Any = None,
) -> float:
    r"""Compute the coding length of a partition, including its labels, in bits.

    Each group is coded separately, and so are the labels, which takes

    .. math:: \sum_j L(X_j) + \sum_j n_j \bigl(-\log_2 (n_j / n)\bigr)

    bits.

    Parameters
    ----------
    X : array of shape (n, d)
        The samples.
    y : array of shape (n,) or (n, k)
        Labels of any sortable type, or memberships, where each row sums to one.
    epsilon : float
        Distortion, a length in the units of ``X``. Published code uses its square.
    assume_centered : bool, default=False
        Whether to code linear subspaces through the origin instead of affine ones.
    weights : array of shape (n,), default=None
        Number of copies of each sample; fractions are allowed.

    Returns
    -------
    length : float
        Total coding length in bits.

    Raises
    ------
    ValueError
        If a parameter or an array is invalid; see `coding_length`.

    Examples
    --------
    >>> import numpy as np
    >>> from skredu.rates import coding_length, partition_coding_length
    >>> t = np.linspace(-1, 1, 50)
    >>> cross = np.concatenate([np.outer(t, [1.0, 0.0]), np.outer(t, [0.0, 1.0])])
    >>> labels = np.repeat([0, 1], 50)
    >>> bits = partition_coding_length(cross, labels, epsilon=0.01)
    >>> bool(bits < coding_length(cross, epsilon=0.01))
    True
    """
    X, weights = rows_and_weights(X, weights)
    epsilon, n = distortion(epsilon), _count(X, weights)
    total: Any = 0.0
    for _, rows, share, n_j in _groups(X, y, weights):
        if n_j > 0.0:
            total += _length(rows, epsilon, assume_centered, share)
            total += n_j * (math.log2(n) - math.log2(n_j))
    return float(total)


def coding_rate(Z: Any, *, epsilon: float, weights: Any = None) -> float:
    r"""Compute the coding rate of samples about the origin, in nats.

    .. math:: R(Z) = \tfrac12 \log\det(I + \alpha Z^T Z), \quad \alpha = d/(n\epsilon^2)

    Parameters
    ----------
    Z : array of shape (n, d)
        The features, usually on the unit sphere.
    epsilon : float
        Distortion, a length in the units of ``Z``. Published code uses its square.
    weights : array of shape (n,), default=None
        Number of copies of each sample; fractions are allowed.

    Returns
    -------
    rate : float
        Coding rate in nats.

    Raises
    ------
    ValueError
        If a parameter or an array is invalid; see `coding_length`.

    References
    ----------
    Yu, Chan, You, Song and Ma, "Learning diverse and discriminative representations
    via the principle of maximal coding rate reduction", NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skredu.rates import coding_rate
    >>> round(coding_rate(np.eye(2), epsilon=0.1**0.5), 4)
    2.3979
    """
    Z, weights = rows_and_weights(Z, weights, "Z")
    return float(_rate(Z, distortion(epsilon), weights))


def class_coding_rate(Z: Any, y: Any, *, epsilon: float, weights: Any = None) -> float:
    r"""Compute the mean coding rate of the classes, in nats.

    .. math::

        R_c(Z, \Pi) = \sum_j \frac{\gamma_j}{2} \log\det(I + \alpha_j Z^T \Pi_j Z),
        \quad \gamma_j = n_j / n, \; \alpha_j = d/(n_j\epsilon^2)

    Parameters
    ----------
    Z : array of shape (n, d)
        The features, usually on the unit sphere.
    y : array of shape (n,) or (n, k)
        Labels of any sortable type, or memberships, where each row sums to one.
    epsilon : float
        Distortion, a length in the units of ``Z``. Published code uses its square.
    weights : array of shape (n,), default=None
        Number of copies of each sample; fractions are allowed.

    Returns
    -------
    rate : float
        Coding rate of the classes in nats.

    Raises
    ------
    ValueError
        If a parameter or an array is invalid; see `coding_length`.

    Examples
    --------
    >>> import numpy as np
    >>> from skredu.rates import class_coding_rate
    >>> round(class_coding_rate(np.eye(2), [0, 1], epsilon=0.1**0.5), 4)
    1.5223
    """
    Z, weights = rows_and_weights(Z, weights, "Z")
    epsilon, n = distortion(epsilon), _count(Z, weights)
    rates = [
        n_j / n * _rate(rows, epsilon, share)
        for _, rows, share, n_j in _groups(Z, y, weights)
        if n_j > 0.0
    ]
    return float(sum(rates))


def rate_reduction(Z: Any, y: Any, *, epsilon: float, weights: Any = None) -> float:
    r"""Compute the rate reduction, in nats.

    The rate reduction :math:`\Delta R = R - R_c \ge 0` is the coding rate that is saved
    by coding each class separately. In the rate of all samples, directions below the
    rounding errors of the largest entry do not count. If they do in a class of small
    samples, the result is too small, but never negative.

    Parameters
    ----------
    Z : array of shape (n, d)
        The features, usually on the unit sphere.
    y : array of shape (n,) or (n, k)
        Labels of any sortable type, or memberships, where each row sums to one.
    epsilon : float
        Distortion, a length in the units of ``Z``. Published code uses its square.
    weights : array of shape (n,), default=None
        Number of copies of each sample; fractions are allowed.

    Returns
    -------
    delta_R : float
        Rate reduction in nats.

    Raises
    ------
    ValueError
        If a parameter or an array is invalid; see `coding_length`.

    See Also
    --------
    rate_reduction_gradient : Compute the gradient of the rate reduction.

    Examples
    --------
    Two orthogonal classes have the largest rate reduction in two dimensions:

    >>> import numpy as np
    >>> from skredu.rates import rate_reduction
    >>> round(rate_reduction(np.eye(2), [0, 1], epsilon=0.1**0.5), 4)
    0.8756
    """
    options = {"epsilon": epsilon, "weights": weights}
    rate, classes = coding_rate(Z, **options), class_coding_rate(Z, y, **options)
    return max(0.0, rate - classes)  # the rounding errors of a class may be smaller


def rate_reduction_gradient(
    Z: Any, y: Any, *, epsilon: float, weights: Any = None
) -> Any:
    r"""Compute the gradient of the rate reduction with respect to the features.

    .. math::

        \frac{\partial \Delta R}{\partial Z} = Z E - \sum_j \gamma_j \Pi_j Z C_j,
        \quad E = \alpha (I + \alpha Z^T Z)^{-1},
        \; C_j = \alpha_j (I + \alpha_j Z^T \Pi_j Z)^{-1}

    Parameters
    ----------
    Z : array of shape (n, d)
        The features, usually on the unit sphere.
    y : array of shape (n,) or (n, k)
        Labels of any sortable type, or memberships, where each row sums to one.
    epsilon : float
        Distortion, a length in the units of ``Z``. Published code uses its square.
    weights : array of shape (n,), default=None
        Number of copies of each sample; fractions are allowed.

    Returns
    -------
    gradient : array of shape (n, d)
        The gradient, in the precision and namespace of ``Z``.

    Raises
    ------
    ValueError
        If a parameter or an array is invalid; see `coding_length`.

    References
    ----------
    Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
    principle of maximizing rate reduction", JMLR 23, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skredu.rates import rate_reduction_gradient
    >>> rate_reduction_gradient(np.eye(2), [0, 1], epsilon=1.0).round(3)
    array([[0.167, 0.   ],
           [0.   , 0.167]])
    """
    Z, weights = rows_and_weights(Z, weights, "Z")
    epsilon, xp = distortion(epsilon), namespace(Z)
    gradient = None
    with suppress(OverflowError), np.errstate(over="ignore", invalid="ignore"):
        gradient = xp.astype(_gradient(Z, y, epsilon, weights), Z.dtype)
    if gradient is None or not xp.all(xp.isfinite(gradient)):
        raise ValueError(
            f"Bad Z: with epsilon={epsilon}, the gradient is too large for a float; "
            "scale both Z and epsilon."
        )
    return gradient


def _gradient(Z: Any, y: Any, epsilon: float, weights: Any) -> Any:
    xp, n = namespace(Z), _count(Z, weights)
    indices, parts = [], []
    for index, rows, share, n_j in _groups(Z, y, weights):
        indices.append(index)
        parts.append(n_j / n * _rate_gradient(rows, epsilon, share))
    if indices[0] is None:
        within = sum(parts)
    else:
        order = xp.argsort(xp.concat(indices))
        within = xp.take(xp.concat(parts), order, axis=0)
    return _rate_gradient(Z, epsilon, weights) - within


def _length(X: Any, epsilon: float, assume_centered: bool, weights: Any) -> Any:
    """Compute the coding length in bits of valid samples."""
    d, size = X.shape[1], power_of_two(largest(X))
    n, mean, _, rows = centre(widen(X) / size, weights, assume_centered=assume_centered)
    log_scale = _log_scale(n, d, epsilon) + math.log(size)
    nats = (n + d) / 2 * log_volume(rows, log_scale=log_scale)
    if not assume_centered:
        log_scale = math.log(size) - math.log(epsilon)
        nats += d / 2 * log_volume(mean[None, :], log_scale=log_scale)
    return nats / math.log(2.0)


def _rate(Z: Any, epsilon: float, weights: Any) -> Any:
    """Compute the coding rate in nats of valid samples."""
    rows, n = _shared(Z, weights)
    return 0.5 * log_volume(rows, log_scale=_log_scale(n, Z.shape[1], epsilon))


def _rate_gradient(Z: Any, epsilon: float, weights: Any) -> Any:
    """Compute the gradient of the coding rate with respect to unweighted rows."""
    if _count(Z, weights) == 0.0:
        return namespace(Z).zeros_like(widen(Z))
    rows, n = _shared(Z, weights)
    gradient = volume_gradient(rows, log_scale=_log_scale(n, Z.shape[1], epsilon))
    return _shared(gradient, weights)[0]


def _log_scale(n: float, d: int, epsilon: float) -> float:
    """Return half the logarithm of d / (n epsilon^2)."""
    return 0.5 * (math.log(d) - math.log(n)) - math.log(epsilon)


def _shared(Z: Any, weights: Any) -> tuple[Any, float]:
    """Return rows in double precision and the number by which to divide their scatter.

    Weighted rows are multiplied by the square roots of their shares of the total
    weight. These are at most one, so no row overflows. The returned number is then one.
    """
    xp = namespace(Z)
    if weights is None:
        return widen(Z), float(Z.shape[0])
    shares = widen(weights) / _count(Z, weights)
    return xp.sqrt(shares)[:, None] * widen(Z), 1.0


def _count(Z: Any, weights: Any) -> float:
    """Return the total weight of the samples."""
    xp = namespace(Z)
    return float(Z.shape[0] if weights is None else xp.sum(widen(weights)))


def _groups(X: Any, y: Any, weights: Any) -> list[tuple[Any, Any, Any, float]]:
    """Return index (None for all), rows, weights and total weight of each group."""
    xp = namespace(X)
    y = memberships(y, X)
    groups = []
    if y.ndim == 2:
        for j in range(y.shape[1]):
            share = y[:, j] if weights is None else weights * y[:, j]
            groups.append((None, X, share, _count(X, share)))
        return groups
    for j in range(int(xp.max(y)) + 1):
        index = xp.nonzero(y == j)[0]
        rows = xp.take(X, index, axis=0)
        share = None if weights is None else xp.take(weights, index)
        groups.append((index, rows, share, _count(rows, share)))
    return groups
