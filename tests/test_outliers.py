"""CompressionOutlierDetector: bits, threshold, and samples that come in parts."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skredu import CompressionOutlierDetector
from skredu.coding._symmetry import permutations_of
from skredu.outliers._threshold import bits_of_outliers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)) @ np.diag([3.0, 2.0, 1.0, 0.1])
NEW = 2.0 * RNG.normal(size=(7, 4))
WEIGHTS = RNG.integers(1, 4, 60)
KINDS = [15, None]
each = pytest.mark.parametrize("n_neighbors", KINDS)


# -- the definition, literally --------------------------------------------------------


def length(rows, epsilon):
    """Return the bits of rows about their mean, which takes none."""
    n, d = rows.shape
    sigma = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    log_det = np.log1p(d / n / epsilon**2 * sigma**2).sum()
    return (n + d) / 2 * log_det / np.log(2)


def bits_with_all(x, others, epsilon):
    return length(np.vstack([others, x]), epsilon) - length(others, epsilon)


def bits_with_nearest(x, others, epsilon, m):
    """Return the mean length of the differences, each feature by itself."""
    order = np.argsort(np.abs(others - x).sum(axis=1), kind="stable")[:m]
    apart = (others[order] - x) * len(x) ** 0.5
    alone = 0.5 * np.log2(1 + apart**2 / epsilon**2)  # the length of a single number
    return np.mean(alone) * len(x)


def bits_with_nearest_images(x, images, weights, epsilon, m):
    """Return the mean length of the differences; equal distances share a weight."""
    distances = np.abs(images - x).sum(axis=1).round(9)
    lengths = np.log2(1 + len(x) * (images - x) ** 2 / epsilon**2).sum(axis=1) / 2
    left, total = m, 0.0
    for distance in np.unique(distances):
        tied = distances == distance
        weight = weights[tied].sum()
        total += min(left, weight) / weight * weights[tied] @ lengths[tied]
        left -= min(left, weight)
    return total / (m - left)


def bits(x, others, epsilon, n_neighbors):
    if n_neighbors is None:
        return bits_with_all(x, others, epsilon)
    return bits_with_nearest(x, others, epsilon, n_neighbors)


def first_alone(numbers, epsilon=0.05):
    """Return the positions of outliers: all from the first that is coded on its own."""
    order = np.argsort(numbers, kind="stable")
    sorted_numbers = np.asarray(numbers)[order]

    def part(values):
        apart, k = values - values.mean(), len(values)
        nats = (k + 1) / 2 * np.log(1 + (apart @ apart) / k / epsilon**2)
        return nats - k * np.log(k)

    for k in range((len(order) + 1) // 2, len(order)):
        low, new = sorted_numbers[:k], sorted_numbers[k]
        square = max((new - low.mean()) ** 2, low.var())
        own = 0.5 * np.log(1 + square / epsilon**2)
        if part(np.append(low, new)) > part(low) + own:
            return np.sort(order[k:])
    return order[:0]


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 30.0])
@each
def test_scores_are_minus_the_bits_given_the_other_samples(n_neighbors, epsilon):
    model = CompressionOutlierDetector(epsilon, n_neighbors=n_neighbors).fit(X)
    expected = [-bits(x, X, epsilon, n_neighbors) for x in NEW]
    assert_allclose(model.score_samples(NEW), expected, rtol=1e-9)
    left_out = [
        -bits(x, np.delete(X, i, axis=0), epsilon, n_neighbors) for i, x in enumerate(X)
    ]
    assert_allclose(model.training_scores_, left_out, rtol=1e-8)
    assert_array_equal(model.score_samples(X), model.training_scores_)


@each
def test_left_out_scores_are_those_of_a_fit_without_the_sample(n_neighbors):
    model = CompressionOutlierDetector(0.3, n_neighbors=n_neighbors)
    scores = clone(model).fit(X, sample_weight=WEIGHTS).training_scores_
    for i in (0, 17, 59):
        others = np.delete(X, i, axis=0), None, np.delete(WEIGHTS, i)
        found = clone(model).fit(*others).score_samples(X[i : i + 1])
        assert_allclose(found, scores[i], rtol=1e-9)


def test_few_samples_of_many_features_are_left_out_precisely():
    wide = RNG.normal(size=(8, 40))
    model = CompressionOutlierDetector(0.01, n_neighbors=None).fit(wide)
    expected = [
        -bits_with_all(x, np.delete(wide, i, 0), 0.01) for i, x in enumerate(wide)
    ]
    assert_allclose(model.training_scores_, expected, rtol=1e-9)


def test_a_distortion_that_is_chosen_is_best_for_left_out_samples():
    model = CompressionOutlierDetector(n_neighbors=None).fit(X)
    spread = np.sqrt(((X - X.mean(axis=0)) ** 2).sum(axis=1).mean())
    path = 2.0 * spread * np.logspace(-3.0, 0.5, 20)
    costs = [
        sum(bits_with_all(x, np.delete(X, i, 0), e) for i, x in enumerate(X))
        + len(X) * 4 * np.log2(e)
        for e in path
    ]
    assert_allclose(model.epsilon_, path[np.argmin(costs)])
    local = CompressionOutlierDetector().fit(X)
    assert_allclose(local.epsilon_, spread)


# -- the threshold --------------------------------------------------------------------


@each
def test_outliers_are_the_first_number_of_bits_on_its_own_and_all_higher_ones(
    n_neighbors,
):
    found = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        rows = np.vstack([rng.normal(size=(50, 3)), 9.0 * rng.normal(size=(seed, 3))])
        model = CompressionOutlierDetector(n_neighbors=n_neighbors).fit(rows)
        expected = first_alone(-model.training_scores_)
        assert_array_equal(np.flatnonzero(model.predict(rows) < 0), expected)
        found += len(expected)
    assert found >= 14


def test_threshold_is_where_bits_on_their_own_equal_those_with_the_others():
    numbers = RNG.normal(size=40)
    for outliers in ([], [40.0], [40.0, 41.0, 500.0]):
        every = np.append(numbers, outliers)
        limit = bits_of_outliers(every, np.ones(len(every)), "auto")
        assert numbers.max() <= limit
        for factor, flagged in ((1 - 1e-9, 0), (1 + 1e-9, 1)):
            new = numbers.mean() + factor * (limit - numbers.mean())
            assert len(first_alone(np.append(numbers, new))) == flagged


def test_many_outliers_do_not_hide_each_other_and_those_between_blobs_are_found():
    rows = np.vstack([RNG.normal(size=(100, 3)), 50.0 + 9.0 * RNG.normal(size=(30, 3))])
    found = CompressionOutlierDetector(n_neighbors=35).fit_predict(rows) < 0
    assert found[100:].all()
    assert found[:100].sum() <= 3
    blobs, _ = make_blobs(300, 2, centers=[(0, 0), (9, 0), (0, 9)], random_state=0)
    rows = np.vstack([blobs, [[4.5, 4.5], [9, 9], [-5, -5]]])
    score = CompressionOutlierDetector().fit(rows).training_scores_
    assert_array_equal(np.sort(np.argsort(score)[:3]), [300, 301, 302])


@pytest.mark.parametrize(("n", "d"), [(300, 2), (1000, 2), (300, 4), (500, 20)])
@each
def test_few_gaussian_samples_are_outliers(n_neighbors, n, d):
    shares = [
        (CompressionOutlierDetector(n_neighbors=n_neighbors).fit_predict(
            np.random.default_rng(seed).normal(size=(n, d))) < 0).mean()
        for seed in range(3)
    ]  # fmt: skip
    assert np.mean(shares) <= (0.04 if d == 2 else 0.01)


@each
def test_contamination_is_the_share_of_outliers_in_the_weight(n_neighbors):
    model = CompressionOutlierDetector(n_neighbors=n_neighbors)
    for share in (0.001, 0.1, 1 / 3, 0.5):
        model.set_params(contamination=share)
        assert (model.fit_predict(X) < 0).sum() == int(share * len(X) + 1e-9)
        index = np.repeat(np.arange(60), WEIGHTS)
        by_copies = model.fit_predict(X[index])
        by_weights = model.fit(X, sample_weight=WEIGHTS).predict(X)
        assert_array_equal(by_copies, by_weights[index])
        assert (by_copies < 0).sum() <= share * len(index) + 1e-9
    equal = np.ones((10, 2))
    assert (model.fit_predict(equal) == 1).all()  # ties are no outliers


# -- what changes nothing -------------------------------------------------------------


@each
def test_shifts_do_not_matter_and_copies_are_left_out_together(n_neighbors):
    model = CompressionOutlierDetector(n_neighbors=n_neighbors)
    scores = clone(model).fit(X).score_samples(NEW)
    far = clone(model).fit(X + 1e6).score_samples(NEW + 1e6)
    assert_allclose(far, scores, rtol=1e-6)
    twice = clone(model).set_params(epsilon=0.5).fit(np.vstack([X, X[:1], X[:1]]))
    once = clone(model).set_params(epsilon=0.5).fit(X)
    assert_allclose(twice.training_scores_[0], once.training_scores_[0], rtol=1e-9)


def test_scores_of_neighbours_with_ties_do_not_depend_on_the_order():
    rows = RNG.integers(0, 3, (80, 3)).astype(float)
    order = RNG.permutation(80)
    model = CompressionOutlierDetector(n_neighbors=4)
    expected = model.fit(rows).training_scores_[order]
    assert_allclose(model.fit(rows[order]).training_scores_, expected, rtol=1e-12)


# -- samples that come in parts -------------------------------------------------------

GAUSSIAN = CompressionOutlierDetector(n_neighbors=None)


def assert_same(found, expected, rtol=1e-10):
    assert_allclose(found.score_samples(NEW), expected.score_samples(NEW), rtol=rtol)
    assert_allclose(found.offset_, expected.offset_, rtol=rtol)
    assert_allclose(found.epsilon_, expected.epsilon_, rtol=rtol)


@pytest.mark.parametrize("c", [1.0, 1e150, 1e-150])
def test_stream_equals_fit(c):
    whole = clone(GAUSSIAN).fit(c * X, sample_weight=WEIGHTS)
    stream = clone(GAUSSIAN)
    for part in np.array_split(np.arange(60), 7):
        stream.partial_fit(c * X[part], sample_weight=WEIGHTS[part])
    assert_allclose(stream.score_samples(c * NEW), whole.score_samples(c * NEW))
    assert_allclose([stream.offset_, stream.epsilon_], [whole.offset_, whole.epsilon_])
    after = clone(GAUSSIAN).fit(c * X[:30], sample_weight=WEIGHTS[:30])
    after.partial_fit(c * X[30:], sample_weight=WEIGHTS[30:])
    assert_allclose(after.score_samples(c * NEW), whole.score_samples(c * NEW))


def test_long_stream_equals_fit(monkeypatch):
    many, whole = RNG.normal(size=(6000, 3)) * [1, 2, 3], clone(GAUSSIAN)
    whole.fit(many)
    stream = clone(GAUSSIAN)
    monkeypatch.setattr("skredu._stream.MOST_WAITING", 1000)
    for part in np.array_split(many, 9)[::-1]:
        stream.partial_fit(part)
    new = RNG.normal(size=(9, 3))
    assert_allclose(stream.score_samples(new), whole.score_samples(new), rtol=1e-10)
    assert_allclose(stream.offset_, whole.offset_, rtol=1e-9)
    assert not hasattr(stream, "training_scores_")


@pytest.mark.parametrize("c", [1e-140, 1e-153, 1e-158, 1e-300])
def test_stream_that_begins_with_zeros_goes_on_with_tiny_samples(c):
    model = clone(GAUSSIAN).partial_fit(np.zeros((5, 4))).partial_fit(c * X)
    assert model.epsilon_ > 0.0
    assert np.isfinite(model.decision_function(c * NEW)).all()


def test_models_of_parts_add_up_in_any_order():
    parts = [clone(GAUSSIAN).partial_fit(X[i::3]) for i in range(3)]
    whole = clone(GAUSSIAN).fit(X)
    for order in ([0, 1, 2], [2, 0, 1]):
        found = CompressionOutlierDetector.from_parts([parts[i] for i in order])
        assert_same(found, whole)


def test_only_a_gaussian_takes_parts():
    assert not hasattr(CompressionOutlierDetector(), "partial_fit")
    assert not hasattr(CompressionOutlierDetector(), "merge")
    model = clone(GAUSSIAN).partial_fit(X)
    with pytest.raises(ValueError, match=r"epsilon .* must not change"):
        model.set_params(epsilon=1.0).partial_fit(X)
    with pytest.raises(NotFittedError):
        CompressionOutlierDetector().predict(X)


# -- hard samples, and use with scikit-learn ------------------------------------------


def test_a_single_sample_is_no_outlier_and_a_new_one_takes_bits():
    for n_neighbors in KINDS:
        model = CompressionOutlierDetector(n_neighbors=n_neighbors).fit(X[:1])
        assert model.predict(X[:1]) == [1]
        assert model.training_scores_ == [0.0]
        assert model.score_samples(X[:1] + 5.0) < 0.0


def test_constant_and_dependent_features_add_nothing():
    wide = np.column_stack([X, np.ones(60), X[:, 0] + X[:, 1]])
    model = CompressionOutlierDetector(n_neighbors=None).fit(wide)
    assert np.isfinite(model.training_scores_).all()
    shifted = wide[:1] + np.array([0, 0, 0, 0, 0, 3.0])  # off the subspace
    assert model.predict(shifted) == [-1]


def test_pipeline_search_and_frames():
    frame = pd.DataFrame(X, columns=list("abcd"))
    pipeline = make_pipeline(StandardScaler(), CompressionOutlierDetector())
    assert_array_equal(pipeline.fit(frame).feature_names_in_, list("abcd"))
    assert set(pipeline.predict(frame)) <= {-1, 1}
    y = np.where(np.arange(60) % 20 == 7, -1, 1)
    moved = X + 30.0 * (y < 0)[:, None]

    def score(model, rows, y):
        return roc_auc_score(y, model.score_samples(rows))

    grid = {"n_neighbors": [5, 20]}
    search = GridSearchCV(CompressionOutlierDetector(), grid, scoring=score, cv=3)
    assert search.fit(moved, y).best_score_ == 1.0


def test_wrong_parameters_are_named():
    for options, message in (
        ({"epsilon": 1e-200}, "epsilon=1e-200 is too small"),
        ({"symmetry": "flip", "signal_shape": 3}, "not a multiple"),
        ({"signal_shape": (2, 2)}, "signal_shape"),
    ):
        with pytest.raises(ValueError, match=message):
            CompressionOutlierDetector(**options).fit(X)


# -- missing features, and symmetries -------------------------------------------------

GAPS = np.where(np.random.default_rng(1).random(X.shape) < 0.3, np.nan, X)


def usual_bits(rows, epsilon):
    """Return the bits of a sample whose squared length is the mean of a normal one."""
    n, d = rows.shape
    covariance = np.atleast_2d(np.cov(rows.T, bias=True))
    metric = (
        d
        / ((n + 1) * epsilon**2)
        * np.linalg.inv(np.eye(d) + d * n / ((n + 1) * epsilon**2) * covariance)
    )
    scatter, scale = n * covariance, d / ((n + 1) * epsilon**2)
    log_det = np.linalg.slogdet(np.eye(d) + scale * scatter)[1]
    log_det += np.log1p(n / (n + 1) * np.trace(metric @ covariance))
    return (n + 1 + d) / 2 * log_det / np.log(2) - length(rows, epsilon)


@pytest.mark.parametrize("epsilon", [0.1, 2.0])
def test_samples_with_gaps_are_coded_by_the_gaussian_of_what_they_have(epsilon):
    model = CompressionOutlierDetector(epsilon, n_neighbors=None).fit(X)
    new = np.where(np.random.default_rng(2).random(NEW.shape) < 0.5, np.nan, NEW)
    new[0], new[1] = np.nan, NEW[1]
    whole = usual_bits(X, epsilon)
    expected = [whole, bits_with_all(new[1], X, epsilon)]
    for x in new[2:]:
        seen = ~np.isnan(x)
        finer = epsilon * np.sqrt(seen.mean())
        found = bits_with_all(x[seen], X[:, seen], finer)
        expected.append(found * whole / usual_bits(X[:, seen], finer))
    assert_allclose(model.score_samples(new), -np.array(expected), rtol=1e-9)


def test_samples_with_gaps_are_described_by_neighbours_on_what_they_have():
    model = CompressionOutlierDetector(0.5, n_neighbors=3).fit(X)
    new, far = NEW.copy(), NEW.copy()
    new[:, 0], far[:, 0] = np.nan, 1e3
    scores = model.score_samples(new)
    per_feature = [
        [
            np.log2(1 + 4 * (X[j] - X[i]) ** 2 / 0.25) / 2
            for j in np.argsort(np.abs(X - X[i]).sum(axis=1))[1:4]
        ]
        for i in range(60)
    ]
    usual = np.mean(per_feature, axis=(0, 1))
    K = np.cov(X.T, bias=True)
    K += 1e-3 * np.trace(K) * np.eye(4)
    filled = new.copy()
    away = new[:, 1:] - X.mean(axis=0)[1:]
    filled[:, 0] = X[:, 0].mean() + away @ np.linalg.solve(K[1:, 1:], K[1:, 0])
    for x, score in zip(filled, scores, strict=True):
        near = X[np.argsort(np.abs(X - x).sum(axis=1))[:3]]
        own = np.mean(np.log2(1 + 4 * (near - x) ** 2 / 0.25) / 2, axis=0)[1:].sum()
        assert_allclose(-score, own * usual.sum() / usual[1:].sum(), rtol=1e-8)
    assert (model.score_samples(far) < scores).all()


@each
def test_training_samples_may_have_gaps(n_neighbors):
    rows = np.vstack([GAPS, 8.0 + GAPS[:2], [[np.nan] * 4]])
    model = CompressionOutlierDetector(n_neighbors=n_neighbors).fit(rows)
    scores = model.training_scores_
    assert (scores[60:62] < np.quantile(scores, 0.1)).all()
    assert_array_equal(model.score_samples(rows), model.training_scores_)
    assert model.predict([[np.nan] * 4]) == [1]
    assert model.predict([[99.0, np.nan, np.nan, 99.0]]) == [-1]
    # order, weights and units
    order = RNG.permutation(len(rows))
    other = clone(model).fit(rows[order])
    assert_allclose(other.training_scores_, model.training_scores_[order], rtol=1e-9)
    copies = clone(model).fit(np.vstack([rows, rows[:9]])).score_samples(NEW)
    weights = np.r_[np.full(9, 2.0), np.ones(len(rows) - 9)]
    weighted = clone(model).fit(rows, sample_weight=weights).score_samples(NEW)
    assert_allclose(copies, weighted, rtol=1e-9)
    tiny = clone(model).fit(1e-160 * rows)
    assert_allclose(tiny.training_scores_, model.training_scores_, rtol=1e-6)


@each
def test_extreme_gaps_give_finite_scores(n_neighbors):
    for rows in (np.full((3, 2), np.nan), [[1.0, np.nan]], GAPS[:3], GAPS[:4]):
        model = CompressionOutlierDetector(n_neighbors=n_neighbors).fit(rows)
        assert np.isfinite(model.training_scores_).all()
        new = np.ones((1, model.n_features_in_))
        assert np.isfinite(model.decision_function(new)).all()


def test_after_samples_with_gaps_parts_without_gaps_can_be_added():
    model = clone(GAUSSIAN).fit(GAPS)
    model.partial_fit(X)
    both = clone(GAUSSIAN).fit(np.vstack([GAPS, X]))
    assert_same(model, both, rtol=1e-8)
    with pytest.raises(ValueError, match="X contains NaN: partial_fit"):
        model.partial_fit(GAPS)


SYMMETRIES = {
    "flip": ("flip", (2, 2)),
    "dihedral": ("dihedral", (2, 2)),
    "shifts": ([np.roll(np.arange(4), i) for i in range(4)], None),
}


@pytest.mark.parametrize("name", SYMMETRIES)
@each
def test_symmetric_outliers_are_those_of_all_images(name, n_neighbors):
    symmetry, shape = SYMMETRIES[name]
    group = permutations_of(symmetry, shape, 4)
    options = {"epsilon": 0.7, "n_neighbors": n_neighbors, "contamination": 0.2}
    model = CompressionOutlierDetector(symmetry=symmetry, signal_shape=shape, **options)
    rows = np.vstack([X, X[3:5][:, group[-1]]])  # two samples have an image among them
    weights = np.r_[WEIGHTS, 1, 2]
    model.fit(rows, sample_weight=weights)

    def scores_by_images(keep, new):
        every = np.vstack([rows[keep][:, g] for g in group])
        w = np.tile(weights[keep], len(group))
        if n_neighbors is not None:
            known = every, w, 0.7, n_neighbors
            return [-bits_with_nearest_images(x, *known) for x in new]
        copies = CompressionOutlierDetector(**options)
        return copies.fit(every, sample_weight=w / len(group)).score_samples(new)

    expected = scores_by_images(slice(None), NEW)
    assert_allclose(model.score_samples(NEW), expected, rtol=1e-9)
    for g in group:  # also training samples, which are left out with all images
        for new in (NEW, X):
            found = model.score_samples(new[:, g])
            assert_array_equal(found, model.score_samples(new))
    for i in (0, 3, 17):
        orbit = [tuple(rows[i, g]) for g in group]
        keep = [j for j, row in enumerate(rows) if tuple(row) not in orbit]
        found = scores_by_images(keep, rows[i : i + 1])
        assert_allclose(model.training_scores_[i], found[0], rtol=1e-8)
    if n_neighbors is None:
        stream = clone(model)
        for part in (slice(0, 25), slice(25, 62)):
            stream.partial_fit(rows[part][:, group[-1]], sample_weight=weights[part])
        assert_same(stream, model)
        with pytest.raises(ValueError, match=r"symmetry .* must not change"):
            stream.set_params(symmetry=None, signal_shape=None).partial_fit(X)


def test_distortion_of_symmetric_neighbours_is_the_spread_of_all_images():
    group = permutations_of("dihedral", (2, 2), 4)
    options = {"symmetry": "dihedral", "signal_shape": (2, 2)}
    for rows, weights in ((X + 5.0, WEIGHTS), (X[:1], None), (0.0 * X[:3], None)):
        every = np.vstack([rows[:, g] for g in group])
        w = None if weights is None else np.tile(weights, len(group))
        expected = CompressionOutlierDetector().fit(every, sample_weight=w).epsilon_
        model = CompressionOutlierDetector(**options).fit(rows, sample_weight=weights)
        assert_allclose(model.epsilon_, expected, rtol=1e-12)


@pytest.mark.parametrize("n_neighbors", [None, 5])
def test_order_of_features_changes_no_symmetric_score(n_neighbors):
    X = RNG.normal(size=(50, 6)) + np.array([5.0, 0.0, 3.0, 0.0, 1.0, 0.0])
    flips = np.array([[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]])
    order = np.array([3, 0, 5, 1, 4, 2])
    reordered = np.argsort(order)[flips[:, order]]
    options = {"n_neighbors": n_neighbors}
    model = CompressionOutlierDetector(symmetry=flips, **options).fit(X)
    other = CompressionOutlierDetector(symmetry=reordered, **options).fit(X[:, order])
    assert_allclose(other.epsilon_, model.epsilon_)
    expected = model.score_samples(X)
    assert_allclose(other.score_samples(X[:, order]), expected, rtol=1e-7)
