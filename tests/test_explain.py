"""Bits of samples, and their sums over features."""

import numpy as np
import oracle_micl
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal, spearmanr
from settings import slowly
from sklearn.datasets import load_iris, load_wine, make_classification
from sklearn.inspection import permutation_importance
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skredu import (
    CompressionClustering,
    InvariantReduNetClassifier,
    MICLClassifier,
    ReduNetClassifier,
)
from skredu.coding._classes import nats_by_feature
from skredu.coding._group import vector_blocks
from skredu.coding._scatter import Scatter, group_of_scatter


def data(n=60, d=5, k=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    X = rng.normal(size=(n, d)) @ rng.normal(size=(k, d, d))[0]
    return X + rng.normal(size=(k, d))[y], y, rng.normal(size=(7, d))


def terms(X, new, epsilon, assume_centered):
    """Return the terms of the definition, one sample and one feature at a time."""
    n, d = X.shape
    mean = np.zeros(d) if assume_centered else X.mean(axis=0)
    scatter = (X - mean).T @ (X - mean)
    c = d / (n + 1) / epsilon**2
    growth = 1.0 if assume_centered else n / (n + 1)
    nats = np.zeros(new.shape)
    for i, x in enumerate(new):
        solved = np.linalg.solve(np.eye(d) + c * scatter, x - mean)
        q = c * growth * (x - mean) * solved
        nats[i] += (n + 1 + d) / 2 * np.log1p(q.sum()) * q / q.sum()
        if not assume_centered:
            before, after = mean**2, ((n * mean + x) / (n + 1)) ** 2
            change = np.log1p(after.sum() / epsilon**2)
            change -= np.log1p(before.sum() / epsilon**2)
            nats[i] += d / 2 * change * (after - before) / (after - before).sum()
    return nats


@pytest.mark.parametrize("form", ["dense", "factored", "few"])
@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("constant", [0, 2])
def test_nats_of_features_are_the_terms_of_the_extra_nats(
    form, assume_centered, constant
):
    X, _, new = data(n=4 if form == "few" else 60)
    X[:, :constant] = 0.0 if assume_centered else 3.0
    scatter = Scatter.from_rows(X, assume_centered=assume_centered)
    epsilon = 0.5 if form == "dense" else None
    group, Z = group_of_scatter(scatter, vector_blocks(5, X), epsilon), new.T[None]
    nats = nats_by_feature(group, Z, 0.5)
    assert_allclose(nats, terms(X, new, 0.5, assume_centered), rtol=1e-9, atol=1e-12)
    base = group.extra(Z, np.array([0.5]))[:, 0] - nats.sum(axis=1)
    assert_allclose(base, base[0], rtol=1e-9)  # the same for all samples


def test_nats_of_a_sample_at_the_mean_and_of_an_empty_group_are_finite():
    X, _, new = data()
    for rows, samples in ((X, X.mean(axis=0)[None]), (X[:0], new), (X * 0, new * 0)):
        group = group_of_scatter(Scatter.from_rows(rows), vector_blocks(5, X))
        Z = samples.T[None]
        assert np.isfinite(nats_by_feature(group, Z, 0.5)).all()


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize(
    "options", [{}, {"epsilon": 0.5}, {"assume_centered": True}, {"priors": "balanced"}]
)
def test_bits_and_base_sum_to_the_decision(k, options):
    X, y, new = data(k=k)
    model = MICLClassifier(**options).fit(X, y)
    found = model.explain(new)
    assert found.bits.shape == ((7, 5) if k == 2 else (7, 5, k))
    decision = model.decision_function(new)
    total = found.bits.sum(axis=1) + found.base
    assert_allclose(total, decision, rtol=1e-9, atol=1e-9 * abs(decision).max())
    single = [model.explain(x[None]) for x in new]
    for name in ("bits", "base"):
        parts = np.concatenate([one[name] for one in single])
        assert_allclose(parts, found[name], rtol=1e-9, atol=1e-12)
    if k > 2:  # relative to all classes together
        P = model.predict_proba(new)
        mean = np.einsum("nk,ndk->nd", P, found.bits)
        assert_allclose(mean, 0.0, atol=1e-9 * abs(found.bits).max())
    assert found.importances.shape == (5,)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_bits_do_not_depend_on_the_unit(size):
    X, y, new = data(k=2)
    expected = MICLClassifier().fit(X, y).explain(new)
    found = MICLClassifier().fit(size * X, y).explain(size * new)
    assert_allclose(found.bits, expected.bits, rtol=1e-6, atol=1e-9)


def test_bits_are_in_the_namespace_of_the_samples(xp, dtype):
    X, y, new = data()
    expected = MICLClassifier(0.5).fit(X, y).explain(new)
    model = MICLClassifier(0.5).fit(xp.asarray(X.astype(dtype)), y)
    found = model.explain(xp.asarray(new.astype(dtype)))
    tolerance = 1e-9 if dtype == "float64" else 1e-3
    for name, value in expected.items():
        assert_allclose(xp.to_numpy(found[name]), value, atol=tolerance)


def test_feature_that_says_nothing_has_few_bits():
    X, y, new = data(n=600, k=2)
    rng = np.random.default_rng(0)
    X[:, 2], new[:, 2] = rng.normal(size=600), rng.normal(size=7)
    found = MICLClassifier().fit(X, y).explain(X)
    assert found.importances.argmin() == 2
    assert found.importances[2] < 0.15 * found.importances.max()
    X[:, 2], new[:, 2] = 5.0, 5.0
    assert_allclose(MICLClassifier().fit(X, y).explain(new).bits[:, 2], 0.0, atol=1e-2)


def unrelated():
    options = {"n_informative": 5, "n_redundant": 0, "class_sep": 1.2}
    return make_classification(600, 10, n_classes=3, random_state=0, **options)


@pytest.mark.parametrize(
    "load",
    [
        lambda: load_iris(return_X_y=True),
        *slowly(lambda: load_wine(return_X_y=True), unrelated),
    ],
    ids=["iris", "wine", "unrelated"],
)
def test_importances_are_in_the_order_of_permutation_importances(load):
    X, y = load()
    X, new, y, new_y = train_test_split(X, y, test_size=0.4, random_state=0, stratify=y)
    scaler = StandardScaler().fit(X)
    model = MICLClassifier().fit(scaler.transform(X), y)
    new = scaler.transform(new)
    options = {"scoring": "neg_log_loss", "n_repeats": 10, "random_state": 0}
    permuted = permutation_importance(model, new, new_y, **options).importances_mean
    assert spearmanr(model.explain(new).importances, permuted)[0] > 0.75


def test_what_is_not_linear_is_not_explained():
    X, y, new = data()
    for options in ({"kernel": "rbf"}, {"kernel": "auto"}, {"n_neighbors": 5}):
        model = MICLClassifier(**options).fit(X, y)
        with pytest.raises(ValueError, match="explain needs a linear kernel"):
            model.explain(new)
    given = MICLClassifier(0.5, kernel="auto")
    with pytest.warns(UserWarning, match="kernel='auto' is 'linear'"):
        given.fit(X, y)
    assert_allclose(
        given.explain(new).bits, MICLClassifier(0.5).fit(X, y).explain(new).bits
    )
    with pytest.raises(ValueError, match="5 features"):
        given.explain(new[:, :3])
    linear, gap = MICLClassifier().fit(X, y), new.copy()
    gap[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"NaN.*model\.denoise"):
        linear.explain(gap)
    complete = np.where(np.isnan(gap), linear.denoise(gap), gap)
    assert np.isfinite(linear.explain(complete).bits).all()
    assert_allclose(linear.score_samples(gap)[1:], linear.score_samples(new)[1:])


# -- bits of samples ------------------------------------------------------------------


def test_scores_of_samples_are_the_fewest_extra_bits():
    X, y, new = data()
    priors = np.array([0.2, 0.3, 0.5])
    model = MICLClassifier(0.5, priors=priors, calibrate=False).fit(X, y)
    expected = oracle_micl.scores(X, y, np.ones(60), new, 0.5, priors=priors)
    assert_allclose(model.score_samples(new), expected.max(axis=1), rtol=1e-9)
    single = [model.score_samples(x[None])[0] for x in new]
    assert_allclose(model.score_samples(new), single, rtol=1e-12)


def test_scores_of_many_samples_are_log_densities():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(3, 3))
    X, epsilon = rng.normal(size=(200_000, 3)) @ root, 0.4
    model = MICLClassifier(epsilon, calibrate=False).fit(X, np.zeros(len(X)))
    covariance = np.cov(X.T, bias=True)
    noisy = covariance + epsilon**2 / 3 * np.eye(3)
    new = rng.normal(size=(5, 3)) @ root
    densities = multivariate_normal(X.mean(axis=0), noisy).logpdf(new)
    dimension = np.trace(np.linalg.solve(noisy, covariance))
    cell = 1.5 * np.log(2 * np.pi * epsilon**2 / 3)
    expected = (densities + cell + dimension / 2) / np.log(2)
    assert_allclose(model.score_samples(new), expected, atol=1e-3)


