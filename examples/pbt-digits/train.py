"""Trains a classifier of handwritten digits a little further than its checkpoint, and prints its loss."""

from __future__ import annotations

import argparse
from importlib.metadata import distribution
from pathlib import Path

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=0.01)
parser.add_argument("--decay", type=float, default=0.0001)
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--checkpoints", type=Path, required=True)
args = parser.parse_args()

# The data come with scikit-learn, to import which would take longer than this training.
file = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
table = np.loadtxt(str(file), delimiter=",")
images, labels = table[:, :-1] / 16 - 0.5, table[:, -1].astype(int)
held_out = slice(1200, None)

# The directory begins as a copy of the parent trial's, or empty.
checkpoint = args.checkpoints / "model.npz"
weights, bias = np.zeros((64, 10)), np.zeros(10)
if checkpoint.exists():
    with np.load(checkpoint) as model:
        weights, bias = model["weights"], model["bias"]


def probabilities(part: slice | np.ndarray) -> np.ndarray:
    """How likely each of these images shows each of the ten digits."""
    scores = images[part] @ weights + bias
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


rng = np.random.default_rng(0)
for _ in range(args.epochs):
    for batch in rng.permutation(1200).reshape(150, 8):
        excess = probabilities(batch) - np.eye(10)[labels[batch]]
        weights -= args.rate * (images[batch].T @ excess / len(batch) + args.decay * weights)
        bias -= args.rate * excess.mean(axis=0)

# Written beside and put in its place, so that a trial that is stopped leaves a whole one.
draft = args.checkpoints / "draft.npz"
np.savez(draft, weights=weights, bias=bias)
draft.replace(checkpoint)
right = probabilities(held_out)[np.arange(len(labels) - 1200), labels[held_out]]
print(f"loss={-np.log(np.maximum(right, 1e-15)).mean():.5f}")
