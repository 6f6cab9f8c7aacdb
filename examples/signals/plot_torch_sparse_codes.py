r"""
Sparse codes in a few learned iterations
========================================

Sparse codes describe an image as a sum of few shifted atoms of a dictionary. They
minimise the cost of the lasso, which takes many iterations of ISTA or FISTA.
:class:`skredu.torch.LearnedSparseCoder` learns the steps, the thresholds and the
filters of a few iterations without labels, so that the cost is low after these. It
needs PyTorch.
"""

# %%
# The cost of codes
# -----------------
# Sixteen filters of 3 x 3 pixels are the dictionary. The cost of codes is half of the
# squared error of the images that they stand for, plus the sum of the codes times a
# weight, which :class:`~skredu.ConvolutionalLifting` chooses for each image.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skredu import ConvolutionalLifting
from skredu.torch import LearnedSparseCoder

X = load_digits().data / 16.0
X_train, X_new = X[:100], X[1000:1050]
options = {"n_filters": 16, "kernel_size": 3, "signal_shape": (8, 8), "pooling": None}


def cost(coder):
    """Return the mean cost of the codes of new images."""
    images = X_new.reshape(-1, 1, 8, 8)
    codes = coder.transform(X_new).reshape(-1, 16, 8, 8)
    filters = np.fft.fft2(coder.filters_[:, 0], s=(8, 8))
    shown = np.fft.ifft2(np.fft.fft2(codes) * filters).real.sum(axis=1, keepdims=True)
    responses = np.fft.ifft2(np.fft.fft2(images) * filters.conj()).real
    weights = coder.threshold * np.sqrt(np.mean(responses**2, axis=(1, 2, 3)))
    errors = 0.5 * np.sum((images - shown) ** 2, axis=(1, 2, 3))
    return np.mean(errors + weights * np.abs(codes).sum(axis=(1, 2, 3)))


# %%
# Iterations that are learned, and others
# ---------------------------------------

iterations = [3, 5, 10, 20, 40]
costs = {}
for name in ("ista", "fista"):
    for n_iter in iterations:
        coder = ConvolutionalLifting(
            activation=name, n_iter=n_iter, random_state=0, **options
        )
        costs[name, n_iter] = cost(coder.fit(X_train))
for n_iter in (3, 5):
    coder = LearnedSparseCoder(n_iter=n_iter, max_iter=40, random_state=0, **options)
    costs["learned", n_iter] = cost(coder.fit(X_train))
coder = ConvolutionalLifting(activation="fista", n_iter=300, random_state=0, **options)
least = cost(coder.fit(X_train))

gaps = {key: value / least - 1.0 for key, value in costs.items()}
for (name, n_iter), gap in gaps.items():
    print(f"{name:7} {n_iter:2} iterations: {gap:.1%} above the minimum")

# %%
# Three learned iterations have a lower cost than ten of ISTA, and five are about as
# good as ten of FISTA or twenty of ISTA.

figure, ax = plt.subplots(layout="constrained")
names = {"ista": "ISTA", "fista": "FISTA", "learned": "learned (LISTA)"}
for (name, label), marker in zip(names.items(), "osD", strict=True):
    steps = [n_iter for which, n_iter in gaps if which == name]
    percent = [100.0 * gaps[name, n_iter] for n_iter in steps]
    ax.plot(steps, percent, marker=marker, label=label)
ax.set(xscale="log", xlabel="iterations", ylim=(0.0, None))
ax.set_ylabel("cost above the minimum in percent")
ax.set_xticks(iterations, iterations)
ax.minorticks_off()
ax.legend()
plt.show()
