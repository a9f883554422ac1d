"""Fits a linear support vector machine; one combination of penalty and loss does not exist and fails."""

from __future__ import annotations

import argparse

from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

parser = argparse.ArgumentParser()
parser.add_argument("--penalty", choices=("l1", "l2"), default="l2")
parser.add_argument("--loss", choices=("hinge", "squared_hinge"), default="squared_hinge")
parser.add_argument("--c", type=float, default=1.0)
args = parser.parse_args()

features, labels = load_wine(return_X_y=True)
classifier = LinearSVC(penalty=args.penalty, loss=args.loss, C=args.c, dual="auto", max_iter=5000)
model = make_pipeline(StandardScaler(), classifier)
# error_score="raise": a score of NaN would hide the reason, a traceback tells it.
scores = cross_val_score(model, features, labels, cv=5, error_score="raise")
print(f"accuracy={scores.mean():.4f}")
