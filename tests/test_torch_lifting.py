"""Filters that are learned by the loss of samples that are left out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline

from skredu import ConvolutionalLifting, InvariantReduNetClassifier
from skredu.datasets import make_shifted_signals

torch = pytest.importorskip("torch")

from oracle_spectral import Family  # noqa: E402

from skredu.torch import (  # noqa: E402
    LearnedLifting,
    LearnedSparseCoder,
    as_module,
    from_module,
)
from skredu.torch._bank import Bank  # noqa: E402
from skredu.torch._left_out import (  # noqa: E402
    Decision,
    blocks_of,
    left_out_scores,
    spectra_on_sphere,
)

X, Y = make_shifted_signals(12, n_timesteps=16, random_state=0)
FEW = {"n_filters": 3, "kernel_size": 3, "max_iter": 2, "random_state": 0}


@pytest.mark.parametrize("shape", [(6,), (5,), (2, 3)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_scores_are_those_of_all_shifts_written_out(shape, dtype):
    rng = np.random.default_rng(0)
    n, channels, y = 7, 2, np.array([0, 0, 0, 0, 1, 1, 1])
    signals = torch.tensor(rng.normal(size=(n, channels, *shape)))
    axes = tuple(range(2, signals.ndim))
    first = torch.fft.rfftn(signals.to(dtype), dim=axes)
    blocks = blocks_of(shape, first)
    Z = spectra_on_sphere(first, blocks)
    found = left_out_scores(Z, [4, 3], blocks, torch.tensor(0.3))
    scatters = torch.stack([W @ W.mH for W in Z.split([4, 3], 2)], 1)
    given = left_out_scores(Z, [4, 3], blocks, torch.tensor(0.3), scatters)
    assert_array_equal(given, found)
    scaled = left_out_scores(Z, [4, 3], blocks, torch.tensor(0.3), 1.1 * scatters)
    assert (scaled != found).all()
    rows = signals.reshape(n, -1).numpy()
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    family = Family(rows, y, channels, shape, 0.3)
    for i in range(n):
        rest = np.ones(n)
        rest[i] = 0.0
        sizes = np.bincount(y, rest)
        exact = [
            np.log(sizes[j] / (n - 1)) - family.extra(rows[i], y == j, rest)
            for j in range(2)
        ]
        tolerance = 1e-6 if dtype == torch.float64 else 1e-4
        assert_allclose(found[i].numpy(), exact, rtol=tolerance)


@pytest.mark.parametrize("activation", ["relu", "soft", "split", "ista", "fista", None])
@pytest.mark.parametrize("pooling", [0.2, 0.0, None])
def test_the_result_is_that_of_a_lifting_with_these_filters(activation, pooling):
    options = {"activation": activation, "pooling": pooling, "n_iter": 4}
    learned = LearnedLifting(**FEW, **options).fit(X, Y)
    assert np.isfinite(learned.loss_curve_).all()
    lifting = ConvolutionalLifting(
        filters=learned.filters_, threshold=learned.threshold_, **options
    )
    expected = lifting.fit_transform(X)
    assert_array_equal(learned.transform(X), expected)
    # Without a step, the loss is that of the initial filters, which stay as they are.
    start = LearnedLifting(**{**FEW, "max_iter": 0}, **options).fit(X, Y)
    first = ConvolutionalLifting(3, 3, random_state=0, **options).fit(X)
    assert_array_equal(start.filters_, first.filters_)
    assert_array_equal(start.transform(X), first.transform(X))
    assert start.loss_curve_[0] == learned.loss_curve_[0]


@pytest.mark.parametrize("activation", ["relu", "split", "fista"])
def test_channels_and_loss_are_those_of_arrays(activation):
    options = {"activation": activation, "n_iter": 4, "random_state": 0}
    start = ConvolutionalLifting(2, 3, **options).fit(X)
    bank = Bank(start.filters_, (16,), **start._nonlinearity)
    order = np.argsort(Y, kind="stable")
    signals = torch.fft.rfftn(torch.tensor(X[order, None]), dim=(-1,))
    blocks = blocks_of((16,), bank.lifted(signals))
    decision = Decision(np.bincount(Y).tolist(), blocks)

    def loss(filters, threshold):
        parameters = {"filters": filters, "threshold": threshold}
        channels = torch.func.functional_call(bank, parameters, signals)
        found = torch.fft.rfftn(channels, dim=(-1,))
        return decision(spectra_on_sphere(found, blocks))

    parameters = [p.detach().requires_grad_() for p in bank.parameters()]
    assert torch.autograd.gradcheck(loss, parameters, atol=1e-4, rtol=1e-3)


def test_gradients_of_single_precision_are_those_of_double_precision():
    order, found = np.argsort(Y, kind="stable"), []
    for dtype in (np.float64, np.float32):
        lifting = ConvolutionalLifting(2, 3, random_state=0, filters="dct")
        bank = Bank.of(lifting.fit(X.astype(dtype)))
        assert bank.filters.dtype == torch.tensor(dtype(0)).dtype
        signals = bank.spectra_of(X[order].astype(dtype))
        channels = bank.lifted(signals)
        blocks = blocks_of((16,), channels)
        decision = Decision(np.bincount(Y).tolist(), blocks)
        loss = decision(spectra_on_sphere(channels, blocks))
        assert loss.dtype == torch.float64
        loss.backward()
        found.append((loss.item(), bank.filters.grad.double().numpy()))
    (exact, expected), (loss, gradient) = found
    assert_allclose(loss, exact, rtol=1e-5)
    assert np.linalg.norm(gradient - expected) < 0.01 * np.linalg.norm(expected)


@pytest.mark.parametrize("activation", ["ista", "fista"])
@pytest.mark.parametrize("pooling", [None, 0.1])
def test_learned_codes_are_the_same_with_and_without_torch(activation, pooling):
    options = {**FEW, "max_iter": 5, "activation": activation, "pooling": pooling}
    lifting = LearnedSparseCoder(**options, n_iter=3).fit(X)
    assert lifting.loss_curve_[-1] < lifting.loss_curve_[0]
    bank = Bank(lifting.filters_, (16,), **lifting._nonlinearity)
    channels = bank(torch.fft.rfftn(torch.tensor(X[:, None]), dim=(-1,))).detach()
    assert_allclose(lifting.transform(X), channels.reshape(len(X), -1), atol=1e-12)
    rolled = lifting.transform(np.roll(X, 3, axis=1)).reshape(len(X), -1, 16)
    expected = np.roll(lifting.transform(X).reshape(rolled.shape), 3, axis=2)
    assert_allclose(rolled, expected, atol=1e-12)
    # The scale of the dictionary is that of the gradient, too.
    scaled = LearnedSparseCoder(
        **{**options, "filters": 2.0**-300 * lifting.filters_, "max_iter": 0}, n_iter=3
    ).fit(X)
    plain = ConvolutionalLifting(
        filters=scaled.filters_, activation=activation, n_iter=3, pooling=pooling
    ).fit(X)
    assert_allclose(scaled.transform(X), plain.transform(X), rtol=1e-9, atol=1e-9)


def test_codes_that_are_learned_in_single_precision_enter_a_module_in_double():
    lifting = LearnedSparseCoder(**FEW, n_iter=3).fit(X.astype(np.float32))
    assert lifting.filters_.dtype == lifting.encoder_.dtype == np.float32
    bank = Bank(lifting.filters_, (16,), **lifting._nonlinearity)
    channels = bank(torch.fft.rfftn(torch.tensor(X[:, None]), dim=(-1,))).detach()
    assert channels.dtype == torch.float64
    expected = lifting.transform(X)
    assert_allclose(channels.reshape(len(X), -1), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("learned", [False, True])
def test_modules_of_sparse_codes_have_the_same_predictions(learned):
    options = {"activation": "fista", "n_iter": 3, "random_state": 0}
    lifting = ConvolutionalLifting(3, 3, **options)
    if learned:
        lifting = LearnedSparseCoder(3, 3, **options, max_iter=2)
    model = make_pipeline(lifting, InvariantReduNetClassifier(0)).fit(X, Y)
    module = as_module(model)
    found = module(torch.tensor(X)).exp().detach().numpy()
    assert_allclose(found, model.predict_proba(X), atol=1e-10)
    again = from_module(module).predict_proba(X)
    assert_allclose(again, model.predict_proba(X), atol=1e-10)


def test_learned_codes_of_other_signals_need_a_quarter_of_the_iterations():
    digits = load_digits().data[:150] / 16.0
    train, test = digits[:100], digits[100:]
    options = {
        "signal_shape": (8, 8), "activation": "ista", "pooling": None,
        "random_state": 0,
    }  # fmt: skip
    lifting = LearnedSparseCoder(4, 3, max_iter=80, **options).fit(train)

    def cost(model):
        """Return the mean of the lasso's cost, written out."""
        F, axes = len(model.filters_), (2, 3)
        codes = model.transform(test).reshape(-1, F, 8, 8)
        W = np.fft.fft2(model.filters_[:, 0], s=(8, 8))
        signals = np.fft.fft2(test.reshape(-1, 8, 8))
        shown = np.fft.ifft2((np.fft.fft2(codes) * W).sum(1)).real
        responses = np.fft.ifft2(signals[:, None] * W.conj()).real
        level = 0.5 * np.sqrt(np.mean(responses**2, axis=(1, 2, 3)))
        error = ((test.reshape(-1, 8, 8) - shown) ** 2).sum((1, 2))
        return np.mean(0.5 * error + level * np.abs(codes).sum((1, *axes)))

    def fixed(activation, n_iter):
        other = {**options, "activation": activation, "n_iter": n_iter}
        filters = lifting.filters_
        return cost(ConvolutionalLifting(filters=filters, **other).fit(train))

    assert fixed("fista", 500) < cost(lifting) < fixed("ista", 20)


