"""Models of Dask arrays that do not fit into memory: time and peak memory.

Run ``python -m benchmarks.dask_rows``; samples are generated block by block.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

import numpy as np

from benchmarks._harness import GIB, Benchmark, Report, peak_size
from skredu import (
    CompressionOutlierDetector,
    MICLClassifier,
    ReduNetClassifier,
    ReduNetTransformer,
)

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
    options = Benchmark("dask_rows", "Dask", PARTS)
    options.add_argument("--rows", type=int, default=10_000_000, help="samples")
    options.add_argument(
        "--rows-of-nets", type=int, default=1_000_000, help="samples of networks"
    )
    options.add_argument("--layers", type=int, default=3, help="layers of networks")
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


def _networks(report: Report, args: argparse.Namespace) -> None:
    import dask

    import skredu.dask

    report.say(
        f"### Networks\n\nNetworks with {args.layers} layers of {args.rows_of_nets} "
        f"samples with {FEATURES} features, in blocks of {args.size}. Every layer is a "
        "pass over the blocks, which are generated, and moved through all layers so "
        "far, each time."
    )
    X = collection(args.rows_of_nets, args.size, "X")
    y = collection(args.rows_of_nets, args.size, "y")
    classes, lines, made = np.arange(CLASSES), [], {}
    options = {"n_layers": args.layers, "step": "published", "membership": "residual"}
    nets = {
        "published steps by labels": ReduNetTransformer(
            epsilon=0.5, construction="labels", **options
        ),
        "default": ReduNetTransformer(args.layers),
        "default classifier": ReduNetClassifier(args.layers, n_iter_no_change=None),
    }
    with dask.config.set(scheduler="threads", num_workers=args.workers):
        lines.append(_timed("generated", lambda: X.sum().compute(), made))
        for name, net in nets.items():
            work = partial(skredu.dask.fit, net, X, y, classes=classes)
            lines.append(_timed(f"{name}, fit", work, made))
        model = made["default classifier, fit"]

        def accuracy() -> Any:
            return (skredu.dask.predict(model, X) == y).mean().compute()

        lines.append(_timed("default classifier, predict", accuracy, made))
    report.table(["work", "seconds", "CPU seconds", "peak, GiB"], lines)
    report.say(f"Accuracy: {made['default classifier, predict']:.4f}.")


def _timed(name: str, work: Any, made: dict[str, Any]) -> list[str]:
    """Do some work; return a line of the table."""
    start, cpu = time.perf_counter(), time.process_time()
    made[name] = work()
    seconds = time.perf_counter() - start
    spent, peak = time.process_time() - cpu, peak_size()
    size = "unknown" if peak is None else f"{peak / GIB:.2f}"
    return [name, f"{seconds:.1f}", f"{spent:.1f}", size]


PARTS = {"rows": _measure, "networks": _networks}


if __name__ == "__main__":
    main()
