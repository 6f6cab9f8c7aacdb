"""Learned filters compared with clustered ones, in front of invariant classes.

Run ``python -m benchmarks.learned_filters``; PyTorch is needed. The digits of
scikit-learn are used, on a cyclic grid of 8 x 8 points. For each seed, 500 of the first
1000 of them in a fixed random order are the training samples, and the last 797 are the
test samples. The settings were chosen on the rest of the first 1000.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from sklearn.datasets import load_digits

from benchmarks._harness import Benchmark, Report
from skredu import ConvolutionalLifting, InvariantReduNetClassifier
from skredu.torch import LearnedLifting

TRAIN, POOL = 500, 1000
OPTIONS = {"n_filters": 16, "signal_shape": (8, 8)}
KERNELS = (3, 5)
STEPS = (10, 40)


def main(arguments: list[str] | None = None) -> None:
    """Print the accuracies of all seeds."""
    options = Benchmark(
        "learned_filters", "Learned filters", {"digits": _digits}, runs=5
    )
    options.set_defaults(threads=1)
    options.run(arguments)


def _digits(report: Report, args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads or torch.get_num_threads())
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    test = order[POOL:]
    scores: dict[tuple[int, str], list[tuple[float, float, float]]] = {}
    for seed in range(args.runs):
        pool = np.random.default_rng(seed).permutation(order[:POOL])
        train = pool[:TRAIN]
        for key, lifting in liftings().items():
            lifting.set_params(random_state=seed)
            start = time.process_time()
            Z = lifting.fit(X[train], y[train]).transform(X[train])
            seconds = time.process_time() - start
            net = InvariantReduNetClassifier(n_layers=0).fit(Z, y[train])
            found = net.score(lifting.transform(X[test]), y[test])
            loss = getattr(lifting, "loss_curve_", [np.nan])[-1]
            scores.setdefault(key, []).append((found, loss, seconds))
    report.say(
        f"Accuracy on {len(test)} digits that are not used otherwise, with {TRAIN} "
        f"training samples: mean, smallest and largest of {args.runs} seeds. The gain "
        "is the mean difference to clustered filters of the same size, and its "
        "standard error. *Loss* is that of left-out training samples, in nats. Seconds "
        "are processor time."
    )
    rows = []
    for (size, name), values in scores.items():
        base = np.array(scores[size, "clustered"])[:, 0]
        found, loss, seconds = np.array(values).T
        gain = found - base
        error = gain.std(ddof=1) / len(gain) ** 0.5 if len(gain) > 1 else np.nan
        rows.append(
            [
                f"{size} x {size}, {name}",
                f"{found.mean():.4f}",
                f"{found.min():.4f}",
                f"{found.max():.4f}",
                f"{gain.mean():+.4f} ± {error:.4f}",
                f"{loss.mean():.3f}",
                f"{seconds.mean():.1f}",
            ]
        )
    header = ["filters", "accuracy", "smallest", "largest", "gain", "loss", "seconds"]
    report.table(header, rows)


def liftings() -> dict[tuple[int, str], ConvolutionalLifting]:
    """Return the liftings by the size of their filters and by their kind."""
    found: dict[tuple[int, str], ConvolutionalLifting] = {}
    for size in KERNELS:
        options = {**OPTIONS, "kernel_size": size}
        found[size, "clustered"] = ConvolutionalLifting(**options)
        for steps in STEPS:
            learned = LearnedLifting(**options, max_iter=steps)
            found[size, f"learned, {steps} steps"] = learned
    return found


if __name__ == "__main__":
    main()