def test_callbacks_see_the_steps_and_may_stop_them():
    pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 or newer")
    from test_progress import Watcher

    watcher = Watcher()
    LearnedLifting(**{**FEW, "max_iter": 4}).set_callbacks(watcher).fit(X, Y)
    assert watcher.ended.count("iteration") == 4
    assert watcher.ended[-3:] == ["learn", "fit", "teardown"]
    lifting = LearnedLifting(**{**FEW, "max_iter": 4}).set_callbacks(
        Watcher("iteration")
    )
    assert lifting.fit(X, Y).n_iter_ == 1
    assert len(lifting.loss_curve_) == 2


def test_shifts_change_neither_predictions_nor_learning():
    model = make_pipeline(LearnedLifting(**FEW), InvariantReduNetClassifier(0))
    model.fit(X, Y)
    rolled = np.stack([np.roll(x, i) for i, x in enumerate(X)])
    assert_array_equal(model.predict(rolled), model.predict(X))
    given = {**FEW, "filters": "dct"}  # which do not depend on the samples
    curves = [LearnedLifting(**given).fit(Z, Y).loss_curve_ for Z in (X, rolled)]
    assert_allclose(*curves, rtol=1e-8)


def test_samples_are_scaled_and_sorted_freely():
    lifting = LearnedLifting(**{**FEW, "filters": "dct"}).fit(X, Y)
    for changed in (X * 1e150, X * 1e-150):
        again = clone(lifting).fit(changed, Y)
        assert_allclose(again.filters_, lifting.filters_, rtol=1e-6)
    order = np.random.default_rng(0).permutation(len(X))
    again = clone(lifting).fit(X[order], Y[order])
    assert_allclose(again.filters_, lifting.filters_, rtol=1e-6)


