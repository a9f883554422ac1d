"""A catalogue of an algorithm that cannot be loaded."""

from __future__ import annotations

from katibpy.catalog import Row

ROWS = (Row("theirs", "no_such_package:Theirs", extra="theirs", summary="needs what is not there"),)
