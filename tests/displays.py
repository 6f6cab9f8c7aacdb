"""Shared parts of the tests of displays."""

import numpy as np
from sklearn.base import BaseEstimator

LONG = ["Barolo from the Langhe hills", "Grignolino of Asti, dry and pale", "Barbera"]


def texts(labels):
    return [label.get_text() for label in labels]


def legend(display):
    return texts(display.ax_.get_legend().get_texts())


def many(k):
    """Return four rows of each of many classes."""
    rng = np.random.default_rng(0)
    names = np.repeat([f"class number {j:03d}" for j in range(k)], 4)
    return rng.standard_normal((4 * k, 6)), names


class Layered(BaseEstimator):
    """Fitted estimator with the rates of two layers."""

    def fit(self, X, y=None):
        self.n_features_in_ = 1
        return self

    def layer_rates(self, X, *, epsilon=0.5):
        size = len(X) * epsilon
        rates = {"Rc_before": [size, 2.0], "Rc": [size / 2, 1.0], "R": [size, size]}
        return {**rates, "nonzero": [0.5, 0.25]}


class Stranger(BaseEstimator):
    """Fitted estimator with nothing that a display shows; rates on demand."""

    def __init__(self, rates=None):
        self.rates = rates

    def fit(self, X, y=None):
        self.n_features_in_ = 1
        if self.rates:
            self.rates_ = self.rates
        return self
