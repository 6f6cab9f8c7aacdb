r"""Coding rates of tensors with gradients of all orders.

Every rate is a sum of terms :math:`\tfrac12 \log\det(I + W W^T)`, where the rows of
:math:`W` are the scaled features of one class. The classes are padded with rows of
zeros to one stack (k, m, d), which changes no determinant, and each determinant is
computed on the cheaper side. The computations are in double precision: in single
precision, the matrices lose what is below 1e-7 of their largest entry.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from skredu._checks import distortion

# Up to this trace, a matrix is precise enough for a determinant; singular values of
# the rows themselves have a much larger range.
MAX_TRACE = 1e5
# Classes are padded to one stack if the stack has at most this number of rows per
# sample; more unequal classes are computed one at a time.
MAX_PADDING = 4


def coding_rate(Z: Tensor, *, epsilon: float, weights: Any = None) -> Tensor:
    r"""Compute the coding rate of features about the origin, in nats.

    .. math:: R(Z) = \tfrac12 \log\det(I + \alpha Z^T Z), \quad \alpha = d/(n\epsilon^2)

    Parameters
    ----------
    Z : Tensor of shape (n, d)
        The features, usually on the unit sphere.
    epsilon : float
        Distortion, a length in the units of ``Z``. Published code uses its square.
    weights : Tensor of shape (n,), default=None
        Number of copies of each sample; fractions are allowed. The result is not
        differentiated with respect to them.

    Returns
    -------
    rate : Tensor of shape ()
        Coding rate in nats, through which gradients can be computed.

    Raises
    ------
    ValueError
        If ``Z`` is not a finite two-dimensional tensor of real floating-point numbers,
        if ``epsilon`` is not positive and finite, or if ``weights`` are invalid.

    See Also
    --------
    skredu.rates.coding_rate : The same number for arrays, without gradients.

    Notes
    -----
    The cost is :math:`O(n d \min(n, d))`. A coding rate of single or half precision
    features is computed in double precision and returned in single precision.

    References
    ----------
    Yu, Chan, You, Song and Ma, "Learning diverse and discriminative representations
    via the principle of maximal coding rate reduction", NeurIPS 2020.

    Examples
    --------
    >>> import torch
    >>> from skredu.torch import coding_rate
    >>> Z = torch.eye(2, dtype=torch.float64, requires_grad=True)
    >>> rate = coding_rate(Z, epsilon=0.1**0.5)
    >>> rate.backward()
    >>> round(rate.item(), 4), Z.grad.diagonal().numpy().round(3).tolist()
    (2.3979, [0.909, 0.909])
    """
    Z, epsilon, weights, dtype = _checked(Z, epsilon, weights)
    with double_precision(Z):
        rate = _rate(Z, epsilon, weights)
    return rate.to(dtype)


def class_coding_rate(
    Z: Tensor, y: Tensor, *, epsilon: float, weights: Any = None
) -> Tensor:
    r"""Compute the mean coding rate of the classes, in nats.

    .. math::

        R_c(Z, \Pi) = \sum_j \frac{\gamma_j}{2} \log\det(I + \alpha_j Z^T \Pi_j Z),
        \quad \gamma_j = n_j / n, \; \alpha_j = d/(n_j\epsilon^2)

    Parameters
    ----------
    Z : Tensor of shape (n, d)
        The features, usually on the unit sphere.
    y : Tensor of shape (n,) or (n, k)
        Integer labels, or memberships: real numbers that are not negative. Gradients
        can be computed with respect to memberships, too; their rows are not
        normalised, so let them come out of a softmax.
    epsilon : float
        Distortion, a length in the units of ``Z``. Published code uses its square.
    weights : Tensor of shape (n,), default=None
        Number of copies of each sample; fractions are allowed. The result is not
        differentiated with respect to them.

    Returns
    -------
    rate : Tensor of shape ()
        Coding rate of the classes in nats. A class without samples has the rate zero.

    Raises
    ------
    ValueError
        If a parameter or a tensor is invalid; see `coding_rate`.

    Notes
    -----
    With labels, the cost is :math:`O(n d \min(n_j, d))` for classes of similar sizes;
    with memberships, it is :math:`O(k d^2 (n + d))`.

    Examples
    --------
    >>> import torch
    >>> from skredu.torch import class_coding_rate
    >>> Z = torch.eye(2, dtype=torch.float64)
    >>> round(class_coding_rate(Z, torch.tensor([0, 1]), epsilon=0.1**0.5).item(), 4)
    1.5223
    """
    Z, epsilon, weights, dtype = _checked(Z, epsilon, weights)
    y = _checked_labels(y, Z)
    with double_precision(Z):
        rate = _class_rate(Z, y, epsilon, weights)
    return rate.to(dtype)


def rate_reduction(
    Z: Tensor, y: Tensor, *, epsilon: float, weights: Any = None
) -> Tensor:
    r"""Compute the rate reduction :math:`\Delta R = R - R_c`, in nats.

    Parameters
    ----------
    Z : Tensor of shape (n, d)
        The features, usually on the unit sphere.
    y : Tensor of shape (n,) or (n, k)
        Integer labels, or memberships; see `class_coding_rate`.
    epsilon : float
        Distortion, a length in the units of ``Z``. Published code uses its square.
    weights : Tensor of shape (n,), default=None
        Number of copies of each sample; fractions are allowed.

    Returns
    -------
    delta_R : Tensor of shape ()
        Rate reduction in nats.

    Raises
    ------
    ValueError
        If a parameter or a tensor is invalid; see `coding_rate`.

    See Also
    --------
    MCR2Loss : The negative rate reduction of normalised features as a module.
    skredu.rates.rate_reduction : The same number for arrays, without gradients.

    Examples
    --------
    >>> import torch
    >>> from skredu.torch import rate_reduction
    >>> Z = torch.eye(2, dtype=torch.float64)
    >>> round(rate_reduction(Z, torch.tensor([0, 1]), epsilon=0.1**0.5).item(), 4)
    0.8756
    """
    Z, epsilon, weights, dtype = _checked(Z, epsilon, weights)
    y = _checked_labels(y, Z)
    with double_precision(Z):
        rate, class_rate = _both_rates(Z, y, epsilon, weights)
    return (rate - class_rate).to(dtype)


def both_rates(
    Z: Tensor, y: Tensor, *, epsilon: float, weights: Any = None
) -> tuple[Tensor, Tensor]:
    """Return `coding_rate` and `class_coding_rate`, which share their products."""
    Z, epsilon, weights, dtype = _checked(Z, epsilon, weights)
    y = _checked_labels(y, Z)
    with double_precision(Z):
        rate, class_rate = _both_rates(Z, y, epsilon, weights)
    return rate.to(dtype), class_rate.to(dtype)


def set_rate_reduction(
    sets: Tensor, *, epsilon: float, mask: Tensor | None = None
) -> Tensor:
    r"""Compute the rate reduction between sets of features, in nats.

    .. math:: \Delta R = R(Z_1 \cup \dots \cup Z_m) - \sum_i \frac{n_i}{n} R(Z_i)

    It is large if each set is coded in few bits and all of them together in many. Two
    sets with one sample each are the contrast of pairs, three are the contrast of
    triplets.

    Parameters
    ----------
    sets : Tensor of shape (m, b, d)
        The features of m sets with b samples each.
    epsilon : float
        Distortion, a length in the units of ``sets``.
    mask : Tensor of shape (m, b), default=None
        Which samples count, for sets of different sizes. By default, all of them do.

    Returns
    -------
    delta_R : Tensor of shape ()
        Rate reduction in nats.

    Raises
    ------
    ValueError
        If ``sets`` does not have three dimensions, or if another argument is invalid;
        see `coding_rate`.

    Examples
    --------
    >>> import torch
    >>> from skredu.torch import set_rate_reduction
    >>> pair = torch.eye(2, dtype=torch.float64)[:, None, :]
    >>> round(set_rate_reduction(pair, epsilon=0.1**0.5).item(), 4)
    0.8756
    """
    if not isinstance(sets, Tensor) or sets.ndim != 3:
        raise ValueError(
            "Bad sets: must be a tensor of shape (sets, samples, features), found "
            f"{_found(sets)}."
        )
    m, b, d = sets.shape
    if mask is not None:
        mask = torch.as_tensor(mask, device=sets.device)
        if mask.shape != (m, b):
            raise ValueError(
                f"Bad mask: must have shape {(m, b)}, found {tuple(mask.shape)}."
            )
    y = torch.arange(m, device=sets.device).repeat_interleave(b)
    weights = None if mask is None else mask.reshape(-1)
    return rate_reduction(sets.reshape(-1, d), y, epsilon=epsilon, weights=weights)


class _Gram(torch.autograd.Function):
    """Products W^T W of a stack of matrices.

    The two factors are the same, so that the gradient is one product instead of two. It
    must be symmetric, as are all gradients of `_LogDet`.
    """

    @staticmethod
    def forward(ctx: Any, W: Tensor) -> Tensor:
        ctx.save_for_backward(W)
        return W.mT @ W

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (W,) = ctx.saved_tensors
        return torch.baddbmm(W, W, gradient, beta=0, alpha=2)


class _LogDet(torch.autograd.Function):
    """Log-determinants of I + G for a stack of positive semidefinite matrices G.

    The gradient is the inverse of I + G, which comes from the Cholesky factor. The
    gradient of PyTorch's own factorisation solves several triangular systems instead.
    Gradients of higher orders differentiate the inverse.
    """

    @staticmethod
    def forward(ctx: Any, G: Tensor) -> Tensor:
        # One more row and column, because columns of 2^k numbers evict each other from
        # the cache; the factorisation of 128 x 128 numbers took twice the time.
        M = torch.nn.functional.pad(G, (0, 1, 0, 1))
        M.diagonal(dim1=-2, dim2=-1).add_(1.0)
        L = torch.linalg.cholesky(M)
        ctx.save_for_backward(G, L)
        values = 2.0 * L.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        small = _traces(G) < 1.0
        if small.any():  # log(1 + x) must be precise for small x
            eigenvalues = torch.linalg.eigvalsh(G).clamp(min=0.0)
            values = torch.where(small, eigenvalues.log1p().sum(-1), values)
        return values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        G, L = ctx.saved_tensors
        if torch.is_grad_enabled():
            eye = torch.eye(G.shape[-1], dtype=G.dtype, device=G.device)
            inverse = torch.linalg.inv((G + G.mT) / 2 + eye)
        else:
            inverse = torch.cholesky_inverse(L)[..., :-1, :-1]
        return gradient[..., None, None] * inverse


def _traces(G: Tensor) -> Tensor:
    return G.diagonal(dim1=-2, dim2=-1).sum(-1)


def half_log_det(W: Tensor) -> Tensor:
    """Return half the log-determinants of I + W W^T for a stack of rows (k, m, d)."""
    G = _Gram.apply(W.mT if W.shape[-2] < W.shape[-1] else W)
    if not _precise(G):
        values = torch.linalg.svdvals(W)  # whose squares may overflow
        return torch.hypot(torch.ones_like(values), values).log().sum(-1)
    return 0.5 * _LogDet.apply(G)


def _precise(G: Tensor) -> bool:
    """Return whether products are precise enough for their determinants."""
    return bool(_traces(G.detach()).max() <= MAX_TRACE)


def _rate(Z: Tensor, epsilon: float, weights: Tensor | None) -> Tensor:
    """Return the coding rate of valid features; without weight, it is zero."""
    n: Any = Z.shape[0] if weights is None else weights.sum().clamp(min=_tiny(Z))
    W = Z if weights is None else (weights / n).sqrt()[:, None] * Z
    scale = math.sqrt(Z.shape[1]) / epsilon / (math.sqrt(n) if weights is None else 1.0)
    return half_log_det((scale * W)[None])[0]


def _class_rate(Z: Tensor, y: Tensor, epsilon: float, weights: Tensor | None) -> Tensor:
    """Return the mean rate of classes by labels, or by memberships."""
    if y.ndim == 2:
        return _soft_rate(Z, y, epsilon, weights)
    classes, shares = _scaled_classes(Z, y, epsilon, weights)
    return shares @ _half_log_dets(classes)


def _both_rates(
    Z: Tensor, y: Tensor, epsilon: float, weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the coding rate, and the mean rate of classes.

    If classes are not much smaller than the dimension, the products of all samples are
    the sum of those of the classes.
    """
    if y.ndim == 2:
        return _rate(Z, epsilon, weights), _soft_rate(Z, y, epsilon, weights)
    classes, shares = _scaled_classes(Z, y, epsilon, weights)
    if isinstance(classes, Tensor):
        d, (k, m) = Z.shape[1], classes.shape[:2]
        common = k * d * d * (m + d) <= k * m * m * (m + d) + d * d * (len(Z) + d)
        if common and _precise(G := _Gram.apply(classes)):
            every = (shares @ G.flatten(1)).reshape(1, d, d)
            values = 0.5 * _LogDet.apply(torch.cat([every, G]))
            return values[0], shares @ values[1:]
    return _rate(Z, epsilon, weights), shares @ _half_log_dets(classes)


