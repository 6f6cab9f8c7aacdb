"""The number of groups that is found with default settings."""

import numpy as np
import pytest
from settings import limit
from sklearn.datasets import load_breast_cancer, load_iris, load_wine, make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import scale

from skredu import CompressionClustering
from skredu.datasets import make_subspaces
from skredu.rates import partition_coding_length

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def iris():
    """Return three species of flowers."""
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def wine():
    """Return three cultivars, standardised."""
    X, y = load_wine(return_X_y=True)
    return scale(X), y


@pytest.fixture(scope="module")
def cancer():
    """Return two kinds of tumours, standardised."""
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X[::2]), y[::2]


def far_blobs(n, d, k, seed=0):
    """Return round blobs with random centres, ten times their width apart."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, d))
    centres *= 10.0 / np.linalg.norm(centres, axis=1)[:, None]
    y = np.arange(n) % k
    return centres[y] + rng.normal(size=(n, d)), y


# -- a given number -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "k", "least"), [("iris", 3, 0.90), ("wine", 3, 0.95), ("cancer", 2, 0.65)]
)
def test_known_groups_where_their_number_is_given(name, k, least, request):
    X, y = request.getfixturevalue(name)
    model = CompressionClustering(n_clusters=k).fit(X)
    assert model.n_clusters_ == k
    assert adjusted_rand_score(y, model.labels_) >= least


@pytest.mark.parametrize(("k", "epsilon"), [(2, "auto"), (2, 1.0), (5, 1.0)])
def test_a_given_number_takes_no_more_bits_than_the_tree(wine, k, epsilon):
    X, _ = wine
    model = CompressionClustering(epsilon, n_clusters=k).fit(X)
    least = min(len(X) / (3 * k), max(10, 3 * X.shape[1]))
    for n_groups in range(k, 12):  # with groups that are too small to count
        labels = model.labels_at(n_groups)
        sizes = np.bincount(labels)
        large = sizes[sizes >= least]
        if len(large) == k and large.sum() >= 0.9 * len(X):
            bits = partition_coding_length(X, labels, epsilon=model.epsilon_)
            assert model.coding_length_ <= bits * (1.0 + 1e-9)
    assert min(model.cluster_sizes_) >= least


def test_a_number_that_no_large_groups_reach_is_kept_with_a_warning_if_some_are():
    X = np.concatenate([np.zeros((20, 2)), [[5.0, 0.0], [0.0, 7.0]]])
    X[:20] += 0.1 * np.random.default_rng(0).normal(size=(20, 2))
    model = CompressionClustering(n_clusters=20).fit(X)
    assert model.n_clusters_ == 20
    X, _ = make_blobs(5, 2, random_state=0)
    heavy = np.where(np.arange(5) == 0, 1e3, 1.0)
    model = CompressionClustering(n_clusters=3)
    with pytest.warns(UserWarning, match=r"smaller\. .*another epsilon, or"):
        model.fit(X, sample_weight=heavy)
    assert model.n_clusters_ == 3
    with pytest.warns(UserWarning, match=r"another epsilon, refine=True, or"):
        model.set_params(refine=False).fit(X, sample_weight=heavy)
    assert model.n_clusters_ == 3


def test_rows_without_groups_are_split_into_large_ones():
    X = np.random.default_rng(2).normal(size=(150, 1))
    model = CompressionClustering(n_clusters=4).fit(X)
    assert model.n_clusters_ == 4
    assert min(model.cluster_sizes_) >= 10
    assert sum(model.cluster_sizes_) >= 135


@pytest.mark.parametrize("epsilon", ["auto", 2.0])
@pytest.mark.parametrize("sizes", [(240, 240, 14), (200, 50, 12)])
def test_a_given_number_includes_small_groups(sizes, epsilon):
    y = np.repeat(np.arange(3), sizes)
    centres = np.random.default_rng(2).normal(size=(3, 4)) * 12.0 / 8.0**0.5
    X = centres[y] + np.random.default_rng(3).normal(size=(len(y), 4))
    model = CompressionClustering(epsilon, n_clusters=3).fit(X)
    assert model.n_clusters_ == 3
    assert adjusted_rand_score(y, model.labels_) >= 0.95


def test_single_rows_count_on_a_choice_of_rows(monkeypatch):
    limit(monkeypatch, MAX_CHOSEN=100)
    rng = np.random.default_rng(2)
    X = rng.normal(size=(200, 2))
    X[100:, 0] += 20.0
    X = np.concatenate([X, rng.uniform(-40.0, 60.0, size=(20, 2))])
    model = CompressionClustering(n_clusters=12, min_cluster_size=1).fit(X)
    assert model.n_clusters_ == 12
    assert np.bincount(model.labels_).tolist() == model.cluster_sizes_.tolist()


@pytest.mark.parametrize("options", [{"refine": False}, {"connectivity": 5}])
def test_a_least_size_that_only_some_distortions_reach(options):
    X, y = make_blobs(90, 2, centers=[[0, 0], [20, 0], [0, 20]], random_state=0)
    model = CompressionClustering(n_clusters=3, min_cluster_size=20, **options).fit(X)
    assert adjusted_rand_score(y, model.labels_) == 1.0
    with pytest.raises(ValueError, match="do not exist in the merge tree"):
        model.set_params(n_clusters=2, min_cluster_size=44).fit(X)


# -- an open number -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "d", "least"), [(60, 40, 1.0), (45, 100, 1.0), (60, 6, 0.95), (240, 6, 0.95)]
)
def test_blobs_of_few_rows_in_many_dimensions_and_of_more_rows(n, d, least):
    X, y = far_blobs(n, d, 3)
    model = CompressionClustering().fit(X)
    assert model.n_clusters_ == 3
    assert adjusted_rand_score(y, model.labels_) >= least


def test_groups_of_fewer_than_four_rows_per_feature(wine):
    X, y = wine
    model = CompressionClustering().fit(X)
    assert model.n_clusters_ == 3
    assert adjusted_rand_score(y, model.labels_) >= 0.9
    X, y = make_blobs(150, 12, centers=5, cluster_std=2.0, random_state=0)
    assert adjusted_rand_score(y, CompressionClustering().fit_predict(X)) == 1.0


@pytest.mark.parametrize("d", [2, 20])
def test_one_gaussian_is_one_group(d):
    X = np.random.default_rng(0).normal(size=(100, d))
    assert CompressionClustering().fit(X).n_clusters_ == 1


def test_three_rows_that_are_close_by_chance_are_no_group():
    X, _ = make_blobs(300, 2, centers=3, cluster_std=0.6, random_state=0)
    assert CompressionClustering().fit(X).n_clusters_ == 3


def test_a_few_outliers_are_no_dozens_of_groups():
    X, y = far_blobs(200, 5, 3)
    far = np.random.default_rng(1).uniform(-30.0, 30.0, size=(2, 5))
    model = CompressionClustering().fit(np.concatenate([X, far]))
    assert model.n_clusters_ <= 4
    assert adjusted_rand_score(y, model.labels_[:200]) > 0.95


def test_subspaces_and_a_row_that_fits_nowhere():
    X, y = make_subspaces(60, n_features=6, dimensions=(1, 2, 3), random_state=0)
    model = CompressionClustering(assume_centered=True)
    labels = model.fit_predict(np.concatenate([X, np.full((1, 6), 9.0)]))
    assert model.n_clusters_ == 3
    assert labels[-1] == -1
    assert adjusted_rand_score(y, labels[:-1]) > 0.9


# -- copies and weights ---------------------------------------------------------------


@pytest.mark.parametrize("n_clusters", [None, 3])
def test_copies_and_their_weights_are_no_evidence(iris, n_clusters):
    X = iris[0][::3]
    model = CompressionClustering(n_clusters=n_clusters)
    once = model.fit(X).labels_
    sizes = model.cluster_sizes_
    twice = model.fit(np.repeat(X, 2, axis=0))
    np.testing.assert_array_equal(twice.labels_[::2], once)
    for weight in (2.0, 0.01):
        model.fit(X, sample_weight=np.full(len(X), weight))
        np.testing.assert_array_equal(model.labels_, once)
        np.testing.assert_allclose(model.cluster_sizes_, weight * sizes)


def test_weights_of_all_rows_move_no_minimum_of_the_path(iris):
    X = iris[0][::3]
    model, epsilons = CompressionClustering(), np.geomspace(0.1, 3.0, 5)
    once = model.epsilon_path(X, epsilons)
    ten = model.epsilon_path(X, epsilons, np.full(len(X), 10.0))
    np.testing.assert_array_equal(ten["n_clusters"], once["n_clusters"])
    np.testing.assert_allclose(ten["description_length"], once["description_length"])


def test_the_path_without_distortions_takes_those_relative_to_the_weighted_spread():
    X, weights = np.array([[0.0], [1.0], [4.0]]), np.array([1.0, 2.0, 1.0])
    epsilons = CompressionClustering().epsilon_path(X, None, weights)["epsilon"]
    spread = np.std([0.0, 1.0, 1.0, 4.0])
    np.testing.assert_allclose(epsilons, 2.5 * spread * 2.0 ** np.arange(-10, 1))


def test_copies_are_one_group_where_many_rows_first_join_cells():
    X = np.random.default_rng(0).normal(size=(10_100, 1))
    X = np.concatenate([X, X[:500]])
    options = {"refine": False, "min_cluster_size": 1}
    model = CompressionClustering(0.5, n_clusters=300, **options).fit(X)
    assert model.n_clusters_ == 300
    np.testing.assert_array_equal(model.labels_[:500], model.labels_[10_100:])


def test_rows_that_are_all_copies_and_groups_that_need_more_rows(iris):
    X = np.repeat([[0.0, 1.0], [2.0, 0.0], [5.0, 5.0]], 7, axis=0)
    model = CompressionClustering(n_clusters=3).fit(X)
    assert model.cluster_sizes_.tolist() == [7.0, 7.0, 7.0]
    X, _ = iris
    model = CompressionClustering(n_clusters=3, min_cluster_size=60)
    with pytest.raises(ValueError, match="need 180 samples, but X has n_samples=150"):
        model.fit(X)
    model.fit(X, sample_weight=np.full(len(X), 2.0))
    assert model.cluster_sizes_.min() >= 60


def test_rows_far_away_are_outliers_and_no_group_of_their_own():
    rng = np.random.default_rng(0)
    which = np.arange(150) % 3
    X = 4.0 * rng.normal(size=(3, 10))[which] + rng.normal(size=(150, 10))
    far = 20.0 * rng.normal(size=(8, 10))
    labels = CompressionClustering().fit_predict(np.concatenate([X, far]))
    assert adjusted_rand_score(which, labels[:150]) == 1.0
    assert labels[150:].tolist() == [-1] * 8
