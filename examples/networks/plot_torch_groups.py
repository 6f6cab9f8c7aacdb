r"""
Features and groups that are learned together
=============================================

Without labels, a network can learn features from pairs: two views of a sample are to
agree, and all samples are to be spread. Then features and soft memberships are trained
together by the rate reduction, whose gradient flows through both. This is an example
and no estimator, because the second step often does not help:
``benchmarks/joint_groups.py`` has a table.
"""

# %%
# Pairs
# -----
# The samples form two moons, which are no linear subspaces. A view of a sample is the
# sample with some noise.

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import make_moons
from torch import nn

from skredu import CompressionClustering
from skredu.metrics import clustering_accuracy
from skredu.torch import coding_rate, rate_reduction

points, y = make_moons(120, noise=0.08, random_state=0)
X = torch.tensor(points, dtype=torch.float32)
X = (X - X.mean(0)) / X.std()
torch.manual_seed(0)
network = nn.Sequential(
    nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 32)
)
memberships = nn.Sequential(nn.Linear(32, 2), nn.Softmax(dim=1))


def features(rows):
    """Return features on the unit sphere."""
    return nn.functional.normalize(network(rows), dim=1)


def train(gain, parameters, steps):
    """Increase a function of the features, and the agreement of two views."""
    optimizer = torch.optim.Adam(parameters, lr=0.001)
    for _ in range(steps):
        first, second = (features(X + 0.1 * torch.randn_like(X)) for _ in range(2))
        mean = nn.functional.normalize(first + second, dim=1)
        loss = -gain(mean) - 10.0 * (first * second).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def accuracy(labels):
    """Return the share of samples in the right group."""
    return f"{clustering_accuracy(y, labels):.3f}"


def clustered(rows):
    """Return the groups of a clustering."""
    rows = rows.detach().double().numpy()
    return CompressionClustering(n_clusters=2).fit_predict(rows)


print("clustering of the points:     ", accuracy(clustered(X)))
train(lambda Z: coding_rate(Z, epsilon=0.7), network.parameters(), 150)
groups = clustered(features(X))
print("clustering of the features:   ", accuracy(groups))

# %%
# Together
# --------
# The memberships are fitted to the groups of the clustering first, without outliers.

kept = groups >= 0
optimizer = torch.optim.Adam(memberships.parameters(), lr=0.05)
for _ in range(50):
    probabilities = memberships(features(X[kept]).detach()).clamp(min=1e-6)
    optimizer.zero_grad()
    nn.functional.nll_loss(probabilities.log(), torch.tensor(groups[kept])).backward()
    optimizer.step()
both = [*network.parameters(), *memberships.parameters()]
train(lambda Z: rate_reduction(Z, memberships(Z), epsilon=0.7), both, 60)
found = memberships(features(X)).argmax(1).numpy()
print("memberships, trained together:", accuracy(found))

figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
for axis, labels, title in zip(
    axes, (groups, found), ("features of pairs, clustered", "together"), strict=True
):
    axis.scatter(*points.T, c=labels, cmap="coolwarm", s=12)
    axis.set(title=f"{title}: {accuracy(labels)}", xticks=[], yticks=[])

plt.show()
