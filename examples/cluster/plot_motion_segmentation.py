r"""
Motion segmentation: which points move together?
================================================

A camera films two or three rigid bodies, and points on them are tracked through the
frames. Under an affine camera, the path of a point, which is the vector of its
coordinates in all frames, lies on a linear subspace of at most four dimensions that is
determined by the motion of its body. Bodies that pass in front of each other overlap in
the image, but their subspaces differ. A method that is based on distances groups points
by their position, whereas the coding length groups them by their motion.

The bodies are **generated**, so the example needs no data.
"""

# %%
# Rigid bodies in front of an affine camera
# -----------------------------------------
# A body is a transparent cloud of points. It rotates about an axis of its own and
# drifts. The camera drops the depth, and the tracker has an error of half a pixel.

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation
from sklearn.cluster import AgglomerativeClustering, KMeans, SpectralClustering
from sklearn.metrics.cluster import contingency_matrix

from skredu import CompressionClustering
from skredu.metrics import clustering_accuracy

N_FRAMES = 25
N_POINTS = 60  # on each body
NOISE = 0.5  # pixels


def paths_of_a_body(rng):
    """Return image positions of the points of a body, shape (points, frames, 2)."""
    points = rng.uniform(-100, 100, (N_POINTS, 3))
    time = np.linspace(0, 1, N_FRAMES)
    axis = rng.standard_normal(3)
    angle = np.deg2rad(rng.uniform(45, 90))
    turns = Rotation.from_rotvec(np.outer(time, angle * axis / np.linalg.norm(axis)))
    turned = np.einsum("fij,pj->pfi", turns.as_matrix(), points)
    start, drift = rng.uniform(-80, 80, (2, 2))
    return turned[..., :2] + start + time[:, None] * drift


def make_motions(n_bodies, seed):
    """Return one path per row (x in all frames, then y), and the body of each point."""
    rng = np.random.default_rng(seed)
    paths = np.concatenate([paths_of_a_body(rng) for _ in range(n_bodies)])
    paths += NOISE * rng.standard_normal(paths.shape)
    X = paths.transpose(0, 2, 1).reshape(len(paths), 2 * N_FRAMES)
    return X, np.repeat(np.arange(n_bodies), N_POINTS)


# %%
# Projections
# -----------
# As in agglomerative lossy compression, the paths are first projected on their leading
# singular directions. They are not centred, because this would move the subspaces away
# from the origin. The number of directions is five, or the smallest number that
# preserves sparse relations, :math:`d \ge 8 \log_2(2F/d)` for :math:`F` frames.


def project(X, d):
    """Project samples on their leading singular directions, shape (n, d)."""
    U, s, _ = np.linalg.svd(X, full_matrices=False)
    return U[:, :d] * s[:d]


dimensions = np.arange(1, 2 * N_FRAMES + 1)
enough = dimensions >= 8 * np.log2(2 * N_FRAMES / dimensions)
sparse = int(dimensions[enough][0])
print(f"sparsity-preserving dimension of {N_FRAMES} frames: {sparse}")

# %%
# Misclassified points
# --------------------
# The number of bodies is given to every method. The distortion of the coding length is
# the error of the tracker. There are four sequences with two bodies and four with
# three.


def methods(n_bodies, d):
    """Return all clustering methods of the comparison."""
    return {
        "CompressionClustering": CompressionClustering(
            NOISE * d**0.5, n_clusters=n_bodies, assume_centered=True
        ),
        "KMeans": KMeans(n_bodies, n_init=10, random_state=0),
        "SpectralClustering": SpectralClustering(
            n_bodies, affinity="nearest_neighbors", random_state=0
        ),
        "Ward": AgglomerativeClustering(n_bodies),
    }


sequences = {(k, seed): make_motions(k, seed) for k in (2, 3) for seed in range(4)}
found = {
    (name, d, sequence): model.fit_predict(project(X, d))
    for sequence, (X, _) in sequences.items()
    for d in (5, sparse)
    for name, model in methods(sequence[0], d).items()
}


def misclassified(name, d, sequence):
    """Return the percentage of the points in a wrong group."""
    labels = found[name, d, sequence]
    return 100 * (1 - clustering_accuracy(sequences[sequence][1], labels))


print(f"{'misclassified, %':22}{'d':>4}{'two bodies':>14}{'three bodies':>14}")
for name in methods(2, 5):
    for d in (5, sparse):
        errors = [
            [
                misclassified(name, d, sequence)
                for sequence in sequences
                if sequence[0] == k
            ]
            for k in (2, 3)
        ]
        print(f"{name:22}{d:4}{np.mean(errors[0]):14.1f}{np.mean(errors[1]):14.1f}")

# %%
# The number of bodies need not be given if the subspaces are well separated. These
# bodies rotate by 45 to 90 degrees; the less they rotate, the closer their subspaces
# are.

for k in (2, 3):
    numbers = [
        CompressionClustering(NOISE * sparse**0.5, assume_centered=True)
        .fit(project(sequences[k, seed][0], sparse))
        .n_clusters_
        for seed in range(4)
    ]
    print(f"of {k} bodies, groups found: {numbers}")

# %%
# Groups in the image
# -------------------
# Each group that was found has the colour of the body that it fits best. The bodies
# overlap from the first frame to the last.

COLORS = ["#0072B2", "#D55E00", "#009E73"]
MARKERS = ["o", "^", "s"]


def matched(y, labels):
    """Match the labels with the true bodies, one to one."""
    rows, columns = linear_sum_assignment(contingency_matrix(y, labels), maximize=True)
    return rows[np.argsort(columns)][labels]


def draw(axis, X, names, frame):
    """Draw the points in one frame, with the colours and markers of their bodies."""
    for name, (color, marker) in enumerate(zip(COLORS, MARKERS, strict=True)):
        places = X[names == name][:, [frame, N_FRAMES + frame]]
        axis.scatter(*places.T, s=18, color=color, marker=marker, lw=0)
    axis.set(xticks=[], yticks=[], aspect="equal")


shown = (3, 1)
X, y = sequences[shown]
panels = {"true bodies": y}
for name in ("CompressionClustering", "KMeans", "SpectralClustering"):
    error = misclassified(name, sparse, shown)
    title = f"{name},\n{error:.1f} % misclassified"
    panels[title] = matched(y, found[name, sparse, shown])
figure, axes = plt.subplots(
    2, 4, figsize=(11, 5.2), sharex=True, sharey=True, layout="constrained"
)
for column, (title, names) in zip(axes.T, panels.items(), strict=True):
    column[0].set_title(title, fontsize=10)
    draw(column[0], X, names, 0)
    draw(column[1], X, names, N_FRAMES - 1)
axes[0, 0].set_ylabel("first frame")
axes[1, 0].set_ylabel("last frame")
figure.suptitle("Three overlapping bodies: the coding length groups points by motion")

plt.show()
