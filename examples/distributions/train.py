"""Trains an elastic net classifier on the breast cancer data, with four numbers of very different kinds."""

from __future__ import annotations

import argparse

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

parser = argparse.ArgumentParser()
parser.add_argument("--l1-ratio", type=float, default=0.15)
parser.add_argument("--alpha", type=float, default=0.0001)
parser.add_argument("--power", type=float, default=0.5)
parser.add_argument("--lr", type=float, default=0.01)
args = parser.parse_args()

features, labels = load_breast_cancer(return_X_y=True)
model = make_pipeline(
    StandardScaler(),
    SGDClassifier(
        loss="log_loss",
        penalty="elasticnet",
        l1_ratio=args.l1_ratio,
        alpha=args.alpha,
        learning_rate="invscaling",
        power_t=args.power,
        eta0=args.lr,
        random_state=0,
    ),
)
print(f"accuracy={cross_val_score(model, features, labels, cv=5).mean():.4f}")
