r"""
Shift invariance: digits anywhere in the image
==============================================

A digit that is moved is still the same digit. A classifier of pixels does not know
this: if it is trained on centred digits, it fails on moved ones, and if it is trained
on moved copies as well, it improves but does not become as good as it was on centred
digits. :class:`skredu.InvariantReduNetClassifier` codes all cyclic shifts of an image
at once, in the Fourier domain. It needs no copies, and its predictions are exactly the
same for every shift.
"""

# %%
# All 64 shifts of an image
# -------------------------
# The images have eight by eight pixels. What leaves an image on one side enters it on
# the other.

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
    """Shift the images in the rows down and to the right."""
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
# One network, and other classifiers with and without copies
# ----------------------------------------------------------
# The network first applies sixteen small filters, which k-means finds among patches of
# the training images. To save time, it has at most three layers. The other classifiers
# are trained on the 300 original images, or on 4800 images: each image together with
# fifteen random shifts of it.

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

print(f"{'accuracy on test images':34}{'unshifted':>12}{'all shifts':>12}", end="")
print(f"{'changed':>9}")
accuracies = {}
for name, found in predictions.items():
    table = found.reshape(64, -1)  # shifts, images
    accuracies[name] = np.mean(table == y_test, axis=1)
    changed = np.mean(table != table[0])
    print(f"{name:34}{accuracies[name][0]:12.3f}", end="")
    print(f"{accuracies[name].mean():12.3f}{changed:9.3f}")
print(f"the network kept {net[-1].n_iter_} layers")

# %%
# The last column is the share of predictions that change with a shift. The following
# maps show the accuracy for every shift; the top left corner is the image without a
# shift.

shown = ["invariant network", "SVC", "SVC, with copies", "1-NN, with copies"]
figure, axes = plt.subplots(1, 4, figsize=(10, 3.2), sharey=True, layout="compressed")
for axis, name in zip(axes, shown, strict=True):
    image = axis.imshow(accuracies[name].reshape(GRID), cmap="magma", vmin=0, vmax=1)
    axis.set(
        title=f"{name}:\n{accuracies[name].mean():.3f}", xlabel="pixels to the right"
    )
    axis.tick_params(length=0)
axes[0].set_ylabel("pixels down")
figure.colorbar(image, ax=axes, label="accuracy", shrink=0.9)
figure.suptitle("The accuracy of the network is the same for every shift")

# %%
# Similarity of images, before and after
# --------------------------------------
# The maps compare test images, each shifted at random, sorted by their digits. With
# ``output="invariant"``, the network returns features that are the same for all shifts:
# the magnitudes of the spectra after the last layer, the phases of their bispectra, and
# the class probabilities. The magnitudes alone are similar for all images, which
# explains the background of the second map; the blocks are mostly due to the
# probabilities.

order = rng.integers(0, 64, len(X_test))
moved = np.concatenate(
    [shifted(row[None], SHIFTS[i]) for row, i in zip(X_test, order, strict=True)]
)
figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.4), layout="constrained")
SimilarityDisplay.from_predictions(moved, y_test, ax=axes[0], colorbar=False)
SimilarityDisplay.from_predictions(net.transform(moved), y_test, ax=axes[1])
axes[0].set_title("pixels of shifted images")
axes[1].set_title("invariant features of the same images")

# %%
# Filters of the first layer
# --------------------------
# The operators :math:`E` and :math:`C_j` of a layer for signals are filters, too. The
# figure shows the filters from the first eight channels to the first one. They were not
# trained by back-propagation; they are inverses of covariances at every frequency.

display = FilterDisplay.from_estimator(net, n_columns=8)
display.ax_.set_title("filters of the first layer: $E$, and $C_j$ of each digit")

# %%
# The filters of the lifting, in front of the network, are centres of clusters of
# patches.

display = FilterDisplay.from_estimator(net[0], n_columns=8)
display.ax_.set_title("filters of the lifting, learned by k-means")

plt.show()
