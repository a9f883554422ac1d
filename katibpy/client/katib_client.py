"""`KatibClient`: Katib's Python client, over an engine in this very program."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from katibpy.api.experiment import Experiment
from katibpy.client import submitting
from katibpy.client.reading import Reader
from katibpy.client.session import session_of
from katibpy.client.tuning import Tuning
from katibpy.client.waiting import Wanted, display_for, wait_for
from katibpy.errors import InputError, Unsupported, WaitTimeout

STATE_DIRECTORY_VARIABLE = "KATIB_STATE_DIR"
DEFAULT_STATE_DIRECTORY = ".katib"

_clients_lock = threading.Lock()
_clients: weakref.WeakSet[KatibClient] = weakref.WeakSet()


class KatibClient(Reader):
    """Tunes on this machine, over the same state directory as `katib run`.

    Methods and their arguments are Katib's. What runs, runs in the background of this program: it goes on as
    long as the program does, stops cleanly with it, and can be taken up again. Reading works beside a `katib
    run` on the same directory; running needs the directory for itself.

    Clients of one state directory share everything, so a second one is free. A client may be used by several
    threads. `with KatibClient() as client:` closes it at the end; without that, the end of the program does.
    """

    def __init__(
        self,
        config_file: str | None = None,
        context: str | None = None,
        *,
        client_configuration: object = None,
        namespace: str = "default",
        state_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            config_file: for a cluster; not supported yet.
            context: for a cluster; not supported yet.
            client_configuration: for a cluster; not supported yet.
            namespace: of everything that does not name one.
            state_dir: where experiments, metrics and logs are kept; `$KATIB_STATE_DIR` or `.katib` when not
                given.

        Raises:
            Unsupported: a cluster is asked for.
        """
        asked = {"config_file": config_file, "context": context, "client_configuration": client_configuration}
        for argument, value in asked.items():
            if value is not None:
                raise Unsupported(
                    f"{argument} names a cluster, and this client runs on this machine: leave it out"
                )
        chosen = state_dir or os.environ.get(STATE_DIRECTORY_VARIABLE) or DEFAULT_STATE_DIRECTORY
        super().__init__(session_of(Path(chosen)), namespace)
        with _clients_lock:
            _clients.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"KatibClient(namespace={self.namespace!r}, state_dir={str(self._session.state_dir)!r})"

    @property
    def state_dir(self) -> Path:
        """Where experiments, metrics and logs are kept."""
        return self._session.state_dir

    def close(self) -> None:
        """Stops what runs, so that it can go on later, and lets the state directory go to others.

        While another client of the same directory is in use, that one keeps everything going. A closed client
        opens itself again when it is used.
        """
        with _clients_lock:
            _clients.discard(self)
            is_last = all(other._session is not self._session for other in _clients)
        if is_last:
            self._session.close()

    # Making experiments.

    def create_experiment(
        self,
        experiment: object,
        namespace: str | None = None,
        *,
        replace: bool = False,
        progress: bool | None = None,
    ) -> None:
        """Creates Experiments, which begin to run in the background.

        The same Experiment again goes on where it was, with its budget edited if that differs.

        Args:
            experiment: a dict, a path of a YAML file, YAML text, an `Experiment`, or an object with
                `to_dict()` such as kubeflow-katib's. A file may hold several, and ConfigMaps with templates.
            namespace: of those that do not name one.
            replace: start over: delete experiments of the same names first.
            progress: whether to say what begins; see `wait_for_experiment_condition`.

        Raises:
            InvalidResource: every problem of the Experiment at once.
            AlreadyExists: one of that name exists and is another.
            StateDirectoryLocked: another program runs experiments in the state directory.
        """
        submitting.create(
            self._session, experiment, namespace, default=self.namespace, replace=replace, progress=progress
        )

    def tune(
        self,
        name: str,
        *,
        objective: Callable[..., Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        namespace: str | None = None,
        objective_metric_name: str | None = None,
        additional_metric_names: Sequence[str] = (),
        objective_type: str = "maximize",
        objective_goal: float | None = None,
        metric_strategies: Mapping[str, str] | None = None,
        algorithm_name: str = "random",
        algorithm_settings: Any = None,
        max_trial_count: int | None = None,
        parallel_trial_count: int | None = None,
        max_failed_trial_count: int | None = None,
        resume_policy: str = "LongRunning",
        seed: int | None = None,
        env_per_trial: Any = None,
        resources_per_trial: Any = None,
        retain_trials: bool = False,
        trial_active_deadline_seconds: int | None = None,
        metrics_collector_config: Mapping[str, Any] | None = None,
        base_image: str | None = None,
        packages_to_install: Sequence[str] | None = None,
        pip_index_urls: Sequence[str] | None = None,
        model_provider_parameters: object = None,
        dataset_provider_parameters: object = None,
        trainer_parameters: object = None,
        storage_config: object = None,
        replace: bool = False,
        progress: bool | None = None,
    ) -> None:
        """Tunes a function: every trial calls it once, in a process of its own, with other parameters.

        Returns at once; trials run in the background of this program.

        Args:
            name: of the Experiment.
            objective: takes one dict of parameters, or a parameter for each of them under its name. It
                returns the metric that is optimised, or a dict of metrics, or prints lines of `name=value`.
            parameters: search dimensions (`search.double(...)`) and constants by name.
            namespace: of the Experiment; the client's when not given.
            objective_metric_name: the metric that is optimised.
            additional_metric_names: other metrics to keep.
            objective_type: `maximize` or `minimize`.
            objective_goal: a value of the metric with which the search may end.
            metric_strategies: by metric, which of a trial's values counts: `min`, `max` or `latest`.
            algorithm_name: how parameters are chosen.
            algorithm_settings: a dict, or a list of names and values.
            max_trial_count: after how many trials the search ends; without it only the goal ends it.
            parallel_trial_count: how many run at a time; 3 when not given.
            max_failed_trial_count: with how many failures the search is given up; never when not given.
            resume_policy: whether more trials may be asked for after the end; `Never` for no.
            seed: draws the same parameters again.
            env_per_trial: environment variables: a dict, or a list of names and values.
            resources_per_trial: such as `{"cpu": 2, "memory": "4Gi"}`.
            retain_trials: keep the files of trials that are deleted.
            trial_active_deadline_seconds: ends trials that take longer.
            metrics_collector_config: `{"kind": "StdOut"}`, the only one here.
            base_image: for a cluster; written down and not used here.
            packages_to_install: must be installed already.
            pip_index_urls: for a cluster; not used here.
            model_provider_parameters: for a cluster; not supported.
            dataset_provider_parameters: for a cluster; not supported.
            trainer_parameters: for a cluster; not supported.
            storage_config: for a cluster; not supported.
            replace: start over: delete an experiment of the same name first.
            progress: whether to say what begins; see `wait_for_experiment_condition`.

        Raises:
            InputError: an argument is wrong, or the objective uses something that cannot be sent to another
                process.
            Unsupported: an argument asks for what this machine cannot do.
            AlreadyExists: an experiment of that name tunes another objective or other parameters.
            StateDirectoryLocked: another program runs experiments in the state directory.
        """
        refused = {
            "model_provider_parameters": model_provider_parameters,
            "dataset_provider_parameters": dataset_provider_parameters,
            "trainer_parameters": trainer_parameters,
            "storage_config": storage_config,
        }
        for argument, value in refused.items():
            if value is not None:
                raise Unsupported(
                    f"{argument} needs a cluster: tune a function with objective and parameters"
                )
        tuning = Tuning(
            name=name,
            namespace=namespace or self.namespace,
            objective=objective,
            parameters=parameters,
            objective_metric_name=objective_metric_name,
            additional_metric_names=additional_metric_names,
            objective_type=objective_type,
            objective_goal=objective_goal,
            metric_strategies=metric_strategies,
            algorithm_name=algorithm_name,
            algorithm_settings=algorithm_settings,
            max_trial_count=max_trial_count,
            parallel_trial_count=parallel_trial_count,
            max_failed_trial_count=max_failed_trial_count,
            resume_policy=resume_policy,
            seed=seed,
            env_per_trial=env_per_trial,
            resources_per_trial=resources_per_trial,
            retain_trials=retain_trials,
            trial_active_deadline_seconds=trial_active_deadline_seconds,
            metrics_collector_config=metrics_collector_config or {},
            base_image=base_image,
            packages_to_install=packages_to_install,
        )
        submitting.tune(self._session, tuning, replace=replace, progress=progress)

    # Looking after experiments.

    def wait_for_experiment_condition(
        self,
        name: str,
        namespace: str | None = None,
        *,
        expected_condition: str = "Succeeded",
        timeout: float | None = None,
        polling_interval: float = 0.25,
        progress: bool | None = None,
    ) -> Experiment:
        """Blocks until a condition of an Experiment is True, and shows how it goes.

        An Experiment that was interrupted, and that no other program runs, is taken up again.

        Args:
            name: of the Experiment.
            namespace: of the Experiment; the client's when not given.
            expected_condition: `Created`, `Running`, `Restarting`, `Succeeded` or `Failed`.
            timeout: seconds; as long as it takes when not given.
            polling_interval: seconds between two updates of what is shown, at most 0.25; an end is noticed
                at once.
            progress: None shows it in terminals and notebooks, True in files and pipes too, False never.

        Returns:
            The Experiment as it is then.

        Raises:
            NotFound: there is no such Experiment.
            ExperimentFailed: it failed; with the traceback that most of its failed trials have in common.
            UnexpectedEnd: it ended otherwise than was waited for.
            WaitTimeout: it took too long; a TimeoutError.
        """
        wanted = Wanted(
            namespace or self.namespace, name, expected_condition, timeout, tick_seconds=polling_interval
        )
        self.get_experiment(name, namespace)
        return wait_for(self._session, wanted, display_for(progress))

    def edit_experiment_budget(
        self,
        name: str,
        namespace: str | None = None,
        *,
        max_trial_count: int | None = None,
        parallel_trial_count: int | None = None,
        max_failed_trial_count: int | None = None,
        timeout: float | None = None,
    ) -> None:
        """Changes how many trials an Experiment may have; one that had used them up goes on.

        Args:
            name: of the Experiment.
            namespace: of the Experiment; the client's when not given.
            max_trial_count: trials in all.
            parallel_trial_count: trials at a time.
            max_failed_trial_count: with how many failures it is given up.
            timeout: not needed here.

        Raises:
            InputError: no count is given.
            NotFound: there is no such Experiment.
            InvalidResource: the counts contradict each other, or what has been run already.
        """
        counts = (max_trial_count, parallel_trial_count, max_failed_trial_count)
        if all(count is None for count in counts):
            raise InputError(
                "edit_experiment_budget must be given max_trial_count, parallel_trial_count or "
                "max_failed_trial_count, got none of them"
            )
        self.get_experiment(name, namespace)
        submitting.edit(self._session, namespace or self.namespace, name, counts)

    def delete_experiment(
        self,
        name: str,
        namespace: str | None = None,
        *,
        delete_options: object = None,
        timeout: float = 120.0,
    ) -> None:
        """Ends an Experiment and removes it, with its trials, their metrics and their output.

        Args:
            name: of the Experiment.
            namespace: of the Experiment; the client's when not given.
            delete_options: for a cluster; not used here.
            timeout: seconds until it must be gone.

        Raises:
            NotFound: there is no such Experiment.
            WaitTimeout: it is marked for deletion, and not gone yet; a TimeoutError.
        """
        self.get_experiment(name, namespace)
        if not submitting.delete(self._session, namespace or self.namespace, name, timeout_seconds=timeout):
            raise WaitTimeout(
                f"experiment {name!r} must be gone within {timeout:g} s, but it is only marked for deletion: "
                "whoever runs experiments in the state directory next removes it"
            )
