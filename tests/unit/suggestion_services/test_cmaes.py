from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from katibpy.algo.history import Entry, Outcome
from katibpy.algo.randomness import generator
from katibpy.algo.session import check
from katibpy.algo.space import Value
from katibpy.api.experiment import ParameterSpec, ParameterType
from katibpy.errors import InvalidSettings
from katibpy.testing.algorithm_cases import FINITE, MIXED, parameter
from suggestion_services.cma_es import GENERATION_LABEL, POINT_LABEL, CmaEs
from tests.unit.suggestion_services.past_trials import Trials, problem, unit_square

SQUARE = unit_square()
POPULATION = 6


def _bowl(assignment: Mapping[str, Value]) -> float:
    x, y = float(assignment["x"]), float(assignment["y"])
    return (x - 0.3) ** 2 + 3 * (y - x) ** 2


def _generations(trials: Trials) -> list[str]:
    return [entry.labels[GENERATION_LABEL] for entry in trials.entries]


@pytest.mark.parametrize(
    ("specs", "got"),
    [
        ((parameter("kind", ParameterType.CATEGORICAL, list=("a", "b")),), "got none"),
        ((MIXED[0], MIXED[3], MIXED[4]), r"got 1 \(rate\)"),
        ((MIXED[0], parameter("depth", ParameterType.INT, min="1", max="5", step="9")), r"got 1 \(rate\)"),
    ],
)
def test_fewer_than_two_numeric_parameters_are_refused(specs: Sequence[ParameterSpec], got: str) -> None:
    with pytest.raises(InvalidSettings, match=f"at least 2 parameters of type double or int.*{got}"):
        check(CmaEs(), problem(specs))


@pytest.mark.parametrize("text", ["none", "None", "ipop", "bipop"])
def test_every_restart_strategy_of_katib_is_taken(text: str) -> None:
    check(CmaEs(), problem(SQUARE, {"restart_strategy": text}))


@pytest.mark.parametrize(
    ("name", "text"),
    [("restart_strategy", "often"), ("sigma", "-0.1"), ("sigma", "inf"), ("random_state", "-1")],
)
def test_settings_outside_their_bounds_are_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidSettings, match=f"setting {name} must be .*, got '{text}'"):
        check(CmaEs(), problem(SQUARE, {name: text}))


def test_the_first_step_is_a_share_of_the_range_on_the_parameters_own_scale() -> None:
    specs = (
        parameter("rate", ParameterType.DOUBLE, min="1e-6", max="1", distribution="logUniform"),
        parameter("size", ParameterType.INT, min="0", max="1000000"),
    )

    def spread(sigma: str) -> tuple[float, float]:
        trials = Trials(problem(specs, {"sigma": sigma}))
        trials.propose(CmaEs(), 60)
        exponents = [math.log10(float(entry.assignment["rate"])) for entry in trials.entries]
        assert statistics.fmean(exponents) == pytest.approx(-3, abs=0.3)
        return statistics.pstdev(exponents) / 6, statistics.pstdev(
            float(entry.assignment["size"]) / 1e6 for entry in trials.entries
        )

    assert spread("0.02") == pytest.approx((0.02, 0.02), rel=0.3)
    assert spread("0.1") == pytest.approx((0.1, 0.1), rel=0.3)
    assert spread("0") == pytest.approx(spread(repr(1 / 6)), rel=1e-6)


def test_a_batch_larger_than_the_population_comes_from_one_distribution() -> None:
    trials = Trials(problem(SQUARE))
    trials.propose(CmaEs(), 25)
    assert set(_generations(trials)) == {"0.0"}
    assert len({tuple(entry.assignment.values()) for entry in trials.entries}) == 25


def test_a_population_of_results_makes_a_generation_whatever_else_still_runs() -> None:
    trials = Trials(problem(SQUARE))
    places = trials.propose(CmaEs(), 10)
    for place in places[4:9]:
        trials.end(place, _bowl)
    trials.propose(CmaEs())
    trials.end(places[9], _bowl)
    trials.propose(CmaEs())
    assert _generations(trials)[-2:] == ["0.0", "0.1"]


