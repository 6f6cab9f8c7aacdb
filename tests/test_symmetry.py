"""A new symmetry is one new space: rotations of square images by 90 degrees."""

from typing import ClassVar

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skredu.rates import coding_rate
from skredu.redunet._grid import Grid
from skredu.redunet._net import BaseNet, BaseNetClassifier


class QuarterTurns(Grid):
    """Square images as spectra over their rotations by multiples of 90 degrees.

    A turn moves the pixels of an orbit by one place in a cycle of four: an image is a
    signal on a cyclic grid of four points, with one channel per orbit. The middle of an
    image of odd size, which turns leave where it is, counts a quarter in each place.
    """

    def __init__(self, shape=(4,), n_channels=0, counts=None, orbits=None):
        super().__init__(shape, n_channels, counts)
        self.orbits = orbits

    @classmethod
    def of_size(cls, size):
        places = np.arange(size * size).reshape(size, size)
        turned = np.stack([np.rot90(places, k).ravel() for k in range(4)])
        orbits = np.unique(turned.min(axis=0))
        return cls(n_channels=len(orbits), orbits=turned[:, orbits].T)

    def split(self, X):
        return super().split(X[:, self.orbits.ravel()] * self._shares())

    def from_features(self, Z, outside=None):
        signals = super().from_features(Z) / self._shares()
        images = np.empty((len(signals), self.orbits.max() + 1))
        images[:, self.orbits.ravel()] = signals
        return images

    @property
    def n_features_out(self):
        return int(self.orbits.max()) + 1

    def _shares(self):
        """Return roots of the shares of pixels that occur several times in an orbit."""
        n_places = np.bincount(self.orbits.ravel())[self.orbits.ravel()]
        return 1.0 / np.sqrt(n_places)


class TurningNet(BaseNet):
    _kind = QuarterTurns
    _parameter_constraints = BaseNet._parameter_constraints

    def __init__(self, n_layers=20, epsilon="auto", eta=0.1, *, step="relative",
                 membership="coding", inverse_temperature=500.0,
                 construction="left_out", tol=0.0, warm_start=False):  # fmt: skip
        parameters = {name: v for name, v in locals().items() if name in PARAMETERS}
        vars(self).update(parameters)

    def _spaces(self, samples):
        return [QuarterTurns.of_size(round(samples.rows.X.shape[1] ** 0.5))]


PARAMETERS = set(BaseNet._parameter_constraints)


class TurningClassifier(BaseNetClassifier, TurningNet):
    _parameter_constraints: ClassVar = {
        **BaseNet._parameter_constraints,
        **BaseNetClassifier._parameter_constraints,
    }
    n_iter_no_change = None
    class_weight = None


def images(size, n=40, seed=0):
    """Return noisy patterns of two classes, each rotated at random."""
    rng = np.random.default_rng(seed)
    patterns, y = rng.normal(size=(2, size, size)), np.arange(n) % 2
    X = np.stack([np.rot90(patterns[j], rng.integers(4)) for j in y])
    return (X + 0.3 * rng.normal(size=X.shape)).reshape(n, -1), y


def turn(X, size):
    return np.rot90(X.reshape(-1, size, size), axes=(1, 2)).reshape(len(X), -1)


@pytest.mark.parametrize("construction", ["left_out", "estimated", "labels"])
@pytest.mark.parametrize("size", [4, 5])
def test_turns_of_an_image_turn_its_features(size, construction):
    X, y = images(size)
    net = TurningNet(3, construction=construction).fit(X, y)
    assert net.n_iter_ > 0
    assert np.all(np.diff(net.rates_["delta_R"]) >= 0.0)
    new, _ = images(size, 8, seed=1)
    Z = net.transform(new)
    assert_allclose(net.transform(turn(new, size)), turn(Z, size), atol=1e-12)
    assert_allclose(net.transform(net.inverse_transform(Z)), Z, atol=1e-9)
    model = TurningClassifier(3, construction=construction).fit(X, y)
    assert model.score(turn(X, size), y) == model.score(X, y) == 1.0
    assert_array_equal(model.predict(turn(new, size)), model.predict(new))


def test_positive_parts_of_turned_images_are_turned():
    X, y = images(5)
    net = TurningNet(2, 0.5, step="published", membership="relu").fit(X, y)
    assert net.n_iter_ == 2
    assert_allclose(net.transform(turn(X, 5)), turn(net.transform(X), 5), atol=1e-12)


def test_rates_are_those_of_all_turns():
    X, y = images(4)
    net = TurningNet(0, 0.5).fit(X, y)
    Z = X / np.linalg.norm(X, axis=1, keepdims=True)
    turns = [Z]
    for _ in range(3):
        turns.append(turn(turns[-1], 4))
    # 16 dimensions for 4 n rows: alpha is that of 4 channels for n rows
    expected = coding_rate(np.concatenate(turns), epsilon=0.5)
    assert_allclose(net.rates_["R"][0], expected / 4, rtol=1e-10)
