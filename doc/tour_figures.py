"""Draw the figures of the tour, with the models that it fits.

Run ``python doc/tour_figures.py`` after ``pip install ".[plot]" pandas``.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skredu import CompressionClustering, MCR2Transformer, ReduNetTransformer
from skredu.plotting import EpsilonPathDisplay, RateReductionDisplay

COLORS = ["#2a6f97", "#e76f51"]
SIZE = (
    4.8,
    3.8,
)  # of one figure: two are side by side, or one below the other on a phone


def groups() -> tuple[Figure, Figure]:
    """Draw two of the four measurements of flowers, and the groups over epsilon."""
    table = load_iris(as_frame=True).data
    model = CompressionClustering().fit(table)
    first, left = plt.subplots(figsize=SIZE, layout="constrained")
    second, right = plt.subplots(figsize=SIZE, layout="constrained")
    for group, color in enumerate(COLORS):
        rows = table[model.labels_ == group]
        left.scatter(
            rows["petal length (cm)"],
            rows["petal width (cm)"],
            s=18,
            color=color,
            label=f"group {group}: {len(rows)} samples",
        )
    left.set(xlabel="petal length (cm)", ylabel="petal width (cm)")
    left.legend(frameon=False)
    epsilons = np.geomspace(0.01, 3, 12)
    EpsilonPathDisplay.from_estimator(model, table, epsilons, ax=right)
    return first, second


def network() -> tuple[Figure, Figure]:
    """Draw rates along the layers, and new samples in the plane of two features."""
    table, target = load_breast_cancer(return_X_y=True, as_frame=True)
    X_train, X_test, y_train, y_test = train_test_split(
        table, target, stratify=target, random_state=0
    )
    first, left = plt.subplots(figsize=SIZE, layout="constrained")
    second, right = plt.subplots(figsize=SIZE, layout="constrained")
    deep = make_pipeline(StandardScaler(), ReduNetTransformer(n_layers=20))
    RateReductionDisplay.from_estimator(deep.fit(X_train, y_train), ax=left)
    left.set_title("ReduNetTransformer, training samples", fontsize=11)
    plane = make_pipeline(StandardScaler(), MCR2Transformer(2, random_state=0))
    Z = plane.fit(X_train, y_train).transform(X_test)
    for kind, color, name in zip((0, 1), COLORS, ("malignant", "benign"), strict=True):
        right.scatter(*Z[y_test == kind].T, s=18, alpha=0.7, color=color, label=name)
    right.set(xlabel="mcr2transformer0", ylabel="mcr2transformer1", aspect="equal")
    right.set_xlim(-0.9, 1.15)
    right.set_title("MCR2Transformer(2), new samples", fontsize=11)
    right.legend(frameon=False, loc="center left")
    return first, second


def main() -> None:
    """Write all figures."""
    folder = Path(__file__).parent / "images"
    names = ("groups", "path", "layers", "plane")
    for name, figure in zip(names, (*groups(), *network()), strict=True):
        figure.savefig(folder / f"tour_{name}.png", dpi=120)


if __name__ == "__main__":
    main()
