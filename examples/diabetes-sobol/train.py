"""Predicts the course of diabetes with an elastic net and prints the cross-validated error."""

from __future__ import annotations

import argparse
from importlib.metadata import distribution

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=0.1)
parser.add_argument("--l1-ratio", type=float, default=0.5)
parser.add_argument("--sweeps", type=int, default=100)
args = parser.parse_args()

# The data come with scikit-learn, to import which would take longer than this training.
data = distribution("scikit-learn").locate_file("sklearn/datasets/data")
features = np.loadtxt(f"{data}/diabetes_data_raw.csv.gz")
progress = np.loadtxt(f"{data}/diabetes_target.csv.gz")
features = (features - features.mean(axis=0)) / features.std(axis=0) / np.sqrt(len(features))

errors = []
for fold in range(5):
    held_out = np.arange(len(features)) % 5 == fold
    x, mean = features[~held_out], progress[~held_out].mean()
    products, target = x.T @ x / len(x), x.T @ (progress[~held_out] - mean) / len(x)
    weights = np.zeros(x.shape[1])
    for _ in range(args.sweeps):  # each weight in turn goes to where the others leave its minimum
        for own in range(len(weights)):
            pull = target[own] - products[own] @ weights + products[own, own] * weights[own]
            shrunk = np.sign(pull) * max(abs(pull) - args.alpha * args.l1_ratio, 0)
            weights[own] = shrunk / (products[own, own] + args.alpha * (1 - args.l1_ratio))
    predicted = features[held_out] @ weights + mean
    errors.append(np.sqrt(np.mean((predicted - progress[held_out]) ** 2)))
print(f"rmse={np.mean(errors):.3f}")
