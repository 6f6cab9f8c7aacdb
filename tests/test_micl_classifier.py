"""MICLClassifier against the definition, row by row, and what must not change it."""

import math
from functools import partial

import numpy as np
import oracle_micl as oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import limit
from sklearn.base import clone
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.model_selection import GridSearchCV, cross_val_score

from skredu import MICLClassifier
from skredu.metrics import label_quality
from skredu.rates import coding_length

WEIGHTINGS = ["none", "copies", "fractions"]


def problem(n=40, d=5, k=3, *, seed=0, weighting="none"):
    """Return rows of overlapping classes, labels, weights or None, and more rows."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    y[:k] = range(k)
    y.sort()
    means = rng.normal(size=(k, d))
    maps = rng.normal(size=(k, d, d)) / math.sqrt(d)
    X = means[y] + np.einsum("nij,nj->ni", maps[y], rng.normal(size=(n, d)))
    X[n // 2] = X[n // 2 - 1]  # a duplicate
    weights = {
        "none": None,
        "copies": rng.integers(1, 4, n).astype(float),
        "fractions": rng.choice([0.25, 0.6, 1.0, 1.5, 2.25], n),
    }[weighting]
    new = rng.normal(size=(9, d)) * 2.0
    return X, y, weights, new


def ones(X, weights):
    return np.ones(len(X)) if weights is None else weights


def matmul(x, y, scale=1.0):
    return scale * float(x @ y)


KERNELS = {
    "rbf": ({"kernel": "rbf", "gamma": 0.2}, {"metric": "rbf", "gamma": 0.2}),
    "poly": (
        {"kernel": "poly", "gamma": 0.3, "degree": 2, "coef0": 0.5},
        {"metric": "poly", "gamma": 0.3, "degree": 2, "coef0": 0.5},
    ),
    "cosine": ({"kernel": "cosine"}, {"metric": "cosine"}),
    "callable": (
        {"kernel": matmul, "kernel_params": {"scale": 0.5}},
        {"metric": matmul, "scale": 0.5},
    ),
}


# -- the definition -------------------------------------------------------------------

CASES = [({}, shape) for shape in [(40, 5), (14, 20), (18, 5), (40, 1)]]
CASES += [
    (kernel, n_d) for kernel, _ in KERNELS.values() for n_d in [(24, 4), (12, 15)]
]
CASES += [({"n_neighbors": k}, (30, d)) for k in (1, 4, 100) for d in (3, 12)]


def defined(settings, *arguments, **options):
    """Return the scores of the definition, with a kernel or neighbours."""
    if "n_neighbors" in settings:
        return oracle.local_scores(*arguments, settings["n_neighbors"], **options)
    for given, by in KERNELS.values():
        if settings is given:
            kernel = partial(pairwise_kernels, **by)
            return oracle.kernel_scores(kernel, *arguments, **options)
    return oracle.scores(*arguments, **options)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize(("settings", "shape"), CASES)
def test_decision_is_the_definition(settings, shape, assume_centered):
    for epsilon, weighting in zip(
        [0.1, 2.0, 0.1, 30.0], [*WEIGHTINGS, "fractions"], strict=True
    ):
        X, y, weights, new = problem(*shape, weighting=weighting)
        options = {"assume_centered": assume_centered}
        model = MICLClassifier(epsilon, priors=None, **options, **settings)
        model.fit(X, y, weights)
        rows = X, y, ones(X, weights), new, epsilon
        expected = defined(settings, *rows, **options)
        bits = oracle.decision(expected, model.temperature_)
        assert_allclose(model.decision_function(new), bits, rtol=1e-9, atol=1e-9)
        assert_array_equal(model.predict(new), expected.argmax(axis=1))


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize(
    ("kernel", "epsilon"),
    [("linear", 0.3), ("linear", "auto"), ("rbf", 0.5), ("cosine", 0.5)],
)
def test_precomputed_products_equal_the_kernel(kernel, epsilon, assume_centered):
    X, y, weights, new = problem(weighting="copies")
    options = {"epsilon": epsilon, "assume_centered": assume_centered}
    named, by = KERNELS.get(kernel, ({}, {"metric": "linear"}))
    direct = MICLClassifier(**options, **named).fit(X, y, weights)
    given = MICLClassifier(**options, kernel="precomputed")
    given.fit(pairwise_kernels(X, X, **by), y, weights)
    assert given.epsilon_ == pytest.approx(direct.epsilon_, rel=1e-9)
    found = given.decision_function(pairwise_kernels(new, X, **by))
    assert_allclose(found, direct.decision_function(new), rtol=1e-8, atol=1e-8)


def test_precomputed_row_has_the_smallest_norm_its_products_allow():
    X, y, _, new = problem(12, 15)
    Z = oracle.features_of(X @ X.T)
    rows = new @ X.T @ np.linalg.pinv(Z, rcond=1e-6).T
    rank = oracle.rank_of(X @ X.T)
    expected = oracle.scores(Z, y, np.ones(12), rows, 0.5, d=rank)
    model = MICLClassifier(0.5, kernel="precomputed", priors=None).fit(X @ X.T, y)
    scores = model.decision_function(new @ X.T)
    bits = oracle.decision(expected, model.temperature_)
    assert_allclose(scores, bits, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kernel", ["linear", "rbf", "auto"])
def test_blocks_of_rows_change_nothing(kernel, monkeypatch):
    X, y, weights, new = problem(weighting="copies")
    model = MICLClassifier(kernel=kernel)
    whole = model.fit(X, y, weights).decision_function(new)
    for block in (40, 2500, 5000):  # many blocks, and two
        limit(monkeypatch, BLOCK=block)
        blocks = model.fit(X, y, weights).decision_function(new)
        assert_allclose(blocks, whole, rtol=1e-10, atol=1e-10)


# -- partial_fit ----------------------------------------------------------------------


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("chunk", [1, 17])
@pytest.mark.parametrize("d", [4, 25])
def test_partial_fit_in_chunks_equals_fit(d, chunk, assume_centered):
    for epsilon, weighting in zip([0.4, 1e-6, 1e-6], WEIGHTINGS, strict=True):
        # classes come in order
        X, y, weights, new = problem(40, d, weighting=weighting)
        options = {"assume_centered": assume_centered, "calibrate": False}
        whole = MICLClassifier(epsilon, **options).fit(X, y, weights)
        parts = MICLClassifier(epsilon, **options)
        for start in range(0, 40, chunk):
            part = slice(start, start + chunk)
            w = None if weights is None else weights[part]
            parts.partial_fit(X[part], y[part], classes=[0, 1, 2], sample_weight=w)
        found = parts.decision_function(new)
        assert_allclose(found, whole.decision_function(new), rtol=1e-10, atol=1e-10)
        for name in ("priors_", "class_coding_length_"):
            assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-10)


def test_partial_fit_after_fit_and_fit_after_partial_fit_start_again():
    X, y, _, new = problem()
    expected = MICLClassifier().fit(X, y).decision_function(new)
    model = MICLClassifier(kernel="rbf").fit(X, y).set_params(kernel="linear")
    with pytest.warns(UserWarning, match="starts anew, without the samples"):
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert not hasattr(model, "gamma_")
    assert_allclose(model.decision_function(new), expected)
    model = MICLClassifier().partial_fit(2 * X, y, classes=[0, 1, 2, 9])
    assert_array_equal(model.fit(X, y).decision_function(new), expected)
    assert_array_equal(model.classes_, [0, 1, 2])


def test_rows_out_of_reach_of_the_training_rows_are_refused():
    X, y, _, new = problem()
    model = MICLClassifier(0.5).partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="too large compared with the training"):
        model.partial_fit(1e160 * X, y)
    model = MICLClassifier().fit(1e-200 * X, y)
    assert np.isfinite(model.decision_function(1e-195 * new)).all()
    with pytest.raises(ValueError, match="too large compared with the training"):
        model.predict(1e-40 * new)


# -- digits ---------------------------------------------------------------------------


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("shape", [(14, 30), (60, 8)])
def test_spectra_of_any_spread_and_rank_keep_their_digits(shape, assume_centered):
    # directions down to a millionth of the widest, some missing, are all counted
    n, d = shape
    rng = np.random.default_rng(0)
    y = np.sort(np.arange(n) % 2)
    basis = np.linalg.qr(rng.normal(size=(d, 4)))[0].T
    spread = np.array([1.0, 1e-2, 1e-4, 1e-6])
    X = rng.normal(size=(n, 4)) * spread @ basis
    new = rng.normal(size=(6, 4)) * spread @ basis
    for epsilon in (1e-2, 1e-4, 1e-6, 1e-8):
        model = MICLClassifier(epsilon, assume_centered=assume_centered, priors=None)
        model.set_params(calibrate=False).fit(X, y)
        options = {"assume_centered": assume_centered}
        expected = oracle.scores(X, y, np.ones(n), new, epsilon, **options)
        bits = model.decision_function(new)
        found = oracle.decision(expected)
        assert_allclose(bits, found, rtol=1e-5, atol=1e-5 * np.abs(found).max())


@pytest.mark.parametrize("assume_centered", [False, True])
def test_small_distortions_keep_the_digits_of_single_precision(assume_centered):
    rng, y = np.random.default_rng(0), np.sort(np.arange(60) % 2)
    basis = np.linalg.qr(rng.normal(size=(8, 4)))[0].T
    X = rng.normal(size=(66, 4)) * [1.0, 1e-1, 1e-2, 3e-3] @ basis
    X = X.astype(np.float32)
    for epsilon in (1e-2, 3e-3, 1e-3, 3e-4):
        settings = {"priors": None, "calibrate": False}
        model = MICLClassifier(epsilon, assume_centered=assume_centered, **settings)
        single = model.fit(X[:60], y).decision_function(X[60:])
        X_double = X.astype(np.float64)
        double = model.fit(X_double[:60], y).decision_function(X_double[60:])
        assert_allclose(single, double, atol=1.5e-4)


# -- label code and probabilities -----------------------------------------------------


def test_two_classes_are_decided_by_a_difference():
    X, y, _, new = problem(k=2)
    expected = oracle.scores(X, y, np.ones(40), new, 0.7)
    model = MICLClassifier(0.7, priors=None, calibrate=False).fit(X, y)
    scores = model.decision_function(new)
    assert_allclose(scores, oracle.decision(expected), rtol=1e-9)
    assert_allclose(model.predict_proba(new), oracle.probabilities(expected), rtol=1e-9)
    assert_array_equal(model.predict(new), (scores > 0).astype(int))


def test_improbable_classes_keep_a_probability_that_has_a_logarithm():
    X, y, _, _ = problem(2000, 2)
    model = MICLClassifier(1e-3).fit(X, y)
    far = np.linspace(-1e3, 1e3, 30)[:, None] * np.ones(2)
    proba, logs = model.predict_proba(far), model.predict_log_proba(far)
    assert logs.min() < -1000.0
    assert (proba > 0.0).all()
    assert_allclose(proba.sum(axis=1), 1.0)
    assert_array_equal(proba.argsort(axis=1), logs.argsort(axis=1))


def test_given_priors_are_the_label_code_and_may_be_zero():
    X, y, weights, new = problem(weighting="copies")
    priors = [0.2, 0.5, 0.3]
    model = MICLClassifier(0.7, priors=priors, calibrate=False).fit(X, y, weights)
    expected = oracle.scores(X, y, weights, new, 0.7, priors=np.array(priors))
    bits = oracle.decision(expected, model.temperature_)
    assert_allclose(model.decision_function(new), bits, rtol=1e-9, atol=1e-9)
    assert_allclose(model.priors_, priors)
    for epsilon in (0.7, "auto"):
        model = MICLClassifier(epsilon, priors=[0.0, 0.5, 0.5]).fit(X, y)
        assert 0 not in model.predict(new)
        assert (model.predict_proba(new)[:, 0] == 0.0).all()


@pytest.mark.parametrize(
    ("priors", "message"),
    [
        ([0.5, 0.5], r"3 classes.*\(2,\)"),
        ([0.5, 0.7, -0.2], r"-0\.2"),
        ([0.5, 0.2, 0.2], r"sum 0\.9"),
        ([[0.2, 0.5, 0.3]], r"\(1, 3\)"),
        ([0.5, 0.5, np.nan], "nan"),
    ],
)
def test_wrong_priors_are_named(priors, message):
    X, y, _, _ = problem()
    with pytest.raises(ValueError, match="priors.*" + message):
        MICLClassifier(priors=priors).fit(X, y)


def test_coding_lengths_of_the_classes_are_public_coding_lengths():
    X, y, weights, _ = problem(weighting="fractions")
    for settings in ({}, {"n_neighbors": 3}):
        model = MICLClassifier(**settings).fit(X, y, weights)
        expected = [
            coding_length(X[y == j], epsilon=model.epsilon_, weights=weights[y == j])
            for j in range(3)
        ]
        assert_allclose(model.class_coding_length_, expected, rtol=1e-10)


# -- the choice -----------------------------------------------------------------------


@pytest.mark.slow
def test_chosen_distortion_is_near_the_best_of_a_grid_search():
    X, y, _, _ = problem(300, 8, seed=5)
    order = np.random.default_rng(0).permutation(300)
    X, y = X[order], y[order]
    search = GridSearchCV(MICLClassifier(), {"epsilon": np.geomspace(0.01, 30, 25)})
    best = search.fit(X, y).best_score_
    assert cross_val_score(MICLClassifier(), X, y).mean() > best - 0.02


def test_kernel_coefficient_has_a_scale_of_its_own():
    X, y, _, _ = problem()
    assert MICLClassifier(kernel="rbf", gamma=0.3).fit(X, y).gamma_ == 0.3
    near = MICLClassifier(kernel="rbf").fit(X, y)
    far = MICLClassifier(kernel="rbf").fit(10 * X, y)
    assert far.gamma_ == pytest.approx(near.gamma_ / 100)
    square = np.mean(np.sum(X**2, axis=1))
    assert MICLClassifier(kernel="poly").fit(X, y).gamma_ == pytest.approx(1 / square)
    assert not hasattr(MICLClassifier().fit(X, y), "gamma_")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"kernel": "rbf", "n_neighbors": 3},
            "n_neighbors=3 needs kernel='linear'.*rb",
        ),
        ({"kernel": "precomputed"}, r"square.*\(40, 5\)"),
        *(
            ({"epsilon": 1e-160, "kernel": kernel}, "epsilon=1e-160 is too small")
            for kernel in ("rbf", "poly", "cosine")
        ),
    ],
)
def test_settings_that_a_kernel_cannot_have_are_named(settings, message):
    X, y, _, _ = problem()
    with pytest.raises(ValueError, match=message):
        MICLClassifier(**settings).fit(X, y)


def test_kernel_that_is_not_one_warns_and_still_decides():
    X, y, _, _ = problem()
    K = np.tanh(X @ X.T - 1.0)
    with pytest.warns(UserWarning, match="not positive semi-definite.*-[0-9]"):
        model = MICLClassifier(kernel="precomputed").fit(K, y)
    assert np.isfinite(model.decision_function(K)).all()


# -- many rows ------------------------------------------------------------------------


def test_local_variant_finds_neighbours_far_from_the_origin():
    # with many features the search multiplies rows, which costs it the digits of an
    # offset unless the rows are shifted first
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    X = rng.normal(size=(120, 40)) + 0.6 * y[:, None]
    X += 1e8
    model = MICLClassifier(5.0, n_neighbors=10, priors=None).fit(X, y)
    expected = oracle.local_scores(X, y, np.ones(120), X[::7], 5.0, 10)
    bits = model.decision_function(X[::7])
    assert_allclose(bits, expected[:, 1] - expected[:, 0], rtol=1e-4, atol=1e-4)


def test_local_variant_of_all_rows_is_the_linear_one_at_any_distortion():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 20)
    X = np.outer(rng.normal(size=40), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) + y[:, None]
    for epsilon in (1e-3, 1e-6):
        local = MICLClassifier(epsilon, n_neighbors=20).fit(X, y)
        linear = MICLClassifier(epsilon).fit(X, y)
        assert_allclose(
            local.class_coding_length_, linear.class_coding_length_, rtol=1e-6
        )


@pytest.mark.parametrize("d", [200, 2000])
@pytest.mark.parametrize("seed", range(3))
def test_few_rows_with_many_features_do_not_collapse_to_one_class(d, seed):
    # leave-one-out says the opposite of new rows here: each row pulls the mean of its
    # own class away from itself
    rng = np.random.default_rng(seed)
    y, new_y = np.repeat([0, 1], 5), np.repeat([0, 1], 100)
    X, new = rng.normal(size=(10, d)), rng.normal(size=(200, d))
    shift = 8.0 / np.sqrt(d)
    X[y == 0] += shift
    new[new_y == 0] += shift
    model = MICLClassifier().fit(X, y)
    assert model.score(new, new_y) > 0.8
    assert np.isfinite(model.predict_log_proba(new)).all()


@pytest.mark.parametrize("settings", [{}, {"n_neighbors": 4}], ids=str)
@pytest.mark.parametrize("assume_centered", [False, True])
def test_distortions_are_relative_to_the_spread(assume_centered, settings):
    X, y, weights, _ = problem(weighting="copies")
    X = X + 20.0
    model = MICLClassifier(assume_centered=assume_centered, **settings)
    centre = 0.0 if assume_centered else weights @ X / weights.sum()
    squares = ((X - centre) ** 2).sum(axis=1)
    spread = math.sqrt(weights @ squares / weights.sum())
    path = spread * math.sqrt(X.shape[1]) * np.logspace(-3.0, 0.5, 20)
    found = model.fit(X, y, weights).epsilon_
    assert np.abs(np.log(found / path)).min() < 1e-9


# -- on both sides of thresholds ------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_label_code_of_many_classes_of_two_rows_stays_near_their_frequencies(seed):
    X = np.random.default_rng(seed).normal(size=(80, 5))  # says nothing about classes
    model = MICLClassifier().fit(X, np.arange(80) % 40)
    nats = np.log(model.priors_) / model.temperature_
    assert nats.std() < 0.4


@pytest.mark.parametrize(("ulps", "equal"), [(1, True), (3, True), (12, False)])
def test_rows_are_equal_up_to_rounding_and_no_further(ulps, equal):
    steps = np.random.default_rng(0).integers(-1, 2, size=(30, 4)) * ulps
    model = MICLClassifier().fit(1.0 + steps * np.spacing(1.0), np.arange(30) % 3)
    if equal:  # the distortion is chosen in the unit of the rows themselves
        assert model.epsilon_ > 1e-4
    else:
        assert model.epsilon_ < 1e-13


@pytest.mark.parametrize(
    ("offset", "thin", "epsilon"), [(100.0, 1.0, 1e-6), (0.0, 1e-2, 1e-3)]
)
def test_rank_of_rows_in_single_precision_counts_no_rounding(offset, thin, epsilon):
    # Fewer rows than features. Far from the origin, the mean that is taken away leaves
    # a direction of rounding, which is none; directions that are thin are some.
    X, y = np.random.default_rng(0).normal(size=(20, 40)), np.arange(12) % 2
    X[:, 3:] *= thin
    rows = (X + offset).astype(np.float32)
    single, double = (
        MICLClassifier(epsilon, priors=None, calibrate=False)
        .fit(rows[:12].astype(dtype), y)
        .decision_function(rows[12:].astype(dtype))
        for dtype in (np.float32, np.float64)
    )
    assert_allclose(single, double, atol=0.01)  # of hundreds of bits


# -- estimators derived by users ------------------------------------------------------


class WithLabel(MICLClassifier):
    """Estimator with an additional parameter without constraints."""

    def __init__(self, epsilon=1.0, label=None):
        super().__init__(epsilon)
        self.label = label


@pytest.mark.parametrize("label", [None, "a", True, 3])
def test_parameters_without_constraints_are_not_checked(label):
    X, y = np.random.default_rng(0).normal(size=(12, 2)), np.arange(12) % 2
    assert WithLabel(label=label).fit(X, y).predict(X).shape == (12,)


class Mixed(MICLClassifier):
    """Estimator that chooses the kernel itself."""

    def __init__(self, epsilon="auto"):
        super().__init__(epsilon, kernel="auto")


def test_a_kernel_need_not_be_a_parameter_of_a_subclass():
    X, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    expected = MICLClassifier(kernel="auto").fit(X, y)
    model = clone(Mixed()).fit(X, y)
    assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    assert_array_equal(label_quality(X, y, estimator=model), model.label_quality_)
    with pytest.warns(UserWarning, match="linear candidate"):
        model.partial_fit(X, y)
    linear = MICLClassifier().fit(X, y).partial_fit(X, y)
    assert_array_equal(model.predict_proba(X), linear.predict_proba(X))
