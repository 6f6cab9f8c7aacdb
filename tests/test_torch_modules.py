"""Fitted networks as modules of PyTorch."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skredu import (
    ConvolutionalLifting,
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    MICLClassifier,
    ReduNetClassifier,
    ReduNetTransformer,
)

torch = pytest.importorskip("torch")

from skredu.torch import LearnedLifting, as_module, from_module  # noqa: E402

X, Y = load_digits(return_X_y=True)
X, Y, NEW, TRUE = X[:200], Y[:200], X[200:320], Y[200:320]
LAYERS = {"n_iter_no_change": None}
GRID = {"signal_shape": (8, 8)}


def lifting(**options):
    return ConvolutionalLifting(3, 3, **GRID, random_state=0, **options)


CLASSIFIERS = {
    "plain": ReduNetClassifier(3, **LAYERS),
    "few samples": ReduNetClassifier(2, epsilon=0.3, **LAYERS),
    "no layer": ReduNetClassifier(0, fit_intercept=True),
    "residual": ReduNetClassifier(2, membership="residual", **LAYERS),
    "momentum": ReduNetClassifier(3, step="momentum", **LAYERS),
    "scaled": make_pipeline(StandardScaler(), ReduNetClassifier(2, **LAYERS)),
    "signals": InvariantReduNetClassifier(2, **GRID, **LAYERS),
    "lifted": make_pipeline(lifting(), InvariantReduNetClassifier(1, **LAYERS)),
    "both signs": make_pipeline(
        lifting(activation="split", pooling=None), InvariantReduNetClassifier(0)
    ),
}
TRANSFORMERS = {
    "plain": ReduNetTransformer(3),
    "few samples": make_pipeline(StandardScaler(), ReduNetTransformer(2, 0.5)),
    "signals": InvariantReduNetTransformer(2, **GRID),
    "invariant": InvariantReduNetTransformer(1, output="invariant", **GRID),
}


def fitted(model, name):
    n = 40 if name == "few samples" else len(X)
    return model.fit(X[:n], Y[:n])


@pytest.mark.filterwarnings("ignore:.* keeps no layer:UserWarning")
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_probabilities_are_those_of_the_estimator(name):
    model = fitted(CLASSIFIERS[name], name)
    module = as_module(model)
    logits = module(torch.tensor(NEW))
    assert logits.requires_grad
    proba = model.predict_proba(NEW)
    assert_allclose(logits.exp().detach().numpy(), proba, atol=1e-8)
    classes = model.classes_[logits.argmax(1).numpy()]
    assert_array_equal(classes, model.predict(NEW))
    back = from_module(module)
    assert type(back) is type(model)
    assert_allclose(back.predict_proba(NEW), proba, atol=1e-8)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_features_are_those_of_the_estimator(name):
    model = fitted(TRANSFORMERS[name], name)
    features = as_module(model)(torch.tensor(NEW))
    assert_allclose(features.detach().numpy(), model.transform(NEW), atol=1e-9)


def test_gradients_of_parameters_are_derivatives():
    model = ReduNetClassifier(1, **LAYERS).fit(X[:30, 18:24], Y[:30])
    module = as_module(model)
    rows = torch.tensor(NEW[:4, 18:24])

    def loss():
        return module(rows)[torch.arange(4), torch.arange(4)].sum()

    value = loss()
    value.backward()
    checked = 0
    for parameter in module.parameters():
        if parameter.grad is None or not parameter.grad.abs().max() > 1e-2:
            continue
        index = np.unravel_index(int(parameter.grad.abs().argmax()), parameter.shape)
        step = 1e-6 * max(1.0, float(parameter[index].abs()))
        with torch.no_grad():
            parameter[index] += step
            above = loss().item()
            parameter[index] -= 2 * step
            below = loss().item()
            parameter[index] += step
        found = (above - below) / (2 * step)
        assert found == pytest.approx(parameter.grad[index].item(), rel=1e-3)
        checked += 1
    assert checked > 5


def test_tuned_parameters_return_to_the_estimator():
    model = make_pipeline(lifting(), InvariantReduNetClassifier(0)).fit(X, Y)
    before = model.predict_proba(NEW)
    module = as_module(model)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = torch.nn.functional.nll_loss(
            module(torch.tensor(NEW)), torch.tensor(TRUE)
        )
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    assert losses[-1] < losses[0]
    tuned = from_module(module)
    expected = module(torch.tensor(NEW)).exp().detach().numpy()
    assert_allclose(tuned.predict_proba(NEW), expected, atol=1e-8)
    assert_array_equal(model.predict_proba(NEW), before)
    assert not np.array_equal(tuned[0].filters_, model[0].filters_)
    # Shifts still change nothing.
    rolled = np.roll(NEW.reshape(-1, 8, 8), (2, 3), (1, 2)).reshape(len(NEW), -1)
    assert_allclose(tuned.predict_proba(rolled), expected, atol=1e-8)


def test_state_dict_round_trip():
    model = ReduNetClassifier(2, **LAYERS).fit(X, Y)
    first, second = as_module(model), as_module(model)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.mul_(1.001)
    buffer = io.BytesIO()
    torch.save(first.state_dict(), buffer)
    buffer.seek(0)
    second.load_state_dict(torch.load(buffer))
    rows = torch.tensor(NEW)
    assert torch.equal(first(rows), second(rows))


def test_other_estimators_are_refused():
    with pytest.raises(TypeError, match="as_module needs a ReduNet"):
        as_module(MICLClassifier())
    with pytest.raises(NotFittedError):
        as_module(ReduNetClassifier())
    model = make_pipeline(PCA(9), ReduNetClassifier(0)).fit(X, Y)
    with pytest.raises(TypeError, match=r"as_module takes StandardScaler and .* PCA"):
        as_module(model)
    with pytest.raises(TypeError, match="from_module needs a module"):
        from_module(torch.nn.Linear(2, 2))


def test_samples_of_another_shape_are_named():
    module = as_module(make_pipeline(StandardScaler(), ReduNetClassifier(0)).fit(X, Y))
    for bad, found in [
        (torch.tensor(NEW[:, :5]), r"\(120, 5\)"),
        (torch.tensor(NEW[0]), r"\(64,\)"),
        (torch.tensor(NEW[:0]), r"\(0, 64\)"),
        (NEW, "ndarray"),
    ]:
        with pytest.raises(ValueError, match=rf"Bad X: .*, 64\) .* found {found}"):
            module(bad)


@pytest.mark.parametrize("name", ["plain", "few samples", "signals", "lifted"])
def test_networks_of_single_precision(name):
    n = 40 if name == "few samples" else len(X)
    model = clone(CLASSIFIERS[name]).fit(X[:n].astype(np.float32), Y[:n])
    module = as_module(model)
    expected = model.predict_proba(NEW)
    found = module(torch.tensor(NEW)).exp().detach().numpy()
    assert_allclose(found, expected, atol=1e-4)
    back = from_module(module)
    rows = NEW.astype(np.float32)
    assert_array_equal(back.predict_proba(rows), model.predict_proba(rows))


def test_networks_that_were_fitted_to_tensors_are_refused():
    with sklearn.config_context(array_api_dispatch=True):
        model = ReduNetClassifier(0).fit(torch.tensor(X), torch.tensor(Y))
    with pytest.raises(TypeError, match=r"fitted to NumPy arrays, found .* Tensor"):
        as_module(model)


def test_the_learned_threshold_is_written_back():
    first = LearnedLifting(3, 3, max_iter=1, **GRID, random_state=0)
    module = as_module(make_pipeline(first, InvariantReduNetClassifier(0)).fit(X, Y))
    with torch.no_grad():
        module.before[0].bank.threshold.fill_(0.25)
    tuned = from_module(module)
    assert tuned[0].threshold_ == 0.25
    expected = module(torch.tensor(NEW)).exp().detach().numpy()
    assert_allclose(tuned.predict_proba(NEW), expected, atol=1e-8)


@pytest.mark.slow
def test_no_support_of_scipy_for_tensors_is_needed():
    code = f"""
