"""Fits kernel ridge regression to the diabetes data and prints its cross-validated error."""

from __future__ import annotations

import argparse
from importlib.metadata import distribution

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=1.0)
parser.add_argument("--gamma", type=float, default=1.0)
args = parser.parse_args()

# The data come with scikit-learn, to import which would take longer than this training.
data = distribution("scikit-learn").locate_file("sklearn/datasets/data")
features = np.loadtxt(f"{data}/diabetes_data_raw.csv.gz")
progress = np.loadtxt(f"{data}/diabetes_target.csv.gz")
features = (features - features.mean(axis=0)) / features.std(axis=0) / np.sqrt(len(features))

distances = ((features[:, None] - features) ** 2).sum(axis=2)
kernel = np.exp(-args.gamma * distances)
errors = []
for fold in range(5):
    held_out = np.arange(len(features)) % 5 == fold
    known = ~held_out
    penalty = args.alpha * np.eye(known.sum())
    weights = np.linalg.solve(kernel[np.ix_(known, known)] + penalty, progress[known])
    predicted = kernel[np.ix_(held_out, known)] @ weights
    errors.append(np.sqrt(np.mean((predicted - progress[held_out]) ** 2)))
print(f"rmse={np.mean(errors):.3f}")
