"""Fits that trust samples less whose labels the other samples find improbable."""

import numpy as np
import pytest
from settings import slowly
from sklearn.datasets import load_digits, make_blobs
from sklearn.model_selection import train_test_split

from skredu import MICLClassifier


def weights_by_other_samples(model, X, y, weights):
    """Return the weights of a refit: each sample is left out, in slow steps."""
    trust = np.ones(len(y))
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        if y[i] in y[rest]:
            model.fit(X[rest], y[rest], sample_weight=weights[rest])
            P = model.predict_proba(X[[i]])[0]
            trust[i] = max(P[model.classes_ == y[i]][0] / P.max(), 0.02)
    return trust


@pytest.mark.parametrize("centered", [False, True])
def test_refits_weigh_samples_by_the_relative_probability_of_their_labels(centered):
    X, y = make_blobs([14, 12, 1], 3, cluster_std=3.0, random_state=0)
    w = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    fixed = {"epsilon": 0.5, "calibrate": False, "assume_centered": centered}
    weights = w
    for n in (1, 2):
        weights = w * weights_by_other_samples(MICLClassifier(**fixed), X, y, weights)
        expected = MICLClassifier(**fixed).fit(X, y, sample_weight=weights)
        found = MICLClassifier(n_label_refits=n, **fixed).fit(X, y, sample_weight=w)
        np.testing.assert_allclose(
            found.predict_proba(X), expected.predict_proba(X), rtol=1e-7, atol=1e-10
        )


@pytest.mark.parametrize("kernel", ["linear", *slowly("auto")])
def test_refits_improve_probabilities_with_wrong_labels(kernel):
    X, y = load_digits(return_X_y=True)
    X, Z, y, t = train_test_split(X, y, train_size=500, random_state=0, stratify=y)
    wrong = np.random.default_rng(0).permutation(len(y))[:100]
    y[wrong] = (y[wrong] + 1) % 10
    losses, scores = [], []
    for n in (0, 1):
        model = MICLClassifier(kernel=kernel, n_label_refits=n).fit(X, y)
        losses.append(-np.log(model.predict_proba(Z)[np.arange(len(t)), t]).mean())
        scores.append(model.score(Z, t))
    assert scores[1] > scores[0]
    assert losses[1] < 0.8 * losses[0]
    quality = model.label_quality_
    assert np.sort(quality[wrong])[-10] < np.median(np.delete(quality, wrong))


def test_all_samples_are_left_out_for_a_refit():
    X, y = make_blobs(5200, 2, random_state=0)
    assert np.isnan(MICLClassifier().fit(X, y).label_quality_).any()
    model = MICLClassifier(n_label_refits=1).fit(X, y)
    assert np.isfinite(model.label_quality_).all()


def test_streams_refuse_refits():
    X, y = make_blobs(30, 3, random_state=0)
    with pytest.raises(ValueError, match="n_label_refits=1 needs all samples at once"):
        MICLClassifier(n_label_refits=1).partial_fit(X, y, classes=[0, 1, 2])
    model = MICLClassifier().partial_fit(X, y, classes=[0, 1, 2])
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="n_label_refits"):
        model.set_params(n_label_refits=1).partial_fit(X[:9] + 1.0, y[:9])
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_refits_warn_of_no_weights_that_nobody_gave():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(24, 2)), np.arange(24) % 12  # nothing to be learned
    model = MICLClassifier(n_label_refits=3).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()
