"""Callbacks: what they observe of a fit, and requests to stop."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs

from skredu import (
    CompressionClustering,
    ConvolutionalLifting,
    MCR2Transformer,
    MICLClassifier,
    ReduNetTransformer,
)
from skredu._progress import MAX_TASKS, UNWATCHED, watched
from skredu.image import CompressionSegmenter

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 or newer")


class Watcher:
    """Record tasks that end, and ask to stop after one with a given name."""

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


@pytest.mark.slow
@pytest.mark.parametrize("n_clusters", [None, 3])
def test_clustering_reports_distortions_and_rounds_of_the_search(X, n_clusters):
    watcher = Watcher()
    chosen = CompressionClustering(n_clusters=n_clusters).set_callbacks(watcher).fit(X)
    n_distortions = watcher.ended.index("choose epsilon")
    assert watcher.ended[:n_distortions] == ["distortion"] * n_distortions
    assert n_distortions == (6 if n_clusters is None else 11)
    given = CompressionClustering(0.4, n_clusters=n_clusters)
    given.set_callbacks(watcher).fit(X)
    assert watcher.ended.count("distortion") == 0
    assert watcher.ended.count("round") > 2
    assert watcher.ended.index("refine") > watcher.ended.index("round")
    plain = CompressionClustering(n_clusters=n_clusters).fit(X)
    np.testing.assert_array_equal(chosen.labels_, plain.labels_)


def test_a_request_to_stop_ends_the_choice_and_the_search_early(X):
    watcher = Watcher("distortion")
    model = CompressionClustering().set_callbacks(watcher).fit(X)
    assert watcher.ended.count("distortion") == 1
    assert model.coding_length_ == model.greedy_coding_length_
    watcher = Watcher("round")
    model = CompressionClustering(0.4).set_callbacks(watcher).fit(X)
    n_rounds = watcher.ended.count("round")
    whole = CompressionClustering(0.4).set_callbacks(other := Watcher()).fit(X)
    assert n_rounds < other.ended.count("round")
    assert whole.coding_length_ <= model.coding_length_ <= model.greedy_coding_length_


def test_many_merges_are_reported_in_a_hundred_parts_and_may_end_a_fit(X):
    rows = make_blobs(250, 2, random_state=0)[0]
    watcher = Watcher()
    CompressionClustering(0.4).set_callbacks(watcher).fit(rows)
    assert watcher.ended.count("steps") == 83  # of three merges each
    plain = CompressionClustering(0.4, refine=False).fit(X)
    model = CompressionClustering(0.4).set_callbacks(Watcher("steps")).fit(X)
    assert model.coding_length_ == model.greedy_coding_length_ == plain.coding_length_
    np.testing.assert_array_equal(model.children_, plain.children_)


# -- windows --------------------------------------------------------------------------


def test_segmentation_reports_window_sizes_and_stops_after_one():
    columns = np.indices((24, 24))[1]
    image = np.random.default_rng(0).uniform(size=(24, 24)) + columns // 12
    given = {"superpixels": columns // 6, "convert2lab": False, "window_sizes": (3, 1)}
    watcher = Watcher()
    model = CompressionSegmenter(1.0, **given).set_callbacks(watcher).fit(image)
    assert watcher.ended == ["windows", "windows", "fit", "teardown"]
    expected = CompressionSegmenter(1.0, **given).fit(image)
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    image = np.zeros((24, 24))
    image[::2, :12] = image[:, 12::2] = 1.0  # stripes, which are of the same colours
    stopped = CompressionSegmenter(0.3, **given).set_callbacks(Watcher("windows"))
    assert stopped.fit(image).n_segments_ == 2
    assert CompressionSegmenter(0.3, **given).fit(image).n_segments_ == 1
    assert len(stopped.children_) == 3


# -- layers ---------------------------------------------------------------------------


class Layers(Watcher):
    """Record the widths of the features behind each layer, too."""

    def setup(self, estimator, context):
        self.widths = []

    def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
        if context.task_name == "layer":
            self.widths.append(fitted_estimator.transform(X).shape[1])
        return super().on_fit_task_end(estimator, context)


@pytest.mark.parametrize("stop_after", [None, "layer", "iteration"])
@pytest.mark.parametrize("model", [MCR2Transformer(2), ReduNetTransformer(2, 0.5)])
def test_layers_and_iterations_are_seen_and_may_be_the_last(X, model, stop_after):
    watcher = Layers(stop_after)
    model = clone(model).set_params(n_layers=2).set_callbacks(watcher)
    model.fit(X, np.arange(90) // 30)
    maps = isinstance(model, MCR2Transformer)
    n_layers = 1 if stop_after == "layer" or (maps and stop_after) else 2
    assert watcher.widths == [model.transform(X).shape[1]] * n_layers
    assert len(model.layers_) == n_layers
    if maps:
        assert watcher.ended.count("iteration") == model.n_iter_
        assert (model.n_iter_ == 1) == (stop_after == "iteration")


# -- filters --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("gaussian", []),
        ("dct", []),
        ("kmeans", ["draw patches", "cluster patches"]),
        ("auto", ["draw patches", "cluster patches"]),
        ("pca", ["steps"] * 3 + ["add up patches"]),  # a task per block of rows
    ],
)
def test_liftings_report_how_filters_are_made(filters, expected):
    rows = np.random.default_rng(0).normal(size=(70, 8000))
    lifting = ConvolutionalLifting(4, 5, filters=filters, random_state=0)
    plain = lifting.fit(rows).filters_
    watcher = Watcher()
    lifting.set_callbacks(watcher).fit(rows)
    assert watcher.ended == [*expected, "fit", "teardown"]
    np.testing.assert_array_equal(lifting.filters_, plain)


# -- the protocol ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["choose epsilon"]),
        ({"n_neighbors": 3}, ["factor classes", "choose epsilon"]),
        ({"kernel": "cosine"}, ["products", "factor classes", "choose epsilon"]),
        ({"kernel": "rbf"}, ["products", "factor classes", "choose epsilon"] * 2),
    ],
)
def test_micl_reports_products_and_choices(X, settings, expected):
    watcher, y = Watcher(), np.arange(90) % 3
    model = MICLClassifier(**settings).set_callbacks(watcher).fit(X, y)
    found = [name for name in watcher.ended if name != "steps"]
    assert found == [*expected, "fit", "teardown"]
    plain = MICLClassifier(**settings).fit(X, y).decision_function(X)
    np.testing.assert_array_equal(model.decision_function(X), plain)


class Family:
    """Record the places of tasks in the tree, and the fitted attributes."""

    def __init__(self):
        self.begun, self.ended = [], []

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, *, X):
        parent = context.parent and context.parent.task_name
        self.begun.append((parent, context.task_name, context.max_subtasks, X))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.ended.append((context.task_name, fitted_estimator))

    def teardown(self, estimator, context):
        pass


def test_tasks_form_a_tree_and_say_when_there_is_something_to_predict_with():
    family = Family()
    estimator = ConvolutionalLifting().set_callbacks(family)
    with watched(estimator, 2, X="rows") as fit:
        with fit.task("layer", None, fitted=lambda: {"filters_": 7}) as layer:
            assert layer.done("iteration") is False
        assert list(fit.follow("loop", range(3), 3)) == [0, 1, 2]
    assert family.begun == [
        (None, "fit", 2, "rows"),
        ("fit", "layer", None, "rows"),
        ("layer", "iteration", 0, "rows"),
        ("fit", "loop", 3, "rows"),
        *[("loop", "steps", 0, "rows")] * 3,
    ]
    names, fitted = zip(*family.ended, strict=True)
    assert names == ("iteration", "layer", *["steps"] * 3, "loop", "fit")
    assert [copy is not None for copy in fitted] == [False, True, *[False] * 4, True]
    assert fitted[1].filters_ == 7
    assert not hasattr(estimator, "filters_")


def test_a_request_to_stop_is_seen_by_every_task_of_the_fit():
    estimator = ConvolutionalLifting().set_callbacks(Watcher("iteration"))
    with watched(estimator) as fit:
        with fit.task("layer", None) as layer:
            assert not layer.stopped
            assert layer.done("iteration")
        assert fit.stopped
    assert not UNWATCHED.done("iteration")
    with watched(object()) as fit:  # as before scikit-learn 1.9
        assert fit is UNWATCHED


def test_callbacks_are_torn_down_when_a_fit_fails(X):
    watcher = Watcher()
    model = CompressionClustering(0.4, n_clusters=2, min_cluster_size=44)
    with pytest.raises(ValueError, match="do not exist in the merge tree"):
        model.set_callbacks(watcher).fit(X)
    assert watcher.ended[-1] == "teardown"
    assert clone(model).get_params() == model.get_params()
