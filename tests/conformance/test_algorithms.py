from __future__ import annotations

import pytest

from katibpy.catalog import ALGORITHMS, names
from katibpy.testing.algorithm_subject import CatalogSubject, NotApplicableError
from katibpy.testing.algorithm_suite import CHECKS, Check


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("name", names(ALGORITHMS))
def test_algorithm_keeps_its_promise(name: str, check: Check) -> None:
    try:
        check.run(CatalogSubject(name))
    except NotApplicableError as reason:
        pytest.skip(str(reason))
