"""Compare classification and clustering by compression with well-known methods.

Run it with ``python examples/quickstart.py``. With ``--fast``, it uses two folds
instead of five, and clusters small tables only. It needs only skredu and scikit-learn,
downloads nothing, and takes about a minute.
"""

import argparse
import time
from itertools import product
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_validate,
    train_test_split,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

import skredu
from skredu import (
    CompressionClustering,
    ConvolutionalLifting,
    InvariantReduNetClassifier,
    MICLClassifier,
    NearestSubspaceClassifier,
    ReduNetClassifier,
    ReduNetTransformer,
)

# Each data set with the preprocessing at the start of its pipelines: the pixels of the
# digits share a unit and are scaled to [0, 1], the columns of tables are standardised.
DATASETS = {
    "digits": (load_digits, FunctionTransformer(lambda X: X / 16)),
    "breast cancer": (load_breast_cancer, StandardScaler()),
    "wine": (load_wine, StandardScaler()),
}

# epsilon is a length in the units of the samples, the size of the details that are not
# worth coding. Small values keep fine structure, large values regularise strongly. The
# default "auto" chooses it by leave-one-out in closed form, without refitting the
# model; a grid search finds a similar value but takes longer.
EPSILONS = {"miclclassifier__epsilon": [0.5, 1.0, 1.5, 2.0, 3.0, 5.0]}

# Data sets to cluster. For many samples the choice of epsilon takes long, so for the
# digits we use the noise that PCA estimates from the components that it leaves out.
GROUPS = {
    "iris": (load_iris, FunctionTransformer()),
    "wine, 5 components": (load_wine, make_pipeline(StandardScaler(), PCA(5))),
    "digits, 10 components": (load_digits, PCA(10, random_state=0)),
}


def models(scale: TransformerMixin) -> dict[str, BaseEstimator]:
    """Return the models of all rows of the table, by name."""

    def pipe(model: BaseEstimator) -> Pipeline:
        return make_pipeline(scale, model)

    return {
        # MICL predicts the class in which a sample costs the fewest extra bits. Classes
        # are Gaussians or subspaces of any rank ...
        "MICL": pipe(MICLClassifier()),
        "MICL, grid search": GridSearchCV(pipe(MICLClassifier()), EPSILONS, n_jobs=2),
        # ... the same in the feature space of a kernel ...
        "MICL, rbf": pipe(MICLClassifier(kernel="rbf")),
        # ... or with only those samples of each class that are close to the new sample.
        "MICL, local": pipe(MICLClassifier(n_neighbors=20)),
        # A network that adds layers as long as they help, without back-propagation.
        "ReduNet": pipe(ReduNetClassifier()),
        # A simpler rule: the smallest distance to subspaces of fixed dimensions.
        "nearest subspace": pipe(NearestSubspaceClassifier(0.8, assume_centered=False)),
        # Classifiers of scikit-learn.
        "LDA": pipe(LinearDiscriminantAnalysis()),
        "QDA, reg_param=0.1": pipe(QuadraticDiscriminantAnalysis(reg_param=0.1)),
        "logistic regression": pipe(LogisticRegression(max_iter=5000)),
        "k-nearest neighbours": pipe(KNeighborsClassifier()),
        "SVC, rbf": pipe(SVC()),
    }


def compare(X: Any, y: Any, scale: TransformerMixin, folds: StratifiedKFold) -> None:
    """Cross-validate all models on the same folds, and print a line for each."""
    print(f"{'':22} {'accuracy':>15} {'fit':>9} {'predict':>9}")
    for name, model in models(scale).items():
        result = cross_validate(model, X, y, cv=folds, error_score="raise")
        score, fit = result["test_score"], result["fit_time"].mean()
        print(
            f"{name:22} {score.mean():.4f} ± {score.std():.4f}"
            f" {1e3 * fit:6.0f} ms {1e3 * result['score_time'].mean():6.0f} ms",
            flush=True,
        )


def peers(k: int) -> dict[str, ClusterMixin]:
    """Return clustering methods of scikit-learn, by name."""
    return {
        "KMeans, k given": KMeans(k, n_init=10, random_state=0),
        "Ward, k given": AgglomerativeClustering(k),
        "GaussianMixture, k given": GaussianMixture(k, n_init=3, random_state=0),
        "HDBSCAN": HDBSCAN(copy=True),
    }


