"""Fits a least squares support vector machine to some handwritten digits; prints its accuracy on others."""

from __future__ import annotations

import argparse
from importlib.metadata import distribution

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--c", type=float, default=1.0)
parser.add_argument("--gamma", type=float, default=0.001)
parser.add_argument("--kernel", choices=("rbf", "sigmoid"), default="rbf")
parser.add_argument("--images", type=int, default=1347, help="how many of them to learn from")
args = parser.parse_args()

# The data come with scikit-learn, to import which would take longer than this training.
file = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
table = np.random.default_rng(0).permutation(np.loadtxt(str(file), delimiter=","))
images, labels = table[:, :-1], table[:, -1].astype(int)
seen, unseen = slice(args.images), slice(1347, None)


def similarity(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The kernel of each of some images with each of the others."""
    products = some @ others.T
    if args.kernel == "sigmoid":
        return np.tanh(args.gamma * products)
    distances = (some**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * products
    return np.exp(-args.gamma * distances)


signs = np.where(labels[seen, None] == np.arange(10), 1.0, -1.0)
penalty = np.eye(len(signs)) / args.c
weights = np.linalg.solve(similarity(images[seen], images[seen]) + penalty, signs)
guesses = (similarity(images[unseen], images[seen]) @ weights).argmax(axis=1)
print(f"accuracy={np.mean(guesses == labels[unseen]):.4f}")
