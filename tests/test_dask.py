"""Models of Dask collections equal those of arrays."""

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import limit, problem, slowly
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skredu import (
    CompressionClustering,
    CompressionOutlierDetector,
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    MCR2Transformer,
    MICLClassifier,
    NearestSubspaceClassifier,
    ReduNetClassifier,
    ReduNetTransformer,
)

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
skredu_dask = pytest.importorskip("skredu.dask")

X, Y = problem(120)
NAMED = np.array(["a", "b", "c"])[Y]
WEIGHTS = np.random.default_rng(0).integers(0, 4, 120) * 0.5
ROWS, LABELS = da.from_array(X, (23, 4)), da.from_array(NAMED, 40)
NEW = da.from_array(problem(50, seed=1)[0], (7, 6))
FRAME = dd.from_pandas(pd.DataFrame(X, columns=list("abcdef")), npartitions=11)
SERIES = dd.from_pandas(pd.Series(NAMED), npartitions=11)
ADDING = {
    "MICL": MICLClassifier(),
    "MICL given": MICLClassifier(0.5, priors=None),
    "subspaces": NearestSubspaceClassifier(2),
    "net without layers": InvariantReduNetClassifier(0, signal_shape=2),
    "outliers": CompressionOutlierDetector(n_neighbors=None),
}
KEPT = {"n_iter_no_change": None}
NETS = {
    "default": ReduNetTransformer(2),
    "labels": ReduNetTransformer(2, construction="labels"),
    "estimated": ReduNetTransformer(2, 0.5, construction="estimated"),
    "published": ReduNetTransformer(
        2, 0.5, step="published", membership="residual", construction="labels"
    ),
    "positive parts": ReduNetTransformer(2, membership="relu", construction="labels"),
    "velocity": ReduNetTransformer(3, step="nesterov", fit_intercept=False),
    "small distortion": ReduNetTransformer(2, 1e-3, construction="labels"),
    "classifier": ReduNetClassifier(2, **KEPT),
    "classifier, labels": ReduNetClassifier(4, construction="labels"),
    "no layers": ReduNetClassifier(0),
    "signals": InvariantReduNetTransformer(2, signal_shape=3),
    "signals, invariant": InvariantReduNetTransformer(
        1, signal_shape=2, output="invariant"
    ),
    "signals, classifier": InvariantReduNetClassifier(2, signal_shape=3, **KEPT),
}
every = pytest.mark.parametrize("name", ADDING)


@pytest.fixture(autouse=True)
def threads():
    with dask.config.set(scheduler="threads", num_workers=2):
        yield


def labels(name, y):
    return () if name == "outliers" else (y,)


def score(model, rows):
    method = "score_samples" if hasattr(model, "offset_") else "decision_function"
    return getattr(model, method)(rows)


@every
def test_fit_equals_that_of_the_array(name):
    whole = ADDING[name].fit(X, *labels(name, NAMED), sample_weight=WEIGHTS)
    w = da.from_array(WEIGHTS, 50)
    model = skredu_dask.fit(ADDING[name], ROWS, *labels(name, LABELS), sample_weight=w)
    expected = score(whole, NEW.compute())
    assert_allclose(score(model, NEW.compute()), expected, rtol=1e-9, atol=1e-9)
    method = "score_samples" if name == "outliers" else "decision_function"
    lazy = skredu_dask.apply(model, NEW, method)
    assert lazy.shape == expected.shape
    assert lazy.chunks[0] == NEW.chunks[0]
    assert_allclose(lazy.compute(), expected, rtol=1e-9, atol=1e-9)
    predicted = skredu_dask.predict(model, NEW)
    assert_array_equal(predicted.compute(), model.predict(NEW.compute()))
    assert predicted.dtype == model.predict(X[:1]).dtype


