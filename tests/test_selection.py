"""Choice of the distortion, the label code and the temperature by the formulas."""

import numpy as np
import oracle_micl as oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import limit, slowly
from sklearn.metrics.pairwise import rbf_kernel

from skredu import MICLClassifier
from skredu.coding._choose import evenly

PATH = np.logspace(-3.0, 0.5, 20)


def rows(kind, n=36, seed=0):
    """Return rows and labels; the choice depends on how well classes are separated."""
    rng = np.random.default_rng(seed)
    y = np.sort(np.arange(n) % 3)
    spread, d = {"apart": (6.0, 3), "few rows": (1.0, 30)}.get(kind, (1.2, 3))
    X = spread * rng.normal(size=(3, d))[y] + rng.normal(size=(n, d))
    if kind == "doubled":  # features twice: bits that are too sure of themselves
        X = np.hstack([X, X + 0.05 * rng.normal(size=X.shape)] * 3)
    if kind == "uneven":
        X[y == 1] *= 3.0
        y = np.where((y == 2) & (np.arange(n) % 2 == 0), 1, y)
        order = np.argsort(y, kind="stable")
        X, y = X[order], y[order]
    if kind == "one row":
        y[-1] = 3
    return X, y


KINDS = ["overlap", "apart", "doubled", "uneven", "few rows", "one row"]
WEIGHTS = {
    "none": lambda rng, n: np.ones(n),
    "copies": lambda rng, n: rng.integers(1, 4, n).astype(float),
    "fractions": lambda rng, n: rng.uniform(0.2, 3.0, n),
}


def left_out(X, y, weights, epsilons, kernel="linear", **settings):
    """Return the nats of left-out rows in the space of the kernel."""
    if kernel == "linear":
        return oracle.left_out(X, X.shape[1], y, weights, epsilons, **settings)
    K = rbf_kernel(X, gamma=0.2)
    Z, d = oracle.features_of(K), oracle.rank_of(K)
    return oracle.left_out(Z, d, y, weights, epsilons, **settings)


def spread_of(X, weights, assume_centered=False):
    mean = 0.0 if assume_centered else weights @ X / weights.sum()
    return (weights @ ((X - mean) ** 2).sum(axis=1) / weights.sum()) ** 0.5


def assert_chosen(model, X, y, weights, epsilons, priors=None, **settings):
    """Assert that the model has made the choice of the formulas."""
    model.fit(X, y, sample_weight=weights)
    index = int(np.argmin(np.abs(np.log(epsilons / model.epsilon_))))
    assert model.epsilon_ == pytest.approx(epsilons[index], rel=1e-10)
    nats = left_out(X, y, weights, epsilons, **settings)
    fit_labels = model.priors is not None
    losses, shares, temperature = oracle.choose(
        nats, y, weights, index, priors, fit_labels=fit_labels
    )
    # Newton stops at a ten-thousandth of a nat; what is left is about its square
    assert losses[index] <= min(losses) + 1e-3
    assert_allclose(np.log(model.priors_), np.log(shares), atol=1e-2)
    assert model.temperature_ == pytest.approx(temperature, rel=5e-3)


@pytest.mark.parametrize("weighting", ["fractions", *slowly("none", "copies")])
@pytest.mark.parametrize("kind", KINDS)
def test_distortion_label_code_and_temperature_are_those_of_the_formulas(
    kind, weighting
):
    X, y = rows(kind)
    weights = WEIGHTS[weighting](np.random.default_rng(1), len(y))
    epsilons = spread_of(X, weights) * X.shape[1] ** 0.5 * PATH
    assert_chosen(MICLClassifier(), X, y, weights, epsilons)


def test_temperatures_are_above_one_and_below():
    found = [MICLClassifier().fit(*rows(kind)).temperature_ for kind in KINDS]
    assert min(found) < 0.7
    assert max(found) > 1.5


@pytest.mark.parametrize(
    ("kind", "epsilon"),
    [("overlap", 0.3), ("doubled", 2.0), ("uneven", 2.0), ("few rows", 0.3)],
)
@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("settings", [{}, {"kernel": "rbf"}, {"n_neighbors": 4}])
def test_given_distortion_is_calibrated_by_the_formulas(
    settings, assume_centered, kind, epsilon
):
    X, y = rows(kind)
    weighting = {"doubled": "fractions", "uneven": "none"}.get(kind, "copies")
    weights = WEIGHTS[weighting](np.random.default_rng(1), len(y))
    settings = {**settings, "assume_centered": assume_centered}
    model = MICLClassifier(epsilon, **settings)
    if "kernel" in settings:
        model.set_params(gamma=0.2)
    assert_chosen(model, X, y, weights, np.array([epsilon]), **settings)


