"""Properties of every estimator with every setting.

Rows, weights, labels and tables of every kind; what changes nothing; errors that name
their cause; calls that fail; state on disk.
"""

import datetime as dt
import pickle
import sys
from fractions import Fraction
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.cluster.hierarchy import is_valid_linkage
from settings import (
    CLASSIFIERS,
    CLUSTERINGS,
    ESTIMATORS,
    FURTHER,
    LIFTINGS,
    MAPS,
    MICL,
    NETS,
    OUTLIERS,
    SELECTIONS,
    SERIES,
    SUBSPACES,
    SUPERVISED,
    answers,
    names_of,
    problem,
    rows_for,
)
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

import skredu
from skredu import MICLClassifier

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* (has|keeps) no layer:UserWarning"),
    pytest.mark.filterwarnings("ignore:Layer . has not converged"),
    pytest.mark.filterwarnings("ignore:.*% of the samples are outliers"),
    pytest.mark.filterwarnings("ignore:n_clusters=.* (were|groups):UserWarning"),
    pytest.mark.filterwarnings("ignore:.*parts that are not connected"),
    pytest.mark.filterwarnings("ignore:The number of unique classes"),
    pytest.mark.filterwarnings("ignore:No feature saves bits"),
]
VERSION = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
X, Y = problem()
NEW, _ = problem(9, seed=1)
WEIGHED = SUPERVISED | CLUSTERINGS | OUTLIERS
# Results for the training rows.
OF_ROWS = {"labels_", "training_scores_", "label_quality_"}
every = pytest.mark.parametrize("name", names_of(ESTIMATORS))
# Without settings that reach the same code, and the slow choice of a distortion.
SOME = [n for n in ESTIMATORS if n not in FURTHER]
some = pytest.mark.parametrize("name", SOME)
every_weighed = pytest.mark.parametrize("name", names_of(WEIGHED))
some_supervised = pytest.mark.parametrize("name", [n for n in SOME if n in SUPERVISED])


def fitted(name, X=X, y=Y, **options):
    """Fit an estimator with named settings; priors where there are as many classes."""
    model = clone(ESTIMATORS[name])
    if name == "MICL priors" and len(np.unique(y)) != 3:
        model.set_params(priors="balanced")
    return model.fit(rows_for(name, X), y, **options)


def few(name, items):
    """Return the cases of a loop; half of them, or two, for further settings."""
    if name == "clustering":  # a fit takes long
        return list(items)[:2]
    return list(items)[:: 2 if name in FURTHER else 1]


def ask(name, model, rows=NEW, X=X):
    return answers(model, rows_for(name, rows, X))


@cache
def _plain(name):
    return ask(name, fitted(name))


def plain(name):
    """Return the answers after a fit without weights."""
    return dict(_plain(name))


def tolerance(name):
    """Return the relative and absolute rounding error of an estimator's results."""
    # Products know a direction of variance v among rows of norm r with a relative
    # error of eps r^2 / v; rounding grows along the path of a search.
    rough = "kernel" in str(ESTIMATORS[name]) or name in MAPS
    return {"rtol": 1e-5, "atol": 1e-5} if rough else {"rtol": 1e-7, "atol": 1e-7}


def assert_same(name, found, expected, skip=(), **tolerances):
    """Assert that results are the same; labels of clusters up to their names."""
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if key in skip:
            continue
        if name in CLUSTERINGS and key in ("predict", "labels_"):
            assert adjusted_rand_score(found[key], value) == 1.0
        elif np.asarray(value).dtype.kind in "OUSb" or key == "predict":
            assert_array_equal(found[key], value, err_msg=key)
        else:
            assert_allclose(
                found[key], value, err_msg=key, **tolerance(name) | tolerances
            )


# -- what changes nothing -------------------------------------------------------------


@every_weighed
def test_order_of_rows_does_not_matter(name):
    order = np.random.default_rng(1).permutation(len(X))
    mixed = ask(name, fitted(name, X[order], Y[order]), X=X[order])
    expected = plain(name)
    for key in OF_ROWS & expected.keys():
        expected[key] = expected[key][order]
    assert_same(name, mixed, expected)


