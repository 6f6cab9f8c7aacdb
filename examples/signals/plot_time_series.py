r"""
Time series classification, whatever the start
==============================================

A recording of a periodic process may begin at any time. For methods that compare series
point by point, a sine and the same sine a little later have nothing in common, and a
linear model learns nothing at all, because the means of the classes do not differ.
:class:`skredu.InvariantReduNetClassifier` treats all cyclic shifts of a series as the
same series. A single channel does not show how the frequencies of a series are related;
this information is added by :class:`skredu.ConvolutionalLifting`.

The strongest competitor searches the best shift for every pair of series. This is
better if there are few training series; with ten or more per class, coding all of them
together is better.
"""

# %%
# Sines and square waves with noise
# ---------------------------------
# The series have one or three periods, and each one is shifted at random.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skredu import ConvolutionalLifting, InvariantReduNetClassifier
from skredu.datasets import make_shifted_signals

TIMES, NOISE = 64, 0.8


def series(n_samples, noise, seed):
    """Make series of four classes, ``n_samples`` of each."""
    return make_shifted_signals(
        n_samples, n_timesteps=TIMES, n_classes=4, noise=noise, random_state=seed
    )


X_clean, y_clean = series(3, 0.0, 0)
X_test, y_test = series(100, NOISE, 10)
figure, axes = plt.subplots(
    2, 4, figsize=(10, 3.6), sharex=True, sharey="row", layout="constrained"
)
kinds = ("sine", "square wave", "sine, faster", "square wave, faster")
for label, (column, kind) in enumerate(zip(axes.T, kinds, strict=True)):
    column[0].plot(X_clean[y_clean == label].T, lw=1.2)
    column[0].set_title(kind)
    column[1].plot(X_test[y_test == label][0], lw=1.2, color="#555555")
    for axis in column:
        axis.spines[["top", "right"]].set_visible(False)
axes[0, 0].set_ylabel("three series\nwithout noise")
axes[1, 0].set_ylabel("a series\nto be classified")
figure.supxlabel("time", fontsize=10)

# %%
# From a few series per class to many
# -----------------------------------
# The competitor that accounts for shifts is 1-NN with the distance at the best shift,
# which is the smallest distance between one series and all shifts of the other.


def distances_at_best_shift(A, B):
    """Return the smallest distances over all cyclic shifts, shape (len(A), len(B))."""
    spectra = np.fft.rfft(A)[:, None] * np.conj(np.fft.rfft(B))
    products = np.fft.irfft(spectra, TIMES).max(axis=2)
    squares = np.sum(A**2, axis=1)[:, None] + np.sum(B**2, axis=1) - 2 * products
    return np.sqrt(np.maximum(squares, 0))


def scores(X, y):
    """Return the accuracy of every model that is trained on the samples."""
    lifting = ConvolutionalLifting(
        8, filters="pca", activation="split", threshold=0, pooling=None
    )
    models = {
        "lifting + invariant network": make_pipeline(
            lifting, InvariantReduNetClassifier(2)
        ),
        "invariant network": InvariantReduNetClassifier(2),
        "SVC": SVC(),
        "1-NN": KNeighborsClassifier(1),
        "logistic regression": LogisticRegression(max_iter=2000),
    }
    found = {name: m.fit(X, y).score(X_test, y_test) for name, m in models.items()}
    nearest = KNeighborsClassifier(1, metric="precomputed")
    nearest.fit(distances_at_best_shift(X, X), y)
    at_best = nearest.score(distances_at_best_shift(X_test, X), y_test)
    return {**found, "1-NN at the best shift": at_best}


SIZES = [3, 5, 10, 20, 40]
draws = [[scores(*series(n, NOISE, seed)) for n in SIZES] for seed in (11, 12, 13)]
means = {
    name: [np.mean([draw[i][name] for draw in draws]) for i in range(len(SIZES))]
    for name in draws[0][0]
}
print(f"{'mean accuracy, series per class':32}" + "".join(f"{n:7}" for n in SIZES))
for name, values in means.items():
    print(f"{name:32}" + "".join(f"{value:7.3f}" for value in values))

# %%
# The figure shows means over three draws of the training series. Methods that do not
# account for shifts have to find all of them among the training series.

STYLES = {
    "lifting + invariant network": {"color": "#0072B2", "marker": "o", "lw": 2.2},
    "invariant network": {"color": "#0072B2", "marker": "o", "ls": "--"},
    "1-NN at the best shift": {"color": "#009E73", "marker": "^"},
    "1-NN": {"color": "#009E73", "marker": "^", "ls": "--"},
    "SVC": {"color": "#D55E00", "marker": "s"},
    "logistic regression": {"color": "#555555", "marker": "x"},
}
figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
for name, style in STYLES.items():
    axis.plot(SIZES, means[name], label=name, **style)
axis.set_xscale("log")
axis.set_xticks(SIZES, map(str, SIZES))
axis.minorticks_off()
axis.set(xlabel="training series per class", ylabel="accuracy", ylim=(0, 1))
axis.axhline(0.25, color="0.8", zorder=0)
axis.text(SIZES[0], 0.24, "chance", color="0.4", va="top", fontsize=9)
axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
axis.spines[["top", "right"]].set_visible(False)
axis.set_title(
    "The network is invariant to shifts, and it learns from all series at once"
)

plt.show()
