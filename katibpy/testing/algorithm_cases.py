"""Experiments, histories and runs that the algorithm suite puts an algorithm through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, cycle

from katibpy.algo.algorithm import Reply
from katibpy.algo.history import Outcome
from katibpy.algo.merged_history import Line
from katibpy.algo.randomness import generator
from katibpy.algo.space import Space, Value, space_of
from katibpy.api.experiment import (
    Algorithm,
    Experiment,
    ExperimentSpec,
    FeasibleSpace,
    Objective,
    ObjectiveType,
    ParameterSpec,
    ParameterType,
)
from katibpy.api.model import NameValue, ObjectMeta
from katibpy.errors import InvalidSettings
from katibpy.testing.algorithm_subject import BrokenPromiseError, NotApplicableError, Question, Subject

OBJECTIVE = "loss"
_SEED = 20_260_801

Objectives = Callable[[Mapping[str, Value]], float]


def parameter(name: str, kind: ParameterType, **feasible: str | tuple[str, ...]) -> ParameterSpec:
    """A parameter with the given fields of `feasibleSpace`."""
    return ParameterSpec(
        name=name, parameter_type=kind.value, feasible_space=FeasibleSpace.model_validate(feasible)
    )


def _double(**feasible: str) -> ParameterSpec:
    return parameter("x", ParameterType.DOUBLE, **feasible)


def _int(**feasible: str) -> ParameterSpec:
    return parameter("x", ParameterType.INT, **feasible)


KINDS: Mapping[str, ParameterSpec] = {
    "double": _double(min="-5", max="2.5"),
    "double logUniform": _double(min="1e-6", max="1", distribution="logUniform"),
    "double normal": _double(min="0", max="1", distribution="normal"),
    "double logNormal": _double(min="0.001", max="10", distribution="logNormal"),
    "double step": _double(min="0.1", max="1", step="0.1"),
    "double step beside max": _double(min="0", max="1", step="0.3"),
    "double step logUniform": _double(min="0.25", max="8", step="0.25", distribution="logUniform"),
    "double step normal": _double(min="-1", max="1", step="0.125", distribution="normal"),
    "int": _int(min="-3", max="9"),
    "int step": _int(min="1", max="10", step="4"),
    "int logUniform": _int(min="1", max="1024", distribution="logUniform"),
    "int normal": _int(min="0", max="30", step="3", distribution="normal"),
    "int logNormal": _int(min="2", max="500", distribution="logNormal"),
    "discrete": parameter("x", ParameterType.DISCRETE, list=("32", "0.5", "1e2", "8.0")),
    "categorical": parameter("x", ParameterType.CATEGORICAL, list=("relu", 'a "quoted" one', "ünï", "1.0")),
    "categorical with one choice": parameter("x", ParameterType.CATEGORICAL, list=("only",)),
}
"""One parameter of each kind, by what is special about it."""

MIXED = (
    parameter("rate", ParameterType.DOUBLE, min="1e-5", max="1", distribution="logUniform"),
    parameter("momentum", ParameterType.DOUBLE, min="0", max="1", distribution="normal"),
    parameter("layers", ParameterType.INT, min="1", max="8"),
    parameter("width", ParameterType.DISCRETE, list=("16", "32", "64", "128")),
    parameter("activation", ParameterType.CATEGORICAL, list=("relu", "tanh", "gelu")),
)
"""An endless space of all kinds."""

FINITE = (
    parameter("depth", ParameterType.INT, min="1", max="4"),
    parameter("dropout", ParameterType.DOUBLE, min="0.1", max="0.3", step="0.1"),
    parameter("width", ParameterType.DISCRETE, list=("16", "32.0")),
    parameter("activation", ParameterType.CATEGORICAL, list=("relu", "tanh")),
)
"""A space of 48 assignments."""

FINITE_UNEVEN = (
    parameter("rate", ParameterType.DOUBLE, min="0.5", max="8", step="0.5", distribution="logNormal"),
    parameter("batch", ParameterType.INT, min="1", max="3", distribution="normal"),
)
"""A space of 48 assignments that are not equally likely."""

SPACES: Mapping[str, Sequence[ParameterSpec]] = {
    "mixed": MIXED,
    "finite": FINITE,
    "finite-uneven": FINITE_UNEVEN,
}
"""The spaces that are named in what the probe is told."""


def kind_spaces() -> dict[str, tuple[ParameterSpec, ...]]:
    """A space for each kind alone and for each pair of different kinds."""
    spaces: dict[str, tuple[ParameterSpec, ...]] = {name: (kind,) for name, kind in KINDS.items()}
    for first, second in combinations(KINDS, 2):
        spaces[f"{first} and {second}"] = (KINDS[first].but(name="a"), KINDS[second].but(name="b"))
    return spaces


def crowded_spaces() -> list[tuple[ParameterSpec, ...]]:
    """Spaces of four kinds each; any two kinds meet in at least one of them."""
    kinds = list(KINDS.values())
    twos = [kinds[place : place + 2] for place in range(0, len(kinds), 2)]
    return [
        tuple(kind.but(name=name) for name, kind in zip("abcd", (*first, *second), strict=False))
        for first, second in combinations(twos, 2)
    ]


def pairs_of(parameters: Iterable[ParameterSpec]) -> list[tuple[ParameterSpec, ...]]:
    """A space for each two of the parameters."""
    return list(combinations(parameters, 2))


def experiment(
    subject: Subject,
    parameters: Iterable[ParameterSpec],
    *,
    settings: Mapping[str, str] | None = None,
    seed: int = 7,
    uid: str = "conformance",
    direction: ObjectiveType = ObjectiveType.MINIMIZE,
) -> Experiment:
    """An Experiment for the algorithm, with the settings and parameters that it needs and those given."""
    written = {**subject.settings, **(settings or {})}
    return Experiment(
        metadata=ObjectMeta(name="conformance", uid=uid),
        spec=ExperimentSpec(
            parameters=extended(subject, parameters),
            objective=Objective(type=direction.value, objective_metric_name=OBJECTIVE),
            algorithm=Algorithm(
                algorithm_name=subject.name,
                algorithm_settings=tuple(NameValue(name=name, value=text) for name, text in written.items()),
            ),
            parallel_trial_count=10,
            max_trial_count=1000,
            seed=seed,
        ),
    )


def extended(subject: Subject, parameters: Iterable[ParameterSpec]) -> tuple[ParameterSpec, ...]:
    """The parameters, followed by those that the algorithm cannot do without."""
    given = tuple(parameters)
    names = {each.name for each in given}
    return (*given, *(each for each in subject.parameters if each.name not in names))


def accepted(subject: Subject, posed: Experiment) -> Experiment:
    """The Experiment, if the algorithm takes such a space.

    Raises:
        NotApplicableError: it refuses.
    """
    try:
        subject.check(posed)
    except InvalidSettings as refusal:
        raise NotApplicableError(f"it refuses such an Experiment: {refusal}") from refusal
    return posed


def taken_of(
    subject: Subject, spaces: Iterable[Sequence[ParameterSpec]]
) -> list[tuple[Sequence[ParameterSpec], Experiment]]:
    """Those of the spaces that the algorithm takes, extended by what it needs, each with an Experiment.

    Raises:
        NotApplicableError: it refuses them all.
    """
    taken: list[tuple[Sequence[ParameterSpec], Experiment]] = []
    refusals: list[NotApplicableError] = []
    for parameters in spaces:
        try:
            posed = accepted(subject, experiment(subject, parameters))
        except NotApplicableError as refusal:
            refusals.append(refusal)
        else:
            taken.append((posed.spec.parameters, posed))
    if not taken:
        raise refusals[0]
    return taken


def smooth(space: Space) -> Objectives:
    """A loss with one valley: the squared distance in unit coordinates to a point off the centre."""

    def loss(assignment: Mapping[str, Value]) -> float:
        units = space.to_unit_cube(assignment)
        return sum((unit - 0.3 - 0.4 * place / len(units)) ** 2 for place, unit in enumerate(units))

    return loss


def past(
    parameters: Sequence[ParameterSpec],
    length: int,
    *,
    outcomes: Sequence[tuple[Outcome, str | None]] = (),
    negate: bool = False,
) -> list[Line]:
    """A history of random assignments.

    Args:
        parameters: the space.
        length: how many entries.
        outcomes: taken in turn for the entries, each with the objective's text, None for a missing one and
            "" for the real loss; every entry succeeds when there are none.
        negate: write the loss with its sign turned.
    """
    space = space_of(parameters)
    loss = smooth(space)
    lines: list[Line] = []
    for number in range(length):
        point = generator(_SEED, number).random(len(space))
        assignment = space.from_unit_cube(point.tolist())
        outcome, text = outcomes[number % len(outcomes)] if outcomes else (Outcome.SUCCEEDED, "")
        shown = repr(-loss(assignment) if negate else loss(assignment)) if text == "" else text
        lines.append(line(number, space.format_assignment(assignment), outcome=outcome, loss=shown))
    return lines


def line(
    number: int,
    assignment: Mapping[str, str],
    *,
    outcome: Outcome = Outcome.SUCCEEDED,
    loss: str | None = None,
    labels: Mapping[str, str] | None = None,
    name: str | None = None,
) -> Line:
    """One history line."""
    return Line(
        name=name or f"trial-{number}",
        number=number,
        outcome=outcome,
        assignment=assignment,
        metrics={} if loss is None else {OBJECTIVE: loss},
        labels=labels or {},
        start_time=float(number),
        completion_time=None if outcome.is_pending else float(number + 1),
    )


@dataclass
class Run:
    """A run of an algorithm on a known objective; results come in as soon as a batch has been proposed.

    Attributes:
        lines: the history.
        replies: all replies, in order.
        losses: the loss of each line.
        memory: what the algorithm wants to be handed back.
    """

    lines: list[Line] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    memory: bytes | None = None

    @property
    def texts(self) -> list[dict[str, str]]:
        """All assignments, in creation order."""
        return [dict(each.assignment) for each in self.lines]


def play(
    subject: Subject,
    posed: Experiment,
    *,
    trials: int,
    batch: int | Sequence[int] = 1,
    objective: Objectives | None = None,
    restart: bool = False,
) -> Run:
    """Runs until `trials` proposals were made or the algorithm is exhausted; for arguments see `steps`.

    Raises:
        BrokenPromiseError: a proposal is outside the space.
    """
    runs = list(steps(subject, posed, trials=trials, batch=batch, objective=objective, restart=restart))
    return runs[-1] if runs else Run()


def steps(
    subject: Subject,
    posed: Experiment,
    *,
    trials: int,
    batch: int | Sequence[int] = 1,
    objective: Objectives | None = None,
    restart: bool = False,
) -> Iterator[Run]:
    """The one growing run after each reply, until `trials` proposals were made or the algorithm is exhausted.

    Args:
        subject: whom to ask.
        posed: the Experiment.
        trials: how many proposals to make.
        batch: how many to ask for at once; several numbers are taken in turn.
        objective: the loss of an assignment; `smooth` when not given.
        restart: drop everything that the algorithm keeps before every request.

    Raises:
        BrokenPromiseError: a proposal is outside the space.
    """
    space = space_of(posed.spec.parameters)
    loss = objective or smooth(space)
    run = Run()
    counts = cycle((batch,) if isinstance(batch, int) else batch)
    while len(run.lines) < trials:
        asked = subject.restarted() if restart else subject
        count = min(next(counts), trials - len(run.lines))
        reply = asked.suggest(Question(posed, tuple(run.lines), count, run.memory))
        run.replies.append(reply)
        run.memory = run.memory if reply.memory is None else reply.memory
        for proposal in reply.proposals:
            assignment = space.parse_assignment(proposal.assignment)
            if len(assignment) < len(space):
                raise BrokenPromiseError(
                    f"{Question(posed, run.lines, count)}: {dict(proposal.assignment)} is outside the space"
                )
            value = loss(assignment)
            run.losses.append(value)
            run.lines.append(
                line(
                    len(run.lines),
                    dict(proposal.assignment),
                    loss=repr(value),
                    labels=proposal.labels,
                    name=proposal.trial_name,
                )
            )
        yield run
        if reply.exhausted or not reply.proposals:
            return
