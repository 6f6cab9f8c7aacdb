"""Every public function and estimator with unusual arrays and parameters.

A small sample in every run of the tests, the same each time. By hand, longer:
``pytest -n0 tests/test_fuzz.py --hypothesis-profile=long``.
"""

import inspect
import warnings
from numbers import Integral

import numpy as np
import pytest
from fuzz import attempt, choices, finite, labels, numbers, rows, some, weights
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

import skredu
from skredu import datasets, metrics, rates
from skredu._compat import Interval, StrOptions
from skredu.image import CompressionSegmenter

ARRAYS = ("X", "y", "ample weight", "ample_weight", "weights")
LENGTH = numbers(0.3, 1.0, 2.0)
GIVEN_OR_AUTO = st.one_of(st.just("auto"), LENGTH)


@pytest.fixture(autouse=True)
def documented_warnings():
    """Let warnings pass that scikit-learn or the documentation asks for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DataConversionWarning)
        warnings.filterwarnings("ignore", ".* (keeps|has) no layer")
        warnings.filterwarnings("ignore", "The number of unique classes is greater")
        warnings.filterwarnings("ignore", "The weights")
        warnings.filterwarnings("ignore", "No feature saves bits")
        warnings.filterwarnings("ignore", "The kernel is not positive semi-definite")
        yield


def fit(estimator, X, y, *w):
    """Fit; the model, or None where it refuses and says why."""
    parameters = estimator.get_params(deep=False)
    given = list(parameters)
    model = attempt(estimator.fit, X, y, *w, names=(*ARRAYS, *given))
    for name, value in estimator.get_params(deep=False).items():
        assert value is parameters[name]
    return model


def assert_classifies(model, X):
    """Assert that all answers for some rows are finite and agree."""
    names = (*ARRAYS, *model.get_params(deep=False))
    predicted = attempt(model.predict, X, names=names)
    if predicted is None:
        return
    assert set(np.unique(predicted)) <= set(model.classes_)
    scores = model.decision_function(X)
    possible = np.asarray(getattr(model, "priors_", 1.0)) > 0.0
    if possible.all() and finite(getattr(model, "means_", 0.0)):
        assert finite(scores)
    else:  # classes that cannot be
        assert not np.isnan(scores).any()
    if hasattr(model, "predict_proba"):
        proba = model.predict_proba(X)
        np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-5)
        assert not np.isnan(model.predict_log_proba(X)).any()
        assert finite(model.score_samples(X))
    found = attempt(getattr(model, "explain", lambda X: None), X, names=names)
    if found is not None:
        assert finite(found.bits)
        with np.errstate(invalid="ignore"):  # classes that cannot be
            error = found.bits.sum(axis=1) + found.base - scores
        size = np.abs(found.bits).sum(axis=1) + np.where(np.isfinite(scores), scores, 0)
        assert not np.any(np.abs(error) > 1e-6 * np.abs(size) + 1e-9)


def assert_on_sphere(model, X):
    """Assert that features are finite and of norm one, or zero."""
    names = (*ARRAYS, *model.get_params(deep=False))
    Z = attempt(model.transform, X, names=names)
    if Z is None:
        return
    assert finite(Z)
    norms = np.linalg.norm(Z.astype(float), axis=1)
    assert ((np.abs(norms - 1.0) < 1e-3) | (norms < 1e-3)).all(), norms


@st.composite
def problems(draw, d=None):
    """Training rows, labels, weights, and other rows."""
    n, d = draw(st.integers(1, 9)), draw(st.integers(1, 6)) if d is None else d
    return (
        draw(rows(n, d)),
        draw(labels(n)),
        draw(weights(n)),
        draw(rows(draw(st.integers(1, 3)), d)),
    )


def rbf(X, Y):
    return np.exp(-np.abs(X[:, None] - Y[None]).sum(axis=2))


KERNELS = [
    lambda x, y: float(x @ y),
    lambda x, y: x @ y + 1j,
    lambda x, y: "text",
    lambda x, y: None,
    lambda x, y: np.ones(3),
    lambda x, y: np.nan,
    lambda x, y: np.ones((1, 1)),
    lambda x, y: True,
    lambda x: 1.0,
    lambda X, Y: X @ Y.T,
    rbf,
    lambda X, Y: (X @ Y.T).astype(str),
    lambda X, Y: X @ Y.T + 0j,
]
PRIORS = choices("auto", None, [0.5, 0.5], [1.0], ["a", "b"], [1e-300, 1.0])
# What parameters take, or refuse, beside what their constraints say.
BESIDE = {
    "kernel": KERNELS,
    "kernel_params": [{}, {"a": 1}],
    "class_weight": [{0: 2.0}, {0: -1.0}, {7: 1.0}, {"a": "b"}, "even"],
    "inverse_temperature": [500.0],
    "n_neighbors": [99],
    "contamination": [0.6],
    "symmetry": [[[1, 0]], [[0, 0]], [[1, 2, 0]], [["a"]], [[0, 1.5]], "turn"],
    "momentum": [0.99],
    "init": [[[1.0, 0.0]], [[1e300]], [["a"]]],
    "kernel_size": [(2, 1), [1], (0,), 10**9],
    "signal_shape": [2, 3, 6, (2, 3), [3, 2], (1, 6), (1, 2, 3), (0, 1)],
    "image_shape": [(2, 3), [3, 2], (1, 6), (0, 1), (2,)],
    "filters": [[[[1.0]]], [["a"]], [[1e300]]],
    "pool_size": [(2, 1), (0,)],
    "pooling": [("max", "share"), ["share"], (), "least"],
    "n_kernels": [200],
    "random_state": [0, 1],
    "boundary_weight": [3.0],
    "window_sizes": [(5, 3, 1), [3], (1,), (2,), ()],
    "superpixels": [np.array([[0, 1, 1], [2, 2, 3]]), "squares"],
    "channel_axis": [-1],
}
# Few layers and no long search, whatever is drawn.
SHORT_OF = {
    "n_layers": st.one_of(st.integers(0, 2), st.sampled_from([True, 1.5, -1, "2"])),
    "max_iter": st.sampled_from([1, 3, 0, True]),
    "random_state": st.sampled_from([0, 1, -1, "a"]),
    "n_label_refits": st.sampled_from([0, 1, 2, -1, 0.5, True]),
    "n_jobs": st.sampled_from([None, 1]),
    "priors": PRIORS,
}


def valid(allowed):
    """Return values that a constraint allows."""
    if isinstance(allowed, StrOptions):
        return sorted(allowed.options)
    if isinstance(allowed, Interval):
        some = (0, 1, 2, 3) if allowed.type is Integral else (0.0, 0.1, 0.5, 1.0)
        return [value for value in some if value in allowed]
    return {None: [None], "boolean": [True, False]}.get(allowed, [])


def parameters_of(kind):
    """Return a strategy for every parameter: good values, and any number."""
    found = {
        name: sum(map(valid, allowed), [*BESIDE.get(name, [])])
        for name, allowed in kind._parameter_constraints.items()
    }
    return {name: choices(*good) for name, good in found.items() if good} | {
        name: strategy for name, strategy in SHORT_OF.items() if name in found
    }


@given(problems(), problems(), some({"epsilon": GIVEN_OR_AUTO, "priors": PRIORS}))
def test_micl_in_parts(first, second, parameters):
    model = skredu.MICLClassifier(**parameters)
    names = (*ARRAYS, "classes", *parameters)
    for (X, y, w, new), classes in ((first, range(4)), (second, None)):
        options = {"classes": classes, "sample_weight": w}
        if attempt(model.partial_fit, X, y, names=names, **options) is not None:
            assert_classifies(model, new)


@pytest.mark.parametrize("name", ["MICLClassifier", "NearestSubspaceClassifier"])
@given(problems(), problems(), some({"epsilon": GIVEN_OR_AUTO, "priors": PRIORS}))
def test_parts_are_merged(name, first, second, parameters):
    parts, names = [], (*ARRAYS, "classes", *parameters)
    for X, y, w, _ in (first, second):
        model = getattr(skredu, name)()
        options = {"classes": range(4), "sample_weight": w}
        if name == "MICLClassifier":
            model.set_params(**parameters)
        parts.append(attempt(model.partial_fit, X, y, names=names, **options))
    if None not in parts:
        names = (*names, "same n_features_in_", "same feature_names_in_", "epsilon")
        merged = attempt(lambda: type(parts[0]).from_parts(parts), names=names)
        if merged is not None:
            assert_classifies(merged, first[3])


LIFTINGS = (
    *("ConvolutionalLifting", "DilatedKernelTransformer", "PolarTransformer"),
    "ScatteringTransformer",
)
ESTIMATORS = (
    *("MICLClassifier", "NearestSubspaceClassifier", "ReduNetTransformer"),
    *("ReduNetClassifier", "InvariantReduNetTransformer", "InvariantReduNetClassifier"),
    *("MCR2Transformer", "CodingGainSelector", *LIFTINGS),
)
# What keeps a search short, where nothing else is drawn.
SHORT = {
    "MCR2Transformer": {"max_iter": 3, "random_state": 0},
    "ConvolutionalLifting": {"random_state": 0, "kernel_size": 2},
    "DilatedKernelTransformer": {"n_kernels": 168, "random_state": 0},
    "PolarTransformer": {"image_shape": (2, 3)},
}


@pytest.mark.parametrize("name", ESTIMATORS)
@given(data=st.data())
def test_estimator(name, data):
    lifting = name in LIFTINGS
    signals = lifting or name.startswith("Invariant")
    X, y, w, new = data.draw(problems(d=6 if signals else None))
    short = SHORT.get(name, {"n_layers": 2} if "ReduNet" in name else {})
    parameters = {**short, **data.draw(some(parameters_of(getattr(skredu, name))))}
    estimator = getattr(skredu, name)(**parameters)
    model = fit(estimator, X, None) if lifting else fit(estimator, X, y, w)
    if model is None:
        return
    if hasattr(model, "epsilon_"):
        assert finite(model.epsilon_)
        assert model.epsilon_ > 0.0
    assert all(finite(rates) for rates in getattr(model, "rates_", {}).values())
    assert name != "MCR2Transformer" or finite(model.components_)
    for some_rows in (X, new):
        if hasattr(model, "predict"):
            assert_classifies(model, some_rows)
        if lifting or name == "CodingGainSelector":
            names = (*ARRAYS, *estimator.get_params())
            Z = attempt(model.transform, some_rows, names=names)
            assert Z is None or finite(Z)
        elif hasattr(model, "transform") and parameters.get("output") != "invariant":
            assert_on_sphere(model, some_rows)


@given(problems(), some(parameters_of(skredu.CompressionOutlierDetector)))
def test_outliers(problem, parameters):
    X, _, w, new = problem
    estimator = skredu.CompressionOutlierDetector(**parameters)
    model = fit(estimator, X, None, w)
    if model is None:
        return
    assert finite([model.epsilon_, model.offset_])
    assert finite(model.training_scores_)
    found = attempt(model.predict, new, names=(*ARRAYS, *estimator.get_params()))
    if found is not None:
        assert set(found) <= {-1, 1}
        assert finite(model.score_samples(new))


@given(rows(), some(parameters_of(CompressionSegmenter)))
def test_segmentation(image, parameters):
    segmenter = CompressionSegmenter(**parameters)
    names = ("image", *segmenter.get_params())
    model = attempt(segmenter.fit, image, names=names)
    if model is None:
        return
    assert finite(model.merge_costs_)
    assert finite(model.coding_length_)
    assert model.labels_.max() + 1 == model.n_segments_ <= len(model.children_) + 1
    assert model.labels_.shape == model.superpixels_.shape


# -- functions ------------------------------------------------------------------------

WITHOUT_LABELS = ["coding_length", "coding_rate"]


@st.composite
def coded(draw):
    """Name of a function of rates, and what it takes."""
    n = draw(st.integers(1, 9))
    name = draw(st.sampled_from(sorted(rates.__all__)))
    arguments = [draw(rows(n))]
    if name not in WITHOUT_LABELS:
        arguments.append(draw(labels(n)))
    return name, arguments, draw(LENGTH), draw(weights(n))


@given(coded())
def test_rates(case):
    name, arguments, epsilon, w = case
    value = attempt(
        getattr(rates, name),
        *arguments,
        names=("X", "Z", "y", "labels", "memberships"),
        epsilon=epsilon,
        weights=w,
    )
    if value is not None:
        assert finite(value)
        if name == "rate_reduction_gradient":
            assert value.shape == np.shape(arguments[0])
        else:
            assert value >= -1e-9 * max(1.0, len(arguments[0]))
            assert_unit_is_free(name, arguments, epsilon, w, value)


def assert_unit_is_free(name, arguments, epsilon, w, value):
    """Assert that rows and distortion in another unit have the same rates."""
    X, *labels_of_rows = arguments
    epsilon = float(epsilon)
    if not isinstance(X, np.ndarray) or X.dtype != np.float64 or epsilon > 1e99:
        return
    sizes = np.abs(X[X != 0.0])
    if sizes.size and (sizes.min() < 1e-99 or sizes.max() > 1e99):
        return
    unit = 2.0**40
    options = {"epsilon": epsilon * unit, "weights": w}
    found = getattr(rates, name)(X * unit, *labels_of_rows, **options)
    # a rate reduction is a difference of rates, which loses digits
    np.testing.assert_allclose(found, value, rtol=1e-6, atol=1e-9 * len(X))


OF_IMAGES = {"boundary_f_score", "global_consistency_error", "segmentation_covering"}
OF_IMAGES |= {"probabilistic_rand_index", "variation_of_information"}


@st.composite
def scored(draw):
    """Name of a score, and what it takes."""
    n = draw(st.integers(1, 9))
    name = draw(st.sampled_from(sorted(metrics.__all__)))
    of_images = name in OF_IMAGES
    first = labels(n) if of_images or name == "clustering_accuracy" else rows(n)
    options = {} if of_images else {"sample_weight": draw(weights(n))}
    if name in ("coding_length_score", "rate_reduction_score"):
        options["epsilon"] = draw(LENGTH)
    return name, [draw(first), draw(labels(n))], options


@given(scored())
def test_metrics(case):
    name, arguments, options = case
    names = ("X", "labels", "labels_true", "labels_pred", "weights", "Input y")
    value = attempt(getattr(metrics, name), *arguments, names=names, **options)
    weights = options.get("sample_weight")
    if name == "label_quality" and value is not None and weights is not None:
        value = value[np.asarray(weights) > 0]  # the quality of the others is NaN
    if value is not None:
        assert finite(value)


COUNT = st.one_of(
    st.integers(1, 4), st.integers(-1, 9), st.sampled_from([True, 2.5, "3", None, [3]])
)
COUNTS = st.one_of(COUNT, st.lists(COUNT, max_size=4))
# By the type of the default; None stands for a number that is derived from others.
OF_DEFAULTS = {
    int: COUNTS,
    tuple: COUNTS,
    type(None): COUNTS,
    float: numbers(0.0, 0.1, 2.0),
    str: choices("uniform", "gaussian"),
    bool: choices(True, False),
}
STATES = st.sampled_from([0, 0, 0, -1, "a", 1.5, 10**20])


@st.composite
def made(draw):
    """Draw a generator of data, and what it takes."""
    make = getattr(datasets, draw(st.sampled_from(sorted(datasets.__all__))))
    found = {n: p.default for n, p in inspect.signature(make).parameters.items()}
    del found["random_state"]
    options = draw(some({n: OF_DEFAULTS[type(value)] for n, value in found.items()}))
    return make, found, {**options, "random_state": draw(STATES)}


@given(made())
def test_datasets(case):
    make, names, options = case
    result = attempt(make, names=tuple(names), **options)
    if result is not None:
        X, y = result[:2]
        assert finite(X)
        assert len(X) == len(y)
