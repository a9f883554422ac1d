"""Boosts trees on the diabetes data and writes one JSON object after every few trees."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", type=float, default=0.1)
parser.add_argument("--max-depth", type=int, default=3)
parser.add_argument("--metrics-file", type=Path, required=True)
args = parser.parse_args()

features, progress = load_diabetes(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(features, progress, test_size=0.3, random_state=0)
model = GradientBoostingRegressor(
    learning_rate=args.learning_rate, max_depth=args.max_depth, warm_start=True, random_state=0
)
args.metrics_file.parent.mkdir(parents=True, exist_ok=True)
with args.metrics_file.open("a") as metrics:
    for trees in (10, 20, 40, 80):
        model.set_params(n_estimators=trees).fit(train_x, train_y)
        line = {
            "timestamp": time.time(),
            "trees": trees,
            "rmse": root_mean_squared_error(test_y, model.predict(test_x)),
            "train-rmse": root_mean_squared_error(train_y, model.predict(train_x)),
        }
        print(json.dumps(line), file=metrics, flush=True)
