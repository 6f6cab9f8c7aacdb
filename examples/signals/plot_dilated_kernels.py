r"""
Time series classification by dilated kernels
=============================================

:class:`skredu.DilatedKernelTransformer` describes a time series by 10 000 numbers. Each
of them says how often a certain shape occurs in the series, at whatever time. A linear
classifier finds the shapes that matter, and the names of features tell which they are.

Unlike an invariant network, these features change slightly if a series is shifted. In
exchange, they need no assumption that the series is cyclic.
"""

# %%
# Sines and square waves with noise
# ---------------------------------
# The series have one or three periods, and each one begins at a random time.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skredu import (
    ConvolutionalLifting,
    DilatedKernelTransformer,
    InvariantReduNetClassifier,
    MICLClassifier,
)
from skredu.datasets import make_shifted_signals

TIMES, NOISE = 128, 0.7


def series(n_samples, seed, noise=NOISE):
    """Make series of four classes, ``n_samples`` of each."""
    return make_shifted_signals(
        n_samples, n_timesteps=TIMES, n_classes=4, noise=noise, random_state=seed
    )


X, y = series(10, 0)
X_test, y_test = series(100, 1)
kernels = DilatedKernelTransformer(random_state=0)
models = {
    "dilated kernels + MICL": make_pipeline(
        kernels, StandardScaler(), MICLClassifier()
    ),
    "dilated kernels + ridge": make_pipeline(
        kernels, StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-3, 3, 10))
    ),
    "lifting + invariant network": make_pipeline(
        ConvolutionalLifting(random_state=0), InvariantReduNetClassifier(0)
    ),
    "MICL": MICLClassifier(),
    "SVC": SVC(),
    "1-NN": KNeighborsClassifier(1),
}
for name, model in models.items():
    print(f"{name:28} {model.fit(X, y).score(X_test, y_test):.3f}")

# %%
# Which kernel tells two classes apart
# ------------------------------------
# We look for the feature whose mean differs most between sines and square waves with
# one period. Its name consists of the points at which the kernel has the weight 2, the
# dilation, and the number of the bias.

transformer = models["dilated kernels + MICL"][0]
shares = transformer.transform(X)
difference = shares[y == 1].mean(axis=0) - shares[y == 0].mean(axis=0)
best = np.argmax(np.abs(difference))
kernel, column = divmod(best, transformer.biases_.shape[1])
weights, dilation = transformer.kernels_[kernel], transformer.dilations_[column]
bias = transformer.biases_[kernel, column]
print(transformer.get_feature_names_out()[best])


def response(x):
    """Return the response of a series to the kernel."""
    spread = np.zeros(8 * dilation + 1)
    spread[::dilation] = weights
    return np.correlate(np.pad(x - x.mean(), 4 * dilation), spread, mode="valid")


new = transformer.transform(X_test)[:, best]
bins = np.linspace(new[y_test < 2].min(), new[y_test < 2].max(), 30)
figure, axes = plt.subplots(2, 3, figsize=(11, 4.4), layout="constrained")
for label, kind in enumerate(("sine", "square wave")):
    x = X[y == label][0]
    axes[label, 0].plot(x, lw=1, color="#555555")
    axes[label, 0].set_ylabel(kind)
    large = response(x)
    axes[label, 1].plot(large, lw=1.2, color="#0072B2")
    axes[label, 1].axhline(bias, color="#D55E00", lw=1)
    axes[label, 1].fill_between(
        np.arange(TIMES), bias, large, where=large > bias, color="#0072B2", alpha=0.3
    )
    axes[label, 2].hist(new[y_test == label], bins=bins, color="#0072B2")
axes[0, 0].set_title("a series")
axes[0, 1].set_title(f"its response at dilation {dilation}, and the bias")
axes[0, 2].set_title("share of times above the bias")
for axis in axes.ravel():
    axis.spines[["top", "right"]].set_visible(False)
for axis in axes[1, :2]:
    axis.set_xlabel("time")
axes[1, 2].set_xlabel("share, all test series of the class")

plt.show()
