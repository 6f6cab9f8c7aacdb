"""White-box transformers beside a vision transformer and closed-form classifiers.

Run ``python -m benchmarks.crate --data DATA``; PyTorch is needed. The data are the
digits of scikit-learn, and samples of Fashion-MNIST, if ``--data`` is given.
No setting was chosen for these data but the patches, which give 4 and 16 tokens.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn

from benchmarks._data import Split
from benchmarks._harness import Benchmark, Report, mean_and_error, progress
from skredu import MICLClassifier
from skredu.torch import CRATEClassifier

TRAIN, FASHION = 1000, 2000
EPOCHS = {"digits": 60, "Fashion-MNIST": 25}


class ViTClassifier(CRATEClassifier):
    """The same tokens and training with layers of a usual transformer."""

    def _layer(self) -> nn.Module:
        size = self.n_components
        return nn.TransformerEncoderLayer(
            size, self.n_heads, 2 * size, 0.0, "gelu", batch_first=True, norm_first=True
        )


def networks() -> dict[str, CRATEClassifier]:
    """Return the networks by name."""
    found: dict[str, CRATEClassifier] = {}
    for name, attention in (("CRATE", "subspace"), ("ToST", "statistics")):
        found[name] = CRATEClassifier(attention=attention)
        free = CRATEClassifier(attention=attention, tied=False)
        found[f"{name}, not tied"] = free
    found["ViT"] = ViTClassifier()
    found["ViT, width 28"] = ViTClassifier(28)
    return found


def main(arguments: list[str] | None = None) -> None:
    """Train all networks, and print their accuracies."""
    options = Benchmark(
        "crate",
        "White-box transformers",
        {"digits": _digits, "fashion": _fashion},
        data="folder with fashion_mnist.npz",
        runs=3,
    )
    options.set_defaults(threads=1)
    options.run(arguments)


def _digits(report: Report, args: argparse.Namespace) -> None:
    X, y = load_digits(return_X_y=True)
    splits = []
    for seed in range(args.runs):
        order = np.random.default_rng(seed).permutation(len(y))
        train, test = order[:TRAIN], order[TRAIN:]
        splits.append(Split(X[train], y[train], X[test], y[test]))
    _compare(report, args, "digits", splits, {"signal_shape": (8, 8)})


def _fashion(report: Report, args: argparse.Namespace) -> None:
    if args.data is None:
        report.say("Fashion-MNIST was left out, because `--data` was not given.")
        return
    splits = [fashion(args.data, FASHION, seed) for seed in range(args.runs)]
    options = {"signal_shape": (28, 28), "patch_size": 7}
    _compare(report, args, "Fashion-MNIST", splits, options)


def fashion(data: Path, size: int, seed: int) -> Split:
    """Return some training samples, drawn at random, and the first test samples."""
    with np.load(data / "fashion_mnist.npz") as file:
        rows = np.random.default_rng(seed).permutation(len(file["y_train"]))[:size]
        X, y = file["X_train"][rows], file["y_train"][rows]
        X_test, y_test = file["X_test"][:size], file["y_test"][:size]
    X, X_test = (np.reshape(Z, (len(Z), -1)) / 255.0 for Z in (X, X_test))
    return Split(X, y, X_test, y_test)


def _compare(
    report: Report,
    args: argparse.Namespace,
    name: str,
    splits: list[Split],
    options: dict[str, Any],
) -> None:
    """Print a table of accuracies, and one of the rates in the layers."""
    torch.set_num_threads(args.threads or torch.get_num_threads())
    models: dict[str, Any] = {
        key: net.set_params(**options, max_iter=EPOCHS[name])
        for key, net in networks().items()
    }
    models["SVC"] = make_pipeline(
        StandardScaler(with_std=False), SVC(C=10.0, random_state=0)
    )
    models["MICL"] = MICLClassifier()
    report.say(
        f"### {name}\n\n{len(splits[0].y_train)} training and {len(splits[0].y_test)} "
        f"test samples; mean accuracy of {len(splits)} splits and initial networks, "
        f"its standard error, and the smallest and largest one. {EPOCHS[name]} epochs. "
        "Seconds are processor time of a fit."
    )
    rows, layers = [], []
    for key, model in models.items():
        scores, seconds, size = [], [], "–"
        for seed, split in enumerate(splits):
            if hasattr(model, "random_state"):
                model.set_params(random_state=seed)
            start = time.process_time()
            model.fit(split.X_train, split.y_train)
            seconds.append(time.process_time() - start)
            scores.append(model.score(split.X_test, split.y_test))
            progress(f"{name}, {key}: {scores[-1]:.4f}")
        if hasattr(model, "network_"):
            size = str(sum(part.numel() for part in model.network_.parameters()))
        if key in ("CRATE", "ToST"):
            rates = model.layer_rates(split.X_test[:500])
            for layer, terms in enumerate(np.transpose(list(rates.values()))):
                layers.append([key, layer + 1, *(f"{term:.2f}" for term in terms)])
        cells = [mean_and_error(scores), f"{min(scores):.4f}", f"{max(scores):.4f}"]
        rows.append([key, size, *cells, f"{np.mean(seconds):.1f}"])
    header = ["model", "parameters", "accuracy", "smallest", "largest", "seconds"]
    report.table(header, rows)
    report.say(
        "Terms of the sparse rate reduction in the layers, for tokens on the unit "
        "sphere and orthonormal bases, means of 500 test samples in nats: the rate "
        "against the subspaces of the layer before and after its attention, the rate "
        "of the tokens after the layer, and the share of their entries that are not "
        "zero."
    )
    report.table(["network", "layer", "Rc before", "Rc after", "R", "nonzero"], layers)


if __name__ == "__main__":
    main()