@every
def test_frames_keep_their_names_and_empty_partitions_add_nothing(name):
    frame = FRAME[FRAME["a"] > -1.0]  # partitions of unknown sizes, some are empty
    kept = X[:, 0] > -1.0
    whole = ADDING[name].fit(X[kept], *labels(name, NAMED[kept]))
    series = SERIES[FRAME["a"] > -1.0]
    model = skredu_dask.fit(ADDING[name], frame, *labels(name, series))
    assert list(model.feature_names_in_) == list("abcdef")
    new = FRAME + 0.01  # no training samples, which a fit recognises
    expected = score(whole, X + 0.01)
    assert_allclose(score(model, new.compute()), expected, rtol=1e-9, atol=1e-9)
    predicted = skredu_dask.predict(model, new).compute()
    assert_array_equal(predicted, whole.predict(X + 0.01))


def test_empty_blocks_are_left_out():
    nothing = da.from_array(np.empty((0, 6)), (1, 6))
    rows = da.concatenate([nothing, ROWS, nothing])
    model = skredu_dask.fit(ADDING["outliers"], rows)
    whole = ADDING["outliers"].fit(X)
    assert_allclose(model.score_samples(X + 1), whole.score_samples(X + 1))
    assert skredu_dask.predict(model, rows).compute().shape == (120,)
    with pytest.raises(ValueError, match="X contains no sample of positive weight"):
        skredu_dask.fit(ADDING["outliers"], nothing)


@every
def test_blocks_without_weight_are_left_out(name):
    weights = np.where(np.arange(120) < 60, 0.0, 1.0)
    w = da.from_array(weights, 50)
    model = skredu_dask.fit(ADDING[name], ROWS, *labels(name, LABELS), sample_weight=w)
    whole = ADDING[name].fit(X[60:], *labels(name, NAMED[60:]))
    assert_allclose(score(model, X + 1.0), score(whole, X + 1.0), rtol=1e-9, atol=1e-9)
    with pytest.raises(ValueError, match="X contains no sample of positive weight"):
        skredu_dask.fit(
            ADDING[name], ROWS, *labels(name, LABELS), sample_weight=0.0 * w
        )


def test_classes_without_weight_are_no_classes():
    weights = np.where(Y[0] == Y, 0.0, 1.0)
    w = da.from_array(weights, 50)
    with pytest.warns(UserWarning, match="All samples of the classes .* weight zero"):
        model = skredu_dask.fit(MICLClassifier(), ROWS, LABELS, sample_weight=w)
    with pytest.warns(UserWarning, match="All samples of the classes .* weight zero"):
        whole = MICLClassifier().fit(X, NAMED, sample_weight=weights)
    assert model.classes_.tolist() == whole.classes_.tolist()
    assert_allclose(model.predict_proba(X), whole.predict_proba(X), rtol=1e-7)


def output(net, rows):
    method = "decision_function" if hasattr(net, "predict") else "transform"
    return getattr(net, method)(rows)


