"""A method that changes an estimator does so whole, or leaves it as before the call."""

import pathlib
import pickle
import sys

import numpy as np
import pytest
from sklearn.base import clone

import skredu
from skredu import (
    CompressionClustering,
    ConvolutionalLifting,
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    MCR2Transformer,
    MICLClassifier,
    NearestSubspaceClassifier,
    PolarTransformer,
    ReduNetClassifier,
    ReduNetTransformer,
)

ROOT = str(pathlib.Path(skredu.__file__).parent)
ESTIMATORS = [
    MICLClassifier(),
    MICLClassifier(0.5),
    MICLClassifier(1.0, kernel="rbf"),
    MICLClassifier(n_neighbors=3),
    NearestSubspaceClassifier(),
    CompressionClustering(0.5),
    ReduNetTransformer(1, 0.5, fit_intercept=True),
    ReduNetClassifier(1, 0.5, fit_intercept=True, n_iter_no_change=None),
    InvariantReduNetTransformer(1, 0.5),
    InvariantReduNetClassifier(1, output="invariant", n_iter_no_change=None),
    InvariantReduNetClassifier(0),
    ConvolutionalLifting(3, 3, filters="kmeans", random_state=0),
    PolarTransformer((2, 3), 2, 5),
    MCR2Transformer(2, n_layers=2, max_iter=5, tol=0.5, random_state=0),
]
GROWING = [
    ReduNetClassifier(1, 0.5, warm_start=True, n_iter_no_change=None),
    InvariantReduNetTransformer(1, 0.5, warm_start=True),
    MCR2Transformer(2, max_iter=5, tol=0.5, random_state=0, warm_start=True),
]
STREAMS = [MICLClassifier(), MICLClassifier(0.5), InvariantReduNetClassifier(0)]


def rows(seed):
    rng = np.random.default_rng(seed)
    y = np.arange(12) % 2
    return rng.normal(size=(12, 6)) + 2.0 * rng.normal(size=(2, 6))[y], y


X, Y = rows(0)
NEW, _ = rows(1)


class Interrupt:
    """Raise an exception where the package enters a function for the n-th time."""

    def __init__(self, at, error=KeyboardInterrupt):
        self.at, self.error, self.calls = at, error, 0

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self.trace)
        return self

    def __exit__(self, *_):
        sys.settrace(self.before)

    def trace(self, frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(ROOT):
            self.calls += 1
            if self.calls == self.at:
                raise self.error


def answers(model):
    """All that a fitted model says, as arrays."""
    methods = ("decision_function", "predict_proba", "predict", "transform")
    said = [getattr(model, m)(NEW) for m in methods if hasattr(model, m)]
    names = ("epsilon_", "temperature_", "priors_", "labels_", "class_count_")
    return [*said, *(getattr(model, name) for name in names if hasattr(model, name))]


def all_equal(found, expected):
    return len(found) == len(expected) and all(map(np.array_equal, found, expected))


def interrupted_anywhere(make, act):
    """Interrupt a call at some places, compare with before, and call again."""
    model = make()
    with Interrupt(-1) as clean:
        act(model)
    expected = answers(model)
    for share, error in ((0.3, KeyboardInterrupt), (0.9, MemoryError)):
        model = make()
        before = pickle.dumps(model)
        at = 2 + int(share * (clean.calls - 2))
        with pytest.raises(error), Interrupt(at, error):
            act(model)
        assert pickle.dumps(model) == before
        act(model)
        assert all_equal(answers(model), expected)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
@pytest.mark.parametrize("fitted", [False, True])
def test_fit_that_is_interrupted_changes_nothing(estimator, fitted):
    def make():
        return clone(estimator).fit(NEW, Y) if fitted else clone(estimator)

    interrupted_anywhere(make, lambda model: model.fit(X, Y))


@pytest.mark.parametrize("estimator", GROWING, ids=str)
def test_growth_that_is_interrupted_changes_nothing(estimator):
    def make():
        return clone(estimator).fit(X, Y).set_params(n_layers=2)

    interrupted_anywhere(make, lambda model: model.fit(X, Y))


@pytest.mark.parametrize("estimator", STREAMS, ids=str)
@pytest.mark.parametrize("start", ["new", "fit", "partial_fit"])
def test_parts_that_are_interrupted_are_not_added(estimator, start):
    def make():
        model = clone(estimator)
        if start == "fit":
            model.fit(NEW, Y)
        elif start == "partial_fit":
            model.partial_fit(NEW, Y, classes=[0, 1])
        return model

    interrupted_anywhere(make, lambda m: m.partial_fit(X[:7], Y[:7], classes=[0, 1]))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_bad_rows_leave_the_model_of_the_rows_before(estimator):
    bad = np.where(np.arange(6) == 3, np.nan, X)
    model = clone(estimator)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(bad, Y)
    with pytest.raises(ValueError, match="not fitted"):
        answers(model)
    expected = answers(model.fit(X, Y))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.hstack([bad, bad]), Y)
    assert model.n_features_in_ == 6
    assert all_equal(answers(model), expected)


@pytest.mark.parametrize(
    ("estimator", "change"),
    [
        (PolarTransformer((2, 3), 2, 5), {"image_shape": (5, 7)}),
        (ConvolutionalLifting(3, 3, random_state=0), {"signal_shape": 4}),
        (InvariantReduNetClassifier(0), {"signal_shape": 4}),
        (MICLClassifier(), {"priors": [0.5, 0.4, 0.1]}),
        (MCR2Transformer(2, random_state=0), {"init": np.zeros((1, 1))}),
        (CompressionClustering(0.5), {"n_clusters": 13}),
        (ReduNetTransformer(1, 0.5), {"eta": -1.0}),
    ],
    ids=str,
)
def test_parameters_that_do_not_fit_the_rows_leave_nothing_half_fitted(
    estimator, change
):
    model = clone(estimator).set_params(**change)
    with pytest.raises(ValueError, match=next(iter(change))):
        model.fit(X, Y)
    with pytest.raises(ValueError, match="not fitted"):
        answers(model)
    model = clone(estimator).fit(X, Y)
    expected = answers(model)
    with pytest.raises(ValueError, match=next(iter(change))):
        model.set_params(**change).fit(NEW[::-1], Y)
    assert all_equal(answers(model), expected)
