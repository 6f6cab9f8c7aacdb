"""Choice of the distortion and of the label code."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import log_softmax

from skredu import MICLClassifier
from skredu.classification import _selection
from skredu.classification._label_code import (
    FACTOR_PENALTY,
    LABEL_PENALTY,
    LEAST_FACTOR,
    Labelled,
    fit_label_code,
)
from skredu.classification._selection import epsilon_path, select


def labelled(seed=0, n=80, k=4, noise=1.0):
    """Scores of shape (k, n) that know the classes more or less."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    scores = noise * rng.normal(size=(k, n)) + np.linspace(-0.5, 0.5, k)[:, None]
    scores[y, np.arange(n)] += 1.0
    weights = rng.uniform(0.5, 2.0, n)
    count = float(weights.sum())
    return Labelled(scores - scores.max(axis=0), y, weights / count, count)


def plain_loss(theta, rows):
    """Penalised minus log-likelihood, as the formula stands."""
    t, b = theta[0], theta[1:]
    logs = log_softmax(t * rows.scores.T + b, axis=1)
    loss = -rows.weights @ logs[np.arange(len(rows.y)), rows.y]
    penalty = LABEL_PENALTY * max(1, len(b) ** 2 / rows.count) / rows.count
    return loss + penalty * b @ b + FACTOR_PENALTY * t**2


def random_theta(k, seed=1):
    return np.r_[0.7, np.random.default_rng(seed).normal(size=k)]


# -- label code -----------------------------------------------------------------------


def test_likelihood_is_the_formula():
    rows = labelled()
    theta = random_theta(4)
    loss, P = rows.likelihood(theta)
    logs = log_softmax(theta[0] * rows.scores.T + theta[1:], axis=1)
    assert loss == pytest.approx(plain_loss(theta, rows), rel=1e-13)
    assert_allclose(P.T, np.exp(logs), rtol=1e-13)


def test_derivatives_are_those_of_the_formula():
    rows, step = labelled(), 1e-5
    theta = random_theta(4)
    gradient, hessian = rows.derivatives(theta, rows.likelihood(theta)[1])
    for i, direction in enumerate(np.eye(5)):
        ends = [theta + step * direction, theta - step * direction]
        losses = [plain_loss(end, rows) for end in ends]
        assert gradient[i] == pytest.approx(
            (losses[0] - losses[1]) / 2 / step, abs=1e-8
        )
        slopes = [rows.derivatives(end, rows.likelihood(end)[1])[0] for end in ends]
        assert_allclose(hessian[i], (slopes[0] - slopes[1]) / 2 / step, atol=1e-8)


@pytest.mark.parametrize("fit_labels", [True, False])
@pytest.mark.parametrize("noise", [0.2, 1.0, 3.0])
def test_fitted_code_has_the_greatest_likelihood(noise, fit_labels):
    rows = labelled(noise=noise)
    free = 5 if fit_labels else 1

    def loss(part):
        return plain_loss(np.r_[part, np.zeros(5 - free)], rows)

    best = minimize(
        loss,
        np.r_[1.0, np.zeros(free - 1)],
        bounds=[(LEAST_FACTOR, None)] + [(None, None)] * (free - 1),
        tol=1e-12,
    )
    theta, P = fit_label_code(rows, fit_labels=fit_labels)
    assert plain_loss(theta, rows) <= best.fun + 1e-6
    assert_allclose(P, rows.likelihood(theta)[1])
    if not fit_labels:
        assert (theta[1:] == 0.0).all()


def test_start_does_not_matter():
    rows = labelled()
    cold, _ = fit_label_code(rows)
    warm, _ = fit_label_code(rows, random_theta(4))
    assert plain_loss(cold, rows) == pytest.approx(plain_loss(warm, rows), abs=1e-6)


def test_last_step_is_kept_when_steps_run_out():
    rows = labelled()
    losses = [
        plain_loss(fit_label_code(rows, max_iter=steps)[0], rows) for steps in range(4)
    ]
    assert losses[0] == plain_loss(np.r_[1.0, np.zeros(4)], rows)
    assert losses == sorted(losses, reverse=True)
    assert losses[3] < losses[0]


def test_factor_stays_positive_where_scores_speak_against_the_classes():
    rows = labelled()
    against = replace(rows, scores=-rows.scores - (-rows.scores).max(axis=0))
    theta, P = fit_label_code(against)
    assert theta[0] > 0.0
    assert np.isfinite(P).all()


def test_factor_stays_finite_where_the_classes_are_told_apart():
    rows = labelled(noise=0.01)
    theta, P = fit_label_code(rows)
    assert 1.0 < theta[0] < 1e3
    assert_array_equal(P.argmax(axis=0), rows.y)


def test_equal_scores_leave_the_frequencies():
    y = np.repeat([0, 1, 2], [5, 3, 2])
    theta, P = fit_label_code(Labelled(np.zeros((3, 10)), y, np.full(10, 0.1), 10.0))
    assert np.isfinite(theta).all()
    assert_allclose(P[:, 0], [0.5, 0.3, 0.2], atol=1e-2)


def test_label_code_makes_up_for_a_class_at_a_disadvantage():
    rows = labelled(n=400, noise=0.5)
    handicapped = rows.scores.copy()
    handicapped[2] -= 0.8
    handicapped -= handicapped.max(axis=0)
    theta, P = fit_label_code(replace(rows, scores=handicapped))
    code = theta[1:] / theta[0]
    assert code[2] - np.delete(code, 2).mean() > 0.5
    without = (handicapped.argmax(axis=0) != rows.y).mean()
    assert (P.argmax(axis=0) != rows.y).mean() < without - 0.05


