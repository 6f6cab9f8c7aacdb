"""Clustering with weights of any size: the unit of weights only affects bits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skredu import CompressionClustering
from skredu.rates import partition_coding_length

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
N = 24
X = RNG.normal(size=(N, 2)) + 6.0 * np.array([[0, 0], [1, 0], [0, 1]])[np.arange(N) % 3]
CHAIN = np.eye(N, k=1)
SETTINGS = {
    "given": {"epsilon": 0.5},
    "fine": {"epsilon": 0.01},
    "centered": {"epsilon": 0.5, "assume_centered": True},
    "graph": {"epsilon": 0.5, "connectivity": CHAIN},
    "number": {"epsilon": 0.5, "n_clusters": 3},
    "auto": {},
}
WEIGHTS = {
    "wide": 10.0 ** RNG.uniform(-12.0, 12.0, N),
    "wider": 10.0 ** RNG.uniform(-300.0, 290.0, N),
    "one heavy row": np.where(np.arange(N) == 5, 1e9, 1.0),
    "huge": np.full(N, 1e300),
    "large": RNG.uniform(1.0, 2.0, N) * 1e14,
    "tiny": RNG.uniform(1.0, 2.0, N) * 1e-200,
    "denormal": np.full(N, 5e-324),
}
EVEN = "huge", "large", "tiny", "denormal"  # a choice that takes long is left out


# beside rows that are this heavy, no three groups are large enough
@pytest.mark.filterwarnings("ignore:n_clusters=3 groups with a total:UserWarning")
@pytest.mark.parametrize(
    ("settings", "weights"),
    [(s, w) for s in SETTINGS for w in WEIGHTS if s != "auto" or w not in EVEN],
)
def test_weights_of_any_size_give_a_finite_result(settings, weights):
    model = CompressionClustering(**SETTINGS[settings])
    model.fit(X, sample_weight=WEIGHTS[weights])
    assert np.isfinite(model.coding_length_)
    assert np.isfinite(model.merge_costs_).all()
    if settings != "auto":  # which takes the number of groups from elsewhere
        assert model.coding_length_ <= model.greedy_coding_length_ * (1.0 + 1e-12)
    assert set(model.predict(X)) <= set(model.labels_)
    counting = model.labels_ >= 0
    sizes = np.bincount(model.labels_[counting], WEIGHTS[weights][counting] * 1e-10)
    found, least = model.cluster_sizes_ * 1e-10, 1e-99 * sizes.max()
    assert_allclose(found, sizes, rtol=1e-9, atol=least)


@pytest.mark.parametrize("weights", ["wide", "one heavy row", "large"])
@pytest.mark.parametrize("centered", [False, True])
def test_bits_are_those_of_the_labels(weights, centered):
    options = {"epsilon": 0.5, "assume_centered": centered}
    model = CompressionClustering(**options, min_cluster_size=1)
    model.fit(X, sample_weight=WEIGHTS[weights])
    given = {"weights": WEIGHTS[weights], **options}
    bits = partition_coding_length(X, model.labels_, **given)
    assert model.coding_length_ == pytest.approx(bits, rel=1e-7)


@pytest.mark.parametrize("settings", ["given", "graph", "number"])
def test_bits_are_proportional_to_large_weights(settings):
    base = RNG.integers(1, 5, N) * 2.0**56  # bases take no part in bits any more
    model = CompressionClustering(**SETTINGS[settings]).fit(X, sample_weight=base)
    for power in (10, 400, 900):
        heavy = CompressionClustering(**SETTINGS[settings])
        heavy.fit(X, sample_weight=base * 2.0**power)
        assert_array_equal(heavy.labels_, model.labels_)
        assert_array_equal(heavy.predict(X), model.predict(X))
        for name in ("coding_length_", "merge_costs_", "cluster_sizes_"):
            ours, theirs = getattr(heavy, name), getattr(model, name)
            assert_allclose(ours / 2.0**power, theirs, rtol=1e-9, atol=2.0**20)


@pytest.mark.parametrize("power", [-20, -200, -1000])
def test_bits_do_not_depend_on_tiny_weights(power):
    base = RNG.integers(1, 5, N) * 2.0**-60
    model = CompressionClustering(0.5).fit(X, sample_weight=base)
    light = CompressionClustering(0.5).fit(X, sample_weight=base * 2.0**power)
    assert_array_equal(light.labels_, model.labels_)
    assert light.coding_length_ == pytest.approx(model.coding_length_)


@pytest.mark.parametrize("power", [10, 40, 55, 700])
def test_new_rows_are_told_apart_by_heavy_groups(power):
    # bits of a row are small beside those of its group, and no rounding of them
    new = np.random.default_rng(1).normal(scale=4.0, size=(200, 2)) + 2.0
    options = {"epsilon": 0.5, "n_clusters": 3, "min_cluster_size": 1}
    light = CompressionClustering(**options).fit(X, sample_weight=[2.0**10] * N)
    heavy = CompressionClustering(**options)
    heavy.fit(X, sample_weight=[2.0**power] * N)
    assert_array_equal(heavy.labels_, light.labels_)
    assert np.mean(heavy.predict(new) == light.predict(new)) > 0.99


def test_the_least_size_is_compared_in_the_weights_that_were_given():
    with pytest.raises(ValueError, match="sample_weight must be at most"):
        CompressionClustering(0.5).fit(X, sample_weight=np.full(N, 1e305))
    weights = np.full(N, 1e20)
    model = CompressionClustering(0.5, n_clusters=3, min_cluster_size=5 * 10**20)
    model.fit(X, sample_weight=weights)
    assert model.cluster_sizes_.min() >= 5e20 * (1.0 - 1e-9)
    with pytest.raises(ValueError, match="n_clusters=3"):
        model.set_params(min_cluster_size=9 * 10**20).fit(X, sample_weight=weights)