def _scaled_classes(
    Z: Tensor, y: Tensor, epsilon: float, weights: Tensor | None
) -> tuple[Tensor | tuple[Tensor, ...], Tensor]:
    """Return the scaled rows of each class, and the shares of the classes (k,).

    Classes are a stack (k, m, d) that is padded with zeros, or a tuple if their sizes
    are very unequal.
    """
    if weights is None:
        weights = Z.new_ones(Z.shape[0])
    y, sizes = torch.unique(y, return_inverse=True, return_counts=True)[1:]
    totals = Z.new_zeros(len(sizes)).index_add(0, y, weights)
    scales = (Z.shape[1] * weights / totals.clamp(min=_tiny(Z))[y]).sqrt() / epsilon
    order = torch.argsort(y, stable=True)
    W, longest = scales[:, None] * Z, int(sizes.max())
    shares = totals / totals.sum()
    if len(sizes) * longest > MAX_PADDING * len(W):
        return W[order].split(sizes.tolist()), shares
    starts = sizes.cumsum(0) - sizes
    gaps = longest * torch.arange(len(sizes), device=W.device) - starts
    places = torch.empty_like(order)
    places[order] = torch.arange(len(W), device=W.device) + gaps[y[order]]
    stack = W.new_zeros(len(sizes) * longest, W.shape[1]).index_copy_(0, places, W)
    return stack.reshape(len(sizes), longest, -1), shares


