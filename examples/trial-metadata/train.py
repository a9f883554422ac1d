"""Trains a perceptron on the iris data, and says which trial it is before it says how good it is."""

from __future__ import annotations

import argparse

from sklearn.datasets import load_iris
from sklearn.linear_model import Perceptron
from sklearn.model_selection import cross_val_score

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=0.0001)
for name in ("trial-name", "trial-namespace", "job-kind", "job-api-version", "team", "purpose"):
    parser.add_argument(f"--{name}", required=True)
args = parser.parse_args()

print(f"{args.trial_namespace}/{args.trial_name} is a {args.job_kind} of {args.job_api_version}")
print(f"it belongs to the team {args.team}; its purpose: {args.purpose}")

features, species = load_iris(return_X_y=True)
model = Perceptron(penalty="l2", alpha=args.alpha, random_state=0)
print(f"accuracy={cross_val_score(model, features, species, cv=5).mean():.4f}")
