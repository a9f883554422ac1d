"""The storage under a study that is a history."""

# ruff: noqa: D102 - what each method does stands in Optuna's base class

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

STUDY_NAME = "history"


class HistoryStorage(BaseStorage):
    """One study whose first trials are given, and to which only `Study.ask` adds.

    Optuna's own in-memory storage copies every trial that is put in and never takes one back; here a
    history of 10,000 trials is taken over as it is, and what was asked for goes with the storage.
    Not thread-safe: one request, one storage.
    """

    def __init__(self, trials: list[FrozenTrial]) -> None:
        self._trials = trials
        self._attributes: dict[str, Any] = {}

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        number = len(self._trials)
        self._trials.append(new_trial(number, TrialState.RUNNING, None, {}, {}))
        return number

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        trial = self._trials[trial_id]
        trial.params = {**trial.params, param_name: distribution.to_external_repr(param_value_internal)}
        trial.distributions = {**trial.distributions, param_name: distribution}

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        trial = self._trials[trial_id]
        trial.system_attrs = {**trial.system_attrs, key: value}

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        trial = self._trials[trial_id]
        trial.user_attrs = {**trial.user_attrs, key: value}

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        trial = self._trials[trial_id]
        trial.state = state
        if values is not None:
            trial.values = list(values)
        return True

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        self._trials[trial_id].intermediate_values[step] = intermediate_value

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._trials[trial_id]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        if states is None:
            return list(self._trials)
        if states == (TrialState.WAITING,):
            return []
        return [trial for trial in self._trials if trial.state in states]

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        return 0

    def delete_study(self, study_id: int) -> None:
        self._trials = []

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._attributes[key] = value

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._attributes[key] = value

    def get_study_id_from_name(self, study_name: str) -> int:
        return 0

    def get_study_name_from_id(self, study_id: int) -> str:
        return STUDY_NAME

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return [StudyDirection.MINIMIZE]

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._attributes

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._attributes

    def get_all_studies(self) -> list[Any]:
        return []


def new_trial(
    number: int,
    state: TrialState,
    loss: float | None,
    parameters: dict[str, Any],
    distributions: dict[str, BaseDistribution],
) -> FrozenTrial:
    """A trial with what samplers read; the number is the id too."""
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=loss,
        params=parameters,
        distributions=distributions,
        datetime_start=None,
        datetime_complete=None,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )
