"""Coding rates on the cheaper side compared with the formula as it is written.

Run ``python -m benchmarks.rates``; the data are generated.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks._harness import Benchmark, Report, median_times
from skredu.rates import coding_rate, rate_reduction, rate_reduction_gradient

EPSILON = 0.5
SHAPES = ((50, 1_000), (100, 2_000), (250, 2_000), (1_000, 784), (10_000, 100))
CLASSES = 10


def plain_rate(Z: np.ndarray) -> float:
    """Return half the log-determinant of the d x d matrix."""
    n, d = Z.shape
    M = np.eye(d) + d / (n * EPSILON**2) * Z.T @ Z
    return 0.5 * np.linalg.slogdet(M)[1]


def plain_reduction(Z: np.ndarray, y: np.ndarray) -> float:
    """Return the rate of all rows minus the mean rate of the classes."""
    classes = [Z[y == j] for j in range(CLASSES)]
    return plain_rate(Z) - sum(len(W) / len(Z) * plain_rate(W) for W in classes)


def plain_gradient(Z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the gradient of the reduction with an inverse of every d x d matrix."""

    def operator(W: np.ndarray) -> np.ndarray:
        alpha = W.shape[1] / (len(W) * EPSILON**2)
        return alpha * np.linalg.inv(np.eye(W.shape[1]) + alpha * W.T @ W)

    gradient = Z @ operator(Z)
    for j in range(CLASSES):
        rows = y == j
        gradient[rows] -= rows.mean() * Z[rows] @ operator(Z[rows])
    return gradient


def main(arguments: list[str] | None = None) -> None:
    """Time all shapes, and print the table."""
    options = Benchmark("rates", "Coding rates", {"all": _measure}, runs=5)
    options.run(arguments)


def _measure(report: Report, args: argparse.Namespace) -> None:
    report.say(
        f"Seconds are medians of {args.runs} runs; *plain* forms the d x d "
        f"matrices (slogdet, inv). The data are {CLASSES} balanced classes on "
        "the sphere."
    )
    rows = [row for shape in SHAPES for row in compare(*shape, args.runs)]
    header = [
        "function",
        "n x d",
        "plain",
        "skredu",
        "ratio",
        "relative difference",
    ]
    report.table(header, rows)


def compare(n: int, d: int, runs: int) -> list[list[str]]:
    """Return the rows of the table for one shape."""
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((n, d))
    Z /= np.linalg.norm(Z, axis=1, keepdims=True)
    y = np.arange(n) % CLASSES
    pairs = {
        "coding_rate": (plain_rate, coding_rate, (Z,)),
        "rate_reduction": (plain_reduction, rate_reduction, (Z, y)),
        "rate_reduction_gradient": (plain_gradient, rate_reduction_gradient, (Z, y)),
    }
    rows = []
    for name, (plain, ours, data) in pairs.items():
        tasks = {
            f"plain {name} {n} x {d}": lambda f=plain, a=data: f(*a),
            f"{name} {n} x {d}": lambda f=ours, a=data: f(*a, epsilon=EPSILON),
        }
        slow, fast = median_times(tasks, runs).values()
        expected, found = (task() for task in tasks.values())
        error = np.max(np.abs(expected - found)) / np.max(np.abs(expected))
        cells = [f"{slow:.3g}", f"{fast:.3g}", f"{slow / fast:.1f}", f"{error:.0e}"]
        rows.append([name, f"{n} x {d}", *cells])
    return rows


if __name__ == "__main__":
    main()
