"""Coding rates of tensors: values of `skredu.rates`, gradients, hard and bad input."""

import io

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skredu import rates

torch = pytest.importorskip("torch")

from skredu.torch import (  # noqa: E402
    MCR2Loss,
    class_coding_rate,
    coding_rate,
    rate_reduction,
    set_rate_reduction,
)

SHAPES = [(100, 10, 3), (20, 50, 3), (1, 5, 1), (30, 10, 40), (60, 6, 2)]


def features(n, d, k, *, dtype=torch.float64, scale=1.0, seed=0):
    """Return features, labels, memberships and weights."""
    rng = np.random.default_rng(seed)
    Z = torch.tensor(rng.normal(size=(n, d)) * scale, dtype=dtype)
    y = torch.tensor(rng.integers(0, k, n) if k != 2 else np.r_[0, np.ones(n - 1, int)])
    Pi = torch.tensor(rng.dirichlet(np.ones(k), n), dtype=dtype)
    return Z, y, Pi, torch.tensor(rng.uniform(0.1, 3.0, n))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("epsilon", [1e-3, 0.7, 1e3])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_those_of_arrays(shape, epsilon, scale):
    Z, labels, Pi, weights = features(*shape, scale=scale)
    Z.requires_grad_()
    for y in (labels, Pi):
        for w in (None, weights):
            options = {"epsilon": epsilon, "weights": w}
            arrays = {"epsilon": epsilon, "weights": None if w is None else w.numpy()}
            X, target = Z.detach().numpy(), y.numpy()
            rate = rates.coding_rate(X, **arrays)
            assert coding_rate(Z, **options).item() == pytest.approx(rate, rel=1e-12)
            within = rates.class_coding_rate(X, target, **arrays)
            found = class_coding_rate(Z, y, **options).item()
            assert found == pytest.approx(within, rel=1e-12)
            (gradient,) = torch.autograd.grad(rate_reduction(Z, y, **options), Z)
            exact = rates.rate_reduction_gradient(X, target, **arrays)
            # Both gradients are differences of terms that are as large as the first.
            terms = X.shape[1] / (len(X) * epsilon**2) * np.abs(X).max()
            size = max(np.abs(exact).max(), 1e-4 * min(terms, 1.0 / np.abs(X).max()))
            assert_allclose(gradient.numpy(), exact, rtol=0, atol=1e-9 * size)


@pytest.mark.parametrize("epsilon", [1e-160, 1e-200, 1e-300])
def test_distortions_whose_squares_vanish_have_finite_rates(epsilon):
    Z, labels, Pi, weights = features(60, 4, 3)
    Z.requires_grad_()
    for y in (labels, Pi):
        found = rate_reduction(Z, y, epsilon=epsilon, weights=weights)
        expected = rate_reduction(Z, y, epsilon=1e-9, weights=weights)
        assert_allclose(found.item(), expected.item(), rtol=1e-9)
        assert torch.autograd.grad(found, Z)[0].isfinite().all()


def test_single_precision_is_computed_in_double_precision():
    Z, y, Pi, _ = features(200, 20, 4, dtype=torch.float32)
    for target in (y, Pi):
        found = rate_reduction(Z, target, epsilon=0.1)
        assert found.dtype == torch.float32
        arrays = Z.numpy().astype(float), target.numpy()
        exact = rates.rate_reduction(*arrays, epsilon=0.1)
        assert found.item() == pytest.approx(exact, rel=1e-6)
    assert rate_reduction(Z.half(), y, epsilon=0.1).dtype == torch.float32


