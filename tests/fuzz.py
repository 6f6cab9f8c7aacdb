"""Unusual rows, labels, weights and parameters, and what must always hold.

A call gives a finite, right result, or it raises ValueError or TypeError with the name
of what it refuses. It gives no warning (warnings are errors in all tests), and leaves
arrays and parameters as they are.
"""

import copy
import datetime as dt
import decimal
import fractions

import numpy as np
import pandas as pd
import scipy.sparse as sp
from hypothesis import strategies as st

# What scikit-learn says of rows, labels and weights without their name.
ANONYMOUS = (
    "Found array with",  # no rows or columns, or another dimension
    "Expected 2D array",
    "Complex data not supported",
    "could not convert string to float",
    "inconsistent numbers of samples",
    "Unknown label type",
    "float() argument must be",
    "y should be a 1d array",
    "Singleton array",
    "Expected sequence or array-like",
)


def numbers(*good):
    """Draw a number: mostly valid, sometimes too large, unusual or not a number."""
    return st.one_of(st.sampled_from(good), st.sampled_from(good), ANY_NUMBER)


BIG = 10**400
SIZES = [10.0**power for power in (-320, -300, -200, -155, -100, -45, -30, -8)]
SIZES += [1.0 / size for size in SIZES[1:]] + [5e-324, 1.7e308]
ANY_NUMBER = st.one_of(
    st.sampled_from(SIZES),
    st.floats(),
    st.integers(-2, 3),
    st.sampled_from(
        [
            *(BIG, -BIG, 10**12, True, False, None, "auto", "text", 1j),
            *(fractions.Fraction(a, b) for a, b in [(1, 3), (BIG, 3), (1, BIG)]),
            *(kind(0.5) for kind in (np.float16, np.float32, np.longdouble, np.array)),
            *(decimal.Decimal("0.5"), np.float32(1e-45), np.int64(2**62), np.uint8(2)),
            *(np.bool_(True), np.datetime64("2020-01-01"), np.timedelta64(1, "s")),
            *([0.5], np.array([0.5]), dt.timedelta(1), {}, print),
        ]
    ),
)


def choices(*good):
    """Draw one of some values, or a number."""
    return st.one_of(st.sampled_from(good), st.sampled_from(good), ANY_NUMBER)


# -- rows -----------------------------------------------------------------------------

SHAPES = {
    "as they are": lambda X, rng: X,
    "zeros": lambda X, rng: 0.0 * X,
    "equal": lambda X, rng: X[:1] + 0.0 * X,
    "repeated": lambda X, rng: X[rng.integers(0, len(X), len(X))],
    "rank one": lambda X, rng: X[:, :1] * X[:1],
    "one column of another size": lambda X, rng: (
        X * np.r_[10.0 ** rng.uniform(-200, 200), np.ones(X.shape[1] - 1)]
    ),
    "one row of another size": lambda X, rng: (
        X * np.r_[10.0 ** rng.uniform(-200, 200), np.ones(len(X) - 1)][:, None]
    ),
    "many sizes": lambda X, rng: X * 10.0 ** rng.uniform(-160, 160, X.shape),
    "some zeros": lambda X, rng: X * rng.integers(0, 2, X.shape),
    "far away": lambda X, rng: X + 1e8,
    "whole numbers": lambda X, rng: np.round(3.0 * X),
}
TYPES = {
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "longdouble": lambda X: X.astype(np.longdouble),
    "integers": lambda X: np.nan_to_num(X).clip(-1e9, 1e9).astype(np.int64),
    "bytes": lambda X: (np.abs(X) % 200).astype(np.uint8),
    "booleans": lambda X: X > 0,
    "objects": lambda X: X.astype(object),
    "integers beyond floats": lambda X: np.full(X.shape, BIG, dtype=object),
    "strings": lambda X: X.astype(str),
    "words": lambda X: np.full(X.shape, "word"),
    "complex": lambda X: X.astype(complex),
    "dates": lambda X: np.full(X.shape, np.datetime64("2020-01-01")),
    "durations": lambda X: np.full(X.shape, np.timedelta64(3, "s")),
    "dates as objects": lambda X: np.full(X.shape, dt.date(2020, 1, 1), object),
    "list": lambda X: X.tolist(),
    "frame": pd.DataFrame,
    "frame of dates": lambda X: pd.DataFrame(
        np.full(X.shape, np.datetime64("2020-01-01", "ns"))
    ),
    "missing": lambda X: np.where(np.arange(X.size).reshape(X.shape) == 1, np.nan, X),
    "infinite": lambda X: np.where(np.arange(X.size).reshape(X.shape) == 1, np.inf, X),
    "sparse": sp.csr_array,
    "one row only": lambda X: X[0],
    "a number": lambda X: X[0, 0],
    "three axes": lambda X: X[:, :, None],
    "no rows": lambda X: X[:0],
    "no columns": lambda X: X[:, :0],
    "Fortran order": np.asfortranarray,
    "backwards": lambda X: X[::-1, ::-1],
    "masked": np.ma.masked_array,
    "None": lambda X: None,
    "text": lambda X: "text",
}


@st.composite
def rows(draw, n=None, d=None):
    """Draw rows of every kind, mostly ordinary ones."""
    n = draw(st.integers(1, 9)) if n is None else n
    d = draw(st.integers(1, 6)) if d is None else d
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    X = rng.standard_normal((n, d))
    if draw(st.booleans()):
        X = SHAPES[draw(st.sampled_from(sorted(SHAPES)))](X, rng)
    if draw(st.booleans()):
        size = draw(st.one_of(st.sampled_from(SIZES), st.just(1e154)))
        with np.errstate(over="ignore", under="ignore"):
            X = np.clip(X * size, -1.7e308, 1.7e308)
    if draw(st.booleans()):
        kind = TYPES[draw(st.sampled_from(sorted(TYPES)))]
        with np.errstate(all="ignore"):
            X = kind(X)
    return X


