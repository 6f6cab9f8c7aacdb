"""
Incremental learning: samples that arrive in parts
==================================================

``partial_fit`` of :class:`skredu.MICLClassifier` keeps the mean and the scatter of each
class, which can be added up exactly. So a model of parts is the model of all samples:
there is no learning rate, no order, and nothing is forgotten. The same sums allow it to
fit parts on several machines and merge the models.
"""

# %%
# Digits, fifty at a time
# -----------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB

from skredu import MICLClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=600, stratify=y, random_state=0
)
parts = np.array_split(np.arange(len(X_train)), 24)
models = {
    "MICL": MICLClassifier(),
    "linear model, gradient steps": SGDClassifier(random_state=0),
    "naive Bayes": GaussianNB(),
}
scores = {name: [] for name in models}
for part in parts:
    for name, model in models.items():
        model.partial_fit(X_train[part], y_train[part], classes=np.arange(10))
        scores[name].append(model.score(X_test, y_test))

figure, axis = plt.subplots(figsize=(7, 3.8), layout="constrained")
n_seen = np.cumsum([len(part) for part in parts])
COLORS = ["#0072B2", "#D55E00", "#555555"]
for color, marker, (name, values) in zip(COLORS, "osx", scores.items(), strict=True):
    axis.plot(n_seen, values, marker=marker, ms=4, color=color, label=name)
    print(f"{name:30}{values[0]:.3f} after one part, {values[-1]:.3f} after all")
axis.set(xlabel="samples seen", ylabel="accuracy on new samples")
axis.legend(frameon=False)
axis.spines[["top", "right"]].set_visible(False)

# %%
# The same model as from all samples at once
# ------------------------------------------

whole = MICLClassifier().fit(X_train, y_train)
gap = whole.predict_proba(X_test) - models["MICL"].predict_proba(X_test)
print(f"largest difference of probabilities: {np.abs(gap).max():.1g}")

plt.show()
