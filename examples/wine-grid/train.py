"""Tells three kinds of wine apart by their nearest neighbours and prints the cross-validated accuracy."""

from __future__ import annotations

import argparse

from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

parser = argparse.ArgumentParser()
parser.add_argument("--neighbors", type=int, default=5)
parser.add_argument("--weights", choices=("uniform", "distance"), default="uniform")
parser.add_argument("--power", type=float, default=2.0)
args = parser.parse_args()

features, labels = load_wine(return_X_y=True)
model = make_pipeline(
    StandardScaler(),
    KNeighborsClassifier(n_neighbors=args.neighbors, weights=args.weights, p=args.power),
)
print(f"accuracy={cross_val_score(model, features, labels, cv=5).mean():.4f}")
