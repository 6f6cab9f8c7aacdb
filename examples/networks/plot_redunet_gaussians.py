r"""
ReduNet on Gaussians: classes become orthogonal points
======================================================

A ReduNet has no weights to train. Each layer is one step of gradient ascent on the rate
reduction :math:`\Delta R`, the cost of coding all samples together minus the cost of
coding each class separately. It grows as long as the classes can be separated better,
and it is largest if each class is a single direction and the directions are orthogonal.

This is the first experiment of the paper, with its settings: Gaussian classes around
the axes and 2000 layers. The largest :math:`\Delta R` is known in closed form, and the
layers reach it.
"""

# %%
# Two classes on the circle, three on the sphere
# ----------------------------------------------
# The paper specifies :math:`\epsilon^2 = 0.1`; the parameter of skredu is
# :math:`\epsilon`.

import matplotlib.pyplot as plt
import numpy as np

from skredu import ReduNetTransformer
from skredu.datasets import make_gaussians_on_sphere
from skredu.metrics import class_similarity

EPSILON = 0.1**0.5


def largest_rate_reduction(n_classes):
    """Return the rate reduction of ``n_classes`` orthogonal points, in nats."""
    together = n_classes / 2 * np.log(1 + 1 / EPSILON**2)
    return together - np.log(1 + n_classes / EPSILON**2) / 2


nets, new = {}, {}
for n_classes in (2, 3):
    X, y = make_gaussians_on_sphere(500, n_classes=n_classes, random_state=0)
    nets[n_classes] = ReduNetTransformer(
        2000,
        EPSILON,
        eta=0.5,
        step="published",
        membership="residual",
        construction="estimated",
        fit_intercept=False,
    ).fit(X, y)

print(f"{'classes':>7}{'layers':>8}{'rate reduction':>16}{'largest':>9}")
for n_classes, net in nets.items():
    for layers in (0, 100, net.n_iter_):
        delta = net.rates_["delta_R"][layers]
        largest = largest_rate_reduction(n_classes)
        print(f"{n_classes:7}{layers:8}{delta:16.4f}{largest:9.4f}")

# %%
# New samples
# -----------
# The layers estimate the class of each sample and need no label, so samples that were
# not used to build the network move in the same way. The similarity of two classes is
# the mean absolute cosine between their samples.

print(f"{'classes':>7}{'similarity before':>19}{'after':>9}")
for n_classes, net in nets.items():
    X, y = make_gaussians_on_sphere(60, n_classes=n_classes, random_state=1)
    Z = net.transform(X)
    new[n_classes] = X, y, Z
    off = ~np.eye(n_classes, dtype=bool)
    before, after = (class_similarity(rows, y)[off].max() for rows in (X, Z))
    print(f"{n_classes:7}{before:19.4f}{after:9.4f}")

# %%
# Before and after
# ----------------
# The figure shows the new samples. If a class has contracted, its markers coincide.

COLORS = ["#0072B2", "#D55E00", "#009E73"]
MARKERS = ["o", "^", "s"]


def draw(axis, rows, y, title):
    """Draw samples with the colours and markers of their classes."""
    for label in np.unique(y):
        axis.scatter(
            *rows[y == label].T, s=22, color=COLORS[label], marker=MARKERS[label], lw=0
        )
    axis.set_title(title, fontsize=10)


figure = plt.figure(figsize=(8, 7.6), layout="constrained")
angle = np.linspace(-0.2 * np.pi, 0.7 * np.pi, 200)
for place, (rows, title) in enumerate(
    zip(new[2][::2], ("on the circle", "after 2000 layers"), strict=True)
):
    axis = figure.add_subplot(2, 2, place + 1)
    axis.plot(np.cos(angle), np.sin(angle), color="0.8", lw=1, zorder=0)
    draw(axis, rows, new[2][1], title)
    axis.set(xlim=(-0.4, 1.1), ylim=(-0.4, 1.1), aspect="equal")
    axis.spines[["top", "right"]].set_visible(False)
u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 25), np.linspace(0, np.pi, 13))
for place, (rows, title) in enumerate(
    zip(new[3][::2], ("on the sphere", "after 2000 layers"), strict=True)
):
    axis = figure.add_subplot(2, 2, place + 3, projection="3d")
    axis.plot_wireframe(
        np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v), color="0.85", lw=0.5
    )
    draw(axis, rows, new[3][1], title)
    axis.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], zticks=[-1, 0, 1])
    axis.set_box_aspect((1, 1, 1), zoom=1.1)
    axis.view_init(elev=25, azim=35)
figure.suptitle("Every class becomes a point, orthogonal to the others")

# %%
# Rates along the layers
# ----------------------
# The rate reduction never decreases, and it ends at the largest possible value.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for axis, (n_classes, net) in zip(axes, nets.items(), strict=True):
    largest = largest_rate_reduction(n_classes)
    axis.axhline(largest, color="#D55E00", ls="--", label=f"largest: {largest:.4f}")
    delta = net.rates_["delta_R"]
    axis.plot(delta, color="#0072B2", label=f"reached: {delta[-1]:.4f}")
    axis.set_xscale("symlog", linthresh=1)
    axis.set(title=f"{n_classes} classes", xlabel="layer", xlim=(0, net.n_iter_))
    axis.set_xticks([0, 1, 10, 100, 1000], [0, 1, 10, 100, 1000])
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="lower right")
axes[0].set_ylabel(r"rate reduction $\Delta R$, nats")

plt.show()
