"""CompressionClustering: groups, attributes and errors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.cluster.hierarchy import dendrogram, fcluster, is_valid_linkage
from scipy.linalg import helmert
from scipy.special import gammaln, multigammaln
from scipy.stats import multivariate_t
from settings import limit, slowly
from sklearn.base import clone
from sklearn.datasets import load_iris, make_blobs
from sklearn.metrics import adjusted_rand_score

from skredu import CompressionClustering
from skredu.clustering._epsilon import count_directions, rounding_variances
from skredu.datasets import make_subspaces
from skredu.rates import partition_coding_length


@pytest.fixture(scope="module")
def blobs():
    """Return three blobs in the plane, and labels."""
    return make_blobs(90, 2, centers=3, cluster_std=0.5, random_state=0)


@pytest.fixture(scope="module")
def lines_and_plane():
    """Return two lines and a plane in space, with noise of 0.02 in each coordinate."""
    return make_subspaces((150, 104, 104), dimensions=(2, 1, 1), random_state=0)


NOISE = 0.02 * 3**0.5


def same_groups(a, b):
    """Return whether two labelings are equal up to names."""
    return adjusted_rand_score(a, b) == 1.0


# -- what it finds --------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0.001, 0.01, 0.1, 0.5, 1.0, *slowly("auto")])
def test_lines_and_a_plane_over_three_decades(lines_and_plane, epsilon):
    X, y = lines_and_plane
    given = epsilon if epsilon == "auto" else epsilon * NOISE
    model = CompressionClustering(given, assume_centered=True).fit(X)
    assert 0.99e-3 < model.epsilon_ / NOISE < 2
    assert model.n_clusters_ == 3
    assert adjusted_rand_score(y, model.labels_) >= 0.94


@pytest.mark.slow
def test_values_of_counts_and_rounded_numbers_are_no_groups(blobs):
    rng = np.random.default_rng(0)
    numbers = rng.integers(18, 80, 300), rng.poisson(2, 300), rng.normal(size=300)
    model = CompressionClustering(min_cluster_size=5).fit(np.column_stack(numbers))
    assert model.n_clusters_ == 1
    X, y = blobs
    rounded = CompressionClustering().fit(np.round(2.0 * X))
    assert adjusted_rand_score(y, rounded.labels_) == 1.0


@pytest.mark.parametrize("step", [1e-8, 0.1, 1e8])
def test_noise_of_rounding(step):
    values = np.delete(np.arange(40.0), [7, 11, 12]).repeat(2)
    X = step * np.column_stack([values, 3.0 * values - 7.0, np.full(len(values), 1e3)])
    variances = step**2 / 12.0 * np.array([1.0, 9.0, 0.0])
    assert_allclose(rounding_variances(X), variances)
    X[0, 0] = 0.5 * step  # a gap that was filled
    assert_allclose(rounding_variances(X), variances)
    assert not np.any(rounding_variances(X[:1]))


@pytest.mark.parametrize("unit", [1e-150, 1e-7, 1.0, 1e150])
def test_directions_are_counted_beyond_rounding(unit):
    rng = np.random.default_rng(0)
    for rank, offset in ((1, 1e7), (1, -0.1), (2, 1e9), (3, 0.3)):
        X = rng.normal(size=(30, rank)) @ rng.normal(size=(rank, 3)) + offset
        assert count_directions(unit * X, assume_centered=False) == rank
        assert count_directions(0.0 * X + unit * offset, assume_centered=False) == 0
    assert count_directions(unit * np.outer(X[:, 0], [1, 2, 3]), True) == 1


@pytest.mark.slow
def test_subspaces_among_outliers():
    X, y = make_subspaces(
        80, n_features=8, dimensions=(3, 4, 5), n_outliers=60, random_state=0
    )
    model = CompressionClustering(min_cluster_size=10).fit(X)
    assert adjusted_rand_score(y[y >= 0], model.labels_[y >= 0]) >= 0.95


def test_dimensions_of_the_groups():
    X, _ = make_subspaces(100, dimensions=(1, 1, 2), noise=0.002, random_state=0)
    model = CompressionClustering(0.02, assume_centered=True).fit(X)
    assert sorted(model.cluster_dimensions_.round()) == [1, 1, 2]
    assert_allclose(model.cluster_sizes_, np.bincount(model.labels_))


# -- what it reports ------------------------------------------------------------------


def test_merge_costs_add_up(blobs):
    X, _ = blobs
    X = np.concatenate([X, X[:20]])
    model = CompressionClustering(0.4, refine=False).fit(X)
    n = len(X)
    whole = partition_coding_length(X, np.zeros(n), epsilon=0.4)
    single = partition_coding_length(X, np.arange(n), epsilon=0.4)
    assert model.merge_costs_.sum() == pytest.approx(whole - single)
    stop = np.flatnonzero(model.merge_costs_[20:] >= 0)[0] + 20
    assert model.n_clusters_ == n - stop
    assert model.coding_length_ == model.greedy_coding_length_
    saved = model.merge_costs_[:stop].sum()
    assert model.coding_length_ == pytest.approx(single + saved)


def test_linkage_is_scipys(blobs):
    X, _ = blobs
    model = CompressionClustering(0.4, refine=False).fit(X)
    Z = model.linkage()
    assert is_valid_linkage(Z)
    assert np.all(np.diff(Z[:, 2]) >= 0)
    assert len(dendrogram(Z, no_plot=True)["leaves"]) == len(X)
    labels = fcluster(Z, model.n_clusters_, criterion="maxclust")
    assert same_groups(labels, model.labels_)
    assert_array_equal(model.labels_at(model.n_clusters_), model.labels_)
    for k in (1, 2, 5, len(X)):
        assert len(np.unique(model.labels_at(k))) == k
    with pytest.raises(ValueError, match="n_clusters=91 groups do not exist"):
        model.labels_at(91)
    with pytest.raises(ValueError, match="n_clusters: must be an integer"):
        model.labels_at(0)


def test_outliers_have_a_cauchy_distribution_as_wide_as_all_rows():
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(20, 4)) + 5.0, rng.uniform(0.5, 2.0, 20)
    model = CompressionClustering(min_cluster_size=100)
    path = model.epsilon_path(X, [0.1], weights)
    assert path["n_clusters"] == [0]
    weights /= np.median(weights)
    centred = X - np.average(X, axis=0, weights=weights)
    spread = np.average(np.sum(centred**2, axis=1), weights=weights) ** 0.5
    cauchy = multivariate_t(shape=np.eye(4) / 4.0, df=1)  # in units of the spread
    bits = -weights @ cauchy.logpdf(centred / spread) / np.log(2.0)
    gaussian = 2.0 * np.log2(2.0 * np.pi * np.e) * weights.sum()
    assert path["description_length"] == pytest.approx(bits - gaussian)
    alone = CompressionClustering(min_cluster_size=1)
    alone = alone.epsilon_path(X, [1e-9], weights)
    assert alone["n_clusters"] == [20]  # a single sample has no spread to describe
    assert_allclose(alone["description_length"], path["description_length"])


@pytest.mark.slow
def test_outliers_and_a_least_size_are_those_of_all_rows_where_some_are_chosen(
    monkeypatch,
):
    limit(monkeypatch, MAX_CHOSEN=50)
    rng = np.random.default_rng(0)
    X = 20.0 * np.eye(3, 2)[np.arange(120) % 3] + rng.normal(size=(120, 2))
    X[::12] += 400.0 * rng.normal(size=(10, 2))
    out = np.arange(120) % 12 == 0
    for model in (CompressionClustering(0.5), CompressionClustering()):
        model.fit(X)
        assert model.n_clusters_ == 3
        assert_array_equal(model.labels_ < 0, out)
    X = np.random.default_rng(0).normal(size=(200, 2))
    X[::2] += 30.0
    assert CompressionClustering().fit(X).n_clusters_ == 2
    assert CompressionClustering(min_cluster_size=120).fit(X).n_clusters_ == 1
    two = CompressionClustering(n_clusters=2, min_cluster_size=90).fit(X)
    assert (two.cluster_sizes_ == 100.0).all()


def described(X, labels, chosen=None):
    """Return the bits that describe groups, by predicting each of their samples.

    With an inverse Wishart prior, a sample has a multivariate t distribution, given the
    samples before it. The mean of a group is removed by rotating its samples, such that
    all but one of them have the mean zero.
    """
    n, r = X.shape
    X, bits = X / np.sum(np.var(X, axis=0)) ** 0.5, 0.0
    for label in np.unique(labels) if chosen is None else chosen:
        group = X[labels == label]
        m, usual = len(group), np.mean(np.var(group, axis=0))
        degrees, shares = np.meshgrid(4.0 ** np.arange(9), 4.0 ** -np.arange(10))
        degrees, scales = degrees.ravel(), (usual * degrees * shares).ravel()
        scatters, nats = scales[:, None, None] * np.eye(r), 0.0
        for row in helmert(m) @ group:
            after = scatters + np.outer(row, row)
            nats += (degrees + r) / 2 * np.linalg.slogdet(after)[1]
            nats -= (degrees + r - 1) / 2 * np.linalg.slogdet(scatters)[1]
            nats += gammaln(degrees / 2) - gammaln((degrees + r) / 2)
            scatters, degrees = after, degrees + 1.0
        least = min(nats) - (m - 1) * r / 2 * np.log(2 * np.e)
        least += r / 2 * np.log(usual) + (r + 2) / 2 * np.log(n)
        bits += least / np.log(2) - m * np.log2(m / n)
    return bits


@pytest.mark.parametrize("epsilon", [0.2, 0.4])
def test_groups_are_described_by_predicting_their_samples(epsilon):
    X, _ = make_subspaces(
        60, n_features=4, dimensions=(0, 1, 2), noise=0.05, offset=2.0, random_state=0
    )
    model = CompressionClustering(epsilon).fit(X)
    path = model.epsilon_path(X, [epsilon])
    assert path["n_clusters"] == [3]
    assert_allclose(path["description_length"], described(X, model.labels_), 1e-5)


def test_errors_of_rounding_count_in_all_directions_of_a_group_of_few_samples():
    rng = np.random.default_rng(0)
    X = 3.0 * rng.integers(0, 9, (8, 6)) + 600.0 * (np.arange(8) > 3)[:, None]
    assert_array_equal(rounding_variances(X), np.full(6, 9.0 / 12.0))
    path = CompressionClustering().epsilon_path(X, [60.0])
    assert path["n_clusters"] == [2]
    unit, n, r, m, bits = np.var(X, axis=0).sum(), 8, 6, 4, 0.0
    degrees, shares = np.meshgrid(4.0 ** np.arange(9), 4.0 ** -np.arange(10))
    for group in (X[:4], X[4:]):
        variances = np.linalg.eigvalsh(np.cov(group.T, bias=True)) + 9.0 / 12.0
        variances /= unit
        usual, nu = variances.mean(), degrees + r - 1
        psi = usual * degrees * shares
        nats = (nu + m - 1) / 2 * np.log(psi[..., None] + m * variances).sum(axis=2)
        nats -= nu * r / 2 * np.log(psi)
        nats -= multigammaln((nu + m - 1) / 2, r) - multigammaln(nu / 2, r)
        nats += r / 2 * np.log(usual) + (r + 2) / 2 * np.log(n)
        nats -= (m - 1) * r / 2 * np.log(2 * np.e)
        bits += nats.min() / np.log(2) - m * np.log2(m / n)
    assert_allclose(path["description_length"], bits, 1e-9)


def test_a_few_of_many_samples_that_are_close_are_described_as_outliers():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(198, 2)), [[90.0, 40.0], [90.01, 40.02]]])
    path = CompressionClustering().epsilon_path(X, [3.0])
    assert path["n_clusters"] == [2]  # 2 of 200 samples are a hundredth
    centred = (X - X.mean(axis=0)) / np.var(X, axis=0).sum() ** 0.5
    cauchy = multivariate_t(shape=np.eye(2) / 2.0, df=1)
    bits = -cauchy.logpdf(centred[198:]).sum() / np.log(2.0)
    bits -= 2 * np.log2(2.0 * np.pi * np.e) + 2 * np.log2(2 / 200)
    bits += described(X, np.arange(200) // 198, [0])
    assert_allclose(path["description_length"], bits, 1e-5)


@pytest.mark.parametrize("offset", [1e9, -1e10])
def test_rounding_errors_far_from_the_origin_are_no_steps(offset):
    rng = np.random.default_rng(0)
    X = np.stack([9.0 * rng.normal(size=60), rng.permutation(60) // 3], axis=1)
    expected = CompressionClustering().epsilon_path(X + 1e6, [0.5])
    noise = np.spacing(offset) * (np.arange(60) % 2)[:, None]
    found = CompressionClustering().epsilon_path(X + offset + noise, [0.5])
    assert_allclose(found["description_length"], expected["description_length"], 1e-5)


def test_epsilon_path(blobs):
    X, _ = blobs
    path = CompressionClustering().epsilon_path(X, [0.2, 0.4], np.ones(len(X)))
    names = "epsilon n_clusters coding_length description_length"
    assert " ".join(path) == names
    for i, epsilon in enumerate([0.2, 0.4]):
        model = CompressionClustering(epsilon).fit(X)
        assert path["n_clusters"][i] == model.n_clusters_
        assert path["coding_length"][i] == pytest.approx(model.coding_length_)
    with pytest.raises(ValueError, match="epsilon"):
        CompressionClustering().epsilon_path(X, [0.2, -1.0])


# -- a number of groups ---------------------------------------------------------------


@pytest.mark.slow
def test_as_many_groups_as_asked_for(blobs):
    for n_clusters, epsilon in ((1, "auto"), (7, "auto"), (1, 0.05), (3, 5.0)):
        model = CompressionClustering(epsilon, n_clusters=n_clusters).fit(blobs[0])
        assert model.n_clusters_ == n_clusters == len(np.unique(model.labels_))


def test_small_groups_are_outliers_and_not_counted(blobs):
    X = np.concatenate([blobs[0], [[40.0, 40.0], [-50.0, 9.0]]])
    model = CompressionClustering(0.4, n_clusters=3, min_cluster_size=3).fit(X)
    assert model.n_clusters_ == 3
    assert model.labels_[-2:].tolist() == [-1, -1]
    assert len(model.cluster_sizes_) == len(model.cluster_dimensions_) == 3
    assert model.predict([[41.0, 40.0], X[0]]).tolist() == [-1, model.labels_[0]]
    assert np.sum(model.labels_at(3) == -1) >= 2


def test_all_rows_may_be_outliers():
    X = np.eye(3) * 100
    model = CompressionClustering(0.01, min_cluster_size=2)
    said = "100% of the samples are outliers: at epsilon=0.01"
    with pytest.warns(UserWarning, match=said) as warned:
        model.fit(X)
    assert warned[0].filename == __file__
    assert model.n_clusters_ == 0
    assert model.labels_.tolist() == [-1, -1, -1]
    assert model.predict(X).tolist() == [-1, -1, -1]


@pytest.mark.parametrize("wide", [False, True])
def test_predict_gives_training_rows_their_group(blobs, wide):
    X, _ = blobs
    if wide:  # fewer rows than features
        rng = np.random.default_rng(0)
        X = X @ rng.normal(size=(2, 300)) + 0.05 * rng.normal(size=(len(X), 300))
    model = CompressionClustering(0.4, n_clusters=3).fit(X)
    assert model.n_clusters_ == 3
    assert_array_equal(model.predict(X), model.labels_)
    assert_array_equal(model.predict(X.astype(np.float32)), model.labels_)


# -- many rows, few rows, hard rows ---------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("assume_centered", [False, True])
def test_many_rows_first_join_cells(blobs, assume_centered, monkeypatch):
    X, _ = make_subspaces(200, dimensions=(1, 1, 2), offset=2.0, random_state=0)
    X = np.concatenate([X, X[:9]])
    exact = CompressionClustering(0.1, assume_centered=assume_centered).fit(X)
    limit(monkeypatch, MAX_EXACT=100)
    model = clone(exact).fit(X)
    assert model.coding_length_ <= 1.01 * exact.coding_length_
    n = len(X)
    options = {"epsilon": 0.1, "assume_centered": assume_centered}
    whole = partition_coding_length(X, np.zeros(n), **options)
    single = partition_coding_length(X, np.arange(n), **options)
    assert model.merge_costs_.sum() == pytest.approx(whole - single)
    assert is_valid_linkage(model.linkage())
    assert len(np.unique(model.labels_at(4))) == 4


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epsilon": 1e-200}, "epsilon=1e-200 is too small"),
        ({"n_clusters": 91}, "n_clusters=91 must be at most"),
        ({"min_cluster_size": 80, "n_clusters": 2}, "n_clusters=2 groups"),
        ({"connectivity": np.eye(3)}, "Bad connectivity: must have the shape"),
    ],
)
def test_bad_parameters_are_named_and_change_nothing(blobs, parameters, message):
    model = CompressionClustering(0.4).fit(blobs[0])
    labels, before = model.labels_, model.coding_length_
    with pytest.raises(ValueError, match=message):
        model.set_params(**parameters).fit(blobs[0])
    assert model.labels_ is labels
    assert model.coding_length_ == before


@pytest.mark.slow
def test_distortion_is_the_same_in_each_of_many_directions(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3)) + 8.0 * (np.arange(30)[:, None] < 15)
    wide = X @ np.linalg.qr(rng.normal(size=(40, 3)))[0].T
    plain = CompressionClustering().fit(X).epsilon_
    limit(monkeypatch, MAX_DENSE=3)  # it is chosen in the directions of the samples
    assert_allclose(CompressionClustering().fit(wide).epsilon_, plain * (40 / 3) ** 0.5)


@pytest.mark.slow
def test_features_that_say_nothing_do_not_change_the_choice():
    X = load_iris().data
    plain, constant = CompressionClustering().fit(X), np.full(150, 12345678.9)
    for columns in ([constant, X[:, 0]], [X[:, 0] + X[:, 1]]):
        wide = CompressionClustering().fit(np.column_stack([X, *columns]))
        assert_array_equal(wide.labels_, plain.labels_)
        assert 0.5 < wide.epsilon_ / plain.epsilon_ < 2.0
