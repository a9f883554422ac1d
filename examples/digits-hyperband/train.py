"""Fits a support vector machine to some handwritten digits and prints its accuracy on others."""

from __future__ import annotations

import argparse

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

parser = argparse.ArgumentParser()
parser.add_argument("--c", type=float, default=1.0)
parser.add_argument("--gamma", type=float, default=0.001)
parser.add_argument("--kernel", choices=("rbf", "sigmoid"), default="rbf")
parser.add_argument("--images", type=int, default=1347, help="how many of them to learn from")
args = parser.parse_args()

images, labels = load_digits(return_X_y=True)
seen, unseen, seen_labels, unseen_labels = train_test_split(images, labels, random_state=0)

model = SVC(C=args.c, gamma=args.gamma, kernel=args.kernel)
model.fit(seen[: args.images], seen_labels[: args.images])
print(f"accuracy={model.score(unseen, unseen_labels):.4f}")
