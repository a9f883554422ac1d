"""Classifies handwritten digits by their nearest neighbours in a few principal components."""

from __future__ import annotations

import argparse

from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

parser = argparse.ArgumentParser()
parser.add_argument("--components", type=int, default=8)
parser.add_argument("--neighbors", type=int, default=5)
args = parser.parse_args()

images, labels = load_digits(return_X_y=True)
model = make_pipeline(
    PCA(n_components=args.components, random_state=0), KNeighborsClassifier(n_neighbors=args.neighbors)
)
print(f"accuracy={cross_val_score(model, images[:900], labels[:900], cv=3).mean():.4f}")
