"""Classifiers that keep no layer, and parameters of layers without effect."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

from skredu import InvariantReduNetClassifier, ReduNetClassifier, ReduNetTransformer

NETS = [ReduNetClassifier, InvariantReduNetClassifier]
Y = np.arange(60) % 2
# told apart without an error, so that there is nothing to gain by a layer
X = 0.1 * np.random.default_rng(0).normal(size=(60, 4)) + np.eye(4)[Y] - [0, 0, 0, 2]


def told(model, X=X, Y=Y):
    """Return the warnings of a fit."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model.fit(X, Y)
    return [(str(w.message), w.filename) for w in seen]


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epsilon": 0.5}, "epsilon=0.5 has no effect"),
        ({"eta": 0.5}, "eta=0.5 has no effect"),
        ({"epsilon": 0.7, "eta": 0.5}, "epsilon=0.7 and eta=0.5 have no effect"),
    ],
)
def test_what_was_set_in_vain_is_named_once(net, given, said):
    model = net(2, **given)
    ((message, place),) = told(model)
    assert said in message
    assert "set n_layers=0 to omit layers" in message
    assert place == __file__
    assert model.n_iter_ == 0
    assert_array_equal(model.predict_proba(X), net(0).fit(X, Y).predict_proba(X))


@pytest.mark.parametrize("net", NETS)
def test_nothing_is_said_where_nothing_is_in_vain(net):
    assert told(net(2)) == []
    assert told(net(0, epsilon=0.5, eta=0.5)) == []
    model = net(2, epsilon=0.5, n_iter_no_change=None)
    assert told(model) == []
    assert model.n_iter_ == 2


def test_equal_cells_of_a_grid_are_explained():
    grid = {"epsilon": [0.3, 0.6], "eta": [0.2, 0.5]}
    search = GridSearchCV(ReduNetClassifier(2), grid, cv=2)
    said = [message for message, _ in told(search)]
    assert len(set(search.cv_results_["mean_test_score"])) == 1
    assert search.best_estimator_.n_iter_ == 0
    assert len(said) == 9  # a fit each
    assert len(set(said)) == 4


# classes of fewer rows than features: at a small distortion no step brings more
WIDE = np.random.default_rng(0).normal(size=(30, 25)), np.arange(30) % 3


def test_features_that_no_layer_moves_are_named():
    ((message, place),) = told(ReduNetTransformer(2, epsilon=1e-3), *WIDE)
    assert "ReduNetTransformer has no layer (n_iter_=0)" in message
    assert "epsilon=0.001" in message
    assert place == __file__
    assert told(ReduNetTransformer(0, epsilon=1e-3), *WIDE) == []
    net = ReduNetClassifier(2, epsilon=1e-3, n_iter_no_change=None)
    ((message, _),) = told(net, *WIDE)
    assert "no step increases the rate reduction" in message