def test_autocast_changes_nothing():
    Z, y, _, _ = features(50, 8, 3, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = rate_reduction(Z, y, epsilon=0.5)
    assert inside == rate_reduction(Z, y, epsilon=0.5)


@pytest.mark.parametrize("shape", [(12, 5, 3), (4, 7, 3)])
def test_gradients_of_first_and_second_order(shape):
    Z, y, Pi, weights = features(*shape)
    Z.requires_grad_()
    Pi.requires_grad_()

    def hard(Z):
        return rate_reduction(Z, y, epsilon=0.5, weights=weights)

    def soft(Z, Pi):
        return rate_reduction(Z, Pi, epsilon=0.5, weights=weights)

    for function, inputs in ((hard, (Z,)), (soft, (Z, Pi))):
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(function, inputs)
    assert torch.autograd.gradcheck(lambda Z: hard(1e4 * Z), (Z,))
    assert torch.autograd.gradcheck(lambda Z, Pi: soft(1e4 * Z, Pi), (Z, Pi))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_everything_is_finite_for_empty_classes_zero_samples_and_copies(scale):
    Z, _, _, _ = features(9, 5, 3, scale=scale)
    Z[3:5] = Z[2]
    Z[5] = 0.0
    y = torch.tensor([7, 7, 7, 2, 2, 2, 5, 5, -1])
    Pi = torch.nn.functional.one_hot(torch.arange(9) % 2, 4).double()
    for target in (y, Pi):
        Z, Pi = Z.detach().requires_grad_(), Pi.detach()
        value = MCR2Loss(0.3)(Z, target) + rate_reduction(Z, target, epsilon=0.3)
        value.backward()
        assert value.isfinite()
        assert Z.grad.isfinite().all()


def test_weights_are_copies():
    Z, y, _, _ = features(20, 6, 3)
    copies = torch.arange(20) % 3
    found = rate_reduction(Z, y, epsilon=0.5, weights=copies)
    Z, y = Z.repeat_interleave(copies, 0), y.repeat_interleave(copies)
    assert_allclose(found, rate_reduction(Z, y, epsilon=0.5), rtol=1e-13)


def test_hard_memberships_are_labels():
    Z, y, _, weights = features(40, 6, 4)
    Pi = torch.nn.functional.one_hot(y, 6).double()  # two classes are empty
    options = {"epsilon": 0.5, "weights": weights}
    assert_allclose(
        class_coding_rate(Z, Pi, **options), class_coding_rate(Z, y, **options)
    )


def test_sets_are_classes_of_equal_size():
    Z, _, _, _ = features(12, 5, 3)
    y = torch.arange(3).repeat_interleave(4)
    expected = rate_reduction(Z, y, epsilon=0.5)
    assert set_rate_reduction(Z.reshape(3, 4, 5), epsilon=0.5) == expected
    mask = torch.arange(12).reshape(3, 4) % 4 < 2
    found = set_rate_reduction(Z.reshape(3, 4, 5), epsilon=0.5, mask=mask)
    kept = mask.reshape(-1)
    assert_allclose(found, rate_reduction(Z[kept], y[kept], epsilon=0.5), rtol=1e-13)
    orthogonal = torch.eye(3, dtype=torch.float64)[:, None, :]
    assert set_rate_reduction(orthogonal, epsilon=0.5) > 0
    same = orthogonal[[0, 0, 0]]
    assert_allclose(set_rate_reduction(same, epsilon=0.5), 0.0, atol=1e-14)


def test_loss_is_the_negative_rate_reduction_of_normalised_features():
    Z, y, _, weights = features(30, 6, 3)
    U = torch.nn.functional.normalize(Z, dim=1)
    options = {"epsilon": 0.5**0.5, "weights": weights}
    assert_allclose(MCR2Loss()(Z, y, weights), -rate_reduction(U, y, **options))
    plain = MCR2Loss(0.5**0.5, normalize=False, compression=0.0)
    exact = -coding_rate(Z, **options).item()
    assert plain(Z, y, weights).item() == pytest.approx(exact, rel=1e-14)
    assert "compression=0.0" in repr(plain)
    assert_allclose(MCR2Loss()(3 * Z, y), MCR2Loss()(Z, y))
    first, second = MCR2Loss().rates(Z, y)
    assert second - first == MCR2Loss()(Z, y)


def test_training_makes_classes_orthogonal():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(60) % 3
    Z = torch.randn(60, 6, generator=generator, requires_grad=True)
    optimizer = torch.optim.Adam([Z], lr=0.05)
    loss = MCR2Loss()
    for _ in range(300):
        optimizer.zero_grad()
        loss(Z, y).backward()
        optimizer.step()
    U = torch.nn.functional.normalize(Z.detach(), dim=1)
    cosines = (U @ U.T).abs()
    assert cosines[y[:, None] != y[None, :]].max() < 0.02
    # Each class fills two of the six dimensions evenly.
    spectrum = torch.linalg.svdvals(U[y == 0])
    assert spectrum[1] > 0.9 * spectrum[0]
    assert spectrum[2] < 0.1 * spectrum[0]


def test_loss_survives_saving():
    buffer = io.BytesIO()
    torch.save(MCR2Loss(0.1, compression=0.5), buffer)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=False)
    assert (loaded.epsilon, loaded.compression) == (0.1, 0.5)


