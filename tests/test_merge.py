"""Models of parts of the samples add up to the model of all samples."""

from copy import deepcopy
from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import limit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from skredu import InvariantReduNetClassifier, MICLClassifier, NearestSubspaceClassifier

CLASSES = [0, 1, 2]
RNG = np.random.default_rng(0)
Y = RNG.permutation(np.arange(120) % 3)
X = RNG.normal(size=(120, 6)) + RNG.normal(size=(3, 6))[Y]
WEIGHTS = RNG.uniform(0.2, 3.0, 120)
NEW = RNG.normal(size=(9, 6))
MODELS = [
    MICLClassifier(),
    MICLClassifier(0.7, calibrate=False),
    MICLClassifier(0.7, priors=[0.2, 0.3, 0.5], assume_centered=True),
    NearestSubspaceClassifier(3),
    NearestSubspaceClassifier(2, assume_centered=False),
    InvariantReduNetClassifier(0, signal_shape=3),
]
CUTS = [[40, 80], [1, 2, 100], [*range(10, 120, 10)]]


@pytest.fixture(params=MODELS, ids=str)
def model(request):
    return clone(request.param)


def parts_of(model, cuts, weights=None, rows=X, place=np.asarray):
    found = []
    for part in np.split(np.arange(len(Y)), cuts):
        w = None if weights is None else weights[part]
        found.append(clone(model).partial_fit(place(rows[part]), Y[part], CLASSES, w))
    return found


def answers(model, new=NEW):
    names = ("epsilon_", "temperature_", "priors_", "class_coding_length_")
    names += ("means_", "class_count_")
    found = {name: getattr(model, name) for name in names if hasattr(model, name)}
    return {**found, "scores": model.decision_function(new)}


def assert_same(found, expected, rtol=1e-10):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        size = np.abs(value).max()
        assert_allclose(found[name], value, rtol=rtol, atol=rtol * size, err_msg=name)


@pytest.mark.parametrize("cuts", CUTS, ids=len)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["none", "weights"])
def test_parts_add_up_to_the_model_of_all_samples(model, cuts, weights):
    whole = answers(clone(model).fit(X, Y, weights))
    parts = parts_of(model, cuts, weights)
    if isinstance(model, InvariantReduNetClassifier):  # fit leaves rows out otherwise
        stream = answers(clone(model).partial_fit(X, Y, CLASSES, weights))
        assert_same(stream, whole, rtol=1e-7)
        whole = stream
    assert_same(answers(type(model).from_parts(parts)), whole)
    assert_same(answers(type(model).from_parts(parts[::-1])), whole)
    tree = parts
    while len(tree) > 1:  # as engines reduce
        pairs = [tree[i : i + 2] for i in range(0, len(tree), 2)]
        tree = [type(model).from_parts(pair) for pair in pairs]
    assert_same(answers(tree[0]), whole)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["none", "weights"])
def test_any_order_keeps_the_same_samples_to_choose_by(weights, monkeypatch):
    limit(monkeypatch, MAX_ROWS=25)
    parts = parts_of(MICLClassifier(), [30, 60, 90], weights)
    expected = answers(MICLClassifier().partial_fit(X, Y, CLASSES, weights))
    for order in permutations(range(4)):
        merged = MICLClassifier.from_parts(parts[i] for i in order)
        assert_same(answers(merged), expected)


def test_merged_models_go_on_and_parts_stay_as_they_were(model):
    first, second = parts_of(model, [60])
    before = deepcopy(answers(second))
    merged = type(model).from_parts([first, second])
    assert_same(answers(second), before)
    assert first.predict(NEW).shape == (9,)
    merged.partial_fit(X[:20] + 0.1, Y[:20])
    expected = clone(model).partial_fit(X, Y, CLASSES).partial_fit(X[:20] + 0.1, Y[:20])
    assert_same(answers(merged), answers(expected), rtol=1e-7)
    alone = type(model).from_parts([second])
    assert alone is not second
    assert_same(answers(alone), before)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_parts_of_different_scales_add_up(size):
    rows = X.copy()
    rows[60:] *= size
    rows[:60] *= size**0.5
    model = NearestSubspaceClassifier(2, assume_centered=False)
    merged = NearestSubspaceClassifier.from_parts(parts_of(model, [60], rows=rows))
    whole = model.fit(rows, Y)
    assert_allclose(merged.means_ / size, whole.means_ / size, rtol=1e-10)
    assert_array_equal(merged.predict(rows), whole.predict(rows))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("epsilon", ["auto", 1.0])
