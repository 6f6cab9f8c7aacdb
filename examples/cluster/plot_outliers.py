r"""
Outlier detection without a setting
===================================

A sample takes few bits if similar samples are known, and an outlier takes many.
:class:`skredu.CompressionOutlierDetector` also finds out how many bits are too many: it
codes the numbers of bits themselves, in ascending order, and the first one that takes
fewer bits on its own than with the lower ones is that of an outlier.
"""

# %%
# Two moons, a cloud, and forty samples that are anywhere
# -------------------------------------------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_blobs, make_moons
from sklearn.metrics import roc_auc_score

from skredu import CompressionOutlierDetector

rng = np.random.default_rng(0)
moons, _ = make_moons(400, noise=0.06, random_state=0)
cloud, _ = make_blobs(200, centers=[(3.3, -0.2)], cluster_std=0.25, random_state=0)
anywhere = rng.uniform((-2, -2), (5, 2.5), (40, 2))
X = np.vstack([moons, cloud, anywhere])

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
grid = np.stack(np.meshgrid(np.linspace(-2, 5, 140), np.linspace(-2, 2.5, 90)), axis=-1)
for axis, n_neighbors in zip(axes, (15, None), strict=True):
    model = CompressionOutlierDetector(n_neighbors=n_neighbors).fit(X)
    bits = -model.score_samples(grid.reshape(-1, 2)).reshape(grid.shape[:2])
    filled = axis.contourf(*grid.transpose(2, 0, 1), bits, 20, cmap="Blues")
    axis.contour(*grid.transpose(2, 0, 1), bits, [-model.offset_], colors="C3")
    outlier = model.predict(X) < 0
    axis.scatter(*X[~outlier].T, s=5, color="0.25", label="normal")
    axis.scatter(*X[outlier].T, s=18, color="C3", label=f"outlier ({outlier.sum()})")
    axis.legend(loc="upper left", fontsize=8)
    figure.colorbar(filled, ax=axis, label="bits")
axes[0].set_title("described by 15 similar samples")
axes[1].set_title("described by one Gaussian")

# %%
# The numbers of bits, in ascending order
# ---------------------------------------
# The threshold is where a number of bits is far from all lower ones. Higher numbers
# take no part in this, so many outliers do not hide each other.

model = CompressionOutlierDetector().fit(X)
bits = np.sort(-model.training_scores_)
figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
axis.plot(bits, ".", markersize=3)
axis.axhline(-model.offset_, color="C3", label="threshold")
axis.set(xlabel="samples, from the most normal one", ylabel="bits")
axis.legend()

# %%
# Unusual digits
# --------------
# Among 180 ones, there are ten other digits, which are marked by their label.

digits, y = load_digits(return_X_y=True)
ones, others = np.flatnonzero(y == 1), rng.permutation(np.flatnonzero(y != 1))[:10]
index = np.concatenate([ones, others])
model = CompressionOutlierDetector().fit(digits[index])
scores, strange = model.training_scores_, y[index] != 1
print(f"area under the ROC curve: {roc_auc_score(strange, -scores):.3f}")
figure, axes = plt.subplots(2, 7, figsize=(10, 3.8), layout="constrained")
for axis, i in zip(axes.flat, np.argsort(scores), strict=False):
    axis.imshow(digits[index[i]].reshape(8, 8), cmap="gray_r")
    color = "C3" if strange[i] else "0.2"
    axis.set_title(f"{y[index[i]]}: {-scores[i]:.0f} bits", fontsize=12, color=color)
    axis.axis("off")

plt.show()
