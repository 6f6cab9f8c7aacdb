r"""Scores and loss of signals that are left out of their classes, with gradients.

The formulas are those of `skredu.coding._group`, for classes without a mean: with the
scatter :math:`S` of a class of weight n, at frequency p,

.. math::

    L = \frac{n + C}{2} \sum_p w_p \log\det(I + c_p S_p), \quad
    c_p = \frac{C}{n \epsilon^2} \frac{T}{w_p},

and a signal z that joins or leaves changes each determinant by the factor
:math:`1 \pm c_p z^H (I + c_p S_p)^{-1} z`, where c belongs to the new weight.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# Keeps the logarithm of what is left of a class finite in rounding.
LEAST_FACTOR = 1e-9


class Decision(nn.Module):
    """Distortion, temperature and label code of the classes."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        zeros = torch.zeros((), dtype=torch.float64)
        self.log_epsilon = nn.Parameter(zeros.clone())
        self.log_temperature = nn.Parameter(zeros.clone())
        self.label_code = nn.Parameter(zeros.repeat(n_classes))

    def forward(self, Z: Tensor, y: Tensor, counts: Tensor) -> Tensor:
        scores = left_out_scores(Z, y, counts, self.log_epsilon.exp())
        logits = scores / self.log_temperature.exp() + self.label_code
        return nn.functional.cross_entropy(logits, y)

    @torch.no_grad()
    def start(self, Z: Tensor, y: Tensor, counts: Tensor) -> None:
        """Choose the best distortion and temperature of a grid."""
        best = torch.inf
        for log_epsilon in np.log(Z.shape[1] ** 0.5) + np.linspace(-5.0, 0.0, 8):
            epsilon = torch.tensor(log_epsilon).exp()
            scores = left_out_scores(Z, y, counts, epsilon)
            for log_temperature in np.linspace(-1.0, 7.0, 25):
                logits = scores / np.exp(log_temperature)
                loss = nn.functional.cross_entropy(logits, y).item()
                if loss < best:
                    best = loss
                    self.log_epsilon.fill_(log_epsilon)
                    self.log_temperature.fill_(log_temperature)


def left_out_scores(Z: Tensor, y: Tensor, counts: Tensor, epsilon: Tensor) -> Tensor:
    r"""Return minus the extra nats of all signals in every class, without themselves.

    Parameters
    ----------
    Z : Tensor of shape (F, C, n)
        Spectra of signals on the unit sphere, multiplied by the roots of ``counts``.
    y : Tensor of shape (n,)
        Classes as integers from 0; each needs at least two signals.
    counts : Tensor of shape (F,)
        Number of frequencies of the whole spectrum that each represents.
    epsilon : Tensor of shape ()
        The distortion.

    Returns
    -------
    scores : Tensor of shape (n, k)
        Nats with a minus sign, including those of the labels.
    """
    C, n = Z.shape[1], len(y)
    points = counts.sum()
    scores = []
    for j in range(int(y.max()) + 1):
        own = y == j
        size = int(own.sum())
        W = Z[:, :, own]
        S = W @ W.mH
        # c = C / (m epsilon^2) T / w at the weights m before, after and without
        scale = C * points / counts / epsilon**2
        before, _ = _volume(S, scale / size, counts)
        after, joined = _volume(S, scale / (size + 1), counts, Z)
        nats = (size + 1 + C) / 2 * (after + _total(joined.log1p(), counts))
        nats = nats - (size + C) / 2 * before
        left, leaving = _volume(S, scale / (size - 1), counts, W)
        rest = (1.0 - leaving).clamp(min=LEAST_FACTOR).log()
        without = (size - 1 + C) / 2 * (left + _total(rest, counts))
        nats = nats.index_put((own.nonzero()[:, 0],), (size + C) / 2 * before - without)
        sizes = torch.full_like(nats, size).sub(own.to(nats.dtype))
        scores.append((sizes / (n - 1)).log() - nats)
    return torch.stack(scores, 1)


def _volume(
    S: Tensor, scale: Tensor, counts: Tensor, Z: Tensor | None = None
) -> tuple[Tensor, Any]:
    """Return log det(I + c S) over all blocks, and the forms c z^H (I + c S)^-1 z."""
    eye = torch.eye(S.shape[1], dtype=S.dtype, device=S.device)
    L = torch.linalg.cholesky(eye + scale[:, None, None] * S)
    diagonal = L.diagonal(dim1=-2, dim2=-1).real
    volume = (counts * 2.0 * diagonal.log().sum(-1)).sum()
    if Z is None:
        return volume, None
    white = torch.linalg.solve_triangular(L, Z, upper=False)
    return volume, scale[:, None] * (white.real**2 + white.imag**2).sum(1)


def _total(values: Tensor, counts: Tensor) -> Tensor:
    """Sum values (F, n) over all frequencies."""
    return counts @ values


def spectra(X: Tensor, shape: tuple[int, ...], counts: Tensor) -> Tensor:
    """Return the spectra (F, C, n) of signals (n, C, *shape) on the unit sphere."""
    n, C = X.shape[:2]
    norms = X.reshape(n, -1).norm(dim=1).clamp(min=torch.finfo(X.dtype).tiny)
    signals = X / norms.reshape(-1, *(1,) * (X.ndim - 1))
    dims = tuple(range(2, 2 + len(shape)))
    Z = torch.fft.rfftn(signals, dim=dims, norm="ortho").reshape(n, C, -1)
    return Z.permute(2, 1, 0) * counts.sqrt()[:, None, None]


def counts_of(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Return how many frequencies each one of the half spectrum represents."""
    last = torch.full((shape[-1] // 2 + 1,), 2.0, dtype=like.dtype, device=like.device)
    last[0] = 1.0
    if shape[-1] % 2 == 0:
        last[-1] = 1.0
    return last.repeat(math.prod(shape[:-1]))
