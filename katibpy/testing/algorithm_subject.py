"""What the algorithm suite is run against, and how a broken promise is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from katibpy.algo.algorithm import Algorithm, Reads, Reply
from katibpy.algo.merged_history import Line, MergedHistory
from katibpy.algo.posing import problem_of
from katibpy.algo.session import ask, check
from katibpy.algo.settings import SettingRow, describe_settings
from katibpy.api.experiment import Experiment, ParameterSpec
from katibpy.catalog import ALGORITHMS, load
from katibpy.testing.probe_processes import ProbeFailedError, probe_processes


class BrokenPromiseError(AssertionError):
    """An algorithm did not do what the contract says; the message says what was sent and what came back."""


class NotApplicableError(Exception):
    """A check says nothing about this algorithm; the message says why."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request.

    Attributes:
        experiment: the Experiment.
        lines: the whole history, in creation order.
        count: how many proposals are wanted.
        memory: what the last reply gave.
        total: how many proposals were ever made; None for the number of lines.
    """

    experiment: Experiment
    lines: Sequence[Line] = ()
    count: int = 1
    memory: bytes | None = None
    total: int | None = None

    @property
    def made(self) -> int:
        """How many proposals were ever made."""
        return len(self.lines) if self.total is None else self.total

    def __str__(self) -> str:
        spec = self.experiment.spec
        parameters = ", ".join(map(_shown, spec.parameters))
        settings = (
            {each.name: each.value for each in spec.algorithm.algorithm_settings} if spec.algorithm else {}
        )
        return (
            f"parameters {{{parameters}}}, settings {settings}, seed {spec.seed}, {len(self.lines)} entries, "
            f"{self.made} proposals before, {self.count} wanted"
        )


def _shown(parameter: ParameterSpec) -> str:
    space = parameter.feasible_space
    values = f"[{', '.join(space.list)}]" if space.list else f"{space.min}..{space.max}"
    step = f" step {space.step}" if space.step else ""
    return f"{parameter.name}: {parameter.parameter_type} {values}{step} {space.distribution or ''}".rstrip()


class Subject(Protocol):
    """An algorithm behind whatever stands between it and the suite."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def settings(self) -> Mapping[str, str]:
        """Settings that it cannot do without; every Experiment of the suite gets them."""
        ...

    @property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        """Parameters that it cannot do without; every space of the suite gets them."""
        ...

    @property
    def described(self) -> tuple[SettingRow, ...]:
        """Its settings, as far as they are known."""
        ...

    @property
    def learns(self) -> bool:
        """Whether it should be better than random search."""
        ...

    @property
    def repeats(self) -> bool:
        """Whether it may propose an assignment twice on purpose."""
        ...

    def check(self, experiment: Experiment) -> None:
        """Raises InvalidSettings when the algorithm refuses settings or space."""
        ...

    def suggest(self, question: Question) -> Reply:
        """Asks once."""
        ...

    def restarted(self) -> Subject:
        """The same algorithm with nothing kept from before."""
        ...

    def elsewhere(self, arguments: Sequence[str], *, hash_seed: int) -> list[dict[str, str]]:
        """What `katibpy.testing.algorithm_probe` tells of the algorithm in another process.

        Raises:
            NotApplicableError: it cannot be run in a process of ours.
        """
        ...


@dataclass(frozen=True, slots=True)
class CatalogSubject:
    """An algorithm of the catalogue, called in this process.

    Attributes:
        name: its name in the catalogue.
        settings: see `Subject`.
        algorithm: the instance that is asked.
    """

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    algorithm: Algorithm = field(init=False)

    def __post_init__(self) -> None:
        """Loads the class and makes an instance; its example settings stand in for what is not given."""
        algorithm: Algorithm = load(ALGORITHMS, self.name)()
        object.__setattr__(self, "algorithm", algorithm)
        object.__setattr__(self, "settings", {**algorithm.example_settings, **self.settings})

    @property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        """What the class says."""
        return self.algorithm.example_parameters

    @property
    def described(self) -> tuple[SettingRow, ...]:
        """Its settings."""
        return describe_settings(self.algorithm.Settings)

    @property
    def learns(self) -> bool:
        """What the class says."""
        return self.algorithm.learns

    @property
    def repeats(self) -> bool:
        """What the class says."""
        return self.algorithm.repeats

    def check(self, experiment: Experiment) -> None:
        """Checks settings and space."""
        check(self.algorithm, problem_of(experiment))

    def suggest(self, question: Question) -> Reply:
        """Asks with as much of the history as the algorithm declares to read."""
        problem = problem_of(question.experiment)
        return self.suggest_reading(question, self.algorithm.reads(problem))

    def suggest_reading(self, question: Question, reads: Reads) -> Reply:
        """Asks with a given part of the history."""
        problem = problem_of(question.experiment)
        merged = MergedHistory(problem)
        merged.replace(question.lines)
        history = merged.history(reads, total=question.made)
        return ask(self.algorithm, problem, history, count=question.count, memory=question.memory)

    def restarted(self) -> CatalogSubject:
        """A new instance."""
        return CatalogSubject(self.name, self.settings)

    def elsewhere(self, arguments: Sequence[str], *, hash_seed: int) -> list[dict[str, str]]:
        """Asks the probe in a child process."""
        try:
            return probe_processes.ask((self.name, *arguments), hash_seed=hash_seed)
        except ProbeFailedError as failure:
            raise BrokenPromiseError(f"in another process it failed: {failure}") from failure