@every_weighed
def test_a_weight_is_a_number_of_copies(name):
    weights = np.random.default_rng(2).integers(0, 4, len(X))
    weights[:3] = 1
    if name == "clustering graph":  # as many neighbours are not as far
        weights[:] = 1
    index = np.repeat(np.arange(len(X)), weights)
    copied = ask(name, fitted(name, X[index], Y[index]), X=X[index])
    weighted = ask(name, fitted(name, sample_weight=weights))
    for key in OF_ROWS & weighted.keys():
        weighted[key] = weighted[key][index]
    assert_same(name, weighted, copied)


@every_weighed
def test_weights_of_one_change_nothing_and_a_number_holds_for_all(name):
    ones = np.ones(len(X), dtype=int)
    assert_same(name, ask(name, fitted(name, sample_weight=ones)), plain(name))
    if name != "clustering":  # a fit takes long
        twice = ask(name, fitted(name, sample_weight=np.full(len(X), 2.0)))
        assert_same(name, ask(name, fitted(name, sample_weight=2)), twice)


@every_weighed
def test_rows_and_classes_without_weight_are_not_there(name):
    weights = (np.arange(len(X)) % 4 > 0).astype(float)
    kept = weights > 0
    found = ask(name, fitted(name, sample_weight=weights))
    expected = ask(name, fitted(name, X[kept], Y[kept]), X=X[kept])
    for key in OF_ROWS & found.keys():
        found[key] = found[key][kept]
    if name != "clustering graph":
        assert_same(name, found, expected)
    if name in SUPERVISED:
        some = {"y": np.where(Y == 2, 0, Y), "sample_weight": (Y != 1) * 1.0}
        with pytest.warns(UserWarning, match=r"classes \[1\] have weight zero"):
            model = fitted(name, **some)
        assert len(model.classes_) == 1


UNITS = [1e-150, 1e-8, 1e3, 1e8, 1e150]
# distortions that are given scale with the rows
GIVEN = ["MICL given", "MICL local given", "clustering given", "clustering origin"]
ANY_UNIT = [
    name
    for name in WEIGHED
    if getattr(ESTIMATORS[name], "epsilon", "auto") == "auto" or name in NETS
]
ANY_UNIT = [n for n in ANY_UNIT if n not in ("MICL callable", "MICL precomputed")]


@pytest.mark.parametrize("name", names_of([*ANY_UNIT, *GIVEN]))
def test_unit_of_rows_does_not_matter(name):
    expected = plain(name)
    for c in few(name, UNITS):
        model = clone(ESTIMATORS[name])
        if name in GIVEN:
            model.set_params(epsilon=0.5 * c)
        found = ask(name, model.fit(c * X, Y), c * NEW)
        own = name in NETS or "kernel" in str(ESTIMATORS[name])
        own = own and name != "MICL auto"
        if "epsilon_" in found and not own and name not in MAPS:
            found["epsilon_"] = found["epsilon_"] / c
        if name in SUBSPACES:  # distances are lengths
            found["decision_function"] = found["decision_function"] / c
        if name in SELECTIONS:
            found["transform"] = found["transform"] / c
        assert_same(name, found, expected)


# distances in sums of coordinates, and functions of each of them
OF_FEATURES = (
    *("MICL callable", "MICL laplacian", "MICL auto", "clustering graph"),
    "local outliers",
    "net of positive parts",
)
TURNED = [n for n in WEIGHED if n not in OF_FEATURES]
TURNED = [n for n in TURNED if "signal" not in n and n != "invariant net"]
TURNED = [n for n in TURNED if n not in SELECTIONS and "mirrored" not in n]


@pytest.mark.parametrize(
    "name",
    names_of(n for n in TURNED if n not in ("no layers", "net", "clustering number")),
)
def test_rotation_of_the_rows_does_not_matter(name):
    Q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(6, 6)))
    found = ask(name, fitted(name, X @ Q), NEW @ Q, X @ Q)
    expected = plain(name)
    if "transform" in expected and name in NETS:
        expected["transform"] = expected["transform"][:, :6] @ Q
        found["transform"] = found["transform"][:, :6]
    assert_same(name, found, expected)


