"""A whole katibpy in one thread and in virtual time, to watch what the controller makes of a situation.

    def behaviour(trial: Trial) -> Script:
        rate = float(trial.spec.parameter_assignments[0].value)
        return script_of({"loss": (rate - 0.3) ** 2}, duration_seconds=60)

    simulation = Simulation(behaviour)
    simulation.submit(builders.experiment("tune", max_trial_count=20, parallel_trial_count=4))
    simulation.run_until(lambda: simulation.phase("tune").is_finished)
    print(simulation.experiment("tune").status.current_optimal_trial)

Everything is real but the jobs and the clock: the memory stores, the algorithms (called without gRPC), the
planners and the controller. The controller can be killed at any port call and started again over the same
stores and the same world; runs go on meanwhile, as processes do.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from katibpy.api.experiment import Experiment
from katibpy.api.model import Resource
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.controller.adapters import Adapters
from katibpy.controller.loop import Controller
from katibpy.core.invariants import Snapshot
from katibpy.core.phases import ExperimentPhase, experiment_phase
from katibpy.errors import KatibError, NotFound
from katibpy.launchers.in_process import DirectGateway
from katibpy.ports import SuggestionGateway
from katibpy.runners.simulated import SimulatedCollector, SimulatedRunner
from katibpy.runners.simulated_world import Script, SimulatedWorld
from katibpy.stores.memory_observations import MemoryObservationStore
from katibpy.stores.memory_resources import MemoryResourceStore
from katibpy.testing.port_faults import Faults, SimulatedCrash, breakable

NAMESPACE = "default"
_POLL_SECONDS = 0.5
_RESYNC_SECONDS = 60.0


class Simulation:
    """Stores, a world of simulated jobs, algorithms and a controller; not thread-safe.

    Attributes:
        world: the jobs; it goes on when the controller is killed.
        clock: virtual time, moved by `pass_time` alone.
        store: the resources, to look at and to write as a user would.
        observations: what trials reported.
        faults: break a port call of the controller here.
        controller: the one that runs now.
        restarts: how often it was started again.
    """

    def __init__(
        self,
        behaviour: Callable[[Trial], Script],
        *,
        new_gateway: Callable[[], SuggestionGateway] = DirectGateway,
        faults: Faults | None = None,
    ) -> None:
        """Makes a world without Experiments.

        Args:
            behaviour: what the job of a Trial does.
            new_gateway: reaches the algorithms; called again for every controller.
            faults: break port calls from the very first on.
        """
        self.world = SimulatedWorld(behaviour)
        self.clock = self.world.clock
        uids = count()
        self.store = MemoryResourceStore(self.clock, new_uid=lambda: f"uid-{next(uids)}")
        self.observations = MemoryObservationStore()
        self.faults = faults or Faults()
        self.restarts = -1
        self._new_gateway = new_gateway
        self._polled_version = 0
        self._resynced_version = -1
        self._next_poll: float | None = None
        self.controller = self._started()

    # What users do.

    def submit(self, experiment: Experiment) -> Experiment:
        """Stores an Experiment."""
        return self.store.create(experiment)

    def edit(self, name: str, **budget: Any) -> Experiment:
        """Replaces fields of an Experiment's spec."""
        experiment = self.experiment(name)
        return self.store.replace_spec(experiment.but(spec=experiment.spec.but(**budget)))

    def delete(self, kind: type[Resource], name: str) -> bool:
        """Asks for something to be deleted."""
        return self.store.delete(kind, NAMESPACE, name)

    # What they see.

    def experiment(self, name: str) -> Experiment:
        """The Experiment.

        Raises:
            NotFound: there is none.
        """
        found = self.store.find(Experiment, NAMESPACE, name)
        if found is None:
            raise NotFound(f"there is no Experiment {name!r} in the simulation")
        return found

    def phase(self, name: str) -> ExperimentPhase:
        """Where the Experiment is."""
        return experiment_phase(self.experiment(name).status.conditions)

    def trials(self, name: str) -> tuple[Trial, ...]:
        """All its Trials, in creation order."""
        return self.store.list(Trial, owner_uid=self.experiment(name).metadata.uid).items

    def snapshot(self, name: str) -> Snapshot:
        """Everything that is stored of it."""
        experiment = self.experiment(name)
        uid = experiment.metadata.uid or ""
        return Snapshot(
            experiment=experiment,
            suggestion=self.store.find(Suggestion, NAMESPACE, name),
            trials=self.trials(name),
            proposals=self.store.proposals(uid),
            tally=self.store.tally(uid),
        )

    # How it goes on.

    def step(self) -> bool:
        """One reconciliation; False when the controller has nothing to do at this moment."""
        try:
            return self.controller.step()
        except SimulatedCrash:
            self.restart()
            return True

    def settle(self, *, limit: int = 10_000) -> None:
        """Lets the controller do all it can do without time passing.

        Raises:
            RuntimeError: it does not come to an end.
        """
        for _ in range(limit):
            if not self.step():
                return
        raise RuntimeError(f"the controller still has something to do after {limit} reconciliations")

    def pass_time(self) -> bool:
        """Moves time to whatever comes next: a job's doing, a timer, a look at the store's changes.

        Returns:
            False when nothing will ever happen again unless somebody does something.
        """
        now = self.clock.monotonic()
        if self._next_poll is not None and now >= self._next_poll:
            self._next_poll = None
        if self._next_poll is None and self.store.version() != self._polled_version:
            self._polled_version = self.store.version()
            self._next_poll = now + _POLL_SECONDS
        timer = self.controller.queue.seconds_until_due()
        due = None if timer is None else now + timer
        moments = [each for each in (self.world.next_moment(), due, self._next_poll) if each is not None]
        if not moments and self._resynced_version != self.store.version():
            # The controller's own look at everything unfinished, the last resort where an event was lost.
            self._resynced_version = self.store.version()
            moments.append(now + _RESYNC_SECONDS)
        if not moments:
            return False
        try:
            self.world.advance_to(min(moments))
        except SimulatedCrash:
            self.restart()
        return True

    def run_until(self, is_reached: Callable[[], bool], *, limit: int = 100_000) -> bool:
        """Runs until something is reached; looks after every reconciliation.

        Returns:
            Whether it was; False when it never will be, since nothing is left to happen.

        Raises:
            RuntimeError: it takes more than `limit` steps.
        """
        for _ in range(limit):
            if is_reached():
                return True
            if not self.step() and not self.pass_time():
                return is_reached()
        raise RuntimeError(f"not reached within {limit} steps")

    def restart(self) -> None:
        """Kills the controller and starts another over the same stores and world."""
        self.controller = self._started()

    def _started(self) -> Controller:
        while True:
            self.restarts += 1
            self.world.crash()
            try:
                controller = self._new_controller()
                controller.resync()
            except (SimulatedCrash, KatibError):
                continue  # whoever starts the program starts it again
            return controller

    def _new_controller(self) -> Controller:
        def port(name: str, target: Any) -> Any:
            return breakable(name, target, self.faults)

        observations = port("observations", self.observations)
        adapters = Adapters(
            store=port("store", self.store),
            observations=observations,
            runner=port("runner", SimulatedRunner(self.world)),
            collector=port("collector", SimulatedCollector(self.world, observations)),
            gateway=port("gateway", self._new_gateway()),
            clock=self.clock,
        )
        return Controller(adapters, workers=0, poll_seconds=_POLL_SECONDS, resync_seconds=_RESYNC_SECONDS)
