"""Learned filters compared with clustered ones, in front of invariant classes.

Run ``python -m benchmarks.learned_filters``; PyTorch is needed. The digits of
scikit-learn are used, on a cyclic grid of 8 x 8 points. For each seed, 500 of the first
1000 of them in a fixed random order are the training samples, and the last 797 are the
test samples. The settings were chosen on the rest of the first 1000. With ``--data
FOLDER``, which contains mnist.npz, 500 samples of MNIST are used, too, and the first
2000 test samples. Samples are in single precision. The last part compares learned
iterations for sparse codes with those of the methods.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.utils import gen_batches

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress
from skredu import ConvolutionalLifting, InvariantReduNetClassifier
from skredu.torch import LearnedLifting, LearnedSparseCoder

TRAIN, POOL = 500, 1000
OPTIONS = {"n_filters": 16, "signal_shape": (8, 8)}
KERNELS = (3, 5)
STEPS = (10, 40, 100)
# Other nonlinearities with the smallest filters, and steps of Adam.
OTHERS = {"both signs": ("split", 25), "sparse codes": ("fista", 25)}
# Training and test samples of MNIST.
IMAGES = (500, 2000)
# Training samples, steps of Adam and iterations for codes.
CODED, STEPS_OF_CODES = 200, 60
ITERATIONS, LEARNED = (3, 5, 10, 12, 20, 40), (3, 5, 10)

# Accuracy, loss and seconds by the size of filters and their kind.
Scores = dict[tuple[int, str], list[tuple[float, float, float]]]


def main(arguments: list[str] | None = None) -> None:
    """Print the accuracies of all seeds."""
    options = Benchmark(
        "learned_filters", "Learned filters", PARTS, data="folder of the file", runs=5
    )
    options.set_defaults(threads=1)
    options.run(arguments)


def _digits(report: Report, args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads or torch.get_num_threads())
    X, y = load_digits(return_X_y=True)
    X, order = X.astype(np.float32), np.random.default_rng(0).permutation(len(y))
    test = order[POOL:]
    scores: Scores = {}
    for seed in range(args.runs):
        train = np.random.default_rng(seed).permutation(order[:POOL])[:TRAIN]
        split = _data.Split(X[train], y[train], X[test], y[test])
        _add(scores, split, liftings(), seed)
    report.say(
        f"Accuracy on {len(test)} digits that are not used otherwise, with {TRAIN} "
        f"training samples: mean, smallest and largest of {args.runs} seeds. The gain "
        "is the mean difference to clustered filters of the same size, and its "
        "standard error. *Loss* is that of left-out training samples, in nats. Seconds "
        "are processor time."
    )
    _table(report, scores)


def _mnist(report: Report, args: argparse.Namespace) -> None:
    if args.data is None:
        return
    torch.set_num_threads(args.threads or torch.get_num_threads())
    whole = _data.mnist(args.data, "float32", test=IMAGES[1])
    options = {"n_filters": 16, "signal_shape": (28, 28)}
    both = {**options, "activation": "split"}
    compared = {
        (10, "clustered"): ConvolutionalLifting(**options),
        (10, "clustered, both signs"): ConvolutionalLifting(**both),
        (10, "learned, 20 steps"): LearnedLifting(**options, max_iter=20),
        (10, "learned, both signs, 10 steps"): LearnedLifting(**both, max_iter=10),
    }
    scores: Scores = {}
    for seed in range(min(3, args.runs)):
        order = np.random.default_rng(seed).permutation(len(whole.y_train))
        train = order[: IMAGES[0]]
        X, y = whole.X_train[train], whole.y_train[train]
        _add(scores, whole._replace(X_train=X, y_train=y), compared, seed)
    report.say(
        f"MNIST: {IMAGES[0]} training samples, drawn anew for each seed, and the first "
        f"{IMAGES[1]} test samples."
    )
    _table(report, scores)


def _add(scores: Scores, split: _data.Split, compared: Any, seed: int) -> None:
    """Add accuracy, loss and seconds of each lifting."""
    for key, lifting in compared.items():
        lifting.set_params(random_state=seed)
        start = time.process_time()
        Z = lifting.fit(split.X_train, split.y_train).transform(split.X_train)
        seconds = time.process_time() - start
        model = InvariantReduNetClassifier(n_layers=0).fit(Z, split.y_train)
        hits: list[Any] = []
        for block in gen_batches(len(split.y_test), 500):
            found = model.predict(lifting.transform(split.X_test[block]))
            hits.extend(found == split.y_test[block])
        loss = getattr(lifting, "loss_curve_", [np.nan])[-1]
        scores.setdefault(key, []).append((float(np.mean(hits)), loss, seconds))
        progress(f"{seed}, {key}: {scores[key][-1]}")


def _table(report: Report, scores: Scores) -> None:
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


def _codes(report: Report, _: argparse.Namespace) -> None:
    X = load_digits().data / 16.0
    order = np.random.default_rng(0).permutation(len(X))
    train, test = X[order[:CODED]], X[order[POOL : POOL + 80]]
    options = {"signal_shape": (8, 8), "pooling": None, "random_state": 0}

    def gap(lifting: ConvolutionalLifting, least: float) -> str:
        return f"{cost_of_codes(lifting.fit(train), test) / least - 1.0:.4f}"

    def fixed(activation: str, n_iter: int) -> ConvolutionalLifting:
        return ConvolutionalLifting(
            16, 3, activation=activation, n_iter=n_iter, **options
        )

    least, table = cost_of_codes(fixed("fista", 1000).fit(train), test), []
    for n_iter in ITERATIONS:
        cells = [gap(fixed(name, n_iter), least) for name in ("ista", "fista")]
        learned = LearnedSparseCoder(
            16, 3, n_iter=n_iter, max_iter=STEPS_OF_CODES, **options
        )
        found = gap(learned, least) if n_iter in LEARNED else "–"
        table.append([n_iter, *cells, found])
    report.say(
        "Sparse codes of 80 digits, with 16 filters of 3 x 3 points: the cost that "
        "they minimise, relative to its minimum, minus one, after some iterations. "
        f"The learned iterations are those of {CODED} other digits, without labels, by "
        f"{STEPS_OF_CODES} steps of Adam."
    )
    report.table(["iterations", "ISTA", "FISTA", "learned"], table)


def cost_of_codes(lifting: ConvolutionalLifting, X: Any) -> float:
    """Return the mean cost of the codes of images, which the lasso minimises."""
    grid = lifting.signal_shape_
    codes = lifting.transform(X).reshape(len(X), -1, *grid)
    W = np.fft.fft2(lifting.filters_[:, 0], s=grid)
    spectra = np.fft.fft2(X.reshape(-1, *grid))
    shown = np.fft.ifft2((np.fft.fft2(codes) * W).sum(axis=1)).real
    responses = np.fft.ifft2(spectra[:, None] * W.conj()).real
    level = lifting.threshold * np.sqrt(np.mean(responses**2, axis=(1, 2, 3)))
    error = ((X.reshape(-1, *grid) - shown) ** 2).sum(axis=(1, 2))
    return float(np.mean(0.5 * error + level * np.abs(codes).sum(axis=(1, 2, 3))))


def liftings() -> dict[tuple[int, str], ConvolutionalLifting]:
    """Return the liftings by the size of their filters and by their kind."""
    found: dict[tuple[int, str], ConvolutionalLifting] = {}
    for size in KERNELS:
        options = {**OPTIONS, "kernel_size": size}
        found[size, "clustered"] = ConvolutionalLifting(**options)
        for steps in STEPS:
            learned = LearnedLifting(**options, max_iter=steps)
            found[size, f"learned, {steps} steps"] = learned
    size = KERNELS[0]
    for name, (activation, steps) in OTHERS.items():
        options = {**OPTIONS, "kernel_size": size, "activation": activation}
        options["n_iter"] = 5
        found[size, f"clustered, {name}"] = ConvolutionalLifting(**options)
        learned = LearnedLifting(**options, max_iter=steps)
        found[size, f"learned, {name}, {steps} steps"] = learned
    return found


PARTS = {"digits": _digits, "mnist": _mnist, "codes": _codes}


if __name__ == "__main__":
    main()
