"""Fitted estimators on disk: pickle, joblib, skops; copies by clone."""

import io
import pickle
import pickletools
import warnings

import joblib
import numpy as np
import pickles
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError

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


def laplacian(x, y):
    return float(np.exp(-np.abs(x - y).sum() / 10))


PLAIN = {
    "default": MICLClassifier(),
    "given": MICLClassifier(0.5),
    "origin": MICLClassifier(assume_centered=True),
    "priors": MICLClassifier(priors=[0.2, 0.3, 0.5]),
    "rbf": MICLClassifier(kernel="rbf"),
    "poly": MICLClassifier(kernel="poly"),
    "cosine": MICLClassifier(kernel="cosine"),
    "precomputed": MICLClassifier(kernel="precomputed"),
    "local": MICLClassifier(n_neighbors=3),
    "subspace": NearestSubspaceClassifier(),
    "subspace affine": NearestSubspaceClassifier(2, assume_centered=False),
    "net": ReduNetClassifier(2, n_iter_no_change=None),
    "invariant net": InvariantReduNetClassifier(1, signal_shape=2),
}
OTHERS = {
    "clustering": CompressionClustering(0.5, min_cluster_size=2),
    "net": ReduNetTransformer(2, 0.5),
    "net in a span": ReduNetTransformer(2, 0.5, fit_intercept=False),
    "invariant net": InvariantReduNetTransformer(1, 0.5, output="invariant"),
    "maps": MCR2Transformer(2, n_layers=2),
    "lifting": ConvolutionalLifting(2, 2, random_state=0),
    "polar": PolarTransformer(n_radii=1, n_angles=4),
}
ESTIMATORS = PLAIN | {"callable": MICLClassifier(kernel=laplacian)}


def problem(estimator, dtype=float, n=30, d=4):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    X = (rng.normal(size=(n, d)) + 2 * np.eye(3, d)[y]).astype(dtype)
    if getattr(estimator, "kernel", None) == "precomputed":
        X = X @ X.T
    return X, np.array(["a", "b", "c"])[y]


def assert_same(restored, model, X):
    assert_array_equal(restored.decision_function(X), model.decision_function(X))
    assert_array_equal(restored.predict(X), model.predict(X))
    assert restored.get_params() == model.get_params()
    assert_array_equal(restored.classes_, model.classes_)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ESTIMATORS)
def test_pickle_restores_every_answer(name, protocol):
    X, y = problem(ESTIMATORS[name])
    model = clone(ESTIMATORS[name]).fit(X, y)
    assert_same(pickle.loads(pickle.dumps(model, protocol=protocol)), model, X)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_joblib_restores_every_answer(name):
    X, y = problem(ESTIMATORS[name])
    model = clone(ESTIMATORS[name]).fit(X, y)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    assert_same(joblib.load(file), model, X)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimator_that_is_not_fitted_can_be_pickled(name):
    model = pickle.loads(pickle.dumps(ESTIMATORS[name]))
    X, y = problem(model)
    with pytest.raises(NotFittedError):
        model.predict(X)
    model.fit(X, y).predict(X)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_clone_has_the_parameters_and_nothing_else(name):
    X, y = problem(ESTIMATORS[name])
    model = clone(ESTIMATORS[name]).fit(X, y)
    copy = clone(model)
    assert set(vars(copy)) == set(copy.get_params())
    for key, value in copy.get_params().items():
        assert value == model.get_params()[key]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", PLAIN)
def test_skops_needs_trust_in_the_estimator_alone(name, dtype):
    X, y = problem(PLAIN[name], dtype)
    model = clone(PLAIN[name]).fit(X, y)
    data = skops.io.dumps(model)
    kind = type(model)
    expected = [f"skredu.{kind.__name__}"]
    assert skops.io.get_untrusted_types(data=data) == expected
    assert_same(skops.io.loads(data, trusted=expected), model, X)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_classifier_is_restored_too(name):
    X, y = problem(OTHERS[name], n=30 if name != "net in a span" else 3)
    model = clone(OTHERS[name]).fit(X, y)
    kind = f"skredu.{type(model).__name__}"
    data = skops.io.dumps(model)
    assert skops.io.get_untrusted_types(data=data) == [kind]
    answer = "transform" if hasattr(model, "transform") else "predict"
    copies = pickle.loads(pickle.dumps(model)), skops.io.loads(data, trusted=[kind])
    for copy in copies:
        assert_array_equal(getattr(copy, answer)(X), getattr(model, answer)(X))
        assert copy.get_params() == model.get_params()


