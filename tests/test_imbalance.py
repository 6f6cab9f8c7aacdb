"""Rare classes are found with priors, class weights and sample weights."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.class_weight import compute_sample_weight

from skredu import (
    InvariantReduNetClassifier,
    MICLClassifier,
    NearestSubspaceClassifier,
    ReduNetClassifier,
)

MICL = {
    "linear": {},
    "given epsilon": {"epsilon": 2.0},
    "rbf": {"kernel": "rbf"},
    "poly": {"kernel": "poly"},
    "local": {"n_neighbors": 10},
}
NETS = {
    "net": lambda **k: ReduNetClassifier(3, **k),
    "net for signals": lambda **k: InvariantReduNetClassifier(2, signal_shape=1, **k),
}
ALL = {
    **{name: lambda s=s, **k: MICLClassifier(**s, **k) for name, s in MICL.items()},
    **NETS,
}


def imbalanced(n=500, seed=0):
    """Return two classes that overlap; one of them has 6 % of the rows."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.06).astype(int)
    X = rng.normal(size=(n, 5)) * np.where(y == 0, 1.3, 1.0)[:, None]
    X[:, :2] += 1.5 * y[:, None]
    return X, y


def balanced_accuracy(model, **settings):
    new, new_y = imbalanced(2000, seed=1)
    return balanced_accuracy_score(new_y, model.predict(new))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL)
def test_balanced_classes_raise_the_balanced_accuracy(kind):
    X, y = imbalanced()
    make = ALL[kind]
    plain = balanced_accuracy(make().fit(X, y))
    models = [
        make().fit(X, y, compute_sample_weight("balanced", y)),
        make(class_weight="balanced").fit(X, y),
    ]
    if kind in MICL:
        models.append(make(priors="balanced").fit(X, y))
    for model in models:
        assert balanced_accuracy(model) > plain + 0.05


