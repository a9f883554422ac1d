"""Fits a linear support vector machine to the wine data and prints its cross-validated accuracy."""

from __future__ import annotations

import argparse

from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

parser = argparse.ArgumentParser()
parser.add_argument("--c", type=float, default=1.0)
args = parser.parse_args()

features, labels = load_wine(return_X_y=True)
model = make_pipeline(StandardScaler(), LinearSVC(C=args.c, dual=False, max_iter=5000, random_state=0))
print(f"accuracy={cross_val_score(model, features, labels, cv=5).mean():.4f}")
