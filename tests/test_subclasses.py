"""Estimators derived by users, and error messages for their parameters."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skredu import MICLClassifier
from skredu.metrics import label_quality


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