def test_scores_of_a_mix_are_those_of_its_linear_candidate():
    X, y, new = data()
    mix = MICLClassifier(kernel="auto").fit(X, y)
    linear = MICLClassifier().fit(X, y)
    assert_allclose(mix.score_samples(new), linear.score_samples(new))


def test_far_samples_have_low_scores_with_every_coding_classifier():
    X, y, _ = data()
    X = X / np.abs(X).max()
    new = np.concatenate([X, 5 * np.roll(X, 2, axis=1)])
    far = np.arange(len(new)) >= len(X)
    for model in (
        MICLClassifier(),
        MICLClassifier(kernel="rbf"),
        MICLClassifier(n_neighbors=9),
        make_pipeline(StandardScaler(), MICLClassifier()),
    ):
        scores = model.fit(X, y).score_samples(new)
        assert scores[far].mean() < scores[~far].mean() - 1.0
    for model in (ReduNetClassifier(1), InvariantReduNetClassifier(0)):
        assert model.fit(X, y).score_samples(X).shape == (60,)


@pytest.mark.parametrize(
    ("assume_centered", "away"), [(False, 0.0), (False, 1e4), (True, 0.0)]
)
def test_bits_of_features_in_groups_are_the_terms_of_the_extra_bits(
    assume_centered, away
):
    X, _, new = data(n=90)
    X, new = X + away, new + away
    options = {"min_cluster_size": 10, "assume_centered": assume_centered}
    model = CompressionClustering(1.0, **options).fit(X)
    found = model.explain(new)
    k = model.n_clusters_
    assert found.bits.shape == (7, 5, k)
    for j in range(k):
        own = terms(X[model.labels_ == j], new, model.epsilon_, assume_centered)
        expected = -own / np.log(2.0)
        # far from the origin, the definition subtracts large numbers
        tol = 1e-9 if away == 0.0 else 1e-4
        assert_allclose(found.bits[:, :, j], expected, rtol=tol, atol=tol)
    assert_allclose(found.base, np.broadcast_to(found.base[0], (7, k)), rtol=1e-7)
    total = found.bits.sum(axis=1) + found.base
    assert_allclose(total.max(axis=1), model.score_samples(new), rtol=1e-9)
    single = np.concatenate([model.explain(x[None]).bits for x in new])
    assert_allclose(single, found.bits, rtol=1e-9, atol=1e-12)


def test_clusterings_without_groups_and_samples_with_gaps_are_not_explained():
    X, _, new = data(n=90)
    model = CompressionClustering(1.0).fit(X)
    new[0, 0] = np.nan
    with pytest.raises(ValueError, match="X contains NaN: explain needs"):
        model.explain(new)
    model = CompressionClustering(1e-3, min_cluster_size=5)
    with pytest.warns(UserWarning, match="outliers"):
        model.fit(X[:4])
    assert model.n_clusters_ == 0
    with pytest.raises(ValueError, match="all training samples are outliers"):
        model.explain(X)
