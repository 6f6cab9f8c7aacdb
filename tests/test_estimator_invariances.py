"""What must not change a classifier: units, order, names, copies, precision."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skredu import MICLClassifier, NearestSubspaceClassifier


def laplacian(x, y):
    return float(np.exp(-np.abs(x - y).sum() / 10))


MICL = {
    "default": {},
    "given": {"epsilon": 0.5},
    "origin": {"assume_centered": True},
    "frequencies": {"priors": None},
    "rbf": {"kernel": "rbf"},
    "poly": {"kernel": "poly", "degree": 2},
    "cosine": {"kernel": "cosine"},
    "callable": {"kernel": laplacian},
    "local": {"n_neighbors": 4},
}
SUBSPACE = {
    "share": {"assume_centered": False, "n_components": 0.7},
    "rank": {"assume_centered": False, "n_components": 2},
    "origin": {"n_components": 2},
}
MODELS = {
    **{f"MICL {name}": (MICLClassifier, MICL[name]) for name in MICL},
    **{
        f"subspace {name}": (NearestSubspaceClassifier, SUBSPACE[name])
        for name in SUBSPACE
    },
}


@pytest.fixture(params=list(MODELS))
def make(request):
    """Constructor of an estimator with some of its settings."""
    kind, settings = MODELS[request.param]
    return lambda **options: kind(**settings | options)


def problem(seed=0, n=120, d=4, k=3):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    y[:k] = range(k)
    means = 2 * rng.normal(size=(k, d))
    maps = np.linalg.qr(rng.normal(size=(k, d, d)))[0] * rng.uniform(
        0.5, 1.5, (k, 1, d)
    )
    X = means[y] + np.einsum("nij,nj->ni", maps[y], rng.normal(size=(n, d)))
    return X, y, 2 * rng.normal(size=(25, d))


def assert_same_scores(actual, desired):
    # Products know a direction of variance v among rows of norm r with a relative
    # error of eps r^2 / v, which reaches 1e-5 for the polynomial kernel here.
    assert_allclose(actual, desired, rtol=1e-5, atol=1e-5)


UNITS = [1e-150, 1e-8, 1e-3, 1e3, 1e8, 1e150]


@pytest.mark.parametrize("c", UNITS)
@pytest.mark.parametrize("name", ["default", "origin", "frequencies", "local"])
def test_unit_of_rows_is_the_unit_of_the_chosen_distortion(name, c):
    X, y, new = problem()
    near = MICLClassifier(**MICL[name]).fit(X, y)
    far = MICLClassifier(**MICL[name]).fit(c * X, y)
    assert far.epsilon_ == pytest.approx(c * near.epsilon_, rel=1e-9)
    assert_allclose(
        far.decision_function(c * new),
        near.decision_function(new),
        rtol=1e-7,
        atol=1e-7,
    )
    assert_array_equal(far.predict(c * new), near.predict(new))


@pytest.mark.parametrize("c", UNITS)
@pytest.mark.parametrize(
    "settings", [{}, {"n_neighbors": 4}, {"kernel": "precomputed"}]
)
def test_given_distortion_scales_with_the_rows(settings, c):
    X, y, new = problem()
    if "kernel" in settings:
        X, new, c = X @ X.T, new @ X.T, c**2 if 1e-100 < c < 1e100 else c
    root = np.sqrt(c) if "kernel" in settings else c
    near = MICLClassifier(0.3, **settings).fit(X, y)
    far = MICLClassifier(0.3 * root, **settings).fit(c * X, y)
    assert_allclose(
        far.decision_function(c * new),
        near.decision_function(new),
        rtol=1e-7,
        atol=1e-7,
    )


@pytest.mark.parametrize("c", UNITS)
@pytest.mark.parametrize("name", ["rbf", "poly", "cosine"])
def test_kernels_with_a_scale_of_their_own_see_no_unit(name, c):
    X, y, new = problem()
    near = MICLClassifier(**MICL[name]).fit(X, y)
    far = MICLClassifier(**MICL[name]).fit(c * X, y)
    assert far.epsilon_ == pytest.approx(near.epsilon_, rel=1e-7)
    assert_same_scores(far.decision_function(c * new), near.decision_function(new))


@pytest.mark.parametrize("c", UNITS)
@pytest.mark.parametrize("name", SUBSPACE)
def test_residuals_scale_with_the_rows(name, c):
    X, y, new = problem()
    near = NearestSubspaceClassifier(**SUBSPACE[name]).fit(X, y)
    far = NearestSubspaceClassifier(**SUBSPACE[name]).fit(c * X, y)
    scores = far.decision_function(c * new) / c
    assert_allclose(scores, near.decision_function(new), rtol=1e-7, atol=1e-12)
    assert_array_equal(far.predict(c * new), near.predict(new))


def test_order_of_rows_does_not_matter(make):
    X, y, new = problem()
    order = np.random.default_rng(1).permutation(len(X))
    shuffled = make().fit(X[order], y[order])
    assert_same_scores(
        shuffled.decision_function(new), make().fit(X, y).decision_function(new)
    )


def test_names_of_classes_do_not_matter(make):
    X, y, new = problem()
    for names in map(
        np.array, (["ant", "bee", "cat"], [-5, 7, 1000], [-1.0, 0.0, 8.0])
    ):
        model = make().fit(X, names[y])
        plain = make().fit(X, y)
        assert_array_equal(model.classes_, names)
        assert_array_equal(model.predict(new), names[plain.predict(new)])
        assert_array_equal(model.decision_function(new), plain.decision_function(new))


def test_weight_is_a_number_of_copies(make):
    X, y, new = problem()
    weights = np.random.default_rng(2).integers(0, 4, len(X))
    weights[:3] = 1
    copied = make().fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    weighted = make().fit(X, y, sample_weight=weights)
    assert_same_scores(weighted.decision_function(new), copied.decision_function(new))
    assert_array_equal(weighted.predict(new), copied.predict(new))


def test_weights_of_one_change_nothing(make):
    X, y, new = problem()
    weighted = make().fit(X, y, sample_weight=np.ones(len(X)))
    assert_allclose(
        weighted.decision_function(new),
        make().fit(X, y).decision_function(new),
        rtol=1e-7,
        atol=1e-7,
    )


def test_a_row_alone_gives_what_it_gives_in_company(make):
    X, y, new = problem()
    model = make().fit(X, y)
    alone = [model.decision_function(row[None])[0] for row in new]
    assert_allclose(model.decision_function(new), alone, rtol=1e-9, atol=1e-9)


def test_single_precision_is_close_to_double(make):
    X, y, new = problem()
    X, new = X.astype(np.float32), new.astype(np.float32)
    single = make().fit(X, y)
    double = make().fit(X.astype(float), y)
    scores = double.decision_function(new.astype(float))
    tolerance = 1e-3 * np.abs(scores).max()
    assert_allclose(single.decision_function(new), scores, atol=tolerance)
    ordered = np.sort(scores, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > 2 * tolerance
    assert clear.sum() > 20
    assert_array_equal(
        single.predict(new)[clear], double.predict(new.astype(float))[clear]
    )


@pytest.mark.parametrize("name", ["default", "given", "frequencies", "local", "rbf"])
def test_rotation_of_the_rows_does_not_matter(name):
    X, y, new = problem()
    Q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))
    turned = MICLClassifier(**MICL[name]).fit(X @ Q, y)
    plain = MICLClassifier(**MICL[name]).fit(X, y)
    assert_allclose(
        turned.decision_function(new @ Q),
        plain.decision_function(new),
        rtol=1e-7,
        atol=1e-7,
    )


@pytest.mark.parametrize("name", ["share", "rank"])
def test_shift_of_the_rows_does_not_matter_to_affine_subspaces(name):
    X, y, new = problem()
    shift = np.array([100.0, -200.0, 50.0, 1e3])
    moved = NearestSubspaceClassifier(**SUBSPACE[name]).fit(X + shift, y)
    plain = NearestSubspaceClassifier(**SUBSPACE[name]).fit(X, y)
    assert_allclose(
        moved.decision_function(new + shift), plain.decision_function(new), atol=1e-9
    )


def test_predict_writes_nothing_to_the_estimator(make):
    X, y, new = problem()
    model = make().fit(X, y)
    before = dict(vars(model))
    model.predict(new)
    model.decision_function(new)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


def test_rows_are_not_written_to(make):
    X, y, new = problem()
    weights = np.ones(len(X))
    kept = X.copy(), y.copy(), weights.copy(), new.copy()
    make().fit(X, y, sample_weight=weights).predict(new)
    for array, copy in zip((X, y, weights, new), kept, strict=True):
        assert_array_equal(array, copy)


def test_jobs_of_the_neighbour_search_change_nothing():
    X, y, new = problem()
    one = MICLClassifier(n_neighbors=4).fit(X, y).decision_function(new)
    two = MICLClassifier(n_neighbors=4, n_jobs=2).fit(X, y).decision_function(new)
    assert_allclose(two, one, rtol=1e-12)
