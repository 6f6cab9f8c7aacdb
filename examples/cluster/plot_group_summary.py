"""
Describing clusters: what sets groups apart
===========================================

After a clustering, the next question is what the groups are.
:meth:`skredu.CompressionClustering.summary` answers it in bits: how much shorter the
code of each feature becomes if it is coded with its group. Here, we cluster wines, look
at this table, find the most unusual wines, and draw new ones.
"""

# %%
# Groups of wines, from the largest to the smallest
# -------------------------------------------------
#
# The features have different units, so they are standardised. The number of groups is
# not given.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from skredu import CompressionClustering

wine = load_wine(as_frame=True)
scaler = StandardScaler().set_output(transform="pandas")
X = scaler.fit_transform(wine.data)
model = CompressionClustering(label_order="size").fit(X)
table = model.summary()
print(table.iloc[:, :4].round(2))
score = adjusted_rand_score(wine.target, model.labels_)
print(f"Rand index with the cultivars: {score:.2f}")

# %%
# Features in bits
# ----------------
#
# Each number says how many bits per sample a feature on its own saves in a group. A
# minus sign means that the group has lower values than all wines together.

bits = table.iloc[:, 4:]
order = np.argsort(-np.abs(bits).max().to_numpy())
bits = bits.iloc[:, order]
largest = 1.6 * np.abs(bits.to_numpy()).max()  # no dark colours behind numbers
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
image = ax.imshow(bits.T, cmap="PuOr_r", vmin=-largest, vmax=largest, aspect="auto")
ax.set_xticks(range(len(bits)), [f"group {label}" for label in bits.index])
ax.set_yticks(range(bits.shape[1]), bits.columns)
for i, row in enumerate(bits.T.to_numpy()):
    for j, value in enumerate(row):
        ax.text(j, i, f"{value:+.1f}", ha="center", va="center", fontsize=8)
figure.colorbar(image, label="bits per sample, with the sign of the deviation")
for label, row in bits.iterrows():
    best = row.abs().nlargest(3).index
    found = ", ".join(f"{name} ({row[name]:+.1f})" for name in best)
    print(f"group {label}: {found}")

# %%
# Unusual and new wines
# ---------------------
#
# Scores are minus the bits that a sample costs in its best group. New samples have the
# means and covariances of the groups.

scores = model.score_samples(X)
print("most unusual wines:", np.argsort(scores)[:5].tolist())
drawn, groups = model.sample(300, random_state=0)
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
names = ["flavanoids", "color_intensity"]
columns = [X.columns.get_loc(name) for name in names]
for label in range(model.n_clusters_):
    own = X[model.labels_ == label]
    ax.scatter(
        *own[names].to_numpy().T, s=18, color=f"C{label}", label=f"group {label}"
    )
    ax.scatter(*drawn[groups == label][:, columns].T, s=6, color=f"C{label}", alpha=0.3)
ax.set(xlabel=names[0], ylabel=names[1], title="wines, and drawn ones (small, pale)")
ax.legend(frameon=False)
plt.show()
