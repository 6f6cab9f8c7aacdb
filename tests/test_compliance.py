"""Scikit-learn's checks, with their counts, and its checks of its own estimators.

A tag in the wrong place can end the generator of checks after the first one without
a failure, and array-API checks skip themselves without a word; hence the counts.
"""

import warnings
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from unittest import SkipTest

import numpy as np
import pytest
import scipy
import sklearn
from scipy.stats import rankdata, spearmanr
from sklearn.base import is_classifier, is_clusterer
from sklearn.datasets import make_blobs
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import estimator_checks_generator

from skredu import (
    CodingGainSelector,
    CompressionClustering,
    CompressionOutlierDetector,
    ConvolutionalLifting,
    DilatedKernelTransformer,
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    MCR2Transformer,
    MICLClassifier,
    NearestSubspaceClassifier,
    PolarTransformer,
    ReduNetClassifier,
    ReduNetTransformer,
    ScatteringTransformer,
)

VERSION = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
SCIPY_VERSION = tuple(int(part) for part in scipy.__version__.split(".")[:2])


@contextmanager
def own_random_state():
    """Some checks draw from NumPy's global generator, which tests must not touch."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


# All checks of scikit-learn. The first setting of each class runs fast.
ESTIMATORS = [
    MICLClassifier(),
    MICLClassifier(kernel="auto"),
    MICLClassifier(kernel="precomputed"),
    MICLClassifier(n_neighbors=5),
    NearestSubspaceClassifier(),
    CompressionClustering(epsilon=0.5, min_cluster_size=2),
    CompressionClustering(refine=False),  # the default takes ten times as long
    CompressionOutlierDetector(),
    # no sample of the checks is an outlier of one Gaussian
    CompressionOutlierDetector(n_neighbors=None, contamination=0.1),
    # Few layers: what is checked is the same for one and for many.
    ReduNetClassifier(1),
    ReduNetTransformer(1),
    InvariantReduNetTransformer(1),
    InvariantReduNetClassifier(n_layers=0),
    InvariantReduNetClassifier(n_layers=1),
    MCR2Transformer(),
    ConvolutionalLifting(4),
    DilatedKernelTransformer(100),
    PolarTransformer(n_radii=2, n_angles=6),
    ScatteringTransformer(),
    CodingGainSelector(),
]
# Settings with another output, or with other operations on arrays of a namespace.
FURTHER = [
    MICLClassifier(epsilon=0.5, assume_centered=True, priors=None),
    NearestSubspaceClassifier(n_components=0.5, assume_centered=False),
    ReduNetClassifier(1, step="published", fit_intercept=True),
    ReduNetTransformer(
        1,
        epsilon=0.5,
        membership="residual",
        construction="estimated",
        fit_intercept=False,
    ),
    ReduNetTransformer(2, step="momentum"),
    InvariantReduNetTransformer(2, membership="relu", step="published"),
    InvariantReduNetTransformer(n_layers=1, output="invariant"),
    MCR2Transformer(2, n_layers=2, activation="relu", init="lda", tol=0.01),
    MCR2Transformer(objective="left_out"),
    ConvolutionalLifting(1, 2, filters="kmeans", activation="split", threshold=0.5),
    ConvolutionalLifting(2, activation="fista", n_iter=3, pooling=None),
    DilatedKernelTransformer(500, pooling=("share", "max")),
    CodingGainSelector(2, weighted=False),
    ScatteringTransformer(1, padding="reflect", quality=2, activation="root"),
]
EVERY = ESTIMATORS + FURTHER
LIKE_CLASSIFIERS = (ReduNetTransformer, InvariantReduNetTransformer)
ARRAY_API = [e for e in EVERY if e.__sklearn_tags__().array_api_support]

# From then on estimators say that they support the array API.
SUPPORTED = VERSION >= (1, 9) and SCIPY_VERSION >= (1, 14)
supported = pytest.mark.skipif(
    not SUPPORTED, reason="array API support needs scikit-learn 1.9 and SciPy 1.14"
)


def is_pairwise(estimator):
    """Return whether the estimator accepts products of rows."""
    return estimator.__sklearn_tags__().input_tags.pairwise


def requires_labels(estimator):
    """Return whether the estimator requires labels."""
    return estimator.__sklearn_tags__().target_tags.required


def check_name(check):
    """Return the name of a check without its arguments."""
    return check.func.__name__ if isinstance(check, partial) else check.__name__


def check_id(value):
    """Return the test id of an estimator, or of a check with its arguments."""
    if not callable(value):
        return "".join(str(value).split())
    keywords = getattr(value, "keywords", {})
    return ",".join([check_name(value), *(f"{k}={v}" for k, v in keywords.items())])


# The check hands rows, not products, to a pairwise classifier, and another one
# demands that those be refused: no classifier with decision_function and
# predict_proba passes both. What it checks is checked below, on products.
CONTRADICTORY_IF_PAIRWISE = "check_decision_proba_consistency"


def marks_of(estimator):
    """Mark additional settings of a class, or of its code, as slow."""
    first = next(e for e in ESTIMATORS if type(e) is type(estimator))
    fast = estimator is first and type(estimator) not in LIKE_CLASSIFIERS
    return [] if fast else [pytest.mark.slow]


def needs_package_that_is_missing(check):
    """Return whether an array API check would only skip itself."""
    keywords = getattr(check, "keywords", {})
    spaces = [keywords.get("array_namespace") or "numpy"]
    spaces += [value.xp for value in keywords.values() if hasattr(value, "xp")]
    return any(find_spec(name.partition(".")[0]) is None for name in spaces)


def checks():
    """Yield all checks of scikit-learn for each of the estimators."""
    for estimator in ESTIMATORS:
        left_out = [CONTRADICTORY_IF_PAIRWISE] if is_pairwise(estimator) else []
        marks = marks_of(estimator)
        for instance, check in estimator_checks_generator(estimator):
            missing = needs_package_that_is_missing(check)
            if not missing and check_name(check) not in left_out:
                yield pytest.param(instance, check, marks=marks)


# Rows of the checks may need no layer, and have no groups as large as they are asked
# for: estimators say so. In one check, all samples of a class have weight zero.
@pytest.mark.filterwarnings("ignore:.* (keeps|has) no layer:UserWarning")
@pytest.mark.filterwarnings("ignore:n_clusters=.* were not found:UserWarning")
@pytest.mark.filterwarnings("ignore:No feature saves bits:UserWarning")
@pytest.mark.filterwarnings("ignore:All samples of the classes:UserWarning")
@pytest.mark.parametrize(("estimator", "check"), list(checks()), ids=check_id)
def test_scikit_learn_check(estimator, check):
    with own_random_state(), warnings.catch_warnings():
        # the check of class weights sets n_iter_no_change
        if is_pairwise(estimator):
            # some checks pass any square matrix for a kernel
            warnings.filterwarnings("ignore", "The kernel is not positive semi-def")
        try:
            check(estimator)
        except SkipTest as skipped:
            if needs_no_other_package(check):
                pytest.fail(f"{check_id(check)} has not run: {skipped}")
            raise


def needs_no_other_package(check):
    """Whether it is an array API check that runs with what the tests install."""
    spaces = {str(value) for value in getattr(check, "keywords", {}).values()}
    return not spaces.isdisjoint({"array_api_strict", "numpy"})


def test_pairwise_classifier_ranks_probabilities_as_decisions():
    X, y = make_blobs(100, 4, centers=[(2,) * 4, (4,) * 4], random_state=0)
    K = X @ X.T
    train, test = np.arange(80), np.arange(80, 100)
    model = MICLClassifier(kernel="precomputed").fit(K[np.ix_(train, train)], y[train])
    rows = K[np.ix_(test, train)]
    by_proba = rankdata(model.predict_proba(rows)[:, 1].round(10))
    by_score = rankdata(model.decision_function(rows).round(10))
    # the probability saturates where the score does not
    assert spearmanr(by_proba, by_score).statistic > 0.99


# -- counts ---------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=check_id)
def test_no_estimator_escapes_the_checks(estimator):
    checks = list(estimator_checks_generator(estimator))
    names = [check_name(check) for _, check in checks]
    plain = [name for name in names if not name.startswith("check_array_api")]
    expected = 59 if is_pairwise(estimator) else 61
    if not is_classifier(estimator):
        expected = 50 if is_clusterer(estimator) else 52
        if not (is_clusterer(estimator) or requires_labels(estimator)):
            expected = 46
    # of those that accept NaN, the check that NaN is refused does not run
    expected -= estimator.__sklearn_tags__().input_tags.allow_nan
    assert len(plain) >= expected
    declared = estimator.__sklearn_tags__().array_api_support
    assert len(names) - len(plain) >= (21 if declared else VERSION >= (1, 9))
    strict = [c for _, c in checks if "array_api_strict" in str(c.keywords.values())]
    assert len(strict) >= (3 if declared else 0)


def test_array_api_support_is_declared_where_scikit_learn_can_check_it():
    declared = {type(estimator).__name__ for estimator in ARRAY_API}
    assert declared == (
        {
            "ConvolutionalLifting",
            "DilatedKernelTransformer",
            "InvariantReduNetClassifier",
            "InvariantReduNetTransformer",
            "MCR2Transformer",
            "MICLClassifier",
            "NearestSubspaceClassifier",
            "PolarTransformer",
            "ReduNetClassifier",
            "ReduNetTransformer",
            "ScatteringTransformer",
        }
        if SUPPORTED
        else set()
    )


# -- checks that scikit-learn runs on its own estimators only -------------------------


OTHERS = [
    estimator_checks.check_param_validation,
    estimator_checks.check_dataframe_column_names_consistency,
    estimator_checks.check_inplace_ensure_writeable,
]
OF_OUTPUTS = [
    estimator_checks.check_transformer_get_feature_names_out,
    estimator_checks.check_transformer_get_feature_names_out_pandas,
    estimator_checks.check_set_output_transform,
]
OF_TRANSFORMERS = [
    *OF_OUTPUTS,
    estimator_checks.check_get_feature_names_out_error,
    estimator_checks.check_set_output_transform_pandas,
    estimator_checks.check_set_output_transform_polars,
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* has no layer:UserWarning")
@pytest.mark.filterwarnings("ignore:No feature saves bits:UserWarning")
@pytest.mark.parametrize(
    "estimator", [pytest.param(e, marks=marks_of(e)) for e in EVERY], ids=check_id
)
def test_checks_that_are_not_run_for_other_packages(estimator):
    checks = OF_OUTPUTS if estimator in FURTHER else OTHERS + OF_TRANSFORMERS
    for check in checks if hasattr(estimator, "transform") else OTHERS:
        with own_random_state(), warnings.catch_warnings():
            # some checks fit frames and transform arrays
            warnings.filterwarnings("ignore", "X .* feature names")
            check(type(estimator).__name__, estimator)


@supported
@pytest.mark.parametrize(
    ("estimator", "dtype"),
    [
        pytest.param(estimator, dtype, marks=marks_of(estimator))
        for estimator in ARRAY_API
        for dtype in ("float64", "float32")
        if dtype == "float64" or estimator in ESTIMATORS
    ],
    ids=check_id,
)
def test_values_are_those_of_numpy_in_another_namespace(estimator, dtype):
    estimator_checks.check_array_api_input_and_values(
        type(estimator).__name__,
        estimator,
        array_namespace="array_api_strict",
        dtype_name=dtype,
    )


@pytest.mark.parametrize("estimator", [MICLClassifier(), CompressionClustering()])
def test_arrays_that_cannot_be_modified_are_refused(estimator, monkeypatch):
    class Immutable:
        __name__ = "jax.numpy"
        float64, float32, empty = np.float64, np.float32, np.empty

    X, y = make_blobs(30, 6, centers=2, random_state=0)
    monkeypatch.setattr("skredu._checks.namespace", lambda _: Immutable())
    with pytest.raises(TypeError, match=r"X is an array of jax\.numpy, which cannot"):
        estimator.fit(X, y)
