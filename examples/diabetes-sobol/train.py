"""Predicts the course of diabetes with an elastic net and prints the cross-validated error."""

from __future__ import annotations

import argparse

from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNet
from sklearn.model_selection import cross_val_score

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=0.1)
parser.add_argument("--l1-ratio", type=float, default=0.5)
args = parser.parse_args()

features, progress = load_diabetes(return_X_y=True)
model = ElasticNet(alpha=args.alpha, l1_ratio=args.l1_ratio, max_iter=10_000)
scores = cross_val_score(model, features, progress, cv=5, scoring="neg_root_mean_squared_error")
print(f"rmse={-scores.mean():.3f}")
