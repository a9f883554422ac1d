"""What the top-level package offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import katibpy


def test_importing_the_package_loads_nothing_below_it() -> None:
    program = "import sys, katibpy; print([name for name in sys.modules if name.startswith('katibpy.')])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


def test_importing_the_client_loads_neither_grpc_nor_sql() -> None:
    program = (
        "import sys; from katibpy import KatibClient, search; print({'grpc', 'sqlalchemy'} & {*sys.modules})"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "set()\n"


def test_the_public_names_are_found() -> None:
    assert katibpy.KatibClient.__name__ == "KatibClient"
    assert katibpy.search.double(0, 1).parameter_type == "double"
    assert set(katibpy.__all__) == {"KatibClient", "__version__", "search"}


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Katib'"):
        katibpy.__getattr__("Katib")
