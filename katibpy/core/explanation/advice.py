"""What to do about a failure or a wait, by what is said of it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remedy:
    """What helps against one kind of failure.

    Attributes:
        pattern: regular expression of what the trial, or the runner, says; its named groups are words of the
            advice.
        advice: what to do; may name `{trial}` and `{program}`.
    """

    pattern: str
    advice: str


@dataclass(frozen=True, slots=True)
class Wait:
    """What helps against one kind of wait.

    Attributes:
        pattern: regular expression of what the runner says.
        kind: one CamelCase word.
        advice: what to do.
    """

    pattern: str
    kind: str
    advice: str


GENERAL = "`katib logs {trial}` shows all that it wrote, `katib describe trial {trial}` its parameters"

BY_REASON = {
    "OutOfMemory": "raise resources.limits.memory in the trial template, or have the program use less",
    "DeadlineExceeded": "raise activeDeadlineSeconds, or find out in its output what takes so long",
    "CommandNotFound": (
        "name a program that this machine has, by its path or as PATH of `katib run` finds it; what an image "
        "holds is not there when trials run as processes"
    ),
    "InvalidJob": "correct the trial template; `katib validate FILE` checks it without running anything",
}
"""By the reason that the runner gives."""

REMEDIES = (
    Remedy(
        r"No module named '?(?P<name>[\w.]+)",
        "install {name} where the trials' interpreter finds it: `{program} -m pip install {name}`",
    ),
    Remedy(
        r"CUDA out of memory|CUDA error: out of memory|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED",
        "lower the batch size or the model, or let fewer trials share a GPU (nvidia.com/gpu, "
        "katib.kubeflow.org/gpu-fraction, parallelTrialCount)",
    ),
    Remedy(
        r"MemoryError|Cannot allocate memory",
        "have the program use less memory, or lower parallelTrialCount",
    ),
    Remedy(
        r"No space left on device|Disk quota exceeded",
        "free disk space; --keep-trials best removes the files of other trials, --log-limit caps outputs",
    ),
    Remedy(
        r"unrecognized arguments|the following arguments are required|invalid (?:choice|\w+ value)"
        r"|[Nn]o such option",
        "compare the arguments in the trial template with those of the program",
    ),
    Remedy(
        r"No such file or directory|FileNotFoundError|can't open file|working directory .* does not exist",
        "trials run in the directory that `katib run` was started in: start it there, name files by their "
        "whole path, or set workingDir in the trial template",
    ),
    Remedy(r"Permission denied|PermissionError", "give the user that runs `katib run` the right to it"),
    Remedy(
        r"Address already in use",
        "trials at the same time cannot share a port: let the program choose a free one, or set "
        "parallelTrialCount to 1",
    ),
    Remedy(r"SyntaxError|IndentationError|NameError|ImportError|AttributeError", "correct the program"),
    Remedy(
        r"exit code 12[67]\b|command not found",
        "have the script call programs that this machine has, by their path or as PATH of `katib run` finds "
        "them",
    ),
    Remedy(
        r"signal SIGKILL",
        "look for what killed it: the system's log (dmesg) tells when memory ran out; then lower "
        "parallelTrialCount, or set resources.limits.memory to be told which trial it is",
    ),
    Remedy(
        r"signal SIG(?:TERM|INT|HUP|QUIT)",
        "look for who told it to end, which was not katib: another program, the time limit of a batch "
        "system, or the program itself",
    ),
    Remedy(
        r"signal SIG(?:SEGV|BUS|ILL|ABRT|FPE)",
        "the program, or a native library of it, crashed: run it by hand with the same parameters",
    ),
)
"""By what the trial or the runner says; the first that fits counts."""

WAITS = (
    Wait(
        r"GPU",
        "WaitsForGPU",
        "it starts by itself when GPUs are free; to start sooner end what holds them, ask for fewer "
        "(nvidia.com/gpu), or share one (annotation katib.kubeflow.org/gpu-fraction)",
    ),
    Wait(
        r"\bcpus?\b",
        "WaitsForCPU",
        "it starts by itself when cpus are free; ask for fewer (resources.requests.cpu) to run more at once",
    ),
    Wait(
        r"of memory",
        "WaitsForMemory",
        "it starts by itself when memory is free; ask for less (resources.requests.memory) to run more at "
        "once",
    ),
    Wait(
        r"on the disk of",
        "WaitsForDisk",
        "free disk space, or run with a lower --min-free-disk; --keep-trials best removes files of others",
    ),
    Wait(
        r"cannot start a process",
        "HostBusy",
        "end other processes of this user, or raise their limit (ulimit -u)",
    ),
)
ANY_WAIT = Wait("", "Waiting", "it starts by itself when that is over")


def remedy_for(reason: str, said: str, words: dict[str, str]) -> str:
    """What to do about a failure; "" when nothing better is known than to look at it.

    Args:
        reason: what the runner calls it.
        said: what the runner said and the trial wrote.
        words: for the places in the advice.
    """
    if reason in BY_REASON:
        return BY_REASON[reason]
    for remedy in REMEDIES:
        match = re.search(remedy.pattern, said)
        if match is not None:
            return remedy.advice.format_map({**words, **match.groupdict()})
    return ""


def wait_of(message: str) -> Wait:
    """Which kind of wait a runner's message tells of."""
    return next((wait for wait in WAITS if re.search(wait.pattern, message)), ANY_WAIT)
