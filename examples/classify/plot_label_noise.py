r"""
Label noise: wrong labels need a larger distortion
==================================================

A wrong label assigns a sample to a class to which it does not belong.
:class:`skredu.MICLClassifier` codes a class as a whole, up to the distortion
:math:`\epsilon`, and a few foreign samples among many hardly change its shape. They
only add details, and leave-one-out shows that these are not worth coding: "auto"
chooses a larger distortion if labels are wrong. As a result, MICL and ReduNet lose
about as little accuracy as SVC, whose soft margin tolerates such samples, too. With the
distortion that suits the true labels, MICL loses as much as nearest neighbours do.
"""

# %%
# Digits, up to half of them with a label drawn at random
# -------------------------------------------------------
# A tenth of the drawn labels is correct by chance. The test labels are the true ones.
# In addition to "auto", we keep the distortion that it chooses for true labels.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from skredu import MICLClassifier, ReduNetClassifier

SHARES = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
SEEDS = range(2)

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, train_size=600, stratify=y, random_state=0
)


def drawn_anew(share, seed):
    """Return training labels of which a share is drawn uniformly."""
    rng = np.random.default_rng(seed)
    labels = y_train.copy()
    drawn = rng.permutation(len(labels))[: round(share * len(labels))]
    labels[drawn] = rng.integers(0, 10, len(drawn))
    return labels


fine = MICLClassifier().fit(X_train, y_train).epsilon_
models = {
    "MICL": MICLClassifier(),
    f"MICL, epsilon={fine:.2f}": MICLClassifier(fine),
    "ReduNet, 3 layers": ReduNetClassifier(3),
    "SVC": SVC(),
    "logistic regression": LogisticRegression(max_iter=2000),
    "5-NN": KNeighborsClassifier(),
}
scores = {name: np.zeros(len(SHARES)) for name in models}
epsilons = np.zeros(len(SHARES))
for i, share in enumerate(SHARES):
    for seed in SEEDS:
        labels = drawn_anew(share, seed)
        for name, model in models.items():
            score = model.fit(X_train, labels).score(X_test, y_test)
            scores[name][i] += score / len(SEEDS)
        epsilons[i] += models["MICL"].epsilon_ / len(SEEDS)

print(f"{'labels drawn at random':22}" + "".join(f"{share:8.0%}" for share in SHARES))
for name, values in scores.items():
    print(f"{name:22}" + "".join(f"{value:8.3f}" for value in values))
print(f"{'epsilon of MICL':22}" + "".join(f"{value:8.2f}" for value in epsilons))

# %%
# The distortion grows with the share of wrong labels
# ---------------------------------------------------

STYLES = [
    {"color": "#0072B2", "marker": "o", "lw": 2.2},
    {"color": "#0072B2", "marker": "o", "ls": ":"},
    {"color": "#009E73", "marker": "^"},
    {"color": "#D55E00", "marker": "s"},
    {"color": "#555555", "marker": "x"},
    {"color": "#555555", "marker": "d", "ls": "--"},
]
figure, axes = plt.subplots(
    1, 2, figsize=(10, 3.8), width_ratios=(3, 2), layout="constrained"
)
percent = [100 * share for share in SHARES]
for (name, values), style in zip(scores.items(), STYLES, strict=True):
    axes[0].plot(percent, values, label=name, ms=5, **style)
axes[0].set(title="accuracy on true labels")
axes[0].legend(frameon=False, fontsize=9, loc="lower left")
axes[1].plot(percent, epsilons, ms=5, **STYLES[0])
axes[1].set(title=r'distortion $\epsilon$ that "auto" chooses', ylim=0)
for axis in axes:
    axis.set_xlabel("training labels drawn at random, %")
    axis.spines[["top", "right"]].set_visible(False)
figure.suptitle("Wrong labels do little harm if details are not coded")

plt.show()
