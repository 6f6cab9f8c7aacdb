"""See what compression does on real data, beside what is usually used.

Run it with ``python examples/quickstart.py``. It needs only skredu and scikit-learn,
downloads nothing, and takes about 20 seconds. Every table ends with a line that says
what it shows. With matplotlib, a picture is written to quickstart.png.
"""

import time
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, roc_auc_score, silhouette_score
from sklearn.model_selection import (
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import skredu
from skredu import CompressionClustering, MICLClassifier, make_invariant_pipeline

TABLES = {"cancer": load_breast_cancer, "wine": load_wine, "digits": load_digits}


def classifiers() -> dict[str, BaseEstimator]:
    """Return classifiers with default parameters, by name."""
    return {
        # A new sample belongs to the class in which it costs the fewest extra bits.
        # kernel="auto" mixes four kernels by their predictions of left-out samples.
        'MICL, kernel="auto"': MICLClassifier(kernel="auto"),
        "MICL": MICLClassifier(),
        "random forest": RandomForestClassifier(random_state=0),
        "SVC": SVC(),
        "logistic regression": LogisticRegression(max_iter=5000),
    }


def print_row(name: str, numbers: Iterable[str]) -> None:
    """Print a line of a table at once, as it becomes known."""
    print(f"{name:24}", *(f"{number:>9}" for number in numbers), flush=True)


def classify() -> None:
    """Cross-validate accuracy and log-loss of classifiers on three tables."""
    print("\nClassify: accuracy in 3 folds on three tables, and mean log-loss")
    print_row("", [*TABLES, "mean", "log-loss", "time"])
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    data = [load(return_X_y=True) for load in TABLES.values()]
    losses = {}
    for name, model in classifiers().items():
        start, scores = time.perf_counter(), []
        scoring = ["accuracy"]
        if hasattr(model, "predict_proba"):
            scoring.append("neg_log_loss")
        pipe = make_pipeline(StandardScaler(), model)
        for X, y in data:
            found = cross_validate(pipe, X, y, cv=folds, scoring=scoring)
            scores.append([found[f"test_{score}"].mean() for score in scoring])
        seconds, table = time.perf_counter() - start, np.array(scores)
        loss = "-"
        if table.shape[1] > 1:
            losses[name] = -table[:, 1].mean()
            loss = f"{losses[name]:.3f}"
        accuracies = [*table[:, 0], table[:, 0].mean()]
        print_row(name, [*(f"{a:.3f}" for a in accuracies), loss, f"{seconds:.1f} s"])
    best = min(losses, key=losses.get)
    print(f"The best probabilities come from {best}, and no parameter was chosen.")


def group() -> None:
    """Cluster three tables without their number of groups."""
    print("\nCluster: adjusted Rand index, and the number of groups that was found")
    wine = StandardScaler().fit_transform(load_wine().data)
    digits = PCA(10, random_state=0).fit_transform(load_digits().data[:600])
    tables = {
        "wine (3)": (wine, load_wine().target),
        "iris (3)": (load_iris(return_X_y=True)),
        "digits (10)": (digits, load_digits().target[:600]),
    }
    print_row("", [*tables, "time"])
    methods: dict[str, Any] = {
        "CompressionClustering": lambda X: CompressionClustering(n_jobs=2),
        "k-means, silhouette": best_k_means,
        "HDBSCAN": lambda X: HDBSCAN(copy=True),
    }
    for name, method in methods.items():
        start, cells = time.perf_counter(), []
        for X, y in tables.values():
            model: ClusterMixin = method(X)
            labels = model.fit_predict(X)
            score = adjusted_rand_score(y, labels)
            cells.append(f"{score:.2f} ({labels.max() + 1})")
        print_row(name, [*cells, f"{time.perf_counter() - start:.1f} s"])
    print("Each group has its own covariance; the number of groups is not given.")


def best_k_means(X: Any) -> KMeans:
    """Return k-means with the number of groups of the largest silhouette."""
    models = [KMeans(k, n_init=10, random_state=0) for k in range(2, 16)]
    return max(models, key=lambda model: silhouette_score(X, model.fit_predict(X)))


def shift() -> dict[str, Any]:
    """Classify digits, and return the accuracy at each of their cyclic shifts."""
    print("\nShifts: accuracy on 100 digits after training on 200, and on all shifts")
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y, train_size=200, test_size=100, stratify=y, random_state=0
    )
    images = X_test.reshape(-1, 8, 8)
    moves = product(range(8), repeat=2)
    moved = np.concatenate([np.roll(images, move, (1, 2)) for move in moves])
    moved, y_moved = moved.reshape(-1, 64), np.tile(y_test, 64)
    print_row("", ["here", "shifted", "time"])
    maps = {}
    for name, model in {
        # Averaged wavelet coefficients, and a network without back-propagation
        "scattering + network": make_invariant_pipeline((8, 8), subsampling=1),
        "SVC": SVC(),
    }.items():
        start = time.perf_counter()
        model.fit(X_train, y_train)
        here, right = model.score(X_test, y_test), model.predict(moved) == y_moved
        maps[name] = right.reshape(8, 8, -1).mean(axis=2)
        seconds = f"{time.perf_counter() - start:.1f} s"
        print_row(name, [f"{here:.3f}", f"{right.mean():.3f}", seconds])
    print("The network predicts the same for all 64 shifts, without shifted copies.")
    return maps