def test_results_that_come_in_after_their_generation_still_count() -> None:
    trials = Trials(problem(SQUARE))
    places = trials.propose(CmaEs(), 2 * POPULATION)
    for place in places[:POPULATION]:
        trials.end(place, _bowl)
    trials.propose(CmaEs())
    for place in places[POPULATION:]:
        trials.end(place, _bowl)
    trials.propose(CmaEs())
    assert _generations(trials)[-1] == "0.2"


def test_parallel_trials_find_about_as_much_as_trials_one_by_one() -> None:
    def best(parallel: int, seed: int) -> float:
        trials = Trials(problem(SQUARE, seed=seed))
        running: list[int] = []
        order = generator(seed, 0)
        while len(trials.entries) < 120:
            running += trials.propose(CmaEs(), parallel - len(running))
            trials.end(running.pop(int(order.integers(len(running)))), _bowl)
        return math.log10(min(entry.loss for entry in trials.entries if entry.loss is not None))

    one_by_one = statistics.fmean(best(1, seed) for seed in range(6))
    in_parallel = statistics.fmean(best(8, seed) for seed in range(6))
    assert one_by_one < -4
    assert in_parallel < one_by_one + 2


@pytest.mark.parametrize(
    ("outcome", "loss"),
    [
        (Outcome.FAILED, None),
        (Outcome.SUCCEEDED, math.nan),
        (Outcome.SUCCEEDED, math.inf),
        (Outcome.SUCCEEDED, -math.inf),
        (Outcome.SUCCEEDED, None),
        (Outcome.EARLY_STOPPED, None),
        (Outcome.SUCCEEDED, 1e308),
    ],
)
def test_what_failed_ranks_last_in_its_population(outcome: Outcome, loss: float | None) -> None:
    asked = []
    for ends in ((Outcome.SUCCEEDED, 1e9), (outcome, loss)):
        trials = Trials(problem(SQUARE))
        for place in trials.propose(CmaEs(), POPULATION):
            if place == 2:
                trials.end(place, ends[1], ends[0])
            else:
                trials.end(place, _bowl)
        asked.append(trials.ask(CmaEs(), 4).proposals)
    assert asked[0] == asked[1]


def test_a_population_that_failed_as_a_whole_turns_the_search_nowhere() -> None:
    trials = Trials(problem(SQUARE))
    for _ in range(20):
        for place in trials.propose(CmaEs(), POPULATION):
            trials.end(place, None, Outcome.FAILED)
    trials.propose(CmaEs())
    assert set(_generations(trials)) == {"0.0"}
    assert trials.run(CmaEs(), _bowl, 60) < 0.01


def test_a_stopped_trial_counts_with_what_it_showed() -> None:
    asked = []
    for outcome in (Outcome.SUCCEEDED, Outcome.EARLY_STOPPED):
        trials = Trials(problem(SQUARE))
        for place in trials.propose(CmaEs(), POPULATION):
            trials.end(place, _bowl, outcome)
        asked.append(trials.ask(CmaEs(), 3).proposals)
    assert asked[0] == asked[1]


def test_a_killed_trial_is_replaced() -> None:
    trials = Trials(problem(SQUARE))
    for place in trials.propose(CmaEs(), POPULATION):
        trials.end(place, _bowl)
    trials.end(0, None, Outcome.KILLED)
    (another,) = trials.propose(CmaEs())
    assert _generations(trials)[-1] == "0.0"
    trials.end(another, _bowl)
    trials.propose(CmaEs())
    assert _generations(trials)[-1] == "0.1"


def test_a_process_that_ends_between_any_two_requests_changes_nothing() -> None:
    def proposed(algorithm: CmaEs | None) -> list[Mapping[str, str]]:
        trials = Trials(problem(MIXED, {"restart_strategy": "bipop"}, seed=5))
        ends = ((Outcome.SUCCEEDED, True), (Outcome.FAILED, False), (Outcome.EARLY_STOPPED, True))
        while len(trials.entries) < 60:
            for place in trials.propose(algorithm or CmaEs(), 1 + len(trials.entries) % 4):
                outcome, has_loss = ends[place % 3]
                trials.end(place, (lambda a: float(a["momentum"])) if has_loss else None, outcome)
        return [entry.raw for entry in trials.entries]

    assert proposed(CmaEs()) == proposed(None)


