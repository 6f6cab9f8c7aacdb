"""Signals carry the shape of their grid, which is specified once and never guessed."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from skredu import (
    ConvolutionalLifting,
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    PolarTransformer,
    ReduNetClassifier,
)

GRID = (3, 4)
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 12)), np.arange(30) % 2
X[Y == 1, :6] *= 3.0


def lifting(**options):
    return ConvolutionalLifting(3, 2, signal_shape=GRID, random_state=0, **options)


def classifier(**options):
    return InvariantReduNetClassifier(0, epsilon=0.5, **options)


def rolled(rows):
    return np.roll(rows.reshape(-1, *GRID), (1, 2), axis=(1, 2)).reshape(-1, 12)


STATED = make_pipeline(lifting(), classifier(signal_shape=GRID)).fit(X, Y)
SCORES = STATED.decision_function(X)


def same_as_stated(model):
    assert model[-1].signal_shape_ == GRID
    assert_allclose(model.decision_function(X), SCORES, atol=1e-9)
    assert_allclose(model.decision_function(rolled(X)), SCORES, atol=1e-9)


# -- the shape is stated once ---------------------------------------------------------


@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
def test_a_network_behind_a_lifting_has_its_grid(output):
    first = lifting().set_output(transform=output)
    same_as_stated(make_pipeline(first, classifier()).fit(X, Y))


def test_a_cached_lifting_says_its_grid_too(tmp_path):
    for _ in range(2):  # the second one is read from the disk
        model = make_pipeline(lifting(), classifier(), memory=str(tmp_path))
        same_as_stated(model.fit(X, Y))


def test_steps_that_work_entry_by_entry_keep_the_grid():
    steps = FunctionTransformer(np.sqrt), FunctionTransformer(lambda Z: Z**2)
    model = make_pipeline(lifting(), *steps, classifier()).fit(X, Y)
    assert_allclose(model.decision_function(X), SCORES, rtol=1e-6)


@pytest.mark.parametrize("step", [StandardScaler(), SimpleImputer(), MinMaxScaler()])
def test_frames_keep_the_grid_through_steps_that_return_plain_arrays(step):
    model = make_pipeline(lifting(), step, classifier())
    model.set_output(transform="pandas").fit(X, Y)
    assert model[-1].signal_shape_ == GRID
    names = lifting().fit(X).get_feature_names_out()
    assert_array_equal(model[-1].feature_names_in_, names)


@pytest.mark.parametrize("k", [5, 12, 35])
def test_frames_from_which_columns_are_selected_demand_the_grid(k):
    model = make_pipeline(lifting(), SelectKBest(k=k), classifier())
    with pytest.raises(ValueError, match="signal_shape must be specified"):
        model.set_output(transform="pandas").fit(X, Y)


def test_circles_liftings_and_networks_hand_the_grid_on():
    model = make_pipeline(
        PolarTransformer(GRID, 2, 8),
        ConvolutionalLifting(2, 3, random_state=0),
        InvariantReduNetTransformer(1),
        classifier(),
    ).fit(X, Y)
    assert [step.signal_shape_ for step in model[1:]] == [(8,)] * 3
    assert [step.n_channels_ for step in model] == [2, 2, 2, 2]
    invariant = InvariantReduNetTransformer(0, output="invariant").fit(X, Y)
    assert type(invariant.transform(X)) is np.ndarray
    assert invariant.get_feature_names_out()[0] == "invariantredunettransformer0"


def test_rows_that_are_chosen_joined_stored_or_sent_say_their_grid():
    Z = lifting().fit_transform(X)
    first, second = Z[:13], Z[13:]
    for rows in (
        Z,
        Z[RNG.permutation(30)],
        np.concatenate([first, second]),
        np.vstack([first, second]),
        pickle.loads(pickle.dumps(Z)),
        Z.copy(),
        copy.copy(Z),
        copy.deepcopy(Z),
        Z.astype(np.float32),
        2.0 * Z,
        Z - Z.mean(axis=0),
        Z / np.linalg.norm(Z, axis=1, keepdims=True),
        np.clip(Z, 0, 1),
        Z.round(6),
        Z[np.arange(30) >= 0],
        Z[list(range(30)), ...],
        Z[:, :],
        np.vstack(list(Z)),
        np.concatenate(np.array_split(Z, 4)),
    ):
        assert classifier().fit(rows, Y).signal_shape_ == GRID


class Tensor:
    """An array of another package, which carries a grid as an attribute."""

    def __init__(self, rows, signal_shape):
        self.rows, self.signal_shape = rows, signal_shape
        self.shape, self.dtype = rows.shape, rows.dtype

    def __len__(self):
        return len(self.rows)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.rows, dtype=dtype)


def test_other_arrays_carry_their_grid_as_an_attribute():
    X = np.random.default_rng(0).normal(size=(10, 24))
    model = InvariantReduNetClassifier(0).fit(Tensor(X, (3, 4)), np.arange(10) % 2)
    assert (model.signal_shape_, model.n_channels_) == ((3, 4), 2)
    with pytest.raises(ValueError, match=r"grid of shape \(12,\)"):
        model.predict(Tensor(X, (12,)))


def test_parts_say_their_grid():
    Z = lifting().fit_transform(X)
    net = InvariantReduNetClassifier(0)
    for part in np.array_split(np.arange(30), 2):
        net.partial_fit(Z[part], Y[part], classes=[0, 1])
    assert net.signal_shape_ == GRID
    with pytest.raises(ValueError, match="Bad signal_shape: X contains signals"):
        InvariantReduNetClassifier(0, signal_shape=12).partial_fit(Z, Y, classes=[0, 1])


def test_results_are_ordinary_arrays_otherwise():
    Z = lifting().fit_transform(X)
    assert isinstance(Z, np.ndarray)
    assert type(Z.sum()) is np.float64
    assert type(np.asarray(Z)) is np.ndarray
    line = classifier().fit(np.asarray(Z), Y)  # on purpose
    assert line.signal_shape_ == (36,)


@pytest.mark.parametrize(
    "model", [lifting(), PolarTransformer(GRID, 2, 3), InvariantReduNetTransformer(0)]
)
def test_features_are_named_by_channel_and_point(model):
    Z = model.fit_transform(X, Y)
    names = model.get_feature_names_out()
    assert len(names) == Z.shape[1]
    last = "_".join(str(size - 1) for size in model.signal_shape_)
    prefix = type(model).__name__.lower()
    assert names[0] == f"{prefix}0_at_" + "_".join("0" for _ in model.signal_shape_)
    assert names[-1] == f"{prefix}{model.n_channels_ - 1}_at_{last}"


# -- and never guessed ----------------------------------------------------------------

LOST = "signal_shape must be specified: X was computed from signals"
NAMES = "signal_shape must be specified: the column names of X look like those of"
OTHER = r"Bad signal_shape: X contains signals on a grid of shape \(3, 4\), but "


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_joined_or_missing_columns_demand_the_grid(output):
    union = FeatureUnion([("a", lifting()), ("b", lifting(filters="dct"))])
    model = make_pipeline(union, classifier()).set_output(transform=output)
    lost = NAMES if output == "pandas" else LOST
    with pytest.raises(ValueError, match=lost):
        model.fit(X, Y)
    model.set_params(invariantredunetclassifier__signal_shape=GRID).fit(X, Y)
    assert model[-1].n_channels_ == 6
    Z = lifting().set_output(transform=output).fit_transform(X)
    part = Z.iloc[:, :20] if output == "pandas" else Z[:, :20]
    for rows in (part, *([] if output == "pandas" else [Z @ np.eye(36)])):
        with pytest.raises(ValueError, match=lost):
            classifier().fit(rows, Y)


ORDER = np.random.default_rng(1).permutation(36)
MIX = np.eye(36)[ORDER]


@pytest.mark.parametrize(
    "change",
    [
        lambda Z: Z @ MIX,
        lambda Z: np.dot(Z, MIX),
        lambda Z: Z.dot(MIX),
        lambda Z: np.einsum("ij,jk->ik", Z, MIX),
        lambda Z: np.sort(Z, axis=1),
        lambda Z: np.flip(Z, axis=1),
        lambda Z: np.take(Z, ORDER, axis=1),
        lambda Z: Z.take(ORDER, axis=1),
        lambda Z: np.cumsum(Z, axis=1),
        lambda Z: Z[:, ORDER],
        lambda Z: Z[:, ::-1],
        lambda Z: Z[..., ORDER],
        lambda Z: Z[np.ix_(range(30), ORDER)],
        lambda Z: Z + Z[:, ORDER],
        lambda Z: np.vstack([Z[:20], Z[20:, ORDER]]),
        lambda Z: np.vstack([Z, Z[:6]]).T[:30],
    ],
)
def test_rows_whose_columns_moved_demand_the_grid(change):
    moved = change(lifting().fit_transform(X))
    assert moved.shape == (30, 36)
    with pytest.raises(ValueError, match=LOST):
        classifier().fit(moved, Y)
    assert classifier(signal_shape=GRID).fit(moved, Y).n_channels_ == 3
    stored = pickle.loads(pickle.dumps(moved))
    with pytest.raises(ValueError, match=LOST):
        ConvolutionalLifting(2, 3).fit(stored)


@pytest.mark.parametrize(
    "change",
    [
        lambda Z: Z[:1][:, ::-1],
        lambda Z: Z[:1, ::-1][:] + 1.0,
        lambda Z: Z[0][ORDER][None],
        lambda Z: np.vstack([row[::-1] for row in Z]),
        lambda Z: np.flip(Z[:1], axis=1),
        lambda Z: Z[:1] @ MIX,
    ],
)
def test_a_single_row_whose_columns_moved_demands_the_grid(change):
    Z = lifting().fit_transform(X)
    with pytest.raises(ValueError, match=LOST):
        ConvolutionalLifting(2, 3, random_state=0).fit(change(Z))
    again = ConvolutionalLifting(2, 3, random_state=0).fit(Z[0][None])
    assert again.signal_shape_ == GRID


@pytest.mark.parametrize(
    "write",
    [
        lambda Z: Z.__setitem__(..., Z[:, ORDER]),
        lambda Z: Z.__setitem__((slice(None), [0, 1]), np.asarray(Z)[:, [1, 0]]),
        lambda Z: Z.__setitem__(3, Z[3, ORDER]),
    ],
)
def test_rows_into_which_others_were_written_demand_the_grid(write):
    Z = lifting().fit_transform(X)
    write(Z)
    with pytest.raises(ValueError, match=LOST):
        classifier().fit(Z, Y)


def test_numbers_may_be_written_and_rows_be_changed_entry_by_entry():
    Z = lifting().fit_transform(X)
    Z[Z > 1.0] = 1.0
    Z[:, 5] = np.float64(0.0)
    Z *= 2.0
    Z -= Z.mean(axis=0)
    assert classifier().fit(Z, Y).signal_shape_ == GRID


def test_frames_with_names_of_their_own_and_with_names_like_those_of_signals():
    frame = pd.DataFrame(X, columns=[f"sensor{i}_at_10" for i in range(12)])
    hint = r"names of X look like those of signals.* are not .*signal_shape=12 "
    with pytest.raises(ValueError, match=hint):
        classifier().fit(frame, Y)
    assert classifier(signal_shape=12).fit(frame, Y).n_channels_ == 1
    frame = pd.DataFrame(X, columns=[f"sensor {i}" for i in range(12)])
    assert classifier().fit(frame, Y).signal_shape_ == (12,)
    lifted = lifting().set_output(transform="pandas").fit_transform(frame)
    for names in ([*lifted.columns[:-1], "age"], [*lifted.columns[::-1]]):
        with pytest.raises(ValueError, match=NAMES):
            classifier().fit(lifted.set_axis(names, axis=1), Y)


def test_another_grid_than_that_of_the_lifting_is_refused():
    for shape in (12, 36, 1, (4, 3), (6, 6)):
        with pytest.raises(ValueError, match=OTHER):
            make_pipeline(lifting(), classifier(signal_shape=shape)).fit(X, Y)
    # sides of one point make no other grid
    model = make_pipeline(lifting(), classifier(signal_shape=(1, 3, 4))).fit(X, Y)
    assert_allclose(model.decision_function(X), SCORES, atol=1e-9)


def test_rows_of_another_grid_are_refused_after_fit():
    Z = lifting().fit_transform(X)
    other = ConvolutionalLifting(3, 2, signal_shape=12, random_state=0).fit_transform(X)
    net = InvariantReduNetClassifier(1, warm_start=True).fit(Z, Y)
    again = ConvolutionalLifting(1, 2, random_state=0).fit(Z)
    calls = [net.predict, net.predict_proba, net.transform, again.transform]
    calls += [lambda Z: net.fit(Z, Y), lambda Z: next(net.staged_predict(Z))]
    for call in calls:
        with pytest.raises(ValueError, match=r"shape \(12,\), but the training"):
            call(other)
        call(Z)


IMAGES = X.reshape(-1, *GRID)


@pytest.mark.parametrize("kind", [np.asarray, np.ndarray.tolist])
@pytest.mark.parametrize(
    "model",
    [lifting(), PolarTransformer(), InvariantReduNetTransformer(0), classifier()],
)
def test_stacks_of_images_are_refused_with_a_hint(model, kind):
    name = "image_shape" if isinstance(model, PolarTransformer) else "signal_shape"
    hint = rf"\(30, 3, 4\). Reshape .* X.reshape\(len\(X\), -1\), .* {name}=\(height"
    images = kind(IMAGES)
    with pytest.raises(ValueError, match=hint):
        model.fit(images, Y)
    model.fit(X, Y)
    for method in ("transform", "predict"):
        if hasattr(model, method):
            with pytest.raises(ValueError, match=hint):
                getattr(model, method)(images)
    if hasattr(model, "partial_fit"):
        with pytest.raises(ValueError, match="Reshape it"):
            classifier().partial_fit(images, Y, classes=[0, 1])


def test_networks_for_vectors_take_signals_for_vectors():
    Z = lifting().fit_transform(X)
    rows = np.asarray(Z)
    expected = ReduNetClassifier(0).fit(rows, Y).predict(rows)
    assert_array_equal(ReduNetClassifier(0).fit(Z, Y).predict(Z), expected)
