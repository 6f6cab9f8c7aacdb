"""Models in ONNX give the labels, probabilities and features of the estimators."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skredu import (
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    MCR2Transformer,
    MICLClassifier,
    NearestSubspaceClassifier,
    ReduNetClassifier,
    ReduNetTransformer,
)

pytest.importorskip("skl2onnx")
runtime = pytest.importorskip("onnxruntime")

MODELS = {
    "MICL": MICLClassifier(),
    "MICL, given": MICLClassifier(0.5, assume_centered=True),
    "MICL, symmetric": MICLClassifier(symmetry="flip"),
    "subspace": NearestSubspaceClassifier(2),
    "affine subspace": NearestSubspaceClassifier(0.7, assume_centered=False),
    "MCR2": MCR2Transformer(3),
    "MCR2, relu": MCR2Transformer(3, n_layers=2, activation="relu", tol=0.1),
    "net": ReduNetTransformer(3),
    "net, residual": ReduNetTransformer(2, membership="residual", step="published"),
    "net, weighted": ReduNetTransformer(2, membership="weighted_residual"),
    "net, relu": ReduNetTransformer(2, membership="relu", step="published"),
    "net, momentum": ReduNetTransformer(3, step="momentum"),
    "net, nesterov": ReduNetTransformer(3, step="nesterov"),
    "net classifier": ReduNetClassifier(2, n_iter_no_change=None),
    "no layers": ReduNetClassifier(0),
    "signals": InvariantReduNetTransformer(2),
    "signals, channels": InvariantReduNetTransformer(2, signal_shape=(2, 2)),
    "signals, residual": InvariantReduNetTransformer(
        2, membership="residual", step="published", construction="estimated"
    ),
    "signals, relu": InvariantReduNetTransformer(
        2, membership="relu", step="published", signal_shape=4
    ),
    "signals, nesterov": InvariantReduNetTransformer(3, step="nesterov"),
    "signals, no layers": InvariantReduNetClassifier(0, signal_shape=4),
    "signals, classifier": InvariantReduNetClassifier(2, n_iter_no_change=None),
    "pipeline": make_pipeline(StandardScaler(), MCR2Transformer(4), MICLClassifier()),
    "pipeline of nets": make_pipeline(StandardScaler(), ReduNetClassifier(1)),
}


def problem(n, d, k=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return rng.normal(size=(n, d)) + 1.5 * rng.normal(size=(k, d))[y], y


def results(model, X):
    """Return the outputs of the converted model."""
    import skl2onnx

    import skredu.onnx

    skredu.onnx.register()
    options = {"zipmap": False} if hasattr(model, "predict") else None
    file = skl2onnx.to_onnx(model, X[:1], options=options)
    one = runtime.SessionOptions()
    one.intra_op_num_threads = one.inter_op_num_threads = 1
    session = runtime.InferenceSession(file.SerializeToString(), one)
    return session.run(None, {"X": X})


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((90, 8), np.float64), ((18, 40), np.float64), ((90, 8), np.float32)],
    ids=str,
)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:.* (keeps|has) no layer:UserWarning")
def test_results_are_those_of_the_model(name, shape, dtype):
    X, y = problem(*shape)
    model = MODELS[name].fit(X.astype(dtype), y)
    new = problem(60, shape[1], seed=1)[0].astype(dtype)
    tolerance = 1e-10 if dtype == np.float64 else 1e-6
    if not hasattr(model, "predict"):
        (features,) = results(model, new)
        assert features.dtype == dtype
        assert_allclose(features, model.transform(new), rtol=0.0, atol=tolerance)
        return
    labels, second = results(model, new)
    assert_array_equal(labels, model.predict(new))
    if "subspace" in name:
        expected = model.decision_function(new)
        assert_allclose(second, expected, rtol=tolerance, atol=tolerance)
    else:
        assert_allclose(second, model.predict_proba(new), atol=tolerance)


@pytest.mark.parametrize("unit", [1e-300, 1e-60, 1e290])
@pytest.mark.parametrize("name", ["MICL", "subspace", "net classifier", "signals"])
def test_units_are_those_of_the_model(name, unit):
    X, y = problem(90, 8)
    model, new = MODELS[name].fit(unit * X, y), unit * problem(60, 8, seed=1)[0]
    first, *second = results(model, new)
    if hasattr(model, "predict"):
        assert_array_equal(first, model.predict(new))
    if name == "signals":
        assert_allclose(first, model.transform(new), atol=1e-10)
    elif name == "subspace":
        expected = model.decision_function(new)
        assert_allclose(second[0] / unit, expected / unit, rtol=1e-10)
    else:
        assert_allclose(second[0], model.predict_proba(new), atol=1e-10)


@pytest.mark.parametrize("classes", [[False, True], [3, 7], ["a", "b"]], ids=str)
def test_labels_come_back(classes):
    X, y = problem(40, 4, 2)
    model = MICLClassifier().fit(X, np.array(classes)[y])
    assert_array_equal(results(model, X)[0], model.predict(X))


@pytest.mark.parametrize(
    "model", [MICLClassifier(kernel="rbf"), MICLClassifier(n_neighbors=3)], ids=str
)
def test_other_kernels_are_refused(model):
    X, y = problem(40, 4)
    with pytest.raises(NotImplementedError, match="kernel='linear'"):
        results(model.fit(X, y), X)
    with pytest.raises(NotImplementedError, match="integers or strings"):
        results(MICLClassifier().fit(X, y.astype(float)), X)


def test_invariant_features_are_refused():
    X, y = problem(40, 8)
    net = InvariantReduNetTransformer(1, output="invariant").fit(X, y)
    with pytest.raises(NotImplementedError, match="output='equivariant'"):
        results(net, X)


def test_indices_replace_labels_on_request():
    """With ``nocl``, skl2onnx declares integers as the type of the labels."""
    import skl2onnx

    import skredu.onnx

    X, y = problem(40, 4, 2)
    model = MICLClassifier().fit(X, np.array(["a", "b"])[y])
    skredu.onnx.register()
    options = {"zipmap": False, "nocl": True}
    file = skl2onnx.to_onnx(model, X[:1], options=options).SerializeToString()
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    labels = session.run(None, {"X": X})[0]
    assert_array_equal(model.classes_[labels], model.predict(X))
