"""Models of Dask collections equal those of arrays."""

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import problem

from skredu import (
    CompressionClustering,
    CompressionOutlierDetector,
    InvariantReduNetClassifier,
    MCR2Transformer,
    MICLClassifier,
    NearestSubspaceClassifier,
    ReduNetClassifier,
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
    model = skredu_dask.fit(MICLClassifier(), ROWS, LABELS, sample_weight=w)
    whole = MICLClassifier().fit(X, NAMED, sample_weight=weights)
    assert model.classes_.tolist() == whole.classes_.tolist()
    assert_allclose(model.predict_proba(X), whole.predict_proba(X), rtol=1e-7)


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
def test_processes_give_the_same_model():
    whole = ADDING["MICL"].fit(X, NAMED).decision_function(X)
    with dask.config.set(scheduler="processes", num_workers=2):
        model = skredu_dask.fit(ADDING["MICL"], ROWS, LABELS)
        found = skredu_dask.apply(model, ROWS, "decision_function").compute()
    assert_allclose(found, whole, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_model_is_the_same_if_a_worker_is_killed():
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
    whole = ADDING["outliers"].fit(table)
    new = table[:9] + 0.5
    assert_allclose(model.score_samples(new), whole.score_samples(new), rtol=1e-9)


@pytest.mark.parametrize(
    "estimator",
    [
        CompressionClustering(),
        CompressionOutlierDetector(),
        MICLClassifier(kernel="rbf"),
        InvariantReduNetClassifier(1),
        ReduNetClassifier(),
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


def test_blocks_that_do_not_fit_together_are_named():
    with pytest.raises(ValueError, match="X has 120 samples, but y has 119"):
        skredu_dask.fit(MICLClassifier(), ROWS, LABELS[1:])
    with pytest.raises(ValueError, match="y must have the same blocks"):
        skredu_dask.fit(MICLClassifier(), FRAME, SERIES.repartition(npartitions=2))
    with pytest.raises(TypeError, match="X must be a dask array"):
        skredu_dask.fit(MICLClassifier(), X, LABELS)
    with pytest.raises(TypeError, match="y must be a dask array"):
        skredu_dask.fit(MICLClassifier(), ROWS, NAMED)
