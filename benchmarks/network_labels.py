"""Networks trained with wrong labels, by cross-entropy and by the rate reduction.

Run ``python -m benchmarks.network_labels``; PyTorch is needed. The data are the digits
of scikit-learn: 1000 training samples, a share of whose labels is drawn anew at random,
and 797 test samples with their true labels. The published experiment is on CIFAR-10.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from sklearn.datasets import load_digits

from benchmarks._harness import Benchmark, Report, progress
from skredu import MICLClassifier, NearestSubspaceClassifier
from skredu.torch import MCR2Classifier

TRAIN = 1000
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
EPOCHS = (30, 120)
LOSSES = {"cross_entropy": "cross-entropy", "mcr2": "MCR²"}
HEADS = {
    "nearest subspace": NearestSubspaceClassifier(5),
    "MICL": MICLClassifier(),
}
PUBLISHED = {
    "published: cross-entropy, linear": (0.939, 0.909, 0.861, 0.791, 0.724, 0.603),
    "published: MCR², nearest subspace": (0.940, 0.911, 0.897, 0.881, 0.866, 0.843),
}


def main(arguments: list[str] | None = None) -> None:
    """Train all networks, and print their accuracies."""
    options = Benchmark(
        "network_labels", "Networks and wrong labels", {"digits": _digits}, runs=3
    )
    options.add_argument("--shares", type=float, nargs="+", default=SHARES)
    options.set_defaults(threads=1)
    options.run(arguments)


def _digits(report: Report, args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads or torch.get_num_threads())
    start = time.process_time()
    X, y = load_digits(return_X_y=True)
    found: dict[str, dict[float, list[float]]] = {}
    for seed in range(args.runs):
        order = np.random.default_rng(seed).permutation(len(y))
        train, test = order[:TRAIN], order[TRAIN:]
        for share in args.shares:
            labels = drawn_anew(y[train], share, seed)
            for name, accuracy in _accuracies(X, y, train, test, labels, seed):
                found.setdefault(name, {}).setdefault(share, []).append(accuracy)
            progress(f"seed {seed}, share {share}")
    report.say(
        f"Accuracy on {len(y) - TRAIN} digits, as the mean of {args.runs} draws of "
        "samples, labels and initial networks. All networks have two convolutions and "
        "64 features. *Early*: the network after the epoch with the smallest loss on a "
        "tenth of the training samples, with their given labels. *Linear*: logistic "
        "regression on the features, in place of the layer that is trained with the "
        "network. The published rows are a ResNet-18 on "
        f"CIFAR-10. Processor time of all: {time.process_time() - start:.0f} s."
    )
    rows = [
        [name, *(f"{np.mean(values[share]):.3f}" for share in args.shares)]
        for name, values in found.items()
    ]
    for name, values in PUBLISHED.items():
        known = dict(zip(SHARES, values, strict=True))
        rows.append([name, *(str(known.get(share, "–")) for share in args.shares)])
    report.table(["model", *(f"{share:.0%} drawn" for share in args.shares)], rows)


def drawn_anew(y: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Draw a share of labels anew, uniformly from all classes."""
    random = np.random.default_rng(seed)
    labels, chosen = y.copy(), random.permutation(len(y))[: round(share * len(y))]
    labels[chosen] = random.integers(0, 10, len(chosen))
    return labels


def _accuracies(X, y, train, test, labels, seed):
    """Yield names of models and their accuracies."""
    from sklearn.linear_model import LogisticRegression

    options = {"signal_shape": (8, 8), "n_components": 64, "batch_size": 250}
    for loss, shown in LOSSES.items():
        heads = dict(HEADS)
        if loss == "cross_entropy":
            heads = {"linear": LogisticRegression(max_iter=1000)} | heads
        for epochs in (*EPOCHS, "early"):
            early = epochs == "early"
            model = MCR2Classifier(
                loss=loss,
                max_iter=EPOCHS[-1] if early else epochs,
                early_stopping=early,
                random_state=seed,
                **options,
            ).fit(X[train], labels)
            Z, new = model.transform(X[train]), model.transform(X[test])
            when = "early" if early else f"{epochs} epochs"
            for head, classifier in heads.items():
                score = classifier.fit(Z, labels).score(new, y[test])
                yield f"{shown}, {when}, {head}", score
    yield (
        "MICL, no network",
        MICLClassifier().fit(X[train], labels).score(X[test], y[test]),
    )


if __name__ == "__main__":
    main()