def test_choices_are_drawn_evenly_and_numbers_of_a_list_are_learned() -> None:
    specs = (
        *SQUARE,
        parameter("kind", ParameterType.CATEGORICAL, list=("a", "b")),
        parameter("width", ParameterType.DISCRETE, list=("1", "2", "4", "8", "16", "32", "64")),
    )
    trials = Trials(problem(specs))
    trials.run(CmaEs(), lambda a: (float(a["x"]) - 0.5) ** 2 + abs(float(a["width"]) - 2), 160)
    kinds = [entry.assignment["kind"] for entry in trials.entries[80:]]
    assert 20 <= kinds.count("a") <= 60
    widths = [entry.assignment["width"] for entry in trials.entries[80:]]
    assert widths.count(2) > 40
    assert set(widths) != {2}


def test_steps_keep_being_tried_after_the_search_has_settled_on_one() -> None:
    specs = (*SQUARE, parameter("n", ParameterType.INT, min="0", max="9"))
    trials = Trials(problem(specs))
    best = trials.run(CmaEs(), lambda a: (float(a["x"]) - 0.5) ** 2 + abs(int(a["n"]) - 4), 300, batch=7)
    numbers = [int(entry.assignment["n"]) for entry in trials.entries[-100:]]
    assert best < 1e-3
    assert len(set(numbers)) > 1
    assert statistics.mode(numbers) == 4


def test_the_search_starts_at_the_best_of_what_was_tried_otherwise() -> None:
    others = [
        Entry(f"o{place}", {"x": x, "y": y}, Outcome.SUCCEEDED, loss=loss, number=place)
        for place, (x, y, loss) in enumerate(((0.2, 0.9, 5.0), (0.8, 0.1, 1.0), (0.5, 0.5, 2.0)))
    ]
    trials = Trials(problem(SQUARE, {"sigma": "0.01"}), others)
    (place,) = trials.propose(CmaEs())
    assert trials.entries[place].assignment == pytest.approx({"x": 0.8, "y": 0.1}, abs=0.06)


def test_labels_that_it_did_not_write_mean_nothing() -> None:
    trials = Trials(problem(SQUARE))
    trials.propose(CmaEs(), POPULATION)
    for place, text in enumerate(("x", "-1", "1e3", "999", "", "²")):
        entry = Entry(f"o{place}", {"x": 0.5, "y": 0.5}, Outcome.SUCCEEDED, 0.0, labels={POINT_LABEL: text})
        trials.entries.append(entry)
    trials.propose(CmaEs())
    assert trials.entries[-1].labels[GENERATION_LABEL] == "0.0"


@pytest.mark.parametrize("memory", [b"", b"\x80\x04.", b"{}", b"[1]", b'{"version":1,"space":"x"}'])
def test_memory_that_cannot_be_read_starts_the_search_anew(memory: bytes) -> None:
    fresh, spoilt = Trials(problem(SQUARE)), Trials(problem(SQUARE), memory=memory)
    assert fresh.ask(CmaEs(), 3) == spoilt.ask(CmaEs(), 3)


def test_memory_of_another_space_starts_the_search_anew() -> None:
    trials = Trials(problem(SQUARE))
    trials.run(CmaEs(), _bowl, 20)
    other = Trials(problem(FINITE), memory=trials.memory)
    assert other.ask(CmaEs(), 3) == Trials(problem(FINITE)).ask(CmaEs(), 3)


def test_neither_a_vanishing_nor_a_huge_first_step_breaks_the_search() -> None:
    for sigma in ("1e-320", "1e300"):
        trials = Trials(problem(FINITE[:2], {"sigma": sigma}))
        trials.run(CmaEs(), lambda a: float(a["dropout"]), 12)
        assert len({tuple(entry.assignment.values()) for entry in trials.entries}) == 12


def test_a_flat_landscape_is_searched_to_the_end_of_the_budget() -> None:
    trials = Trials(problem(SQUARE, {"restart_strategy": "ipop"}))
    assert trials.run(CmaEs(), lambda _: 1.0, 400, batch=20) == 1.0
    assert np.isfinite([list(map(float, entry.raw.values())) for entry in trials.entries]).all()
