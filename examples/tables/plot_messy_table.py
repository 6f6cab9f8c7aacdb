r"""
A table with categories and gaps, in a pipeline
===============================================

Real tables have missing values, strings among the numbers, and columns in unrelated
units. The classifiers of skredu work in a pipeline after the preprocessing that
scikit-learn provides for such tables, and their parameters can be tuned like any
others. Here it is :class:`skredu.ReduNetClassifier`, next to others.
"""

# %%
# Make a table messy
# ------------------
# We take ten columns of the breast cancer data of scikit-learn, replace two of them by
# strings, and delete one entry in ten. The diagnosis is a string, too.

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skredu import MICLClassifier, ReduNetClassifier

table = load_breast_cancer(as_frame=True)
X = table.data.filter(regex="^mean").copy()
y = table.target.map(dict(enumerate(table.target_names)))
words = {
    "mean texture": ["smooth", "middling", "rough"],
    "mean concavity": ["flat", "hollow", "deep"],
}
for column, names in words.items():
    X[column] = pd.qcut(X[column], 3, labels=names).astype(object)
rng = np.random.default_rng(0)
X = X.mask(rng.random(X.shape) < 0.1)
print(X.iloc[:4, :4].to_string())
print(f"{len(X)} samples, {X.shape[1]} columns, {X.isna().mean().mean():.0%} missing")

# %%
# One pipeline
# ------------
# Missing numbers are replaced by medians, and a missing string gets a column of its
# own. With ``set_output``, the features of the network are a data frame with column
# names.


def pipeline(model):
    """Return a pipeline of preprocessing for numbers and strings, and the model."""
    columns = make_column_transformer(
        (
            make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
            make_column_selector(dtype_include=float),
        ),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude=float),
        ),
    )
    return make_pipeline(columns, model).set_output(transform="pandas")


net = pipeline(ReduNetClassifier()).fit(X, y)
print(net[:-1].transform(X).iloc[:2, [0, 1, -1]].round(2).to_string())
print(net.transform(X).iloc[:2, :4].round(2).to_string())
print(f"layers kept: {net[-1].n_iter_}, epsilon {net[-1].epsilon_:.2f}")

# %%
# Parameters are chosen as usual
# ------------------------------
# The classifier keeps a layer only if it reduces the leave-one-out loss. For a table as
# small and noisy as this one, few layers do so, or none. Each fit that keeps no layer
# warns that ``epsilon`` and ``eta`` had no effect; in a search, this is expected.

warnings.filterwarnings("ignore", message="ReduNetClassifier keeps no layer")

grid = {
    "redunetclassifier__epsilon": [0.1, 0.3, 1.0],
    "redunetclassifier__eta": [0.1, 0.5],
}
search = GridSearchCV(
    pipeline(ReduNetClassifier()), grid, scoring="neg_log_loss", cv=2
).fit(X, y)
print(search.best_params_, f"log-loss {-search.best_score_:.3f}")

# %%
# Comparison with other classifiers
# ---------------------------------
# All of them follow the same preprocessing, and are compared on the same five folds.
# :class:`~skredu.MICLClassifier` with ``kernel="auto"`` mixes four kernels.

models = {
    'MICL, kernel="auto"': MICLClassifier(kernel="auto"),
    "MICL": MICLClassifier(),
    "ReduNet": ReduNetClassifier(),
    "logistic regression": LogisticRegression(max_iter=5000),
    "random forest": RandomForestClassifier(random_state=0),
}
folds = StratifiedKFold(5, shuffle=True, random_state=0)
panels = {"log-loss": "neg_log_loss", "error rate": "accuracy"}
scores = {}
for name, model in models.items():
    found = cross_validate(
        pipeline(model), X, y, cv=folds, scoring=list(panels.values())
    )
    scores[name] = -found["test_neg_log_loss"], 1.0 - found["test_accuracy"]
    loss, error = (values.mean() for values in scores[name])
    print(f"{name:22}log-loss {loss:.3f}, error rate {error:.3f}")

figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained", sharey=True)
for axis, title, part in zip(axes, panels, (0, 1), strict=True):
    for row, values in enumerate(scores.values()):
        color = "#0072B2" if row < 3 else "#555555"
        axis.plot(values[part], [row] * 5, "o", color=color, ms=4, alpha=0.4)
        axis.plot(values[part].mean(), row, "D", color=color, ms=8)
    axis.set(title=f"{title} (folds and mean)", xlim=0)
    axis.set_yticks(range(len(scores)), scores)
    axis.grid(axis="x", color="0.9")
    axis.spines[["top", "right"]].set_visible(False)
axes[0].invert_yaxis()

plt.show()
