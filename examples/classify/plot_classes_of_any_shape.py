r"""
Decision regions: classes of any shape, one parameter
=====================================================

:class:`skredu.MICLClassifier` describes every class by its own directions, so it can
separate two crossing lines and a round class between their arms. The one parameter to
tune, the distortion :math:`\epsilon`, may be off by decades; "auto" chooses it without
refitting the model.
"""

# %%
# The prediction at every point
# -----------------------------

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skredu import MICLClassifier
from skredu.datasets import make_subspaces

COLORS = ["#2a6f97", "#e76f51", "#8a9a5b"]


def crossing_lines_and_a_blob() -> tuple[np.ndarray, np.ndarray]:
    """Make two noisy lines that cross, and a round class between their arms."""
    X, y = make_subspaces(
        70, n_features=2, dimensions=(1, 1), noise=0.03, random_state=3
    )
    rng = np.random.RandomState(0)
    blob = np.array([0.15, -0.95]) + 0.13 * rng.standard_normal((70, 2))
    return np.concatenate([X, blob]), np.concatenate([y, np.full(70, 2)])


def draw_regions(axis: Axes) -> None:
    """Draw the classes and the prediction at every point of the plane."""
    X, y = crossing_lines_and_a_blob()
    model = MICLClassifier().fit(X, y)
    low, high = X.min(axis=0) - 0.25, X.max(axis=0) + 0.25
    u, v = np.meshgrid(
        np.linspace(low[0], high[0], 500), np.linspace(low[1], high[1], 500)
    )
    regions = model.predict(np.column_stack([u.ravel(), v.ravel()])).reshape(u.shape)
    axis.pcolormesh(u, v, regions, cmap=ListedColormap(COLORS), alpha=0.22)
    for label, color in enumerate(COLORS):
        axis.scatter(*X[y == label].T, s=14, color=color, edgecolor="white", lw=0.3)
    axis.set(title="The class with the fewest extra bits", xticks=[], yticks=[])
    axis.set_aspect("equal")


figure, left = plt.subplots(figsize=(5, 4.2), layout="constrained")
draw_regions(left)

# %%
# How much the distortion matters
# -------------------------------
# Half of the digits are used for training, and the others for testing.


def draw_path(axis: Axes) -> None:
    """Draw the held-out accuracy on digits over epsilon, and the value of "auto"."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y, test_size=0.5, stratify=y, random_state=0
    )
    epsilons = np.geomspace(0.02, 20, 25)
    scores = [
        MICLClassifier(epsilon=epsilon).fit(X_train, y_train).score(X_test, y_test)
        for epsilon in epsilons
    ]
    auto = MICLClassifier().fit(X_train, y_train)
    neighbors = KNeighborsClassifier().fit(X_train, y_train).score(X_test, y_test)
    axis.semilogx(
        epsilons, scores, color=COLORS[0], lw=2, label="MICLClassifier(epsilon)"
    )
    print(f"{'epsilon':>8} {'accuracy':>9}")
    for name, score in [("auto", auto.score(X_test, y_test)), ("5-NN", neighbors)]:
        print(f"{name:>8} {score:9.4f}")
    for epsilon, score in list(zip(epsilons, scores, strict=True))[::4]:
        print(f"{epsilon:8.2f} {score:9.4f}")
    axis.axhline(neighbors, color="0.6", lw=1, ls="--", label="5 nearest neighbours")
    axis.plot(
        auto.epsilon_,
        auto.score(X_test, y_test),
        "o",
        color=COLORS[1],
        ms=9,
        label='epsilon="auto": leave-one-out, no refit',
    )
    axis.set(
        title="Digits, 898 training samples",
        xlabel="distortion $\\epsilon$, in the units of the samples",
        ylabel="held-out accuracy",
        ylim=(0.9, 1.0),
    )
    axis.legend(loc="lower center", frameon=False)
    axis.spines[["top", "right"]].set_visible(False)


figure, right = plt.subplots(figsize=(5, 4.2), layout="constrained")
draw_path(right)
plt.show()
