from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from katibpy.algo.algorithm import Algorithm, Proposal, Reply
from katibpy.algo.history import History
from katibpy.algo.problem import Problem
from katibpy.algo.session import ask, check
from katibpy.algo.settings import REQUIRED, setting
from katibpy.algo.space import space_of
from katibpy.api.experiment import FeasibleSpace, ParameterSpec
from katibpy.errors import BadReply, InvalidSettings

SPACE = space_of(
    [
        ParameterSpec(name="n", parameter_type="int", feasible_space=FeasibleSpace(min="1", max="9")),
        ParameterSpec(
            name="x", parameter_type="double", feasible_space=FeasibleSpace(min="0", max="1", step="0.1")
        ),
    ]
)


@dataclass(frozen=True, slots=True)
class ScriptedSettings:
    random_state: int | None = setting(None, minimum=0)
    width: int = setting(1, minimum=1)


class Scripted(Algorithm):
    name = "scripted"
    summary = "does what it is told"
    Settings: ClassVar[type[Any]] = ScriptedSettings

    def __init__(self, answer: Callable[[Problem, np.random.Generator], Reply]) -> None:
        self._answer = answer

    def validate(self, problem: Problem) -> tuple[str, ...]:
        return () if len(problem.space) < 2 else ("parameter x is one too many",)

    def suggest(
        self,
        problem: Problem,
        history: History,
        *,
        count: int,
        memory: bytes | None,
        rng: np.random.Generator,
    ) -> Reply:
        return self._answer(problem, rng)


@dataclass(frozen=True, slots=True)
class NeedySettings:
    resource: str = setting(REQUIRED)


class Needy(Scripted):
    Settings = NeedySettings


def _problem(**settings: str) -> Problem:
    return Problem(
        name="e",
        uid="u",
        space=SPACE,
        settings=settings,
        seed=11,
        parallel_trial_count=1,
        max_trial_count=None,
        metric_names=("loss",),
    )


def _ask(*assignments: dict[str, str], count: int = 1, **changes: object) -> Reply:
    proposals = tuple(Proposal(assignment, **changes) for assignment in assignments)  # type: ignore[arg-type]
    return ask(Scripted(lambda problem, rng: Reply(proposals)), _problem(), History(), count=count)


def _first_draw(*, total: int = 0, **settings: str) -> float:
    drawn: list[float] = []

    def answer(problem: Problem, rng: np.random.Generator) -> Reply:
        drawn.append(float(rng.random()))
        return Reply()

    ask(Scripted(answer), _problem(**settings), History(total=total), count=1)
    return drawn[0]


def test_the_generator_follows_from_seed_and_number_of_proposals() -> None:
    assert _first_draw() == _first_draw()
    assert len({_first_draw(total=total) for total in range(20)}) == 20


def test_random_state_overrides_the_seed_of_the_experiment() -> None:
    assert _first_draw(random_state="11") == _first_draw()
    assert _first_draw(random_state="12") != _first_draw()
    seen: list[int] = []

    def answer(problem: Problem, rng: np.random.Generator) -> Reply:
        seen.append(problem.seed)
        return Reply()

    ask(Scripted(answer), _problem(random_state="99"), History(), count=1)
    assert seen == [99]


def test_a_reply_is_given_in_the_spelling_of_the_space() -> None:
    reply = _ask({"x": "0.30000000000000004", "n": "3.0"})
    assert reply.proposals[0].assignment == {"n": "3", "x": "0.3"}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ({"n": "1"}, "proposal 0: parameter x is missing"),
        ({"n": "10", "x": "0"}, "parameter n must be a text inside its feasible space, got '10'"),
        ({"n": "1", "x": "0.15"}, "parameter x must be a text inside its feasible space, got '0.15'"),
        ({"n": "1", "x": 0.1}, "parameter x must be a text inside its feasible space, got 0.1"),
        ({"n": "1", "x": "0", "y": "1"}, "there is no parameter y"),
    ],
)
def test_a_proposal_outside_the_space_is_refused(assignment: dict[str, str], message: str) -> None:
    with pytest.raises(BadReply, match=f"algorithm scripted.*{message}"):
        _ask(assignment)


def test_more_proposals_than_asked_for_are_refused() -> None:
    with pytest.raises(BadReply, match="asked for 1 proposals but gave 2"):
        _ask({"n": "1", "x": "0"}, {"n": "2", "x": "0"})


def test_fewer_proposals_than_asked_for_are_fine() -> None:
    assert len(_ask({"n": "1", "x": "0"}, count=3).proposals) == 1


def test_labels_and_names_that_are_not_texts_are_refused() -> None:
    with pytest.raises(BadReply, match="label 'generation' must have a text as value, got 3"):
        _ask({"n": "1", "x": "0"}, labels={"generation": 3})
    with pytest.raises(BadReply, match="the trial name must be a text, got 5"):
        _ask({"n": "1", "x": "0"}, trial_name=5)


def test_memory_that_is_not_bytes_is_refused() -> None:
    with pytest.raises(BadReply, match="memory of type str"):
        ask(
            Scripted(lambda problem, rng: Reply(memory="text")),  # type: ignore[arg-type]
            _problem(),
            History(),
            count=1,
        )


def test_check_tells_settings_and_space_at_once() -> None:
    with pytest.raises(InvalidSettings) as refusal:
        check(Scripted(lambda problem, rng: Reply()), _problem(width="0", depth="1"))
    assert [problem.split()[1] for problem in refusal.value.problems] == ["width", "depth", "x"]


def test_check_leaves_the_space_alone_when_a_required_setting_is_missing() -> None:
    with pytest.raises(InvalidSettings) as refusal:
        check(Needy(lambda problem, rng: Reply()), _problem())
    assert refusal.value.problems == ("setting resource must be given (str)",)


def test_nothing_can_be_asked_for_nothing() -> None:
    with pytest.raises(ValueError, match="count must be at least 1"):
        _ask(count=0)
