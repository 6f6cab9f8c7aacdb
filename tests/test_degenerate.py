"""Hard inputs times settings: a finite, right result or an error that names its cause.

Warnings are errors here as everywhere, so a result is also one without a warning.
"""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal

from skredu import MICLClassifier, NearestSubspaceClassifier

VERSION = tuple(int(part) for part in sklearn.__version__.split(".")[:2])


def laplacian(x, y):
    return float(np.exp(-np.abs(x - y).sum() / 10))


MICL = {
    "default": {},
    "given": {"epsilon": 0.5},
    "origin": {"assume_centered": True},
    "origin given": {"assume_centered": True, "epsilon": 0.5},
    "frequencies": {"priors": None},
    "rbf": {"kernel": "rbf"},
    "rbf given": {"kernel": "rbf", "gamma": 0.1, "epsilon": 0.3},
    "poly": {"kernel": "poly"},
    "cosine": {"kernel": "cosine"},
    "callable": {"kernel": laplacian},
    "precomputed": {"kernel": "precomputed"},
    "local": {"n_neighbors": 3},
    "local given": {"n_neighbors": 3, "epsilon": 0.5, "assume_centered": True},
}
SUBSPACE = {
    "subspace": {},
    "subspace rank": {"n_components": 1},
    "subspace affine": {"n_components": 1, "assume_centered": False},
    "subspace share": {"n_components": 0.5, "assume_centered": False},
}
SETTINGS = [*MICL, *SUBSPACE]
# Settings that can tell clusters of rows apart, by where they are.
BY_PLACE = [
    n for n in MICL if n not in ("origin", "origin given", "cosine", "local given")
]
BY_PLACE = [*BY_PLACE, "subspace affine", "subspace share"]
# Settings for which one length is as good as another, as far as it is finite.
ANY_UNIT = [name for name in BY_PLACE if "given" not in name and name != "callable"]


def make(name):
    """Estimator with named settings."""
    if name in MICL:
        return MICLClassifier(**MICL[name])
    return NearestSubspaceClassifier(**SUBSPACE[name])


def products(name, A, B):
    """What an estimator takes: rows, or their products with the training rows."""
    if name == "precomputed":
        return np.asarray(A, dtype=float) @ np.asarray(B, dtype=float).T
    return A


def fitted(name, X, y, **options):
    return make(name).fit(products(name, X, X), y, **options)


