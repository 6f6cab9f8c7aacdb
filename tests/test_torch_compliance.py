"""Estimators that need PyTorch pass the checks of scikit-learn."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

pytest.importorskip("torch")
from skredu.torch import (
    CRATEClassifier,
    LearnedLifting,
    LearnedSparseCoder,
    MCR2Classifier,
)

NETWORK = {"n_components": 8, "random_state": 0, "max_iter": 5}
CRATE = {"n_layers": 1, "n_heads": 2, "learning_rate": 0.02, "batch_size": 40}
CRATE = {**NETWORK, **CRATE, "max_iter": 12}
ESTIMATORS = [
    CRATEClassifier(**CRATE),
    CRATEClassifier(**CRATE, attention="subspace", tied=False, early_stopping=True),
    MCR2Classifier(**NETWORK),
    MCR2Classifier(**NETWORK, loss="cross_entropy", early_stopping=True),
    LearnedLifting(2, 3, max_iter=1, random_state=0),
    LearnedLifting(2, 3, max_iter=2, activation=None, random_state=0),
    LearnedSparseCoder(2, 3, max_iter=1, n_iter=2, random_state=0),
]
CHECKS = [pair for e in ESTIMATORS for pair in estimator_checks_generator(e)]


@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learn_checks(estimator, check):
    # Some checks draw from NumPy's global generator, which tests must not touch.
    state = np.random.get_state()  # noqa: NPY002
    try:
        check(estimator)
    finally:
        np.random.set_state(state)  # noqa: NPY002


def test_number_of_checks():
    assert len(CHECKS) > 4 * 55 + 3 * 40