@pytest.mark.parametrize(
    "model", [MICLClassifier(0.5), InvariantReduNetClassifier(n_layers=0)], ids=str
)
def test_partial_fit_goes_on_after_a_pickle_and_after_skops(model):
    X, y = problem(None)
    model = clone(model).partial_fit(X[:15], y[:15], classes=["a", "b", "c"])
    kind = f"skredu.{type(model).__name__}"
    copies = [
        pickle.loads(pickle.dumps(model)),
        skops.io.loads(skops.io.dumps(model), trusted=[kind]),
    ]
    model.partial_fit(X[15:], y[15:])
    for copy in copies:
        assert_same(copy.partial_fit(X[15:], y[15:]), model, X)


@pytest.mark.parametrize("name", ["default", "subspace"])
def test_pickle_of_another_version_warns(name, monkeypatch):
    X, y = problem(ESTIMATORS[name])
    data = pickle.dumps(clone(ESTIMATORS[name]).fit(X, y))
    monkeypatch.setattr(skredu, "__version__", "99.0")
    kind = type(ESTIMATORS[name]).__name__
    with pytest.warns(InconsistentVersionWarning, match=f"{kind}.*99.0") as caught:
        pickle.loads(data)
    assert caught[0].message.original_sklearn_version != "99.0"


def test_pickle_of_an_unknown_version_warns():
    model = MICLClassifier()
    state = {k: v for k, v in model.__getstate__().items() if k != "_skredu_version"}
    with pytest.warns(InconsistentVersionWarning, match="unknown"):
        MICLClassifier().__setstate__(state)


@pytest.mark.parametrize("layout", [1, 99])
def test_pickle_with_fitted_attributes_of_another_layout_is_refused(layout):
    X, y = problem(MICLClassifier())
    state = {**MICLClassifier().fit(X, y).__getstate__(), "_skredu_layout": layout}
    if layout == 1:  # before layouts had numbers
        del state["_skredu_layout"]
    with pytest.raises(ValueError, match=f"layout {layout}.*: fit it again"):
        MICLClassifier().__setstate__(state)
    parameters = {**MICLClassifier(0.5).__getstate__(), "_skredu_layout": layout}
    model = MICLClassifier()
    model.__setstate__(parameters)
    assert model.epsilon == 0.5


@pytest.mark.parametrize("name", ESTIMATORS)
def test_pickle_of_this_version_does_not_warn(name):
    X, y = problem(ESTIMATORS[name])
    data = pickle.dumps(clone(ESTIMATORS[name]).fit(X, y))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = pickle.loads(data)
    assert not any(key.startswith("_skredu") for key in vars(model))


@pytest.mark.parametrize("name", [*ESTIMATORS, *OTHERS])
def test_pickle_names_no_private_module(name):
    model = clone((ESTIMATORS | OTHERS)[name])
    X, y = problem(model, n=30 if name != "net in a span" else 3)
    assert our_names(model.fit(X, y)) == {f"skredu {type(model).__name__}"}


def our_names(value):
    data = pickle.dumps(value, protocol=2)  # with every name in full
    names = [arg for code, arg, _ in pickletools.genops(data) if code.name == "GLOBAL"]
    return {name for name in names if name.startswith("skredu")}


@pytest.mark.parametrize("name", ["lifting", "polar"])
def test_pickle_of_signals_names_no_private_module(name):
    model = clone(OTHERS[name])
    X, y = problem(model)
    Z = model.fit_transform(X, y)
    assert our_names(Z) == {"skredu Signals"}
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(Z, protocol))
        assert type(again) is skredu.Signals
        assert_array_equal(again, Z)
        assert b"skredu.lifting" not in pickle.dumps(Z, protocol)


RELEASES = sorted(pickles.FOLDER.glob("*.pickle"))


def test_pickles_of_this_version_are_kept():
    assert f"skredu-{skredu.__version__}" in {file.stem for file in RELEASES}


@pytest.mark.parametrize("file", RELEASES, ids=lambda file: file.stem)
def test_pickles_of_every_release_give_the_answers_they_gave(file):
    # Where this fails for a version that is not released, because its fitted state or
    # its answers changed, write them again: python tests/pickles.py
    X, kept = pickle.loads(file.read_bytes())
    assert len(kept) >= 12
    for name, (data, expected) in kept.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            model = pickle.loads(data)
        found = pickles.answers(model, X)
        assert set(found) >= set(expected), name
        for method, values in expected.items():
            assert_allclose(found[method], values, rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", PLAIN)
def test_fitted_state_is_made_of_arrays_numbers_and_containers(name):
    X, y = problem(PLAIN[name])
    model = clone(PLAIN[name]).fit(X, y)
    allowed = (np.ndarray, np.generic, bool, int, float, str, type(None))

    def walk(value):
        if isinstance(value, dict):
            for part in value.values():
                yield from walk(part)
        elif isinstance(value, (list, tuple)):
            for part in value:
                yield from walk(part)
        elif not isinstance(value, allowed):
            yield type(value)

    # the search of neighbours is scikit-learn's
    others = {kind.__module__.split(".")[0] for kind in walk(vars(model))}
    assert others == ({"sklearn"} if name == "local" else set())
