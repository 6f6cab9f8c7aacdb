"""Wrong training labels: classifiers of skredu compared with those of scikit-learn.

Run ``python -m benchmarks.label_noise --data FOLDER``; the folder contains mnist.npz.
Without it, generated rows replace MNIST. ``--figure FILE`` draws the table. ``--parts
quality`` measures how well wrong labels of tables in scikit-learn are found, and
``--parts refits`` what further fits bring that weigh samples by their labels' quality.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress, seconds_of
from benchmarks.accuracy import measures, pipeline
from skredu import (
    MCR2Transformer,
    MICLClassifier,
    NearestSubspaceClassifier,
    ReduNetClassifier,
)
from skredu.metrics import label_quality

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
DIMENSIONS = {"n_components": [1, 2, 3, 5, 10]}
# Test accuracy of a ResNet-18 on CIFAR-10 trained with each loss (Yu et al. 2020).
PUBLISHED = {
    "published: cross-entropy": (0.939, 0.909, 0.861, 0.791, 0.724, 0.603),
    "published: MCR²": (0.940, 0.911, 0.897, 0.881, 0.866, 0.843),
}


def models(n_components: int) -> dict[str, BaseEstimator]:
    """Return classifiers with default parameters, on principal components of pixels."""
    kinds = {
        "MICL": [MICLClassifier()],
        "ReduNet": [ReduNetClassifier()],
        "MCR² + nearest subspace": [
            MCR2Transformer(),
            GridSearchCV(NearestSubspaceClassifier(), DIMENSIONS, cv=3),
        ],
        "MCR² + MICL": [MCR2Transformer(), MICLClassifier()],
        "logistic regression": [LogisticRegression(max_iter=2000)],
        "SVC, rbf": [SVC(random_state=0)],
        "MLP": [MLPClassifier(max_iter=100, random_state=0)],
        "MLP, early stopping": [
            MLPClassifier(max_iter=100, early_stopping=True, random_state=0)
        ],
    }
    return {
        name: make_pipeline(PCA(n_components, random_state=0), *steps)
        for name, steps in kinds.items()
    }


def corrupted(y: Any, share: float, seed: int) -> Any:
    """Return labels of which a share is drawn again, as in the published experiment.

    The true label may be drawn again.
    """
    rng = np.random.default_rng(seed)
    y = y.copy()
    drawn = rng.permutation(len(y))[: round(share * len(y))]
    y[drawn] = rng.choice(np.unique(y), size=len(drawn))
    return y


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and draw."""
    options = Benchmark(
        "label_noise",
        "Wrong labels",
        {"labels": _measure, "quality": _find, "refits": _refit},
        data="folder of mnist.npz and tabular/*.csv",
    )
    options.add_argument("--train", type=int, default=5000, help="training rows")
    options.add_argument("--test", type=int, default=10_000, help="test rows")
    options.add_argument("--components", type=int, default=50, help="of the pixels")
    options.add_argument("--seeds", type=int, default=2, help="draws of wrong labels")
    options.add_argument("--rows", type=int, default=600, help="of tables, for refits")
    options.add_argument(
        "--kernels", nargs="+", default=["linear", "auto"], help="for refits"
    )
    options.add_argument("--models", nargs="+", help="default: all")
    options.add_argument("--figure", type=Path, help="PNG of the table")
    options.run(arguments)


def _measure(report: Report, args: argparse.Namespace) -> None:
    name = "MNIST" if args.data else "Generated rows of the shape of MNIST"
    report.say(
        f"{name}: {args.train} training samples, {args.test} test samples with "
        f"their true labels, {args.components} principal components of the "
        "pixels. A share of the training labels is drawn uniformly at random, "
        "so a tenth of the drawn labels stays correct. The table contains the "
        f"accuracy, as the mean of {args.seeds} draws; *fit* is the time in "
        "seconds of one fit to true labels; the dimension of nearest subspaces "
        "is chosen from 1, 2, 3, 5, 10 by 3-fold cross-validation with the "
        "given labels. **The published rows are from another experiment**: a "
        "ResNet-18 trained on CIFAR-10 by back-propagation, with either loss "
        "(Yu et al. 2020)."
    )
    scores, seconds = measure(args)
    header = ["model", *(f"{share:.0%} drawn" for share in SHARES), "kept at 50 %"]
    lines = [
        [name, *(f"{s:.3f}" for s in row), f"{row[-1] / row[0]:.2f}", seconds[name]]
        for name, row in scores.items()
    ]
    for name, row in PUBLISHED.items():
        cells = [f"{s:.3f}" for s in row]
        lines.append([name, *cells, f"{row[-1] / row[0]:.2f}", "–"])
    report.table([*header, "fit, s"], lines)
    if args.figure is not None:
        draw(scores, args.figure)


