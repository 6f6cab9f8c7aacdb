"""Rows that arrive in parts: adding them is cheap, and all results are correct."""

import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import limit
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from skredu import (
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    MICLClassifier,
)

STREAMS = [
    MICLClassifier(),
    MICLClassifier(0.7),
    MICLClassifier(priors=[0.2, 0.3, 0.5], assume_centered=True),
    InvariantReduNetClassifier(0, signal_shape=3),
]
ATTRIBUTES = ("epsilon_", "temperature_", "priors_", "class_coding_length_")
RNG = np.random.default_rng(0)
CLASSES = np.array([0, 1, 2])
Y = RNG.permutation(np.arange(90) % 3)
X = RNG.normal(size=(90, 6)) + RNG.normal(size=(3, 6))[Y]
NEW = RNG.normal(size=(8, 6))


@pytest.fixture(params=STREAMS, ids=str)
def stream(request):
    return clone(request.param)


def add(model, start, stop, step=10):
    for i in range(start, stop, step):
        model.partial_fit(X[i : i + step], Y[i : i + step], classes=CLASSES)
    return model


def looked_at(model):
    values = {n: getattr(model, n) for n in ATTRIBUTES if hasattr(model, n)}
    return {**values, "scores": model.decision_function(NEW)}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert_array_equal(found[name], value, err_msg=name)


def test_whenever_it_is_looked_at_it_is_the_model_of_all_rows_so_far(stream):
    for stop in (30, 60, 90):
        found = looked_at(add(stream, stop - 30, stop))
        expected = looked_at(clone(stream).fit(X[:stop], Y[:stop]))
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_allclose(found[name], value, rtol=1e-7, atol=1e-7, err_msg=name)
    if isinstance(stream, MICLClassifier):  # whose rows are all there, still
        assert_same(found, expected)


@pytest.mark.parametrize("few", [False, True])
def test_looking_does_not_change_what_comes(stream, few, monkeypatch):
    if few:  # rows are merged and thinned out
        limit(monkeypatch, MAX_ROWS=20, MOST_WAITING=6 * 25)
    watched = clone(stream)
    for start in range(0, 90, 10):
        looked_at(add(watched, start, start + 10))
    assert_same(looked_at(watched), looked_at(add(stream, 0, 90)))


def test_parts_after_fit_stay_with_its_choice(stream):
    chosen = looked_at(stream.fit(X[:60], Y[:60]))
    found = looked_at(add(stream, 60, 90))
    assert found["epsilon_"] == chosen["epsilon_"]
    assert found["temperature_"] == chosen["temperature_"]
    assert not np.array_equal(found["scores"], chosen["scores"])


def test_parameters_set_later_and_rows_overwritten_later_do_not_matter(stream):
    part, labels = X[:60].copy(), Y[:60].copy()
    stream.partial_fit(part, labels, classes=CLASSES)
    expected = looked_at(clone(stream).partial_fit(X[:60], Y[:60], classes=CLASSES))
    part[:], labels[:] = 0.0, 0
    stream.set_params(epsilon=3.0)
    if "priors" in stream.get_params():
        stream.set_params(priors=[0.8, 0.1, 0.1], assume_centered=True)
    assert_same(looked_at(stream), expected)


def test_attributes_are_there_without_having_been_looked_at(stream):
    assert not hasattr(stream, "epsilon_")
    assert "epsilon_" not in dir(stream)
    add(stream, 0, 60)
    check_is_fitted(stream)
    assert "epsilon_" in dir(stream)
    copy = pickle.loads(pickle.dumps(stream))
    assert hasattr(stream, "epsilon_")
    # scikit-learn shows fitted attributes in notebooks from version 1.9 on
    shows = "scale_" in StandardScaler().fit(X)._repr_html_()
    assert ("temperature_" in stream._repr_html_()) == shows
    assert_same(looked_at(copy), looked_at(stream))
    assert_same(looked_at(pickle.loads(pickle.dumps(stream))), looked_at(stream))
    with pytest.raises(AttributeError, match="has no attribute 'sigma_'"):
        _ = stream.sigma_
    add(stream, 60, 90)
    assert_same(looked_at(add(copy, 60, 90)), looked_at(stream))


@pytest.mark.slow
def test_threads_that_look_at_the_same_time_see_the_same(stream):
    expected = looked_at(add(clone(stream), 0, 90))
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            model = add(clone(stream), 0, 90)
            for found in pool.map(looked_at, [model] * 8):
                assert_same(found, expected)


