"""PolarTransformer compared with loops over points, and on rotated images."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from settings import limit

from skredu import PolarTransformer


def keys(x):
    """Return Keys' cubic kernel as published."""
    x, a = abs(x), -0.5
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def slow(image, radii, angles, kernel):
    """Return values on circles, by loops over points and pixels."""
    h, w = image.shape
    Z = np.zeros((len(radii), len(angles)))
    for i, r in enumerate(radii):
        for k, angle in enumerate(angles):
            row = (h - 1) / 2 - r * np.sin(angle)
            column = (w - 1) / 2 + r * np.cos(angle)
            for p in range(-2, h + 2):
                for q in range(-2, w + 2):
                    pixel = image[np.clip(p, 0, h - 1), np.clip(q, 0, w - 1)]
                    Z[i, k] += kernel(row - p) * kernel(column - q) * pixel
    return Z


@pytest.mark.parametrize("shape", [(5, 5), (4, 6), (6, 5)])
@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_points_are_interpolated_between_pixels(shape, interpolation, dtype):
    image = np.random.default_rng(0).normal(size=shape).astype(dtype)
    model = PolarTransformer(shape, 3, 7, interpolation=interpolation)
    Z = model.fit_transform(image.reshape(1, -1))
    kernel = keys if interpolation == "cubic" else lambda x: max(0.0, 1 - abs(x))
    expected = slow(image, model.radii_, model.angles_, kernel)
    assert Z.dtype == dtype
    atol = 1e-13 if dtype == "float64" else 1e-5
    assert_allclose(Z.reshape(3, 7), expected, atol=atol)


@pytest.mark.parametrize("size", [6, 7])
@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_quarter_turns_are_shifts_to_rounding(size, interpolation):
    images = np.random.default_rng(0).normal(size=(4, size, size))
    model = PolarTransformer(n_radii=4, n_angles=20, interpolation=interpolation).fit(
        images.reshape(4, -1)
    )
    Z = model.transform(images.reshape(4, -1)).reshape(4, 4, 20)
    for turns in range(4):
        turned = np.rot90(images, turns, axes=(1, 2)).reshape(4, -1)
        moved = model.transform(turned).reshape(4, 4, 20)
        assert_allclose(moved, np.roll(Z, 5 * turns, axis=2), atol=1e-13)


@pytest.mark.parametrize(("interpolation", "most"), [("linear", 0.08), ("cubic", 0.02)])
def test_images_return_from_circles(interpolation, most):
    y, x = np.indices((24, 24)) - 11.5
    a, b = np.linspace(-0.3, 0.3, 20).reshape(10, 2, 1, 1).swapaxes(0, 1)
    images = np.sin(a * x + b * y).reshape(5, -1)
    model = PolarTransformer((24, 24), 24, 100, interpolation=interpolation)
    found = model.inverse_transform(model.fit_transform(images))
    inside = np.tile((np.hypot(x, y) < 11.2).ravel(), 2)
    assert np.abs(found - images)[:, inside].max() < most
    # a turn of the circles turns the image
    circles = model.transform(images).reshape(5, 48, 100)
    turned = model.inverse_transform(np.roll(circles, 25, axis=2).reshape(5, -1))
    expected = np.rot90(found.reshape(5, 2, 24, 24), axes=(2, 3)).reshape(5, -1)
    assert_allclose(turned, expected, atol=1e-12)
    # outside of the outermost circle, pixels have its values
    circles = np.repeat([np.arange(48) == 23, np.arange(48) == 22], 100, axis=1)
    outside = (np.hypot(x, y) > 11.3).ravel()
    corners = model.inverse_transform(circles * 1.0)[:, :576][:, outside]
    assert_allclose(corners, [[1.0], [0.0]] + 0.0 * corners, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 4)])
def test_constant_images_return_from_circles(shape, dtype):
    images = np.full((2, shape[0] * shape[1]), 3.0, dtype=dtype)
    model = PolarTransformer(shape, n_radii=2, n_angles=4)
    found = model.inverse_transform(model.fit_transform(images))
    assert found.dtype == dtype
    assert_allclose(found, images, rtol=1e-6)


def test_channels_come_first_and_rows_in_blocks(monkeypatch):
    limit(monkeypatch, BLOCK=2**10)
    X = np.random.default_rng(0).normal(size=(9, 3 * 20))
    model = PolarTransformer((4, 5), 2, 6).fit(X)
    single = PolarTransformer((4, 5), 2, 6).fit(X[:, :20])
    parts = [single.transform(X[:, 20 * c : 20 * c + 20]) for c in range(3)]
    assert_allclose(model.transform(X), np.hstack(parts), rtol=1e-14)
    assert model.get_feature_names_out()[-1] == "polartransformer5_at_5"


def test_shape_is_the_most_nearly_square_one_and_circles_the_middles_of_rings():
    for d, shape in ((1, (1, 1)), (12, (3, 4)), (7, (1, 7)), (784, (28, 28))):
        model = PolarTransformer(n_radii=2, n_angles=4).fit(np.ones((2, d)))
        assert model.image_shape_ == shape
        assert_allclose(model.transform(np.ones((2, d))), 1)
    model = PolarTransformer((9, 7), n_radii=3, n_angles=8).fit(np.zeros((1, 63)))
    assert_allclose(model.radii_, [0.5, 1.5, 2.5])
    assert_allclose(model.angles_, np.arange(8) * np.pi / 4)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"image_shape": (5, 3)}, "Bad image_shape: a grid of shape .* 15 points"),
        ({"image_shape": (12,)}, "Bad image_shape: must be height and width"),
        ({"image_shape": (3, 0)}, "Bad image_shape: must be one or several positive"),
        ({"n_radii": 0}, "n_radii"),
        ({"interpolation": "nearest"}, "interpolation"),
    ],
)
def test_errors_name_the_parameter(parameters, message):
    with pytest.raises(ValueError, match=message):
        PolarTransformer(**parameters).fit(np.ones((2, 12)))