def assert_same_net(found, expected, new, tolerance=1e-8):
    assert found.n_iter_ == expected.n_iter_
    assert_array_equal(found.classes_, expected.classes_)
    for name in ("R", "Rc", "delta_R"):
        assert_allclose(found.rates_[name], expected.rates_[name], rtol=tolerance)
    assert_allclose(found.class_count_, expected.class_count_)
    expected = output(expected, new)
    assert_allclose(output(found, new), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.filterwarnings("ignore:.* (keeps|has) no layer:UserWarning")
@pytest.mark.parametrize("weights", [WEIGHTS, *slowly(None)], ids=["weights", "none"])
@pytest.mark.parametrize("name", NETS)
def test_networks_equal_those_of_the_array(name, weights):
    whole = NETS[name].fit(X, NAMED, sample_weight=weights)
    w = None if weights is None else da.from_array(weights, 50)
    net = skredu_dask.fit(NETS[name], ROWS, LABELS, w)
    assert_same_net(net, whole, NEW.compute())
    if name == "velocity":
        again = skredu_dask.fit(NETS[name], ROWS, LABELS, w, keep_features=True)
        assert_same_net(again, net, X, 1e-12)


@pytest.mark.parametrize("shape", [(24, 40), (120, 8)], ids=str)
@pytest.mark.parametrize(
    ("size", "construction"),
    [(1e-200, "left_out"), (1.0, "left_out"), (1e200, "labels")],
)
def test_networks_of_few_samples_zeros_and_any_scale(shape, size, construction):
    rows, y = problem(*shape)
    rows[:, 1], rows[0] = 0.0, 0.0
    net = ReduNetTransformer(2, construction=construction)
    X, Y = da.from_array(size * rows, (23, shape[1])), da.from_array(y, 23)
    new = size * (rows + 0.1)
    assert_same_net(skredu_dask.fit(net, X, Y), net.fit(size * rows, y), new)


def test_layers_with_given_parameters_need_no_sample_of_all(monkeypatch):
    """Operators add up from all samples, whatever samples are kept to choose by."""
    limit(monkeypatch, MAX_ROWS=25)
    net = NETS["published"]
    found = skredu_dask.fit(net, ROWS, LABELS)
    assert_same_net(found, net.fit(X, NAMED), NEW.compute())
    for name in ("default", "classifier"):  # the kept samples do not depend on blocks
        nets = [
            skredu_dask.fit(NETS[name], ROWS.rechunk((size, 6)), LABELS)
            for size in (17, 120)
        ]
        assert_same_net(*nets, NEW.compute(), 1e-7)


def test_networks_keep_names_and_leave_out_empty_partitions():
    frame, series = FRAME[FRAME["a"] > -1.0], SERIES[FRAME["a"] > -1.0]
    kept = X[:, 0] > -1.0
    net = skredu_dask.fit(NETS["default"], frame, series)
    assert list(net.feature_names_in_) == list("abcdef")
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert_same_net(net, NETS["default"].fit(X[kept], NAMED[kept]), X + 0.1)


def test_copies_count_as_weights_in_networks():
    twice, names = da.concatenate([ROWS, ROWS]), da.concatenate([LABELS, LABELS])
    net = ReduNetClassifier(2, construction="labels", n_iter_no_change=None)
    whole = net.fit(X, NAMED, sample_weight=np.full(120, 2.0))
    assert_same_net(skredu_dask.fit(net, twice, names), whole, NEW.compute())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"warm_start": True}, "warm_start=True compares all samples"),
        ({"class_weight": "balanced"}, "needs the counts of all classes"),
        ({"symmetry": "flip"}, "symmetry='flip' of networks is not available"),
        ({"epsilon": -1.0}, "epsilon"),
    ],
)
def test_settings_of_networks_that_need_all_samples_are_named(settings, said):
    with pytest.raises(ValueError, match=said):
        skredu_dask.fit(ReduNetClassifier(1, **settings), ROWS, LABELS)


def test_labels_of_networks_are_checked():
    net = ReduNetClassifier(1)
    with pytest.raises(ValueError, match="y is None"):
        skredu_dask.fit(net, ROWS)
    with pytest.raises(ValueError, match=r"positive weight has: \['d'\]"):
        skredu_dask.fit(net, ROWS, LABELS, classes=list("abcd"))
    with pytest.raises(ValueError, match="not in classes"):
        skredu_dask.fit(net, ROWS, LABELS, classes=list("ab"))
    with pytest.raises(ValueError, match="no sample of positive weight"):
        skredu_dask.fit(net, ROWS, LABELS, 0.0 * da.from_array(WEIGHTS, 50))


def test_transform_and_all_fitted_models_are_lazy():
    maps = MCR2Transformer(2, tol=0.5).fit(X, Y)
    Z = skredu_dask.transform(maps, NEW)
    assert Z.shape == (50, 2)
    assert_allclose(Z.compute(), maps.transform(NEW.compute()))
    net = ReduNetClassifier(1, n_iter_no_change=None).fit(X, Y)
    proba = skredu_dask.apply(net, NEW, "predict_proba")
    assert proba.shape == (50, 3)
    assert_allclose(proba.compute(), net.predict_proba(NEW.compute()))


