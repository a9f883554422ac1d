"""Trains a small network on handwritten digits from where its parent trial left off; prints each epoch."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import joblib
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=0.01)
parser.add_argument("--width", type=int, default=32)
parser.add_argument("--decay", type=float, default=0.0001)
parser.add_argument("--batch-size", type=int, default=64)
parser.add_argument("--epochs", type=int, default=9, help="in all, those of the parent included")
parser.add_argument("--checkpoint-dir", type=Path, required=True)
args = parser.parse_args()

images, labels = load_digits(return_X_y=True)
seen, unseen, seen_labels, unseen_labels = train_test_split(images / 16, labels, random_state=0)
warnings.simplefilter("ignore")  # a rate that is too high overflows, which the accuracy shows well enough

checkpoint = args.checkpoint_dir / "model.joblib"
if checkpoint.exists():
    epoch, model = joblib.load(checkpoint)
    print(f"going on after epoch {epoch}")
else:
    epoch, model = (
        0,
        MLPClassifier(
            args.width,
            learning_rate_init=args.rate,
            alpha=args.decay,
            batch_size=args.batch_size,
            random_state=0,
        ),
    )

while epoch < args.epochs:
    model.partial_fit(seen, seen_labels, classes=range(10))
    epoch += 1
    print(f"epoch={epoch} accuracy={model.score(unseen, unseen_labels):.4f}")

joblib.dump((epoch, model), checkpoint)
