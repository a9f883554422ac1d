"""Writes the custom resource definitions of `katibpy.api.crd` to `deploy/crds`; `make crds` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

from katibpy.api.crd import crd_manifests

CRDS = Path(__file__).resolve().parent / "crds"


def main() -> int:
    """Replaces every file of the folder, so that a kind that is no more leaves none behind."""
    manifests = crd_manifests()
    CRDS.mkdir(exist_ok=True)
    for stale in CRDS.glob("*.yaml"):
        if stale.name not in manifests:
            stale.unlink()
    for name, text in manifests.items():
        (CRDS / name).write_text(text, encoding="utf-8")
        print(f"deploy/crds/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
