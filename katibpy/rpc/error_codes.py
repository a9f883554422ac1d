"""The one table between exceptions and gRPC status codes, read in both directions."""

from __future__ import annotations

import logging
from typing import NoReturn

import grpc

from katibpy.errors import (
    BadReply,
    DeadlineExceeded,
    InputError,
    InvalidSettings,
    KatibError,
    MissingExtra,
    ServiceError,
    ServiceUnavailable,
)
from katibpy.rpc.names import ERROR_KEY, HISTORY_BASE_MISSING, INVALID_SETTINGS

_LOG = logging.getLogger(__name__)

_DETAILS_LIMIT = 4000
"""Details travel among the trailing metadata, for which peers allow 8 KiB in all."""


class HistoryBaseMissing(ServiceError):
    """The service does not hold the history that the difference is to; all of it has to be sent."""


class Unimplemented(ServiceError):
    """The service lacks the method."""


class Unexplained(ServiceError):
    """The service failed with the code UNKNOWN: in Python, an exception that it did not catch."""


_CODES: tuple[tuple[type[Exception], grpc.StatusCode], ...] = (
    # Katib's controller gives up on INVALID_ARGUMENT alone, and none of these heals by itself.
    (InputError, grpc.StatusCode.INVALID_ARGUMENT),
    (MissingExtra, grpc.StatusCode.INVALID_ARGUMENT),
    (HistoryBaseMissing, grpc.StatusCode.FAILED_PRECONDITION),
    (DeadlineExceeded, grpc.StatusCode.DEADLINE_EXCEEDED),
    (ServiceUnavailable, grpc.StatusCode.UNAVAILABLE),
    (BadReply, grpc.StatusCode.INTERNAL),
)


def refuse(context: grpc.ServicerContext, error: Exception) -> NoReturn:
    """Ends a call with the status that the exception stands for; what nobody expected is logged."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), grpc.StatusCode.INTERNAL)
    details = str(error)
    if isinstance(error, InvalidSettings):
        details = "\n".join(error.problems)
        context.set_trailing_metadata(((ERROR_KEY, INVALID_SETTINGS),))
    elif isinstance(error, HistoryBaseMissing):
        context.set_trailing_metadata(((ERROR_KEY, HISTORY_BASE_MISSING),))
    elif not isinstance(error, KatibError):
        _LOG.error("A call failed in a way that nobody expected", exc_info=error)
        details = f"{type(error).__name__}: {error}"
    if len(details) > _DETAILS_LIMIT:
        details = details[:_DETAILS_LIMIT] + " ..."
    context.abort(code, details)


def raised(error: grpc.RpcError, *, peer: str) -> KatibError:
    """The exception that a failed call stands for.

    Args:
        error: as a stub raised it.
        peer: whom was called, for the message.
    """
    code, details = status_of(error)
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        lines = details.splitlines() if _kind_of(error) == INVALID_SETTINGS else [details]
        return InvalidSettings(lines or ["the algorithm service refuses the Experiment and does not say why"])
    if code is grpc.StatusCode.FAILED_PRECONDITION and _kind_of(error) == HISTORY_BASE_MISSING:
        return HistoryBaseMissing(details)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"the algorithm service at {peer} did not answer in time: {details}")
    if code is grpc.StatusCode.UNAVAILABLE:
        return ServiceUnavailable(f"the algorithm service at {peer} cannot be reached: {details}")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Unimplemented(f"the algorithm service at {peer} lacks the method that was called: {details}")
    if code is grpc.StatusCode.UNKNOWN:
        return Unexplained(f"the algorithm service at {peer} failed: {details}")
    return ServiceError(f"the algorithm service at {peer} failed with {code.name}: {details}")


def status_of(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    """Code and details of a failed call."""
    call = _call_of(error)
    if call is None:
        return grpc.StatusCode.UNKNOWN, str(error)
    return call.code(), call.details() or ""


def _kind_of(error: grpc.RpcError) -> str:
    call = _call_of(error)
    trailers = call.trailing_metadata() if call is not None else ()
    found = next((value for key, value in trailers or () if key == ERROR_KEY), "")
    return found if isinstance(found, str) else ""


def _call_of(error: object) -> grpc.Call | None:
    # What stubs raise is both an RpcError and the Call, which no type says.
    return error if isinstance(error, grpc.Call) else None
