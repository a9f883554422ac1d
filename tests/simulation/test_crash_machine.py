"""Anything may happen to any Experiment at any moment, crashes above all; the rules hold, and all end.

Hypothesis makes up what users, jobs, services and power cuts do. After every reconciliation everything
stored is checked. When the disturbances stop, every Experiment must come to its end by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from katibpy.algo.algorithm import Reply
from katibpy.api.experiment import Experiment
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.api.validation import validate_experiment, validate_update
from katibpy.core.invariants import Snapshot, broken_rules
from katibpy.core.phases import experiment_phase
from katibpy.errors import AlreadyExists, KatibError, RunnerError, ServiceUnavailable, StoreError
from katibpy.launchers.in_process import DirectGateway
from katibpy.ports import SuggestionCall
from katibpy.runners.simulated_world import Script
from katibpy.testing.simulator import NAMESPACE, Simulation
from tests.simulation.experiment_shapes import Shape, experiment_name, shapes

NAMES = st.sampled_from(("ant", "ant", "ant", "bee"))
CALLS = st.integers(1, 30)
WHEN = st.integers(0, 20)
"""At which port call from now somebody acts; 0 is now, between two reconciliations."""

STEPS = st.integers(0, 25)
"""Reconciliations after each event, so that much has happened before the next one."""


class Service:
    """An algorithm service that can be made to fail and to lose its caches."""

    def __init__(self) -> None:
        self.is_down = False
        self._direct = DirectGateway()

    def validate(self, experiment: Experiment, *, timeout_seconds: float) -> None:
        self._require_up()
        self._direct.validate(experiment, timeout_seconds=timeout_seconds)

    def suggest(self, call: SuggestionCall) -> Reply:
        self._require_up()
        return self._direct.suggest(call)

    def forget(self, experiment_uid: str) -> None:
        self._direct.forget(experiment_uid)

    def lose_caches(self) -> None:
        self._direct = DirectGateway()

    def _require_up(self) -> None:
        if self.is_down:
            raise ServiceUnavailable("connection refused")


def outage(call: str) -> KatibError:
    port = call.partition(".")[0]
    kinds: dict[str, type[KatibError]] = {"gateway": ServiceUnavailable, "runner": RunnerError}
    return kinds.get(port, StoreError)(f"{call} does not work now")


class CrashMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.service = Service()
        self.shapes: dict[str, Shape] = {}
        self.simulation = Simulation(self.script, new_gateway=lambda: self.service)
        self.before: dict[str, Snapshot] = {}
        self.withdrawals = 0
        self.losses = 0

    def script(self, trial: Trial) -> Script:
        return self.shapes[experiment_name(trial)].job(trial).script()

    def stored(self, name: str) -> Experiment | None:
        return self.simulation.store.find(Experiment, NAMESPACE, name)

    # What users do.

    @initialize(shape=shapes())
    def begin(self, shape: Shape) -> None:
        self.simulation.submit(shape.experiment("ant"))
        self.shapes["ant"] = shape

    @rule(name=NAMES, shape=shapes(), then=STEPS)
    def submit(self, name: str, shape: Shape, then: int) -> None:
        experiment = shape.experiment(name)
        assert validate_experiment(experiment, known_algorithms=None, known_stopping=None) == ()
        try:
            self.simulation.submit(experiment)
        except AlreadyExists:
            return
        self.shapes[name] = shape
        self.run_on(then)

    @rule(name=NAMES, parallel=st.integers(1, 6), when=WHEN, then=STEPS)
    def edit_parallelism(self, name: str, parallel: int, when: int, then: int) -> None:
        self.at_a_call(when, lambda: self.edit(name, parallel_trial_count=parallel), then)

    @rule(name=NAMES, most=st.integers(1, 12), when=WHEN, then=STEPS)
    def edit_maximum(self, name: str, most: int, when: int, then: int) -> None:
        self.at_a_call(when, lambda: self.edit(name, max_trial_count=most), then)

    @rule(name=NAMES, failed=st.integers(0, 4), when=WHEN, then=STEPS)
    def edit_maximum_of_failures(self, name: str, failed: int, when: int, then: int) -> None:
        self.at_a_call(when, lambda: self.edit(name, max_failed_trial_count=failed), then)

    @rule(name=NAMES, when=WHEN, then=STEPS)
    def delete_experiment(self, name: str, when: int, then: int) -> None:
        self.at_a_call(when, lambda: self.simulation.delete(Experiment, name), then)

    @rule(name=NAMES, when=WHEN, then=STEPS)
    def delete_suggestion(self, name: str, when: int, then: int) -> None:
        self.at_a_call(when, lambda: self.simulation.delete(Suggestion, name), then)

    @rule(index=st.integers(0, 9), when=WHEN, then=STEPS)
    def delete_trial(self, index: int, when: int, then: int) -> None:
        self.at_a_call(when, lambda: self.delete_one_of_the_trials(index), then)

    def at_a_call(self, when: int, act: Callable[[], object], then: int) -> None:
        """Somebody writes to the store while the controller is in the middle of something, or right now."""

        def event(call: str) -> None:
            act()

        if when:
            self.simulation.faults.in_calls(when, event=event)
        else:
            act()
        self.run_on(then)

    def edit(self, name: str, **budget: Any) -> None:
        old = self.stored(name)
        if old is None:
            return
        new = old.but(spec=old.spec.but(**budget))
        known = {"known_algorithms": None, "known_stopping": None}
        if not validate_experiment(new, **known) and not validate_update(old, new):
            self.simulation.edit(name, **budget)

    def delete_one_of_the_trials(self, index: int) -> None:
        trials = self.simulation.store.list(Trial).items
        if trials:
            self.simulation.delete(Trial, trials[index % len(trials)].metadata.name)

    # What goes on by itself.

    @rule(steps=STEPS)
    def nothing_special(self, steps: int) -> None:
        self.run_on(steps)

    def run_on(self, steps: int) -> None:
        for _ in range(steps):
            if not self.simulation.step():
                self.simulation.pass_time()
            self.everything_is_in_order()

    @rule()
    def settle(self) -> None:
        while self.simulation.step():
            self.everything_is_in_order()

    # What goes wrong.

    @rule(calls=CALLS, is_after=st.booleans(), then=STEPS)
    def crash_soon(self, calls: int, is_after: bool, then: int) -> None:
        self.simulation.faults.in_calls(calls, is_after=is_after)
        self.run_on(then)

    @rule(calls=CALLS, is_after=st.booleans(), then=STEPS)
    def fail_soon(self, calls: int, is_after: bool, then: int) -> None:
        self.simulation.faults.in_calls(calls, is_after=is_after, event=outage)
        self.run_on(then)

    @rule(is_down=st.booleans(), then=STEPS)
    def service_fails_or_comes_back(self, is_down: bool, then: int) -> None:
        self.service.is_down = is_down
        self.run_on(then)

    @rule(then=STEPS)
    def service_loses_its_caches(self, then: int) -> None:
        self.service.lose_caches()
        self.run_on(then)

    @rule(then=STEPS)
    def news_of_runs_is_lost(self, then: int) -> None:
        self.losses += 1
        queue = self.simulation.controller.queue
        kept = []
        while (key := queue.take(timeout_seconds=0)) is not None:
            queue.done(key)
            if key[0] != "Trial":
                kept.append(key)
        for key in kept:
            queue.add(key)
        self.run_on(then)

    @rule(then=STEPS)
    def restart(self, then: int) -> None:
        self.simulation.restart()
        self.run_on(then)

    @rule(then=STEPS)
    def withdraw_all_runs_and_restart(self, then: int) -> None:
        self.withdrawals += 1
        self.simulation.world.withdraw_all()
        self.simulation.restart()
        self.run_on(then)

    # What holds.

    @invariant()
    def everything_is_in_order(self) -> None:
        now: dict[str, Snapshot] = {}
        for experiment in self.simulation.store.list(Experiment).items:
            name, uid = experiment.metadata.name, experiment.metadata.uid or ""
            now[uid] = self.simulation.snapshot(name)
            assert broken_rules(now[uid], self.before.get(uid)) == ()
            self.no_assignment_is_tried_twice(now[uid], self.shapes[name])
        self.before = now
        again = [uid for uid, times in Counter(self.simulation.world.starts).items() if times > 1]
        assert not again or self.withdrawals, f"these trials ran twice: {again}"

    def no_assignment_is_tried_twice(self, now: Snapshot, shape: Shape) -> None:
        if not shape.is_finite:
            return
        tried = [trial.spec.parameter_assignments for trial in now.trials]
        tried += [proposal.assignment.parameter_assignments for proposal in now.proposals]
        texts = [" ".join(pair.value for pair in assignments) for assignments in tried]
        assert len(set(texts)) == len(texts), f"the space is finite, yet tried twice: {sorted(texts)}"

    def teardown(self) -> None:
        self.simulation.faults.none()
        self.service.is_down = False
        assert not self.simulation.run_until(self.is_out_of_order)
        for experiment in self.simulation.store.list(Experiment).items:
            name = experiment.metadata.name
            now = self.simulation.snapshot(name)
            assert experiment.metadata.deletion_timestamp is None, f"{name} was deleted but is still there"
            phase = experiment_phase(experiment.status.conditions)
            assert phase.is_finished, f"{name} is {phase} and nothing will happen to it any more: {now}"
            assert broken_rules(now, is_settled=True) == ()
        assert self.simulation.world.active == 0
        # Who tells the controller nothing cannot be told to let go, so runs may be left over then.
        leaked = [uid for uid in self.simulation.world.starts if self.simulation.world.find(uid)]
        assert not leaked or self.losses, f"these runs were never released: {leaked}"

    def is_out_of_order(self) -> bool:
        self.everything_is_in_order()
        return False


COMMON = settings(
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)


@pytest.mark.timeout(120)
def test_whatever_happens_the_rules_hold_and_every_experiment_ends() -> None:
    run_state_machine_as_test(
        CrashMachine,
        settings=settings(COMMON, max_examples=40, stateful_step_count=25, derandomize=True),
    )


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_whatever_happens_for_long_the_rules_hold_and_every_experiment_ends() -> None:
    run_state_machine_as_test(
        CrashMachine, settings=settings(COMMON, max_examples=3000, stateful_step_count=60)
    )
