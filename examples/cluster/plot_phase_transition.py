r"""
Number of clusters: the distortion determines it
================================================

The main parameter of :class:`skredu.CompressionClustering` is the distortion
:math:`\epsilon`, the size of the details that are not worth coding. If it is changed,
the number of groups does not change gradually: it has one value over decades of
:math:`\epsilon`, up to a few times the noise, and then drops to one group at once. Any
distortion from far below the noise to just above it leads to the same groups.
"""

# %%
# Two lines and a plane
# ---------------------
# The noise of a sample, over its three coordinates, is
# :math:`\epsilon_0 = \sigma\sqrt 3`.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import adjusted_rand_score

from skredu import CompressionClustering
from skredu.datasets import make_subspaces

sigma = 0.02
X, y = make_subspaces(
    [150, 104, 104], dimensions=(2, 1, 1), noise=sigma, random_state=0
)
n, d = X.shape
noise = sigma * d**0.5

# %%
# Groups and bits for every distortion
# ------------------------------------
# :meth:`~skredu.CompressionClustering.epsilon_path` clusters the samples for each
# distortion.

model = CompressionClustering(assume_centered=True)
ratios = np.array([0.001, 0.01, 0.03, 0.1, 0.3, 0.5, 1, 1.5, 2, 3, 4, 5, 8, 16, 32])
path = model.epsilon_path(X, ratios * noise)

# %%
# The number of bits cannot be used to choose the distortion, because it decreases as
# :math:`\epsilon` grows and details are discarded. So "auto" evaluates the groups of
# each distortion by a description that does not depend on :math:`\epsilon`: Gaussians
# with a cost for each direction in which they are wide.

auto = CompressionClustering(assume_centered=True).fit(X)
auto_ari = adjusted_rand_score(y, auto.labels_)
print(f"auto: epsilon = {auto.epsilon_ / noise:.2f} times the noise", end=", ")
print(f"{auto.n_clusters_} groups, ARI {auto_ari:.2f}")

# %%
# The groups on the plateau are the true ones, except for samples near the
# intersections, which fit into two groups equally well. Labels need one fit per
# distortion, so we use every second one.

scores = [
    adjusted_rand_score(y, model.set_params(epsilon=ratio * noise).fit_predict(X))
    for ratio in ratios[::2]
]
plateau = ratios[path["n_clusters"] == 3]
print(f"{'epsilon / noise':>16}{'groups':>8}{'bits / sample':>14}")
for ratio, groups, bits in zip(
    ratios, path["n_clusters"], path["coding_length"], strict=True
):
    print(f"{ratio:16.3f}{groups:8d}{bits / n:14.1f}")

# %%
# Results as a function of the distortion
# ---------------------------------------

panels = [
    ("number of groups", ratios, path["n_clusters"]),
    ("adjusted Rand index", ratios[::2], scores),
    ("bits per sample", ratios, path["coding_length"] / n),
    ("description per sample, bits", ratios, path["description_length"] / n),
]
figure, axes = plt.subplots(
    2, 2, figsize=(9, 5.6), sharex=True, layout="constrained", squeeze=False
)
for axis, (label, x, values) in zip(axes.flat, panels, strict=True):
    axis.axvspan(plateau.min(), plateau.max(), color="#0072B2", alpha=0.1, lw=0)
    axis.semilogx(x, values, "o-", color="#0072B2", ms=4)
    axis.axvline(1, color="#555555", ls="--", label=r"the noise $\epsilon_0$")
    axis.axvline(auto.epsilon_ / noise, color="#D55E00", label='"auto"')
    axis.set_ylabel(label)
    axis.spines[["top", "right"]].set_visible(False)
axes[0, 0].set(yticks=range(1, 5), ylim=(0.7, 4.3))
axes[0, 1].set_ylim(-0.05, 1.05)
axes[0, 0].legend(loc="upper left", frameon=False, ncols=2)
figure.supxlabel(r"distortion $\epsilon\,/\,\epsilon_0$")
decades = np.log10(plateau.max() / plateau.min())
figure.suptitle(f"Three groups over {decades:.0f} decades of distortion (shaded)")

plt.show()
