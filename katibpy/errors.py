"""Every exception that katibpy raises on purpose.

::

    KatibError
    ├── InputError                 what the user handed in is wrong; nothing was done
    │   ├── ParseError             not YAML or JSON, too large, an alias bomb
    │   ├── InvalidResource        one or more `FieldError`s, each with its path
    │   ├── InvalidSettings        an algorithm refuses its settings or the search space
    │   ├── Unsupported            valid, but this part of the system cannot honour it
    │   └── UnknownName            no such algorithm, resource kind ...; names the nearest
    ├── StoreError
    │   ├── NotFound
    │   ├── AlreadyExists
    │   ├── Conflict               the object changed since it was read: read and plan again
    │   ├── ChangesGone            a watch asked for changes that are no longer kept
    │   └── StateDirectoryLocked   another controller owns the state directory
    ├── ServiceError               an algorithm or stopping service could not answer
    │   ├── ServiceUnavailable     try again later
    │   ├── DeadlineExceeded       it took too long; the call was cancelled
    │   └── BadReply               it answered with something that breaks the contract
    ├── RunnerError                a trial could not be started or stopped
    ├── WaitError
    │   ├── UnexpectedEnd          an Experiment ended otherwise than was waited for; a RuntimeError, too
    │   │   └── ExperimentFailed   it failed; with the most common failure of its trials
    │   └── WaitTimeout            what was waited for did not come in time; a TimeoutError, too
    └── MissingExtra               an optional dependency is not installed
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class KatibError(Exception):
    """Base of all exceptions raised on purpose."""


class InputError(KatibError):
    """What the user handed in is wrong; nothing was done."""


class ParseError(InputError):
    """The text is not acceptable YAML or JSON."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule at one field.

    Attributes:
        path: dotted path of the field, list items by index: `spec.parameters[0].feasibleSpace.max`.
        message: the rule, what we got and, where it helps, what to do; reads on after the path.
        line: 1-based line in the source document, when it is known.
    """

    path: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        text = f"{self.path} {self.message}"
        return text if self.line is None else f"line {self.line}: {text}"


class InvalidResource(InputError):
    """One or more fields of a resource break a rule.

    Attributes:
        errors: every broken rule, in document order where lines are known.
    """

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))


class InvalidSettings(InputError):
    """An algorithm refuses its settings or the search space.

    Attributes:
        problems: each says the setting, the rule and the value.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class Unsupported(InputError):
    """The input is valid but the part of the system that has to honour it cannot."""


class UnknownName(InputError):
    """A name that is not registered; the message gives the nearest known one."""


class StoreError(KatibError):
    """A store could not do what was asked."""


class NotFound(StoreError):
    """There is no such object."""


class AlreadyExists(StoreError):
    """An object of that kind, namespace and name exists."""


class Conflict(StoreError):
    """The object changed since it was read: read it again and plan again."""


class ChangesGone(StoreError):
    """Changes that far back are no longer kept: list again, then watch from there."""


class StateDirectoryLocked(StoreError):
    """Another controller owns the state directory."""


class ServiceError(KatibError):
    """An algorithm or early stopping service could not answer."""


class ServiceUnavailable(ServiceError):
    """The service cannot be reached now; the call is safe to repeat."""


class DeadlineExceeded(ServiceError):
    """The service did not answer in time; the call was cancelled."""


class BadReply(ServiceError):
    """The service answered with something that breaks the contract."""


class RunnerError(KatibError):
    """A trial could not be started or stopped."""


class WaitError(KatibError):
    """What was waited for did not come."""


class UnexpectedEnd(WaitError, RuntimeError):
    """An Experiment ended, and what was waited for cannot come any more."""


class ExperimentFailed(UnexpectedEnd):
    """An Experiment failed; the message has the most common failure of its trials."""


class WaitTimeout(WaitError, TimeoutError):
    """What was waited for did not come in time."""


class MissingExtra(KatibError):
    """An optional dependency is not installed; the message says what to install."""
