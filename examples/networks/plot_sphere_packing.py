r"""
Rate reduction: coding rates count balls
========================================

How many balls of radius :math:`\epsilon` are needed to fill the space that a set of
samples spans? About :math:`e^R`, where :math:`R` is the coding rate of all samples. For
each class separately, the number is :math:`e^{R_j}`, and its geometric mean over the
classes is :math:`e^{R_c}`. The rate reduction :math:`\Delta R = R - R_c` compares both:
it is large if all samples together fill much space and each class fills little. Two
lines achieve this if they are orthogonal.
"""

# %%
# Two lines in the plane
# ----------------------
# Samples with the covariance :math:`\Sigma`, each one blurred by :math:`\epsilon`, are
# represented by the ellipse with the matrix :math:`d\,\Sigma + \epsilon^2 I`. Its
# volume is :math:`e^R` times that of a ball, with :math:`R = \frac12\log\det(I +
# d\,\Sigma/\epsilon^2)`.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle, Ellipse

from skredu.rates import class_coding_rate, coding_rate

EPSILON = 0.06
COLORS = ("#0072B2", "#D55E00")


def lines(degrees):
    """Make two classes of samples on lines at an angle, and their labels."""
    positions = np.linspace(-1, 1, 100) * 3**0.5 * 0.5  # of variance 1/4
    half = np.deg2rad(degrees) / 2
    directions = np.array([[np.cos(half), np.sin(half)], [np.cos(half), -np.sin(half)]])
    return np.kron(directions, positions[:, None]), np.repeat([0, 1], len(positions))


def axes_of(X):
    """Return the semi-axes and directions of the ellipse of the blurred samples."""
    n, d = X.shape
    values, vectors = np.linalg.eigh(d / n * X.T @ X + EPSILON**2 * np.eye(d))
    return values**0.5, vectors


def packed(X):
    """Return centres of balls of the densest lattice packing, within the ellipse."""
    radii, vectors = axes_of(X)
    steps = np.arange(-40, 41)
    i, j = (grid.ravel() for grid in np.meshgrid(steps, steps))
    lattice = EPSILON * np.stack([2 * i + j, 3**0.5 * j], axis=1)[:, ::-1]
    room = np.maximum(radii - EPSILON, 1e-9) * (1 + 1e-9)
    return lattice[np.sum((lattice / room) ** 2, axis=1) <= 1] @ vectors.T


def draw(axis, X, color, alpha):
    """Draw the ellipse of the samples, with the balls that fit into it."""
    radii, vectors = axes_of(X)
    angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
    size = {"width": 2 * radii[1], "height": 2 * radii[0], "angle": angle}
    axis.add_patch(Ellipse((0, 0), fill=False, color=color, lw=1, **size))
    for middle in packed(X):
        axis.add_patch(Circle(middle, EPSILON, color=color, alpha=alpha, lw=0))


ANGLES = (90, 45, 15)
print(f"{'angle':>6}{'all samples':>13}{'each class':>12}{'ratio':>9}{'Delta R':>9}")
figure, axes = plt.subplots(
    2, 3, figsize=(10, 6.4), sharex=True, sharey=True, layout="compressed"
)
for (top, bottom), degrees in zip(axes.T, ANGLES, strict=True):
    X, y = lines(degrees)
    R, Rc = coding_rate(X, epsilon=EPSILON), class_coding_rate(X, y, epsilon=EPSILON)
    print(f"{degrees:6}{np.exp(R):13.1f}{np.exp(Rc):12.1f}", end="")
    print(f"{np.exp(R - Rc):9.1f}{R - Rc:9.2f}")
    draw(top, X, "#555555", 0.35)
    for label, color in enumerate(COLORS):
        rows = X[y == label]
        draw(bottom, rows, color, 0.45)
        for axis in (top, bottom):
            axis.plot(*rows.T, color=color, lw=1.2)
    top.set_title(f"{degrees} degrees\nall samples: $e^R$ = {np.exp(R):.1f} balls")
    bottom.set_title(f"each class: $e^{{R_c}}$ = {np.exp(Rc):.1f} balls")
for axis in axes.flat:
    axis.set(xlim=(-1, 1), ylim=(-0.8, 0.8), aspect="equal", xticks=[], yticks=[])
figure.suptitle(
    "Together, orthogonal lines fill the most space; each class fills the same"
)

# %%
# The figure shows only whole balls in one arrangement, so it contains fewer balls than
# the ratio of the volumes.

# %%
# Rates at every angle
# --------------------
# We now vary the angle between two lines in the plane, and between a line and a plane
# in space. The rate of the classes stays the same, and the rate of all samples
# increases up to the right angle.


def line_and_plane(degrees):
    """Make samples on a plane and on a line at an angle to it, and their labels."""
    ring = 2 * np.pi * np.arange(100) / 100
    plane = np.stack([np.cos(ring), np.sin(ring), 0 * ring], axis=1) * 0.5 * 2**0.5
    turn = np.deg2rad(degrees)
    direction = np.array([np.cos(turn), 0, np.sin(turn)])
    line = np.linspace(-1, 1, 100)[:, None] * 3**0.5 * 0.5 * direction
    return np.concatenate([plane, line]), np.repeat([0, 1], 100)


degrees = np.arange(0, 181, 3)
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
titles = ("two lines in the plane", "a line and a plane in space")
for axis, rows, title in zip(axes, (lines, line_and_plane), titles, strict=True):
    R = [coding_rate(rows(angle)[0], epsilon=EPSILON) for angle in degrees]
    Rc = [class_coding_rate(*rows(angle), epsilon=EPSILON) for angle in degrees]
    axis.plot(degrees, np.exp(R), color="#555555", label="all samples, $e^R$")
    axis.plot(degrees, np.exp(Rc), color="#0072B2", label="each class, $e^{R_c}$")
    ratio = np.exp(np.subtract(R, Rc))
    axis.plot(
        degrees, ratio, "--", color="#D55E00", label=r"their ratio, $e^{\Delta R}$"
    )
    axis.set(title=title, xlabel="angle, degrees", xticks=range(0, 181, 45), ylim=0)
    axis.spines[["top", "right"]].set_visible(False)
    best = degrees[np.argmax(ratio)]
    print(f"{title}: largest at {best} degrees, {ratio.max():.1f} times a class")
axes[0].set_ylabel(r"balls of radius $\epsilon$")
figure.legend(
    *axes[0].get_legend_handles_labels(),
    frameon=False,
    loc="outside lower center",
    ncols=3,
)
figure.suptitle("The rate reduction is largest for orthogonal classes")

plt.show()
