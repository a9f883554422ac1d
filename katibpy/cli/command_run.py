"""`katib run`: creates Experiments and runs them to their end in this process."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from katibpy.api.codec import dump_json, dump_yaml
from katibpy.api.experiment import Experiment
from katibpy.app.admission import Admitted
from katibpy.app.configuration import Configuration
from katibpy.app.housekeeping import Housekeeping
from katibpy.app.local import LocalEngine, Submission, Submitted, local_checks, local_slots
from katibpy.cli import execution_options, housekeeping_options
from katibpy.cli.command_get import listing
from katibpy.cli.documents import AdmittedFile, located, read_files
from katibpy.cli.failures import BAD_INPUT, FAILED, INTERRUPTED, Problems
from katibpy.cli.interrupts import Interrupts
from katibpy.cli.kinds import full_name
from katibpy.cli.options import gpus_option, output_option, state_directory_option
from katibpy.cli.output_lists import best_value
from katibpy.cli.output_result import print_result, result_console
from katibpy.cli.verbosity import log_level, log_to, stop_logging, verbose_option, verbosity
from katibpy.core.explanation.finding import REFUSED, Finding
from katibpy.core.phases import ExperimentPhase, experiment_phase
from katibpy.display.displays import Display, LiveDisplay, PlainDisplay, QuietDisplay
from katibpy.display.failures import CommonFailure, common_failure
from katibpy.display.follower import Follower
from katibpy.display.values import NOTHING, counted
from katibpy.errors import InvalidResource
from katibpy.launchers.spare_child import SpareChild
from katibpy.runners.execution import Execution

_TICK_SECONDS = 0.25
_GRACE_SECONDS = 10.0
_RUNNING_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Ended:
    """What is left to print of an Experiment.

    Attributes:
        experiment: as it is stored at the end.
        failure: why most of its failed trials failed.
        finding: why it failed.
    """

    experiment: Experiment
    failure: CommonFailure | None = None
    finding: Finding | None = None

    @property
    def phase(self) -> ExperimentPhase:
        """Succeeded or Failed, anything else when it was interrupted."""
        return experiment_phase(self.experiment.status.conditions)


@click.command(
    epilog="The first Ctrl-C stops the trials and says how to resume, a second one kills them. "
    "Running a file again resumes what is unfinished and prints the result of what is finished; "
    "parallelTrialCount, maxTrialCount and maxFailedTrialCount may be edited in between."
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--replace", is_flag=True, help="Start over: delete experiments of the same names first.")
@click.option("--allow-unknown", is_flag=True, help="Keep fields that no resource has.")
@click.option("-n", "--namespace", metavar="NAME", help="Namespace of resources that do not name one.")
@output_option("table", "json", "yaml", "name")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress, only the result.")
@gpus_option
@execution_options.execution_options
@housekeeping_options.housekeeping_options
@state_directory_option
@verbose_option
@click.pass_context
def run(
    ctx: click.Context,
    files: tuple[str, ...],
    replace: bool,
    allow_unknown: bool,
    namespace: str | None,
    output: str,
    quiet: bool,
    gpus: str,
    housekeeping: Housekeeping,
    execution: Execution,
    configuration: Configuration,
    state_dir: Path,
) -> None:
    """Runs all Experiments of the FILEs at once, to their best parameters, on this machine.

    A FILE is YAML or JSON and may hold several documents; - is standard input. Progress goes to stderr,
    the result to stdout.
    """
    slots = local_slots(gpus)
    checks = local_checks(slots, execution)
    admitted = read_files(
        files,
        checks=checks,
        algorithms=configuration.algorithms,
        allow_unknown=allow_unknown,
        namespace=namespace,
    )
    display = _display(quiet=quiet)
    logging_handler = log_to(display.say, level=log_level(verbosity(ctx), is_quiet=quiet))
    try:
        with Interrupts() as interrupts:
            engine = LocalEngine(
                state_dir,
                stop_grace_seconds=_GRACE_SECONDS,
                slots=slots,
                housekeeping=housekeeping,
                execution=execution,
                configuration=configuration,
                command=_resume_command(ctx),
                service=ctx.find_object(SpareChild),
            )
            ended, is_complete = _run(engine, admitted, display, interrupts, replace=replace, quiet=quiet)
    finally:
        stop_logging(logging_handler)
    if not is_complete:
        _say_interrupted(ended, _resume_command(ctx))
        ctx.exit(INTERRUPTED)
    _print(ended, output)
    if any(each.finding is not None and each.finding.kind == REFUSED for each in ended):
        ctx.exit(BAD_INPUT)
    if len(ended) < sum(len(file.admitted) for file in admitted) or any(
        each.phase is not ExperimentPhase.SUCCEEDED for each in ended
    ):
        ctx.exit(FAILED)


def _run(
    engine: LocalEngine,
    files: Sequence[AdmittedFile],
    display: Display,
    interrupts: Interrupts,
    *,
    replace: bool,
    quiet: bool,
) -> tuple[list[Ended], bool]:
    """Runs everything; False when a signal came first."""
    ended: list[Ended] = []
    is_complete = False
    try:
        submissions = _submit(engine, files, replace=replace)
        if not quiet:
            for submission in submissions:
                _say(_opening(submission))
        is_complete = _follow(engine, submissions, display, interrupts)
        ended = _ended(engine, submissions, with_failures=is_complete)
        if not is_complete and not quiet:
            _say(_stopping(engine, submissions))
        engine.close()
    except KeyboardInterrupt:
        # The second signal, wherever it struck.
        engine.close(kill=True)
        return ended, False
    except BaseException:
        engine.close(kill=True)
        raise
    return ended, is_complete


def _submit(engine: LocalEngine, files: Sequence[AdmittedFile], *, replace: bool) -> list[Submission]:
    """Hands in all Experiments.

    Raises:
        Problems: algorithms refuse some, or some are stored with another spec; with all problems.
    """
    problems = _refusals(engine, files, replace=replace)
    if problems:
        raise Problems(problems)
    submissions: list[Submission] = []
    for file in files:
        for admitted in file.admitted:
            try:
                submissions.append(engine.submit(admitted, replace=replace))
            except InvalidResource as err:
                problems += [*located(file.name, err), _advice(admitted)]
    if problems:
        raise Problems(problems)
    return submissions


def _refusals(engine: LocalEngine, files: Sequence[AdmittedFile], *, replace: bool) -> list[str]:
    """What algorithms have against Experiments that are new."""
    problems: list[str] = []
    for file in files:
        for admitted in file.admitted:
            try:
                engine.refuse(admitted, replace=replace)
            except InvalidResource as err:
                problems += located(file.name, err)
    return problems


def _advice(admitted: Admitted) -> str:
    name = admitted.experiment.metadata.name
    return f"experiment {name} exists with another spec: --replace deletes it and its trials and starts over"


def _follow(
    engine: LocalEngine, submissions: Sequence[Submission], display: Display, interrupts: Interrupts
) -> bool:
    """Shows progress until everything has ended; False when a signal came first."""
    limit = _RUNNING_SHOWN if isinstance(display, LiveDisplay) else 0
    followers = [
        Follower(engine.resources, engine.observations, each.experiment, running_limit=limit)
        for each in submissions
    ]
    engine.start()
    with display:
        is_settled = False
        while not is_settled and not interrupts.is_asked:
            is_settled = engine.wait(_TICK_SECONDS)
            display.show([follower.look() for follower in followers])
    return is_settled


def _ended(engine: LocalEngine, submissions: Sequence[Submission], *, with_failures: bool) -> list[Ended]:
    """Every Experiment as it is stored now; those that were deleted meanwhile are left out, with a word."""
    ended: list[Ended] = []
    for submission in submissions:
        _, namespace, name = submission.experiment.key
        experiment = engine.resources.find(Experiment, namespace, name)
        if experiment is None:
            _say(f"experiment {name} was deleted while it ran")
            continue
        failure = common_failure(engine.resources, experiment) if with_failures else None
        has_failed = experiment_phase(experiment.status.conditions) is ExperimentPhase.FAILED
        finding = _cause(engine, experiment) if with_failures and has_failed else None
        ended.append(Ended(experiment, failure, finding))
    return ended


def _cause(engine: LocalEngine, experiment: Experiment) -> Finding:
    # Most runs need none of it.
    from katibpy.app.explaining import why

    return why(engine, experiment)[0]


def _print(ended: Sequence[Ended], output: str) -> None:
    experiments = [each.experiment for each in ended]
    if output == "name":
        for experiment in experiments:
            click.echo(full_name(experiment))
    elif output == "table":
        console, options = result_console(), _state_option(click.get_current_context())
        for index, each in enumerate(ended):
            if index:
                console.print()
            print_result(console, each.experiment, each.failure, each.finding, options=options)
    elif len(experiments) == 1:
        text = dump_json(experiments[0]) if output == "json" else dump_yaml(experiments[0])
        click.echo(text.rstrip("\n"))
    else:
        click.echo(listing(experiments, output).rstrip("\n"))


def _opening(submission: Submission) -> str:
    """What handing an Experiment in came to, in a line."""
    experiment = submission.experiment
    spec, status = experiment.spec, experiment.status
    name = experiment.metadata.name
    limit = "trials" if spec.max_trial_count is None else f"up to {counted(spec.max_trial_count, 'trial')}"
    algorithm = spec.algorithm.algorithm_name if spec.algorithm else ""
    plan = f"{algorithm}, {limit}, {spec.parallel_trial_count} at a time"
    done = status.trials - status.trials_running - status.trials_pending
    match submission.outcome:
        case Submitted.FINISHED:
            return f"experiment {name} ended before; its result follows (--replace starts over)"
        case Submitted.RESUMED:
            return f"experiment {name} resumes after {counted(done, 'trial')}: {plan}"
        case Submitted.EDITED:
            fields = ", ".join(submission.changed)
            return f"experiment {name} goes on after {counted(done, 'trial')} with {fields} edited: {plan}"
        case Submitted.REPLACED:
            return f"experiment {name} starts over: {plan}"
    return f"experiment {name}: {plan}"


def _stopping(engine: LocalEngine, submissions: Sequence[Submission]) -> str:
    running = sum(
        len(engine.resources.active_trials(each.experiment.metadata.uid or "")) for each in submissions
    )
    if not running:
        return "stopping"
    return f"stopping {counted(running, 'trial')}, for up to {_GRACE_SECONDS:g} s (Ctrl-C again kills)"


def _say_interrupted(ended: Sequence[Ended], resume: str) -> None:
    for each in ended:
        status = each.experiment.status
        done = status.trials - status.trials_running - status.trials_pending
        limit = each.experiment.spec.max_trial_count
        of = "" if limit is None else f" of {limit}"
        best = best_value(each.experiment)
        optimal = status.current_optimal_trial
        so_far = f", best so far {best} by {optimal.best_trial_name}" if optimal and best != NOTHING else ""
        noun = "trial" if done == 1 and not of else "trials"
        _say(f"experiment {each.experiment.metadata.name}: interrupted after {done}{of} {noun}{so_far}")
    _say(f"resume with: {resume}")


def _state_option(ctx: click.Context) -> str:
    """How other commands find this state; nothing where they find it as this one did."""
    if ctx.get_parameter_source("state_dir") is not click.core.ParameterSource.COMMANDLINE:
        return ""
    return shlex.join(["--state-dir", str(ctx.params["state_dir"])])


def _resume_command(ctx: click.Context) -> str:
    """The command that goes on from here, with the options that were given on this command line."""
    words = ["katib", "run"]
    spellings = {"state_dir": "--state-dir", "namespace": "-n", "output": "-o", "gpus": "--gpus"}
    spellings |= housekeeping_options.SPELLINGS | execution_options.SPELLINGS
    flags = {"allow_unknown": "--allow-unknown", "quiet": "-q"}
    for name, value in ctx.params.items():
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE:
            continue
        if name in spellings:
            words += [spellings[name], str(value)]
        elif name in flags and value:
            words.append(flags[name])
    return shlex.join([*words, *ctx.params["files"]])


def _display(*, quiet: bool) -> Display:
    if quiet:
        return QuietDisplay(_say)
    if sys.stderr.isatty():
        from rich.console import Console

        console = Console(file=sys.stderr, force_terminal=True, highlight=False, markup=False, emoji=False)
        if not console.is_dumb_terminal:
            return LiveDisplay(console)
    return PlainDisplay(_say)


def _say(text: str) -> None:
    click.echo(text, err=True)
