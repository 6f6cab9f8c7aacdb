"""Classify real data by compression, beside the classifiers you know.

Run it with ``python examples/quickstart.py`` (``--fast`` for two folds instead of
five). It needs nothing but skredu and scikit-learn, downloads nothing, and takes well
under a minute.
"""

import argparse
from typing import Any

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

import skredu
from skredu import MICLClassifier, NearestSubspaceClassifier

# Each data set with the preprocessing that opens its pipelines: pixels of digits
# already share one unit and go to [0, 1], columns of tables are standardised.
DATASETS = {
    "digits": (load_digits, FunctionTransformer(lambda X: X / 16)),
    "breast cancer": (load_breast_cancer, StandardScaler()),
    "wine": (load_wine, StandardScaler()),
}

# epsilon is a length in the units of the rows, the size of the details that are not
# worth coding: small for fine structure, large for strong regularisation. The default
# "auto" finds it by leave-one-out in closed form, without fitting a model again; a grid
# search gets there too, the long way round.
EPSILONS = {"miclclassifier__epsilon": [0.5, 1.0, 1.5, 2.0, 3.0, 5.0]}


def models(scale: TransformerMixin) -> dict[str, BaseEstimator]:
    """Every row of the table."""

    def pipe(model: BaseEstimator) -> Pipeline:
        return make_pipeline(scale, model)

    return {
        # A row goes to the class in which it costs the fewest extra bits. Classes are
        # Gaussians or subspaces of any rank ...
        "MICL": pipe(MICLClassifier()),
        "MICL, grid search": GridSearchCV(pipe(MICLClassifier()), EPSILONS, n_jobs=2),
        # ... the same in the feature space of a kernel ...
        "MICL, rbf": pipe(MICLClassifier(kernel="rbf")),
        # ... or only the rows of each class around the row that is coded.
        "MICL, local": pipe(MICLClassifier(n_neighbors=20)),
        # Simpler: subspaces of fixed dimensions, and the distance to them.
        "nearest subspace": pipe(NearestSubspaceClassifier(0.8, assume_centered=False)),
        # Those of scikit-learn.
        "LDA": pipe(LinearDiscriminantAnalysis()),
        "QDA, reg_param=0.1": pipe(QuadraticDiscriminantAnalysis(reg_param=0.1)),
        "logistic regression": pipe(LogisticRegression(max_iter=5000)),
        "k-nearest neighbours": pipe(KNeighborsClassifier()),
        "SVC, rbf": pipe(SVC()),
    }


def compare(X: Any, y: Any, scale: TransformerMixin, folds: StratifiedKFold) -> None:
    """Cross-validate every model on the same folds; print a line for each."""
    print(f"{'':22} {'accuracy':>15} {'fit':>9} {'predict':>9}")
    for name, model in models(scale).items():
        result = cross_validate(model, X, y, cv=folds, error_score="raise")
        score, fit = result["test_score"], result["fit_time"].mean()
        print(
            f"{name:22} {score.mean():.4f} ± {score.std():.4f}"
            f" {1e3 * fit:6.0f} ms {1e3 * result['score_time'].mean():6.0f} ms",
            flush=True,
        )


def main() -> None:
    """Go through the data sets."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fast", action="store_true", help="two folds, not five")
    n_folds = 2 if parser.parse_args().fast else 5
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=0)
    print(f"skredu {skredu.__version__}: {n_folds}-fold accuracy, mean times of a fold")

    for name, (load, scale) in DATASETS.items():
        X, y = load(return_X_y=True)
        n, d = X.shape
        print(f"\n{name}: {n} rows, {d} features, {y.max() + 1} classes")
        compare(X, y, scale, folds)
        micl = make_pipeline(scale, MICLClassifier()).fit(X, y)[-1]
        bits = micl.class_coding_length_.sum() / n
        print(f'epsilon="auto" chose {micl.epsilon_:.2f}: {bits:.0f} bits code a row')


if __name__ == "__main__":
    main()
