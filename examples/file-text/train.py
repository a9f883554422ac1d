"""Fits forests of growing size to the wine data and writes their scores to a file, in a format of its own."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--max-depth", type=int, default=3)
parser.add_argument("--max-features", type=int, default=4)
parser.add_argument("--metrics-file", type=Path, required=True)
args = parser.parse_args()

features, labels = load_wine(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(
    features, labels, test_size=0.4, random_state=0, stratify=labels
)
model = RandomForestClassifier(
    max_depth=args.max_depth, max_features=args.max_features, warm_start=True, random_state=0
)
args.metrics_file.parent.mkdir(parents=True, exist_ok=True)
with args.metrics_file.open("a") as metrics:
    for trees in (1, 5, 20):
        model.set_params(n_estimators=trees).fit(train_x, train_y)
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        print(f"{now} trees: {trees}", file=metrics)
        accuracy = model.score(test_x, test_y)
        print(f"{now} {{metric: accuracy, value: {accuracy:.4f}}}", file=metrics, flush=True)
