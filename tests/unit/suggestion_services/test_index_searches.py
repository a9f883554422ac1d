"""Random, grid and Sobol search: algorithms that count rather than learn."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import chisquare

from katibpy.algo.algorithm import Algorithm, Reads
from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.problem import Problem
from katibpy.algo.session import ask, check
from katibpy.algo.space import space_of
from katibpy.api.experiment import FeasibleSpace, ParameterSpec
from katibpy.errors import InvalidSettings
from suggestion_services.finite import permuted
from suggestion_services.grid import GridSearch
from suggestion_services.random_search import RandomSearch
from suggestion_services.sobol import SobolSearch
from tests.unit.suggestion_services.past_trials import Trials


def _spec(name: str, kind: str, **feasible: object) -> ParameterSpec:
    return ParameterSpec(
        name=name, parameter_type=kind, feasible_space=FeasibleSpace.model_validate(feasible)
    )


def _problem(*specs: ParameterSpec, seed: int = 3, **settings: str) -> Problem:
    return Problem(
        name="e",
        uid="u",
        space=space_of(specs),
        settings=settings,
        seed=seed,
        parallel_trial_count=1,
        max_trial_count=None,
        metric_names=("loss",),
    )


ENDLESS = _problem(_spec("x", "double", min="0", max="1"), _spec("n", "int", min="1", max="9"))
HUGE = _problem(*(_spec(f"p{place}", "int", min="1", max="1000000") for place in range(5)))
HUGE_UNEVEN = _problem(
    _spec("n", "int", min="1", max="100000", distribution="normal"),
    _spec("c", "categorical", list=("a", "b")),
)


def _entries(problem: Problem, count: int) -> list[Entry]:
    points = np.random.default_rng(0).random((count, len(problem.space)))
    return [
        Entry(f"t{number}", problem.space.from_unit_cube(point.tolist()), Outcome.SUCCEEDED, loss=1.0)
        for number, point in enumerate(points)
    ]


def _texts(algorithm: Algorithm, problem: Problem, *, total: int = 0, count: int = 1) -> list[dict[str, str]]:
    history = History(_entries(problem, total) if algorithm.reads(problem) is Reads.ALL else (), total=total)
    return [dict(each.assignment) for each in ask(algorithm, problem, history, count=count).proposals]


@pytest.mark.parametrize("algorithm", [RandomSearch(), SobolSearch()], ids=lambda each: each.name)
def test_batches_of_any_size_give_the_same_sequence(algorithm: Algorithm) -> None:
    whole = _texts(algorithm, ENDLESS, count=12)
    singly = [text for total in range(12) for text in _texts(algorithm, ENDLESS, total=total)]
    assert whole == singly


@pytest.mark.parametrize("algorithm", [RandomSearch(), SobolSearch()], ids=lambda each: each.name)
def test_random_state_chooses_the_sequence(algorithm: Algorithm) -> None:
    by_setting = _problem(*_specs(ENDLESS), random_state="8")
    by_seed = _problem(*_specs(ENDLESS), seed=8)
    assert _texts(algorithm, by_setting, count=3) == _texts(algorithm, by_seed, count=3)
    assert _texts(algorithm, by_setting, count=3) != _texts(algorithm, ENDLESS, count=3)


def _specs(problem: Problem) -> list[ParameterSpec]:
    assert problem is ENDLESS
    return [_spec("x", "double", min="0", max="1"), _spec("n", "int", min="1", max="9")]


def test_random_search_needs_no_history_where_it_can_do_without() -> None:
    assert RandomSearch().reads(ENDLESS) is Reads.NOTHING
    assert RandomSearch().reads(HUGE) is Reads.NOTHING
    assert RandomSearch().reads(HUGE_UNEVEN) is Reads.ALL


def test_random_search_repeats_nothing_in_a_space_too_large_to_list() -> None:
    texts = _texts(RandomSearch(), HUGE, count=3000)
    assert len({tuple(text.values()) for text in texts}) == 3000


def test_random_search_repeats_nothing_that_an_uneven_large_space_has_seen() -> None:
    entries = _entries(HUGE_UNEVEN, 20_000)
    seen = {HUGE_UNEVEN.space.key(entry.assignment) for entry in entries}
    reply = ask(RandomSearch(), HUGE_UNEVEN, History(entries, len(entries)), count=500)
    fresh = [HUGE_UNEVEN.space.parse_assignment(each.assignment) for each in reply.proposals]
    keys = {HUGE_UNEVEN.space.key(assignment) for assignment in fresh}
    assert len(keys) == 500
    assert not keys & seen


def test_draws_without_replacement_prefer_what_is_likely() -> None:
    firsts = []
    for seed in range(1000):
        problem = _problem(_spec("n", "int", min="1", max="5", distribution="logUniform"), seed=seed)
        firsts.append(int(_texts(RandomSearch(), problem)[0]["n"]))
    masses = problem.space.dimensions[0].masses()
    assert chisquare(np.bincount(firsts)[1:], masses * 1000).pvalue > 0.01


@pytest.mark.parametrize("size", [1, 2, 3, 10, 257, 1000])
def test_the_permutation_hits_every_number_once(size: int) -> None:
    assert sorted(permuted(index, size, 5) for index in range(size)) == list(range(size))


def test_the_permutation_has_no_preference_for_places() -> None:
    images = np.array([[permuted(index, 10, seed) for index in range(10)] for seed in range(600)])
    for place in range(10):
        assert chisquare(np.bincount(images[:, place], minlength=10)).pvalue > 1e-4


def test_the_grid_turns_its_first_parameter_slowest() -> None:
    problem = _problem(
        _spec("x", "double", min="0.1", max="0.3", step="0.1"), _spec("c", "categorical", list=("b", "a"))
    )
    assert [tuple(text.values()) for text in _texts(GridSearch(), problem, count=6)] == [
        ("0.1", "b"),
        ("0.1", "a"),
        ("0.2", "b"),
        ("0.2", "a"),
        ("0.3", "b"),
        ("0.3", "a"),
    ]


def test_the_grid_names_every_double_without_a_step() -> None:
    problem = _problem(
        _spec("rate", "double", min="0", max="1"),
        _spec("n", "int", min="1", max="3"),
        _spec("decay", "double", min="0", max="1"),
    )
    with pytest.raises(InvalidSettings) as refusal:
        check(GridSearch(), problem)
    assert [text.split()[1] for text in refusal.value.problems] == ["rate", "decay"]


def test_a_grid_of_a_million_to_the_fifth_is_never_built() -> None:
    texts = _texts(GridSearch(), HUGE, total=10**30 - 2, count=5)
    assert [tuple(text.values())[-2:] for text in texts] == [("1000000", "999999"), ("1000000", "1000000")]


def test_sobol_points_fill_every_interval() -> None:
    problem = _problem(*(_spec(name, "double", min="0", max="1") for name in "ab"))
    for name in "ab":
        values = [float(text[name]) for text in _texts(SobolSearch(), problem, count=64)]
        assert sorted(int(value * 64) for value in values) == list(range(64))


def test_sobol_gives_whole_numbers_and_choices_equal_shares_with_both_bounds() -> None:
    problem = _problem(
        _spec("x", "double", min="0", max="1"),
        _spec("n", "int", min="1", max="4"),
        _spec("c", "categorical", list=("a", "b")),
    )
    texts = _texts(SobolSearch(), problem, count=128)
    assert [sum(text["n"] == str(value) for text in texts) for value in range(1, 5)] == [32] * 4
    assert sum(text["c"] == "a" for text in texts) == 64


def test_sobol_follows_the_distribution() -> None:
    problem = _problem(_spec("x", "double", min="1e-4", max="1", distribution="logUniform"))
    values = np.array([float(text["x"]) for text in _texts(SobolSearch(), problem, count=64)])
    assert np.histogram(np.log10(values), bins=4, range=(-4, 0))[0].tolist() == [16] * 4


@pytest.mark.parametrize("name", ["random", "grid", "sobol"])
def test_optuna_is_not_imported(name: str) -> None:
    code = (
        "import sys\n"
        "from katibpy.testing.algorithm_probe import probe\n"
        "from katibpy.testing.algorithm_subject import CatalogSubject\n"
        f"probe(CatalogSubject({name!r}), ('finite', '5', '2'))\n"
        "print('optuna' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_sobol_goes_on_behind_the_points_that_it_has_passed_over() -> None:
    run = Trials(_problem(_spec("n", "int", min="1", max="40")))
    algorithm = SobolSearch()
    positions = []
    for _ in range(12):
        run.propose(algorithm, 3)
        positions.append(int(run.memory or b"0"))
    assert len({entry.assignment["n"] for entry in run.entries}) == 36
    assert positions == sorted(positions)
    assert positions[-1] > 36
    kept = run.ask(algorithm)
    for memory in (None, b"", b"\xff", b"-3", b"1" * 400):
        run.memory = memory
        assert run.ask(algorithm).proposals == kept.proposals


def test_sobol_passes_over_the_same_points_whatever_the_size_of_a_batch() -> None:
    specs = (_spec("n", "int", min="1", max="12"), _spec("c", "categorical", list=["a", "b", "c"]))
    runs = [Trials(_problem(*specs)) for _ in range(3)]
    for run, batch in zip(runs, (1, 3, 6), strict=True):
        for _ in range(0, 30, batch):
            run.propose(SobolSearch(), batch)
    first, *others = ([entry.assignment for entry in run.entries] for run in runs)
    assert len({tuple(assignment.values()) for assignment in first}) == 30
    assert all(assignments == first for assignments in others)
