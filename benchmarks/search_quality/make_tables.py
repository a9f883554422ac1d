"""Writes the tables of scikit-learn models under `data`: `python benchmarks/search_quality/make_tables.py`.

Each cell is the error of one model on data that scikit-learn ships, by cross-validation with fixed folds.
Takes some minutes on one core.
"""

from __future__ import annotations

import itertools
import json
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

_DATA = Path(__file__).resolve().parent / "data"
Grid = Mapping[str, Sequence[Any]]


def svm_breast_cancer(setting: Mapping[str, Any]) -> float:
    """Error of a support vector machine."""
    model = make_pipeline(StandardScaler(), SVC(**setting, degree=2, max_iter=20_000))
    return _error(model, *datasets.load_breast_cancer(return_X_y=True))


def knn_digits(setting: Mapping[str, Any]) -> float:
    """Error of nearest neighbours on a third of the digits."""
    data, target = datasets.load_digits(return_X_y=True)
    return _error(KNeighborsClassifier(**setting, algorithm="brute"), data[::3], target[::3])


def sgd_digits(setting: Mapping[str, Any]) -> float:
    """Error of a linear model after 8 epochs on half of the digits."""
    data, target = datasets.load_digits(return_X_y=True)
    model = make_pipeline(StandardScaler(), SGDClassifier(**setting, max_iter=8, tol=None, random_state=0))
    return _error(model, data[::2], target[::2])


def boosting_diabetes(setting: Mapping[str, Any]) -> float:
    """Relative squared error of 40 boosted trees."""
    data, target = datasets.load_diabetes(return_X_y=True)
    folds = KFold(2, shuffle=True, random_state=0)
    model = GradientBoostingRegressor(**setting, n_estimators=40, random_state=0)
    return float(1.0 - np.mean(cross_val_score(model, data, target, cv=folds, scoring="r2")))


def forest_wine(setting: Mapping[str, Any]) -> float:
    """Error of a small random forest, in probability."""
    data, target = datasets.load_wine(return_X_y=True)
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    model = RandomForestClassifier(**setting, n_estimators=10, random_state=0)
    return float(-np.mean(cross_val_score(model, data, target, cv=folds, scoring="neg_log_loss")))


def _error(model: Any, data: Any, target: Any) -> float:
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    return float(1.0 - np.mean(cross_val_score(model, data, target, cv=folds)))


def _powers(base: float, low: int, high: int, step: int = 1) -> list[float]:
    return [float(f"{base**exponent:.6g}") for exponent in range(low, high + 1, step)]


TABLES: Mapping[str, tuple[Callable[[Mapping[str, Any]], float], Grid]] = {
    "svm-breast-cancer": (
        svm_breast_cancer,
        {
            "C": _powers(2.0, -6, 10),
            "gamma": _powers(2.0, -14, 2),
            "kernel": ["rbf", "poly", "sigmoid"],
        },
    ),
    "knn-digits": (
        knn_digits,
        {
            "n_neighbors": list(range(1, 31)),
            "weights": ["uniform", "distance"],
            "p": [1, 2],
        },
    ),
    "sgd-digits": (
        sgd_digits,
        {
            "alpha": _powers(10.0, -6, 0),
            "eta0": _powers(10.0, -4, 0),
            "penalty": ["l2", "l1", "elasticnet"],
            "learning_rate": ["constant", "invscaling", "adaptive"],
            "loss": ["hinge", "log_loss", "modified_huber"],
        },
    ),
    "boosting-diabetes": (
        boosting_diabetes,
        {
            "learning_rate": [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64],
            "max_depth": [1, 2, 3, 4, 5, 6],
            "subsample": [0.3, 0.6, 1.0],
            "min_samples_leaf": [1, 8, 30],
            "max_features": [0.3, 1.0],
        },
    ),
    "forest-wine": (
        forest_wine,
        {
            "max_depth": [1, 2, 3, 5, 8, 12],
            "max_features": [0.1, 0.2, 0.4, 0.7, 1.0],
            "min_samples_leaf": [1, 2, 4, 8, 16],
            "criterion": ["gini", "entropy"],
            "bootstrap": [True, False],
        },
    ),
}


def main() -> None:
    """Writes the tables that are named, or all of them."""
    warnings.simplefilter("ignore")
    for name in sys.argv[1:] or TABLES:
        measure, grid = TABLES[name]
        cells = (dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values()))
        losses = [round(measure(cell), 5) for cell in cells]
        parameters = [
            {"name": key, "values": [each if _is_number(each) else str(each) for each in values]}
            for key, values in grid.items()
        ]
        table = {"parameters": parameters, "losses": losses}
        (_DATA / f"{name}.json").write_text(json.dumps(table) + "\n", encoding="utf-8")
        print(f"wrote {name}: {len(losses)} cells", flush=True)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


if __name__ == "__main__":
    main()