def test_little_data():
    one = LearnedLifting(**FEW).fit(X, np.zeros(len(X)))
    first = ConvolutionalLifting(3, 3, random_state=0).fit(X)
    assert_array_equal(one.filters_, first.filters_)
    assert one.loss_curve_.size == 0
    alone = np.r_[Y[:-1], 99]  # a class of one sample
    assert np.isfinite(LearnedLifting(**FEW).fit(X, alone).filters_).all()
    few = LearnedLifting(**FEW, max_samples=8).fit(X, Y)
    assert np.isfinite(few.loss_curve_).all()
    single = LearnedLifting(**FEW).fit(X.astype(np.float32), Y)
    assert single.filters_.dtype == np.float32
    zeros = LearnedLifting(**FEW).fit(np.zeros_like(X), Y)
    assert np.isfinite(zeros.filters_).all()


def test_learned_filters_predict_better():
    digits, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[:200], order[200:]
    scores = []
    for steps in (0, 15):
        lifting = LearnedLifting(
            6, 5, signal_shape=(8, 8), max_iter=steps, random_state=0
        )
        model = make_pipeline(lifting, InvariantReduNetClassifier(0))
        model.fit(digits[train], labels[train])
        scores.append(model.score(digits[test], labels[test]))
    assert scores[1] > scores[0] + 0.01


@pytest.mark.slow
def test_the_benchmark_compares_filters(module, tmp_path, monkeypatch):
    script = module("learned_filters")
    monkeypatch.setattr(script, "STEPS", (1,))
    monkeypatch.setattr(script, "OTHERS", {"both signs": ("split", 1)})
    monkeypatch.setattr(script, "TRAIN", 60)
    monkeypatch.setattr(script, "CODED", 20)
    monkeypatch.setattr(script, "STEPS_OF_CODES", 2)
    monkeypatch.setattr(script, "ITERATIONS", (2, 3))
    monkeypatch.setattr(script, "LEARNED", (2,))
    monkeypatch.setattr(script, "OPTIONS", {**script.OPTIONS, "n_filters": 3})
    script.main(["--runs", "1", "--output", str(tmp_path / "out.md")])
    text = (tmp_path / "out.md").read_text(encoding="utf-8")
    assert "| 3 x 3, learned, 1 steps" in text
    assert "| iterations |" in text


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("max_iter", -1), ("learning_rate", 0.0), ("max_samples", 1)],
)
def test_bad_parameters_are_named(parameter, value):
    with pytest.raises(ValueError, match="activation"):
        LearnedSparseCoder(activation="relu").fit(X)
    with pytest.raises(ValueError, match=parameter):
        LearnedLifting(**{**FEW, parameter: value}).fit(X, Y)
