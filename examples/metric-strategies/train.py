"""Tells benign from malignant tumours, one epoch after the other, and prints three metrics after each."""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--epochs", type=int, default=8)
args = parser.parse_args()

features, labels = load_breast_cancer(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(
    features, labels, test_size=0.3, random_state=0, stratify=labels
)
scaler = StandardScaler().fit(train_x)
train_x, test_x = scaler.transform(train_x), scaler.transform(test_x)

model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=args.lr, random_state=0)
for epoch in range(1, args.epochs + 1):
    model.partial_fit(train_x, train_y, classes=np.unique(labels))
    print(f"epoch={epoch}")
    print(f"accuracy={model.score(test_x, test_y):.4f}")
    print(f"train-loss={log_loss(train_y, model.predict_proba(train_x)):.4f}")
    print(f"weight-norm={np.linalg.norm(model.coef_):.4f}", flush=True)
