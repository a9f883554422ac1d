"""Trains a classifier of handwritten digits a little further than its checkpoint, and prints its loss."""

from __future__ import annotations

import argparse
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=0.01)
parser.add_argument("--decay", type=float, default=0.0001)
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--checkpoints", type=Path, required=True)
args = parser.parse_args()

images, labels = load_digits(return_X_y=True)
images = images / 16 - 0.5
trained, held_out = slice(0, 1200), slice(1200, None)

# The directory begins as a copy of the parent trial's, or empty.
checkpoint = args.checkpoints / "model.joblib"
model = joblib.load(checkpoint) if checkpoint.exists() else SGDClassifier(loss="log_loss", random_state=0)
model.set_params(learning_rate="constant", eta0=args.rate, alpha=args.decay)
for _ in range(args.epochs):
    model.partial_fit(images[trained], labels[trained], classes=np.arange(10))

# Written beside and put in its place, so that a trial that is stopped leaves a whole one.
draft = checkpoint.with_suffix(".draft")
joblib.dump(model, draft)
draft.replace(checkpoint)
print(f"loss={log_loss(labels[held_out], model.predict_proba(images[held_out])):.5f}")
