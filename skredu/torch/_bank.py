"""Responses and sparse codes of `ConvolutionalLifting`, and how they are learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from skredu._progress import Progress

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

    @classmethod
    def of(cls, lifting: Any) -> Bank:
        """Return the bank of a fitted lifting, in the precision of its filters."""
        dtype, grid = torch.tensor(lifting.filters_).dtype, lifting.signal_shape_
        return cls(lifting.filters_, grid, **lifting._nonlinearity, dtype=dtype)

    def spectra_of(self, rows: Any) -> Tensor:
        """Return the spectra of samples, which are divided by a common factor.

        Neither features on the sphere nor the relative cost of codes depend on it.
        """
        signals = torch.tensor(rows).reshape(len(rows), -1, *self.grid)
        largest = signals.abs().max().clamp(min=torch.finfo(signals.dtype).tiny)
        return torch.fft.rfftn(signals / largest, dim=self.dims)

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


def relative(values: Tensor, rate: float) -> dict[str, Any]:
    """Return a group of Adam whose rate is relative to the size of the parameters."""
    size = values.detach().square().mean().sqrt().item()
    return {"params": [values], "lr": rate * size}


def descend(
    loss: Callable[[], Tensor],
    groups: list[dict[str, Any]],
    max_iter: int,
    progress: Progress,
) -> Any:
    """Lower a loss by Adam, and return it before each step and after the last."""
    optimizer, curve = torch.optim.Adam(groups), []
    for _ in range(max_iter):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        curve.append(value.item())
        optimizer.step()
        if progress.done("iteration"):
            break
    with torch.no_grad():
        return np.array([*curve, loss().item()])
