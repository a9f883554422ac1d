"""Fits forests of growing size to the wine data and writes their scores to a file, in a format of its own."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--max-depth", type=int, default=3)
parser.add_argument("--max-features", type=int, default=4)
parser.add_argument("--metrics-file", type=Path, required=True)
args = parser.parse_args()

# The data come with scikit-learn, to import which would take longer than this training.
file = distribution("scikit-learn").locate_file("sklearn/datasets/data/wine_data.csv")
table = np.loadtxt(str(file), delimiter=",", skiprows=1)
features, labels = table[:, :-1], table[:, -1].astype(int)
kinds = np.eye(3)[labels]
held_out = np.arange(len(labels)) % 5 < 2
rng = np.random.default_rng(0)


def grow(known: np.ndarray, votes: np.ndarray, places: np.ndarray, depth: int) -> None:
    """Adds what a tree that has learnt from the known wines thinks of the wines at these places."""
    if depth == 0 or len(known) < 2:
        votes[places] += kinds[known].mean(axis=0)
        return
    columns = rng.choice(features.shape[1], args.max_features, replace=False)
    order = known[features[np.ix_(known, columns)].argsort(axis=0)]
    values = features[order, columns]
    left, sizes = kinds[order].cumsum(axis=0)[:-1], np.arange(1, len(known))[:, None]
    right = kinds[known].sum(axis=0) - left
    purity = (left**2).sum(axis=2) / sizes + (right**2).sum(axis=2) / (len(known) - sizes)
    purity[values[1:] == values[:-1]] = -1  # equal values cannot be split
    row, column = np.unravel_index(purity.argmax(), purity.shape)
    if purity[row, column] < 0:
        grow(known, votes, places, 0)
        return
    for side in (np.less_equal, np.greater):
        below = [some[side(features[some, columns[column]], values[row, column])] for some in (known, places)]
        grow(below[0], votes, below[1], depth - 1)


everyone, train = np.arange(len(labels)), np.flatnonzero(~held_out)
votes = np.zeros((len(labels), 3))
args.metrics_file.parent.mkdir(parents=True, exist_ok=True)
with args.metrics_file.open("a") as metrics:
    for trees in range(1, 21):
        grow(rng.choice(train, len(train)), votes, everyone, args.max_depth)
        if trees in (1, 5, 20):
            now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            print(f"{now} trees: {trees}", file=metrics)
            accuracy = np.mean(votes.argmax(axis=1)[held_out] == labels[held_out])
            print(f"{now} {{metric: accuracy, value: {accuracy:.4f}}}", file=metrics, flush=True)
