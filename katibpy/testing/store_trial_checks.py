"""Checks of a resource store: replies, Trials, the tally."""

from __future__ import annotations

from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.core.phases import TrialPhase
from katibpy.core.records import NAME_LIMIT, Tally
from katibpy.errors import AlreadyExists, Conflict, StoreError
from katibpy.ports import ResourceStore
from katibpy.testing.store_cases import (
    add_experiment,
    add_suggestion,
    assignment,
    finish,
    refusal,
    reply_of,
    require,
    require_consistent,
    save,
    trial_for,
    with_phase,
)


def a_reply_is_saved_whole(store: ResourceStore) -> None:
    """`save_reply` writes numbered proposals, memory and status at once."""
    owner = add_experiment(store)
    uid = owner.metadata.uid or ""
    suggestion = save(store, add_suggestion(store, owner), owner, 3, memory=b"\x00\xffone")
    require("suggestionCount", suggestion.status.suggestion_count, 3)
    require("find", store.find(Suggestion, "default", "tune"), suggestion)
    require("memory", store.memory(uid), b"\x00\xffone")
    suggestion = save(store, suggestion, owner, 2)
    require("memory after a reply without one", store.memory(uid), b"\x00\xffone")
    proposals = store.proposals(uid)
    require("numbers", [each.number for each in proposals], [0, 1, 2, 3, 4])
    require("assignments", tuple(each.assignment for each in proposals), reply_of(owner, 0, 5))
    require("limited", store.proposals(uid, limit=2), proposals[:2])
    require("proposals of nobody", store.proposals("nobody"), ())
    save(store, suggestion, owner, 0, memory=b"two")
    require("memory after a reply without proposals", store.memory(uid), b"two")
    require("memory of nobody", store.memory("nobody"), None)
    require_consistent(store, uid)


def a_refused_reply_leaves_nothing(store: ResourceStore) -> None:
    """A stale Suggestion, a name that is used, a wrong count: nothing of the reply is saved."""
    owner = add_experiment(store)
    uid = owner.metadata.uid or ""
    stale = add_suggestion(store, owner)
    suggestion = save(store, stale, owner, 1, memory=b"kept")
    store.create_trial(trial_for(owner, 0))
    suggestion = save(store, suggestion, owner, 1)
    version, proposals = store.version(), store.proposals(uid)
    with refusal("save_reply with an old version", Conflict):
        save(store, stale, owner, 2, memory=b"lost")
    grown = suggestion.but(status=suggestion.status.but(suggestion_count=4))
    for name in (proposals[0].assignment.name, trial_for(owner, 0).metadata.name):
        with refusal("save_reply with a name that is used", AlreadyExists):
            store.save_reply(grown, (assignment("fresh"), assignment(name)), memory=b"lost")
    with refusal("save_reply with a name twice", AlreadyExists):
        store.save_reply(grown, (assignment("fresh"), assignment("fresh")), memory=b"lost")
    few = suggestion.but(status=suggestion.status.but(suggestion_count=1))
    with refusal("save_reply that counts fewer than it brings", StoreError):
        store.save_reply(few, (assignment("x"), assignment("y")), memory=b"lost")
    require("version", store.version(), version)
    require("proposals", store.proposals(uid), proposals)
    require("memory", store.memory(uid), b"kept")
    require("the Suggestion", store.find(Suggestion, "default", "tune"), suggestion)


def a_trial_takes_its_proposal_out(store: ResourceStore) -> None:
    """`create_trial` is one step, and repeating it gives the stored Trial."""
    owner = add_experiment(store)
    uid = owner.metadata.uid or ""
    save(store, add_suggestion(store, owner), owner, 3)
    trial = store.create_trial(trial_for(owner, 1))
    require("proposals", [each.number for each in store.proposals(uid)], [0, 2])
    require("history", len(store.history(uid).records), 3)
    running = store.replace_status(with_phase(trial, TrialPhase.RUNNING))
    version = store.version()
    require("create_trial again", store.create_trial(trial_for(owner, 1)), running)
    require("the version after it", store.version(), version)
    require_consistent(store, uid)


def a_trial_name_belongs_to_one_experiment(store: ResourceStore) -> None:
    """A Trial of that name and another owner is refused; another namespace is another name."""
    owner, other = add_experiment(store), add_experiment(store, "other")
    trial = store.create_trial(trial_for(owner, 0))
    stolen = trial_for(other, 0)
    stolen = stolen.but(metadata=stolen.metadata.but(name=trial.metadata.name))
    with refusal("create_trial with another's name", AlreadyExists):
        store.create_trial(stolen)
    elsewhere = stolen.but(metadata=stolen.metadata.but(namespace="elsewhere"))
    require("its namespace", store.create_trial(elsewhere).metadata.namespace, "elsewhere")
    require("the tally of the owner", store.tally(owner.metadata.uid or "").count(), 1)


