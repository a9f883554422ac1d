"""Trains an elastic net classifier on the breast cancer data, with four numbers of very different kinds."""

from __future__ import annotations

import argparse
from importlib.metadata import distribution

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--l1-ratio", type=float, default=0.15)
parser.add_argument("--alpha", type=float, default=0.0001)
parser.add_argument("--power", type=float, default=0.5)
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--epochs", type=int, default=20)
args = parser.parse_args()

# The data come with scikit-learn, to import which would take longer than this training.
file = distribution("scikit-learn").locate_file("sklearn/datasets/data/breast_cancer.csv")
table = np.loadtxt(str(file), delimiter=",", skiprows=1)
features, labels = table[:, :-1], table[:, -1]
features = (features - features.mean(axis=0)) / features.std(axis=0)

accuracies = []
for fold in range(5):
    held_out = np.arange(len(labels)) % 5 == fold
    x, y = features[~held_out], labels[~held_out]
    rng, weights, bias, steps = np.random.default_rng(0), np.zeros(x.shape[1]), 0.0, 0
    for _ in range(args.epochs):
        for batch in np.array_split(rng.permutation(len(y)), len(y) // 16):
            steps += 1
            rate = args.lr / steps**args.power
            excess = 1 / (1 + np.exp(-np.clip(x[batch] @ weights + bias, -50, 50))) - y[batch]
            weights -= rate * (excess @ x[batch] / len(batch) + args.alpha * (1 - args.l1_ratio) * weights)
            weights = np.sign(weights) * np.maximum(abs(weights) - rate * args.alpha * args.l1_ratio, 0)
            bias -= rate * excess.mean()
    accuracies.append(np.mean((features[held_out] @ weights + bias > 0) == labels[held_out]))
print(f"accuracy={np.mean(accuracies):.4f}")
