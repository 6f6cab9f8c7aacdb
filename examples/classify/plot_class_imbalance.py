"""
Class imbalance: priors and class weights
=========================================

If one sample in twenty belongs to the rare class, a classifier that is right as often
as possible seldom predicts it. :class:`skredu.MICLClassifier` has two remedies.
``priors="balanced"`` says that both classes will be equally frequent, or that missing a
rare sample costs more; the shapes of the classes stay as they are.
``class_weight="balanced"`` counts each rare sample several times, which also changes
the distortion. Which one is right depends on what errors cost, not on the data.
"""

# %%
# The region of the rare class
# ----------------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    precision_score,
    recall_score,
)

from skredu import MICLClassifier


def samples(n, seed):
    """Return samples of two overlapping classes; 5 % belong to the second one."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.05).astype(int)
    X = rng.standard_normal((n, 2)) * np.where(y == 0, 1.3, 0.6)[:, None]
    return X + np.array([1.6, 0.8]) * y[:, None], y


X, y = samples(600, seed=0)
X_test, y_test = samples(20_000, seed=1)
options = {
    "as they are": {},
    'priors="balanced"': {"priors": "balanced"},
    'class_weight="balanced"': {"class_weight": "balanced"},
}
models = {name: MICLClassifier(**o).fit(X, y) for name, o in options.items()}

figure, axes = plt.subplots(
    1, 3, figsize=(11, 4), layout="constrained", sharex=True, sharey=True
)
for axis, (name, model) in zip(axes, models.items(), strict=True):
    DecisionBoundaryDisplay.from_estimator(
        model, X, response_method="predict", cmap="Blues", alpha=0.4, ax=axis
    )
    axis.scatter(*X[y == 0].T, s=8, color="#555555", label="frequent class")
    axis.scatter(*X[y == 1].T, s=16, color="#D55E00", label="rare class")
    axis.set(title=name, xticks=[], yticks=[], xlabel="", ylabel="")
axes[0].legend(loc="lower left", fontsize=8)
figure.suptitle("Where the rare class is predicted")

# %%
# What the remedies cost
# ----------------------
# More of the rare samples are found, and more of the alarms are false. The ranking by
# probability, which the average precision measures, hardly changes: a threshold on
# ``predict_proba`` would do the same.

print(f"{'':26}{'found':>7}{'alarms right':>14}{'balanced accuracy':>19}{'AP':>7}")
for name, model in models.items():
    predicted = model.predict(X_test)
    scores = [
        recall_score(y_test, predicted),
        precision_score(y_test, predicted),
        balanced_accuracy_score(y_test, predicted),
        average_precision_score(y_test, model.predict_proba(X_test)[:, 1]),
    ]
    print(
        f"{name:26}{scores[0]:7.2f}{scores[1]:14.2f}{scores[2]:19.3f}{scores[3]:7.3f}"
    )

# %%
# Copies instead of weights
# -------------------------
# A weight is a number of copies, so oversampling is the same as weights: a sample is
# left out with all of its copies. Do not add noise to copies: a sample would then be
# predicted from its own copies, which are not left out.

copies = np.concatenate([np.arange(len(y)), np.repeat(np.flatnonzero(y), 9)])
copied = MICLClassifier().fit(X[copies], y[copies])
weighted = MICLClassifier(class_weight={0: 1, 1: 10}).fit(X, y)
gap = copied.predict_proba(X_test) - weighted.predict_proba(X_test)
print(f"largest difference of probabilities: {np.abs(gap).max():.0e}")

plt.show()
