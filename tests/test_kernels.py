"""Callable kernels, and parameters that a kernel does not use."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris
from sklearn.metrics.pairwise import laplacian_kernel, rbf_kernel

from skredu import MICLClassifier
from skredu.classification._kernel import kernel_group
from skredu.coding._group import vector_blocks

X, Y = load_iris(return_X_y=True)
X, Y = X[::3], Y[::3]


def of_rows(x, y, gamma=0.5):
    """Return the radial kernel of two rows."""
    return np.exp(-gamma * ((x - y) ** 2).sum())


@pytest.mark.parametrize("epsilon", ["auto", 0.3])
@pytest.mark.parametrize("kernel", [of_rows, rbf_kernel])
def test_function_is_the_kernel_that_it_computes(kernel, epsilon):
    named = MICLClassifier(epsilon, kernel="rbf", gamma=0.5).fit(X, Y)
    model = MICLClassifier(epsilon, kernel=kernel, kernel_params={"gamma": 0.5})
    model.fit(X, Y)
    assert_allclose(model.epsilon_, named.epsilon_)
    assert_allclose(
        model.decision_function(X), named.decision_function(X), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("n", [1, 2, 12])
def test_function_of_two_rows_is_told_from_one_of_matrices(n, d):
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(n, d)), np.arange(n) % 2
    kernels = lambda A, B: A @ B.T, lambda x, y: x @ y, lambda x, y: x.T @ y.T
    scores = [
        MICLClassifier(0.5, kernel=kernel).fit(rows, labels).predict_log_proba(rows)
        for kernel in (*kernels, np.dot, np.inner)
    ]
    for found in scores[1:]:
        assert_allclose(found, scores[0], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("d", [2, 3, 4])
def test_function_of_two_rows_may_have_products_of_each_row_with_itself(d):
    X = np.random.default_rng(0).normal(size=(12, d))
    labels = np.arange(12) % 2
    named = MICLClassifier(0.5, kernel="rbf", gamma=0.5).fit(X, labels)
    model = MICLClassifier(
        0.5, kernel=lambda x, y: np.exp(x @ y.T - 0.5 * (x @ x.T + y @ y.T))
    ).fit(X, labels)
    assert_allclose(model.decision_function(X), named.decision_function(X), atol=1e-8)


def test_cosines_of_rows_of_any_size_with_zeros():
    X = np.random.default_rng(0).normal(size=(12, 4))
    X[:, 1] = 0.0
    model = MICLClassifier(kernel="cosine").fit(X, np.arange(12) % 2)
    expected = model.decision_function(X)
    for c in (1e-200, 1e200):
        assert_allclose(model.decision_function(c * X), expected, atol=1e-6)


@pytest.mark.parametrize("epsilon", ["auto", 0.3])
def test_function_sees_each_pair_of_training_rows_once(epsilon):
    pairs = []

    def kernel(x, y):
        if x.ndim == 1:
            pairs.append(frozenset((x.tobytes(), y.tobytes())))
        return of_rows(x, y)

    rows = np.unique(X, axis=0)
    n = len(rows)
    model = MICLClassifier(epsilon, kernel=kernel).fit(rows, np.arange(n) % 3)
    assert len(pairs) == len(set(pairs)) == n * (n + 1) // 2
    pairs.clear()
    model.predict(rows[:4])
    assert len(pairs) == 4 * (n + 1)


BAD = {
    "text": lambda x, y: "text",
    "numbers as text": lambda A, B: (A @ B.T).astype(str),
    "nothing": lambda x, y: None,
    "a complex number": lambda x, y: x @ y + 1j,
    "complex numbers": lambda A, B: A @ B.T + 0j,
    "an array for two rows": lambda x, y: x * y,
    "too few numbers": lambda A, B: (A @ B.T)[:-1],
    "an error": lambda x, y: {}["missing"],
    "one argument": lambda x: 1.0,
}


def test_function_that_gives_no_real_or_finite_numbers_is_named():
    for kernel in BAD.values():
        with pytest.raises(ValueError, match=r"kernel=.* must return a real number"):
            MICLClassifier(kernel=kernel).fit(X, Y)
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"kernel=.* not finite"):
            MICLClassifier(kernel=lambda x, y, value=value: value).fit(X, Y)


@pytest.mark.parametrize(
    ("kernel", "unused"),
    [
        ("linear", {"gamma": 0.5}),
        ("cosine", {"gamma": 0.5}),
        ("precomputed", {"gamma": 0.5}),
        (of_rows, {"gamma": 0.5}),
        ("linear", {"degree": 2}),
        ("rbf", {"degree": 2}),
        ("rbf", {"coef0": 0}),
        ("rbf", {"kernel_params": {"gamma": 0.5}}),
    ],
)
def test_parameter_that_a_kernel_does_not_use_is_refused(kernel, unused):
    (name,) = unused
    rows = X @ X.T if kernel == "precomputed" else X
    with pytest.raises(ValueError, match=f"{name}=.* is only used by kernel="):
        MICLClassifier(kernel=kernel, **unused).fit(rows, Y)
    # defaults and no parameters are not refused
    model = MICLClassifier(degree=3.0, coef0=1.0, kernel_params={})
    assert model.fit(X, Y).score(X, Y) > 0.95


def test_products_out_of_range_are_named():
    X, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 2
    for degree, gamma, epsilon in ((1, 1e305, "auto"), (3, 2e296, "auto"),
                                   (1, 1e10, 1e-150)):  # fmt: skip
        model = MICLClassifier(epsilon, kernel="poly", gamma=gamma, degree=degree)
        with pytest.raises(ValueError, match=r"kernel='poly' returns .* are allowed"):
            model.fit(X, y)
    model, K = MICLClassifier(1e-150, kernel="precomputed"), X @ X.T
    for refused in (lambda: model.fit(1e10 * K, y), lambda: model.predict(1e10 * K)):
        with pytest.raises(ValueError, match=r"kernel='precomputed' returns .* allow"):
            refused()
        model.fit(1e-6 * K, y)
    most, y_even = 1e304 / 16 * np.eye(16), np.arange(16) % 2  # the largest allowed
    model = MICLClassifier(kernel="precomputed").fit(most, y_even)
    assert np.isfinite(model.predict_proba(most)).all()
    with pytest.raises(ValueError, match=r"kernel='precomputed' returns .* at most"):
        model.fit(np.nextafter(most, np.inf), y_even)
    model = MICLClassifier(100.0, kernel="precomputed")  # allows no larger products
    with pytest.raises(ValueError, match=r"found 1e\+305: up to 1e\+304 are allowed"):
        model.fit(1e305 * np.eye(16), y_even)
    model = MICLClassifier(kernel="poly", gamma=1e290, degree=1).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()
    with pytest.raises(ValueError, match=r"kernel='poly' returns .*sample_weight"):
        model.set_params(gamma=1e300).fit(X, y, np.where(y == 0, 1e30, 1.0))


def test_later_changes_of_given_kernel_parameters_have_no_effect():
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
    parameters = {"gamma": 0.5}
    model = MICLClassifier(kernel=rbf_kernel, kernel_params=parameters).fit(X, y)
    before = model.predict_proba(X)
    parameters["gamma"] = 5.0
    assert_array_equal(model.predict_proba(X), before)


def test_centred_class_has_fewer_directions_than_samples():
    """Otherwise, a direction of rounding errors counts the mean again (1 of 50)."""
    rng = np.random.default_rng(0)
    for n in rng.integers(10, 80, 150):
        X = rng.random((n, 200)) * (rng.random((n, 200)) < 0.3)
        K = laplacian_kernel(X, gamma=0.3 / 200)
        group = kernel_group(K, np.ones(n), vector_blocks(n, K), assume_centered=False)
        assert group.eigenvalues.shape[1] < n
