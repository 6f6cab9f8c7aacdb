r"""
Scattering: digits from a few training images
=============================================

A classifier of pixels has to learn from examples that a stroke may be a little longer,
thinner or further to the left. :class:`skredu.ScatteringTransformer` describes an image
by the strength of waves of every scale and direction, averaged over regions. These
numbers change little if strokes are moved or deformed, so a few digits of each class
are enough. A network that is invariant to shifts, behind it, does not need to know
where the digit is; :func:`skredu.make_invariant_pipeline` builds both.
"""

# %%
# Wavelets and averages
# ---------------------
# The real parts of the wavelets: six directions at two scales. The coefficients of
# order one are averages of the strength of each wavelet. A four and a shifted four have
# nearly the same coefficients, at shifted places.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skredu import (
    ConvolutionalLifting,
    InvariantReduNetClassifier,
    ScatteringTransformer,
    make_invariant_pipeline,
)

GRID = (8, 8)
X, y = load_digits(return_X_y=True)
X = X.astype(np.float32) / 16


def shifted(rows, shift):
    """Shift the images in the rows down and to the right, cyclically."""
    return np.roll(rows.reshape(-1, *GRID), shift, axis=(1, 2)).reshape(rows.shape)


impulse = np.zeros((1, 32, 32))
impulse[0, 16, 16] = 1.0
waves = ScatteringTransformer(2, signal_shape=(32, 32)).fit(impulse.reshape(1, -1))
figure, axes = plt.subplots(2, 6, figsize=(7, 2.6), layout="constrained")
y_axis, x_axis = np.mgrid[-8:9, -8:9]
for axis, frequency in zip(axes.flat, 2 * np.pi * waves.frequencies_, strict=True):
    size = 0.75 * np.pi / np.linalg.norm(frequency)  # of the window, in octaves
    along = (frequency[0] * y_axis + frequency[1] * x_axis) / np.linalg.norm(frequency)
    window = np.exp(-(along**2 + (y_axis**2 + x_axis**2)) / (4 * (0.8 * size) ** 2))
    wave = window * np.cos(frequency[0] * y_axis + frequency[1] * x_axis)
    axis.imshow(wave, cmap="RdBu_r", vmin=-1, vmax=1)
    axis.set(xticks=[], yticks=[])
figure.suptitle("Waves of two scales and six directions")

# %%
# The coefficients of order one of a digit and of the same digit, moved:

first = ScatteringTransformer(2, signal_shape=GRID, order=1, subsampling=1).fit(X)
four = X[y == 4][:1]
figure, axes = plt.subplots(2, 7, figsize=(8, 2.6), layout="constrained")
for row, image in zip(axes, (four, shifted(four, (1, 2))), strict=True):
    row[0].imshow(image.reshape(GRID), cmap="gray_r")
    channels = first.transform(image).reshape(-1, *GRID)
    for axis, channel in zip(row[1:], channels[1:7], strict=True):
        axis.imshow(channel, cmap="magma", vmin=0, vmax=channels[1:7].max())
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
figure.suptitle("A digit, the same digit moved, and the strength of six waves in them")

# %%
# Accuracy with few training samples
# ----------------------------------
# All models are tested on the same images, as they are and each shifted at random.

X_rest, X_test, y_rest, y_test = train_test_split(
    X, y, train_size=1200, stratify=y, random_state=0
)
rng = np.random.default_rng(0)
moved = np.concatenate(
    [shifted(row[None], tuple(rng.integers(0, 8, 2))) for row in X_test]
)
models = {
    "scattering + network": make_invariant_pipeline(GRID),
    "learned filters + network": make_pipeline(
        ConvolutionalLifting(signal_shape=GRID, random_state=0),
        InvariantReduNetClassifier(0),
    ),
    "SVC": SVC(),
    "logistic regression": LogisticRegression(max_iter=2000),
}
SIZES = [5, 10, 20, 50, 100]
still = {name: [] for name in models}
shifts = {name: [] for name in models}
for n in SIZES:
    kept = np.concatenate([np.flatnonzero(y_rest == digit)[:n] for digit in range(10)])
    for name, model in models.items():
        model.fit(X_rest[kept], y_rest[kept])
        still[name].append(model.score(X_test, y_test))
        shifts[name].append(model.score(moved, y_test))

print(f"{'accuracy, samples per class':34}" + "".join(f"{n:8}" for n in SIZES))
for title, found in (("", still), (", shifted", shifts)):
    for name, values in found.items():
        print(f"{name + title:34}" + "".join(f"{value:8.3f}" for value in values))

# %%
# With five samples of each digit, there are too few to learn how 49 channels are
# related, and simpler models are better. From ten on, the network behind the scattering
# is at least as accurate as the others, wherever the digits are.

COLORS = dict(zip(models, ("#0072B2", "#009E73", "#D55E00", "#555555"), strict=True))
figure, axes = plt.subplots(
    1, 2, figsize=(9, 3.6), sharex=True, sharey=True, layout="constrained"
)
for axis, found, title in zip(
    axes, (still, shifts), ("as they are", "shifted at random"), strict=True
):
    for name, values in found.items():
        axis.plot(SIZES, values, "o-", color=COLORS[name], label=name)
    axis.set(xscale="log", xlabel="training samples of each digit", title=title)
    axis.set_xticks(SIZES, map(str, SIZES))
    axis.minorticks_off()
    axis.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("accuracy")
axes[1].legend(frameon=False, loc="center right")

plt.show()
