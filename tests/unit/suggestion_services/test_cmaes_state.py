from __future__ import annotations

import json
import math
from statistics import NormalDist

import numpy as np
import pytest
from cmaes import CMA
from hypothesis import given
from hypothesis import strategies as st

from katibpy.algo.randomness import generator
from katibpy.algo.space import dimension_of, space_of
from katibpy.api.experiment import ParameterType
from katibpy.testing.algorithm_cases import KINDS, parameter
from suggestion_services.cma_cells import cells_of, with_margin
from suggestion_services.cma_es import CmaEs
from suggestion_services.cma_restarts import Restarts, next_run, usual_population
from suggestion_services.cma_state import Distribution, Point, Run, State, Vector
from tests.unit.suggestion_services.past_trials import Trials, problem, unit_square

SPACE = space_of(unit_square(("x", "y", "z")))
UNIT_CUBE = np.array([[0.0, 1.0]] * 3)
NORMAL = NormalDist()


def _losses(draws: list[Vector]) -> list[tuple[Vector, float]]:
    return [(draw, float(np.sum((draw - 0.2) ** 2 * (1, 10, 100)))) for draw in draws]


def test_an_optimizer_that_is_saved_and_read_each_time_goes_the_same_way() -> None:
    mean = np.array([0.5, 0.4, 0.6])
    plain = CMA(mean=mean, sigma=0.2, bounds=UNIT_CUBE)
    state = State(Distribution.first(mean, sigma=0.2))
    for turn in range(60):
        kept = State.from_bytes(state.to_bytes(SPACE), SPACE)
        assert kept is not None
        ours = kept.distribution.optimizer(UNIT_CUBE)
        plain.reseed_rng(turn)
        ours.reseed_rng(turn)
        theirs = [plain.ask() for _ in range(plain.population_size)]
        mine = [ours.ask() for _ in range(ours.population_size)]
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-12)
        plain.tell(_losses(theirs))
        ours.tell(_losses(theirs))
        assert ours.should_stop() == plain.should_stop()
        state = State(Distribution.of(ours, first_sigma=0.2, stretch=np.ones(3)))
    assert ours.generation == 60


def test_memory_is_text_and_arrays_and_reads_back_exactly() -> None:
    state = State(
        Distribution.first(np.array([0.1, 0.2, 0.3]), sigma=0.3),
        Run(number=3, is_small=True, doublings=2, evaluations=9, large_evaluations=40, small_evaluations=7),
        {4: Point(np.array([0.1, math.pi, -2.0]), 5), 17: Point(np.zeros(3), 6, is_foreign=True)},
        18,
    )
    memory = state.to_bytes(SPACE)
    read = State.from_bytes(memory, SPACE)
    assert read is not None
    assert json.loads(memory)["version"] == 1
    assert read.to_bytes(SPACE) == memory
    assert read.run == state.run
    assert read.next_point == 18
    np.testing.assert_array_equal(read.points[4].draw, state.points[4].draw)
    assert [(point.generation, point.is_foreign) for point in read.points.values()] == [(5, False), (6, True)]


def test_memory_does_not_grow_with_the_run() -> None:
    trials = Trials(problem(unit_square()))
    trials.run(CmaEs(), lambda a: float(a["x"]), 40)
    early = len(trials.memory or b"")
    trials.run(CmaEs(), lambda a: float(a["x"]), 200)
    assert 0 < len(trials.memory or b"") < 1.5 * early


@pytest.mark.parametrize("kind", [name for name, spec in KINDS.items() if cells_of(dimension_of(spec))])
def test_cells_are_the_parts_that_round_to_one_value(kind: str) -> None:
    dimension = dimension_of(KINDS[kind])
    cells = cells_of(dimension)
    assert cells is not None
    assert cells.count == dimension.cardinality
    for place in range(cells.count):
        middle = dimension.to_unit(dimension.at(place))
        lower, upper = cells.around(middle)
        assert (lower is None, upper is None) == (place == 0, place == cells.count - 1)
        for edge, neighbour in ((lower, place - 1), (upper, place + 1)):
            if edge is not None:
                inside, outside = edge + (middle - edge) * 1e-6, edge - (middle - edge) * 1e-6
                assert dimension.from_unit(inside) == dimension.at(place)
                assert dimension.from_unit(outside) == dimension.at(neighbour)


def test_what_is_not_stepped_has_no_cells() -> None:
    specs = (KINDS["double"], KINDS["double logNormal"], KINDS["categorical with one choice"])
    assert [cells_of(dimension_of(spec)) for spec in specs] == [None] * 3