# -- path -----------------------------------------------------------------------------


def test_path_scales_with_the_rows_and_rises():
    path = epsilon_path(1.0, 9.0)
    assert_allclose(epsilon_path(5.0, 9.0), 5 * path)
    assert_allclose(epsilon_path(1.0, 36.0), 2 * path)
    assert len(path) == _selection.N_EPSILONS
    assert (np.diff(np.log(path)) > 0).all()


# -- selection ------------------------------------------------------------------------


def candidates(good, n=60, k=3, n_epsilons=7, seed=0):
    """Scores of which one candidate knows the classes and the others guess."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    scores = rng.normal(size=(n, k, n_epsilons))
    scores[np.arange(n), y, good] += 4.0
    return scores, y, np.ones(n)


@pytest.mark.parametrize("good", [0, 3, 6])
@pytest.mark.parametrize("fit_labels", [True, False])
def test_candidate_that_knows_the_classes_is_selected(good, fit_labels):
    best, _, code, _ = select(*candidates(good), fit_labels=fit_labels)
    assert best == good
    assert code.shape == (3,)
    assert fit_labels or (code == 0.0).all()


def test_selected_label_code_is_in_the_units_of_the_scores():
    scores, y, weights = candidates(2)
    _, _, code, _ = select(scores, y, weights, fit_labels=True)
    best, _, scaled, _ = select(50 * scores, y, weights, fit_labels=True)
    assert best == 2
    assert_allclose(scaled, 50 * code, rtol=1e-6)


def test_loss_of_the_better_candidates_is_smaller():
    scores, y, weights = candidates(2)
    _, with_it, _, _ = select(scores, y, weights, fit_labels=True)
    _, without, _, _ = select(np.delete(scores, 2, 2), y, weights, fit_labels=True)
    assert with_it < without


def test_unit_of_weights_is_without_effect_in_the_selection():
    scores, y, _ = candidates(2)
    weights = np.random.default_rng(1).uniform(0.5, 4.0, len(y))
    one, other = (select(scores, y, c * weights, fit_labels=True) for c in (1.0, 1e5))
    assert one[0] == other[0]
    assert one[1] == pytest.approx(other[1])
    assert_allclose(one[2], other[2], rtol=1e-6, atol=1e-9)


def test_one_class_takes_the_middle_of_the_path():
    scores = np.zeros((5, 1, 9))
    best, _, code, _ = select(
        scores, np.zeros(5, dtype=int), np.ones(5), fit_labels=True
    )
    assert best == 4
    assert_array_equal(code, [0.0])


def test_rows_that_no_code_can_predict_are_left_out_of_the_vote():
    scores, y, weights = candidates(3)
    lone = np.full((1, 3, 7), 5.0)
    lone[0, y[0]] = -np.inf  # nothing is left of its class without it
    more = np.concatenate([scores, lone]), np.append(y, y[0]), np.append(weights, 1.0)
    one, other = (
        select(scores, y, weights, fit_labels=True),
        select(*more, fit_labels=True),
    )
    assert one[0] == other[0]
    assert_allclose(one[2], other[2])


def test_only_unpredictable_rows_take_the_middle_of_the_path():
    scores = np.full((2, 2, 9), -np.inf)
    best, _, code, _ = select(scores, np.array([0, 1]), np.ones(2), fit_labels=True)
    assert best == 4
    assert_array_equal(code, [0.0, 0.0])


def test_class_that_no_row_can_join_keeps_its_label_code():
    scores, y, weights = candidates(3)
    scores = np.concatenate([scores, np.full((60, 1, 7), -np.inf)], axis=1)
    best, _, code, _ = select(scores, y, weights, fit_labels=True)
    assert best == 3
    assert code[3] == 0.0
    assert np.isfinite(code).all()


# -- estimator ------------------------------------------------------------------------


def test_choice_on_some_rows_is_near_that_on_all(monkeypatch):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 900)
    X = rng.normal(size=(900, 4)) + np.eye(3, 4)[y] * 2
    chosen = MICLClassifier().fit(X, y)
    monkeypatch.setattr(_selection, "MAX_ROWS", 300)
    fewer = MICLClassifier().fit(X, y)
    assert abs(np.log10(fewer.epsilon_ / chosen.epsilon_)) < 1.0
    assert_allclose(fewer.priors_, chosen.priors_, atol=0.1)


def test_label_code_evens_out_classes_that_their_lengths_put_at_a_disadvantage():
    # Few rows in many dimensions: the wide class costs fewer extra bits everywhere.
    rng = np.random.default_rng(0)

    def draw(n):
        y = np.repeat([0, 1], n)
        return rng.normal(size=(2 * n, 40)) * np.where(y == 0, 1.0, 2.0)[:, None], y

    train, test = draw(60), draw(1000)
    plain = MICLClassifier(priors=None).fit(*train).score(*test)
    assert MICLClassifier().fit(*train).score(*test) > plain + 0.1


def test_factor_undoes_the_scale_of_the_scores():
    scores, y, weights = candidates(2)
    _, _, _, factor = select(scores, y, weights, fit_labels=True)
    _, _, _, scaled = select(50 * scores, y, weights, fit_labels=True)
    assert_allclose(scaled, factor / 50, rtol=1e-3)


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