def measure(args: argparse.Namespace) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Return the accuracies by model and share, and the seconds of a fit."""
    rows = _data.mnist(args.data, "float64", args.train, args.test)
    scores: dict[str, list[float]] = {}
    seconds = {}
    for name, model in models(args.components).items():
        if args.models and name not in args.models:
            continue
        scores[name] = []
        for share in SHARES:
            found = []
            for seed in range(args.seeds if share else 1):
                y = corrupted(rows.y_train, share, seed)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    spent = seconds_of(lambda m=model, y=y: m.fit(rows.X_train, y))
                found.append(model.score(rows.X_test, rows.y_test))
                seconds.setdefault(name, f"{spent:.1f}")
            scores[name].append(float(np.mean(found)))
            progress(f"{name}, {share:.0%}: {scores[name][-1]:.4f}")
    return scores, seconds


def _find(report: Report, args: argparse.Namespace) -> None:
    """Measure how well the probability of a label tells whether it is wrong."""
    report.say(
        "A tenth of the labels of tables in scikit-learn is replaced by other ones. "
        "The table contains the area under the ROC curve of one minus the probability "
        "of the label, predicted from other samples, and seconds of the processor: "
        f"means of {args.seeds} draws. Features are standardised. MICL leaves out each "
        "sample in closed form; the random forest is fitted five times."
    )
    lines = []
    for name, probabilities in FINDERS.items():
        cells = []
        for load in TABLES:
            X, y = load(return_X_y=True)
            X, found = StandardScaler().fit_transform(X), []
            for seed in range(args.seeds):
                labels, wrong = mislabelled(y, 0.1, seed)
                start = time.process_time()
                quality = probabilities(X, labels)
                seconds = time.process_time() - start
                found.append((roc_auc_score(wrong, -quality), seconds))
            area, seconds = np.mean(found, axis=0)
            cells.append(f"{area:.4f} ({seconds:.3f} s)")
            progress(f"{name}, {load.__name__}: {cells[-1]}")
        lines.append([name, *cells])
    report.table(["probabilities", *(load.__name__[5:] for load in TABLES)], lines)


def mislabelled(y: Any, share: float, seed: int) -> tuple[Any, Any]:
    """Return labels of which a share is wrong, and which of them are."""
    rng, classes = np.random.default_rng(seed), len(np.unique(y))
    wrong = np.zeros(len(y), dtype=bool)
    wrong[rng.permutation(len(y))[: round(share * len(y))]] = True
    others = (y + rng.integers(1, classes, len(y))) % classes
    return np.where(wrong, others, y), wrong


def _refit(report: Report, args: argparse.Namespace) -> None:
    """Measure what ``n_label_refits`` brings on tables with wrong labels."""
    tables = list(refit_tables(args))
    report.say(
        f"{len(tables)} tables of at most {args.rows} samples, three folds. A share "
        "of the training labels is replaced by other ones at random, or by the next "
        "class. Cells contain the mean accuracy and log-loss for right labels."
    )
    lines = []
    for kernel in args.kernels:
        for n in (0, 1, 2):
            model = MICLClassifier(kernel=kernel, n_label_refits=n)
            found = np.array([refit_scores(*table, model) for table in tables])
            cells = [f"{a:.3f}, {loss:.3f}" for a, loss in found.mean(axis=0)]
            lines.append([f'kernel="{kernel}", n_label_refits={n}', *cells])
            progress(f"{lines[-1]}")
    report.table(["MICLClassifier", *WRONG], lines)


# Share of wrong labels, and whether they are random or of the next class.
WRONG = {
    "all right": (0.0, False),
    "10 % wrong": (0.1, False),
    "20 % wrong": (0.2, False),
    "20 % next class": (0.2, True),
}


def refit_tables(args: argparse.Namespace) -> Iterator[tuple[Any, Any]]:
    """Yield data frames and integer labels: open tables, or those of scikit-learn."""
    if not args.data:
        for load in TABLES:
            X, y = load(return_X_y=True, as_frame=True)
            yield X[: args.rows], y.to_numpy()[: args.rows]
        return
    folder = Path(args.data) / "tabular"
    for name in _data.tables(folder):
        X, y = _data.table(folder, name, args.rows)
        yield X, np.unique(y, return_inverse=True)[1]


def refit_scores(X: Any, y: Any, model: BaseEstimator) -> list[tuple[float, float]]:
    """Return accuracy and log-loss for each kind of wrong labels."""
    found = []
    for share, following in WRONG.values():
        scores = []
        folds = StratifiedKFold(3, shuffle=True, random_state=0)
        for train, test in folds.split(X, y):
            labels, wrong = mislabelled(y[train], share, 0)
            if following:
                labels = np.where(wrong, (y[train] + 1) % (y.max() + 1), y[train])
            classifier = pipeline(X, model).fit(X.iloc[train], labels)
            scores.append(measures(classifier, X.iloc[test], y[test]))
        found.append(
            tuple(
                float(np.mean([s[m] for s in scores])) for m in ("accuracy", "log-loss")
            )
        )
    return found


def by_forest(X: Any, labels: Any) -> Any:
    """Return the probability of each label from a random forest in five folds."""
    forest = RandomForestClassifier(random_state=0)
    P = cross_val_predict(forest, X, labels, cv=5, method="predict_proba")
    return P[np.arange(len(labels)), labels]


def by_micl(kernel: str) -> Any:
    """Return a function of samples and labels that returns the quality of labels."""
    return lambda X, labels: label_quality(
        X, labels, estimator=MICLClassifier(kernel=kernel)
    )


TABLES = (load_breast_cancer, load_wine, load_digits, load_iris)
FINDERS = {
    "MICL": by_micl("linear"),
    "MICL, rbf": by_micl("rbf"),
    "MICL, auto": by_micl("auto"),
    "random forest, 5 folds": by_forest,
}


def draw(scores: dict[str, list[float]], path: Path) -> None:
    """Draw the accuracy as a function of the share of wrong labels."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6.4, 4), layout="constrained")
    for name, row in scores.items():
        own = name.startswith(("MICL", "ReduNet", "MCR"))
        style = {"marker": "o", "lw": 2.2} if own else {"ls": "--", "marker": "."}
        axis.plot([100 * share for share in SHARES], row, label=name, **style)
    axis.set(
        xlabel="training labels drawn at random, %", ylabel="accuracy on true labels"
    )
    axis.legend(frameon=False, fontsize="small")
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main()
