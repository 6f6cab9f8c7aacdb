"""Networks trained with wrong labels, by cross-entropy and by the rate reduction.

Run ``python -m benchmarks.network_labels``; PyTorch is needed. A share of the labels of
1000 training samples is drawn anew at random; test samples have their true labels. The
data are the digits of scikit-learn, and, with ``--data FOLDER``, MNIST and
Fashion-MNIST with a quarter of their pixels. The published experiment, a ResNet-18 on
CIFAR-10, is ``--parts cifar10 --device cuda``; `benchmarks.cifar10` describes its data.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from benchmarks._data import Split, cifar10, halved
from benchmarks._harness import Benchmark, Report, progress
from benchmarks.label_noise import PUBLISHED, SHARES, corrupted
from skredu import MICLClassifier, NearestSubspaceClassifier
from skredu.torch import MCR2Classifier

TRAIN, TEST, WIDTH = 1000, 2000, 64
EPOCHS = (30, 120)
LOSSES = {"cross_entropy": "cross-entropy", "mcr2": "MCR²"}
HEADS = {
    "linear": LogisticRegression(max_iter=1000),
    "nearest subspace": NearestSubspaceClassifier(5),
    "MICL": MICLClassifier(),
}

Part = Callable[[Report, argparse.Namespace], None]


def main(arguments: list[str] | None = None) -> None:
    """Train all networks, and print their accuracies."""
    options = Benchmark(
        "network_labels",
        "Networks and wrong labels",
        {
            "digits": _digits,
            "mnist": _images("mnist", "MNIST"),
            "fashion": _images("fashion_mnist", "Fashion-MNIST"),
            "cifar10": _cifar10,
        },
        data="folder with mnist.npz, fashion_mnist.npz and cifar10.npz",
        runs=3,
    )
    options.add_argument("--shares", type=float, nargs="+", default=SHARES)
    options.add_argument("--device", default="cpu", help="of PyTorch")
    options.set_defaults(threads=1, parts=["digits", "mnist", "fashion"])
    options.run(arguments)


def _digits(report: Report, args: argparse.Namespace) -> None:
    X, y = load_digits(return_X_y=True)

    def split(seed: int) -> Split:
        order = np.random.default_rng(seed).permutation(len(y))
        train, test = order[:TRAIN], order[TRAIN:]
        return Split(X[train], y[train], X[test], y[test])

    _compare(report, args, "digits", split, {"signal_shape": (8, 8)})


def _images(file: str, name: str) -> Part:
    def part(report: Report, args: argparse.Namespace) -> None:
        if args.data is None:
            report.say(f"{name} was left out, because `--data` was not given.")
            return
        path = args.data / f"{file}.npz"
        options = {"signal_shape": (14, 14)}
        _compare(report, args, name, lambda seed: drawn(path, seed), options)

    return part


def drawn(path: Path, seed: int) -> Split:
    """Draw training and test samples from a file of images of 28 x 28 pixels."""
    rng, found = np.random.default_rng(seed), []
    with np.load(path) as file:
        for part, size in (("train", TRAIN), ("test", TEST)):
            rows = rng.permutation(len(file[f"y_{part}"]))[:size]
            found += [halved(file[f"X_{part}"][rows]), file[f"y_{part}"][rows]]
    return Split(*found)


def _cifar10(report: Report, args: argparse.Namespace) -> None:
    split, network = cifar10(args.data), {"network": resnet18(), "batch_size": 1000}
    _compare(report, args, "CIFAR-10, ResNet-18", lambda seed: split, network)


def _compare(
    report: Report,
    args: argparse.Namespace,
    name: str,
    split: Callable[[int], Split],
    options: dict[str, Any],
) -> None:
    """Print the accuracy of all networks for each share of wrong labels."""
    torch.set_num_threads(args.threads or torch.get_num_threads())
    options = {"n_components": 64, "batch_size": 250, "device": args.device} | options
    start = time.process_time()
    found: dict[str, dict[float, list[float]]] = {}
    for seed in range(args.runs):
        rows = split(seed)
        for share in args.shares:
            labels = corrupted(rows.y_train, share, seed)
            for key, accuracy in _accuracies(rows, labels, seed, options):
                found.setdefault(key, {}).setdefault(share, []).append(accuracy)
            progress(f"{name}, seed {seed}, share {share}")
    report.say(
        f"### {name}\n\nAccuracy on {len(rows.y_test)} test samples with "
        f"{len(rows.y_train)} training samples, as the mean over draws of samples, "
        f"labels and initial networks (their number is {args.runs}). *Early*: the "
        "network after the epoch with the smallest loss on a tenth of the training "
        "samples, with their given labels. *Linear*: logistic regression on the "
        "features, in place of the layer that is trained with the network. The "
        "published rows are a ResNet-18 on CIFAR-10. Processor time of all: "
        f"{time.process_time() - start:.0f} s."
    )
    lines = [
        [key, *(f"{np.mean(values[share]):.3f}" for share in args.shares)]
        for key, values in found.items()
    ]
    for key, values in PUBLISHED.items():
        known = {share: f"{x:.3f}" for share, x in zip(SHARES, values, strict=True)}
        lines.append([key, *(known.get(share, "–") for share in args.shares)])
    report.table(["model", *(f"{share:.0%} drawn" for share in args.shares)], lines)


def _accuracies(
    rows: Split, labels: Any, seed: int, options: dict[str, Any]
) -> Iterator[tuple[str, float]]:
    """Yield names of models and their accuracies."""
    for loss, shown in LOSSES.items():
        for epochs in (*EPOCHS, "early"):
            early = epochs == "early"
            model = MCR2Classifier(
                loss=loss,
                max_iter=EPOCHS[-1] if early else epochs,
                early_stopping=early,
                random_state=seed,
                **options,
            ).fit(rows.X_train, labels)
            Z, Z_test = model.transform(rows.X_train), model.transform(rows.X_test)
            when = "early" if early else f"{epochs} epochs"
            for head, classifier in HEADS.items():
                if head == "linear" and loss == "mcr2":
                    continue
                score = clone(classifier).fit(Z, labels).score(Z_test, rows.y_test)
                yield f"{shown}, {when}, {head}", score
    plain = MICLClassifier().fit(rows.X_train, labels)
    yield "MICL, no network", plain.score(rows.X_test, rows.y_test)


class Residual(nn.Module):
    """Two convolutions, beside a shortcut."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            *convolution(before, width, stride), nn.ReLU(), *convolution(width, width)
        )
        self.shortcut = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(*convolution(before, width, stride, 1))

    def forward(self, Z: Tensor) -> Tensor:
        return (self.path(Z) + self.shortcut(Z)).relu()


def convolution(
    before: int, width: int, stride: int = 1, size: int = 3
) -> tuple[nn.Module, nn.Module]:
    """Return a convolution and its normalisation."""
    layer = nn.Conv2d(before, width, size, stride, size // 2, bias=False)
    return layer, nn.BatchNorm2d(width)


def resnet18() -> nn.Module:
    """Return the ResNet-18 for images of 32 x 32 pixels, with 128 features."""
    torch.manual_seed(0)
    parts = [nn.Unflatten(1, (3, 32, 32)), *convolution(3, WIDTH), nn.ReLU()]
    before = WIDTH
    for level in range(4):
        width = 2**level * WIDTH
        parts += [Residual(before, width, 1 + (level > 0)), Residual(width, width, 1)]
        before = width
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 128)]
    return nn.Sequential(*parts)


if __name__ == "__main__":
    main()
