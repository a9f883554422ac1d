"""Tells benign from malignant tumours, one epoch after the other, and prints three metrics after each."""

from __future__ import annotations

import argparse
from importlib.metadata import distribution

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--epochs", type=int, default=8)
args = parser.parse_args()

# The data come with scikit-learn, to import which would take longer than this training.
file = distribution("scikit-learn").locate_file("sklearn/datasets/data/breast_cancer.csv")
rng = np.random.default_rng(0)
table = rng.permutation(np.loadtxt(str(file), delimiter=",", skiprows=1))
features, labels = table[:, :-1], table[:, -1]
train, test = slice(400), slice(400, None)
features = (features - features[train].mean(axis=0)) / features[train].std(axis=0)


def probabilities(part: slice | np.ndarray) -> np.ndarray:
    """How likely each of these tumours is to be benign."""
    return 1 / (1 + np.exp(-np.clip(features[part] @ weights + bias, -30, 30)))


weights, bias = np.zeros(features.shape[1]), 0.0
for epoch in range(1, args.epochs + 1):
    for batch in rng.permutation(400).reshape(100, 4):
        excess = probabilities(batch) - labels[batch]
        weights -= args.lr * excess @ features[batch] / len(batch)
        bias -= args.lr * excess.mean()
    right = np.where(labels[train] == 1, probabilities(train), 1 - probabilities(train))
    print(f"epoch={epoch}")
    print(f"accuracy={np.mean((probabilities(test) > 0.5) == labels[test]):.4f}")
    print(f"train-loss={-np.log(right).mean():.4f}")
    print(f"weight-norm={np.linalg.norm(weights):.4f}", flush=True)