def test_much_larger_samples_can_be_added(epsilon):
    small, large = (
        MICLClassifier(epsilon).partial_fit(size * X, Y, CLASSES)
        for size in (1e-200, 1.0)
    )
    found = deepcopy(small).merge(large)
    assert_same(answers(found), answers(large.merge(small)))


def test_merged_models_have_the_present_parameters():
    parts = parts_of(MICLClassifier(0.7), [40])
    first, rest = (part.set_params(epsilon=3.0) for part in parts)
    whole = MICLClassifier(3.0).partial_fit(X, Y, CLASSES)
    assert_same(answers(first.merge(rest)), answers(whole))
    with pytest.raises(NotFittedError):
        MICLClassifier.from_parts([MICLClassifier()])


@pytest.mark.parametrize("size", [1e-321, 1e-301, 1e-156, 1e156])
@pytest.mark.parametrize("other", [0.0, 1.0])
def test_units_of_parts_need_not_be_close(size, other):
    """Results are finite, without a warning, in both orders and as a stream."""
    parts = [
        MICLClassifier().partial_fit(unit * X, Y, CLASSES) for unit in (size, other)
    ]
    for order in (parts, parts[::-1]):
        model = MICLClassifier.from_parts(order)
        assert np.isfinite(model.decision_function(NEW * max(size, other))).all()
    if size < 1.0:
        stream = MICLClassifier().partial_fit(other * X, Y, CLASSES)
        assert np.isfinite(stream.partial_fit(size * X, Y).epsilon_)


def test_namespaces_are_kept(xp):
    for model in MODELS[:5]:
        parts = parts_of(model, [50], place=xp.asarray)
        found = type(model).from_parts(parts).decision_function(xp.asarray(NEW))
        whole = clone(model).fit(X, Y).decision_function(NEW)
        assert_allclose(xp.to_numpy(found), whole, rtol=1e-6, atol=1e-6)


def test_classes_without_samples_wait_for_them(model):
    few = clone(model).partial_fit(X[Y < 2], Y[Y < 2], CLASSES)
    assert set(few.predict(NEW)) <= {0, 1}
    rest = clone(model).partial_fit(X[Y == 2], Y[Y == 2], CLASSES)
    order = np.argsort(Y == 2, kind="stable")
    expected = answers(clone(model).fit(X[order], Y[order]))
    assert_same(answers(few.merge(rest)), expected, rtol=1e-7)


def test_models_that_do_not_fit_together_are_named(model):
    one = clone(model).partial_fit(X, Y, CLASSES)
    before = answers(one)
    for change, rows, message in (
        ({"classes": [0, 1, 7]}, X, "same classes_"),
        ({}, X[:, :3], "same n_features_in_"),
        ({"assume_centered": not getattr(model, "assume_centered", None)}, X, "same"),
    ):
        known, wrong = change.pop("classes", CLASSES), clone(model)
        if change.keys() <= model.get_params().keys():
            wrong.set_params(**change).partial_fit(rows[Y < 2], Y[Y < 2], known)
            with pytest.raises(ValueError, match=message):
                one.merge(wrong)
    with pytest.raises(ValueError, match="same type"):
        one.merge(LogisticRegression().fit(X, Y))
    with pytest.raises(ValueError, match="is not fitted"):
        one.merge(clone(model))
    with pytest.raises(ValueError, match="at least one"):
        type(model).from_parts([])
    with pytest.raises(ValueError, match="models must be of"):
        type(model).from_parts([one, 3])
    assert_same(answers(one), before)


def test_models_of_fit_lack_what_is_needed(model):
    if model._chooses:
        part = clone(model).partial_fit(X, Y, CLASSES)
        with pytest.raises(ValueError, match="use partial_fit"):
            part.merge(clone(model).fit(X, Y))
        with pytest.raises(ValueError, match="use partial_fit"):
            clone(model).fit(X, Y).merge(part)
    else:  # nothing is chosen
        halves = [clone(model).fit(X[::2], Y[::2]), clone(model).fit(X[1::2], Y[1::2])]
        expected = answers(clone(model).fit(X, Y))
        assert_same(answers(type(model).from_parts(halves)), expected)


def test_what_cannot_add_up_has_no_merge():
    other = MICLClassifier(kernel="rbf")
    assert not hasattr(other, "merge")
    for name in ("merge", "partial_fit"):
        with pytest.raises(AttributeError, match=f"{name!r} with its present"):
            getattr(other, name)
    with pytest.raises(AttributeError, match=r"'label_quality_': .* when fit sets it"):
        _ = other.label_quality_
    assert not hasattr(InvariantReduNetClassifier(2), "merge")
    model = MICLClassifier(0.5, calibrate=False, class_weight="balanced").fit(X, Y)
    with pytest.raises(ValueError, match="all samples at once"):
        model.merge(model)
