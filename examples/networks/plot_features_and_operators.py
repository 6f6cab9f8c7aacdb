r"""
Inside a ReduNet: cosines, spectra, principal images, operators
===============================================================

The features of a network that maximises the rate reduction have three properties:
samples of different classes are orthogonal, each class uses several directions, and
these directions can be interpreted. Every operator of the network has a formula, so all
of this can be looked at. Here are the usual pictures, for digits.
"""

# %%
# Cosines between samples
# -----------------------
# Before the network, any two images have much in common. After 30 layers, images of
# different digits are nearly orthogonal, also those that the network has not seen.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import Normalizer

from skredu import ReduNetTransformer
from skredu.plotting import (
    PrincipalSamplesDisplay,
    SimilarityDisplay,
    SubspaceSpectrumDisplay,
)

images, digits = load_digits(n_class=5, return_X_y=True)
X, X_test, y, y_test = train_test_split(
    images, digits, train_size=400, stratify=digits, random_state=0
)
net = ReduNetTransformer(30, epsilon=0.5, eta=0.5, fit_intercept=False).fit(X, y)
features = {
    "images": Normalizer().transform(X_test),
    "features": Normalizer().transform(net.transform(X_test)),
}

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
is_same = y_test[:, None] == y_test
pairs = np.triu(np.ones(is_same.shape, dtype=bool), 1)
for axis, (name, Z) in zip(axes, features.items(), strict=True):
    cosines = np.abs(Z @ Z.T)
    for part, label, color in [
        (pairs & is_same, "same digit", "#0072B2"),
        (pairs & ~is_same, "different digits", "#D55E00"),
    ]:
        axis.hist(
            cosines[part],
            np.linspace(0, 1, 51),
            density=True,
            alpha=0.6,
            color=color,
            label=label,
        )
    axis.set(title=f"{name} of test samples", xlabel="absolute cosine")
    axis.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("density of pairs")
axes[0].legend(frameon=False)

# %%
# The same cosines one by one: samples are sorted by their digit.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
for axis, (name, Z) in zip(axes, features.items(), strict=True):
    SimilarityDisplay.from_predictions(Z, y_test, ax=axis)
    axis.set_title(f"{name} of test samples")

# %%
# Spectra of the classes
# ----------------------
# If a class were a single point, one singular value would remain. The rate reduction
# keeps several of them, because it rewards classes that fill their subspace.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
for axis, (name, Z) in zip(axes, features.items(), strict=True):
    SubspaceSpectrumDisplay.from_predictions(Z, y_test, ax=axis)
    axis.set_title(name)

# %%
# Principal images
# ----------------
# The images whose features are closest to the first principal directions of their
# class. Each direction is a way to write the digit.

display = PrincipalSamplesDisplay.from_predictions(
    features["features"], y_test, X=X_test, image_shape=(8, 8)
)

# %%
# The operators of the first layer
# --------------------------------
# The rows of the expansion :math:`E` and of the compressions :math:`C_j` belong to
# pixels. We show the one of a pixel in the middle of the image: what is added to this
# pixel, depending on all others. Below are the eigenvalues: :math:`E` is large in
# directions in which there are few samples, and :math:`C_j` is small in the directions
# of its class.

layer = net.layers_[0]
operators = {"$E$": layer.expansion}
operators |= {f"$C_{j}$": layer.compression(j) for j in range(5)}
figure, axes = plt.subplots(2, 6, figsize=(11, 4), layout="constrained")
for column, (name, operator) in zip(axes.T, operators.items(), strict=True):
    row = operator[36].reshape(8, 8).copy()
    row[4, 4] = 0.0  # the pixel itself would hide all others
    top = np.abs(row).max()
    column[0].imshow(row, cmap="RdBu_r", vmin=-top, vmax=top)
    column[0].set(title=name, xticks=[], yticks=[])
    values = np.linalg.eigvalsh(operator)
    column[1].plot(values / values.max(), ".", ms=3, color="#0072B2")
    column[1].set(xlabel="eigenvalue", ylim=(0, 1.05))
axes[0, 0].set_ylabel("row of a pixel")
axes[1, 0].set_ylabel("relative size")
print(f"layers: {net.n_iter_}, rate reduction {net.rates_['delta_R'][-1]:.1f} nats")

plt.show()