@pytest.mark.parametrize("kind", ALL)
def test_class_weights_are_weights_of_rows(kind):
    X, y = imbalanced(200)
    by_class = ALL[kind](class_weight={0: 0.5, 1: 3.0}).fit(X, y)
    by_row = ALL[kind]().fit(X, y, np.where(y == 0, 0.5, 3.0))
    assert_allclose(by_class.predict_proba(X), by_row.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize("kind", ["linear", "net"])
def test_balanced_classes_weigh_the_same_with_weights_of_rows(kind):
    X, y = imbalanced(200)
    weights = np.random.default_rng(0).uniform(0.0, 2.0, 200)
    weights[::5] = 0.0
    sums = np.bincount(y, weights)
    balanced = weights * (weights.sum() / (2 * sums))[y]
    one = ALL[kind](class_weight="balanced").fit(X, y, weights)
    other = ALL[kind]().fit(X, y, balanced)
    assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize("settings", MICL.values(), ids=MICL)
def test_priors_by_label_or_in_order_are_the_same(settings):
    X, y = imbalanced(200)
    y = np.array(["common", "rare"])[y]
    by_label = {"rare": 0.3, "common": 0.7}
    one = MICLClassifier(priors=by_label, **settings).fit(X, y).predict_proba(X)
    other = MICLClassifier(priors=[0.7, 0.3], **settings).fit(X, y).predict_proba(X)
    assert_array_equal(one, other)
    plain = MICLClassifier(priors=by_label, calibrate=False, **settings).fit(X, y)
    assert_allclose(plain.priors_, [0.7, 0.3])
    even = MICLClassifier(priors="balanced", calibrate=False, **settings).fit(X, y)
    assert_allclose(even.priors_, 0.5)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_probabilities_are_those_of_rows_with_these_priors(share):
    X, y = imbalanced(1500)
    model = MICLClassifier(priors=[1.0 - share, share]).fit(X, y)
    new, new_y = imbalanced(4000, seed=1)
    rare = new_y.mean()
    weights = np.where(new_y == 1, share / rare, (1 - share) / (1 - rare))
    mean = np.average(model.predict_proba(new)[:, 1], weights=weights)
    assert mean == pytest.approx(share, abs=0.06)


def test_wrong_priors_and_class_weights_are_named():
    X, y = imbalanced(60)
    for priors, message in (
        ({0: 1.0}, r"for each of the classes \[0, 1\].*\[0\]"),
        ("even", "priors"),
        (["a", "b"], "Bad priors: could not"),
    ):
        with pytest.raises(ValueError, match=message):
            MICLClassifier(priors=priors).fit(X, y)
    for wrong in ("even", {0: 1.0, 5: 2.0}, {0: -1.0, 1: 1.0}, {0: 0.0, 1: 0.0}):
        for kind in ("linear", *NETS):
            with pytest.raises(ValueError, match=r"class.weight"):
                ALL[kind](class_weight=wrong).fit(X, y)


def test_parts_of_a_stream_cannot_be_balanced():
    X, y = imbalanced(200)
    with pytest.raises(ValueError, match="class_weight='balanced' needs all samples"):
        MICLClassifier(class_weight="balanced").partial_fit(X, y, [0, 1])
    weight = {0: 1.0, 1: 4.0}
    whole = MICLClassifier(class_weight=weight).fit(X, y)
    parts = MICLClassifier(class_weight=weight)
    for part in np.array_split(np.arange(200), 3):
        parts.partial_fit(X[part], y[part], [0, 1])
    assert_allclose(parts.predict_proba(X), whole.predict_proba(X), atol=1e-6)


ABSENT = r"All samples of the classes \['c'\] have weight zero \(sample_weight"


@pytest.mark.parametrize(
    "model",
    [
        MICLClassifier(),
        MICLClassifier(kernel="rbf"),
        MICLClassifier(n_label_refits=1),
        NearestSubspaceClassifier(2),
        ReduNetClassifier(1, n_iter_no_change=None),
        InvariantReduNetClassifier(0),
    ],
    ids=repr,
)
def test_classes_without_weight_are_absent_with_a_warning(model):
    rng = np.random.default_rng(0)
    y = np.array(["a", "b", "c"])[np.arange(45) % 3]
    X = rng.normal(size=(45, 4)) + np.eye(3, 4)[np.arange(45) % 3]
    known = y != "c"
    expected = clone(model).fit(X[known], y[known]).decision_function(X)
    with pytest.warns(UserWarning, match=ABSENT):
        model.fit(X, y, known.astype(float))
    assert_array_equal(model.classes_, ["a", "b"])
    assert_allclose(model.decision_function(X), expected, rtol=1e-9, atol=1e-9)
    if "class_weight" in model.get_params():
        with pytest.warns(UserWarning, match=ABSENT):
            model.set_params(class_weight={"c": 0.0}).fit(X, y)
        assert_array_equal(model.classes_, ["a", "b"])


@pytest.mark.parametrize(
    "model",
    [MICLClassifier(), NearestSubspaceClassifier(2), InvariantReduNetClassifier(0)],
    ids=repr,
)
def test_parts_keep_classes_without_weight_and_do_not_predict_them(model):
    y = np.arange(40) % 2
    X = np.random.default_rng(0).normal(size=(40, 4))
    X += np.array([[8.0, 0.0, 0.0, 0.0], [4.0, 4.0, 4.0, 4.0]])[y]  # no shifts
    model.partial_fit(X, y, [0, 1, 2], np.where(y == 1, 0.0, 1.0))
    assert_array_equal(model.classes_, [0, 1, 2])
    assert set(model.predict(X)) == {0}
    model.partial_fit(X, y)
    assert set(model.predict(X)) == {0, 1}


@pytest.mark.parametrize("make", [MICLClassifier, InvariantReduNetClassifier])
def test_class_weights_name_some_of_the_classes(make):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    X = rng.normal(size=(60, 4)) + np.eye(3, 4)[y]
    settings = {"n_layers": 0} if make is InvariantReduNetClassifier else {}
    model = make(class_weight={2: 5.0}, **settings)
    whole = model.fit(X, y).predict_proba(X)
    parts = make(class_weight={2: 5.0}, **settings)
    parts.partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    parts.partial_fit(X[y == 2], y[y == 2])
    assert_allclose(parts.predict_proba(X), whole, atol=1e-6)
    every = make(class_weight={0: 1.0, 1: 1.0, 2: 5.0, 9: 2.0}, **settings).fit(X, y)
    assert_allclose(every.predict_proba(X), whole)
    with pytest.raises(ValueError, match=r"keys among the classes \[0, 1\]"):
        model.fit(X[y < 2], y[y < 2])
    with pytest.raises(ValueError, match=r"keys among the classes \[0, 1\]"):
        make(class_weight={2: 5.0}, **settings).partial_fit(X[y < 2], y[y < 2], [0, 1])