@every
def test_a_row_alone_gives_what_it_gives_in_company(name):
    model = fitted(name)
    for method, whole in ask(name, model).items():
        if callable(answer := getattr(model, method, None)):
            alone = [answer(rows_for(name, row[None], X))[0] for row in NEW]
            assert_allclose(np.array(alone, dtype=whole.dtype), whole, atol=1e-9)


@pytest.mark.parametrize(
    "name", names_of(n for n in ESTIMATORS if n != "MICL precomputed")
)
def test_single_precision_is_close_to_double(name):
    single, new = X.astype(np.float32), NEW.astype(np.float32)
    found = ask(name, fitted(name, single), new)
    expected = ask(name, fitted(name, single.astype(float)), new.astype(float))
    for key in ("decision_function", "transform"):
        if key in expected:
            assert found[key].dtype == np.float32 or key == "decision_function"
            size = np.abs(expected[key]).max()
            assert_allclose(found[key], expected[key], atol=2e-3 * size)


@every
def test_neither_rows_nor_the_estimator_are_written_to(name):
    table = rows_for(name, X).copy()
    weights, new = np.ones(len(X)), rows_for(name, NEW, X).copy()
    kept = table.copy(), Y.copy(), weights.copy(), new.copy()
    options = {} if name in LIFTINGS | SERIES else {"sample_weight": weights}
    model = clone(ESTIMATORS[name]).fit(table, Y, **options)
    answers(model, new)
    before = dict(vars(model))
    answers(model, new)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[key] is value for key, value in before.items())
    for array, copy in zip((table, Y, weights, new), kept, strict=True):
        assert_array_equal(array, copy)
    expected = answers(model, kept[3])
    table[:] = 100.0  # what becomes of the rows is not seen
    assert_same(name, answers(model, kept[3]), expected, rtol=0, atol=0)


@every
def test_parameters_set_after_fit_change_no_answer(name):
    from skredu._compat import Interval, StrOptions

    model = fitted(name)
    table, before = rows_for(name, NEW, X), ask(name, model)
    extra = {
        "get_feature_names_out": (),
        "labels_at": (2,),
        "linkage": (),
        "staged_predict": (table,),
        "staged_transform": (table,),
    }

    def more():
        said = {m: getattr(model, m)(*a) for m, a in extra.items() if hasattr(model, m)}
        return {m: np.array(list(a), dtype=object) for m, a in said.items()}

    others = more()
    for parameter, value in model.get_params(deep=False).items():
        found = [None]
        for allowed in model._parameter_constraints[parameter]:
            if allowed == "boolean":
                found += [True, False]
            elif isinstance(allowed, StrOptions):
                found += sorted(allowed.options)
            elif isinstance(allowed, Interval) and parameter != "n_jobs":
                found += [x for x in (0.3, 1, 2, 7) if x in allowed]
        for other in found[-2:]:
            model.set_params(**{parameter: other})
            assert_same(name, answers(model, table), before, rtol=0, atol=0)
        assert repr(more()) == repr(others)
        model.set_params(**{parameter: value})


# -- hard rows ------------------------------------------------------------------------

RNG = np.random.default_rng(0)
NORMAL, ALTERNATE = RNG.normal(size=(12, 6)), np.arange(12) % 2
FINITE = {
    "one row": (NORMAL[:1], [0]),
    "one row of zeros": (np.zeros((1, 6)), [0]),
    "two rows": (NORMAL[:2], [0, 1]),
    "two equal rows": (np.ones((2, 6)), [0, 1]),
    "fewer rows than features": (RNG.normal(size=(6, 48)), np.arange(6) % 2),
    "as many rows as features": (NORMAL[:6], ALTERNATE[:6]),
    "duplicates": (np.repeat(NORMAL[:3], 4, axis=0), ALTERNATE),
    "equal rows": (np.full((12, 6), 7.0), ALTERNATE),
    "constant column": (NORMAL * [1, 1, 1, 1, 1, 0] + 5.0, ALTERNATE),
    "zero matrix": (np.zeros((12, 6)), ALTERNATE),
    "rank one": (np.outer(NORMAL[:, 0], [1, -2, 0.5, 1, 0, 3]), ALTERNATE),
    "one class": (NORMAL, np.zeros(12, dtype=int)),
    "class of one row": (NORMAL, np.r_[1, np.zeros(11, dtype=int)]),
    "every row a class": (NORMAL, np.arange(12)),
    "offset": (1e8 + NORMAL, ALTERNATE),
    "denormals": (5e-324 * np.round(9 * NORMAL), ALTERNATE),
    "tiny": (1e-150 * NORMAL, ALTERNATE),
    "huge": (1e150 * NORMAL, ALTERNATE),
    "columns of all sizes": (NORMAL * [1e-150, 1e-8, 1, 1, 1e8, 0], ALTERNATE),
    "rows of all sizes": (NORMAL * 10.0 ** RNG.integers(-9, 9, (12, 1)), ALTERNATE),
    "integers": (np.round(3 * NORMAL).astype(int), ALTERNATE),
    "booleans": (NORMAL > 0, ALTERNATE),
    "single precision": (NORMAL.astype(np.float32), ALTERNATE),
    "single precision, large": ((1e15 * NORMAL).astype(np.float32), ALTERNATE),
}

