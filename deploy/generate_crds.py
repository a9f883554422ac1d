"""Writes the CustomResourceDefinitions to `deploy/crds`: `python deploy/generate_crds.py`."""

from __future__ import annotations

from pathlib import Path

from katibpy.api.crd import crd_manifests

TARGET = Path(__file__).resolve().parent / "crds"


def main() -> None:
    """Write every manifest."""
    TARGET.mkdir(exist_ok=True)
    for name, text in crd_manifests().items():
        (TARGET / name).write_text(text, encoding="utf-8")
        print(f"wrote deploy/crds/{name}")


if __name__ == "__main__":
    main()
