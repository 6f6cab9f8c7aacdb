r"""
A table with categories and gaps, in a pipeline
===============================================

Real tables have missing values, strings among the numbers, and columns in unrelated
units. :class:`skredu.ReduNetClassifier` works in a pipeline after the preprocessing
that scikit-learn provides for such tables. Its main parameters, the distortion
``epsilon`` and the step size ``eta``, can be tuned like any others; the defaults are
about as good without a search.
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
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skredu import ReduNetClassifier

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
print(net[:-1].transform(X).iloc[:2, [0, 1, -2, -1]].round(2).to_string())
print(net.transform(X).iloc[:2, :4].round(2).to_string())
print(f"layers kept: {net[-1].n_iter_}, epsilon {net[-1].epsilon_:.2f}")

# %%
# Nested cross-validation
# -----------------------
# We use three folds. Each search uses only the training samples of its fold, and
# divides them into halves to choose the parameters. The network has the better
# accuracy, and the logistic regression has the better probabilities. The classifier
# keeps a layer only if it reduces the leave-one-out loss. For a table as small and
# noisy as this one, few layers do so, or none. Each fit that keeps no layer warns that
# ``epsilon`` and ``eta`` had no effect; in a search, this is expected.

warnings.filterwarnings("ignore", message="ReduNetClassifier keeps no layer")

EPSILONS, ETAS = [0.1, 0.3, 1.0], [0.1, 0.5]
grid = {"redunetclassifier__epsilon": EPSILONS, "redunetclassifier__eta": ETAS}
strengths = {"logisticregression__C": [0.01, 0.1, 1.0, 10.0]}
search = {"scoring": "neg_log_loss", "cv": 2, "error_score": "raise"}
models = {
    "ReduNet, defaults": pipeline(ReduNetClassifier()),
    "ReduNet, grid search": GridSearchCV(pipeline(ReduNetClassifier()), grid, **search),
    "logistic regression,\ngrid search": GridSearchCV(
        pipeline(LogisticRegression(max_iter=5000)), strengths, **search
    ),
}
folds = StratifiedKFold(3, shuffle=True, random_state=0)
results = {
    name: cross_validate(
        model,
        X,
        y,
        cv=folds,
        scoring=["accuracy", "neg_log_loss"],
        return_estimator=True,
        error_score="raise",
    )
    for name, model in models.items()
}

print(f"{'':34}{'accuracy':>10}{'log loss':>10}{'fit':>9}")
for name, result in results.items():
    accuracy, loss = result["test_accuracy"].mean(), -result["test_neg_log_loss"].mean()
    label = name.replace("\n", " ")
    print(f"{label:34}{accuracy:10.3f}{loss:10.3f}", end="")
    print(f"{result['fit_time'].mean():7.2f} s")

# %%
# Losses during the search
# ------------------------
# The first panel shows the loss during the searches, averaged over the three folds.

searches = results["ReduNet, grid search"]["estimator"]
inside = -np.mean([s.cv_results_["mean_test_score"] for s in searches], axis=0)
inside = inside.reshape(len(EPSILONS), len(ETAS))
figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
STYLES = [("o-", "#0072B2"), ("s--", "#D55E00")]
for eta, losses, (style, color) in zip(ETAS, inside.T, STYLES, strict=True):
    axes[0].semilogx(EPSILONS, losses, style, color=color, label=rf"$\eta$ = {eta}")
axes[0].set(xlabel=r"distortion $\epsilon$", title="log loss inside the search")
axes[0].set_xticks(EPSILONS, EPSILONS)
axes[0].minorticks_off()
axes[0].set_ylim(0, 1.1 * inside.max())
axes[0].legend(frameon=False)
panels = {"accuracy": "test_accuracy", "log loss": "test_neg_log_loss"}
for axis, (title, key) in zip(axes[1:], panels.items(), strict=True):
    for row, result in enumerate(results.values()):
        values = np.abs(result[key])
        axis.scatter(values, [row] * len(values), color="#999999", s=18)
        axis.scatter(values.mean(), row, color="#0072B2", marker="|", s=300, lw=2)
    axis.set_yticks(range(len(results)), results if axis is axes[1] else [])
    axis.invert_yaxis()
    axis.set_ylim(len(results) - 0.5, -0.5)
    axis.set_title(f"{title} (three folds, mean)")
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)
for axis in axes:
    axis.spines[["top", "right"]].set_visible(False)

if plt.get_backend().lower() != "agg":
    plt.show()