def find_wrong_labels() -> list[tuple[Any, int]]:
    """Find wrong labels among digits, and return the most suspicious ones."""
    print("\nWrong labels: 180 of 1797 digits have one; area under the ROC curve")
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    wrong = rng.permutation(len(y)) < len(y) // 10
    given = np.where(wrong, (y + rng.integers(1, 10, len(y))) % 10, y)
    print_row("", ["AUC", "time"])

    def own(P: Any) -> Any:
        return P[np.arange(len(given)), given]

    forest = RandomForestClassifier(random_state=0)
    suspects = []
    for name, quality in {
        "MICL, one fit": lambda: MICLClassifier().fit(X, given).label_quality_,
        "random forest, 5 folds": lambda: own(
            cross_val_predict(forest, X, given, cv=5, method="predict_proba")
        ),
    }.items():
        start = time.perf_counter()
        found = quality()
        area = roc_auc_score(wrong, -found)
        suspects.append(np.argsort(found)[:6])
        print_row(name, [f"{area:.3f}", f"{time.perf_counter() - start:.2f} s"])
    print("One fit predicts the label of each sample from all other samples.")
    return [(X[i].reshape(8, 8), int(given[i])) for i in suspects[0]]


def draw(maps: dict[str, Any], suspects: list[tuple[Any, int]]) -> None:
    """Write a picture of the last two tables, if matplotlib is installed."""
    if find_spec("matplotlib") is None:
        return
    figure = import_module("matplotlib.figure").Figure((10, 3.4), layout="constrained")
    left, right = figure.subfigures(1, 2)
    left.suptitle("Accuracy at each shift, down and to the right")
    axes = left.subplots(1, 2)
    for axis, (name, accuracy) in zip(axes, maps.items(), strict=True):
        image = axis.imshow(accuracy, cmap="magma", vmin=0, vmax=1)
        axis.set_title(f"{name}: {accuracy.mean():.2f}", fontsize=10)
    left.colorbar(image, ax=axes, shrink=0.7)
    right.suptitle("The most suspicious labels")
    for axis, (digit, label) in zip(right.subplots(2, 3).flat, suspects, strict=True):
        axis.imshow(digit, cmap="gray_r")
        axis.set_title(f'"{label}"', fontsize=10)
        axis.set_axis_off()
    figure.savefig("quickstart.png", dpi=120)
    print("quickstart.png shows the accuracy at each shift, and suspicious labels.")


def main() -> None:
    """Print all tables."""
    start = time.perf_counter()
    print(f"skredu {skredu.__version__}")
    classify()
    group()
    maps = shift()
    suspects = find_wrong_labels()
    print(f"\nThis took {time.perf_counter() - start:.0f} seconds.")
    draw(maps, suspects)


if __name__ == "__main__":
    main()
