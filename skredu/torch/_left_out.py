r"""Scores and loss of signals that are left out of their classes, with gradients.

The formulas are those of `skredu.coding._group`, for classes without a mean: with the
scatter :math:`S` of a class of weight n, at frequency p,

.. math::

    L = \frac{n + C}{2} \sum_p w_p \log\det(I + c_p S_p), \quad
    c_p = \frac{C}{n \epsilon^2} \frac{T}{w_p},

and a signal z that joins or leaves changes each determinant by the factor
:math:`1 \pm c_p z^H (I + c_p S_p)^{-1} z`, where c belongs to the new weight. Matrices
and sums are in double precision, and products with the signals in that of the signals.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skredu._compat import computing_with_torch
from skredu.coding._group import Blocks
from skredu.coding._linalg import blocks_of_rows
from skredu.redunet._grid import Grid

# Keeps the logarithm of what is left of a class finite in rounding.
LEAST_FACTOR = 1e-9
# Number of products that are computed at a time, to stay in the cache.
PRODUCTS = 2**18


class Decision(nn.Module):
    """Distortion, temperature and label code of classes, whose samples are sorted.

    Parameters
    ----------
    sizes : list of int
        Number of signals in each class, at least two.
    blocks : Blocks
        How coding lengths count the frequencies.
    """

    def __init__(self, sizes: list[int], blocks: Blocks) -> None:
        super().__init__()
        self.sizes, self.blocks = sizes, blocks
        classes = torch.arange(len(sizes), device=blocks.counts.device)
        self.labels = classes.repeat_interleave(torch.tensor(sizes))
        zeros = torch.zeros((), dtype=torch.float64)
        self.log_epsilon = nn.Parameter(zeros.clone())
        self.log_temperature = nn.Parameter(zeros.clone())
        self.label_code = nn.Parameter(zeros.repeat(len(sizes)))

    def forward(self, Z: Tensor) -> Tensor:
        """Return the mean cross-entropy of signals that are left out, in nats."""
        scores = left_out_scores(Z, self.sizes, self.blocks, self.log_epsilon.exp())
        logits = scores / self.log_temperature.exp() + self.label_code
        return nn.functional.cross_entropy(logits, self.labels)

    @torch.no_grad()
    def start(self, Z: Tensor) -> None:
        """Choose the best distortion and temperature of a grid."""
        best = torch.inf
        for log_epsilon in np.log(Z.shape[1] ** 0.5) + np.linspace(-5.0, 0.0, 8):
            epsilon = torch.tensor(log_epsilon).exp()
            scores = left_out_scores(Z, self.sizes, self.blocks, epsilon)
            for log_temperature in np.linspace(-1.0, 7.0, 25):
                logits = scores / np.exp(log_temperature)
                loss = nn.functional.cross_entropy(logits, self.labels).item()
                if loss < best:
                    best = loss
                    self.log_epsilon.fill_(log_epsilon)
                    self.log_temperature.fill_(log_temperature)


def left_out_scores(
    Z: Tensor,
    sizes: list[int],
    blocks: Blocks,
    epsilon: Tensor,
    scatters: Tensor | None = None,
) -> Tensor:
    """Return minus the extra nats of all signals in every class, without themselves.

    Parameters
    ----------
    Z : Tensor of shape (F, C, n)
        Spectra as `spectra_on_sphere` returns them, sorted by class.
    sizes : list of int
        Number of signals in each class, at least two.
    blocks : Blocks
        How coding lengths count the frequencies.
    epsilon : Tensor of shape ()
        The distortion.
    scatters : Tensor of shape (F, k, C, C), default=None
        Scatters of the classes, from which the signals are left out; None means those
        of the signals.

    Returns
    -------
    scores : Tensor of shape (n, k)
        Nats with a minus sign, including those of the labels.
    """
    k, C, parts = len(sizes), blocks.dim, Z.split(sizes, 2)
    S = torch.stack([W @ W.mH for W in parts], 1) if scatters is None else scatters
    S = S.to(torch.complex128)
    n = torch.tensor(sizes, dtype=torch.float64, device=Z.device)
    own = torch.eye(k, dtype=torch.bool, device=Z.device)
    own = own.repeat_interleave(torch.tensor(sizes, device=Z.device), 1)

    def changed(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return c (F, k), log-determinants (k,) and inverse factors of I + c S."""
        c = blocks.scale(weight, epsilon)
        L = torch.linalg.cholesky(eye + c[..., None, None] * S)
        diagonal = L.diagonal(dim1=-2, dim2=-1).real
        A = torch.linalg.solve_triangular(L, eye, upper=False).to(Z.dtype)
        return c, blocks.total(2.0 * diagonal.log().sum(-1)), A

    with computing_with_torch():
        eye = torch.eye(Z.shape[1], dtype=S.dtype, device=Z.device)
        before = (n + C) / 2.0 * changed(n)[1]
        c, volumes, A = changed(n + 1.0)
        joined = blocks.total((c[..., None] * _Forms.apply(A, Z)).log1p())
        joined = (n[:, None] + 1.0 + C) / 2.0 * (volumes[:, None] + joined)
        c, volumes, A = changed(n - 1.0)
        forms = [_Forms.apply(A[:, j : j + 1], parts[j]) for j in range(k)]
        scale = c.repeat_interleave(torch.tensor(sizes, device=Z.device), 1)
        rest = (1.0 - scale * torch.cat(forms, 2)[:, 0]).clamp(min=LEAST_FACTOR)
        left = own * (volumes[:, None] + blocks.total(rest.log()))
        left = (n[:, None] - 1.0 + C) / 2.0 * left
        nats = torch.where(own, before[:, None] - left, joined - before[:, None])
    return (((n[:, None] - own.double()) / (sum(sizes) - 1)).log() - nats).T