FLAT = "one row of zeros", "two equal rows", "equal rows", "zero matrix", "offset"


def assert_finite(name, model, rows):
    """Assert that all results are finite and consistent."""
    said = answers(model, rows)
    for key, value in said.items():
        assert not np.isnan(np.asarray(value, dtype=float)).any(), key
    if "predict" in said and name in CLASSIFIERS:
        assert np.isin(said["predict"], model.classes_).all()
    if "predict_proba" in said:
        assert_allclose(said["predict_proba"].sum(axis=1), 1.0, rtol=1e-6)
        assert not np.isnan(model.predict_log_proba(rows)).any()
    if "epsilon_" in said:
        assert 0.0 < model.epsilon_ < np.inf
    if "delta_R" in getattr(model, "rates_", {}) and len(model.classes_) == 1:
        assert_allclose(model.rates_["delta_R"], 0.0, atol=1e-12)


@every
def test_hard_rows_give_finite_answers(name):
    cases = FINITE.items() if name == "clustering" else few(name, FINITE.items())
    for rows, (table, y) in cases:
        try:
            assert_finite_for(name, rows, table, y)
        except Exception as error:
            error.add_note(f"rows: {rows}")
            raise


def assert_finite_for(name, rows, table, y):
    if name.startswith("MCR2") and rows == "denormals":
        return  # refused: rows too small for a map are named, see test_numbers
    model = clone(ESTIMATORS[name])
    if name == "clustering number":
        model.set_params(n_clusters=1)
    if "polar" in name and table.shape[1] != 6:
        model.set_params(image_shape=(6, 8))
    if name == "MICL priors":
        model.set_params(priors="balanced")
    if name == "lifting by rows" and rows in FLAT:
        with pytest.raises(ValueError, match="patches that are not flat as filters"):
            model.fit(table)
        return
    model.fit(rows_for(name, table), y)
    if rows in FLAT and hasattr(model, "labels_"):  # equal rows are one group
        assert is_valid_linkage(model.linkage()) or len(table) == 1
        assert len(np.unique(model.labels_)) == 1 or rows == "offset"
    if rows in ("zero matrix", "equal rows") and hasattr(model, "predict_proba"):
        assert_allclose(model.predict_proba(rows_for(name, table)), 0.5, atol=1e-6)
    far = 2 * table.astype(table.dtype if table.dtype.kind == "f" else float)
    for new in (table, far + np.abs(far).max(axis=0)):
        assert_finite(name, model, rows_for(name, new, table))