@pytest.mark.parametrize("epsilon", [1.0, "auto"])
@pytest.mark.parametrize("given", ["balanced", "list", "dict", None])
@pytest.mark.parametrize("kind", ["uneven", "one row"])
def test_priors_weigh_the_rows_of_a_class(kind, given, epsilon):
    X, y = rows(kind)
    weights = WEIGHTS["fractions"](np.random.default_rng(1), len(y))
    k = len(np.unique(y))
    uneven = np.arange(1, k + 1) / sum(range(1, k + 1))
    shares = {"balanced": np.full(k, 1 / k), None: None}.get(given, uneven)
    priors = {"list": uneven, "dict": dict(enumerate(uneven))}.get(given, given)
    epsilons = np.array([1.0])
    if epsilon == "auto":
        epsilons = spread_of(X, weights) * X.shape[1] ** 0.5 * PATH
    model = MICLClassifier(epsilon, priors=priors)
    assert_chosen(model, X, y, weights, epsilons, priors=shares)


@pytest.mark.filterwarnings("ignore:The number of unique classes")
@pytest.mark.parametrize("labels", ["one class", "one row of each"])
def test_the_middle_of_the_path_where_no_row_can_be_left_out(labels):
    X, _ = rows("overlap")
    y = np.zeros(36) if labels == "one class" else np.arange(36)
    model = MICLClassifier().fit(X, y)
    expected = spread_of(X, np.ones(36)) * 3**0.5 * PATH[10]
    assert model.epsilon_ == pytest.approx(expected)
    assert_allclose(model.priors_, 1.0 / len(model.classes_))
    assert model.temperature_ == 1.0


def test_choice_on_some_rows_is_near_that_on_all(monkeypatch):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 900)
    X = rng.normal(size=(900, 4)) + np.eye(3, 4)[y] * 2
    chosen = MICLClassifier().fit(X, y)
    limit(monkeypatch, MAX_ROWS=300)
    fewer = MICLClassifier().fit(X, y)
    assert abs(np.log10(fewer.epsilon_ / chosen.epsilon_)) < 1.0
    assert_allclose(fewer.priors_, chosen.priors_, atol=0.1)
    assert not np.array_equal(fewer.priors_, chosen.priors_)


def test_rows_that_are_left_out_are_spread_over_all_of_a_class(monkeypatch):
    rng, y = np.random.default_rng(0), np.arange(600) % 2
    X = rng.normal(size=(600, 3))
    X[300:] += 4.0 * y[300:, None]  # the first half says nothing
    every = MICLClassifier(1.0).fit(X, y).temperature_
    limit(monkeypatch, MAX_ROWS=120)
    assert 0.7 < MICLClassifier(1.0).fit(X, y).temperature_ / every < 1.4


@pytest.mark.parametrize("sizes", [[5, 300, 40], [3] * 1000, [1] * 3000, [2000, 1]])
def test_few_of_many_samples_are_chosen_and_stand_for_all(sizes, monkeypatch):
    limit(monkeypatch, MAX_ROWS=120)
    index, stand_for = evenly(sizes)
    n = sum(sizes)
    assert (np.diff(index) > 0).all()
    assert 0 <= index[0] <= index[-1] < n
    assert stand_for.sum() == pytest.approx(n)
    if len(sizes) > 120:  # not every class has a sample
        assert len(index) == 120
    else:
        counts = np.bincount(np.repeat(np.arange(len(sizes)), sizes)[index])
        assert (counts >= np.minimum(sizes, 2)).all()
        assert len(index) <= 120 + 2 * len(sizes)


def test_label_code_evens_out_classes_that_their_lengths_put_at_a_disadvantage():
    # Few rows in many dimensions: the wide class costs fewer extra bits everywhere.
    rng = np.random.default_rng(0)

    def draw(n):
        y = np.repeat([0, 1], n)
        return rng.normal(size=(2 * n, 40)) * np.where(y == 0, 1.0, 2.0)[:, None], y

    train, test = draw(60), draw(1000)
    plain = MICLClassifier(priors=None).fit(*train).score(*test)
    assert MICLClassifier().fit(*train).score(*test) > plain + 0.1


def test_factor_stays_positive_where_rows_left_out_speak_against_the_classes():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(10, 300)), np.arange(10) % 2
    model = MICLClassifier(1.0).fit(X, y)
    assert 0.0 < model.temperature_ < np.inf
    assert np.isfinite(model.predict_log_proba(X)).all()


def test_many_classes_have_no_label_code():
    X, y = np.random.default_rng(0).normal(size=(600, 3)), np.arange(600) % 300
    priors = MICLClassifier(1.0).fit(X, y).priors_
    assert_array_equal(priors, priors[0])
    assert_allclose(priors, 1.0 / 300)


@pytest.mark.parametrize("n_features", [10, 400])
def test_rows_in_single_precision_choose_the_same_distortion(n_features):
    # their centred rows sum to zero in single precision only, and the direction that
    # this leaves must not count among those of a class
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 20)
    X = rng.normal(size=(60, n_features)) + y[:, None] * rng.normal(size=n_features)
    double = MICLClassifier().fit(X.astype(np.float32).astype(float), y)
    single = MICLClassifier().fit(X.astype(np.float32), y)
    assert_allclose(single.epsilon_, double.epsilon_, rtol=1e-3)
    assert_allclose(single.temperature_, double.temperature_, rtol=1e-2)
