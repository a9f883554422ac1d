"""The conformance suite for algorithms: every promise of `katibpy.algo.algorithm`, each a plain function.

Tests run it over every row of the catalogue; `run_checks` runs it against anything that can be asked::

    for result in run_checks(CatalogSubject("random")):
        print(result.check.name, result.verdict, result.detail)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from katibpy.testing import algorithm_learning_checks as learning
from katibpy.testing import algorithm_repeat_checks as repeat
from katibpy.testing import algorithm_result_checks as result
from katibpy.testing import algorithm_space_checks as space
from katibpy.testing.algorithm_subject import BrokenPromiseError, NotApplicableError, Subject
from katibpy.testing.recorded_subject import ExchangeLog, RecordedSubject


class Verdict(StrEnum):
    """What came of a check."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Check:
    """One promise.

    Attributes:
        name: short name, for selection.
        promise: the promise in one sentence.
        run: raises BrokenPromiseError, or NotApplicableError when it says nothing about the subject.
    """

    name: str
    promise: str
    run: Callable[[Subject], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one check.

    Attributes:
        check: which.
        verdict: kept, broken or not applicable.
        detail: what was sent and what came back, or why it does not apply; empty when kept.
        sent: the last request, when the promise was broken.
        got: the answer to it.
    """

    check: Check
    verdict: Verdict
    detail: str = ""
    sent: str = ""
    got: str = ""


def _check(run: Callable[[Subject], None]) -> Check:
    name = run.__name__.replace("_", "-")
    return Check(name, (run.__doc__ or name).strip().splitlines()[0], run)


CHECKS: Sequence[Check] = tuple(
    map(
        _check,
        (
            space.proposes_inside_the_space,
            space.writes_values_as_the_space_does,
            space.gives_what_is_asked_for,
            space.batches_hold_no_repeats,
            space.pending_trials_are_not_proposed_again,
            space.goes_through_a_finite_space_once,
            repeat.same_request_same_reply,
            repeat.same_reply_in_another_process,
            repeat.restarts_change_nothing,
            repeat.experiments_do_not_mix,
            repeat.changed_entries_are_seen,
            repeat.maximising_equals_minimising_the_negation,
            repeat.the_seed_counts,
            result.odd_results_do_no_harm,
            result.entries_of_another_space_do_no_harm,
            result.names_each_bad_setting,
            result.reports_all_bad_settings_at_once,
            result.accepts_its_defaults,
            learning.finds_better_than_random_search,
            result.losses_change_nothing_unless_it_learns,
        ),
    )
)
"""All promises, in the order in which a report gives them."""


KATIBS: frozenset[str] = frozenset(
    each.name
    for each in CHECKS
    if each.run
    in (
        space.proposes_inside_the_space,
        space.gives_what_is_asked_for,
        space.batches_hold_no_repeats,
        result.odd_results_do_no_harm,
        result.entries_of_another_space_do_no_harm,
        result.names_each_bad_setting,
        result.reports_all_bad_settings_at_once,
        learning.finds_better_than_random_search,
    )
)
"""Names of the promises that a service can keep which speaks Katib's contract and nothing beyond it.

It is told neither seed nor uid nor what waits, and can say neither what it wants to remember nor that it is
through; so it can promise neither to repeat itself nor not to.
"""


def run_checks(
    subject: Subject, checks: Sequence[Check] = CHECKS, *, is_extended: bool = True
) -> Iterator[Result]:
    """Runs the checks one after another and gives each result as soon as it is there.

    Args:
        subject: whom to ask.
        checks: which.
        is_extended: whether it is behind a contract that can keep them all; see `KATIBS`.
    """
    for check in checks:
        if not is_extended and check.name not in KATIBS:
            reason = "Katib's contract alone, without the extensions, has no room for it"
            yield Result(check, Verdict.NOT_APPLICABLE, reason)
            continue
        log = ExchangeLog()
        try:
            check.run(RecordedSubject(subject.restarted(), log))
        except NotApplicableError as reason:
            yield Result(check, Verdict.NOT_APPLICABLE, str(reason))
        except BrokenPromiseError as broken:
            yield Result(check, Verdict.BROKEN, str(broken), log.sent, log.got)
        except Exception as error:  # noqa: BLE001 - a plug-in may fail in any way; the report goes on
            yield Result(check, Verdict.BROKEN, f"{type(error).__name__}: {error}", log.sent, log.got)
        else:
            yield Result(check, Verdict.KEPT)
