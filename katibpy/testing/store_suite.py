"""The conformance suite for resource stores: every promise of `katibpy.ports.ResourceStore`.

Each check of `CHECKS` gets an empty store that keeps `CHANGES_KEPT` changes; each of `PROCESS_CHECKS` gets
a function that can be pickled and opens the same, at first empty, store in any process. `StoreMachine` of
`katibpy.testing.store_machine` is the third part. A broken promise raises `BrokenStoreError`, which says
what was asked and what came back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from katibpy.ports import ResourceStore
from katibpy.testing import store_contention as contention
from katibpy.testing import store_history_checks as history
from katibpy.testing import store_object_checks as objects
from katibpy.testing import store_trial_checks as trials
from katibpy.testing.store_cases import OpenStore

CHANGES_KEPT = history.CHANGES_KEPT

CHECKS: Sequence[Callable[[ResourceStore], None]] = (
    objects.a_new_object_gets_uid_generation_version_and_time,
    objects.an_object_reads_back_equal,
    objects.nothing_is_found_under_other_names,
    objects.a_name_is_taken_once,
    objects.a_trial_is_not_created_like_the_rest,
    objects.generation_grows_with_the_spec_only,
    objects.an_equal_status_changes_nothing,
    objects.a_status_is_written_alone,
    objects.a_stale_write_conflicts,
    objects.lists_keep_creation_order_and_filter,
    objects.pages_hold_every_object_once,
    objects.deletion_marks_the_object_and_all_it_owns,
    objects.removal_is_final_and_bottom_up,
    trials.a_reply_is_saved_whole,
    trials.a_refused_reply_leaves_nothing,
    trials.a_trial_takes_its_proposal_out,
    trials.a_trial_name_belongs_to_one_experiment,
    trials.active_trials_are_those_that_have_not_ended,
    trials.the_tally_counts_ranks_and_names,
    trials.the_best_is_found_again_after_changes,
    trials.newest_names_are_bounded,
    trials.experiments_do_not_mix,
    history.differences_lead_to_the_whole_history,
    history.any_known_token_may_be_used_again,
    history.an_unknown_token_gives_everything,
    history.every_version_has_one_change,
    history.old_changes_are_dropped_and_said_so,
    contention.threads_write_at_once,
    contention.one_of_many_writers_wins,
)
"""For every store."""

PROCESS_CHECKS: Sequence[Callable[[OpenStore], None]] = (
    contention.processes_write_at_once,
    contention.a_deletion_comes_from_another_process,
    contention.a_killed_writer_leaves_whole_states,
)
"""For stores that several processes may open."""
