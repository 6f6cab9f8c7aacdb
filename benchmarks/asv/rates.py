"""Coding rates of few and of many rows on the sphere."""

from __future__ import annotations

import numpy as np

from skredu.rates import coding_length, rate_reduction, rate_reduction_gradient


class Rates:
    """Both sides of the matrices: n < d and n > d."""

    params = (((100, 2_000), (1_000, 784), (10_000, 100)), ("float64", "float32"))
    param_names = ("shape", "dtype")

    def setup(self, shape: tuple[int, int], dtype: str) -> None:
        """Generate rows on the sphere in ten classes."""
        Z = np.random.default_rng(0).standard_normal(shape)
        self.Z = (Z / np.linalg.norm(Z, axis=1, keepdims=True)).astype(dtype)
        self.y = np.arange(shape[0]) % 10

    def time_coding_length(self, *_: object) -> None:
        """Compute the bits of all rows."""
        coding_length(self.Z, epsilon=0.5)

    def time_rate_reduction(self, *_: object) -> None:
        """Compute the rate of all rows minus that of the classes."""
        rate_reduction(self.Z, self.y, epsilon=0.5)

    def time_rate_reduction_gradient(self, *_: object) -> None:
        """Compute the gradient of the rate reduction."""
        rate_reduction_gradient(self.Z, self.y, epsilon=0.5)

    def peakmem_rate_reduction_gradient(self, *_: object) -> None:
        """Compute the gradient for the measurement of memory."""
        rate_reduction_gradient(self.Z, self.y, epsilon=0.5)
