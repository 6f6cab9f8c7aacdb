"""A network continues only with the same rows and parameters."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import slowly
from sklearn.base import clone

from skredu import (
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    ReduNetClassifier,
    ReduNetTransformer,
)

ALL = {"warm_start": True, "epsilon": 0.5}
NETS = [
    ReduNetTransformer(1, **ALL),
    InvariantReduNetClassifier(1, output="invariant", n_iter_no_change=None, **ALL),
    *slowly(
        ReduNetClassifier(1, n_iter_no_change=None, **ALL),
        InvariantReduNetTransformer(1, step="nesterov", **ALL),
    ),
]
RNG = np.random.default_rng(0)
Y = np.arange(20) % 2
X = RNG.normal(size=(20, 4)) + 2.0 * RNG.normal(size=(2, 4))[Y]
WEIGHTS = 1.0 + np.arange(20) % 3
SWAPPED = np.r_[2, 1, 0, 3:20]  # two rows of one class change places


@pytest.fixture(params=NETS, ids=str)
def net(request):
    return clone(request.param)


@pytest.mark.parametrize(
    "other",
    [
        (X + 1e-12, Y, WEIGHTS),
        (X[SWAPPED], Y, WEIGHTS),
        (X, 1 - Y, WEIGHTS),
        (X, np.array(["a", "b"])[Y], WEIGHTS),
        (X, Y, WEIGHTS[::-1]),
        (X, Y, None),
        (X[:-2], Y[:-2], WEIGHTS[:-2]),
        (X.astype(np.float32), Y, WEIGHTS),
    ],
    ids=["rows", "order", "permuted", "named", "weights", "none", "fewer", "float32"],
)
def test_other_rows_are_refused(net, other):
    before = net.fit(X, Y, WEIGHTS).transform(X)
    net.set_params(n_layers=2)
    with pytest.raises(ValueError, match="must be those of the last call"):
        net.fit(*other)
    assert net.n_iter_ == 1
    assert_array_equal(net.transform(X), before)
    net.set_params(warm_start=False).fit(*other)
    assert net.n_iter_ == 2


@pytest.mark.parametrize(
    "change",
    [
        {"epsilon": 0.6},
        {"epsilon": "auto"},
        {"eta": 0.2},
        {"step": "published"},
        {"membership": "residual"},
        {"inverse_temperature": 100.0},
        {"momentum": 0.5},
        {"construction": "labels"},
        {"tol": 0.1},
    ],
    ids=str,
)
def test_other_parameters_are_refused(net, change):
    net.fit(X, Y).set_params(n_layers=2, **change)
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=f"{name}={value!r} was .* only n_layers may"):
        net.fit(X, Y)
    assert net.n_iter_ == 1


def test_the_same_rows_go_on_as_if_they_had_never_stopped(net):
    net.fit(X.tolist(), Y.tolist()).set_params(n_layers=3)
    net.fit(np.asfortranarray(X), Y.astype(np.int8), np.ones(20))
    cold = clone(net).set_params(warm_start=False).fit(X, Y)
    assert_allclose(net.transform(X), cold.transform(X), rtol=1e-9, atol=1e-9)
    assert_allclose(net.rates_["delta_R"], cold.rates_["delta_R"])
    with pytest.raises(ValueError, match=r"n_layers=2 must be at least n_iter_=3"):
        net.set_params(n_layers=2).fit(X, Y)