Z_GOOD, Y_GOOD, PI_GOOD, _ = features(6, 3, 3)
BAD = {
    "array": ({"Z": Z_GOOD.numpy()}, "Bad Z: must be a tensor"),
    "integers": ({"Z": torch.ones(6, 3, dtype=torch.int64)}, "Bad Z: must be a tensor"),
    "one dimension": ({"Z": Z_GOOD[0]}, "Bad Z: must be a tensor"),
    "no samples": ({"Z": Z_GOOD[:0], "y": Y_GOOD[:0]}, "Bad Z: needs at least one"),
    "NaN": ({"Z": Z_GOOD * torch.nan}, "Bad Z: contains NaN"),
    "epsilon": ({"epsilon": 0.0}, "Bad epsilon: must be a positive"),
    "list": ({"y": [0] * 6}, "Bad y: must be a tensor"),
    "length": ({"y": Y_GOOD[:3]}, "Bad y: must be a tensor"),
    "real labels": ({"y": Y_GOOD.double()}, "Bad y: labels of shape"),
    "integer memberships": ({"y": PI_GOOD.long()}, "Bad y: labels of shape"),
    "negative": ({"y": -PI_GOOD}, "Bad y: memberships must not be negative"),
    "NaN memberships": ({"y": PI_GOOD * torch.nan}, "Bad y: contains NaN"),
    "weights": ({"weights": torch.ones(5)}, "Bad weights: must have shape"),
    "negative weights": ({"weights": -torch.ones(6)}, "Bad weights: must not be"),
    "infinite weights": ({"weights": torch.ones(6) / 0}, "Bad weights: contains"),
    "gradient of weights": (
        {"weights": torch.ones(6, requires_grad=True)},
        "Bad weights: the rate is not differentiated",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    changed, message = BAD[case]
    arguments = {"Z": Z_GOOD, "y": Y_GOOD, "epsilon": 0.5, "weights": None} | changed
    with pytest.raises(ValueError, match=message):
        rate_reduction(arguments.pop("Z"), arguments.pop("y"), **arguments)


def test_the_loss_names_bad_features_before_it_normalises_them():
    for Z in (Z_GOOD[:, 0], Z_GOOD[None], torch.ones(6, 2, dtype=torch.long)):
        with pytest.raises(ValueError, match="Bad Z: must be a tensor of floating"):
            MCR2Loss()(Z, Y_GOOD)


def test_bad_sets_are_named():
    with pytest.raises(ValueError, match="Bad sets: must be a tensor of shape"):
        set_rate_reduction(Z_GOOD, epsilon=0.5)
    with pytest.raises(ValueError, match="Bad mask: must have shape"):
        set_rate_reduction(Z_GOOD[None], epsilon=0.5, mask=torch.ones(3))


def test_the_benchmark_has_the_published_loss(module, tmp_path, monkeypatch):
    script = module("torch_loss")
    monkeypatch.setattr(script, "SHAPES", ((30, 4, 3),))
    script.main(["--runs", "1", "--output", str(tmp_path / "out.md")])
    assert "| 30 x 4, 3" in (tmp_path / "out.md").read_text(encoding="utf-8")
    Z, y, _, _ = features(50, 6, 3, dtype=torch.float32)
    Z = torch.nn.functional.normalize(Z)
    exact = MCR2Loss()(Z, y).item()
    for function in (script.published, script.published_loss_only):
        assert function(Z, y, 3).item() == pytest.approx(exact, rel=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_values_on_a_gpu():
    Z, y, Pi, weights = features(100, 10, 3)
    for target in (y, Pi):
        cpu = rate_reduction(Z, target, epsilon=0.5, weights=weights)
        gpu = rate_reduction(Z.cuda(), target.cuda(), epsilon=0.5, weights=weights)
        assert_allclose(gpu.cpu(), cpu, rtol=1e-12)