class _Forms(torch.autograd.Function):
    """Squared norms (F, k, n) of the products of matrices and columns.

    All products together would take k times the memory of the columns, so they are
    computed in blocks, and once more for the gradient.
    """

    @staticmethod
    def forward(ctx: Any, A: Tensor, Z: Tensor) -> Any:
        """Take matrices (F, k, C, C) and columns (F, C, n)."""
        A, Z = A.contiguous(), Z.contiguous()
        ctx.save_for_backward(A, Z)
        forms = []
        for _, V in _products(A, Z):
            squares = torch.view_as_real(V).square_().sum(2)
            forms.append(squares.sum(-1, dtype=torch.float64))
        return torch.cat(forms)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Return the gradients by the matrices and by the columns."""
        A, Z = ctx.saved_tensors
        by_A, by_Z = A.new_empty(A.shape), Z.new_empty(Z.shape)
        weights = (2.0 * gradients[0]).to(Z.real.dtype)[:, :, None]
        # Products with subnormal numbers would take ten times as long.
        least = torch.finfo(weights.dtype).eps ** 2 * weights.abs().max().item()
        weights = nn.functional.hardshrink(weights, least)
        for at, V in _products(A, Z):
            scaled = V.mul_(weights[at]).flatten(1, 2)
            torch.bmm(scaled, Z[at].mH, out=by_A[at].flatten(1, 2))
            torch.bmm(A[at].flatten(1, 2).mH, scaled, out=by_Z[at])
        return by_A, by_Z


def _products(A: Tensor, Z: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield blocks of frequencies and their products (block, k, C, n)."""
    k, (_, C, n) = A.shape[1], Z.shape
    for at in blocks_of_rows(len(Z), k * C * n, PRODUCTS):
        yield at, (A[at].flatten(1, 2) @ Z[at]).unflatten(1, (k, C))


def blocks_of(shape: tuple[int, ...], spectra: Tensor) -> Blocks:
    """Return how coding lengths count the frequencies of ``spectra`` (n, C, *half)."""
    with computing_with_torch():
        return Grid(shape, spectra.shape[1]).on(spectra).blocks


def spectra_on_sphere(spectra: Tensor, blocks: Blocks) -> Tensor:
    """Return spectra (F, C, n) of norm one, times the roots of the counts.

    ``spectra`` (n, C, *half) are those of signals, for half of the frequencies.
    """
    n, C = spectra.shape[:2]
    roots = blocks.counts.sqrt().to(spectra.real.dtype)
    Z = spectra.reshape(n, C, -1).permute(2, 1, 0).contiguous()
    Z = Z * roots[:, None, None]
    squares = torch.view_as_real(Z).square().sum((0, 1, 3))
    return Z / squares.clamp(min=torch.finfo(squares.dtype).tiny).sqrt()
