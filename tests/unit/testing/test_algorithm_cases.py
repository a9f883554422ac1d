from __future__ import annotations

from itertools import combinations

from katibpy.testing.algorithm_cases import KINDS, crowded_spaces, pairs_of


def test_any_two_kinds_of_parameters_meet_in_a_crowded_space() -> None:
    met = {
        frozenset(each.but(name="x").model_dump_json() for each in pair)
        for space in crowded_spaces()
        for pair in pairs_of(space)
    }
    kinds = [kind.model_dump_json() for kind in KINDS.values()]
    assert met == {frozenset(pair) for pair in combinations(kinds, 2)}
