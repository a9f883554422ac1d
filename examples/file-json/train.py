"""Boosts trees on the diabetes data and writes one JSON object after every few trees."""

from __future__ import annotations

import argparse
import json
import time
from importlib.metadata import distribution
from pathlib import Path

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", type=float, default=0.1)
parser.add_argument("--max-depth", type=int, default=3)
parser.add_argument("--metrics-file", type=Path, required=True)
args = parser.parse_args()

# The data come with scikit-learn, to import which would take longer than this training.
data = distribution("scikit-learn").locate_file("sklearn/datasets/data")
features = np.loadtxt(f"{data}/diabetes_data_raw.csv.gz")
progress = np.loadtxt(f"{data}/diabetes_target.csv.gz")
held_out = np.random.default_rng(0).random(len(progress)) < 0.3


def grow(known: np.ndarray, residual: np.ndarray, tree: np.ndarray, places: np.ndarray, depth: int) -> None:
    """Writes what a tree that has learnt from the known places predicts for all places."""
    if depth == 0 or len(known) < 10:
        tree[places] = residual[known].mean()
        return
    order = known[features[known].argsort(axis=0)]
    values = np.take_along_axis(features, order, axis=0)
    left, sizes = residual[order].cumsum(axis=0)[:-1], np.arange(1, len(known))[:, None]
    gain = left**2 / sizes + (residual[known].sum() - left) ** 2 / (len(known) - sizes)
    gain[values[1:] == values[:-1]] = -1  # equal values cannot be split
    row, column = np.unravel_index(gain.argmax(), gain.shape)
    threshold = values[row, column]
    for side in (np.less_equal, np.greater):
        inside, all_inside = (some[side(features[some, column], threshold)] for some in (known, places))
        grow(inside, residual, tree, all_inside, depth - 1)


everyone, train = np.arange(len(progress)), np.flatnonzero(~held_out)
total, tree = np.full(len(progress), progress[train].mean()), np.zeros(len(progress))
args.metrics_file.parent.mkdir(parents=True, exist_ok=True)
with args.metrics_file.open("a") as metrics:
    for trees in range(1, 81):
        grow(train, progress - total, tree, everyone, args.max_depth)
        total += args.learning_rate * tree
        if trees in (10, 20, 40, 80):
            squares = (progress - total) ** 2
            line = {
                "timestamp": time.time(),
                "trees": trees,
                "rmse": np.sqrt(squares[held_out].mean()),
                "train-rmse": np.sqrt(squares[~held_out].mean()),
            }
            print(json.dumps(line), file=metrics, flush=True)