def clusters(n=40, d=6, k=2, *, gap=10.0):
    """Return well separated classes with equal spread."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % k
    centres = gap * np.linalg.qr(rng.normal(size=(d, d)))[0][:k]
    return centres[y] + rng.normal(size=(n, d)), y


# Settings that can tell clusters of rows apart, by where they are.
BY_PLACE = [n for n in MICL if n.split()[-1] not in ("origin", "cosine", "priors")]
BY_PLACE = [n for n in BY_PLACE if n != "MICL local given"]
BY_PLACE += ["subspace affine", "subspace share"]


@pytest.mark.parametrize("name", names_of(BY_PLACE))
def test_separated_classes_are_told_apart(name):
    table, y = clusters(gap=100.0)
    for c in (1e-150, 1e-8, 1e8, 1e150) if name in ANY_UNIT else ():
        model = fitted(name, c * table, y)
        assert_array_equal(model.predict(c * table), y)
    # products have 16 digits, of which the square of the offset takes most
    far = clusters(gap=1000.0)[0] + (1e4 if name == "MICL precomputed" else 1e8)
    assert_array_equal(fitted(name, far, y).predict(rows_for(name, far)), y)
    for shape in [(6, 50), (10, 9), (6, 1000)] if "local" not in name else ():
        wide, labels = clusters(*shape, gap=100.0)
        assert fitted(name, wide, labels).score(rows_for(name, wide), labels) == 1.0
    one, labels = table[:21].copy(), np.append(y[:20], 7)  # a class of one row
    one[20] += 1e3
    model = fitted(name, one, labels)
    assert model.predict(rows_for(name, one[20:], one)).tolist() == [7]
    equal, labels = np.repeat(np.eye(2, 6) * 5, 6, axis=0), np.repeat([0, 1], 6)
    if name != "subspace share":
        found = fitted(name, equal, labels).predict(rows_for(name, equal))
        assert_array_equal(found, labels)
    wide = np.column_stack([table, np.zeros(40)])
    assert fitted(name, wide, y).score(rows_for(name, wide), y) >= 0.95


@pytest.mark.parametrize("name", ["MICL", "MICL given", "subspace affine"])
def test_many_rows_are_told_apart(name):
    table, y = clusters(100_000, 5, gap=20.0)
    assert fitted(name, table, y).score(table, y) > 0.999


# -- tables and labels of other kinds -------------------------------------------------


CONTAINERS = {
    "read-only": lambda A: np.broadcast_to(A, A.shape),
    "Fortran order": np.asfortranarray,
    "every other row": lambda A: np.repeat(A, 2, axis=0)[::2],
    "backwards": lambda A: A[::-1][::-1],
    "list": lambda A: A.tolist(),
    "pandas": lambda A: pd.DataFrame(A, columns=[f"c{i}" for i in range(A.shape[1])]),
    "polars": lambda A: pl.DataFrame(A, schema=[f"c{i}" for i in range(A.shape[1])]),
    "objects that are numbers": lambda A: A.astype(object),
}


@pytest.mark.slow
@some
def test_containers_and_memory_orders_do_not_matter(name):
    table, new = rows_for(name, X), rows_for(name, NEW, X)
    expected = answers(clone(ESTIMATORS[name]).fit(table, Y), new)
    for container, given in CONTAINERS.items():
        model = clone(ESTIMATORS[name]).fit(given(table), Y)
        assert_same(name, answers(model, given(new)), expected, rtol=1e-9, atol=1e-9)
        # scikit-learn 1.6 cannot read the names of polars 2
        if container == "pandas" or (container == "polars" and VERSION >= (1, 9)):
            names = [f"c{i}" for i in range(table.shape[1])]
            assert list(model.feature_names_in_) == names


LABELS = {
    "strings": np.array(["ant", "bee", "cat"]),
    "objects": np.array(["ant", "bee", "cat"], dtype=object),
    "booleans": np.array([False, True]),
    "far integers": np.array([-(10**9), 7, 10**9]),
    "whole floats": np.array([-1.0, 0.0, 8.0]),
    "small integers": np.array([3, 7, 250], dtype=np.uint8),
    "dates": np.array([0, 1, 700], dtype="datetime64[D]"),
}


@some_supervised
def test_labels_come_back_as_they_were_and_change_no_answer(name):
    answers_for = {k: ask(name, fitted(name, y=Y % k)) for k in (2, 3)}
    for names in LABELS.values():
        expected = answers_for[len(names)]
        model = fitted(name, y=names[Y % len(names)])
        assert_array_equal(model.classes_, names)
        found = ask(name, model)
        if "predict" in expected:
            assert found["predict"].dtype == names.dtype
            assert_array_equal(found["predict"], names[expected["predict"]])
        assert_same(name, found, expected, skip=("predict",), rtol=0, atol=1e-13)
    series = pd.Series(pd.Categorical.from_codes(Y, ["a", "b", "c"]))
    assert_array_equal(fitted(name, y=series).classes_, ["a", "b", "c"])


# -- errors that name their cause -----------------------------------------------------


def put(table, value):
    kind = object if isinstance(value, str | int) else type(value)
    table = table.astype(kind)
    table[1, 2] = value
    return table


REAL = r"X must contain real numbers, found"
DATE = np.datetime64("2020-01-01", "ns")
BAD_ROWS = {
    "NaN": (lambda A: put(A, np.nan), r"X contains NaN"),
    "infinity": (lambda A: put(A, np.inf), r"X contains infinity"),
    "sparse": (sp.csr_array, r"[Ss]parse"),
    "complex": (lambda A: put(A, 1j), r"[Cc]omplex"),
    "text": (lambda A: put(A, "text"), r"text|object|string"),
    "one axis": (lambda A: A[:, 0], r"2D array"),
    "three axes": (lambda A: A[:, :, None], r"dim 3|array with dim|one row"),
    "no features": (lambda A: A[:, :0], r"0 feature"),
    "no rows": (lambda A: A[:0], r"0 sample|inconsistent"),
    "None": (lambda A: None, r"None|2D array|scalar"),
    "dates": (lambda A: np.full(A.shape, DATE), REAL),
    "durations": (lambda A: np.full(A.shape, DATE - DATE), REAL),
    "list of dates": (lambda A: [[DATE] * A.shape[1]] * len(A), REAL),
    "frame of dates": (
        lambda A: pd.DataFrame({"a": A[:, 0], "b": DATE}),
        REAL + r".* in column 'b'",
    ),
    "time zone": (
        lambda A: pd.DataFrame({"a": pd.date_range(DATE, periods=len(A), tz="UTC")}),
        REAL,
    ),
    "polars": (
        lambda A: pl.DataFrame({"a": [dt.date(2020, 1, 1)] * len(A)}),
        REAL + r" Date in column 'a'",
    ),
    "integers beyond floats": (lambda A: put(A, 10**400), r"X.*too large for a float"),
}


@every
def test_wrong_rows_are_named(name):
    table = rows_for(name, X)
    model = clone(ESTIMATORS[name]).fit(table, Y)
    ask_for = model.predict if hasattr(model, "predict") else model.transform
    gaps = model.__sklearn_tags__().input_tags.allow_nan
    for kind, (spoil, message) in BAD_ROWS.items():
        if kind == "NaN" and gaps:
            continue
        error = TypeError if kind == "sparse" else ValueError
        with pytest.raises(error, match=message):
            clone(model).fit(spoil(table), Y)
        if kind not in ("no rows", "None"):
            with pytest.raises(error, match=message + "|features"):
                ask_for(spoil(table))
    d = table.shape[1]
    with pytest.raises(ValueError, match=f"{d - 1} features.*expecting {d}"):
        ask_for(table[:, 1:])


# with older versions no estimator takes other arrays
OTHER_ARRAYS = [
    n for n, e in ESTIMATORS.items() if e.__sklearn_tags__().array_api_support
]


@pytest.mark.skipif(not OTHER_ARRAYS, reason="needs scikit-learn 1.9 and SciPy 1.14")
@pytest.mark.parametrize(
    "name", names_of(n for n in ESTIMATORS if n not in OTHER_ARRAYS)
)
def test_arrays_of_a_namespace_are_refused_where_they_are_not_supported(name):
    import array_api_strict as xp

    table, model = rows_for(name, X), fitted(name)
    said = "X is an array of array_api_strict, but .*takes NumPy arrays only: convert X"
    with sklearn.config_context(array_api_dispatch=True):
        with pytest.raises(TypeError, match=said):
            clone(model).fit(xp.asarray(table), xp.asarray(Y))
        for method in ("predict", "transform", "inverse_transform"):
            if hasattr(model, method):
                rows = model.transform(table) if method[0] == "i" else table
                with pytest.raises(TypeError, match=said):
                    getattr(model, method)(xp.asarray(np.asarray(rows)))


# one setting of each class
KINDS = {type(model).__name__: model for model in reversed(ESTIMATORS.values())}
NO_NUMBERS = (True, np.True_, 10**400, Fraction(1, 10**400))


@pytest.mark.parametrize("kind", KINDS)
def test_truth_values_and_numbers_that_no_float_holds_are_named(kind):
    for name, allowed in KINDS[kind]._parameter_constraints.items():
        for value in NO_NUMBERS if "boolean" not in allowed else ():
            with pytest.raises((ValueError, TypeError), match=name):
                clone(KINDS[kind]).set_params(**{name: value}).fit(X, Y)


ONES = np.ones(len(X) - 1)
BAD_WEIGHTS = {
    "all zero": (np.zeros(len(X)), r"[Ss]ample.weight"),
    "negative": (np.r_[-1.0, ONES], r"sample_weight.*-1\.0|sample_weight.*-1"),
    "not a number": (np.r_[np.nan, ONES], r"NaN"),
    "infinite": (np.r_[np.inf, ONES], r"infinity"),
    "wrong length": (ONES, r"sample_weight.*35|35.*sample_weight"),
    "two columns": (np.ones((len(X), 2)), r"[Ss]ample.weight.* 1D"),
    "durations": (np.full(len(X), DATE - DATE), "sample_weight must contain real num"),
}
BAD_LABELS = {
    "wrong length": (Y[:-1], r"inconsistent numbers of samples.*36, 35"),
    "NaN": (np.r_[np.nan, Y[1:]], r"y contains NaN"),
    "regression": (Y + np.linspace(0.01, 0.5, len(X)), r"Unknown label type"),
    "two columns": (np.column_stack([Y, Y]), r"1d array|1D|multi"),
    "None": (None, r"requires y to be passed"),
    "no order": (np.array(["a", *Y[1:]], dtype=object), "y must contain labels that"),
}


@every_weighed
def test_wrong_weights_and_labels_are_named(name):
    for weights, message in BAD_WEIGHTS.values():
        with pytest.raises(ValueError, match=message):
            fitted(name, sample_weight=weights)
    for y, message in BAD_LABELS.values() if name in SUPERVISED else ():
        with pytest.raises(ValueError, match=message):
            clone(ESTIMATORS[name]).fit(rows_for(name, X), y)


@pytest.mark.filterwarnings("ignore:The weights:UserWarning")
@pytest.mark.parametrize("name", names_of(n for n in WEIGHED if n != "clustering"))
def test_weights_of_any_size_give_finite_answers(name):
    for scale in few(name, (1e-12, 1e6, 1e-3)):
        model = fitted(name, sample_weight=np.full(len(X), scale))
        assert_finite(name, model, rows_for(name, NEW, X))


@pytest.mark.parametrize("settings", [{}, {"n_neighbors": 3}, {"kernel": "rbf"}])
def test_distortions_that_cannot_be_squared(settings):
    if settings != {"kernel": "rbf"}:
        for origin in (False, True):
            model = MICLClassifier(1e-300, assume_centered=origin, **settings)
            with pytest.raises(ValueError, match=r"=1e-300 is too small.*must exceed"):
                model.fit(X, Y)
    y = np.where(np.arange(len(X)) < 20, 1, 0)
    model = MICLClassifier(1e200, **settings).fit(X, y)
    assert model.epsilon_ == 1e200
    assert_array_equal(model.predict(X), np.ones(len(X)))  # the label code is left


@pytest.mark.parametrize("name", ["MICL", "MICL given", "MICL local"])
def test_row_too_large_beside_the_training_rows_is_named(name):
    model = fitted(name)
    with pytest.raises(ValueError, match=r"X contains an entry of 1e\+300, too large"):
        model.predict(np.full((1, 6), 1e300))


# -- calls that fail ------------------------------------------------------------------

ROOT = skredu.__path__[0]


class Interrupt:
    """Raise an exception when the package enters a function for the n-th time."""

    def __init__(self, at, error=KeyboardInterrupt):
        self.at, self.error, self.calls = at, error, 0

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self.trace)
        return self

    def __exit__(self, *_):
        sys.settrace(self.before)

    def trace(self, frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(ROOT):
            self.calls += 1
            if self.calls == self.at:
                raise self.error


def interrupted_anywhere(make, act, new):
    """Interrupt a call at some places, compare with before, and call again."""
    model = make()
    with Interrupt(-1) as clean:
        act(model)
    expected = answers(model, new)
    for share, error in ((0.3, KeyboardInterrupt), (0.9, MemoryError)):
        model = make()
        before = pickle.dumps(model)
        at = 2 + int(share * (clean.calls - 2))
        with pytest.raises(error), Interrupt(at, error):
            act(model)
        assert pickle.dumps(model) == before
        act(model)
        for key, value in answers(model, new).items():
            assert_array_equal(value, expected[key], err_msg=key)


@pytest.mark.slow
@some
def test_fit_that_is_interrupted_changes_nothing(name):
    part, new = rows_for(name, X[:12]), rows_for(name, NEW, X[:12])
    model = clone(ESTIMATORS[name])
    other = clone(model).fit(rows_for(name, X[12:24]), Y[12:24])
    for start in (other, model):
        data = pickle.dumps(start)
        interrupted_anywhere(
            lambda data=data: pickle.loads(data), lambda m: m.fit(part, Y[:12]), new
        )


@pytest.mark.parametrize("name", ["net", "signal net", "MCR2"])
def test_growth_that_is_interrupted_changes_nothing(name):
    def make():
        model = clone(ESTIMATORS[name]).set_params(warm_start=True, n_layers=1)
        return model.fit(X[:12], Y[:12]).set_params(n_layers=2)

    interrupted_anywhere(make, lambda model: model.fit(X[:12], Y[:12]), NEW)


PART = {"X": X[12:19], "y": Y[12:19], "classes": [0, 1, 2]}


@pytest.mark.parametrize("start", ["new", "fit", "partial_fit"])
@pytest.mark.parametrize("name", ["MICL", "MICL given", "no layers"])
def test_parts_that_are_interrupted_are_not_added(name, start):
    def make():
        model = clone(ESTIMATORS[name])
        return model if start == "new" else getattr(model, start)(X[:12], Y[:12], *more)

    more = [PART["classes"]] if start == "partial_fit" else []
    interrupted_anywhere(make, lambda model: model.partial_fit(**PART), NEW)


@every
def test_bad_rows_leave_the_model_of_the_rows_before(name):
    table, new = rows_for(name, X), rows_for(name, NEW, X)
    bad = np.where(np.arange(table.shape[1]) == 3, np.inf, table)
    model = clone(ESTIMATORS[name])
    with pytest.raises(ValueError, match="infinity"):
        model.fit(bad, Y)
    with pytest.raises(ValueError, match="not fitted"):
        answers(model, new)
    expected = answers(model.fit(table, Y), new)
    with pytest.raises(ValueError, match="infinity"):
        model.fit(np.hstack([bad, bad]), Y)
    assert model.n_features_in_ == table.shape[1]
    for key, value in answers(model, new).items():
        assert_array_equal(value, expected[key])


CHANGES = [
    ("polar", {"image_shape": (5, 7)}),
    ("lifting", {"signal_shape": 4}),
    ("no layers", {"signal_shape": 4}),
    ("MICL", {"priors": [0.5, 0.4, 0.05, 0.05]}),
    ("MCR2", {"init": np.zeros((1, 1))}),
    ("clustering given", {"n_clusters": 37}),
    *(
        ("net", change)
        for change in ({"eta": -1.0}, {"n_layers": -1}, {"step": "long"})
    ),
    *(("net that decides", {key: "hard"}) for key in ("membership", "construction")),
    ("signal net", {"epsilon": 0.0}),
    *(("signal net", {"signal_shape": s}) for s in (0, 0.0, (), (2.0, 3), "line")),
    ("net", {"intercept_scaling": 0.0}),
]


@pytest.mark.parametrize(("name", "change"), CHANGES, ids=str)
def test_parameters_that_do_not_fit_the_rows_leave_nothing_half_fitted(name, change):
    model = clone(ESTIMATORS[name]).set_params(**change)
    with pytest.raises(ValueError, match=next(iter(change))):
        model.fit(X, Y)
    with pytest.raises(ValueError, match="not fitted"):
        answers(model, NEW)
    model = fitted(name)
    expected = answers(model, NEW)
    with pytest.raises(ValueError, match=next(iter(change))):
        model.set_params(**change).fit(X[::-1], Y)
    for key, value in answers(model, NEW).items():
        assert_array_equal(value, expected[key])
