"""How programs of ours load modules, and collect garbage from then on."""

from __future__ import annotations

import json
import subprocess
import sys

# In a process of its own: the collector is everyone's.
PROGRAM = """
import gc, json
from katibpy.app.loading import collection_paused
with collection_paused():
    is_paused = not gc.isenabled()
    import decimal
print(json.dumps([is_paused, gc.isenabled(), gc.get_freeze_count(), gc.get_threshold()]))
"""


def test_nothing_is_collected_while_modules_load_and_seldom_afterwards() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, check=True)
    is_paused, is_enabled, frozen, thresholds = json.loads(done.stdout)
    assert is_paused
    assert is_enabled
    assert frozen > 1000
    assert thresholds == [10_000, 10, 10]