def cluster(name: str, model: ClusterMixin, X: Any, y: Any) -> None:
    """Cluster the samples by one method, and print a line."""
    start = time.perf_counter()
    labels = model.fit_predict(X)
    milliseconds = 1e3 * (time.perf_counter() - start)
    groups, score = labels.max() + 1, adjusted_rand_score(y, labels)
    print(f"{name:32} {groups:6} {score:6.3f} {milliseconds:6.0f} ms", flush=True)


def compare_groups(X: Any, y: Any, epsilon: float | str) -> None:
    """Cluster the samples by all methods."""
    print(f"{'':32} {'groups':>6} {'ARI':>6} {'time':>9}")
    # Groups of any shape; their number is the one that takes the fewest bits ...
    model = CompressionClustering(epsilon, n_jobs=2)
    cluster("CompressionClustering", model, X, y)
    # ... or is given, with the same distortion.
    k = y.max() + 1
    wish = CompressionClustering(model.epsilon_, n_clusters=k)
    cluster("CompressionClustering, k given", wish, X, y)
    for name, peer in peers(k).items():
        cluster(name, peer, X, y)


def compare_shifts() -> None:
    """Compare classifiers on digits, and on all cyclic shifts of the digits."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y, train_size=300, test_size=100, stratify=y, random_state=0
    )
    grid, shifts = (8, 8), product(range(8), repeat=2)
    images = X_test.reshape(-1, *grid)
    moved = np.concatenate([np.roll(images, shift, (1, 2)) for shift in shifts])
    moved, y_moved = moved.reshape(-1, 64), np.tile(y_test, 64)
    # After a few small filters, all shifts of an image are coded at once, in the
    # Fourier domain: a shift changes no prediction, and no shifted copies are needed.
    lifting = ConvolutionalLifting(signal_shape=grid, random_state=0)
    net = InvariantReduNetClassifier(3)
    for name, model in {
        "invariant ReduNet": make_pipeline(lifting, net),
        "SVC, rbf": SVC(),
    }.items():
        model.fit(X_train, y_train)
        here, anywhere = model.score(X_test, y_test), model.score(moved, y_moved)
        print(f"{name:22} {here:11.3f} {anywhere:11.3f}", flush=True)


def main() -> None:
    """Compare the methods on all data sets."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fast", action="store_true", help="two folds, not five")
    fast = parser.parse_args().fast
    n_folds = 2 if fast else 5
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=0)
    print(f"skredu {skredu.__version__}: {n_folds}-fold accuracy, mean times per fold")

    for name, (load, scale) in DATASETS.items():
        X, y = load(return_X_y=True)
        n, d = X.shape
        print(f"\n{name}: {n} rows, {d} features, {y.max() + 1} classes")
        compare(X, y, scale, folds)
        micl = make_pipeline(scale, MICLClassifier()).fit(X, y)[-1]
        bits = micl.class_coding_length_.sum() / n
        print(f'epsilon="auto" chose {micl.epsilon_:.2f}: {bits:.0f} bits per row')
        net = make_pipeline(scale, ReduNetTransformer(10, eta=0.5)).fit(X, y)[-1]
        first, *_, last = net.rates_["delta_R"]
        print(f"ReduNetTransformer: rate reduction {first:.1f} nats,", end=" ")
        print(f"{last:.1f} after {net.n_iter_} layers")

    print("\nClustering; ARI is the adjusted Rand index between groups and classes")
    for name, (load, prepare) in GROUPS.items():
        if fast and load is load_digits:
            continue
        X, y = load(return_X_y=True)
        X = prepare.fit_transform(X)
        n, d = X.shape
        print(f"\n{name}: {n} rows to cluster, {d} features, {y.max() + 1} classes")
        noise = (d * prepare.noise_variance_) ** 0.5 if load is load_digits else "auto"
        compare_groups(X, y, epsilon=noise)

    print("\nDigits, 300 training samples, tested on all 64 cyclic shifts of an image")
    print(f"{'accuracy':22} {'unshifted':>11} {'all shifts':>11}")
    compare_shifts()


if __name__ == "__main__":
    main()
