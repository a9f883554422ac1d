"""What an algorithm has against an Experiment, told by the fields of the file that it is about."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from katibpy.api.experiment import Experiment
from katibpy.app.admission import Admitted, Check
from katibpy.errors import FieldError, InvalidResource, InvalidSettings, ServiceError
from katibpy.ports import SuggestionGateway

_SETTING = re.compile(r"setting (\S+)")
_PARAMETER = re.compile(r"parameter (\S+)")


def settings_check(*, elsewhere: Collection[str] = ()) -> Check:
    """A check that asks the algorithm in this process.

    Args:
        elsewhere: names of algorithms that a configuration brings, which cannot be asked here.
    """

    def check(experiment: Experiment) -> tuple[FieldError, ...]:
        algorithm = experiment.spec.algorithm
        if algorithm is None or algorithm.algorithm_name in elsewhere:
            return ()
        # Late: it brings the algorithm's libraries along.
        from katibpy.algo.hosting import HostedExperiment, algorithm_named

        try:
            HostedExperiment(algorithm_named(algorithm.algorithm_name), experiment)
        except InvalidSettings as refusal:
            return refused_fields(experiment, refusal.problems)
        return ()

    return check


def refuse_what_algorithms_refuse(
    gateway: SuggestionGateway, admitted: Admitted, *, timeout_seconds: float
) -> None:
    """Asks the algorithm's service; one that cannot answer says nothing.

    Raises:
        InvalidResource: the algorithm refuses its settings or the search space.
    """
    try:
        gateway.validate(admitted.experiment, timeout_seconds=timeout_seconds)
    except InvalidSettings as refusal:
        errors = refused_fields(admitted.experiment, refusal.problems)
        raise InvalidResource(admitted.document.located(errors)) from refusal
    except ServiceError:
        return


def refused_fields(experiment: Experiment, problems: Iterable[str]) -> tuple[FieldError, ...]:
    """The algorithm's words, each at the setting or parameter that it begins with, else at the algorithm."""
    return tuple(FieldError(_path(experiment, problem), _said(experiment, problem)) for problem in problems)


def _path(experiment: Experiment, problem: str) -> str:
    algorithm = experiment.spec.algorithm
    settings = algorithm.algorithm_settings if algorithm is not None else ()
    about = _SETTING.match(problem)
    for index, setting in enumerate(settings):
        if about is not None and setting.name == about[1]:
            return f"spec.algorithm.algorithmSettings[{index}]"
    about = _PARAMETER.match(problem)
    for index, parameter in enumerate(experiment.spec.parameters):
        if about is not None and parameter.name == about[1]:
            return f"spec.parameters[{index}]"
    return "spec.algorithm"


def _said(experiment: Experiment, problem: str) -> str:
    algorithm = experiment.spec.algorithm
    return f"is refused by {algorithm.algorithm_name if algorithm else 'the algorithm'}: {problem}"