def clusters(n=40, d=4, k=2, *, seed=0, gap=10.0, dtype=float):
    """Well separated classes, the rows of each spread alike."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    centres = gap * np.linalg.qr(rng.normal(size=(d, d)))[0][:k]
    return (centres[y] + rng.normal(size=(n, d))).astype(dtype), y


def assert_finite(model, X):
    """Every answer is finite and says what the others say."""
    scores = model.decision_function(X)
    assert np.isfinite(scores).all()
    labels = model.predict(X)
    assert np.isin(labels, model.classes_).all()
    if hasattr(model, "predict_proba"):
        proba = model.predict_proba(X)
        assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-6)
        assert not np.isnan(model.predict_log_proba(X)).any()
        assert 0.0 < model.epsilon_ < np.inf
        assert np.isfinite(model.class_coding_length_).all()
        assert np.isfinite(model.priors_).all()


# -- few rows and special rows: a finite result ---------------------------------------

RNG = np.random.default_rng(0)
ALTERNATE = np.arange(12) % 2
FINITE = {
    "one row": (np.array([[1.0, 2.0, 3.0]]), np.array([0])),
    "one row of zeros": (np.zeros((1, 3)), np.array([0])),
    "two rows": (np.array([[1.0, 2.0], [3.0, 1.0]]), np.array([0, 1])),
    "two equal rows": (np.ones((2, 2)), np.array([0, 1])),
    "fewer rows than features": (RNG.normal(size=(6, 50)), np.arange(6) % 2),
    "one row more than features": (RNG.normal(size=(5, 4)), np.arange(5) % 2),
    "duplicates": (np.repeat(RNG.normal(size=(3, 4)), 4, axis=0), ALTERNATE),
    "equal rows": (np.full((12, 3), 7.0), ALTERNATE),
    "constant column": (
        np.column_stack([RNG.normal(size=(12, 2)), np.full(12, 5.0)]),
        ALTERNATE,
    ),
    "zero matrix": (np.zeros((12, 3)), ALTERNATE),
    "rank one": (np.outer(RNG.normal(size=12), [1.0, -2.0, 0.5]), ALTERNATE),
    "one feature": (RNG.normal(size=(12, 1)), ALTERNATE),
    "one class": (RNG.normal(size=(12, 3)), np.zeros(12, dtype=int)),
    "class of one row": (RNG.normal(size=(12, 3)), np.r_[1, np.zeros(11, dtype=int)]),
    "every row a class": (RNG.normal(size=(8, 3)), np.arange(8)),
    "offset": (1e8 + RNG.normal(size=(12, 3)), ALTERNATE),
    "denormals": (5e-324 * RNG.integers(-9, 9, size=(12, 3)), ALTERNATE),
    "tiny": (1e-150 * RNG.normal(size=(12, 3)), ALTERNATE),
    "huge": (1e150 * RNG.normal(size=(12, 3)), ALTERNATE),
    "very small": (1e-8 * RNG.normal(size=(12, 3)), ALTERNATE),
    "very large": (1e8 * RNG.normal(size=(12, 3)), ALTERNATE),
    "columns of all sizes": (
        RNG.normal(size=(12, 4)) * [1e-150, 1e-8, 1.0, 1e8],
        ALTERNATE,
    ),
    "integers": (RNG.integers(-5, 5, size=(12, 3)), ALTERNATE),
    "booleans": (RNG.integers(0, 2, size=(12, 3)).astype(bool), ALTERNATE),
    "single precision": (RNG.normal(size=(12, 3)).astype(np.float32), ALTERNATE),
    "single precision, large": (
        (1e15 * RNG.normal(size=(12, 3))).astype(np.float32),
        ALTERNATE,
    ),
}


@pytest.mark.parametrize("rows", FINITE)
@pytest.mark.parametrize("name", SETTINGS)
def test_hard_rows_give_finite_answers(name, rows):
    X, y = FINITE[rows]
    model = fitted(name, X, y)
    far = 2 * X.astype(X.dtype if X.dtype.kind == "f" else float)
    for new in (X, far, far + np.abs(far).max(axis=0)):
        assert_finite(model, products(name, new, X))


# -- scale and place: the right result ------------------------------------------------


@pytest.mark.parametrize("c", [1e-150, 1e-8, 1e8, 1e150])
@pytest.mark.parametrize("name", ANY_UNIT)
def test_separated_classes_are_told_apart_in_any_unit(name, c):
    X, y = clusters(gap=100.0)
    model = fitted(name, c * X, y)
    assert_array_equal(model.predict(products(name, c * X, c * X)), y)


@pytest.mark.parametrize("name", BY_PLACE)
def test_separated_classes_are_told_apart_far_from_the_origin(name):
    X, y = clusters(gap=1000.0)
    # products have 16 digits, of which the square of the offset takes most
    X = X + (1e4 if name == "precomputed" else 1e8)
    model = fitted(name, X, y)
    assert_array_equal(model.predict(products(name, X, X)), y)


@pytest.mark.parametrize("shape", [(6, 50), (10, 9), (6, 1000)])
@pytest.mark.parametrize("name", [n for n in BY_PLACE if "local" not in n])
def test_separated_classes_are_told_apart_with_fewer_rows_than_features(name, shape):
    X, y = clusters(*shape, gap=100.0)
    new, labels = clusters(*shape, gap=100.0)
    model = fitted(name, X, y)
    assert_array_equal(model.predict(products(name, new, X)), labels)


@pytest.mark.parametrize("name", BY_PLACE)
def test_class_of_one_row_is_found_again(name):
    X, y = clusters(21, gap=100.0)
    y = np.where(np.arange(21) == 20, 7, y)
    X[20] += 1e3
    model = fitted(name, X, y)
    assert_array_equal(model.predict(products(name, X[20:], X)), [7])


@pytest.mark.parametrize("name", SETTINGS)
def test_one_class_is_all_there_is(name):
    X, _ = clusters()
    model = fitted(name, X, np.full(40, "only"))
    assert_array_equal(model.predict(products(name, X, X)), np.full(40, "only"))


@pytest.mark.parametrize("name", SETTINGS)
def test_constant_column_adds_nothing_to_the_decision(name):
    X, y = clusters()
    wide = np.column_stack([X, np.zeros(40)])
    model = fitted(name, wide, y)
    assert_finite(model, products(name, wide, wide))
    if name in BY_PLACE:
        assert model.score(products(name, wide, wide), y) >= 0.95


@pytest.mark.parametrize("name", SETTINGS)
def test_constant_training_rows_still_tell_equal_from_different(name):
    X, y = np.repeat(np.eye(2, 3) * 5, 6, axis=0), np.repeat([0, 1], 6)
    model = fitted(name, X, y)
    if name == "subspace affine" or "local" in name or name in MICL:
        assert_array_equal(model.predict(products(name, X, X)), y)


# -- weights --------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETTINGS)
def test_rows_without_weight_are_not_there(name):
    X, y = clusters(30)
    weights = np.arange(30) % 3 > 0
    model = fitted(name, X, y, sample_weight=weights)
    if name == "precomputed":
        kept = fitted(name, X[weights], y[weights])
        expected = kept.decision_function(X @ X[weights].T)
    else:
        expected = fitted(name, X[weights], y[weights]).decision_function(X)
    scores = model.decision_function(products(name, X, X))
    assert_allclose(scores, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", SETTINGS)
def test_class_without_weight_is_not_there(name):
    X, y = clusters(30, k=3)
    model = fitted(name, X, y, sample_weight=(y != 1).astype(float))
    assert_array_equal(model.classes_, [0, 2])
    assert_finite(model, products(name, X, X))


@pytest.mark.filterwarnings("ignore:The weights:UserWarning")
@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e6])
@pytest.mark.parametrize("name", SETTINGS)
def test_weights_of_any_size_give_finite_answers(name, scale):
    X, y = clusters(30)
    model = fitted(name, X, y, sample_weight=np.full(30, scale))
    assert_finite(model, products(name, X, X))


BAD_WEIGHTS = {
    "all zero": (np.zeros(30), r"[Ss]ample.weight"),
    "negative": (np.r_[-1.0, np.ones(29)], r"sample_weight.*-1\.0"),
    "not a number": (np.r_[np.nan, np.ones(29)], r"NaN"),
    "infinite": (np.r_[np.inf, np.ones(29)], r"infinity"),
    "wrong length": (np.ones(29), r"sample_weight.*29|29.*sample_weight"),
    "two columns": (np.ones((30, 2)), r"[Ss]ample.weight.* 1D"),
}


@pytest.mark.parametrize("weights", BAD_WEIGHTS)
@pytest.mark.parametrize("name", SETTINGS)
def test_wrong_weights_are_named(name, weights):
    X, y = clusters(30)
    values, message = BAD_WEIGHTS[weights]
    with pytest.raises(ValueError, match=message):
        fitted(name, X, y, sample_weight=values)


# -- containers and types -------------------------------------------------------------


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


CONTAINERS = {
    "read-only": read_only,
    "Fortran order": np.asfortranarray,
    "every other row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "backwards": lambda X: X[::-1][::-1],
    "list": lambda X: X.tolist(),
    "pandas": lambda X: pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])]),
    "polars": lambda X: pl.DataFrame(X, schema=[f"c{i}" for i in range(X.shape[1])]),
    "objects that are numbers": lambda X: X.astype(object),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", SETTINGS)
def test_container_does_not_matter(name, container):
    X, y = clusters(30)
    given, plain = CONTAINERS[container], products(name, X, X)
    model = make(name).fit(given(plain), y)
    expected = make(name).fit(plain, y)
    assert_allclose(
        model.decision_function(given(plain)),
        expected.decision_function(plain),
        rtol=1e-9,
        atol=1e-9,
    )
    # scikit-learn 1.6 cannot read the names of polars 2
    if container == "pandas" or (container == "polars" and VERSION >= (1, 9)):
        assert list(model.feature_names_in_) == [f"c{i}" for i in range(plain.shape[1])]


LABELS = {
    "strings": np.array(["no", "yes"]),
    "objects": np.array(["no", "yes"], dtype=object),
    "booleans": np.array([False, True]),
    "far integers": np.array([-(10**9), 10**9]),
    "whole floats": np.array([1.0, 2.0]),
    "small integers": np.array([3, 250], dtype=np.uint8),
}


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("name", SETTINGS)
def test_labels_come_back_as_they_were(name, labels):
    X, y = clusters(30, gap=50.0)
    names = LABELS[labels]
    model = fitted(name, X, names[y])
    predicted = model.predict(products(name, X, X))
    assert predicted.dtype == names.dtype
    assert_array_equal(model.classes_, names)
    if name in BY_PLACE:
        assert_array_equal(predicted, names[y])


@pytest.mark.parametrize("name", SETTINGS)
def test_labels_in_a_series_of_categories(name):
    X, y = clusters(30)
    series = pd.Series(pd.Categorical.from_codes(y, ["a", "b"]))
    model = fitted(name, X, series)
    assert_array_equal(model.classes_, ["a", "b"])


# -- errors that name their cause -----------------------------------------------------


def put(X, value):
    X = X.astype(
        object
        if isinstance(value, str)
        else type(value)
        if isinstance(value, complex)
        else float
    )
    X[1, 2] = value
    return X


BAD_ROWS = {
    "NaN": (lambda X: put(X, np.nan), ValueError, r"X contains NaN"),
    "infinity": (lambda X: put(X, np.inf), ValueError, r"X contains infinity"),
    "sparse": (sp.csr_array, TypeError, r"[Ss]parse"),
    "complex": (lambda X: put(X, 1j), ValueError, r"[Cc]omplex"),
    "text": (lambda X: put(X, "text"), ValueError, r"text|object|string"),
    "one dimension": (lambda X: X[:, 0], ValueError, r"2D array"),
    "three dimensions": (
        lambda X: X[:, :, None],
        ValueError,
        r"dim 3|Found array with dim",
    ),
    "no features": (lambda X: X[:, :0], ValueError, r"0 feature"),
    "no rows": (lambda X: X[:0], ValueError, r"0 sample|inconsistent"),
    "None": (lambda X: None, ValueError, r"None|2D array|scalar"),
}


@pytest.mark.parametrize("rows", BAD_ROWS)
@pytest.mark.parametrize("name", SETTINGS)
def test_wrong_rows_are_named_when_fitting(name, rows):
    X, y = clusters(30)
    spoil, error, message = BAD_ROWS[rows]
    with pytest.raises(error, match=message):
        make(name).fit(spoil(products(name, X, X)), y)


@pytest.mark.parametrize("rows", [r for r in BAD_ROWS if r not in ("no rows", "None")])
@pytest.mark.parametrize("name", SETTINGS)
def test_wrong_rows_are_named_when_predicting(name, rows):
    X, y = clusters(30)
    spoil, error, message = BAD_ROWS[rows]
    plain = products(name, X, X)
    model = make(name).fit(plain, y)
    with pytest.raises(error, match=message + "|features"):
        model.predict(spoil(plain))


@pytest.mark.parametrize("name", SETTINGS)
def test_wrong_number_of_features_is_named(name):
    X, y = clusters(30)
    plain = products(name, X, X)
    model = make(name).fit(plain, y)
    d = plain.shape[1]
    with pytest.raises(ValueError, match=f"{d - 1} features.*expecting {d}"):
        model.predict(plain[:, 1:])


BAD_LABELS = {
    "wrong length": (lambda y: y[:-1], r"inconsistent numbers of samples.*30, 29"),
    "NaN": (lambda y: np.r_[np.nan, y[1:]], r"y contains NaN"),
    "regression": (lambda y: y + np.linspace(0.01, 0.5, 30), r"Unknown label type"),
    "two columns": (lambda y: np.column_stack([y, y]), r"1d array|1D|multi"),
    "None": (lambda y: None, r"requires y to be passed"),
}


@pytest.mark.parametrize("labels", BAD_LABELS)
@pytest.mark.parametrize("name", SETTINGS)
def test_wrong_labels_are_named(name, labels):
    X, y = clusters(30)
    spoil, message = BAD_LABELS[labels]
    with pytest.raises(ValueError, match=message):
        fitted(name, X, spoil(y))


@pytest.mark.parametrize(
    "settings", [{}, {"n_neighbors": 3}, {"assume_centered": True}]
)
def test_distortion_too_small_to_square_is_named(settings):
    X, y = clusters(30)
    with pytest.raises(ValueError, match=r"epsilon=1e-300 is too small.*must be more"):
        MICLClassifier(1e-300, **settings).fit(X, y)


@pytest.mark.parametrize("settings", [{}, {"n_neighbors": 3}, {"kernel": "rbf"}])
def test_distortion_too_large_to_square_leaves_the_label_code(settings):
    X, y = clusters(30)
    y[0] = 1
    model = MICLClassifier(1e200, **settings).fit(X, y)
    assert model.epsilon_ == 1e200
    assert_array_equal(model.predict(X), np.ones(30))


@pytest.mark.parametrize("name", ["default", "given", "local"])
def test_row_too_large_beside_the_training_rows_is_named(name):
    X, y = clusters(30)
    model = make(name).fit(X, y)
    with pytest.raises(ValueError, match=r"X holds an entry of 1e\+300, too large"):
        model.predict(np.full((1, 4), 1e300))


# -- one row and many -----------------------------------------------------------------


@pytest.mark.parametrize("name", SETTINGS)
def test_one_row_is_coded_like_many(name):
    X, y = clusters(30)
    model = fitted(name, X, y)
    assert model.predict(products(name, X[:1], X)).shape == (1,)


@pytest.mark.parametrize("name", ["default", "given", "origin", "subspace affine"])
def test_many_rows_are_told_apart(name):
    X, y = clusters(100_000, 5, gap=20.0)
    assert make(name).fit(X, y).score(X, y) > (0.5 if name == "origin" else 0.999)
