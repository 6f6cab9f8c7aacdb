"""
Missing values: code what is there
==================================

A linear :class:`skredu.MICLClassifier` accepts NaN. A new sample is coded on the
features that it has, and the shapes of classes are estimated from samples with gaps by
expectation-maximisation. Nothing is imputed, so a value that was guessed never counts
as one that was measured.
"""

# %%
# Remove more and more entries
# ----------------------------
# Entries are removed from training and test samples. All methods use the same
# classifier, behind an imputer or without one.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skredu import MICLClassifier

X, y = load_wine(return_X_y=True)
METRICS = ["accuracy", "neg_log_loss"]
SHARES = [0.0, 0.2, 0.4, 0.6]
methods = {
    "no imputation": [],
    "nearest neighbours": [KNNImputer()],
    "mean": [SimpleImputer()],
}
folds = StratifiedKFold(3, shuffle=True, random_state=0)
scores = {name: [] for name in methods}
for share in SHARES:
    gone = np.random.default_rng(0).random(X.shape) < share
    table = np.where(gone, np.nan, X)
    for name, imputer in methods.items():
        model = make_pipeline(StandardScaler(), *imputer, MICLClassifier())
        found = cross_validate(model, table, y, cv=folds, scoring=METRICS)
        scores[name].append(
            (found["test_accuracy"].mean(), -found["test_neg_log_loss"].mean())
        )
for name, values in scores.items():
    cells = "  ".join(f"{accuracy:.3f} {loss:.3f}" for accuracy, loss in values)
    print(f"{name:20}{cells}")

# %%
# Accuracy and log-loss
# ---------------------

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
COLORS = ["#0072B2", "#D55E00", "#555555"]
for color, marker, (name, values) in zip(COLORS, "osx", scores.items(), strict=True):
    for axis, column in zip(axes, np.transpose(values), strict=True):
        axis.plot(SHARES, column, marker=marker, color=color, label=name)
for axis, title in zip(axes, ("accuracy", "log-loss"), strict=True):
    axis.set(title=title, xlabel="share of entries that are missing")
    axis.spines[["top", "right"]].set_visible(False)
axes[0].legend(frameon=False)

# %%
# One sample with gaps
# --------------------
# With fewer features, the classifier is less sure. Without any, the class frequencies
# remain.

Z = StandardScaler().fit_transform(X)
model = MICLClassifier().fit(Z[1:], y[1:])
for n_seen in (13, 6, 3, 1, 0):
    sample = np.where(np.arange(13) < n_seen, Z[0], np.nan)
    print(n_seen, "features:", model.predict_proba([sample])[0].round(2))

plt.show()
