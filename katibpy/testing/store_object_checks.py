"""Checks of a resource store: objects, versions, lists, deletion."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from katibpy.api.experiment import Experiment
from katibpy.api.model import Condition
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.core.phases import TrialPhase
from katibpy.errors import AlreadyExists, Conflict, InputError, StoreError
from katibpy.ports import ResourceStore
from katibpy.testing import builders
from katibpy.testing.store_cases import (
    BrokenStoreError,
    add_experiment,
    add_suggestion,
    all_of,
    finish,
    refusal,
    require,
    require_consistent,
    save,
    trial_for,
    with_phase,
)


def a_new_object_gets_uid_generation_version_and_time(store: ResourceStore) -> None:
    """`create` sets uid, generation 1, versions and creation time, whatever was handed in."""
    given = builders.as_stored(builders.experiment("tune"), uid="mine")
    stored = store.create(given.but(metadata=given.metadata.but(deletion_timestamp=datetime.now(UTC))))
    meta = stored.metadata
    require("generation", meta.generation, 1)
    require("deletionTimestamp", meta.deletion_timestamp, None)
    require("resourceVersion", meta.resource_version, str(store.version()))
    if not meta.uid or meta.uid == "mine":
        raise BrokenStoreError(f"uid must be the store's own, got {meta.uid!r}")
    if meta.creation_timestamp is None or meta.creation_timestamp.tzinfo is None:
        raise BrokenStoreError(f"creationTimestamp must be set and aware, got {meta.creation_timestamp!r}")
    require("spec", stored.spec, given.spec)
    require("find", store.find(Experiment, "default", "tune"), stored)


def an_object_reads_back_equal(store: ResourceStore) -> None:
    """What is found equals what was stored, to the microsecond and the last unknown field."""
    odd = {
        "text": 'quotes " and \\ and \n and \u0000 and \U0001f600',
        "numbers": [0, -1, 1.5, 1e300, math.inf, 2**70, True, None],
        "empty": {},
    }
    given = builders.experiment("odd", objective=builders.maximize(goal=0.1 + 0.2))
    template = given.spec.trial_template
    if template is None:
        raise ValueError("the built Experiment must have a trial template")
    meta = given.metadata.but(labels={"a/b": "", "c": "d"}, annotations={"note": "x" * 3000})
    given = given.but(metadata=meta, spec=given.spec.but(trial_template=template.but(trial_spec=odd)))
    extra = Experiment.model_validate({**given.model_dump(by_alias=True), "unheardOf": {"x": [1, None]}})
    stored = store.create(extra)
    require("find", store.find(Experiment, "default", "odd"), stored)
    require(
        "an unknown field", (store.find(Experiment, "default", "odd") or given).model_extra, extra.model_extra
    )
    moment = datetime(2026, 5, 4, 3, 2, 1, 999_999, tzinfo=UTC)
    seen = Condition(type="Running", reason="R", message="m", last_update_time=moment)
    written = store.replace_status(
        stored.but(status=stored.status.but(start_time=moment, conditions=(seen,), trials=3))
    )
    found = store.find(Experiment, "default", "odd")
    require("find after replace_status", found, written)
    require("startTime", None if found is None else found.status.start_time, moment)


def nothing_is_found_under_other_names(store: ResourceStore) -> None:
    """Kind, namespace and name are all part of the name."""
    add_experiment(store, "tune")
    require("find of another kind", store.find(Suggestion, "default", "tune"), None)
    require("find in another namespace", store.find(Experiment, "other", "tune"), None)
    require("find in other case", store.find(Experiment, "default", "Tune"), None)
    other = add_experiment(store, "tune", namespace="other")
    require("find of its namesake", store.find(Experiment, "other", "tune"), other)


def a_name_is_taken_once(store: ResourceStore) -> None:
    """A second object of that name is refused, also while the first is being deleted."""
    stored = add_experiment(store)
    version = store.version()
    with refusal("create of a name that exists", AlreadyExists):
        store.create(builders.experiment("tune"))
    require("the version after a refused create", store.version(), version)
    store.delete(Experiment, "default", "tune")
    with refusal("create of a name that is being deleted", AlreadyExists):
        store.create(builders.experiment("tune"))
    store.remove(stored)
    again = add_experiment(store)
    if again.metadata.uid == stored.metadata.uid:
        raise BrokenStoreError("an object created anew must have a new uid, got the old one")


def a_trial_is_not_created_like_the_rest(store: ResourceStore) -> None:
    """`create` refuses Trials."""
    owner = add_experiment(store)
    with refusal("create of a Trial", StoreError):
        store.create(trial_for(owner, 0))


def generation_grows_with_the_spec_only(store: ResourceStore) -> None:
    """`replace_spec` raises the generation when the spec differs, and leaves the status alone."""
    stored = add_experiment(store)
    running = store.replace_status(stored.but(status=stored.status.but(trials=2)))
    require("generation after a status", running.metadata.generation, 1)
    forgetful = running.but(status=stored.status, spec=running.spec.but(max_trial_count=99))
    changed = store.replace_spec(forgetful)
    require("generation after a new spec", changed.metadata.generation, 2)
    require("status after a new spec", changed.status, running.status)
    require("spec", changed.spec.max_trial_count, 99)
    labelled = store.replace_spec(changed.but(metadata=changed.metadata.but(labels={"team": "a"})))
    require("generation after new labels", labelled.metadata.generation, 2)
    require("labels", labelled.metadata.labels, {"team": "a"})
    noted = store.replace_spec(labelled.but(metadata=labelled.metadata.but(annotations={"n": "1"})))
    require("annotations", noted.metadata.annotations, {"n": "1"})
    require("find", store.find(Experiment, "default", "tune"), noted)
    version = store.version()
    require("replace_spec of the same", store.replace_spec(noted), noted)
    require("the version after it", store.version(), version)


def an_equal_status_changes_nothing(store: ResourceStore) -> None:
    """`replace_status` with the stored status gives no version and no change."""
    owner = add_experiment(store)
    trial = finish(store, owner, 0, "0.5")
    version = store.version()
    again = trial.but(status=trial.status.model_validate(trial.status.model_dump()))
    require("replace_status of the same", store.replace_status(again), trial)
    require("version", store.version(), version)
    require("changes", store.changes(version), ())


def a_status_is_written_alone(store: ResourceStore) -> None:
    """`replace_status` ignores everything else in what it is handed."""
    stored = add_experiment(store)
    meddled = stored.but(
        spec=stored.spec.but(max_trial_count=1234),
        metadata=stored.metadata.but(labels={"no": "no"}),
        status=stored.status.but(trials=5),
    )
    written = store.replace_status(meddled)
    require("spec", written.spec, stored.spec)
    require("labels", written.metadata.labels, stored.metadata.labels)
    require("status", written.status.trials, 5)
    require("find", store.find(Experiment, "default", "tune"), written)


def a_stale_write_conflicts(store: ResourceStore) -> None:
    """Writes must carry the stored version; a refused one leaves nothing behind."""
    stored = add_experiment(store)
    fresh = store.replace_status(stored.but(status=stored.status.but(trials=1)))
    version = store.version()
    with refusal("replace_status with an old version", Conflict):
        store.replace_status(stored.but(status=stored.status.but(trials=2)))
    with refusal("replace_spec with an old version", Conflict):
        store.replace_spec(stored.but(spec=stored.spec.but(max_trial_count=7)))
    with refusal("replace_status without a version", Conflict):
        store.replace_status(fresh.but(metadata=fresh.metadata.but(resource_version=None)))
    require("find", store.find(Experiment, "default", "tune"), fresh)
    require("version", store.version(), version)
    store.remove(fresh)
    with refusal("replace_status of a removed object", Conflict):
        store.replace_status(fresh.but(status=fresh.status.but(trials=2)))
    add_experiment(store)
    with refusal("replace_status of its successor", Conflict):
        store.replace_status(fresh.but(status=fresh.status.but(trials=2)))


def lists_keep_creation_order_and_filter(store: ResourceStore) -> None:
    """`list` filters by namespace, owner, phase, label and deletion mark, in creation order."""
    first = add_experiment(store, "b")
    second = add_experiment(store, "a", namespace="other")
    trials = [store.create_trial(trial_for(first, number)) for number in range(4)]
    foreign = store.create_trial(trial_for(second, 0))
    trials[1] = store.replace_status(with_phase(trials[1], TrialPhase.RUNNING))
    trials[2] = store.replace_status(with_phase(trials[2], TrialPhase.SUCCEEDED, "0.5"))
    trials[3] = store.replace_spec(
        trials[3].but(metadata=trials[3].metadata.but(labels={"x": "1", "y": "2"}))
    )
    require("all experiments", store.list(Experiment).items, (first, second))
    require("all trials", store.list(Trial).items, (*trials, foreign))
    require("by namespace", store.list(Trial, namespace="other").items, (foreign,))
    owner_uid = first.metadata.uid
    require("by owner", store.list(Trial, owner_uid=owner_uid).items, tuple(trials))
    phases = (TrialPhase.RUNNING, "Succeeded")
    require("by phases", store.list(Trial, phases=phases).items, (trials[1], trials[2]))
    require("by a phase of another kind", store.list(Trial, phases=["Created"]).items, ())
    require("experiments by phase", store.list(Experiment, phases=["Created"]).items, (first, second))
    require("by label", store.list(Trial, labels={"x": "1"}).items, (trials[3],))
    require("by labels", store.list(Trial, labels={"x": "1", "y": "2"}).items, (trials[3],))
    require("by labels that never meet", store.list(Trial, labels={"x": "1", "y": "1"}).items, ())
    require(
        "by the labels before",
        store.list(Trial, labels=trials[0].metadata.labels, limit=1).next is None,
        False,
    )
    store.delete(Trial, "default", trials[0].metadata.name)
    deleting = store.list(Trial, is_deleting=True).items
    require("being deleted", [each.metadata.name for each in deleting], [trials[0].metadata.name])
    require("not being deleted", store.list(Trial, is_deleting=False).items, (*trials[1:], foreign))
    require(
        "by all",
        store.list(Trial, namespace="default", owner_uid=owner_uid, phases=["Running"]).items,
        (trials[1],),
    )


def pages_hold_every_object_once(store: ResourceStore) -> None:
    """Paging gives each object once, also when some are removed and added between two pages."""
    owner = add_experiment(store)
    trials = [store.create_trial(trial_for(owner, number)) for number in range(7)]
    page = store.list(Trial, limit=3)
    require("page 1", page.items, tuple(trials[:3]))
    require("its version", page.version, store.version())
    store.remove(trials[0])
    store.remove(trials[4])
    late = store.create_trial(trial_for(owner, 7))
    page = store.list(Trial, limit=3, after=page.next)
    require("page 2", page.items, (trials[3], trials[5], trials[6]))
    page = store.list(Trial, limit=3, after=page.next)
    require("page 3", (page.items, page.next), ((late,), None))
    require("a page that ends exactly", store.list(Trial, limit=6).next, None)
    with refusal("a page token of someone else", InputError):
        store.list(Trial, limit=3, after="page two")


def deletion_marks_the_object_and_all_it_owns(store: ResourceStore) -> None:
    """`delete` sets one deletion time on the object and all it owns, and keeps times that are set."""
    owner, other = add_experiment(store), add_experiment(store, "other")
    add_suggestion(store, owner)
    trials = [store.create_trial(trial_for(owner, number)) for number in range(3)]
    store.create_trial(trial_for(other, 0))
    store.delete(Trial, "default", trials[0].metadata.name)
    earlier = all_of(store, Trial, owner.metadata.uid or "")[0]
    version = store.version()
    require("delete", store.delete(Experiment, "default", "tune"), True)
    marked = [
        *all_of(store, Trial, owner.metadata.uid or ""),
        *all_of(store, Suggestion, owner.metadata.uid or ""),
    ]
    require(
        "objects with a mark", [each.metadata.deletion_timestamp is not None for each in marked], [True] * 4
    )
    require("the mark that was there", marked[0], earlier)
    require("changes", [change.type for change in store.changes(version)], ["MODIFIED"] * 4)
    stranger = all_of(store, Trial, other.metadata.uid or "")[0]
    require("the mark of another's Trial", stranger.metadata.deletion_timestamp, None)
    with refusal("a write with the version before the mark", Conflict):
        store.replace_status(with_phase(trials[1], TrialPhase.RUNNING))
    version = store.version()
    require("delete again", store.delete(Experiment, "default", "tune"), True)
    require("the version after it", store.version(), version)
    require("delete of nothing", store.delete(Experiment, "default", "nothing"), False)
    require_consistent(store, owner.metadata.uid or "")


def removal_is_final_and_bottom_up(store: ResourceStore) -> None:
    """`remove` takes objects out, never an owner before what it owns, and never a namesake."""
    owner = add_experiment(store)
    uid = owner.metadata.uid or ""
    suggestion = save(store, add_suggestion(store, owner), owner, 2, memory=b"m")
    trial = store.create_trial(trial_for(owner, 0))
    with refusal("remove of an Experiment with a Trial and a Suggestion", Conflict):
        store.remove(owner)
    store.remove(trial)
    store.remove(trial)
    require("find of a removed Trial", store.find(Trial, "default", trial.metadata.name), None)
    with refusal("remove of an Experiment with a Suggestion", Conflict):
        store.remove(owner)
    store.remove(suggestion)
    require("proposals of a removed Suggestion", store.proposals(uid), ())
    require("memory of a removed Suggestion", store.memory(uid), None)
    version = store.version()
    store.remove(owner)
    (change,) = store.changes(version)
    require("change", (change.type, change.uid, change.name), ("DELETED", uid, "tune"))
    require("list", store.list(Experiment).items, ())
    require_consistent(store, uid)
    successor = add_experiment(store)
    store.remove(owner)
    require("a namesake of what was removed", store.find(Experiment, "default", "tune"), successor)
    require_consistent(store, successor.metadata.uid or "")
