"""Rows and models that the displays show."""

import matplotlib.pyplot as plt
import pytest
from sklearn.datasets import load_digits, load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skredu import CompressionClustering, ReduNetTransformer
from skredu.datasets import make_subspaces


@pytest.fixture(autouse=True)
def _figures():
    """Draw in memory, and close all figures."""
    with plt.style.context("default"):
        plt.switch_backend("Agg")
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def wine():
    data = load_wine(as_frame=True)
    return data.data, data.target


@pytest.fixture(scope="module")
def net(wine):
    """Return a pipeline that ends with a network."""
    network = ReduNetTransformer(3, 0.5, 0.5, fit_intercept=True)
    return make_pipeline(StandardScaler(), network).fit(*wine)


@pytest.fixture(scope="module")
def lines():
    """Return shuffled rows on two lines, and their clustering."""
    X, y = make_subspaces(20, dimensions=(1, 1), noise=0.01, random_state=0)
    return X, y, CompressionClustering(0.02, assume_centered=True).fit(X)


@pytest.fixture(scope="module")
def digits():
    return load_digits(n_class=3, return_X_y=True)
