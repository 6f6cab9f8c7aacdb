r"""
Digits anywhere in the picture
==============================

A digit that moves stays the same digit. A classifier of pixels does not know: trained
on digits in the middle, it fails when they move, and trained on moved copies as well,
it gets better, but not as good as it was. :class:`skredu.InvariantReduNetClassifier`
codes all cyclic shifts of a picture at once, in the Fourier domain. It needs no copies,
and what it says is the same for every shift, exactly.
"""

# %%
# All 64 shifts of a picture
# --------------------------
# Pictures of eight by eight pixels that leave on one side and come back on the other.

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skredu import ConvolutionalLifting, InvariantReduNetClassifier
from skredu.plotting import FilterDisplay, SimilarityDisplay

GRID = (8, 8)
SHIFTS = list(product(range(8), repeat=2))


def shifted(rows, shift):
    """Rows as pictures, moved down and to the right, as rows again."""
    return np.roll(rows.reshape(-1, *GRID), shift, axis=(1, 2)).reshape(rows.shape)


X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X.astype(np.float32) / 16,
    y,
    train_size=300,
    test_size=100,
    stratify=y,
    random_state=0,
)
every = np.concatenate([shifted(X_test, shift) for shift in SHIFTS])

# %%
# One network, and others with and without copies
# -----------------------------------------------
# The network first puts the pictures through sixteen small filters, found by k-means
# among patches of the training pictures; to be quick, it gets three layers at most. The
# others are trained on the 300 pictures as they are, and on 4800: each with fifteen
# shifts of it, drawn at random.

rng = np.random.default_rng(0)
copies = [
    shifted(row, SHIFTS[i])
    for row in X_train
    for i in [0, *rng.choice(np.arange(1, 64), 15, replace=False)]
]
data = {
    "": (X_train, y_train),
    ", with copies": (np.stack(copies), np.repeat(y_train, 16)),
}
net = make_pipeline(
    ConvolutionalLifting(signal_shape=GRID, random_state=0),
    InvariantReduNetClassifier(3, output="invariant"),
)
others = {
    "SVC": SVC(),
    "1-NN": KNeighborsClassifier(1),
    "logistic regression": LogisticRegression(max_iter=2000),
}
predictions = {"invariant network": net.fit(X_train, y_train).predict(every)}
for name, model in others.items():
    for suffix, rows in data.items():
        predictions[name + suffix] = model.fit(*rows).predict(every)

print(f"{'accuracy on test pictures':34}{'as they are':>12}{'all shifts':>12}", end="")
print(f"{'changed':>9}")
accuracies = {}
for name, found in predictions.items():
    table = found.reshape(64, -1)  # shifts, pictures
    accuracies[name] = np.mean(table == y_test, axis=1)
    changed = np.mean(table != table[0])
    print(f"{name:34}{accuracies[name][0]:12.3f}", end="")
    print(f"{accuracies[name].mean():12.3f}{changed:9.3f}")
print(f"the network kept {net[-1].n_iter_} layers")

# %%
# The last column is the share of predictions that a shift changes. Here is the
# accuracy at every shift, none in the corner on the top left.

shown = ["invariant network", "SVC", "SVC, with copies", "1-NN, with copies"]
figure, axes = plt.subplots(1, 4, figsize=(10, 3.2), sharey=True, layout="compressed")
for axis, name in zip(axes, shown, strict=True):
    image = axis.imshow(accuracies[name].reshape(GRID), cmap="magma", vmin=0, vmax=1)
    axis.set(title=f"{name}:\n{accuracies[name].mean():.3f}", xlabel="to the right")
    axis.tick_params(length=0)
axes[0].set_ylabel("pixels down")
figure.colorbar(image, ax=axes, label="accuracy", shrink=0.9)
figure.suptitle("The network is as good on every shift as on none")

# %%
# Similar pictures, before and after
# ----------------------------------
# Test pictures, each shifted at random, sorted by their digits. With
# ``output="invariant"`` the network gives features that are the same for all shifts:
# magnitudes of the spectra behind the last layer, phases of their bispectra, and the
# probabilities of the classes by their coding lengths. The magnitudes alone are all
# somewhat alike, which is the ground of the second map; the blocks come mostly from the
# probabilities.

order = rng.integers(0, 64, len(X_test))
moved = np.concatenate(
    [shifted(row[None], SHIFTS[i]) for row, i in zip(X_test, order, strict=True)]
)
figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.4), layout="constrained")
SimilarityDisplay.from_predictions(moved, y_test, ax=axes[0], colorbar=False)
SimilarityDisplay.from_predictions(net.transform(moved), y_test, ax=axes[1])
axes[0].set_title("pixels of shifted pictures")
axes[1].set_title("invariant features of the same pictures")

# %%
# What the first layer has learned
# --------------------------------
# The operators :math:`E` and :math:`C_j` of a layer for signals are filters, too: here
# those from the first eight channels to the first one. Nobody trained them by
# back-propagation; they are inverses of covariances at every frequency.

display = FilterDisplay.from_estimator(net, n_columns=8)
display.ax_.set_title("filters of the first layer: $E$, and $C_j$ of each digit")
display = FilterDisplay.from_estimator(net[0], n_columns=8)
display.ax_.set_title("filters of the lifting, by k-means")

if plt.get_backend().lower() != "agg":
    plt.show()
