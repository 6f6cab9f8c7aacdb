"""
Symmetries: digits that were turned or mirrored
===============================================

Classes that do not change when images are turned or mirrored are learned from upright
images alone: with ``symmetry``, a sample and all its images have the same bits. No
image is computed, and nothing is learned twice.
"""

# %%
# Half of the digits are for training, and upright. Each of the others has one of eight
# orientations.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skredu import MICLClassifier

X, y = load_digits(return_X_y=True)
X, new, y, y_new = train_test_split(X, y, test_size=0.5, random_state=0, stratify=y)
pixels = np.arange(64).reshape(8, 8)
orientations = [
    np.rot90(p, i).ravel() for p in (pixels, pixels[:, ::-1]) for i in range(4)
]
rng = np.random.default_rng(0)
turned = np.stack([x[orientations[rng.integers(8)]] for x in new])

# %%
# The rbf kernel codes the means of all images in feature space, the linear kernel the
# samples themselves in classes of all images. (A six and a nine can be the same
# image in another orientation, so some errors remain.)

models = {
    "linear": MICLClassifier(),
    "linear, symmetric": MICLClassifier(symmetry="dihedral", signal_shape=(8, 8)),
    "rbf, symmetric": MICLClassifier(
        kernel="rbf", symmetry="dihedral", signal_shape=(8, 8)
    ),
}
scores = {name: m.fit(X, y).score(turned, y_new) for name, m in models.items()}
for name, score in scores.items():
    print(f"{name}: {score:.3f}")

# %%
# One digit in all orientations, and below each of them the probabilities of the classes
# 0 to 9. They differ without the symmetry, and are equal with it.

figure, axes = plt.subplots(3, 8, figsize=(9, 4), layout="constrained")
for column, order in zip(axes.T, orientations, strict=True):
    image = new[:1, order]
    column[0].imshow(image.reshape(8, 8), cmap="gray_r")
    column[0].set_axis_off()
    for axis, name in zip(column[1:], ("linear", "linear, symmetric"), strict=True):
        axis.bar(range(10), models[name].predict_proba(image)[0])
        axis.set(ylim=(0, 1), xticks=[0, 5, 9], yticks=[])
    column[2].set_xlabel("digit")
for row, name in zip(axes[1:], ("linear", "linear, symmetric"), strict=True):
    row[0].set(yticks=[0, 1], ylabel=name)
figure.suptitle("A digit in eight orientations, and the probabilities of its classes")
plt.show()