def _half_log_dets(classes: Tensor | tuple[Tensor, ...]) -> Tensor:
    if isinstance(classes, Tensor):
        return half_log_det(classes)
    return torch.cat([half_log_det(rows[None]) for rows in classes])


def _soft_rate(Z: Tensor, y: Tensor, epsilon: float, weights: Tensor | None) -> Tensor:
    """Return the mean rate of classes by memberships.

    The memberships themselves are differentiated, not their square roots, whose
    gradient is infinite at zero.
    """
    y = y if weights is None else weights[:, None] * y
    totals, Z = y.sum(0), Z / epsilon
    scales = Z.shape[1] * (y / totals.clamp(min=_tiny(Z))).T
    G = Z.T @ (scales[:, :, None] * Z)
    if not _precise(G):
        # The added share is below the rounding errors, and the gradient of the square
        # root is finite.
        share = 1e-16 * scales.detach().max()
        rates = half_log_det((scales + share).sqrt()[:, :, None] * Z)
    else:
        rates = 0.5 * _LogDet.apply(G)
    return (totals * rates).sum() / totals.sum()


def _tiny(Z: Tensor) -> float:
    return float(torch.finfo(Z.dtype).tiny)


def double_precision(Z: Tensor) -> Any:
    """Return the context of a computation in double precision."""
    return torch.autocast(Z.device.type, enabled=False)


