"""A program whose threads ask for GPUs at random, hold them for a moment and write down when.

Arguments: the table's directory, the log, a seed, how many claims. A line of the log is
`EVENT KEY SHARE DEVICES`, with EVENT `ask`, `start` (written after the claim was granted) or `end` (before it
is released).
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from pathlib import Path

from katibpy.runners.demand import WHOLE, Demand
from katibpy.runners.devices import Device, FixedDevices
from katibpy.runners.slot_table import SlotTable
from katibpy.runners.slots import Slots

DEVICES = tuple(Device(f"GPU-{number}", str(number)) for number in range(4))
THREADS = 8
SHARES = (100, 250, 300, 500, 700)
LONGEST_HOLD_SECONDS = 0.004


def main(directory: str, log: str, seed: str, count: str) -> None:
    """Makes the claims."""
    slots = Slots(FixedDevices(DEVICES), table=SlotTable(Path(directory)))
    log_file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    chance = random.Random(int(seed))
    wanted = [_demand(chance) for _ in range(int(count))]
    keys = iter(range(len(wanted)))
    lock = threading.Lock()

    def write(event: str, key: str, share: int = 0, devices: tuple[str, ...] = ()) -> None:
        os.write(log_file, f"{event} {key} {share} {','.join(devices)}\n".encode())

    def work() -> None:
        while True:
            with lock:
                number = next(keys, None)
                hold = chance.uniform(0, LONGEST_HOLD_SECONDS)
            if number is None:
                return
            demand, key = wanted[number], f"{seed}/{number}"
            write("ask", key)
            ticket = slots.claim(demand, trial=key)
            ticket.wait(is_over=lambda: False, show=lambda why: None)
            share = WHOLE if demand.gpus else demand.gpu_share
            write("start", key, share, ticket.claim.devices)
            time.sleep(hold)
            write("end", key, share, ticket.claim.devices)
            ticket.release(is_over=True)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _demand(chance: random.Random) -> Demand:
    if chance.random() < 0.5:
        return Demand(gpus=chance.choice((1, 1, 2, 3, 4)))
    return Demand(gpu_share=chance.choice(SHARES))


if __name__ == "__main__":
    main(*sys.argv[1:])
