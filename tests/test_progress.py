"""What callbacks see of a fit, and what a request to stop does."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs

from skredu import CompressionClustering
from skredu._progress import MAX_TASKS

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 or newer")


class Watcher:
    """Notes the tasks that end, and may ask to stop after one of a name."""

    def __init__(self, stop_after=None):
        self.stop_after, self.ended = stop_after, []

    def setup(self, estimator, context):
        self.ended.clear()

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.ended.append(context.task_name)
        return context.task_name == self.stop_after

    def teardown(self, estimator, context):
        self.ended.append("teardown")


@pytest.fixture(scope="module")
def X():
    return make_blobs(90, 2, centers=3, cluster_std=0.5, random_state=0)[0]


@pytest.mark.parametrize("n", [1, 2, 60, 90])
def test_clustering_reports_its_steps_and_parts_of_the_merges(X, n):
    watcher = Watcher()
    model = CompressionClustering(0.4).set_callbacks(watcher).fit(X[:n])
    parts = ("steps", "distortion", "round")
    others = [name for name in watcher.ended if name not in parts]
    assert others == ["choose epsilon", "merge", "refine", "fit", "teardown"]
    assert watcher.ended.count("steps") == min(n - 1, MAX_TASKS)
    expected = CompressionClustering(0.4).fit(X[:n])
    np.testing.assert_array_equal(model.labels_, expected.labels_)


@pytest.mark.parametrize("n_clusters", [None, 3])
def test_clustering_reports_distortions_and_rounds_of_the_search(X, n_clusters):
    watcher = Watcher()
    chosen = CompressionClustering(n_clusters=n_clusters).set_callbacks(watcher).fit(X)
    n_distortions = watcher.ended.index("choose epsilon")
    assert watcher.ended[:n_distortions] == ["distortion"] * n_distortions
    assert n_distortions > 2
    given = CompressionClustering(0.4, n_clusters=n_clusters)
    given.set_callbacks(watcher).fit(X)
    assert watcher.ended.count("distortion") == 1
    assert watcher.ended.count("round") > 2
    assert watcher.ended.index("refine") > watcher.ended.index("round")
    plain = CompressionClustering(n_clusters=n_clusters).fit(X)
    np.testing.assert_array_equal(chosen.labels_, plain.labels_)


def test_a_request_to_stop_ends_the_choice_and_the_search_early(X):
    watcher = Watcher("distortion")
    model = CompressionClustering().set_callbacks(watcher).fit(X)
    assert watcher.ended.count("distortion") == 2  # the next one has begun
    assert model.coding_length_ == model.greedy_coding_length_
    watcher = Watcher("round")
    model = CompressionClustering(0.4).set_callbacks(watcher).fit(X)
    n_rounds = watcher.ended.count("round")
    whole = CompressionClustering(0.4).set_callbacks(other := Watcher()).fit(X)
    assert n_rounds < other.ended.count("round")
    assert whole.coding_length_ <= model.coding_length_ <= model.greedy_coding_length_


def test_many_merges_are_reported_in_a_hundred_parts():
    rows = make_blobs(250, 2, random_state=0)[0]
    watcher = Watcher()
    CompressionClustering(0.4).set_callbacks(watcher).fit(rows)
    assert watcher.ended.count("steps") == 83  # of three merges each


def test_a_request_to_stop_leaves_the_search_out(X):
    plain = CompressionClustering(0.4, refine=False).fit(X)
    model = CompressionClustering(0.4).set_callbacks(Watcher("steps")).fit(X)
    assert model.coding_length_ == model.greedy_coding_length_ == plain.coding_length_
    np.testing.assert_array_equal(model.children_, plain.children_)


def test_callbacks_are_torn_down_when_a_fit_fails(X):
    watcher = Watcher()
    model = CompressionClustering(0.4, n_clusters=2, min_cluster_size=44)
    with pytest.raises(ValueError, match="nowhere in the tree"):
        model.set_callbacks(watcher).fit(X)
    assert watcher.ended[-1] == "teardown"
    assert clone(model).get_params() == model.get_params()
