"""Trains an averaged perceptron on the iris data; says which trial it is before it says how good it is."""

from __future__ import annotations

import argparse
from importlib.metadata import distribution

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=0.0001)
for name in ("trial-name", "trial-namespace", "job-kind", "job-api-version", "team", "purpose"):
    parser.add_argument(f"--{name}", required=True)
args = parser.parse_args()

print(f"{args.trial_namespace}/{args.trial_name} is a {args.job_kind} of {args.job_api_version}")
print(f"it belongs to the team {args.team}; its purpose: {args.purpose}")

# The data come with scikit-learn, to import which would take longer than this training.
file = distribution("scikit-learn").locate_file("sklearn/datasets/data/iris.csv")
table = np.loadtxt(str(file), delimiter=",", skiprows=1)
features, species = table[:, :-1], table[:, -1].astype(int)
features = (features - features.mean(axis=0)) / features.std(axis=0)
features = np.column_stack([features, np.ones(len(features))])
signs = np.where(species[:, None] == np.arange(3), 1, -1)

accuracies = []
for fold in range(5):
    held_out = np.arange(len(species)) % 5 == fold
    rng, weights, total = np.random.default_rng(0), np.zeros((features.shape[1], 3)), 0
    for _ in range(10):
        for flower in rng.permutation(np.flatnonzero(~held_out)):
            wrong = signs[flower] * (features[flower] @ weights) <= 0
            weights += np.outer(features[flower], signs[flower] * wrong) - args.alpha * weights
            total = total + weights  # the mean of all states is a better judge than the last
    accuracies.append(np.mean((features[held_out] @ total).argmax(axis=1) == species[held_out]))
print(f"accuracy={np.mean(accuracies):.4f}")
