"""Back-propagation that starts from a constructed network, or from a random one.

Run ``python -m benchmarks.fine_tuning --data DATA``; PyTorch is needed. The networks
are invariant to shifts: 16 filters, and operators of all frequencies, without layers.
The learning rates were chosen on 500 digits that are neither used to train nor to test.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from torch import nn

from benchmarks._data import Split
from benchmarks._harness import Benchmark, Report, progress
from skredu import ConvolutionalLifting, InvariantReduNetClassifier
from skredu.torch import as_module, from_module

TRAIN, TEST, N_FILTERS = 500, 2000, 16
EPOCHS = {"digits": 25, "MNIST": 8}
BATCH = 100
# Learning rates, relative to the root mean square of each parameter.
RATES = {"noise": 0.2, "all samples": 0.05, "half of the samples": 0.1}
PUBLISHED = (
    ("published: forward", "0.898"),
    ("published: random operators, back-propagation", "0.932"),
    ("published: ReduNet, back-propagation", "0.978"),
)


def main(arguments: list[str] | None = None) -> None:
    """Construct and tune networks, and print their accuracies."""
    options = Benchmark(
        "fine_tuning",
        "Fine-tuning of constructed networks",
        {"digits": _digits, "mnist": _mnist},
        data="folder with mnist.npz",
        runs=3,
    )
    options.set_defaults(threads=1)
    options.run(arguments)


def _digits(report: Report, args: argparse.Namespace) -> None:
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    splits = []
    for seed in range(args.runs):
        train = np.random.default_rng(seed).permutation(order[:1000])[:TRAIN]
        splits.append(Split(X[train], y[train], X[order[1000:]], y[order[1000:]]))
    _compare(report, args, "digits", splits, (8, 8), 5)


def _mnist(report: Report, args: argparse.Namespace) -> None:
    if args.data is None:
        report.say("MNIST was left out, because `--data` was not given.")
        return
    with np.load(args.data / "mnist.npz") as file:
        X, X_test = (
            np.reshape(file[key][:size], (size, -1)) / 255.0
            for key, size in (("X_train", TRAIN), ("X_test", TEST))
        )
        split = Split(X, file["y_train"][:TRAIN], X_test, file["y_test"][:TEST])
    _compare(report, args, "MNIST", [split], (28, 28), 11)


def _compare(
    report: Report,
    args: argparse.Namespace,
    name: str,
    splits: list[Split],
    grid: tuple[int, int],
    kernel: int,
) -> None:
    """Print a table of accuracies."""
    torch.set_num_threads(args.threads or torch.get_num_threads())
    report.say(
        f"### {name}\n\n{len(splits[0].y_train)} training and {len(splits[0].y_test)} "
        f"test samples, {N_FILTERS} filters of {kernel} x {kernel} points. All "
        "predictions are the same for every shift. Back-propagation of the "
        f"cross-entropy of all training samples takes {EPOCHS[name]} epochs. *Noise*: "
        "the operators are constructed from Gaussian noise with the labels of the "
        "samples. *Half*: they are constructed from half of the training samples, so "
        "that the other half is new to them. Seconds are processor time of the tuning."
    )
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed, split in enumerate(splits):
        for key, result in _results(split, grid, kernel, EPOCHS[name], seed):
            found.setdefault(key, []).append(result)
            progress(f"{name}, {key}: {result[0]:.4f}")
    rows = []
    for key, results in found.items():
        scores, losses, seconds = np.transpose(results)
        cells = [f"{f(scores):.4f}" for f in (np.mean, np.min, np.max)]
        rows.append([key, *cells, f"{losses.mean():.3f}", f"{seconds.mean():.0f}"])
    if name == "MNIST":
        rows += [[key, value, *4 * "–"] for key, value in PUBLISHED]
    header = ["network", "accuracy", "smallest", "largest", "training loss", "seconds"]
    report.table(header, rows)


def _results(
    split: Split, grid: tuple[int, int], kernel: int, epochs: int, seed: int
) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """Yield names of networks with accuracy, loss of training samples, and seconds."""
    X, y, half = split.X_train, split.y_train, len(split.y_train) // 2
    noise = X.mean() + X.std() * np.random.default_rng(seed).normal(size=X.shape)
    starts = {
        "all samples": (X, y),
        "half of the samples": (X[:half], y[:half]),
        "noise": (noise, y),
    }
    for name, rows in starts.items():
        lifting = ConvolutionalLifting(
            N_FILTERS, kernel, signal_shape=grid, random_state=seed
        )
        network = make_pipeline(lifting, InvariantReduNetClassifier(0)).fit(*rows)
        loss = -np.mean(np.log(network.predict_proba(X)[np.arange(len(y)), y]))
        score = network.score(split.X_test, split.y_test)
        yield f"{name}, forward", (score, loss, 0.0)
        start = time.process_time()
        tuned, loss = tune(network, X, y, RATES[name], epochs, seed)
        seconds = time.process_time() - start
        score = tuned.score(split.X_test, split.y_test)
        yield f"{name}, back-propagation", (score, loss, seconds)


def tune(
    network: Any, X: Any, y: Any, rate: float, epochs: int, seed: int
) -> tuple[Any, float]:
    """Return a network after back-propagation, and its loss in the last epoch."""
    generator = torch.Generator().manual_seed(seed)
    module, rows, labels = as_module(network), torch.tensor(X), torch.tensor(y)
    groups = [
        {
            "params": [part],
            "lr": rate * float(part.detach().abs().square().mean()) ** 0.5,
        }
        for part in module.parameters()
    ]
    optimizer = torch.optim.Adam(groups)
    pace = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        losses = []
        for batch in torch.randperm(len(y), generator=generator).split(BATCH):
            optimizer.zero_grad()
            loss = nn.functional.nll_loss(module(rows[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        pace.step()
    return from_module(module), float(np.mean(losses))


if __name__ == "__main__":
    main()