@given(
    mean=st.floats(-0.5, 1.5),
    deviation=st.floats(1e-6, 2),
    margin=st.floats(1e-4, 0.2),
    kind=st.sampled_from(["int", "int logUniform", "discrete", "double step normal", "int step"]),
)
def test_the_margin_leaves_the_neighbours_their_chance(
    mean: float, deviation: float, margin: float, kind: str
) -> None:
    cells = cells_of(dimension_of(KINDS[kind]))
    assert cells is not None
    lower, upper = cells.around(mean)
    moved, stretched = with_margin(cells, mean, deviation, margin=margin)
    assert stretched > 0
    for edge, side in ((lower, -1), (upper, 1)):
        if edge is not None:
            chance = NORMAL.cdf(side * (moved - edge) / stretched)
            assert chance >= 0.49 * margin
    if lower is None or upper is None:
        assert stretched == deviation


def test_the_margin_changes_nothing_where_there_is_chance_enough() -> None:
    cells = cells_of(dimension_of(parameter("n", ParameterType.INT, min="0", max="9")))
    assert cells is not None
    assert with_margin(cells, 0.47, 0.1, margin=0.05) == (0.47, 0.1)


def test_ipop_doubles_the_population() -> None:
    run, populations = Run(evaluations=100), []
    for _ in range(4):
        run, population, sigma = next_run(run, Restarts.IPOP, dimensions=5, sigma=0.25, rng=generator(1, 0))
        populations.append(population)
        assert sigma == 0.25
        assert not run.is_small
    assert populations == [usual_population(5) * factor for factor in (2, 4, 8, 16)]


def test_bipop_gives_both_regimes_about_as_many_evaluations() -> None:
    run, rng = Run(evaluations=100), generator(1, 0)
    seen: list[tuple[bool, int]] = []
    for _ in range(40):
        run, population, sigma = next_run(run, Restarts.BIPOP, dimensions=5, sigma=0.25, rng=rng)
        seen.append((run.is_small, population))
        if run.is_small:
            assert 2 <= population <= usual_population(5) * 2 ** max(run.doublings - 1, 0)
            assert 0.0025 <= sigma <= 0.25
        else:
            assert sigma == 0.25
        run = Run(
            **{
                **{name: getattr(run, name) for name in Run.__dataclass_fields__},
                "evaluations": 10 * population,
            }
        )
    assert not seen[0][0]
    assert {is_small for is_small, _ in seen} == {True, False}
    assert run.small_evaluations == pytest.approx(run.large_evaluations, rel=0.6)


def _state(trials: Trials) -> State:
    state = State.from_bytes(trials.memory or b"", trials.problem.space)
    assert state is not None
    return state


@pytest.mark.parametrize("strategy", ["ipop", "bipop"])
def test_a_search_that_has_converged_starts_again_elsewhere(strategy: str) -> None:
    trials = Trials(problem(unit_square(), {"restart_strategy": strategy}))
    first = _state(trials) if trials.propose(CmaEs()) else None
    runs = {0: first}
    for _ in range(60):
        trials.run(CmaEs(), lambda a: (float(a["x"]) - 0.5) ** 2 + (float(a["y"]) - 0.4) ** 2, 12, batch=12)
        runs[_state(trials).run.number] = _state(trials)
        if len(runs) > 2:
            break
    assert set(runs) >= {0, 1, 2}
    second = runs[1]
    assert second is not None
    assert second.distribution.population == 2 * usual_population(2)
    assert second.distribution.first_sigma == pytest.approx(1 / 6)


def test_a_small_first_step_is_not_taken_for_convergence() -> None:
    trials = Trials(problem(unit_square(), {"restart_strategy": "ipop", "sigma": "1e-5"}))
    trials.run(CmaEs(), lambda a: float(a["x"]) + float(a["y"]), 48, batch=6)
    assert _state(trials).run.number == 0


def test_a_search_that_has_converged_and_may_not_restart_stays_where_it_is() -> None:
    trials = Trials(problem(unit_square()))
    for _ in range(50):
        trials.run(CmaEs(), lambda a: (float(a["x"]) - 0.5) ** 2 + (float(a["y"]) - 0.4) ** 2, 24, batch=24)
        state = _state(trials)
        if state.run.is_over:
            break
    assert state.run.is_over
    size = len(trials.memory or b"")
    trials.run(CmaEs(), lambda _: 7.0, 30, batch=6)
    assert len(trials.memory or b"") <= size + 1
    assert [float(number) for number in trials.entries[-1].raw.values()] == pytest.approx(
        [0.5, 0.4], abs=1e-3
    )
