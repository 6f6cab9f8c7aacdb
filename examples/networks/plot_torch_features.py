r"""
Features of trained networks
============================

A network that is trained by the rate reduction is meant to map different classes to
orthogonal subspaces, and to keep several directions in each class. This example draws
what the published experiment draws: cosines between all features, the sizes of the
directions of each class, and the samples along them.
:class:`skredu.torch.MCR2Classifier` needs PyTorch.
"""

# %%
# The same network, trained in two ways
# -------------------------------------

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skredu.metrics import rate_reduction_score
from skredu.plotting import (
    PrincipalSamplesDisplay,
    SimilarityDisplay,
    SubspaceSpectrumDisplay,
)
from skredu.torch import MCR2Classifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=800, stratify=y, random_state=0
)
options = {"signal_shape": (8, 8), "max_iter": 25, "batch_size": 200}
models = {
    loss: MCR2Classifier(loss=loss, random_state=0, **options).fit(X_train, y_train)
    for loss in ("mcr2", "cross_entropy")
}

# %%
# Cosines
# -------
# The test samples are sorted by class. After training by the rate reduction, the
# features of different classes are almost orthogonal; after training by the
# cross-entropy, they are not.

figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
for axis, (loss, model) in zip(axes, models.items(), strict=True):
    Z = model.transform(X_test)
    SimilarityDisplay.from_predictions(Z, y_test, ax=axis)
    axis.set_title(loss)
    print(f"{loss:13}: accuracy {model.score(X_test, y_test):.3f}, ", end="")
    print(f"rate reduction {rate_reduction_score(Z, y_test, epsilon=0.5**0.5):.2f}")

# %%
# Directions of each class
# ------------------------
# The rate reduction spreads each class over several directions; ten classes share 32 of
# them. After training by the cross-entropy, one direction is much longer than the
# others.

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for axis, (loss, model) in zip(axes, models.items(), strict=True):
    Z = model.transform(X_train)
    SubspaceSpectrumDisplay.from_predictions(Z, y_train, ax=axis)
    axis.set_title(loss)

# %%
# Principal images
# ----------------
# These are the samples whose features are closest to the first four directions of each
# class. They differ within a class: different ways of writing a digit have different
# directions.

figure, axis = plt.subplots(figsize=(4, 8), layout="constrained")
Z = models["mcr2"].transform(X_train)
PrincipalSamplesDisplay.from_predictions(
    Z, y_train, X_train, image_shape=(8, 8), n_components=4, ax=axis
)
plt.show()
