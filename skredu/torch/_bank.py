"""The responses and sparse codes of `ConvolutionalLifting`, with gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

# Square roots are continued by a line below this share of the mean square, so that
# their gradients are finite.
LEAST_ROOT = 1e-6


class Bank(nn.Module):
    """Filters and nonlinearity of `ConvolutionalLifting`, with gradients."""

    def __init__(
        self,
        filters: Any,
        grid: tuple[int, ...],
        *,
        activation: str | None,
        threshold: float,
        root: bool,
        widths: tuple[float, ...],
        n_iter: int = 0,
        learned: dict[str, Any] | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        self.grid, self.activation, self.root = grid, activation, root
        self.n_iter, ones = n_iter, np.ones(n_iter)
        of_codes = learned or {"encoder": None, "steps": ones, "thresholds": ones}
        for name, values in of_codes.items():
            given = None
            if values is not None:
                given = torch.tensor(values, dtype=dtype)
            self.register_buffer(name, given, persistent=False)
        self.filters = nn.Parameter(torch.tensor(filters, dtype=dtype))
        self.threshold = nn.Parameter(torch.tensor(threshold, dtype=dtype))
        impulse = np.zeros(grid)
        impulse.flat[0] = 1.0
        blur = gaussian_filter(impulse, widths, mode="wrap") if any(widths) else impulse
        self.dims = tuple(range(-len(grid), 0))
        blurred = torch.fft.rfftn(torch.tensor(blur, dtype=dtype), dim=self.dims)
        self.register_buffer("blur", blurred, persistent=False)

    def forward(self, spectra: Tensor) -> Tensor:
        """Return channels (n, channels, *grid) of signals with the given spectra."""
        return torch.fft.irfftn(self.lifted(spectra), s=self.grid, dim=self.dims)

    def lifted(self, spectra: Tensor) -> Tensor:
        """Return the spectra (n, channels, *half) of the channels."""
        Y, size = self.responses(spectra)
        level = self.threshold.clamp(min=0.0) * size
        if self.n_iter:
            out = self.codes(spectra, level)
        else:
            out = _activate(Y, self.activation, level)
        if self.root:
            out = out * (size / out.abs().clamp(min=LEAST_ROOT * size)).sqrt()
        return torch.fft.rfftn(out, dim=self.dims) * self.blur

    def responses(self, spectra: Tensor) -> tuple[Tensor, Tensor]:
        """Return responses (n, n_filters, *grid), and their root mean squares."""
        Y = self._analysis(spectra, self._spectra_of(self.filters))
        squares = (Y * Y).mean(tuple(range(1, Y.ndim)), keepdim=True)
        return Y, squares.clamp(min=torch.finfo(Y.dtype).tiny).sqrt()

    def codes(self, spectra: Tensor, level: Tensor) -> Tensor:
        """Return sparse codes (n, n_filters, *grid) of signals.

        With learned codes, the gradient has filters of its own, and each iteration a
        step and a threshold, relative to those of the method.
        """
        W = self._spectra_of(self.filters)
        E = W if self.encoder is None else self._spectra_of(self.encoder)
        largest = torch.linalg.matrix_norm(W.flatten(2).permute(2, 0, 1), 2).max()
        step = 1.0 / largest.clamp(min=1e-100) ** 2
        codes = point = level.new_zeros(())
        weight, rest = 1.0, spectra
        for i in range(self.n_iter):
            if i:
                synthesis = torch.fft.rfftn(point, dim=self.dims)
                rest = spectra - torch.einsum("nf...,fc...->nc...", synthesis, W)
            before, least = codes, step * self.thresholds[i] * level
            raised = point + step * self.steps[i] * self._analysis(rest, E)
            codes = point = raised - torch.clamp(raised, -least, least)
            if self.activation == "fista":
                following = 0.5 + (0.25 + weight * weight) ** 0.5
                point = codes + (weight - 1.0) / following * (codes - before)
                weight = following
        return codes

    def cost(self, spectra: Tensor) -> Tensor:
        """Return the costs (n,) of sparse codes that they minimise."""
        level = self.threshold * self.responses(spectra)[1]
        codes = self.codes(spectra, level)
        synthesis = torch.fft.rfftn(codes, dim=self.dims)
        W = self._spectra_of(self.filters)
        rest = spectra - torch.einsum("nf...,fc...->nc...", synthesis, W)
        error = torch.fft.irfftn(rest, s=self.grid, dim=self.dims).square()
        return 0.5 * error.flatten(1).sum(1) + (level * codes.abs()).flatten(1).sum(1)

    def _spectra_of(self, filters: Tensor) -> Tensor:
        return torch.fft.rfftn(filters, s=self.grid, dim=self.dims)

    def _analysis(self, spectra: Tensor, filters: Tensor) -> Tensor:
        product = torch.einsum("nc...,fc...->nf...", spectra, filters.conj())
        return torch.fft.irfftn(product, s=self.grid, dim=self.dims)


def _activate(Y: Tensor, activation: str | None, level: Tensor) -> Tensor:
    if activation is None:
        return Y
    if activation == "soft":
        return Y.sign() * (Y.abs() - level).relu()
    if activation == "split":
        return torch.cat([(Y - level).relu(), (-Y - level).relu()], 1)
    return (Y - level).relu()
