"""Fitted estimators as every release has pickled them, with their results.

``python tests/pickles.py`` writes those of the version that Python imports to
``tests/data``. It is run before a release, and before that whenever the fitted state
changes; the file of a version that was released never changes again. Models
with neighbours are left out: they hold a search of scikit-learn, whose pickles are for
one version only.
"""

import pickle
from pathlib import Path

import numpy as np

import skredu
from skredu import (
    CodingGainSelector,
    CompressionClustering,
    CompressionOutlierDetector,
    ConvolutionalLifting,
    DilatedKernelTransformer,
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    MCR2Transformer,
    MICLClassifier,
    NearestSubspaceClassifier,
    PolarTransformer,
    ReduNetClassifier,
    ReduNetTransformer,
    ScatteringTransformer,
)

FOLDER = Path(__file__).parent / "data"
MODELS = [
    MICLClassifier(),
    MICLClassifier(kernel="rbf"),
    NearestSubspaceClassifier(),
    CompressionClustering(0.5),
    CompressionOutlierDetector(n_neighbors=None),
    ReduNetClassifier(2, n_iter_no_change=None),
    ReduNetTransformer(2, 0.5),
    InvariantReduNetClassifier(1),
    InvariantReduNetClassifier(0),
    InvariantReduNetTransformer(1, 0.5, output="invariant"),
    MCR2Transformer(2, n_layers=2, random_state=0),
    ConvolutionalLifting(2, 2, random_state=0),
    DilatedKernelTransformer(84, random_state=0),
    PolarTransformer(n_radii=1, n_angles=4),
    ScatteringTransformer(),
    CodingGainSelector(),
]
METHODS = ("predict", "predict_proba", "decision_function", "transform")


def answers(model, X):
    """Return the results of all methods of a fitted model."""
    found = {name: getattr(model, name, None) for name in METHODS}
    return {name: method(X) for name, method in found.items() if method is not None}


def write():
    """Write the file of this version."""
    y = np.arange(30) % 3
    X = np.random.default_rng(0).normal(size=(30, 4)) + 2 * np.eye(3, 4)[y]
    kept = {}
    for model in MODELS:
        name = "".join(str(model).split())
        kept[name] = pickle.dumps(model.fit(X, y), 4), answers(model, X)
    file = FOLDER / f"skredu-{skredu.__version__}.pickle"
    file.write_bytes(pickle.dumps((X, kept), 4))
    print(f"{file}: {len(kept)} models, {file.stat().st_size} bytes")


if __name__ == "__main__":
    write()
