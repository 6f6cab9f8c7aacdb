"""Memory, as stated in the documentation of the estimators."""

import numpy as np
import pytest
from settings import bytes_of, limit, peak_of

from skredu import (
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    MICLClassifier,
    NearestSubspaceClassifier,
    ReduNetClassifier,
    ReduNetTransformer,
)
from skredu.image import CompressionSegmenter

pytestmark = pytest.mark.slow


def expression_like(n=60, d=5000, k=2, dtype=float):
    """Return few rows with many features."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % k
    return rng.normal(size=(n, d)).astype(dtype) + np.eye(k, d, dtype=dtype)[y], y


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "model",
    [
        MICLClassifier(),
        MICLClassifier(1.0),
        MICLClassifier(assume_centered=True),
        MICLClassifier(kernel="rbf"),
        MICLClassifier(n_neighbors=5),
        NearestSubspaceClassifier(),
        NearestSubspaceClassifier(5, assume_centered=False),
        ReduNetClassifier(),
        # rows without classes, for which no safe step is left
        ReduNetClassifier(2, step="published", n_iter_no_change=None),
    ],
    ids=str,
)
def test_few_rows_of_many_features_take_less_than_ten_times_their_memory(model, dtype):
    X, y = expression_like(dtype=dtype)
    new = X[:10] + 1
    most = 10 * X.size * 8  # singular vectors are always in double precision
    if getattr(model, "n_neighbors", None) is not None:
        most += 8 * 2**22  # the neighbours of a block of rows
    assert most < X.shape[1] ** 2 * X.itemsize  # no square matrix of features
    assert peak_of(lambda: model.fit(X, y).predict(new)) < most


@pytest.mark.parametrize("epsilon", ["auto", 1.0])
def test_adding_few_rows_of_many_features_makes_no_square_matrix(epsilon):
    X, y = expression_like()

    def work():
        model = MICLClassifier(epsilon)
        for start in range(0, 60, 20):
            part = slice(start, start + 20)
            model.partial_fit(X[part], y[part], classes=[0, 1])

    assert peak_of(work) < 16 * X.nbytes


@pytest.mark.parametrize(
    "settings", [{}, {"epsilon": 1.0}, {"kernel": "rbf"}, {"n_neighbors": 3}], ids=str
)
def test_memory_of_predict_does_not_grow_with_the_rows(settings, monkeypatch):
    limit(monkeypatch, BLOCK=2**16)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 20)), np.arange(300) % 3
    model = MICLClassifier(**settings).fit(X, y)
    few, many = rng.normal(size=(1_000, 20)), rng.normal(size=(4_000, 20))
    model.predict(few)
    # but for the answers, and for validation
    grown = peak_of(lambda: model.predict(many)) - peak_of(lambda: model.predict(few))
    assert grown < 2 * (many.nbytes - few.nbytes)


def test_many_rows_take_a_few_times_their_memory():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40_000, 50)), np.arange(40_000) % 4
    for model in (MICLClassifier(1.0), NearestSubspaceClassifier()):
        assert peak_of(model.fit, X, y) < 4 * X.nbytes


@pytest.mark.parametrize(
    ("construction", "n_layers", "most"),
    [("left_out", 0, 1.5), ("left_out", 2, 2.6), ("labels", 2, 2.6)],
)
def test_signals_take_the_memory_of_their_spectra_and_of_their_change(
    construction, n_layers, most, monkeypatch
):
    limit(monkeypatch, BLOCK=2**14, MAX_ROWS=150, CACHED=2**12)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(800, 2 * 196)).astype(np.float32), np.arange(800) % 4
    X += rng.normal(size=(4, X.shape[1])).astype(np.float32)[y]
    spectra = 8 * 14 * 8 * 2 * len(X)
    options = {"signal_shape": (14, 14), "n_iter_no_change": None}
    net = InvariantReduNetClassifier(
        n_layers, 0.5, construction=construction, **options
    )
    assert peak_of(lambda: net.fit(X, y)) < most * spectra


def test_memory_of_signals_in_parts_does_not_grow_with_the_parts(monkeypatch):
    limit(monkeypatch, MAX_ROWS=200, MOST_WAITING=2**15)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(4000, 2 * 64)).astype(np.float32), np.arange(4000) % 4

    def work(n_parts):
        net = InvariantReduNetClassifier(0, signal_shape=(8, 8))
        for start in range(0, 500 * n_parts, 500):
            part = slice(start, start + 500)
            net.partial_fit(X[part], y[part], classes=np.arange(4))
        net.predict(X[:10])

    few, many = (peak_of(lambda n=n: work(n)) for n in (3, 8))
    assert many < 1.1 * few


def test_model_holds_what_its_documentation_says():
    X, y = expression_like(40, 300, 4)
    model = MICLClassifier().fit(X, y)
    rank = 9  # of each class of ten rows, whose bases and scatters are kept
    assert bytes_of(model) <= 8 * (2 * 300 * 4 * (rank + 2) + 2000)


def test_transform_of_a_network_takes_blocks_of_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120_000, 20))
    net = ReduNetTransformer(3, 0.5).fit(X[:200], np.arange(200) % 2)
    extra = [peak_of(net.transform, X[:n]) for n in (60_000, 120_000)]
    assert extra[1] < 1.05 * extra[0] + 8 * len(X)  # validation looks at each row


def test_transform_of_a_network_copies_no_bases_of_classes():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 20 * 64)), np.arange(40) % 4
    options = {"construction": "labels", "signal_shape": (8, 8)}
    net = InvariantReduNetTransformer(1, 1.0, **options).fit(X, y)
    bases = 16 * 40 * 20 * 40  # bytes of frequencies, channels and directions
    assert net.n_iter_ == 1
    assert peak_of(net.transform, X[:1]) < bases / 2


def test_segmentation_of_a_photograph_takes_little_memory():
    # three sets of eight features, and a few arrays of that size for a short time
    rows, columns = np.indices((321, 481))
    squares = (rows // 20) * 481 + columns // 20
    image = np.random.default_rng(0).integers(0, 255, (321, 481, 3), np.uint8)
    model = CompressionSegmenter(superpixels=squares)
    assert peak_of(lambda: model.fit(image)) < 80 * 2**20
