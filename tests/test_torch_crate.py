"""White-box transformers: layers against their formulas, and the classifier."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits

from skredu import rates
from skredu.plotting import SparseRateReductionDisplay

torch = pytest.importorskip("torch")

from skredu.torch import (  # noqa: E402
    CRATEBlock,
    CRATEClassifier,
    SparseCodingStep,
    SubspaceAttention,
    TokenStatisticsAttention,
    subspace_coding_rate,
)

X, Y = load_digits(return_X_y=True)
X, Y, NEW, TRUE = X[:400], Y[:400], X[400:], Y[400:]
FAST = {"n_components": 8, "n_layers": 1, "n_heads": 2, "random_state": 0}
QUICK = {"max_iter": 12, "learning_rate": 0.02, "batch_size": 40}
ATTENTIONS = [SubspaceAttention, TokenStatisticsAttention]


def random(module, *shape):
    """Return a module in double precision, and a tensor with a gradient."""
    torch.manual_seed(0)
    module = module.double()
    for part in module.parameters():
        torch.nn.init.normal_(part, mean=0.1, std=0.5)
    return module, torch.randn(shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("tied", [True, False])
def test_attention_is_its_formula_written_for_each_token(attention, tied):
    module, Z = random(attention(6, 3, tied=tied), 2, 4, 6)
    bases = module.bases.detach().numpy()
    back = bases if tied else module.back.detach().numpy()
    tokens, expected = Z.detach().numpy(), np.zeros((2, 4, 6))
    for i, sample in enumerate(tokens):
        sizes = [[np.sum((U.T @ z) ** 2) for z in sample] for U in bases]
        if attention is TokenStatisticsAttention:
            powers = np.exp(np.array(sizes) * module.sharpness.detach().numpy())
            shares = powers / powers.sum(axis=0)
        for k, U in enumerate(bases):
            for n, z in enumerate(sample):
                if attention is SubspaceAttention:
                    weights = np.exp([z @ U @ U.T @ other / 2**0.5 for other in sample])
                    change = U.T @ (weights / weights.sum() @ sample)
                else:
                    moments = shares[k] @ (sample @ U) ** 2 / shares[k].sum()
                    change = -shares[k, n] * (U.T @ z) / (1 + moments)
                expected[i, n] += back[k] @ change
    factor = module.step.item() if tied else 1.0
    assert_allclose(module(Z).detach().numpy(), factor * expected, rtol=1e-10)


def test_token_statistics_are_a_step_down_the_bound_of_the_rate():
    module, Z = random(TokenStatisticsAttention(6, 3), 1, 5, 6)
    W = torch.einsum("nd,kdp->knp", Z[0], module.bases)
    shares = (module.sharpness * (W**2).sum(-1)).softmax(0).detach()
    totals = shares.sum(1)
    moments = torch.einsum("kn,knp->kp", shares, W**2) / totals[:, None]
    bound = 0.5 * (totals[:, None] * torch.log1p(moments)).sum()
    (gradient,) = torch.autograd.grad(bound, Z)
    expected = -module.step * gradient
    assert_allclose(module(Z).detach(), expected.detach(), rtol=1e-10)


def test_a_subspace_without_tokens_has_no_moments():
    module = TokenStatisticsAttention(4, 2)
    with torch.no_grad():
        module.sharpness.fill_(1e6)
        module.bases[0].zero_()  # so that all tokens are in the other subspace
    Z = torch.randn(2, 3, 4, requires_grad=True)
    change = module(Z)
    change.sum().backward()
    assert torch.isfinite(change).all()
    assert torch.isfinite(Z.grad).all()
    assert all(torch.isfinite(part.grad).all() for part in module.parameters())


def test_sparse_coding_is_a_step_of_ista():
    module, Z = random(SparseCodingStep(4, step_size=0.2, threshold=0.3), 3, 4)
    D, codes = module.dictionary, Z.clone()
    loss = 0.5 * ((Z.detach() - codes @ D.T) ** 2).sum()
    (gradient,) = torch.autograd.grad(loss, codes)
    expected = (Z - 0.2 * gradient - 0.2 * 0.3).clamp(min=0.0)
    assert_allclose(module(Z).detach(), expected.detach(), rtol=1e-12)


def test_a_block_is_attention_and_a_sparse_code():
    block, Z = random(CRATEBlock(6, 2), 3, 4, 6)
    first, second = block.norms
    between = Z + block.attention(first(Z))
    assert torch.equal(block.compressed(Z), between)
    assert torch.equal(block(Z), block.sparse(second(between)))
    with pytest.raises(ValueError, match=r"Bad attention: must be one of .* 'none'"):
        CRATEBlock(6, 2, attention="none")


@pytest.mark.parametrize("attention", ["subspace", "statistics"])
def test_gradients(attention):
    block, Z = random(CRATEBlock(4, 2, attention=attention), 2, 3, 4)
    assert torch.autograd.gradcheck(block, (Z,))
    bases = block.attention.bases
    rate = lambda Z, U: subspace_coding_rate(Z, U, epsilon=0.5)  # noqa: E731
    assert torch.autograd.gradcheck(rate, (Z, bases))


def test_rates_are_those_of_arrays():
    torch.manual_seed(0)
    Z, bases = torch.randn(3, 5, 6).double(), torch.randn(2, 6, 3).double()
    expected = [
        sum(rates.coding_rate((z @ U).numpy(), epsilon=0.3) for U in bases) for z in Z
    ]
    assert_allclose(subspace_coding_rate(Z, bases, epsilon=0.3), expected, rtol=1e-12)
    whole = [rates.coding_rate(z.numpy(), epsilon=0.3) for z in Z]
    found = subspace_coding_rate(Z, torch.eye(6)[None], epsilon=0.3)
    assert_allclose(found, whole, rtol=1e-12)
    with pytest.raises(ValueError, match=r"Bad bases: .* found \(3, 5, 6\) and \(2,"):
        subspace_coding_rate(Z, bases[:, :4], epsilon=0.3)
    with pytest.raises(ValueError, match=r"Bad Z or bases: .* found ndarray and T"):
        subspace_coding_rate(Z.numpy(), bases, epsilon=0.3)
    with pytest.raises(ValueError, match="Bad Z: contains NaN or infinity"):
        subspace_coding_rate(Z * torch.nan, bases, epsilon=0.3)
    with pytest.raises(ValueError, match="Bad bases: contains NaN or infinity"):
        subspace_coding_rate(Z, bases * torch.inf, epsilon=0.3)
    with pytest.raises(ValueError, match=r"no axis may .* shapes \(3, 0, 6\)"):
        subspace_coding_rate(Z[:, :0], bases, epsilon=0.3)


@pytest.fixture(scope="module")
def model():
    return CRATEClassifier(
        24, 2, signal_shape=(8, 8), max_iter=30, learning_rate=0.005, random_state=0
    ).fit(X, Y)


def test_the_objective_along_layers(model):
    found = model.layer_rates(NEW[:10], epsilon=0.6)
    Z = model.network_.tokens(model._inputs(NEW[:10]))
    for layer, block in enumerate(model.network_.layers):
        bases = np.linalg.qr(model.bases_[layer])[0]
        after = block(Z)
        for name, tokens in [("Rc_before", Z), ("Rc", block.compressed(Z))]:
            expected = [
                rates.coding_rate(z @ U, epsilon=0.6)
                for z in on_sphere(tokens)
                for U in bases
            ]
            assert_allclose(found[name][layer], np.sum(expected) / 10, rtol=1e-5)
        expected = [rates.coding_rate(z, epsilon=0.6) for z in on_sphere(after)]
        assert_allclose(found["R"][layer], np.mean(expected), rtol=1e-5)
        assert found["nonzero"][layer] == pytest.approx((after != 0).double().mean())
        Z = after
    assert_array_equal(SparseRateReductionDisplay(**found).frame()["Rc"], found["Rc"])
    assert (found["Rc"] < found["Rc_before"]).all()


def on_sphere(tokens):
    tokens = tokens.detach().double().numpy()
    return tokens / np.linalg.norm(tokens, axis=2, keepdims=True)


def test_digits_are_classified(model):
    assert model.score(NEW, TRUE) > 0.75
    assert len(model.loss_curve_) == model.n_iter_ == 30
    proba = model.predict_proba(NEW)
    assert_array_equal(model.predict(NEW), model.classes_[proba.argmax(1)])
    assert model.transform(NEW).shape == (len(NEW), 24)
    assert model.get_feature_names_out()[0] == "crateclassifier0"
    assert model.bases_.shape == (2, 4, 24, 6)
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.predict_proba(NEW), proba)


def test_patches_are_parts_of_the_signals():
    rows = torch.arange(2 * 60.0).reshape(2, 60)
    images = CRATEClassifier(patch_size=4, signal_shape=(5, 6))
    images.classes_ = np.arange(3)
    found = images._new_network(60)._patches(rows)
    assert found.shape == (2, 4, 2 * 16)
    padded = np.zeros((2, 2, 8, 8))
    padded[:, :, :5, :6] = rows.numpy().reshape(2, 2, 5, 6)
    assert_array_equal(found[0, 1], padded[0, :, :4, 4:].ravel())
    assert_array_equal(found[1, 2], padded[1, :, 4:, :4].ravel())
    sequences = images.set_params(signal_shape=30)._new_network(60)._patches(rows)
    assert sequences.shape == (2, 8, 2 * 4)
    assert sequences[0, 7].tolist() == [28, 29, 0, 0, 58, 59, 0, 0]


def test_sequences_are_classified():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    starts = 4 * rng.integers(0, 6, 200)
    rows = 0.1 * rng.normal(size=(200, 24))
    for row, start, label in zip(rows, starts, y, strict=True):
        row[start : start + 4] += [1, -1, 1, -1] if label else [1, 1, 1, 1]
    for attention in ("subspace", "statistics"):
        model = CRATEClassifier(**FAST, **QUICK, attention=attention)
        assert model.fit(rows[:150], y[:150]).score(rows[150:], y[150:]) > 0.9


@pytest.mark.parametrize(
    ("shape", "found"), [((2, 4, 8), "must be the length"), ((7, 8), "56 points")]
)
def test_shapes_of_signals_are_checked(shape, found):
    with pytest.raises(ValueError, match=f"Bad signal_shape: .*{found}"):
        CRATEClassifier(signal_shape=shape, **FAST).fit(X, Y)


def test_warm_start_continues():
    model = CRATEClassifier(**FAST, warm_start=True, max_iter=3).fit(X, Y)
    first = model.loss_curve_[-1]
    assert model.fit(X, Y).loss_curve_[-1] < first
    before = model.predict_proba(NEW)
    for name, value in [("n_layers", 2), ("n_components", 6), ("patch_size", 2)]:
        other = copy.copy(model).set_params(**{name: value})
        with pytest.raises(ValueError, match="With warm_start=True, parameters must"):
            other.fit(X, Y)
    assert_array_equal(model.predict_proba(NEW), before)


def test_samples_whose_features_overflow_are_named():
    model = CRATEClassifier(**FAST, max_iter=1).fit(X, Y)
    for method in (model.predict, model.predict_proba, model.transform):
        with pytest.raises(ValueError, match="outputs of the network overflow"):
            method(NEW * 1e30)


def test_the_benchmark_compares_networks(module, tmp_path, monkeypatch):
    script = module("crate")
    monkeypatch.setattr(script, "TRAIN", 1600)
    monkeypatch.setattr(script, "FASHION", 40)
    monkeypatch.setattr(script, "EPOCHS", {"digits": 1, "Fashion-MNIST": 1})
    few = {k: v for k, v in script.networks().items() if k in ("ToST", "ViT")}
    monkeypatch.setattr(script, "networks", lambda: few)
    rng = np.random.default_rng(0)
    parts = {
        f"{key}_{part}": value
        for part in ("train", "test")
        for key, value in [
            ("X", rng.integers(0, 256, (50, 28, 28)).astype(np.uint8)),
            ("y", np.arange(50) % 10),
        ]
    }
    np.savez(tmp_path / "fashion_mnist.npz", **parts)
    out = tmp_path / "out.md"
    script.main(["--runs", "1", "--data", str(tmp_path), "--output", str(out)])
    text = out.read_text(encoding="utf-8")
    assert "### Fashion-MNIST" in text
    assert text.count("| ViT ") == 2
    assert text.count("| ToST    |     3 |") == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_training_on_a_gpu():
    model = CRATEClassifier(device="cuda", signal_shape=(8, 8), random_state=0)
    assert model.fit(X, Y).score(NEW, TRUE) > 0.8
