"""Bits of features: bars of a sample, heat maps of many."""

import numpy as np
import pytest
from displays import texts
from numpy.testing import assert_allclose
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skredu import CompressionClustering, MICLClassifier
from skredu.plotting import BitsDisplay


@pytest.fixture(scope="module")
def model():
    X, y = load_wine(return_X_y=True)
    return make_pipeline(StandardScaler(), MICLClassifier()).fit(X, y)


def numbers(rows=1):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 6)) * [1, 5, 2, 4, 3, 6], rng.normal(size=rows)


def test_bars_are_those_of_the_largest_features_the_others_and_the_base():
    bits, base = numbers()
    drawn = BitsDisplay.from_predictions(bits, base, n_features=3)
    order = np.argsort(-abs(bits[0]))
    widths = [bar.get_width() for bar in drawn.bars_]
    rest = bits[0, order[3:]].sum()
    assert_allclose(widths, [*bits[0, order[:3]], rest, base[0]])
    assert_allclose(sum(widths), bits.sum() + base[0])
    names = texts(drawn.ax_.get_yticklabels())
    assert names == [*[f"x{i}" for i in order[:3]], "3 others", "base"]
    assert drawn.image_ is None


def test_heat_map_has_a_line_per_sample():
    bits, base = numbers(9)
    drawn = BitsDisplay.from_predictions(bits, base)
    order = np.argsort(-abs(bits).mean(axis=0))
    expected = np.column_stack([bits[:, order], base])
    assert_allclose(drawn.image_.get_array(), expected)
    low, high = drawn.image_.get_clim()
    assert low == -high == -abs(expected).max()
    assert drawn.bars_ is None


def test_bits_without_a_target_compare_the_best_class_with_the_next(model):
    X, _ = load_wine(return_X_y=True)
    frame = BitsDisplay.from_estimator(model, X).frame()
    decision = np.sort(model.decision_function(X), axis=1)
    assert frame.shape == (178, 14)
    assert_allclose(frame.sum(axis=1), decision[:, -1] - decision[:, -2], rtol=1e-9)


def test_bits_with_a_target_are_those_of_its_decision(model):
    X, y = load_wine(return_X_y=True)
    for target in range(3):
        frame = BitsDisplay.from_estimator(model, X[::9], target=target).frame()
        expected = model.decision_function(X[::9])[:, target]
        assert_allclose(frame.sum(axis=1), expected, rtol=1e-9, atol=1e-9)
    names = np.where(y == 0, "a", "b")
    two = MICLClassifier().fit(X, names)
    for target, sign in (("a", -1.0), ("b", 1.0)):
        frame = BitsDisplay.from_estimator(two, X[:5], target=target).frame()
        assert_allclose(frame.sum(axis=1), sign * two.decision_function(X[:5]))
    frame = BitsDisplay.from_estimator(two, X).frame()
    assert_allclose(frame.sum(axis=1), abs(two.decision_function(X)))


def test_names_of_features_are_shown():
    X, y = load_wine(return_X_y=True, as_frame=True)
    fitted = MICLClassifier().fit(X, y)
    frame = BitsDisplay.from_estimator(fitted, X[:1]).frame()
    assert [*frame.columns] == [*X.columns, "base"]
    scaled = make_pipeline(StandardScaler(), MICLClassifier()).fit(X, y)
    frame = BitsDisplay.from_estimator(scaled, X[:1]).frame()
    assert [*frame.columns] == [*X.columns, "base"]
    nameless = make_pipeline(FunctionTransformer(np.asarray), MICLClassifier())
    frame = BitsDisplay.from_estimator(nameless.fit(X, y), X[:1]).frame()
    assert [*frame.columns] == [*(f"x{i}" for i in range(13)), "base"]
    given = [f"f{i}" for i in range(13)]
    shown = BitsDisplay.from_estimator(
        fitted, X[:1], feature_names=given, n_features=99
    )
    assert set(texts(shown.ax_.get_yticklabels())) <= {*given, "base"}


def test_wrong_arguments_are_named(model):
    bits, base = numbers(4)
    for arguments, options, message in (
        ((bits[0],), {}, "bits"),
        ((bits * np.nan,), {}, "bits"),
        ((bits, base[:2]), {}, "base"),
        ((bits,), {"feature_names": ["a"]}, "feature_names"),
        ((bits,), {"n_features": 0}, "n_features"),
        ((bits,), {"n_features": 1.5}, "n_features"),
    ):
        with pytest.raises(ValueError, match=message):
            BitsDisplay.from_predictions(*arguments, **options)
    X, y = load_wine(return_X_y=True)
    with pytest.raises(ValueError, match="target"):
        BitsDisplay.from_estimator(model, X, target=7)
    kernel = MICLClassifier(kernel="rbf").fit(X, y)
    with pytest.raises(ValueError, match="linear kernel"):
        BitsDisplay.from_estimator(kernel, X)


@pytest.mark.parametrize("epsilon", [2.0, 50.0])
def test_bits_of_groups(epsilon):
    X = StandardScaler().fit_transform(load_wine().data)
    model = CompressionClustering(epsilon).fit(X)
    total = model.explain(X).bits.sum(axis=1) + model.explain(X).base
    for j in range(model.n_clusters_):
        frame = BitsDisplay.from_estimator(model, X, target=j).frame()
        assert_allclose(frame.sum(axis=1), total[:, j])
    frame = BitsDisplay.from_estimator(model, X).frame()
    ordered = np.sort(total, axis=1)
    second = ordered[:, -2] if model.n_clusters_ > 1 else 0.0
    assert_allclose(frame.sum(axis=1), ordered[:, -1] - second, atol=1e-9)