def test_classes_may_be_given_and_a_block_need_not_contain_all():
    order = np.argsort(NAMED, kind="stable")
    rows, y = da.from_array(X[order], (10, 6)), da.from_array(NAMED[order], 10)
    model = skredu_dask.fit(MICLClassifier(), rows, y, classes=["a", "b", "c"])
    whole = MICLClassifier().fit(X, NAMED)
    assert_allclose(model.decision_function(X), whole.decision_function(X), rtol=1e-8)
    with pytest.raises(ValueError, match="not in classes"):
        skredu_dask.fit(MICLClassifier(), rows, y, classes=["a", "b"])


@pytest.mark.slow
def test_processes_give_the_same_model_even_if_one_is_killed():
    distributed = pytest.importorskip("distributed")
    table = np.random.default_rng(0).normal(size=(4000, 5))

    def block(start):
        time.sleep(0.2)
        return table[start : start + 200]

    def kill(process):
        time.sleep(1.0)
        os.kill(process, signal.SIGTERM)

    starts, make = range(0, 4000, 200), dask.delayed(block)
    rows = [da.from_delayed(make(start), (200, 5), float) for start in starts]
    options = {"threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(2, **options) as cluster,
        distributed.Client(cluster),
        dask.config.set(scheduler="distributed"),
    ):
        process = next(iter(cluster.workers.values())).pid
        killer = threading.Thread(target=kill, args=(process,))
        killer.start()
        model = skredu_dask.fit(ADDING["outliers"], da.concatenate(rows))
        killer.join()
        named = skredu_dask.fit(ADDING["MICL"], ROWS, LABELS)
        found = skredu_dask.apply(named, ROWS, "decision_function").compute()
    whole = ADDING["outliers"].fit(table)
    new = table[:9] + 0.5
    assert_allclose(model.score_samples(new), whole.score_samples(new), rtol=1e-9)
    expected = ADDING["MICL"].fit(X, NAMED).decision_function(X)
    assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "estimator",
    [
        CompressionClustering(),
        CompressionOutlierDetector(),
        MICLClassifier(kernel="rbf"),
        MCR2Transformer(),
    ],
)
def test_estimators_that_need_all_samples_say_so(estimator):
    with pytest.raises(TypeError, match="needs all samples at once"):
        skredu_dask.fit(estimator, ROWS, LABELS)


@pytest.mark.parametrize(
    "estimator", [MICLClassifier(), CompressionClustering(), MCR2Transformer()]
)
def test_other_methods_do_not_load_collections(estimator):
    for rows in (ROWS, FRAME):
        with pytest.raises(TypeError, match=r"skredu.dask or pass X.compute\(\)"):
            estimator.fit(rows, Y)


def test_arrays_of_one_axis_are_refused():
    model = ADDING["outliers"].fit(X)
    with pytest.raises(ValueError, match="two axes, found an array of 1"):
        skredu_dask.predict(model, ROWS[:, 0])
    with pytest.raises(ValueError, match="two axes, found an array of 1"):
        skredu_dask.fit(model, ROWS[:, 0])


def test_blocks_that_do_not_fit_together_are_named():
    with pytest.raises(ValueError, match="X has 120 samples, but y has 119"):
        skredu_dask.fit(MICLClassifier(), ROWS, LABELS[1:])
    with pytest.raises(ValueError, match="y must have the same blocks"):
        skredu_dask.fit(MICLClassifier(), FRAME, SERIES.repartition(npartitions=2))
    with pytest.raises(TypeError, match="X must be a dask array"):
        skredu_dask.fit(MICLClassifier(), X, LABELS)
    with pytest.raises(TypeError, match="y must be a dask array"):
        skredu_dask.fit(MICLClassifier(), ROWS, NAMED)


def test_pipelines_with_columns_of_text_are_applied_to_data_frames():
    frame = pd.DataFrame({"a": X[:, 0], "b": np.where(X[:, 1] > 0.0, "yes", "no")})
    steps = (StandardScaler(), ["a"]), (OneHotEncoder(), ["b"])
    model = make_pipeline(make_column_transformer(*steps), MICLClassifier())
    model.fit(frame, NAMED)
    found = skredu_dask.predict(model, dd.from_pandas(frame, npartitions=3))
    assert_array_equal(found.compute(), model.predict(frame))