@pytest.mark.parametrize("model", [STREAMS[0], STREAMS[-1]], ids=str)
def test_adding_costs_less_than_one_fit(model):
    rng = np.random.default_rng(0)
    y = np.arange(2000) % 10
    rows = rng.normal(size=(2000, 60)) + rng.normal(size=(10, 60))[y]

    def seconds(work):
        start = time.process_time()
        work()
        return time.process_time() - start

    def add_all():
        parts = clone(model)
        for i in range(0, 2000, 100):
            parts.partial_fit(rows[i : i + 100], y[i : i + 100], classes=np.arange(10))

    fits = min(seconds(lambda: clone(model).fit(rows, y)) for _ in range(2))
    assert min(seconds(add_all) for _ in range(3)) < fits


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"epsilon": 0.3}, {"epsilon": 6.0}, "epsilon is .* and was .* Call fit"),
        ({"epsilon": 0.5}, {"epsilon": "auto"}, "'auto' is True and was False"),
        ({"priors": "balanced"}, {"priors": "auto"}, "priors is .* and was .* Call"),
        ({"priors": [0.2, 0.3, 0.5]}, {"priors": [0.2, 0.4, 0.4]}, "priors is"),
        ({"epsilon": 1.0, "calibrate": False}, {"calibrate": True}, "is True and was"),
        ({"epsilon": 0.5}, {"assume_centered": True}, "centered is True and was False"),
    ],
)
def test_what_fit_has_chosen_stays_with_its_parameters(before, after, said):
    model = MICLClassifier(**before).fit(X, Y)
    was = model.predict_proba(NEW)
    with pytest.raises(ValueError, match=f"{next(iter(after))}.*{said}|{said}"):
        model.set_params(**after).partial_fit(X, Y)
    assert_array_equal(model.predict_proba(NEW), was)
    known = {name: MICLClassifier().get_params()[name] for name in after}
    clone(model).set_params(**known | before).fit(X, Y).partial_fit(X, Y)


def test_without_calibration_parameters_may_change():
    model = MICLClassifier(priors=[0.5, 0.5])
    with pytest.raises(ValueError, match="priors must"):  # at once, not later
        model.partial_fit(X, Y, classes=CLASSES)
    assert not hasattr(model, "classes_")
    settings = {"epsilon": 6.0, "priors": "balanced", "calibrate": False}
    model = MICLClassifier(0.3, calibrate=False).fit(X[:50], Y[:50])
    model.set_params(**settings).partial_fit(X[50:], Y[50:])
    once = MICLClassifier(**settings).fit(X, Y)
    assert_allclose(model.predict_proba(NEW), once.predict_proba(NEW), rtol=1e-8)


@pytest.mark.parametrize(
    "settings",
    [
        *({"priors": p} for p in ("balanced", [0.2, 0.3, 0.5], "auto", None)),
        {"epsilon": 0.5},
        {"n_layers": 0, "signal_shape": 3},
    ],
)
def test_classes_that_have_not_come_yet_are_not_predicted(settings):
    some = Y < 2
    kind = InvariantReduNetClassifier if "n_layers" in settings else MICLClassifier
    model = kind(**settings).partial_fit(X[some], Y[some], classes=CLASSES)
    given = isinstance(settings.get("priors"), list)
    assert given or set(model.predict(NEW)) <= {0, 1}
    proba = model.predict_proba(NEW)
    assert_allclose(proba.sum(axis=1), 1.0)
    assert_array_equal(proba[:, 2] > 0.0, given)
    model.partial_fit(X[~some], Y[~some])
    whole = clone(model).fit(X, Y).decision_function(NEW)
    assert_allclose(model.decision_function(NEW), whole, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_plain_arrays_are_not_validated_twice(stream, kind, monkeypatch):
    """Checks of scikit-learn would take most of the time of many small parts."""
    rows, y = X.astype(kind), Y
    stream.partial_fit(rows[:30], y[:30], classes=CLASSES)
    expected = clone(stream).partial_fit(rows, y, classes=CLASSES)
    with monkeypatch.context() as patch:
        patch.delattr("skredu._checks.validate_data")
        for i in range(30, 90, 7):
            stream.partial_fit(rows[i : i + 7], y[i : i + 7])
        found = stream.predict_proba(NEW.astype(kind))
    assert_allclose(found, expected.predict_proba(NEW.astype(kind)), rtol=1e-4)
    for wrong in (rows * np.inf, rows[:, 1:], rows[:0], rows[0], rows * (1 + 1j)):
        with pytest.raises(ValueError, match=r"infinity|features|array|[Cc]omplex"):
            stream.predict(wrong)


@pytest.mark.parametrize("limits", [{"MOST_PARTS": 4}, {"MOST_WAITING": 100}], ids=str)
def test_joined_and_merged_parts_are_those_that_came(stream, limits, monkeypatch):
    expected = looked_at(add(clone(stream), 0, 90, 90))
    limit(monkeypatch, **limits)
    for name, value in looked_at(add(stream, 0, 90, 1)).items():
        assert_allclose(value, expected[name], rtol=1e-7, atol=1e-7, err_msg=name)


def test_wrong_labels_of_a_part_are_named_and_change_nothing(stream):
    others = MICLClassifier(kernel="rbf"), MICLClassifier(n_neighbors=3)
    nets = InvariantReduNetClassifier(), InvariantReduNetTransformer(0)
    for model in (*others, *nets):
        assert not hasattr(model, "partial_fit")  # rows do not add up
    with pytest.raises(ValueError, match=r"classes must be .* first"):
        stream.partial_fit(X, Y)
    with pytest.raises(ValueError, match=r"\[2\].*not in classes"):
        stream.partial_fit(X, Y, classes=[0, 1])
    before = looked_at(stream.partial_fit(X, Y, classes=CLASSES))
    with pytest.raises(ValueError, match="differ from those of the first call"):
        stream.partial_fit(X, Y, classes=[0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"\[9\].*not in classes"):
        stream.partial_fit(X, np.full(90, 9))
    assert_same(looked_at(stream), before)
