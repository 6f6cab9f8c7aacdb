r"""
Subspace clustering with outliers
=================================

Most samples of this example lie on a few subspaces, with noise, and others lie
anywhere. Distances between samples are not informative in this case: samples on the
same plane may be far apart, and samples on two crossing lines may be close. Their
coding length is more informative: a group on a subspace takes few bits, and outliers,
which share no subspace with other samples, are expensive in any group but their own.

:class:`skredu.CompressionClustering` needs the distortion :math:`\epsilon`, which is
about the noise of a sample, but not the number of groups. All other methods except
HDBSCAN are told the number of groups, with one more for the outliers.
"""

# %%
# All methods on the same samples
# -------------------------------
# HDBSCAN determines the number of groups and the outliers itself.

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.mixture import GaussianMixture

from skredu import CompressionClustering
from skredu.datasets import make_subspaces

NOISE = 0.02  # standard deviation in each feature


def methods(n_features, n_groups):
    """Return all clustering methods of the comparison."""
    epsilon = NOISE * n_features**0.5
    return {
        "CompressionClustering": CompressionClustering(epsilon, assume_centered=True),
        "GaussianMixture": GaussianMixture(n_groups, n_init=5, random_state=0),
        "KMeans": KMeans(n_groups, n_init=10, random_state=0),
        "Ward": AgglomerativeClustering(n_groups),
        "HDBSCAN": HDBSCAN(copy=True),
    }


def inlier_ari(y, labels):
    """Return the adjusted Rand index of the samples that are not outliers."""
    return adjusted_rand_score(y[y >= 0], labels[y >= 0])


# %%
# Two lines and a plane
# ---------------------
# Each group that was found has the colour of the true group that it fits best.
# Remaining groups and noise are shown as grey crosses.

COLORS = {0: "#0072B2", 1: "#D55E00", 2: "#009E73", -1: "#555555"}
MARKERS = {0: "o", 1: "^", 2: "s", -1: "x"}


def matched(y, labels):
    """Match the labels with the true groups, one to one; -1 if none is left."""
    table = contingency_matrix(y, labels)
    found = np.unique(labels, return_inverse=True)[1]
    names = np.full(table.shape[1], -1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    names[columns] = np.unique(y)[rows]
    return names[found]


def draw(axis, X, names, title):
    """Draw samples in space, with the colours and markers of their groups."""
    for name, color in COLORS.items():
        rows = X[names == name]
        marker, size = MARKERS[name], 16 if name < 0 else 9
        axis.scatter(*rows.T, s=size, color=color, marker=marker, lw=0.8, alpha=0.8)
    axis.set_title(title, fontsize=10)
    axis.set(xticklabels=[], yticklabels=[], zticklabels=[])
    axis.set_box_aspect((1, 1, 1), zoom=1.15)
    axis.view_init(elev=22, azim=-98)


X, y = make_subspaces([104, 104, 150], noise=NOISE, n_outliers=70, random_state=0)
figure, axes = plt.subplots(
    2, 3, figsize=(10, 7), layout="constrained", subplot_kw={"projection": "3d"}
)
draw(axes.flat[0], X, y, "true groups: two lines, a plane,\n70 outliers (crosses)")
for axis, (name, model) in zip(axes.flat[1:], methods(3, 4).items(), strict=True):
    labels = model.fit_predict(X)
    title = f"{name}: {labels.max() + 1} groups,\ninlier ARI"
    draw(axis, X, matched(y, labels), f"{title} {inlier_ari(y, labels):.2f}")
figure.suptitle("Only the coding length separates lines and plane from the outliers")

# %%
# Subspaces of three, four and five dimensions
# --------------------------------------------
# There are eighty samples on each subspace, in eight dimensions, and 60 outliers, which
# are one sample in five. We draw the data five times.

scores = {name: [] for name in methods(8, 4)}
for seed in range(5):
    X, y = make_subspaces(
        80,
        n_features=8,
        dimensions=(3, 4, 5),
        noise=NOISE,
        n_outliers=60,
        random_state=seed,
    )
    for name, model in methods(8, 4).items():
        scores[name].append(inlier_ari(y, model.fit_predict(X)))

print(f"{'inlier ARI':24}{'mean':>6}{'worst':>7}")
for name, values in scores.items():
    print(f"{name:24}{np.mean(values):6.2f}{np.min(values):7.2f}")

# %%
# The distortion need not be known either. For the last of these data sets, "auto" finds
# four groups: the subspaces, and the outliers as a group of full dimension.

auto = CompressionClustering(assume_centered=True).fit(X)
auto_ari = inlier_ari(y, auto.labels_)
print(f"auto: epsilon {auto.epsilon_:.3f}, {auto.n_clusters_} groups", end=", ")
print(f"inlier ARI {auto_ari:.2f}, sizes {auto.cluster_sizes_.astype(int)}")

# %%
# A Gaussian mixture can represent these shapes, but it finds the subspaces in some
# draws only; in others, even the best of its five initialisations is a poor local
# optimum. Methods that are based on distances find little.

figure, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
for row, values in enumerate(scores.values()):
    heights = row + np.linspace(-0.2, 0.2, len(values))  # to show equal values
    axis.scatter(values, heights, color="#0072B2" if row == 0 else "#555555", s=30)
axis.set_yticks(range(len(scores)), scores)
axis.invert_yaxis()
axis.set(xlabel="adjusted Rand index of the inliers, five draws", xlim=(-0.1, 1.05))
axis.grid(axis="x", color="0.9")
axis.set_axisbelow(True)
axis.spines[["top", "right"]].set_visible(False)
axis.set_title("Three subspaces in eight dimensions, with one outlier in five samples")

plt.show()
