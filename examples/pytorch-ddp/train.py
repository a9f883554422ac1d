"""Trains a small network on scikit-learn's digits with DistributedDataParallel; process 0 reports."""

from __future__ import annotations

import argparse
from importlib.metadata import distribution

import numpy as np
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

EPOCHS = 5
BATCH_SIZE = 64
HELD_OUT = 360


def main() -> None:
    """Trains with the settings of the command line; rank and addresses come from the environment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--hidden", type=int, required=True)
    options = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    rank, size = distributed.get_rank(), distributed.get_world_size()

    # The data come with scikit-learn, to import which would take longer than this training.
    file = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    table = torch.from_numpy(np.loadtxt(str(file), delimiter=",", dtype=np.float32))
    x, y = table[:, :-1] / 16, table[:, -1].long()
    # Each process learns from its own part; gradients are averaged over all.
    own_x, own_y = x[HELD_OUT + rank :: size], y[HELD_OUT + rank :: size]

    network = DistributedDataParallel(
        nn.Sequential(nn.Linear(64, options.hidden), nn.ReLU(), nn.Linear(options.hidden, 10))
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=options.lr, momentum=0.9)
    batches = len(own_x) // BATCH_SIZE
    for epoch in range(EPOCHS):
        for batch in range(batches):
            part = slice(batch * BATCH_SIZE, (batch + 1) * BATCH_SIZE)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(own_x[part]), own_y[part])
            loss.backward()
            optimizer.step()
        if rank == 0:
            with torch.no_grad():
                scores = network.module(x[:HELD_OUT])
                loss = nn.functional.cross_entropy(scores, y[:HELD_OUT])
                accuracy = (scores.argmax(dim=1) == y[:HELD_OUT]).float().mean()
            print(f"epoch {epoch + 1} of {EPOCHS}: loss={loss:.4f} accuracy={accuracy:.4f}", flush=True)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
