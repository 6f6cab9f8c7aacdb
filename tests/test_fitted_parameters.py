"""What a fitted estimator answers follows from its fit, not from later `set_params`."""

import inspect

import numpy as np
import pytest
from sklearn.datasets import make_blobs

import skredu
from skredu._compat import Interval, StrOptions

X, Y = make_blobs(24, 16, centers=2, cluster_std=2.0, random_state=0)
# Settings under which more parameters matter than by default.
SETTINGS = {
    "CompressionClustering": [
        {"epsilon": 4.0},
        {"epsilon": 4.0, "min_cluster_size": 3},
    ],
    "MICLClassifier": [{}, {"kernel": "rbf", "epsilon": 0.4}, {"n_neighbors": 3}],
    "NearestSubspaceClassifier": [{}, {"n_components": 2}],
    "MCR2Transformer": [{}, {"n_layers": 2, "activation": "relu", "epsilon": 0.4}],
    "ReduNetTransformer": [{"n_layers": 2}, {"n_layers": 2, "membership": "residual"}],
    "ReduNetClassifier": [{"n_layers": 2}, {"n_layers": 2, "membership": "residual"}],
    "InvariantReduNetTransformer": [{"n_layers": 1}],
    "InvariantReduNetClassifier": [{"n_layers": 1}],
    "ConvolutionalLifting": [
        {"random_state": 0},
        {"activation": "split", "random_state": 0},
    ],
    "PolarTransformer": [{"image_shape": (4, 4), "n_radii": 2, "n_angles": 6}],
}
METHODS = {
    "predict": (X,),
    "predict_proba": (X,),
    "predict_log_proba": (X,),
    "decision_function": (X,),
    "transform": (X,),
    "staged_predict": (X,),
    "staged_transform": (X,),
    "score": (X, Y),
    "get_feature_names_out": (),
    "labels_at": (2,),
    "linkage": (),
}
CASES = [
    (name, settings, parameter)
    for name, many in SETTINGS.items()
    for settings in many
    for parameter in getattr(skredu, name)().get_params()
]


def others(estimator, parameter):
    """Values that are allowed but not set, as far as the constraints name them."""
    value = getattr(estimator, parameter)
    found = [None]
    for allowed in estimator._parameter_constraints[parameter]:
        if allowed == "boolean":
            found += [True, False]
        elif isinstance(allowed, StrOptions):
            found += sorted(allowed.options)
        elif isinstance(allowed, Interval) and parameter == "n_jobs":
            found += [1]
        elif isinstance(allowed, Interval):
            found += [x for x in (0.3, 1, 2, 7) if x in allowed]
    return [x for x in found if x is not value and x != value]


def answers(model):
    """All that a fitted model says, as arrays."""
    found = {}
    for name, arguments in METHODS.items():
        method = getattr(model, name, None)
        if method is not None:
            answer = method(*arguments)
            found[name] = list(answer) if inspect.isgenerator(answer) else answer
    return found


def test_all_estimators_are_here():
    public = {name for name in skredu.__all__ if inspect.isclass(getattr(skredu, name))}
    assert set(SETTINGS) == public


@pytest.fixture(scope="module")
def fitted():
    known = {}

    def fit(name, settings):
        key = name, str(settings)
        if key not in known:
            model = getattr(skredu, name)(**settings).fit(X, Y)
            known[key] = model, answers(model)
        return known[key]

    return fit


@pytest.mark.parametrize(("name", "settings", "parameter"), CASES, ids=str)
def test_parameters_set_after_fit_change_no_answer(fitted, name, settings, parameter):
    model, before = fitted(name, settings)
    value = model.get_params(deep=False)[parameter]
    try:
        for other in others(model, parameter):
            model.set_params(**{parameter: other})
            after = answers(model)
            assert set(after) == set(before), other
            for method, answer in before.items():
                np.testing.assert_array_equal(after[method], answer, str(other))
    finally:
        model.set_params(**{parameter: value})
