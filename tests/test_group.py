"""Both forms of groups of coded rows, compared with the definition."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from oracle_micl import coding_length, extra_bits
from oracle_redunet import operators
from oracle_spectral import Family

from skredu.coding import _scatter
from skredu.coding._dense import DenseGroup, group_of_state, packed, packed_forms
from skredu.coding._group import Blocks, Group, vector_blocks
from skredu.coding._scatter import Scatter, group_of, group_of_scatter

NAT = np.log(2.0)
PATH = np.array([0.05, 0.4, 3.0])
SHAPES = [(1, 4), (3, 8), (6, 6), (30, 5)]
WEIGHTS = ["none", "whole", "fractions"]


@pytest.fixture
def forced(monkeypatch):
    """Make groups in one form."""

    def force(factored):
        monkeypatch.setattr(_scatter, "_factored_pays", lambda *_: factored)

    return force


def weights_of(kind, n, rng):
    return {
        "none": None,
        "whole": np.full(n, 2.0),
        "fractions": rng.uniform(0.3, 2, n),
    }[kind]


def data(n, d, kind, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 2.0
    return X, weights_of(kind, n, rng), rng.normal(size=(4, d)) + 1.0


def features(X):
    return X.T[None]


def eigen_group(X, w, centred, by_scatter):
    """Return a group of eigenvectors, from rows or from their scatter."""
    blocks = vector_blocks(X.shape[1], X)
    if not by_scatter:
        return group_of(features(X), w, blocks, centred=centred)
    scatter = Scatter.from_rows(X, w, assume_centered=not centred)
    return group_of_scatter(scatter, blocks)


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("by_scatter", [True, False])
def test_lengths_and_extra_bits_are_those_of_the_definition(
    n, d, kind, centred, by_scatter
):
    X, w, new = data(n, d, kind)
    full, group = np.ones(n) if w is None else w, eigen_group(X, w, centred, by_scatter)
    options = {"assume_centered": not centred}
    found = group.length(PATH)
    expected = [coding_length(X, full, e, **options) * NAT for e in PATH]
    assert_allclose(found, expected, rtol=1e-12)
    found = group.extra(features(new), PATH)
    expected = [[extra_bits(X, full, x, e, **options) for e in PATH] for x in new]
    assert_allclose(found, np.array(expected) * NAT, rtol=1e-9, atol=1e-9)
    copies = np.array([0.5, 1.0, 2.0, 3.0])
    found = group.extra(features(new), np.array([0.4]), copies)[:, 0]
    expected = [
        extra_bits(X, full, x, 0.4, copies=t, **options)
        for x, t in zip(new, copies, strict=True)
    ]
    assert_allclose(found, np.array(expected) * NAT, rtol=1e-9, atol=1e-9)
    # rows without themselves
    found = group.without(features(X), PATH, w)
    for i in range(n):
        rest = np.delete(full, i)
        if rest.sum() == 0.0:
            assert np.isinf(found[i]).all()
            continue
        less = np.delete(X, i, 0), rest, X[i]
        expected = [extra_bits(*less, e, **options) for e in PATH]
        assert_allclose(found[i], np.array(expected) * NAT, rtol=1e-8, atol=1e-8)
    some = np.array([n - 1, 0])
    assert_allclose(
        group.without(features(X[some]), PATH, None if w is None else w[some], some),
        found[some],
        rtol=1e-12,
    )


def soft_projection(X, w, epsilon, d):
    """Matrix that projects on weighted rows, softly."""
    n = w.sum()
    if n < 1e-12:
        return np.zeros((X.shape[1], X.shape[1]))
    eye = np.eye(X.shape[1])
    return eye - np.linalg.inv(eye + d / (n * epsilon**2) * X.T @ np.diag(w) @ X)


@pytest.mark.parametrize("factored", [True, False])
@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_both_forms_score_and_project_at_one_distortion(n, d, kind, factored, forced):
    """Also with a dimension larger than the span that rows are given in."""
    forced(factored)
    X, w, new = data(n, d, kind)
    dim, epsilon, full = d + 3, 0.7, np.ones(n) if w is None else w
    path = np.array([epsilon])
    group = group_of(features(X), w, vector_blocks(dim, X), epsilon=epsilon)
    assert isinstance(group, Group if factored else DenseGroup)
    restored = group_of_state(group.to_state())
    P, S = soft_projection(X, full, epsilon, dim), X.T @ np.diag(full) @ X
    for made in (group, restored):
        volume = -np.linalg.slogdet(np.eye(d) - P)[1]
        assert_allclose(made.volumes(path), [volume], rtol=1e-9)
        assert_allclose(made.matrix(epsilon)[0], P, atol=1e-10)
        assert_allclose(made.project(features(new), epsilon)[0].T, new @ P, atol=1e-9)
        expected = [
            length_in(S + np.outer(z, z), full.sum() + 1, dim, epsilon)
            - length_in(S, full.sum(), dim, epsilon)
            for z in new
        ]
        found = made.extra(features(new), path)[:, 0]
        assert_allclose(found, expected, rtol=1e-9)
    if not factored:
        residual = np.linalg.norm(new - new @ P, axis=1)
        W = group.form_matrix(2)[0]
        assert_allclose(np.linalg.norm(new @ W, axis=1), residual, atol=1e-9)


def length_in(S, n, dim, epsilon):
    """Nats of rows in a span of a space of dimension ``dim``."""
    if n < 1e-12:
        return 0.0
    eye = np.eye(len(S))
    return (n + dim) / 2 * np.linalg.slogdet(eye + dim / (n * epsilon**2) * S)[1]


@pytest.mark.parametrize("factored", [True, False])
@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_both_forms_leave_rows_out(n, d, kind, factored, forced):
    forced(factored)
    X, w, _ = data(n, d, kind)
    epsilon, full = 0.7, np.ones(n) if w is None else w
    group = group_of(
        features(X), w, vector_blocks(d, X), epsilon=epsilon, left_out=True
    )
    nats, projected = group.left_out(features(X), epsilon, w)
    without_nats = group.left_out(features(X), epsilon, w, coded=False)
    assert without_nats[0] is None
    assert_array_equal(without_nats[1], projected)
    for i in range(n):
        rest = full.copy()
        rest[i] = 0.0
        S = X.T @ np.diag(rest) @ X
        after = length_in(S + np.outer(X[i], X[i]), rest.sum() + 1, d, epsilon)
        before = length_in(S, rest.sum(), d, epsilon)
        assert_allclose(nats[i], after - before, rtol=1e-8)
        P = soft_projection(X, rest, epsilon, d)
        assert_allclose(projected[0, :, i], P @ X[i], atol=1e-8)
    part = slice(n // 2, n)
    some = group.left_out(
        features(X[part]), epsilon, None if w is None else w[part], part
    )
    assert_allclose(some[0], nats[part], rtol=1e-12)
    assert_allclose(some[1], projected[:, :, part], atol=1e-12)


def spectra(X, n_channels, T):
    """Half spectra whose squared norms sum to those of the rows, and their counts."""
    counts = np.full(T // 2 + 1, 2.0)
    counts[0] = 1.0
    if T % 2 == 0:
        counts[-1] = 1.0
    Z = np.fft.rfft(X.reshape(len(X), n_channels, T), norm="ortho")
    return Z.transpose(2, 1, 0) * np.sqrt(counts)[:, None, None], counts


@pytest.mark.parametrize("n", [2, 7])
@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("every", [True, False])
def test_blocks_of_signals_are_all_of_their_shifts(n, kind, every):
    """Of all shifts written out, a group has the same lengths, a shift."""
    C, T, epsilon = 3, 6, 0.5
    rng = np.random.default_rng(1)
    X, new = rng.normal(size=(n, C * T)), rng.normal(size=(3, C * T))
    w = weights_of(kind, n, rng)
    full, mask = np.ones(n) if w is None else w, np.ones(n, dtype=bool)
    family = Family(X, np.zeros(n), C, (T,), epsilon, full)
    Z, counts = spectra(X, C, T)
    group = group_of(Z, w, Blocks(C, counts, T), epsilon=None if every else epsilon)
    assert isinstance(group, Group) == (every or n < C)
    path = np.array([epsilon])
    assert_allclose(group.volumes(path) / T / 2, family.rates()[:1], rtol=1e-10)
    Zn = spectra(new, C, T)[0]
    expected = [family.extra(z, mask, full) for z in new]
    assert_allclose(group.extra(Zn, path)[:, 0], expected, rtol=1e-10)
    E = operators(family.Z, family.labels, epsilon, family.weights)[0]
    alpha = C / (full.sum() * epsilon**2)
    projected = [z - E @ z / alpha for z in new]
    assert_allclose(
        group.project(Zn, epsilon), spectra(np.array(projected), C, T)[0], atol=1e-10
    )
    if not every:
        group = group_of(Z, w, group.blocks, epsilon=epsilon, left_out=True)
    nats = group.left_out(Z, epsilon, w)[0]
    for i in range(n):
        rest = full.copy()
        rest[i] = 0.0
        assert_allclose(nats[i], family.extra(X[i], mask, rest), rtol=1e-9)


@pytest.mark.parametrize("i", [0.0, 1.0j])
def test_forms_of_packed_matrices(i):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(2, 3, 4, 4)) + i * rng.normal(size=(2, 3, 4, 4))
    Q, Z = A @ A.conj().transpose(0, 1, 3, 2), A[0] + A[1]
    found = packed_forms(np.stack([packed(Q[0]), packed(Q[1])], axis=1), Z)
    expected = np.einsum("fab,fcb,mfac->fmb", Z.conj(), Z, Q).real
    assert_allclose(found, expected, rtol=1e-12)


def test_packed_forms_of_steep_groups_are_summed_in_double_precision():
    rng = np.random.default_rng(0)
    X, epsilon = rng.normal(size=(9, 18)), 0.003
    X[:, :6] = X[:, 6:12]
    forms = []
    Z, counts = spectra(X, 3, 6)
    single = Z.astype(np.complex64)
    for rows in (single.astype(np.complex128), single):
        group = group_of(rows, None, Blocks(3, counts, 6), epsilon=epsilon)
        forms.append(group.extra(rows, np.array([epsilon])))
    assert_allclose(forms[1], forms[0], rtol=1e-4)


def test_rows_without_themselves_keep_their_digits_in_directions_of_their_own():
    # Fewer rows than features: every row alone spans a direction, and at a small
    # distortion a plain downdate would lose half the digits or more.
    # Also rows of fewer directions than rows.
    wide = data(12, 30, "none")[0]
    for X, epsilon in ((wide, 1e-5), (wide[:, :4] @ wide[:4], 0.1)):
        expected = [
            [extra_bits(np.delete(X, i, 0), np.ones(11), X[i], epsilon)]
            for i in range(12)
        ]
        for by_scatter in (False, True):
            group = eigen_group(X, None, True, by_scatter)
            found = group.without(features(X), np.array([epsilon]))
            assert_allclose(found, np.array(expected) * NAT, rtol=1e-9)


@pytest.mark.parametrize("centred", [True, False])
def test_rows_of_any_weight_without_themselves(centred):
    X, options = data(3, 8, "none")[0], {"assume_centered": not centred}
    for w in (np.full(3, 1e-9), np.full(3, 1e-20), np.array([0.5, 1e9, 1e9])):
        group = group_of(features(X), w, vector_blocks(8, X), centred=centred)
        found = group.without(features(X), np.array([1e-3]), w)[:, 0]
        expected = [
            extra_bits(np.delete(X, i, 0), np.delete(w, i), X[i], 1e-3, **options)
            for i in range(3)
        ]
        assert_allclose(found, np.array(expected) * NAT, rtol=1e-6)


@pytest.mark.parametrize("d", [80, 6])
def test_many_constant_features_cost_no_product_and_change_nothing(d):
    """A product takes less time with a few constant features than without them."""
    X, w = np.full((100, d), 3.0), np.ones(100)
    some, _, _ = data(100, 4, "none")
    X[:, [0, 2, 3, 5]] = some
    new = np.random.default_rng(1).normal(size=(5, d))
    blocks, scatter = vector_blocks(d, X), Scatter.from_rows(X)
    for epsilon in (None, 0.4):
        group = group_of_scatter(scatter, blocks, epsilon)
        varying = None if group.varying is None else group.varying.tolist()
        assert varying == ([0, 2, 3, 5] if d == 80 else None)
        found = group.extra(features(new), np.array([0.4]))[:, 0]
        expected = [extra_bits(X, w, x, 0.4) * NAT for x in new]
        assert_allclose(found, expected, rtol=1e-10)
    group = group_of_scatter(scatter, blocks)
    found = group.without(features(X[:5]), np.array([0.4]), None, slice(5))
    for i in range(5):
        rest = np.delete(X, i, axis=0)
        assert_allclose(found[i], extra_bits(rest, w[1:], X[i], 0.4) * NAT, rtol=1e-9)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("epsilon", [0.05, 1.0, 50.0])
def test_matrices_code_rows_like_eigenvectors(epsilon, centred):
    X, w, new = data(60, 6, "fractions")
    scatter = Scatter.from_rows(X, w, assume_centered=not centred)
    blocks = vector_blocks(6, X)
    dense = group_of_scatter(scatter, blocks, epsilon)
    group = group_of_scatter(scatter, blocks)
    assert isinstance(dense, DenseGroup)
    path = np.array([epsilon])
    found, expected = (g.extra(features(new), path) for g in (dense, group))
    assert_allclose(found, expected, rtol=1e-10)
    assert_allclose(dense.length(path), group.length(path), rtol=1e-12)
    assert isinstance(group_of_scatter(scatter, blocks, 1e-6), Group)


@pytest.mark.parametrize("epsilon", [1e-2, 1e-4])
def test_few_rows_in_single_precision_keep_the_bits_of_rows_in_their_span(epsilon):
    """A difference of squares times a large factor would lose ten of 350 bits."""
    X = np.random.default_rng(0).normal(size=(10, 50)).astype(np.float32)
    group = group_of(features(X), None, vector_blocks(50, X))
    exact = group_of(features(X.astype(float)), None, vector_blocks(50, X))
    path = np.array([epsilon])
    found = group.extra(features(X), path) / NAT
    expected = exact.extra(features(X.astype(float)), path) / NAT
    assert_allclose(found, expected, atol=0.05)


def test_steep_groups_are_factored():
    X, _, _ = data(30, 5, "none")
    rows = features(X), None, vector_blocks(5, X)
    assert isinstance(group_of(*rows, epsilon=1.0), DenseGroup)
    assert isinstance(group_of(*rows, epsilon=1e-6), Group)
    assert isinstance(group_of(*rows, epsilon=0.01, exact=True), Group)
