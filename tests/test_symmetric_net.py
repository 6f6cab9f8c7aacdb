"""Networks that permutations of features do not change: images are never computed."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from settings import slowly
from sklearn.base import clone

from skredu import ReduNetClassifier, ReduNetTransformer
from skredu.coding._symmetry import permutations_of
from skredu.redunet._samples import Samples

ALL = {
    "flip": ("flip", (2, 3), 6),
    "dihedral": ("dihedral", (3, 3), 9),
    "shifts": ([np.roll(np.arange(5), i) for i in range(5)], None, 5),
}
OPTIONS = [
    {},
    {"fit_intercept": False, "step": "nesterov"},
    {"membership": "residual", "inverse_temperature": 3.0},
    {"membership": "relu", "step": "published", "eta": 0.01},
    {"construction": "labels", "step": "published", "eta": 0.2},
    {
        "construction": "estimated",
        "membership": "weighted_residual",
        "step": "published",
    },
]


@pytest.fixture(params=ALL)
def case(request):
    """Return parameters of a symmetry, its permutations, and samples."""
    symmetry, shape, d = ALL[request.param]
    rng = np.random.default_rng(0)
    y = np.arange(45) % 3
    X = rng.normal(size=(45, d)) * rng.uniform(0.3, 2.0, (3, d))[y]
    X += rng.normal(size=(3, d))[y]
    options = {"symmetry": symmetry, "signal_shape": shape}
    return options, permutations_of(symmetry, shape, d), X, y


def image(Z, g):
    """Return images of features, with or without that of an intercept."""
    return np.hstack([Z[:, g], Z[:, len(g) :]])


def all_images(X, group):
    return np.vstack([X[:, g] for g in group])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_features_of_an_image_are_the_image_of_the_features(case, options):
    given, group, X, y = case
    net = ReduNetTransformer(4, 0.4, **options, **given).fit(X, y)
    assert net.n_iter_ > 0
    Z, new = net.transform(X), X[:7] + 0.1
    for g in group:
        assert_allclose(net.transform(X[:, g]), image(Z, g), atol=1e-11)
        found = net.inverse_transform(net.transform(new[:, g])) if not options else None
        if found is not None and net.intercept_:
            assert_allclose(found, new[:, g], rtol=1e-6)


@pytest.mark.parametrize("options", [OPTIONS[0], *slowly(*OPTIONS[1:])], ids=str)
def test_an_image_in_place_of_a_training_sample_changes_nothing(case, options):
    given, group, X, y = case
    model = ReduNetClassifier(3, n_iter_no_change=None, **options, **given).fit(X, y)
    which = np.random.default_rng(1).integers(len(group), size=len(X))
    other = clone(model).fit(np.take_along_axis(X, group[which], axis=1), y)
    assert_allclose(other.epsilon_, model.epsilon_, rtol=1e-9)
    expected = model.predict_proba(X)
    assert_allclose(other.predict_proba(X), expected, rtol=1e-6, atol=1e-9)
    for g in group:
        assert_allclose(model.predict_proba(X[:, g]), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("n", [8, *slowly(45)])  # fewer and more samples than features
@pytest.mark.parametrize("options", [OPTIONS[i] for i in (0, 1, 2, 4)], ids=str)
def test_the_identity_alone_changes_nothing(options, n):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 9)), np.arange(n) % 3
    X[y == 1, :4] *= 3.0
    for weights in (None, rng.integers(1, 4, n)):
        net = ReduNetClassifier(3, 0.4, n_iter_no_change=None, **options)
        expected = clone(net).fit(X, y, weights)
        found = net.set_params(symmetry=[range(9)]).fit(X, y, weights)
        assert found.n_iter_ == expected.n_iter_ > 0
        assert_allclose(found.transform(X), expected.transform(X), atol=1e-9)
        proba = expected.predict_proba(X)
        assert_allclose(found.predict_proba(X), proba, atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", OPTIONS[2:], ids=str)
def test_layers_are_those_of_all_images(case, options, weighted):
    given, group, X, y = case
    if options.get("construction") is None:
        options = {"construction": "estimated", **options}
    weights = np.random.default_rng(0).integers(1, 4, len(X)) if weighted else None
    copies = np.tile(np.ones(len(X)) if weights is None else weights, len(group))
    options = {"fit_intercept": False, **options}
    net = ReduNetTransformer(3, 0.4, **options)
    expected = clone(net).fit(
        all_images(X, group), np.tile(y, len(group)), copies / len(group)
    )
    found = clone(net).set_params(**given).fit(X, y, weights)
    assert found.n_iter_ == expected.n_iter_
    for name, rates in expected.rates_.items():
        assert_allclose(found.rates_[name], rates, rtol=1e-9)
    assert_allclose(found.transform(X), expected.transform(X), atol=1e-9)


def test_samples_are_left_out_with_their_images(case):
    """The first layer moves a sample by operators of the others and their images."""
    given, _, X, y = case
    net = ReduNetTransformer(1, 0.5, fit_intercept=False, **given).fit(X, y)
    layer = net.layers_[0].operators
    rows = net._training_rows(X, y, None)
    samples = Samples(net, rows).enter(net._restored_space())
    Z, change = samples.Z, samples.change
    for i in range(0, len(X), 7):
        rest = np.delete(np.arange(len(X)), i)
        other = ReduNetTransformer(0, 0.5, fit_intercept=False, **given)
        other.fit(rows.X[rest], rows.y[rest])
        kept = other._training_rows(rows.X[rest], rows.y[rest], None)
        moving = Samples(other, kept).enter(other._restored_space()).layer
        moving.label_code, moving.counts = layer.label_code, layer.counts
        expected = moving.change(Z[:, :, i : i + 1])
        assert_allclose(change[:, :, i : i + 1], expected, atol=1e-9)


@pytest.mark.parametrize("construction", ["left_out", "estimated"])
def test_samples_of_a_class_that_are_images_of_each_other_leave_together(
    case, construction
):
    given, group, X, y = case
    both, labels = np.vstack([X, X[:20][:, group[-1]]]), np.r_[y, y[:20]]
    net = ReduNetClassifier(
        2, n_iter_no_change=None, construction=construction, **given
    )
    weighted = clone(net).fit(X, y, sample_weight=np.r_[2 * np.ones(20), np.ones(25)])
    found = net.fit(both, labels)
    assert_allclose(found.class_count_, weighted.class_count_)
    assert_allclose(found.epsilon_, weighted.epsilon_)
    assert_allclose(found.temperature_, weighted.temperature_, rtol=1e-6)
    expected = weighted.predict_proba(X)
    assert_allclose(found.predict_proba(X), expected, rtol=1e-5, atol=1e-8)


def test_samples_in_single_precision_stay_so(case):
    given, _, X, y = case
    model = ReduNetClassifier(3, **given)
    found = clone(model).fit(X.astype(np.float32), y)
    Z = found.transform(X.astype(np.float32))
    assert Z.dtype == np.float32
    expected = model.fit(X, y)
    assert_allclose(found.epsilon_, expected.epsilon_, rtol=1e-5)
    assert np.mean(found.predict(X.astype(np.float32)) == expected.predict(X)) > 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"symmetry": "rot90"}, "symmetry='rot90' needs a square signal_shape"),
        ({"symmetry": "turn"}, "symmetry"),
        ({"signal_shape": 3}, "signal_shape=3 is only used with a symmetry among"),
        ({"symmetry": [[1, 0, 2, 3, 4, 5]]}, "must form a group"),
    ],
    ids=str,
)
def test_wrong_symmetries_are_named(options, message):
    X, y = np.random.default_rng(0).normal(size=(8, 6)), np.arange(8) % 2
    with pytest.raises(ValueError, match=message):
        ReduNetClassifier(**options).fit(X, y)
