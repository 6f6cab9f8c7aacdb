"""What a fitted clustering says of its groups, and of new samples."""

import sys

import numpy as np
import pandas as pd
import pytest

from skredu import CompressionClustering
from skredu.rates import partition_coding_length

EPSILON = 0.4


@pytest.fixture(scope="module")
def rows():
    """Return a plane, a line and a blob in space, with labels by decreasing size."""
    rng, y = np.random.default_rng(0), np.repeat([0, 1, 2], (90, 60, 30))
    spreads = np.array([[3.0, 3.0, 0.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
    means = np.array([[9.0, 0, 0], [0, 9.0, 0], [-9.0, -9.0, 0]])
    clean = rng.normal(size=(180, 3)) * spreads[y] + means[y]
    return clean, clean + 0.1 * rng.normal(size=(180, 3)), y


@pytest.fixture(scope="module")
def far(rows):
    """Return the rows with three outliers."""
    return np.concatenate([rows[1], [[0, 0, 90.0], [90.0, 90.0, 0], [0, -90.0, 90.0]]])


@pytest.mark.parametrize("assume_centered", [False, True])
def test_means_and_sizes_of_groups_are_weighted(rows, assume_centered):
    _, X, _ = rows
    weights = np.arange(180) % 3 * 1.0
    model = CompressionClustering(EPSILON, assume_centered=assume_centered)
    model.fit(X, sample_weight=weights)
    for j in range(model.n_clusters_):
        inside = model.labels_ == j
        mean = np.average(X[inside], axis=0, weights=weights[inside])
        assert np.allclose(model.cluster_means_[j], mean)
        assert model.cluster_sizes_[j] == weights[inside].sum()


@pytest.mark.parametrize("weight", [None, 2.0, [1.0] * 90 + [9.0] * 60 + [2.0] * 30])
def test_groups_are_ordered_by_size_where_asked(rows, weight):
    _, X, _ = rows
    weights = None if weight is None else np.broadcast_to(weight, 180)
    model = CompressionClustering(EPSILON).fit(X, sample_weight=weights)
    sized = CompressionClustering(EPSILON, label_order="size")
    sized.fit(X, sample_weight=weights)
    assert np.all(np.diff(sized.cluster_sizes_) <= 0)
    pairs = set(zip(sized.labels_, model.labels_, strict=True))
    assert pairs == set(enumerate(np.argsort(-model.cluster_sizes_)))
    assert np.array_equal(sized.predict(X), sized.labels_)
    cut = sized.set_params(label_order="position").labels_at(3)
    counted = np.bincount(cut, weights)
    assert np.all(np.diff(counted) <= 0)


@pytest.mark.parametrize("assume_centered", [False, True])
def test_a_score_is_what_a_sample_adds_to_the_coding_length(rows, assume_centered):
    _, X, _ = rows
    options = {"epsilon": EPSILON, "assume_centered": assume_centered}
    model = CompressionClustering(**options, min_cluster_size=1).fit(X)
    new = np.random.default_rng(1).normal(size=(5, 3)) * 9.0
    before = partition_coding_length(X, model.labels_, **options)
    for row, score in zip(new, model.score_samples(new), strict=True):
        bits = [
            partition_coding_length(np.r_[X, [row]], np.r_[model.labels_, j], **options)
            for j in range(model.n_clusters_)
        ]
        assert score == pytest.approx(before - min(bits), abs=1e-8)


def test_outliers_score_low_and_are_not_changed(far):
    model = CompressionClustering(EPSILON).fit(far)
    assert np.array_equal(np.flatnonzero(model.labels_ < 0), [180, 181, 182])
    scores = model.score_samples(far)
    assert scores[180:].max() < scores[:180].min()
    assert np.array_equal(model.denoise(far)[180:], far[180:])
    assert np.array_equal(model.predict(far)[180:], [-1, -1, -1])


def test_noise_is_projected_out(rows):
    clean, X, y = rows
    model = CompressionClustering(EPSILON, label_order="size").fit(X)
    assert np.array_equal(model.labels_, y)
    found = model.denoise(X)
    assert np.allclose(model.denoise(found), found)
    assert np.linalg.matrix_rank(found[y == 0] - found[y == 0].mean(axis=0)) == 2
    assert np.allclose(found[y == 2], X[y == 2].mean(axis=0))
    assert np.mean((found - clean) ** 2) < 0.5 * np.mean((X - clean) ** 2)


def test_lines_through_the_origin_stay_there():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 1)) * np.repeat([[1.0, 0, 2.0], [0, 3.0, 1]], 50, axis=0)
    noisy = X + 0.01 * rng.normal(size=X.shape)
    model = CompressionClustering(0.05, assume_centered=True).fit(noisy)
    found, labels = model.denoise(noisy), model.predict(noisy)
    assert np.bincount(labels).min() > 40
    for j in range(2):
        assert np.linalg.matrix_rank(found[labels == j]) == 1


@pytest.mark.parametrize("assume_centered", [False, True])
def test_samples_have_the_moments_of_their_groups(rows, assume_centered):
    _, X, _ = rows
    model = CompressionClustering(EPSILON, assume_centered=assume_centered).fit(X)
    drawn, labels = model.sample(40_000, random_state=0)
    shares = model.cluster_sizes_ / model.cluster_sizes_.sum()
    assert np.allclose(np.bincount(labels) / 40_000, shares, atol=0.01)
    for j in range(model.n_clusters_):
        own, new = X[model.labels_ == j], drawn[labels == j]
        if not assume_centered:
            assert np.allclose(own.mean(axis=0), new.mean(axis=0), atol=0.1)
        assert np.allclose(own.T @ own / len(own), new.T @ new / len(new), atol=1.5)
    again, _ = model.sample(40_000, random_state=0)
    assert np.array_equal(drawn, again)
    assert model.sample(random_state=1)[0].shape == (1, 3)


def test_samples_that_cannot_be_drawn_are_refused(rows):
    _, X, _ = rows
    model = CompressionClustering(EPSILON).fit(X)
    for wrong in (0, 1.5, True, "2"):
        with pytest.raises(ValueError, match="n_samples"):
            model.sample(wrong)
    with pytest.warns(UserWarning, match="100% of the samples are outliers"):
        model.set_params(min_cluster_size=1000).fit(X)
    with pytest.raises(ValueError, match="all training samples are outliers"):
        model.sample()
    assert np.array_equal(model.denoise(X), X)
    assert model.summary().index.tolist() == [-1]
    assert model.cluster_means_.shape == (0, 3)
    assert np.all(model.score_samples(X) < 0)


def test_a_table_says_what_sets_groups_apart(far):
    X = pd.DataFrame(far, columns=["size", "y", "z"])
    model = CompressionClustering(EPSILON).fit(X)
    table = model.summary()
    assert table.index.tolist() == [-1, 0, 1, 2]
    assert table["size"].tolist() == [3.0, *model.cluster_sizes_]
    assert table["share"].sum() == pytest.approx(1.0)
    assert np.allclose(table["dimension"][1:], model.cluster_dimensions_)
    bits = table["bits"] @ table["size"]
    assert bits == pytest.approx(model.coding_length_)
    noise = EPSILON**2 / 3
    total, mean = far.var(axis=0) + noise, far.mean(axis=0)
    for j, row in table.iterrows():
        own = far[model.labels_ == j]
        variance, away = own.var(axis=0) + noise, own.mean(axis=0) - mean
        ratio = (variance + away**2) / total
        nats = 0.5 * (np.log(total / variance) + ratio - 1.0)
        expected = np.sign(away) * nats / np.log(2.0)
        assert np.allclose(row[["size_feature", "y", "z"]].astype(float), expected)
    new = model.summary(X[:90])
    assert new["size"].sum() == 90.0
    assert new.columns.tolist() == table.columns.tolist()


def test_a_table_of_a_single_group_and_without_pandas(rows, monkeypatch):
    model = CompressionClustering(EPSILON, n_clusters=1).fit(rows[1][:90])
    apart = model.summary().loc[0, ["x0", "x1", "x2"]]
    assert np.array_equal(apart, [0.0, 0.0, 0.0])  # nothing sets it apart
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"summary needs pandas.*pip install pandas"):
        model.summary()
