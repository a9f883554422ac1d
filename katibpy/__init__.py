"""katibpy tunes hyperparameters and searches neural architectures.

Belongs here: the version of the distribution, and the public names for tuning from Python, found when they
are asked for: `from katibpy import KatibClient, search`.
Does not belong here: anything else; import from the modules below.
May be imported by: everyone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from katibpy.client import search
    from katibpy.client.katib_client import KatibClient

__version__ = "0.1.0"
__all__ = ["KatibClient", "__version__", "search"]


def __getattr__(name: str) -> object:
    # Late, so that `import katibpy`, which every module below begins with, loads nothing.
    if name == "KatibClient":
        return import_module("katibpy.client.katib_client").KatibClient
    if name == "search":
        return import_module("katibpy.client.search")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
