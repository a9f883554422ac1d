"""Fits kernel ridge regression to the diabetes data and prints its cross-validated error."""

from __future__ import annotations

import argparse

from sklearn.datasets import load_diabetes
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import cross_val_score

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=1.0)
parser.add_argument("--gamma", type=float, default=1.0)
args = parser.parse_args()

features, progress = load_diabetes(return_X_y=True)
model = KernelRidge(kernel="rbf", alpha=args.alpha, gamma=args.gamma)
scores = cross_val_score(model, features, progress, cv=5, scoring="neg_root_mean_squared_error")
print(f"rmse={-scores.mean():.3f}")
