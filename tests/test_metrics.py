"""The scores agree with their definitions and can be used as scorers."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from settings import limit
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skredu import MICLClassifier
from skredu.datasets import make_subspaces
from skredu.metrics import (
    class_similarity,
    clustering_accuracy,
    coding_length_score,
    label_quality,
    rate_reduction_score,
)
from skredu.rates import coding_length, partition_coding_length, rate_reduction

labellings = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(-1, 3), min_size=n, max_size=n),
        st.lists(st.integers(-1, 4), min_size=n, max_size=n),
        st.lists(st.integers(0, 3), min_size=n, max_size=n),
    )
)
ROW_SCORES = {
    "class_similarity": class_similarity,
    "coding_length_score": lambda X, y, **options: coding_length_score(
        X, y, epsilon=0.3, **options
    ),
    "rate_reduction_score": rate_reduction_score,
}
row_scores = pytest.mark.parametrize("score", ROW_SCORES.values(), ids=ROW_SCORES)


def rows_and_labels(n=17, d=4, k=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), np.arange(n) % k


def right_in_the_best_renaming(labels_true, labels_pred):
    """Return the rows that agree, by trying every one-to-one renaming."""
    names = sorted(set(labels_true))
    groups = sorted(set(labels_pred))
    names += [None] * len(groups)  # a group may have no label
    best = 0
    for chosen in set(itertools.permutations(names, len(groups))):
        renamed = dict(zip(groups, chosen, strict=True))
        pairs = zip(labels_true, labels_pred, strict=True)
        best = max(best, sum(renamed[group] == name for name, group in pairs))
    return best


# -- clustering accuracy --------------------------------------------------------------


@given(labellings)
def test_accuracy_tries_every_renaming(case):
    labels_true, labels_pred, _ = case
    small = [group % 3 for group in labels_pred]
    right = right_in_the_best_renaming(labels_true, small)
    assert clustering_accuracy(labels_true, small) == right / len(small)


@given(labellings, st.permutations("uvwxyz"))
def test_accuracy_ignores_names(case, names):
    labels_true, labels_pred, _ = case
    accuracy = clustering_accuracy(labels_true, labels_pred)
    renamed = [names[group] for group in labels_pred]
    assert clustering_accuracy(labels_true, renamed) == accuracy
    assert clustering_accuracy(labels_pred, labels_true) == accuracy
    assert clustering_accuracy(renamed, labels_pred) == 1.0
    assert 0.0 < accuracy <= 1.0


@given(labellings)
def test_weights_of_the_accuracy_are_copies(case):
    labels_true, labels_pred, weights = case
    weights[0] += 1
    copies = clustering_accuracy(
        np.repeat(labels_true, weights), np.repeat(labels_pred, weights)
    )
    for factor in (1, 0.37, 1e300):
        weighted = clustering_accuracy(
            labels_true, labels_pred, sample_weight=np.array(weights) * factor
        )
        assert_allclose(weighted, copies, rtol=1e-14)


def test_surplus_groups_and_outliers_count_as_wrong():
    weights = np.full(3, np.finfo(float).max)  # their sum may overflow
    assert clustering_accuracy([0, 1, 1], [0, 0, 1], sample_weight=weights) == 2 / 3
    assert clustering_accuracy([0, 0, 0, 0], [0, 1, 2, 3]) == 0.25
    assert clustering_accuracy([0, 0, 1, 1, 2, 2], [5, 5, 5, 5, 5, 5]) == 1 / 3
    # -1 is a label like any other: here the outliers are found ...
    assert clustering_accuracy([-1, 0, 0], [-1, 7, 7]) == 1.0
    # ... and here the only group is called noise, which is a good name for it.
    assert clustering_accuracy([0, 0, 0], [-1, -1, -1]) == 1.0


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "b", "a"],
        np.array(["b", "b", "a"], dtype=object),
        [True, True, False],
        [0.5, 0.5, -1.0],
        np.array([[1], [1], [0]], dtype=np.uint8),
        pd.Series(["b", "b", "a"], index=[7, 3, 5], dtype="category"),
    ],
)
def test_labels_of_any_type(labels):
    assert clustering_accuracy(labels, [1, 1, 0]) == 1.0
    assert clustering_accuracy([0, 1, 1], labels) == 2 / 3
    X = rows_and_labels(3)[0]
    for score in ROW_SCORES.values():
        assert_array_equal(score(X, labels), score(X, [1, 1, 0]))


# -- coding length score --------------------------------------------------------------


@given(
    epsilon=st.sampled_from([0.01, 0.3, 5.0]),
    assume_centered=st.booleans(),
    seed=st.integers(0, 100),
)
def test_coding_length_score_is_the_share_of_bits_saved(epsilon, assume_centered, seed):
    X, y = make_subspaces(15, random_state=seed)
    y = y if seed % 2 else y[::-1]
    options = {"epsilon": epsilon, "assume_centered": assume_centered}
    whole = coding_length(X, **options)
    parts = partition_coding_length(X, y, **options)
    score = coding_length_score(X, y, **options)
    expected = 1 - parts / whole if parts < whole else whole / parts - 1
    assert_allclose(score, expected, rtol=1e-12, atol=1e-15)
    assert coding_length_score(X, np.zeros(len(y)), **options) == 0.0


def test_rows_of_zeros_cost_nothing():
    zeros = np.zeros((4, 3))
    assert coding_length_score(zeros, [0, 0, 0, 0], epsilon=1.0) == 0.0
    assert coding_length_score(zeros, [0, 0, 1, 1], epsilon=1.0) == -1.0
    assert rate_reduction_score(zeros, [0, 0, 1, 1]) == 0.0
    assert_array_equal(class_similarity(zeros, [0, 0, 1, 1]), np.zeros((2, 2)))


# -- rate reduction score -------------------------------------------------------------


@given(epsilon=st.sampled_from([0.1, 0.5, 2.0]), seed=st.integers(0, 100))
def test_rate_reduction_score_is_the_rate_reduction_on_the_sphere(epsilon, seed):
    X, y = rows_and_labels(seed=seed)
    X[3] = 0.0
    Z = X / np.where(X.any(axis=1), np.linalg.norm(X, axis=1), 1.0)[:, None]
    score = rate_reduction_score(X, y, epsilon=epsilon)
    assert_allclose(score, rate_reduction(Z, y, epsilon=epsilon), rtol=1e-12)
    sizes = np.exp(np.random.default_rng(seed).normal(size=(len(X), 1)))
    assert_allclose(rate_reduction_score(sizes * X, y, epsilon=epsilon), score)


@given(seed=st.integers(0, 100))
def test_rate_reduction_score_is_never_negative(seed):
    X, y = rows_and_labels(n=6, seed=seed)
    same = rate_reduction_score(np.vstack([X, X]), np.repeat([0, 1], 6))
    assert 0.0 <= same < 1e-14
    one = rate_reduction_score(X, np.zeros(6))
    assert 0.0 <= one < 1e-14
    assert math.copysign(1.0, one) == 1.0
    assert rate_reduction_score(X, y) > 0.0


# -- class similarity -----------------------------------------------------------------


@given(seed=st.integers(0, 100), n=st.integers(3, 40))
def test_class_similarity_is_a_mean_over_all_pairs(seed, n):
    X, y = rows_and_labels(n=n, seed=seed)
    X[n // 2] = 0.0
    cosines = np.abs(cosine_similarity(X))
    similarity = class_similarity(X, y)
    expected = [[cosines[y == i][:, y == j].mean() for j in range(3)] for i in range(3)]
    assert_allclose(similarity, expected, rtol=1e-12, atol=1e-15)
    assert_array_equal(similarity, similarity.T)


def test_class_similarity_in_blocks(monkeypatch):
    X, y = rows_and_labels(n=50)
    whole = class_similarity(X, y)
    for block in (1, 50, 120, 2500):
        limit(monkeypatch, BLOCK=block)
        assert_allclose(class_similarity(X, y), whole, rtol=1e-13)


def test_similarity_is_at_most_one():
    rng = np.random.default_rng(0)
    for direction in rng.normal(size=(50, 5)):
        rows = np.outer(rng.normal(size=7), direction)
        similarity = class_similarity(rows, [0, 0, 0, 1, 1, 1, 1])
        assert_allclose(similarity, 1.0, rtol=1e-14)
        assert np.max(similarity) <= 1.0


def test_weights_of_the_similarity_may_be_huge_or_zero():
    X, y = rows_and_labels(n=9)
    w = np.arange(1.0, 10.0)
    expected = class_similarity(X, y, sample_weight=w)
    assert_allclose(class_similarity(X, y, sample_weight=1e300 * w), expected)
    similarity = class_similarity(np.eye(2), ["a", "b"], sample_weight=[1, 0])
    assert_array_equal(similarity, [[1.0, 0.0], [0.0, 0.0]])


# -- what all scores of rows share ----------------------------------------------------


@row_scores
@given(
    weights=st.lists(st.integers(0, 3), min_size=9, max_size=9),
    factor=st.sampled_from([1.0, 0.5]),
)
def test_weights_are_copies(score, weights, factor):
    X, y = rows_and_labels(n=9)
    weights = np.array(weights)
    weights[:3] += 1  # one row of each class is there
    copies = score(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    assert_allclose(score(X, y, sample_weight=weights), copies, rtol=1e-11, atol=1e-14)
    if factor != 1.0 and score is not ROW_SCORES["coding_length_score"]:
        weighted = score(X, y, sample_weight=factor * weights)
        assert_allclose(weighted, copies, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("score", [class_similarity, rate_reduction_score])
def test_sizes_of_rows_do_not_matter_up_to_the_limits(score):
    for size in [5e-324, 1e-310, 1e-150, 1e150, 1e308]:
        X = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, -1.0]])
        y = [0, 0, 1, 1]
        assert_allclose(score(X * size, y), score(X, y), rtol=1e-12)
        sizes = np.array([[size], [1.0], [1e-300], [1e300]])
        assert_allclose(score(X * sizes, y), score(X, y), rtol=1e-12)


@row_scores
def test_rows_in_any_form(score, dtype):
    X, y = rows_and_labels()
    expected = score(X, y)
    assert_array_equal(score(X.tolist(), y.tolist()), expected)
    assert_array_equal(score(pd.DataFrame(X), pd.Series(y)), expected)
    assert_allclose(score(np.asfortranarray(X), y), expected, rtol=1e-13)
    assert_allclose(score(X.astype(dtype), y), expected, rtol=1e-5)
    assert np.asarray(score(X.astype(dtype), y)).dtype == np.float64


@row_scores
def test_array_namespaces(score, xp):
    X, y = rows_and_labels()
    weights = 1.0 + np.arange(len(X)) % 3
    expected = score(X, y, sample_weight=weights)
    found = score(xp.asarray(X), y, sample_weight=xp.asarray(weights))
    if score is class_similarity:
        found = xp.to_numpy(found)
    assert_allclose(found, expected, rtol=1e-12)


# -- bad input ------------------------------------------------------------------------

NOT_LABELS = [
    [],
    3,
    None,
    [[0, 1], [1, 0]],
    [0.0, math.nan, 1.0, 1.0],
    [0.0, math.inf, 1.0, 1.0],
    np.array(["a", math.nan, "b", "b"], dtype=object),
    np.array(["a", None, 3, "b"], dtype=object),
]
NOT_WEIGHTS = [
    [1.0, 1.0],
    [1.0, 1.0, 1.0, -1.0],
    [0.0, 0.0, 0.0, 0.0],
    [1.0, 1.0, 1.0, math.nan],
    [1.0, 1.0, 1.0, math.inf],
    ["a", "b", "c", "d"],
]
NOT_ROWS = [[1.0, 2.0, 3.0, 4.0], [[math.nan]] * 4, [[math.inf]] * 4, [["a"]] * 4, []]


@pytest.mark.parametrize("labels", NOT_LABELS)
def test_bad_labels_are_named(labels):
    with pytest.raises(ValueError, match=r"^Bad labels_true: "):
        clustering_accuracy(labels, [0, 1, 1, 1])
    with pytest.raises(ValueError, match=r"^Bad labels_pred: "):
        clustering_accuracy([0, 1, 1, 1], labels)
    for score in ROW_SCORES.values():
        with pytest.raises(ValueError, match=r"^Bad labels: "):
            score(np.eye(4), labels)


def test_lengths_are_told():
    message = r"^Bad labels_pred: .* each of the 3 rows of labels_true, found 2\.$"
    with pytest.raises(ValueError, match=message):
        clustering_accuracy([0, 1, 1], [0, 1])
    for score in ROW_SCORES.values():
        message = r"^Bad labels: .* each of the 3 rows of X, found 2\.$"
        with pytest.raises(ValueError, match=message):
            score(np.eye(3), [0, 1])


@pytest.mark.parametrize("weights", NOT_WEIGHTS)
def test_bad_weights_are_named(weights):
    labels = [0, 0, 1, 1]
    with pytest.raises(ValueError, match=r"^Bad sample_weight: "):
        clustering_accuracy(labels, labels, sample_weight=weights)
    for score in ROW_SCORES.values():
        with pytest.raises(ValueError, match=r"^Bad sample_weight: "):
            score(np.eye(4), labels, sample_weight=weights)


@row_scores
def test_bad_rows_are_named(score):
    for X in NOT_ROWS:
        with pytest.raises(ValueError, match=r"^Bad X: "):
            score(X, [0, 0, 1, 1])


@pytest.mark.parametrize("score", [coding_length_score, rate_reduction_score])
def test_bad_distortions_are_named(score):
    for epsilon in [0, -1.0, math.nan, math.inf, "auto", None]:
        with pytest.raises(ValueError, match=r"^Bad epsilon: .*positive finite number"):
            score(np.eye(2), [0, 1], epsilon=epsilon)


# -- quality of labels ----------------------------------------------------------------


def test_label_quality_is_that_of_the_fitted_classifier():
    X, y = load_iris(return_X_y=True)
    assert_array_equal(label_quality(X, y), MICLClassifier().fit(X, y).label_quality_)
    rbf = MICLClassifier(kernel="rbf")
    model = make_pipeline(StandardScaler(), rbf)
    found = label_quality(X, y, estimator=model)
    assert_array_equal(found, model.fit(X, y)[-1].label_quality_)
    names = np.array(["a", "b", "c"])[y]
    assert_array_equal(
        label_quality(X, names, estimator=make_pipeline(rbf)),
        label_quality(X, y, estimator=rbf),
    )


def test_label_quality_needs_no_calibration_and_takes_weights():
    X, y = load_iris(return_X_y=True)
    given = MICLClassifier(0.3, calibrate=False)
    assert not hasattr(given.fit(X, y), "label_quality_")
    assert np.isfinite(label_quality(X, y, estimator=given)).all()
    weights = np.arange(150) % 3
    found = label_quality(X, y, estimator=given, sample_weight=weights)
    assert_array_equal(np.isnan(found), weights == 0)


@pytest.mark.parametrize("kernel", ["linear", "auto"])
def test_label_quality_of_many_samples_is_known_for_all(kernel, monkeypatch):
    X, y = load_iris(return_X_y=True)
    expected = label_quality(X, y, estimator=MICLClassifier(kernel=kernel))
    limit(monkeypatch, MAX_ROWS=60, MOST_FACTORING=1.2e5)
    model = MICLClassifier(kernel=kernel).fit(X, y)
    assert 60 <= np.isfinite(model.label_quality_).sum() < 66
    found = label_quality(X, y, estimator=MICLClassifier(kernel=kernel))
    assert np.isfinite(found).all()
    assert np.abs(found - expected).mean() < 0.05


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
@pytest.mark.parametrize("kernel", ["linear", "auto"])
def test_label_quality_finds_wrong_labels(load, kernel):
    X, y = load(return_X_y=True)
    X, rng = StandardScaler().fit_transform(X), np.random.default_rng(0)
    wrong = rng.permutation(len(y))[: len(y) // 10]
    labels, k = y.copy(), len(np.unique(y))
    labels[wrong] = (y[wrong] + rng.integers(1, k, len(wrong))) % k
    quality = label_quality(X, labels, estimator=MICLClassifier(kernel=kernel))
    assert roc_auc_score(labels != y, -quality) > 0.97


def test_label_quality_needs_micl_and_labels():
    for estimator in (PCA(), make_pipeline(PCA()), 3, "micl", MICLClassifier):
        with pytest.raises(ValueError, match="Bad estimator"):
            label_quality(np.eye(4), [0, 0, 1, 1], estimator=estimator)
    with pytest.raises(ValueError, match="Bad labels: must be the labels to judge"):
        label_quality(np.eye(4), None)