LABELS = {
    "one class": lambda y: 0 * y,
    "all different": lambda y: np.arange(len(y)),
    "strings": lambda y: y.astype(str),
    "booleans": lambda y: y > 0,
    "floats": lambda y: y.astype(float),
    "far": lambda y: y * 10**15 - 7,
    "unsigned": lambda y: y.astype(np.uint8),
    "objects": lambda y: y.astype(object),
    "words": lambda y: np.where(y > 0, "yes", "no").astype(object),
    "dates": lambda y: y.astype("datetime64[D]"),
    "categories": lambda y: pd.Series(y).astype("category"),
    "list": lambda y: y.tolist(),
    "mixed": lambda y: np.array(["a", *y[1:].tolist()], dtype=object),
    "missing": lambda y: np.where(np.arange(len(y)) == 0, np.nan, y),
    "None among them": lambda y: np.array([None, *y[1:].tolist()], dtype=object),
    "regression": lambda y: y + 0.37,
    "complex": lambda y: y + 1j,
    "short": lambda y: y[1:],
    "one-hot": lambda y: np.eye(4)[y],
    "None": lambda y: None,
    "a number": lambda y: 3,
    "integers beyond floats": lambda y: np.array([BIG] * len(y), dtype=object),
}


@st.composite
def labels(draw, n):
    """Draw labels of every kind, mostly ordinary ones."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    y = rng.integers(0, draw(st.integers(1, 4)), n)
    if draw(st.booleans()):
        y = LABELS[draw(st.sampled_from(sorted(LABELS)))](y)
    return y


WEIGHTS = {
    "None": lambda w: None,
    "some zero": lambda w: w * (np.arange(len(w)) % 2),
    "zero": lambda w: 0.0 * w,
    "tiny": lambda w: w * 1e-12,
    "huge": lambda w: w * 1e12,
    "vanishing": lambda w: w * 1e-200,
    "denormal": lambda w: w * 1e-310,
    "enormous": lambda w: w * 1e200,
    "largest": lambda w: w / w.max() * 1.7e308,
    "of very many sizes": lambda w: 10.0 ** (50.0 * (w - 1.0)),
    "of too many sizes": lambda w: 10.0 ** (300.0 * (w - 1.0)),
    "tiny float32": lambda w: (w * 1e-44).astype(np.float32),
    "sum to one": lambda w: w / w.sum(),
    "of all sizes": lambda w: 10.0 ** (12.0 * (w - 1.0)),
    "integers": lambda w: (3 * w).astype(int),
    "booleans": lambda w: w > 1.0,
    "float32": lambda w: w.astype(np.float32),
    "float16": lambda w: w.astype(np.float16),
    "list": lambda w: w.tolist(),
    "series": pd.Series,
    "negative": lambda w: w - 1.0,
    "missing": lambda w: w * np.nan,
    "infinite": lambda w: w * np.inf,
    "column": lambda w: w[:, None],
    "short": lambda w: w[1:],
    "a number": lambda w: 2.0,
    "text": lambda w: "balanced",
    "strings": lambda w: w.astype(str),
    "words": lambda w: ["word"] * len(w),
    "complex": lambda w: w + 0j,
    "dates": lambda w: np.full(len(w), np.datetime64("2020-01-01")),
    "objects": lambda w: w.astype(object),
    "integers beyond floats": lambda w: np.array([BIG] * len(w), dtype=object),
}


@st.composite
def weights(draw, n):
    """Draw weights of every kind, mostly none."""
    if draw(st.booleans()):
        return None
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    w = rng.uniform(0.1, 1.9, n)
    with np.errstate(all="ignore"):
        return WEIGHTS[draw(st.sampled_from(sorted(WEIGHTS)))](w)


@st.composite
def some(draw, strategies):
    """Draw a few of some named parameters, mostly none."""
    names = draw(st.lists(st.sampled_from(sorted(strategies)), max_size=3, unique=True))
    return {name: draw(strategies[name]) for name in names}


# -- what must hold -------------------------------------------------------------------


def attempt(call, *arguments, names, **options):
    """Return the result of a call, or None if it raises an error; see the module."""
    before = copy.deepcopy((arguments, options))
    result, refusal = None, None
    try:
        result = call(*arguments, **options)
    except (ValueError, TypeError) as error:
        refusal = error
    assert same(before, (arguments, options)), "an argument has been written to"
    if refusal is not None:
        message = str(refusal)
        assert not isinstance(refusal, np.linalg.LinAlgError), message
        said = [name for name in (*names, *options) if name in message]
        assert said or any(text in message for text in ANONYMOUS), message
    return result


def same(a, b):
    """Return whether two arguments are exactly the same."""
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, pd.DataFrame | pd.Series):
        return a.equals(b)
    if sp.issparse(a):
        return same(a.toarray(), b.toarray())
    if isinstance(a, np.ndarray | np.generic) and np.asarray(a).dtype != object:
        return np.asarray(a).tobytes() == np.asarray(b).tobytes()
    if isinstance(a, np.ndarray):
        return same(a.tolist(), b.tolist())
    return a is b or a == b or (a != a and b != b)


def finite(value):
    """Return whether a number or array is real and finite."""
    value = np.asarray(value)
    return value.dtype.kind in "fiu" and bool(np.isfinite(value).all())
