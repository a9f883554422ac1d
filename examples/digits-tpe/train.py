"""Fits a support vector machine to handwritten digits and prints its cross-validated accuracy."""

from __future__ import annotations

import argparse

from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

parser = argparse.ArgumentParser()
parser.add_argument("--c", type=float, default=1.0)
parser.add_argument("--gamma", type=float, default=0.001)
parser.add_argument("--kernel", choices=("rbf", "sigmoid"), default="rbf")
args = parser.parse_args()

images, labels = load_digits(return_X_y=True)
images, labels = images[:900], labels[:900]  # half of them tell good settings from bad ones too

model = SVC(C=args.c, gamma=args.gamma, kernel=args.kernel)
print(f"accuracy={cross_val_score(model, images, labels, cv=3).mean():.4f}")
