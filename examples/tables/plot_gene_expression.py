r"""
Gene expression: few samples, thousands of genes
================================================

This example clusters seventy samples with thousands of genes each. The groups of such
data are not round: samples of one tissue share a profile and differ from each other
along programmes of their own, such as the phase of the cell cycle or the proportion of
stroma. Methods that are based on distances divide the samples along the strongest
programme. The coding length charges each group for each of its directions, so it finds
the groups, their number, and the number of directions in which each of them varies.
If the groups are known, for instance treated and untreated samples, the few genes that
differ have to be found among thousands; this is the last part.

The data are **generated**, so the true groups are known.
"""

# %%
# Four groups, each with its own programmes
# -----------------------------------------

import time
import tracemalloc

import matplotlib.pyplot as plt
import numpy as np
from scipy.cluster.hierarchy import dendrogram
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skredu import CodingGainSelector, CompressionClustering, MICLClassifier
from skredu.rates import partition_coding_length

SIZES = (24, 18, 16, 12)  # samples of each group
PROGRAMMES = (3, 2, 2, 1)  # directions in which they vary
NOISE = 0.5  # standard deviation of the measurement of a gene


def genes(rng, n_genes):
    """Draw effects on a tenth of the genes; there are none on the others."""
    effects = np.zeros(n_genes)
    chosen = rng.choice(n_genes, n_genes // 10, replace=False)
    effects[chosen] = rng.standard_normal(len(chosen))
    return effects


def make_expressions(n_genes, seed):
    """Make log expressions of shape (70, n_genes), and the group of each sample."""
    rng = np.random.default_rng(seed)
    parts = []
    for size, n_programmes in zip(SIZES, PROGRAMMES, strict=True):
        programmes = np.stack([genes(rng, n_genes) for _ in range(n_programmes)])
        activities = 1.2 * rng.standard_normal((size, n_programmes))
        parts.append(genes(rng, n_genes) + activities @ programmes)
    X = np.concatenate(parts) + rng.normal(7.0, 1.5, n_genes)
    X += NOISE * rng.standard_normal(X.shape)
    return X, np.repeat(np.arange(len(SIZES)), SIZES)


# %%
# Find the directions that samples share
# --------------------------------------
# A direction of a group costs about :math:`d/2` times its bits. In ten thousand
# dimensions, a dozen samples never save that much: for the genes themselves, the
# cheapest description has no groups. Even this computation needs little memory, because
# it takes place in the span of the samples; a single array of size genes by genes would
# take 800 MB.

X, y = make_expressions(10_000, seed=0)
n, d = X.shape
epsilon = NOISE * d**0.5  # the noise of a sample

tracemalloc.start()
start = time.perf_counter()
raw = CompressionClustering(epsilon).fit(X)
seconds = time.perf_counter() - start
megabytes = tracemalloc.get_traced_memory()[1] / 1e6
tracemalloc.stop()
print(f"{n} samples, {d} genes: {raw.n_clusters_} groups", end=", ")
print(
    f"{seconds:.1f} s, {megabytes:.0f} MB in addition to {X.nbytes / 1e6:.0f} MB for X"
)
partitions = {
    "each sample alone": np.arange(n),
    "all together": np.zeros(n, dtype=int),
    "true groups": y,
}
for name, labels in partitions.items():
    bits = partition_coding_length(X, labels, epsilon=epsilon)
    print(f"{name:18}{bits / n / 1e3:6.1f} kbit per sample")

# %%
# We therefore use the principal components that stand out from the noise: the four
# profiles span three directions, and the eight programmes eight more. For these
# components, neither the number of groups nor the distortion need to be known.

components = PCA(11).fit_transform(X)
model = CompressionClustering().fit(components)
print(f"of the components: {model.n_clusters_} groups, sizes", end=" ")
print(model.cluster_sizes_.astype(int), end=", ")
print(f"ARI {adjusted_rand_score(y, model.labels_):.2f}")

# %%
# The effective dimension counts directions that are much larger than :math:`\epsilon`.
# With a distortion of five times the noise, it counts the programmes.

coarse = CompressionClustering(epsilon=5 * NOISE * 11**0.5).fit(components)
for group, dimension in enumerate(coarse.cluster_dimensions_):
    true = np.bincount(y[coarse.labels_ == group]).argmax()
    print(f"group of {SIZES[true]}: {dimension:.1f} directions", end=", ")
    print(f"made with {PROGRAMMES[true]}")

# %%
# Comparison with methods that are told the number of groups
# ----------------------------------------------------------
# A Gaussian mixture can represent these shapes, too, but a dozen samples are too few to
# estimate its covariances.

scores = {"CompressionClustering": adjusted_rand_score(y, model.labels_)}
peers = {
    "KMeans": KMeans(4, n_init=10, random_state=0),
    "Ward": AgglomerativeClustering(4),
    "GaussianMixture": GaussianMixture(4, n_init=10, random_state=0),
}
for name, peer in peers.items():
    scores[name] = adjusted_rand_score(y, peer.fit_predict(components))
for name, score in scores.items():
    print(f"{name:24} ARI {score:.2f}")

# %%
# The tree of merges, in bits
# ---------------------------
# The height of a merge is the number of bits that all merges up to this one have saved
# or added. Merges that save bits come first. The groups are found where these merges
# end, at the dashed line. All later merges are expensive. Below the tree, each column
# is a sample, in the same order: the groups differ in their profiles and in the
# components along which their samples vary.

COLORS = np.array(["#0072B2", "#D55E00", "#009E73", "#CC79A7"])
MARKERS = ["o", "^", "s", "D"]

figure, axes = plt.subplots(
    2, 1, figsize=(9, 6), layout="constrained", sharex=True, height_ratios=(3, 2)
)
Z = model.linkage()
saving = (model.merge_costs_ < 0).sum()
tree = dendrogram(
    Z, ax=axes[0], no_labels=True, color_threshold=0, above_threshold_color="#555555"
)
order = np.array(tree["leaves"])
for group, (color, marker) in enumerate(zip(COLORS, MARKERS, strict=True)):
    places = 5 + 10 * np.flatnonzero(y[order] == group)  # where SciPy draws them
    label = f"true group of {SIZES[group]}"
    axes[0].scatter(
        places,
        np.zeros(len(places)),
        s=24,
        c=color,
        marker=marker,
        label=label,
        clip_on=False,
        zorder=3,
    )
stop = (Z[saving - 1, 2] + Z[saving, 2]) / 2
axes[0].axhline(stop, color="#555555", ls="--", lw=1)
axes[0].set(ylabel="bits saved, then added")
axes[0].legend(frameon=False, fontsize=9, ncols=4, loc="upper center")
axes[0].set_ylim(0, 1.15 * Z[-1, 2])
axes[0].spines[["top", "right", "bottom"]].set_visible(False)

scaled = components / components.std(axis=0)
axes[1].pcolormesh(
    10 * np.arange(n + 1),
    np.arange(12),
    scaled[order].T,
    cmap="PuOr",
    vmin=-2.5,
    vmax=2.5,
)
axes[1].invert_yaxis()
axes[1].set(ylabel="component", xlabel="samples, in the order of the tree", xticks=[])
figure.suptitle("Groups of different shapes, found by their coding length")

# %%
# Find the few genes that differ
# ------------------------------
# Now half of the samples, of all groups, are treated, which changes 30 of the 10 000
# genes by slightly more than the noise. This is far less than the differences between
# the groups, so classifiers that use all genes are hardly better than chance.
# :class:`~skredu.CodingGainSelector` computes how many bits per sample the two classes
# save in each gene if the sample is predicted from the others, and multiplies the
# genes by these bits. In a pipeline, this is done within each fold.

rng = np.random.default_rng(1)
treated = rng.permutation(np.arange(n) % 2)
changed = rng.choice(d, 30, replace=False)
X_treated = X.copy()
X_treated[:, changed] += 0.7 * rng.choice([-1, 1], 30) * treated[:, None]

classifiers = {
    "logistic regression": [LogisticRegression(max_iter=1000)],
    "MICL": [MICLClassifier()],
    "weights + MICL": [CodingGainSelector(), MICLClassifier()],
}
folds = StratifiedKFold(5, shuffle=True, random_state=0)
for name, steps in classifiers.items():
    model = make_pipeline(StandardScaler(), *steps)
    accuracy = cross_val_score(model, X_treated, treated, cv=folds).mean()
    print(f"{name:20} accuracy {accuracy:.2f}")

# %%
# The genes that save the most bits are those that the treatment changes.

selector = CodingGainSelector().fit(X_treated, treated)
top = np.argsort(-selector.bits_)[:30]
print(f"{np.isin(top, changed).sum()} of the 30 best genes are changed", end=", ")
print(f"{selector.get_support().sum()} genes save bits")

figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
others = np.setdiff1d(np.arange(d), changed)
bins = np.linspace(selector.bits_.min(), selector.bits_.max(), 50)
axis.hist(selector.bits_[others], bins, color="#999999", label="other genes")
axis.hist(selector.bits_[changed], bins, color="#D55E00", label="changed genes")
axis.axvline(0.0, color="#555555", ls="--", lw=1)
axis.set(yscale="log", xlabel="bits per sample that the classes save", ylabel="genes")
axis.legend(frameon=False, fontsize=8)
axis.spines[["top", "right"]].set_visible(False)

plt.show()
