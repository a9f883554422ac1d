"""Trains a small neural network to read handwritten digits and prints its accuracy after every epoch."""

from __future__ import annotations

import argparse

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.001)
parser.add_argument("--hidden-units", type=int, default=32)
parser.add_argument("--activation", choices=("relu", "tanh", "logistic"), default="relu")
parser.add_argument("--epochs", type=int, default=10)
args = parser.parse_args()

images, labels = load_digits(return_X_y=True)
images = images / 16.0  # grey values go from 0 to 16
train_x, test_x, train_y, test_y = train_test_split(
    images, labels, test_size=0.3, random_state=0, stratify=labels
)

model = MLPClassifier(
    hidden_layer_sizes=(args.hidden_units,),
    activation=args.activation,
    learning_rate_init=args.lr,
    batch_size=64,
    random_state=0,
)
for epoch in range(1, args.epochs + 1):
    model.partial_fit(train_x, train_y, classes=range(10))
    # One `name=value` for each metric: this is what the StdOut collector looks for.
    print(f"epoch={epoch} loss={model.loss_:.4f} accuracy={model.score(test_x, test_y):.4f}", flush=True)