import os, sys
sys.path[:] = {[p for p in sys.path if p]!r}
import torch
from sklearn.datasets import load_iris
from skredu import InvariantReduNetClassifier, ReduNetClassifier
from skredu.torch import as_module
X, y = load_iris(return_X_y=True)
for kind in (ReduNetClassifier, InvariantReduNetClassifier):
    model = kind(1, n_iter_no_change=None).fit(X, y)
    found = as_module(model)(torch.tensor(X)).exp().detach().numpy()
    print(abs(found - model.predict_proba(X)).max() < 1e-8)
print(os.environ.get("SCIPY_ARRAY_API"))
"""
    environment = {k: v for k, v in os.environ.items() if k != "SCIPY_ARRAY_API"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stdout.split() == ["True", "True", "None"]


@pytest.mark.parametrize(
    "convert",
    [
        torch.nn.Module.float,
        torch.nn.Module.half,
        lambda module: module.to(torch.float32),
        lambda module: torch.nn.Sequential(module).float(),
    ],
)
def test_other_precision_is_refused_at_once(convert):
    module = as_module(ReduNetClassifier(0).fit(X, Y))
    rows = torch.tensor(NEW)
    before = module(rows)
    with pytest.raises(TypeError, match=r"converted to torch\.float(32|16)"):
        convert(module)
    assert torch.equal(module.double().to("cpu")(rows), before)


@pytest.mark.parametrize("name", [*CLASSIFIERS])
def test_gradients_of_samples_that_are_zero_are_finite(name):
    module = as_module(clone(CLASSIFIERS[name]).fit(X, Y))
    rows = torch.tensor(NEW[:4])
    rows[1] = 0.0
    rows.requires_grad_()
    module(rows)[:, 0].sum().backward()
    parameters = [part.grad for part in module.parameters() if part.grad is not None]
    for gradient in (rows.grad, *parameters):
        assert torch.isfinite(gradient).all()
