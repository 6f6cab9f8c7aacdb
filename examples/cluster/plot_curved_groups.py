"""
Curved groups: moons and circles
================================

:class:`skredu.CompressionClustering` finds groups that are Gaussians or subspaces. A
moon is neither: several flat pieces describe it in fewer bits. If groups are curved and
separated by gaps, use a method that is based on densities, such as
:class:`sklearn.cluster.HDBSCAN`. The pieces are still useful where groups are to be
described rather than counted: each of them is a line with a direction and a width.
"""

# %%
# Two tables, two methods
# -----------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import HDBSCAN
from sklearn.datasets import make_circles, make_moons
from sklearn.metrics import adjusted_rand_score

from skredu import CompressionClustering

tables = {
    "moons": make_moons(300, noise=0.08, random_state=0),
    "circles": make_circles(300, noise=0.06, factor=0.5, random_state=0),
}
models = {
    "CompressionClustering": CompressionClustering(),
    "HDBSCAN": HDBSCAN(copy=True),
}
figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
COLORS = plt.get_cmap("tab20")(np.arange(20))
shown = iter(axes)
for name, (X, y) in tables.items():
    for method, model in models.items():
        labels = model.fit_predict(X)
        n_groups, index = labels.max() + 1, adjusted_rand_score(y, labels)
        print(f"{name:8}{method:22}{n_groups:3} groups, ARI {index:.2f}")
        axis = next(shown)
        axis.scatter(*X.T, s=10, color=COLORS[labels % 20])
        axis.set(xticks=[], yticks=[], aspect="equal")
        axis.set_title(f"{method}:\n{n_groups} groups, ARI {index:.2f}", fontsize=10)

plt.show()
