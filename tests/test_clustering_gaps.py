"""Clustering of samples with missing features: groups code what samples have."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import slowly
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score

from skredu import CompressionClustering
from skredu.coding._missing import expected_scatters
from skredu.coding._rows import Rows
from skredu.rates import coding_length

NAN, EPSILON = np.nan, 1.5
X, Y = make_blobs(90, 4, centers=3, cluster_std=[1.0, 0.5, 1.5], random_state=2)
X *= [1.0, 2.0, 0.5, 1.0]
NEW = make_blobs(30, 4, centers=3, random_state=3)[0] * [1.0, 2.0, 0.5, 1.0]


def with_gaps(rows, share=0.3, seed=1):
    return np.where(np.random.default_rng(seed).random(rows.shape) < share, NAN, rows)


def extra_bits(x, own, total, **options):
    """Return what a sample adds to a group and its labels, on the features it has."""
    seen, n = ~np.isnan(x), len(own)
    bits = (n + 1) * np.log2((total + 1) / (n + 1)) - n * np.log2(total / n)
    bits += (total - n) * np.log2((total + 1) / total)  # labels of the other groups
    if seen.any():
        finer = EPSILON * np.sqrt(seen.mean())
        joined = np.vstack([own[:, seen], x[seen]])
        bits += coding_length(joined, epsilon=finer, **options)
        bits -= coding_length(own[:, seen], epsilon=finer, **options)
    return bits


@pytest.mark.parametrize("assume_centered", [False, True])
def test_new_samples_are_coded_on_what_they_have(assume_centered):
    options = {"assume_centered": assume_centered}
    model = CompressionClustering(EPSILON, n_clusters=3, **options).fit(X)
    new = with_gaps(NEW, 0.5)
    new[0], new[1] = NAN, NEW[1]
    groups = [X[model.labels_ == j] for j in range(3)]
    bits = np.array(
        [[extra_bits(x, own, 90, **options) for own in groups] for x in new]
    )
    assert_allclose(model.score_samples(new), -bits.min(axis=1), rtol=1e-9)
    assert_array_equal(model.predict(new), bits.argmin(axis=1))
    for i, (x, j) in enumerate(zip(new, bits.argmin(axis=1), strict=True)):
        seen, mean = ~np.isnan(x), 0.0 if assume_centered else groups[j].mean(axis=0)
        S = (groups[j] - mean).T @ (groups[j] - mean) / len(groups[j])
        K, z = S + EPSILON**2 / 4 * np.eye(4), x - mean
        z[~seen] = K[np.ix_(~seen, seen)] @ np.linalg.solve(
            K[np.ix_(seen, seen)], z[seen]
        )
        values, V = np.linalg.eigh(S)
        V = V[:, values > EPSILON**2 / 4]
        assert_allclose(model.denoise(new)[i], mean + V @ V.T @ z, atol=1e-9)
    with pytest.raises(ValueError, match="X contains NaN: summary"):
        model.summary(new)


@pytest.mark.parametrize(
    "options", [{"epsilon": EPSILON, "n_clusters": 3}, *slowly({})]
)
def test_groups_of_samples_with_gaps_are_those_of_expected_scatters(options):
    rows = with_gaps(X)
    model = CompressionClustering(**options).fit(rows)
    imputed = clone(model).fit(SimpleImputer().fit_transform(rows))
    score = adjusted_rand_score(Y, model.labels_)
    assert score > adjusted_rand_score(Y, imputed.labels_) + 0.2
    inside = model.labels_ >= 0
    assert (model.predict(rows) == model.labels_)[inside].mean() > 0.95
    # means and dimensions of the groups, in the same order as labels
    scatters = expected_scatters(Rows.of(rows, model.labels_, None), False)
    scatters = [s for s in scatters if s.count][-model.n_clusters_ :]
    assert_allclose(model.cluster_means_, [s.mean for s in scatters], atol=0.05)
    nothing = np.full((1, 4), NAN)  # is completed by the mean of its group
    mean = scatters[model.predict(nothing)[0]].mean
    assert_allclose(model.denoise(nothing)[0], mean, atol=1e-6)
    unit = model.epsilon_**2 / 4
    for scatter, found in zip(scatters, model.cluster_dimensions_, strict=True):
        values = np.linalg.eigvalsh(scatter.dense()) / scatter.count
        assert_allclose(found, (values / (values + unit)).sum(), atol=0.1)


@pytest.mark.parametrize(
    "options",
    [{}, {"connectivity": 6}, *slowly({"n_clusters": 3}, {"assume_centered": True})],
)
def test_orders_units_and_copies_change_no_group(options):
    rows = with_gaps(X, 0.2)
    model = CompressionClustering(EPSILON, **options).fit(rows)
    order = np.random.default_rng(0).permutation(90)
    other = clone(model).fit(rows[order])
    assert_array_equal(other.labels_, model.labels_[order])
    assert_allclose(other.coding_length_, model.coding_length_)
    for unit in (1e-140, 1e140):
        other = clone(model).set_params(epsilon=EPSILON * unit).fit(unit * rows)
        assert_array_equal(other.labels_, model.labels_)
        assert_allclose(other.denoise(unit * rows) / unit, model.denoise(rows))
    copies = np.random.default_rng(0).integers(0, 4, 90)
    weighted = clone(model).fit(rows, sample_weight=copies)
    repeated = clone(model).fit(np.repeat(rows, copies, axis=0))
    assert_array_equal(np.repeat(weighted.labels_, copies), repeated.labels_)
    assert_allclose(weighted.cluster_means_, repeated.cluster_means_)


def test_extreme_gaps_give_groups():
    rows = with_gaps(X[:20], 0.5)
    rows[:, 2], rows[:3] = NAN, NAN  # a feature, and samples without any
    for case in (rows, np.full((3, 2), NAN), [[1.0, NAN]], [[1.0, NAN], [NAN, 2.0]]):
        for epsilon in ("auto", EPSILON):
            model = CompressionClustering(epsilon).fit(case)
            assert np.isfinite(model.coding_length_)
            assert np.isfinite(model.cluster_means_).all()
            assert np.isfinite(model.score_samples(case)).all()
            labels = model.predict(case)
            assert np.isfinite(model.denoise(case)[labels >= 0]).all()
