r"""
Label errors: find and clean wrong labels
=========================================

A label is suspicious if all other samples contradict it. :class:`skredu.MICLClassifier`
leaves out each training sample in closed form to choose its parameters, so after a
single fit it also knows how probable each label is without its own sample:
``label_quality_``. Here, we find the labels of digits that were replaced by wrong ones,
look at the most suspicious samples, and compare three ways to continue.
"""

# %%
# Digits, of which 15 % have a wrong label
# ----------------------------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from skredu import MICLClassifier
from skredu.plotting import LabelQualityDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, train_size=800, stratify=y, random_state=0
)
rng = np.random.default_rng(0)
wrong = rng.random(len(y_train)) < 0.15
labels = np.where(wrong, (y_train + rng.integers(1, 10, len(y_train))) % 10, y_train)

model = MICLClassifier(kernel="rbf").fit(X_train, labels)
quality = model.label_quality_
print(f"wrong labels: {wrong.sum()} of {len(labels)}")
print(f"area under the ROC curve of the quality: {roc_auc_score(wrong, -quality):.4f}")

# %%
# The qualities of both kinds of labels
# -------------------------------------
# On real data, we would only see the display of the labels as they are; the steep rise
# on the left is the share of suspicious labels in each class. Here, we also know which
# labels are wrong.

figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
LabelQualityDisplay.from_estimator(model, X_train, labels, ax=axes[0])
LabelQualityDisplay.from_predictions(
    quality, np.where(wrong, "wrong", "right"), ax=axes[1]
)
axes[0].set_title("what we see: one line per digit")
axes[1].set_title("what we do not know")

# %%
# The most suspicious samples
# ---------------------------
# The label of each sample is followed by the prediction.

worst = quality.argsort()[:7]
figure, axes = plt.subplots(1, 7, figsize=(10, 1.9), layout="constrained")
for axis, i in zip(axes, worst, strict=True):
    axis.imshow(X_train[i].reshape(8, 8), cmap="gray_r")
    prediction = model.predict(X_train[[i]])[0]
    axis.set_title(f"{labels[i]}, rather {prediction}", fontsize=12)
    axis.axis("off")

# %%
# Three ways to continue
# ----------------------
# Checking labels by hand, from the most suspicious one on, is best: after as many
# checks as there are wrong labels, nearly all of them have been found. Without a check,
# samples whose label is improbable can be left out. MICL itself is hardly misled by
# these labels, so it gains little, but other classifiers gain much.

checked = labels.copy()
first = quality.argsort()[: wrong.sum()]
checked[first] = y_train[first]
kept = quality > 0.1
ways = {
    "labels as they are": (X_train, labels),
    "improbable ones left out": (X_train[kept], labels[kept]),
    f"{len(first)} labels checked": (X_train, checked),
    "all labels right": (X_train, y_train),
}
classifiers = {
    "MICL, rbf": MICLClassifier(kernel="rbf"),
    "MICL, linear": MICLClassifier(),
    "1-NN": KNeighborsClassifier(1),
    "decision tree": DecisionTreeClassifier(random_state=0),
}
print(f"wrong labels found by the check: {wrong[first].sum()} of {wrong.sum()}")
print(f"{'accuracy':26}" + "".join(f"{name:>14}" for name in classifiers))
for way, training in ways.items():
    scores = [c.fit(*training).score(X_test, y_test) for c in classifiers.values()]
    print(f"{way:26}" + "".join(f"{score:14.3f}" for score in scores))

plt.show()
