"""Classes that permutations of features do not change: images are never computed."""

import numpy as np
import oracle_micl as oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import slowly
from sklearn.base import clone
from sklearn.metrics.pairwise import rbf_kernel

from skredu import MICLClassifier
from skredu.coding._scatter import Scatter, group_of_scatter
from skredu.coding._symmetry import SymmetricGroup, permutations_of, symmetric

ALL = {
    "flip": ("flip", (2, 3)),
    "flip of channels": ("flip", 3),
    "rot90": ("rot90", (2, 2)),
    "dihedral": ("dihedral", (3, 3)),
    "shifts": ([np.roll(np.arange(5), i) for i in range(5)], None),
    "swap": ([[0, 1, 2], [1, 0, 2]], None),
}
SIZES = {"flip": 6, "flip of channels": 6, "rot90": 4, "dihedral": 9}
SIZES |= {"shifts": 5, "swap": 3}


@pytest.fixture(params=ALL)
def case(request):
    """Return parameters of a symmetry, its permutations and the number of features."""
    symmetry, shape = ALL[request.param]
    d = SIZES[request.param]
    options = {"symmetry": symmetry, "signal_shape": shape}
    return options, permutations_of(symmetry, shape, d), d


def problem(d, n=36, k=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    X = rng.normal(size=(n, d)) * rng.uniform(0.3, 2.0, (k, d))[y]
    return X + rng.normal(size=(k, d))[y], y


def all_images(X, group):
    return np.vstack([X[:, g] for g in group])


def test_named_groups_are_those_of_images():
    image = np.arange(18.0).reshape(1, 18)
    square = image.reshape(2, 3, 3)  # two channels
    for symmetry, expected in {
        "flip": [square, square[:, :, ::-1]],
        "rot90": [np.rot90(square, i, (1, 2)) for i in range(4)],
    }.items():
        group = permutations_of(symmetry, (3, 3), 18)
        found = all_images(image, group).reshape(-1, 2, 3, 3)
        assert_array_equal(found, expected)
        # names lead to groups
        assert_array_equal(
            permutations_of(group.tolist(), None, 18), np.unique(group, axis=0)
        )
    assert len(np.unique(permutations_of("dihedral", (3, 3), 18), axis=0)) == 8


@pytest.mark.parametrize(
    "kernel", ["linear", "rbf", *slowly("laplacian", "poly", "cosine")]
)
def test_samples_and_their_images_have_the_same_probabilities(case, kernel):
    options, group, d = case
    X, y = problem(d)
    model = MICLClassifier(kernel=kernel, **options).fit(X, y)
    expected = model.predict_proba(X)
    for g in group:
        assert_allclose(model.predict_proba(X[:, g]), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("n", [6, 60])  # fewer and more samples than features
@pytest.mark.parametrize("epsilon", [1e-6, 0.5, 20.0])
def test_model_is_that_of_all_images(case, n, epsilon, assume_centered):
    options, group, d = case
    X, y = problem(d, n)
    weights = np.random.default_rng(0).integers(1, 4, n)
    given = {"calibrate": False, "assume_centered": assume_centered}
    model = MICLClassifier(epsilon, **given, **options).fit(X, y, weights)
    m = len(group)
    copies = MICLClassifier(epsilon, **given)
    copies.fit(all_images(X, group), np.tile(y, m), np.tile(weights, m) / m)
    new = problem(d, seed=3)[0]
    expected = copies._checked_scores(new, "predict")
    assert_allclose(model._checked_scores(new, "predict"), expected, rtol=1e-7)
    assert_allclose(model.class_coding_length_, copies.class_coding_length_, rtol=1e-7)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_samples_are_left_out_with_their_images(case, assume_centered, weighted):
    _, group, d = case
    X, options = problem(d, 12)[0], {"assume_centered": assume_centered}
    weights = np.tile([0.5, 1.0, 2.0], 4) if weighted else np.ones(12)
    scatter = symmetric(Scatter.from_rows(X, weights, **options), group)
    coded = SymmetricGroup.of(group_of_scatter(scatter), group)
    epsilons = np.array([0.05, 1.0, 30.0])
    found = coded.without(X.T[None], epsilons, weights if weighted else None)
    for i, x in enumerate(X):
        rest = np.delete(np.arange(12), i)
        rows, w = all_images(X[rest], group), np.tile(weights[rest], len(group))
        expected = [
            oracle.extra_bits(rows, w / len(group), x, epsilon, **options)
            for epsilon in epsilons
        ]
        assert_allclose(found[i] / np.log(2), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [3, 12])  # fewer and more images than features
@pytest.mark.parametrize("epsilon", [1e-3, 0.3, 30.0])
def test_projections_are_those_of_the_other_samples_and_their_images(
    case, n, weighted, epsilon
):
    _, group, d = case
    X = problem(d, n)[0]
    weights = np.tile([0.5, 1.0, 2.0], 4)[:n] if weighted else np.ones(n)
    scatter = Scatter.from_rows(X, weights, assume_centered=True)
    scatter = symmetric(scatter, group)
    coded = SymmetricGroup.of(group_of_scatter(scatter), group)
    nats, moved = coded.left_out(X.T[None], epsilon, weights if weighted else None)
    given = weights if weighted else None
    assert_allclose(
        nats, coded.without(X.T[None], np.array([epsilon]), given)[:, 0], rtol=1e-9
    )
    without_nats = coded.left_out(X.T[None], epsilon, given, coded=False)
    assert without_nats[0] is None
    assert_allclose(without_nats[1], moved, rtol=1e-12)
    for i, x in enumerate(X):
        rest = np.delete(np.arange(n), i)
        w = np.tile(weights[rest], len(group)) / len(group)
        S = (all_images(X[rest], group).T * w) @ all_images(X[rest], group)
        c = d / weights[rest].sum() / epsilon**2
        expected = x - np.linalg.solve(np.eye(d) + c * S, x)
        assert_allclose(moved[0, :, i], expected, rtol=1e-6, atol=1e-6)


def test_an_only_sample_cannot_be_left_out():
    X, y = problem(4, 21)
    y[0] = 7
    model = MICLClassifier(symmetry="rot90", signal_shape=(2, 2)).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()


def test_kernels_are_averaged_over_images(case):
    options, group, d = case
    X, y = problem(d)
    given = {"gamma": 0.3, "epsilon": 0.2}

    def average(A, B):
        return np.mean([rbf_kernel(A, B[:, g], gamma=0.3) for g in group], axis=0)

    model = MICLClassifier(kernel="rbf", **given, **options).fit(X, y)
    other = MICLClassifier(epsilon=0.2, kernel=average).fit(X, y)
    new = problem(d, seed=3)[0]
    expected = other.decision_function(new)
    assert_allclose(model.decision_function(new), expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_parts_add_up(dtype):
    X, y = problem(9, 45)
    X = X.astype(dtype)
    model = MICLClassifier(symmetry="dihedral", signal_shape=(3, 3))
    whole, parts = clone(model).fit(X, y), clone(model)
    for part in (slice(0, 20), slice(20, 45)):
        parts.partial_fit(X[part], y[part], classes=[0, 1, 2])
    tolerance = {"rtol": 1e-3, "atol": 1e-3} if dtype == np.float32 else {"rtol": 1e-7}
    expected = whole.predict_proba(X)
    assert_allclose(parts.predict_proba(X), expected, **tolerance)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_samples_of_a_class_that_are_images_of_each_other_leave_together(case, kernel):
    options, group, d = case
    X, y = problem(d)
    turned = X[:20][:, group[-1]]
    both, labels = np.vstack([X, turned]), np.r_[y, y[:20]]
    model = MICLClassifier(kernel=kernel, **options)
    weighted = clone(model).fit(X, y, sample_weight=np.r_[2 * np.ones(20), np.ones(16)])
    models = [clone(model).fit(both, labels)]
    assert_allclose(models[0].label_quality_[36:], weighted.label_quality_[:20])
    if kernel == "linear":
        models.append(clone(model))
        models[1].partial_fit(both[:30], labels[:30], classes=[0, 1, 2])
        models[1].partial_fit(both[30:], labels[30:])
    for found in models:
        assert_allclose(found.epsilon_, weighted.epsilon_)
        assert_allclose(found.temperature_, weighted.temperature_, rtol=1e-6)
        expected = weighted.predict_proba(X)
        assert_allclose(found.predict_proba(X), expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"calibrate": False},
        {"assume_centered": True},
        *slowly({"kernel": "rbf"}, {"kernel": "laplacian"}, {"kernel": "poly"}),
    ],
    ids=str,
)
def test_an_image_in_place_of_a_training_sample_changes_nothing(case, given):
    options, group, d = case
    X, y = problem(d)
    which = np.random.default_rng(1).integers(len(group), size=len(X))
    turned = np.take_along_axis(X, group[which], axis=1)
    model = MICLClassifier(**given, **options).fit(X, y)
    found = [clone(model).fit(turned, y)]
    if "kernel" not in given:
        parts = clone(model).partial_fit(X[:20], y[:20], classes=[0, 1, 2])
        found.append(parts.partial_fit(turned[20:], y[20:]))
    for other in found:
        assert_allclose(other.epsilon_, model.epsilon_)
        assert_allclose(other.temperature_, model.temperature_, rtol=1e-6)
        expected = model.predict_proba(X)
        assert_allclose(other.predict_proba(X), expected, rtol=1e-6, atol=1e-9)


def test_a_distortion_without_calibration_is_chosen_by_images_left_out(case):
    options, _, d = case
    X, y = problem(d)
    model = MICLClassifier(priors=None, calibrate=False, **options).fit(X, y)
    calibrated = clone(model).set_params(calibrate=True).fit(X, y)
    assert_allclose(model.epsilon_, calibrated.epsilon_)


def test_gaps_of_new_samples_are_refused():
    X, y = problem(4)
    model = MICLClassifier(symmetry="rot90", signal_shape=(2, 2)).fit(X, y)
    with pytest.raises(ValueError, match="X contains NaN"):
        model.predict(np.full((1, 4), np.nan))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"symmetry": "rot90"}, "symmetry='rot90' needs a square signal_shape"),
        ({"symmetry": "dihedral", "signal_shape": (2, 3)}, "needs a square signal_sh"),
        ({"symmetry": "flip", "signal_shape": 4}, "the 6 features of X are not a mult"),
        ({"symmetry": "turn"}, "symmetry"),
        ({"signal_shape": 3}, "signal_shape=3 is only used with a symmetry among"),
        ({"symmetry": [range(6)], "signal_shape": 6}, "only used with .* permutations"),
        ({"symmetry": "flip", "signal_shape": ()}, "Bad signal_shape"),
        ({"symmetry": [[0, 1], [1]]}, "Bad symmetry"),
        ({"symmetry": [[0, 1, 2]]}, r"integers of shape \(n_permutations, 6\)"),
        ({"symmetry": np.eye(6)}, "array of integers of shape"),
        ({"symmetry": [[0, 1, 2, 3, 4, 4]]}, "permutation of 0 to 5"),
        ({"symmetry": [[1, 2, 3, 4, 5, 0], [0, 1, 2, 3, 4, 5]]}, "must form a group"),
        ({"symmetry": [[1, 0, 2, 3, 4, 5]]}, "must form a group"),
        ({"symmetry": "flip", "kernel": "auto"}, "symmetry needs one of the kernels"),
        ({"symmetry": "flip", "n_neighbors": 2}, "symmetry needs one of the kernels"),
    ],
    ids=str,
)
def test_wrong_symmetries_are_named(options, message):
    X, y = problem(6)
    with pytest.raises(ValueError, match=message):
        MICLClassifier(**options).fit(X, y)
    if "kernel" not in options and "n_neighbors" not in options:
        with pytest.raises(ValueError, match=message):
            MICLClassifier(**options).partial_fit(X, y, classes=[0, 1, 2])


def test_a_grid_without_a_symmetry_is_named_in_later_parts_too():
    X, y = problem(6)
    model = MICLClassifier().partial_fit(X, y, classes=[0, 1, 2])
    expected = model.predict_proba(X)
    with pytest.raises(ValueError, match="signal_shape=3 is only used with a symm"):
        model.set_params(signal_shape=3).partial_fit(X, y)
    assert_array_equal(model.predict_proba(X), expected)
