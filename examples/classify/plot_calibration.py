"""
Calibration: probabilities that are right
=========================================

Of all predictions with a probability of 80 %, four in five should be right.
:class:`skredu.MICLClassifier` leaves out each training sample to choose its distortion,
and uses the same left-out samples to fit a temperature and the label code. So its
probabilities need no second step such as
:class:`sklearn.calibration.CalibratedClassifierCV`, and no samples are set aside.
"""

# %%
# Three classes with correlated features
# --------------------------------------
# Twenty features measure four sources. Naive Bayes takes them for independent evidence,
# so it is too sure. A forest averages votes, so it is not sure enough.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB

from skredu import MICLClassifier

rng = np.random.default_rng(0)
y = rng.integers(3, size=8000)
sources = 2.2 * rng.standard_normal((3, 4))[y] + rng.standard_normal((len(y), 4))
X = sources @ rng.standard_normal((4, 20)) + 3.0 * rng.standard_normal((len(y), 20))
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=400, random_state=0
)

models = {
    "MICL": MICLClassifier(),
    "MICL, calibrate=False": MICLClassifier(calibrate=False),
    "naive Bayes": GaussianNB(),
    "random forest": RandomForestClassifier(random_state=0),
}
found = {
    name: model.fit(X_train, y_train).predict_proba(X_test)
    for name, model in models.items()
}
for name, probabilities in found.items():
    accuracy = np.mean(probabilities.argmax(axis=1) == y_test)
    loss = log_loss(y_test, probabilities)
    print(f"{name:22} accuracy {accuracy:.3f}, log-loss {loss:.3f}")

# %%
# Reliability
# -----------
# Samples are sorted into ten bins by the probability of the predicted class. On the
# diagonal, this probability is the share of right predictions.

STYLES = ["o-", "o:", "s--", "^-."]
COLORS = ["#0072B2", "#56B4E9", "#D55E00", "#009E73"]
figure, (left, right) = plt.subplots(
    1, 2, figsize=(10, 4.2), layout="constrained", width_ratios=(1, 1.2)
)
left.plot([0.3, 1], [0.3, 1], color="0.6", lw=1)
for style, color, (name, probabilities) in zip(
    STYLES, COLORS, found.items(), strict=True
):
    sure = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == y_test
    order = np.array_split(np.argsort(sure), 10)
    said = [sure[rows].mean() for rows in order]
    held = [is_right[rows].mean() for rows in order]
    left.plot(said, held, style, color=color, label=name, ms=5)
    right.hist(sure, np.linspace(0.3, 1, 29), histtype="step", color=color, lw=1.5)
left.set(xlabel="probability of the predicted class", ylabel="share that is right")
left.legend(frameon=False, fontsize=9)
right.set(xlabel="probability of the predicted class", ylabel="test samples")
figure.suptitle("Probabilities of MICL are close to the share that is right")
for axis in (left, right):
    axis.spines[["top", "right"]].set_visible(False)

plt.show()
