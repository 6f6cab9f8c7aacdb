"""Fitted estimators on disk (pickle, joblib, skops), and clones."""

import io
import pickle
import pickletools
import warnings
from functools import cache

import joblib
import numpy as np
import pickles
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal
from settings import ESTIMATORS, LIFTINGS, answers, names_of, problem, rows_for, slowly
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning

import skredu
from skredu import MICLClassifier

pytestmark = pytest.mark.filterwarnings("ignore:Layer . has not converged")
X, Y = problem()
NAMED = np.array(["a", "b", "c"])[Y]
every = pytest.mark.parametrize("name", names_of(ESTIMATORS))


@cache
def fitted(name, dtype=float, n=36):
    """Return a fitted estimator, and rows to predict."""
    table = rows_for(name, X[:n]).astype(dtype)
    return clone(ESTIMATORS[name]).fit(table, NAMED[:n]), table


def assert_same(restored, model, table):
    found, expected = answers(restored, table), answers(model, table)
    for key, value in expected.items():
        assert_array_equal(found[key], value, err_msg=key)
    for key, value in model.get_params().items():
        assert restored.get_params()[key] == value, key


def our_names(value):
    data = pickle.dumps(value, protocol=2)  # with every name in full
    names = [arg for code, arg, _ in pickletools.genops(data) if code.name == "GLOBAL"]
    return {name for name in names if name.startswith("skredu")}


# fewer rows than features live in their span
@pytest.mark.parametrize("n", [36, *slowly(4)])
@every
def test_pickle_and_joblib_restore_every_answer(name, n):
    model, table = fitted(name, n=n)
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        data = pickle.dumps(model, protocol=protocol)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            again = pickle.loads(data)
        assert not any(key.startswith("_skredu") for key in vars(again))
        assert_same(again, model, table)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    assert_same(joblib.load(file), model, table)
    ours = our_names(model) - {"settings laplacian"}
    assert ours == {f"skredu {type(model).__name__}"}  # and no private module


@pytest.mark.parametrize(
    "name", names_of(n for n in ESTIMATORS if n != "MICL callable")
)
def test_skops_needs_trust_in_the_estimator_alone(name):
    model, table = fitted(name, np.float32)
    data = skops.io.dumps(model)
    found = skops.io.get_untrusted_types(data=data)
    # the search of neighbours is scikit-learn's
    ours = [kind for kind in found if not kind.startswith("sklearn.")]
    assert ours == [f"skredu.{type(model).__name__}"]
    assert set(ours) <= set(skredu.trusted_types)
    assert found == ours or "local" in name
    assert_same(skops.io.loads(data, trusted=found), model, table)


@every
def test_fitted_state_is_made_of_arrays_numbers_and_containers(name):
    model, _ = fitted(name)
    plain = (np.ndarray, np.generic, bool, int, float, str, type(None))

    def walk(value):
        if isinstance(value, (dict, list, tuple)):
            parts = value.values() if isinstance(value, dict) else value
            for part in parts:
                yield from walk(part)
        elif not isinstance(value, plain) and not callable(value):
            yield type(value)

    # the search of neighbours is scikit-learn's
    others = {kind.__module__.split(".")[0] for kind in walk(vars(model))}
    assert others == ({"sklearn"} if "local" in name else set())


@pytest.mark.parametrize("name", ["MICL", "MICL given", "no layers"])
def test_partial_fit_goes_on_after_a_pickle_and_after_skops(name):
    model = clone(ESTIMATORS[name])
    model.partial_fit(X[:15], NAMED[:15], classes=["a", "b", "c"])
    kind = f"skredu.{type(model).__name__}"
    stored = skops.io.loads(skops.io.dumps(model), trusted=[kind])
    copies = [pickle.loads(pickle.dumps(model)), stored]
    model.partial_fit(X[15:], NAMED[15:])
    for copy in copies:
        assert_same(copy.partial_fit(X[15:], NAMED[15:]), model, X)


@pytest.mark.parametrize("name", ["MICL", "subspace"])
def test_pickle_of_another_version_warns(name, monkeypatch):
    data = pickle.dumps(fitted(name)[0])
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
    state = {**fitted("MICL")[0].__getstate__(), "_skredu_layout": layout}
    if layout == 1:  # before layouts had numbers
        del state["_skredu_layout"]
    with pytest.raises(ValueError, match=f"layout {layout}.*: fit it again"):
        MICLClassifier().__setstate__(state)
    parameters = {**MICLClassifier(0.5).__getstate__(), "_skredu_layout": layout}
    model = MICLClassifier()
    model.__setstate__(parameters)
    assert model.epsilon == 0.5


@pytest.mark.parametrize("name", LIFTINGS)
def test_pickle_of_signals_names_no_private_module(name):
    model, table = fitted(name)
    Z = model.transform(table)
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