def check_features(Z: Any) -> None:
    """Raise an error if features are not a matrix of floating-point numbers."""
    if not isinstance(Z, Tensor) or Z.ndim != 2 or not Z.is_floating_point():
        raise ValueError(
            "Bad Z: must be a tensor of floating-point numbers of shape (samples, "
            f"features), found {_found(Z)}."
        )
    if 0 in Z.shape:
        raise ValueError(
            "Bad Z: needs at least one sample and one feature, found the shape "
            f"{tuple(Z.shape)}."
        )


def _checked(
    Z: Any, epsilon: Any, weights: Any
) -> tuple[Tensor, float, Tensor | None, torch.dtype]:
    """Return features and weights in double precision, and the type of the result."""
    check_features(Z)
    check_finite(Z, "Z")
    if weights is not None:
        weights = _checked_weights(weights, Z)
    dtype = torch.float64 if Z.dtype == torch.float64 else torch.float32
    return Z.double(), distortion(epsilon), weights, dtype


def _checked_weights(weights: Any, Z: Tensor) -> Tensor:
    weights = torch.as_tensor(weights, device=Z.device)
    if weights.requires_grad:
        raise ValueError(
            "Bad weights: the rate is not differentiated with respect to them; pass "
            "weights.detach(), or memberships as y."
        )
    if weights.shape != Z.shape[:1]:
        raise ValueError(
            f"Bad weights: must have shape {tuple(Z.shape[:1])}, found "
            f"{tuple(weights.shape)}."
        )
    weights = weights.double()
    check_finite(weights, "weights")
    if weights.min() < 0 or weights.sum() <= 0:
        raise ValueError("Bad weights: must not be negative, and not all of them zero.")
    return weights


def _checked_labels(y: Any, Z: Tensor) -> Tensor:
    """Return labels (n,), or memberships (n, k) in double precision."""
    if not isinstance(y, Tensor) or y.ndim not in (1, 2) or len(y) != len(Z):
        raise ValueError(
            f"Bad y: must be a tensor with labels of shape ({len(Z)},) or memberships "
            f"of shape ({len(Z)}, k), found {_found(y)}."
        )
    if (y.ndim == 2) != y.is_floating_point() or y.is_complex():
        raise ValueError(
            "Bad y: labels of shape (n,) must be integers, and memberships of shape "
            f"(n, k) floating-point numbers, found {_found(y)}."
        )
    if y.ndim == 1:
        return y
    check_finite(y, "y")
    if y.min() < 0 or y.sum() <= 0:
        raise ValueError(
            "Bad y: memberships must not be negative, and not all of them zero, found "
            f"a smallest entry of {float(y.min()):.3g}."
        )
    return y.double()


def check_finite(values: Tensor, name: str) -> None:
    # both are NaN if any value is
    if not torch.isfinite(torch.stack(values.detach().aminmax())).all():
        raise ValueError(f"Bad {name}: contains NaN or infinity.")


def _found(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of type {value.dtype} and shape {tuple(value.shape)}"
    return f"{type(value).__name__}"