def active_trials_are_those_that_have_not_ended(store: ResourceStore) -> None:
    """`active_trials` lists Pending and Running ones by number, and those that come back to life."""
    owner = add_experiment(store)
    uid = owner.metadata.uid or ""
    trials = {number: store.create_trial(trial_for(owner, number)) for number in (2, 0, 1, 3)}
    trials[0] = store.replace_status(with_phase(trials[0], TrialPhase.RUNNING))
    trials[1] = store.replace_status(with_phase(trials[1], TrialPhase.FAILED))
    require("active", store.active_trials(uid), (trials[0], trials[2], trials[3]))
    trials[1] = store.replace_status(with_phase(trials[1], TrialPhase.RUNNING))
    require("active after a restart", store.active_trials(uid), tuple(trials[number] for number in range(4)))
    require("active of nobody", store.active_trials("nobody"), ())


def the_tally_counts_ranks_and_names(store: ResourceStore) -> None:
    """Counts by phase; best by loss, the earliest of equals, Succeeded before EarlyStopped; newest names."""
    owner = add_experiment(store)
    uid = owner.metadata.uid or ""
    require("the tally of nobody", store.tally("nobody"), Tally())
    for number, value in enumerate(("nan", "inf", "word", "-inf", None)):
        finish(store, owner, number, value)
    require("best without a finite number", store.tally(uid).best, None)
    finish(store, owner, 5, "0.990", TrialPhase.EARLY_STOPPED)
    require("best of early stopped ones", _best_number(store, uid), 5)
    finish(store, owner, 6, "0.5")
    require("best once one succeeded", _best_number(store, uid), 6)
    finish(store, owner, 8, "0.75")
    finish(store, owner, 7, "0.750")
    require("best of equals", _best_number(store, uid), 7)
    finish(store, owner, 9, "0.9", TrialPhase.FAILED)
    best = store.tally(uid).best
    require("loss when maximising", None if best is None else best.loss, -0.75)
    require("failed", store.tally(uid).count(TrialPhase.FAILED), 1)
    require_consistent(store, uid)


def the_best_is_found_again_after_changes(store: ResourceStore) -> None:
    """The best trial follows removals and corrected results."""
    owner = add_experiment(store)
    uid = owner.metadata.uid or ""
    trials = [finish(store, owner, number, f"0.{number}") for number in range(1, 6)]
    require("best", _best_number(store, uid), 5)
    store.remove(trials[4])
    require("best after a removal", _best_number(store, uid), 4)
    trials[3] = store.replace_status(with_phase(trials[3], TrialPhase.SUCCEEDED, "0.15"))
    require("best after a correction", _best_number(store, uid), 3)
    trials[2] = store.replace_status(with_phase(trials[2], TrialPhase.FAILED, "0.3"))
    require("best after a failure", _best_number(store, uid), 2)
    store.replace_status(with_phase(trials[2], TrialPhase.SUCCEEDED, "0.3"))
    require("best after its return", _best_number(store, uid), 3)
    require_consistent(store, uid)


def newest_names_are_bounded(store: ResourceStore) -> None:
    """Of each finished phase the newest names by number are kept, also after removals."""
    owner = add_experiment(store)
    uid = owner.metadata.uid or ""
    trials = {}
    # The newest by number are not the last to end.
    for number in sorted(range(NAME_LIMIT + 20), key=lambda number: (number * 37) % (NAME_LIMIT + 20)):
        trials[number] = finish(store, owner, number, "0.5")
    require_consistent(store, uid)
    require("names", len(store.tally(uid).newest[TrialPhase.SUCCEEDED]), NAME_LIMIT)
    for number in (5, NAME_LIMIT + 19, NAME_LIMIT, 40):
        store.remove(trials[number])
        require_consistent(store, uid)
    require("count", store.tally(uid).count(), NAME_LIMIT + 16)


def experiments_do_not_mix(store: ResourceStore) -> None:
    """Same-named Experiments of two namespaces have tallies, proposals and histories of their own."""
    here, there = add_experiment(store), add_experiment(store, namespace="other")
    for owner, count in ((here, 2), (there, 5)):
        save(store, add_suggestion(store, owner), owner, count, memory=owner.metadata.namespace.encode())
        finish(store, owner, 0, count)
    for owner, count in ((here, 2), (there, 5)):
        uid = owner.metadata.uid or ""
        require("proposals", len(store.proposals(uid)), count - 1)
        require("memory", store.memory(uid), owner.metadata.namespace.encode())
        best = store.tally(uid).best
        require("best", None if best is None else best.loss, -float(count))
        require("trials", len(store.list(Trial, owner_uid=uid).items), 1)
        require_consistent(store, uid)


def _best_number(store: ResourceStore, experiment_uid: str) -> int | None:
    best = store.tally(experiment_uid).best
    return None if best is None else best.number
