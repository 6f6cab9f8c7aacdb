"""Estimators derived by users, and error messages for their parameters."""

import numpy as np
import pytest

from skredu import MICLClassifier


class WithLabel(MICLClassifier):
    """Estimator with an additional parameter without constraints."""

    def __init__(self, epsilon=1.0, label=None):
        super().__init__(epsilon)
        self.label = label


@pytest.mark.parametrize("label", [None, "a", True, 3])
def test_parameters_without_constraints_are_not_checked(label):
    X, y = np.random.default_rng(0).normal(size=(12, 2)), np.arange(12) % 2
    assert WithLabel(label=label).fit(X, y).predict(X).shape == (12,)
