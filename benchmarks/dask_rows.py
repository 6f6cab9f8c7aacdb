"""Models of Dask arrays that do not fit into memory: time and peak memory.

Run ``python -m benchmarks.dask_rows``; samples are generated block by block.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from benchmarks._harness import GIB, Benchmark, Report, peak_size
from skredu import CompressionOutlierDetector, MICLClassifier

FEATURES = 50
CLASSES = 4


def block(start: int, n_samples: int, part: str) -> Any:
    """Generate some samples of classes with different covariances, or their labels."""
    y = np.arange(start, start + n_samples) % CLASSES
    if part == "y":
        return y
    rng = np.random.default_rng(start)
    scales = 1.0 + np.arange(CLASSES)[:, None] * np.linspace(0.0, 0.3, FEATURES)
    return rng.standard_normal((n_samples, FEATURES)) * scales[y]


def collection(n_samples: int, size: int, part: str) -> Any:
    """Return a Dask array of all samples, or of their labels."""
    import dask
    import dask.array as da

    parts = []
    for start in range(0, n_samples, size):
        n = min(size, n_samples - start)
        shape = (n,) if part == "y" else (n, FEATURES)
        made = dask.delayed(block)(start, n, part)
        parts.append(da.from_delayed(made, shape, int if part == "y" else float))
    return da.concatenate(parts)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    options = Benchmark("dask_rows", "Dask", {"rows": _measure})
    options.add_argument("--rows", type=int, default=10_000_000, help="samples")
    options.add_argument("--size", type=int, default=100_000, help="samples per block")
    options.add_argument("--workers", type=int, default=2, help="threads of Dask")
    options.run(arguments)


def _measure(report: Report, args: argparse.Namespace) -> None:
    import dask

    import skredu.dask

    total = args.rows * FEATURES * 8 / GIB
    report.say(
        f"{args.rows} samples with {FEATURES} features ({total:.2f} GiB in double "
        f"precision) are generated in blocks of {args.size}, with {args.workers} "
        "threads. *Generated* is the time for the samples alone. *Peak* is the peak "
        "resident size of the whole process so far, libraries included."
    )
    X = collection(args.rows, args.size, "X")
    y = collection(args.rows, args.size, "y")
    lines = []
    classes = np.arange(CLASSES)
    works = {
        "generated": lambda: X.sum().compute(),
        "MICL, fit": lambda: skredu.dask.fit(MICLClassifier(), X, y, classes=classes),
        "outliers, fit": lambda: skredu.dask.fit(
            CompressionOutlierDetector(n_neighbors=None), X
        ),
    }
    made: dict[str, Any] = {}
    with dask.config.set(scheduler="threads", num_workers=args.workers):
        for name, work in works.items():
            lines.append(_timed(name, work, made))
        model = made["MICL, fit"]
        lines.append(
            _timed(
                "MICL, predict",
                lambda: (skredu.dask.predict(model, X) == y).mean().compute(),
                made,
            )
        )
    report.table(["work", "seconds", "CPU seconds", "peak, GiB"], lines)
    report.say(f"Accuracy: {made['MICL, predict']:.4f}.")


def _timed(name: str, work: Any, made: dict[str, Any]) -> list[str]:
    """Do some work; return a line of the table."""
    start, cpu = time.perf_counter(), time.process_time()
    made[name] = work()
    seconds = time.perf_counter() - start
    spent, peak = time.process_time() - cpu, peak_size()
    size = "unknown" if peak is None else f"{peak / GIB:.2f}"
    return [name, f"{seconds:.1f}", f"{spent:.1f}", size]


if __name__ == "__main__":
    main()
