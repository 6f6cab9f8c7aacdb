r"""
Rotation invariance: digits at every angle
==========================================

If an image is sampled on circles around its centre, a rotation of the image becomes a
shift along the circles. :class:`skredu.PolarTransformer` samples images in this way,
and a network that is invariant to shifts, :class:`skredu.InvariantReduNetClassifier`,
then recognises digits at every angle although it was trained at one angle only.

For rotations by multiples of 90 degrees this is exact. For other angles, a rotated
image with few pixels is not quite the same image.
"""

# %%
# A rotation becomes a shift
# --------------------------
# We add a margin of two pixels to the digits, so that the corners are not cut off by a
# rotation.

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skredu import (
    ConvolutionalLifting,
    InvariantReduNetClassifier,
    PolarTransformer,
)

SIDE, RADII, POINTS = 12, 6, 32
ANGLES = range(0, 360, 15)


def turned(rows, angle):
    """Rotate the images in the rows counterclockwise, by an angle in degrees."""
    images = rows.reshape(-1, SIDE, SIDE)
    if angle % 90 == 0:
        images = np.rot90(images, angle // 90, axes=(1, 2))
    else:
        images = ndimage.rotate(images, angle, axes=(2, 1), reshape=False)
    return images.reshape(rows.shape)


images, y = load_digits().images.astype(np.float32) / 16, load_digits().target
X = np.pad(images, ((0, 0), (2, 2), (2, 2))).reshape(len(y), -1)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=300, test_size=150, stratify=y, random_state=0
)

polar = PolarTransformer(n_radii=RADII, n_angles=POINTS)
example = X_train[y_train == 4][:1]
figure, axes = plt.subplots(
    2, 4, figsize=(9, 3.6), height_ratios=(2, 1), layout="constrained"
)
for column, angle in zip(axes.T, (0, 45, 90, 180), strict=True):
    picture = turned(example, angle)
    column[0].imshow(picture.reshape(SIDE, SIDE), cmap="gray_r", vmin=0, vmax=1)
    column[0].set_title(f"{angle} degrees")
    circles = polar.fit_transform(picture).reshape(RADII, POINTS)
    column[1].imshow(circles, cmap="gray_r", vmin=0, aspect="auto", origin="lower")
    column[1].set_xlabel("angle")
    for axis in column:
        axis.set(xticks=[], yticks=[])
axes[1, 0].set_ylabel("radius")
figure.suptitle("A digit at four angles; sampled on circles, it is shifted only")

# %%
# Train at one angle, test at all angles
# --------------------------------------
# The network is trained on upright digits only. Its size was chosen by cross-validation
# on the training images. The other classifiers are trained either on the same images,
# or on each image together with eleven copies that are rotated by random angles.

rng = np.random.default_rng(0)
copies = [
    turned(row[None], angle)
    for row in X_train
    for angle in [0, *rng.integers(1, 360, 11).tolist()]
]
data = {
    "": (X_train, y_train),
    ", with copies": (np.concatenate(copies), np.repeat(y_train, 12)),
}
lifting = ConvolutionalLifting(
    32, kernel_size=5, filters="kmeans", threshold=0, pooling=None, random_state=0
)
net = make_pipeline(polar, lifting, InvariantReduNetClassifier(3))
others = {
    "SVC": SVC(),
    "1-NN": KNeighborsClassifier(1),
    "logistic regression": LogisticRegression(max_iter=2000),
}
every = np.concatenate([turned(X_test, angle) for angle in ANGLES])
predictions = {"network on circles": net.fit(X_train, y_train).predict(every)}
for name, model in others.items():
    for suffix, rows in data.items():
        predictions[name + suffix] = model.fit(*rows).predict(every)

print(f"{'accuracy on test images':34}{'upright':>9}{'all angles':>12}", end="")
print(f"{'worst angle':>13}")
accuracies = {}
for name, found in predictions.items():
    table = found.reshape(len(ANGLES), -1)  # angles, images
    scores = accuracies[name] = np.mean(table == y_test, axis=1)
    print(f"{name:34}{scores[0]:9.3f}{scores.mean():12.3f}{scores.min():13.3f}")

table = predictions["network on circles"].reshape(len(ANGLES), -1)
quarters = table[:: len(ANGLES) // 4]
pairs = np.isin(y_test, (6, 9))
mixed = np.isin(table[:, pairs], (6, 9)) & (table[:, pairs] != y_test[pairs])
print(f"predictions that turns by 90 degrees change: {np.sum(quarters != quarters[0])}")
print(
    f"share of predictions that other angles change: {np.mean(table != table[0]):.3f}"
)
print(f"sixes predicted as nines, or nines as sixes: {np.mean(mixed):.3f}")

# %%
# The accuracy at every angle
# ---------------------------
# The accuracy is zero at the centre of the plot and one at its border. On upright
# digits, the other classifiers are slightly better, because the circles lose a part of
# the image. With rotated copies, they become as good at all angles as the network,
# which needs no copies.

figure, axis = plt.subplots(
    figsize=(7.6, 5), subplot_kw={"projection": "polar"}, layout="constrained"
)
STYLES = {
    "network on circles": {"color": "#0072B2", "lw": 4},
    "SVC, with copies": {"color": "#E69F00", "ls": "--"},
    "SVC": {"color": "#D55E00", "marker": "s", "ms": 4},
}
radians = np.deg2rad([*ANGLES, 360])
for name, style in STYLES.items():
    closed = [*accuracies[name], accuracies[name][0]]
    axis.plot(radians, closed, label=name, **style)
axis.set(ylim=(0, 1), yticks=[0.25, 0.5, 0.75, 1], theta_zero_location="N")
axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.1, 0.5))
axis.set_title("Trained on upright digits, accurate at every angle")

plt.show()
