"""Networks that are trained by the rate reduction."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import limit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_digits

from skredu import MICLClassifier, NearestSubspaceClassifier

torch = pytest.importorskip("torch")

from skredu.torch import MCR2Classifier, MCR2Loss  # noqa: E402

X, Y = load_digits(return_X_y=True)
X, Y, NEW, TRUE = X[:400], Y[:400], X[400:], Y[400:]
FAST = {"max_iter": 5, "n_components": 8, "random_state": 0}


def test_training_raises_the_rate_reduction_of_new_samples():
    losses = []
    for max_iter in (1, 60):
        model = MCR2Classifier(**{**FAST, "max_iter": max_iter}).fit(X, Y)
        assert len(model.loss_curve_) == model.n_iter_ == max_iter
        Z = torch.tensor(model.transform(NEW))
        assert_allclose(np.linalg.norm(Z, axis=1), 1.0)
        losses.append(MCR2Loss()(Z, torch.tensor(TRUE)).item())
    assert losses[1] < losses[0] - 1.0
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert model.score(NEW, TRUE) > 0.85


@pytest.mark.parametrize("head", [None, NearestSubspaceClassifier(3)])
def test_the_head_is_fitted_to_the_features(head):
    model = MCR2Classifier(head=head, **FAST).fit(X, Y)
    other = clone(head or MICLClassifier()).fit(model.transform(X), Y)
    assert_array_equal(model.predict(NEW), other.predict(model.transform(NEW)))
    if head is None:
        expected = other.predict_proba(model.transform(NEW))
        assert_array_equal(model.predict_proba(NEW), expected)
    else:
        assert not hasattr(model, "predict_proba")


def test_a_network_is_copied_and_trained():
    torch.manual_seed(0)
    network = torch.nn.Linear(64, 6)
    before = network.weight.detach().clone()
    model = MCR2Classifier(network, max_iter=3, random_state=0).fit(X, Y)
    assert torch.equal(network.weight, before)
    assert not torch.equal(model.network_.weight, before)
    assert model.transform(X).shape == (400, 6)
    assert model.get_feature_names_out().tolist()[0] == "mcr2classifier0"
    again = clone(model).fit(X, Y)
    assert_array_equal(again.transform(NEW), model.transform(NEW))


def test_images_enter_a_convolutional_network():
    model = MCR2Classifier(signal_shape=(8, 8), **FAST).fit(X, Y)
    assert model.transform(X).shape == (400, 8)
    two = np.hstack([X, X])
    assert MCR2Classifier(signal_shape=(8, 8), **FAST).fit(two, Y).score(two, Y) > 0.5
    odd = MCR2Classifier(signal_shape=(8, 7), **FAST)
    with pytest.raises(ValueError, match=r"Bad signal_shape: .* has 56 points"):
        odd.fit(X, Y)
    assert not hasattr(odd, "network_")


def test_random_numbers_of_pytorch_are_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    models = [MCR2Classifier(**FAST).fit(X, Y) for _ in range(2)]
    assert torch.equal(torch.rand(2), expected)
    assert_array_equal(*(model.transform(NEW) for model in models))
    loaded = pickle.loads(pickle.dumps(models[0]))
    assert_array_equal(loaded.predict(NEW), models[0].predict(NEW))


def test_scale_and_offset_do_not_matter():
    models = [MCR2Classifier(**FAST).fit(Z, Y) for Z in (X, 1e6 * X - 3e5)]
    features = [models[0].transform(NEW), models[1].transform(1e6 * NEW - 3e5)]
    assert_allclose(*features, atol=1e-3)
    same = MCR2Classifier(**FAST).fit(np.ones((20, 3)), np.arange(20) % 2)
    assert np.isfinite(same.transform(np.ones((20, 3)))).all()


def test_early_stopping_keeps_the_best_network():
    options = {**FAST, "max_iter": 60, "learning_rate": 0.05}
    model = MCR2Classifier(early_stopping=True, n_iter_no_change=3, **options)
    model.fit(X, Y)
    assert model.n_iter_ < 60
    assert np.argmin(model.validation_curve_) == model.n_iter_ - 4
    shorter = clone(model).set_params(max_iter=model.n_iter_ - 3).fit(X, Y)
    assert_allclose(shorter.transform(NEW), model.transform(NEW), atol=1e-6)


class Watcher:
    """Count tasks that begin and end."""

    def __init__(self):
        self.open, self.ended = 0, []

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.open += 1

    def on_fit_task_end(self, estimator, context):
        self.open -= 1
        self.ended.append(context.task_name)

    def teardown(self, estimator, context):
        pass


def test_early_stopping_ends_all_tasks():
    pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 or newer")
    options = {**FAST, "max_iter": 60, "learning_rate": 0.05}
    model = MCR2Classifier(early_stopping=True, n_iter_no_change=3, **options)
    watcher = Watcher()
    model.set_callbacks(watcher).fit(X, Y)
    assert model.n_iter_ < 60
    assert watcher.open == 0
    assert watcher.ended.count("steps") == 60
    assert watcher.ended[-2:] == ["epochs", "fit"]


def test_a_sample_of_each_small_class_is_left_out():
    model = MCR2Classifier(early_stopping=True, validation_fraction=0.01, **FAST)
    assert len(model.fit(X[:40], Y[:40]).validation_curve_) == model.n_iter_
    alone = np.arange(12)  # all classes have a single sample
    assert model.fit(X[:12], alone).validation_curve_ == []


def test_warm_start_continues():
    model = MCR2Classifier(warm_start=True, **FAST).fit(X, Y)
    first = model.loss_curve_
    model.fit(X, Y)
    assert model.loss_curve_[-1] < first[-1]
    with pytest.raises(ValueError, match="the classes must be those of the previous"):
        model.fit(X, Y + 1)
    assert model.loss_curve_[-1] < first[-1]


@pytest.mark.parametrize(
    ("network", "found"),
    [
        (torch.nn.Flatten(0), r"\(128,\)"),
        (torch.nn.Unflatten(1, (8, 8)), r"\(2, 8, 8\)"),
    ],
)
def test_networks_with_other_output_are_refused(network, found):
    with pytest.raises(ValueError, match=f"Bad network: must map .* found {found}"):
        MCR2Classifier(network, random_state=0).fit(X, Y)


def test_networks_of_another_input_size_are_refused():
    with pytest.raises(ValueError, match=r"Bad network: must map .* 64\) .* raised"):
        MCR2Classifier(torch.nn.Linear(5, 2), random_state=0).fit(X, Y)


@pytest.mark.parametrize("shape", [(0, 8), (-8, -8), (8.0, 8.0), (8, "a"), (8,)])
def test_shapes_of_images_are_checked(shape):
    with pytest.raises(ValueError, match="Bad signal_shape: must be"):
        MCR2Classifier(signal_shape=shape, **FAST).fit(X, Y)


@pytest.mark.parametrize("loss", ["mcr2", "cross_entropy"])
def test_training_that_diverges_is_named(loss):
    model = MCR2Classifier(loss=loss, learning_rate=1e30, **FAST)
    with pytest.raises(ValueError, match="Bad learning_rate: training diverges"):
        model.fit(np.tile(X, (2, 1)), np.tile(Y, 2))


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_devices_that_cannot_be_used_are_named(device):
    with pytest.raises(ValueError, match=f"Bad device: must be .* found '{device}'"):
        MCR2Classifier(device=device, **FAST).fit(X, Y)


@pytest.mark.parametrize("loss", ["mcr2", "cross_entropy"])
def test_parts_train_the_same_network_further(loss):
    model = MCR2Classifier(signal_shape=(8, 8), loss=loss, random_state=0)
    curve = []
    for _ in range(4):
        for part in np.split(np.arange(400), 4):
            model.partial_fit(X[part], Y[part], classes=np.arange(10))
            curve.append(model.loss_curve_[-1])
    assert model.n_iter_ == len(model.loss_curve_) == 16
    assert curve == model.loss_curve_
    assert curve[-1] < curve[3] < curve[0]
    assert model.score(NEW, TRUE) > 0.7
    # The head is that of the present features of the last samples.
    other = MICLClassifier().fit(model.transform(np.tile(X, (4, 1))), np.tile(Y, 4))
    assert_allclose(
        model.predict_proba(NEW), other.predict_proba(model.transform(NEW)), atol=1e-6
    )
    # After `fit`, which starts anew, the network is trained further.
    model.set_params(max_iter=2)
    whole = clone(model).fit(X, Y)
    assert_array_equal(model.fit(X, Y).predict_proba(NEW), whole.predict_proba(NEW))
    before = whole.loss_curve_
    whole.partial_fit(X, Y)
    assert whole.loss_curve_[:-1] == before
    assert whole.loss_curve_[-1] < before[-1]


def test_parts_need_not_contain_all_classes():
    model, few = MCR2Classifier(**FAST), Y < 2
    model.partial_fit(X[few], Y[few], classes=np.arange(3))
    assert model.predict_proba(NEW).shape == (len(NEW), 3)
    assert (model.predict_proba(NEW)[:, 2] == 0).all()
    for y, classes, message in [
        (Y[few] + 5, None, "y contains labels"),
        (Y[few], [0, 1], "differ from those of the first call"),
    ]:
        before = model.predict_proba(NEW)
        with pytest.raises(ValueError, match=message):
            model.partial_fit(X[few], y, classes)
        assert_array_equal(model.predict_proba(NEW), before)
    with pytest.raises(ValueError, match="classes must be given in the first"):
        MCR2Classifier(**FAST).partial_fit(X, Y)


def test_samples_that_are_kept_of_a_large_part_have_all_classes(monkeypatch):
    limit(monkeypatch, RECENT=60)
    order = np.argsort(Y, kind="stable")
    model = MCR2Classifier(**FAST).partial_fit(X[order], Y[order], np.arange(10))
    assert_array_equal(model.head_.classes_, np.arange(10))
    model.partial_fit(X[:20], Y[:20])
    recent = np.concatenate([order[np.arange(60) * len(Y) // 60][20:], np.arange(20)])
    head = MICLClassifier().fit(model.transform(X[recent]), Y[recent])
    expected = head.predict_proba(model.transform(NEW))
    assert_allclose(model.predict_proba(NEW), expected, atol=1e-6)


def test_a_failed_warm_start_leaves_the_network_as_it_was():
    model = MCR2Classifier(warm_start=True, **FAST).fit(X, Y)
    before = model.transform(NEW)
    model.set_params(head=Fails())
    with pytest.raises(RuntimeError, match="this head always fails"):
        model.fit(X, Y)
    assert_array_equal(model.transform(NEW), before)


class Fails(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        raise RuntimeError("this head always fails")


def test_numbers_of_any_magnitude():
    models = [MCR2Classifier(**FAST).fit(Z, Y) for Z in (X, X * 2.0**900, X / 2.0**900)]
    for model, factor in zip(models, (1.0, 2.0**900, 2.0**-900), strict=True):
        assert_array_equal(model.transform(NEW * factor), models[0].transform(NEW))
    with pytest.raises(ValueError, match="inputs of the network overflow in float32"):
        models[0].predict(NEW * 1e200)
    with pytest.raises(ValueError, match="inputs of the network overflow in float32"):
        MCR2Classifier(**FAST).fit(X * 1e307, Y)


def test_the_benchmark_draws_labels_anew(module, tmp_path, monkeypatch):
    script = module("network_labels")
    monkeypatch.setattr(script, "EPOCHS", (1, 2))
    arguments = ["--runs", "1", "--shares", "0.5"]
    script.main([*arguments, "--output", str(tmp_path / "out.md")])
    text = (tmp_path / "out.md").read_text(encoding="utf-8")
    assert "| MCR², early, nearest subspace" in text
    y = np.arange(5000) % 10
    assert 0.52 < np.mean(script.corrupted(y, 0.5, 0) == y) < 0.58


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_training_on_a_gpu():
    model = MCR2Classifier(device="cuda", **FAST).fit(X, Y)
    assert model.score(X, Y) > 0.5
