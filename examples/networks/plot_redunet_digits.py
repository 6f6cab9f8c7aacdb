r"""
ReduNet on digits: what depth adds
==================================

A ReduNet moves samples, layer by layer, such that classes contract and become
orthogonal. Does depth help to recognise small images of digits? It does not help a
classifier that counts bits, as :class:`skredu.ReduNetClassifier` does, because this
classifier is as good on the original images. But after the layers, the simplest
classifier, the nearest class mean, has become as good as that one. Depth moves the work
from the classifier to the features.
"""

# %%
# Thirty images of each digit
# ---------------------------
# A classifier keeps a layer only if it helps to classify samples that are left out;
# ``n_iter_no_change=None`` keeps all twenty.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skredu import ReduNetClassifier
from skredu.metrics import class_similarity, rate_reduction_score

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, train_size=300, stratify=y, random_state=0
)
net = ReduNetClassifier(20, eta=0.5, n_iter_no_change=None).fit(X_train, y_train)

# %%
# Three classifiers after every layer
# -----------------------------------


def nearest_mean(Z_train, Z_test):
    """Return the share of test samples whose nearest class mean is their own."""
    means = np.stack([Z_train[y_train == label].mean(axis=0) for label in range(10)])
    return KNeighborsClassifier(1).fit(means, range(10)).score(Z_test, y_test)


def five_neighbours(Z_train, Z_test):
    """Return the share of test samples that five neighbours classify correctly."""
    return KNeighborsClassifier(5).fit(Z_train, y_train).score(Z_test, y_test)


train, test = list(net.staged_transform(X_train)), list(net.staged_transform(X_test))
scores = {
    "fewest bits": [np.mean(found == y_test) for found in net.staged_predict(X_test)],
    "five neighbours": [five_neighbours(*Z) for Z in zip(train, test, strict=True)],
    "nearest mean": [nearest_mean(*Z) for Z in zip(train, test, strict=True)],
}
new_rates = [rate_reduction_score(Z, y_test, epsilon=net.epsilon_) for Z in test]

off = ~np.eye(10, dtype=bool)
columns = [0, 5, 10, net.n_iter_]
print(f"{'layers':32}" + "".join(f"{column:8}" for column in columns))
for name, values in scores.items():
    label = f"accuracy, {name}"
    print(f"{label:32}" + "".join(f"{values[column]:8.3f}" for column in columns))
similar = [class_similarity(test[column], y_test)[off].mean() for column in columns]
print(f"{'cosine between classes':32}" + "".join(f"{value:8.2f}" for value in similar))
stopped = ReduNetClassifier(20, eta=0.5).fit(X_train, y_train)
print(f"by default, it keeps {stopped.n_iter_} of 20 layers", end=", ")
print(f"accuracy {stopped.score(X_test, y_test):.3f}")

# %%
# Similarity of images, before and after
# --------------------------------------
# The maps show absolute cosines between test images, sorted by their digits.

order = np.argsort(y_test, kind="stable")
ends = np.cumsum(np.bincount(y_test))
middles = ends - np.bincount(y_test) / 2
figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), sharey=True, layout="constrained")
titles = ("images on the sphere", f"features after {net.n_iter_} layers")
for axis, Z, title in zip(axes, (test[0], test[-1]), titles, strict=True):
    U = Z[order] / np.linalg.norm(Z[order], axis=1, keepdims=True)
    image = axis.imshow(np.abs(U @ U.T), cmap="magma", vmin=0, vmax=1)
    axis.set(xticks=middles, yticks=middles, title=title)
    axis.set(xticklabels=range(10), yticklabels=range(10))
    axis.tick_params(length=0)
figure.colorbar(image, ax=axes, label="absolute cosine")
figure.suptitle("Images of different digits become orthogonal to each other")

# %%
# Layer by layer
# --------------
# The rate reduction of the test images, whose labels the network does not know,
# increases together with that of the training images.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
layers = np.arange(net.n_iter_ + 1)
STYLES = [("#0072B2", "o"), ("#009E73", "s"), ("#D55E00", "^")]
for (name, values), (color, marker) in zip(scores.items(), STYLES, strict=True):
    axes[0].plot(layers, values, color=color, marker=marker, ms=4, label=name)
axes[0].set(title="accuracy on test images", xlabel="layer")
axes[0].legend(frameon=False)
delta = net.rates_["delta_R"]
axes[1].plot(layers, delta, color="#0072B2", label="training images")
axes[1].plot(layers, new_rates, "--", color="#D55E00", label="test images")
axes[1].set(title=r"rate reduction $\Delta R$, nats", xlabel="layer")
axes[1].legend(frameon=False)
for axis in axes:
    axis.set_xticks(range(0, net.n_iter_ + 1, 5))
    axis.spines[["top", "right"]].set_visible(False)
figure.suptitle("After the layers, the nearest mean is as good as counting bits")

plt.show()
