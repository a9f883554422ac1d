"""Names and limits on the wire that both ends have to agree on."""

from __future__ import annotations

KATIB_PACKAGE = "api.v1.beta1"
"""Package of the service names that clients call, Katib's own included."""

OWN_PACKAGE = "katibpy.v1beta1"
"""Package of our definition; servers answer under both names."""

KATIB_HEALTH_NAME = "manager.v1beta1.Suggestion"
"""What the probes of Katib's suggestion pods ask the health service for."""

MAX_MESSAGE_BYTES = 256 * 1024 * 1024

MEMORY_SETTING = "katibpy.memory"
"""Algorithm setting that carries the memory, in base64, through a controller without the memory field."""

ERROR_KEY = "katibpy-error"
"""Key in the trailing metadata of a refused call that says what kind of refusal it is."""

HISTORY_BASE_MISSING = "history-base-missing"
"""The service does not hold the history that the difference is to: send all of it."""

INVALID_SETTINGS = "invalid-settings"
"""Each line of the details is one problem with settings or search space."""

MESSAGE_OPTIONS = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
)
"""Options of channels and servers alike."""


def both_names(service: str) -> tuple[str, str]:
    """The full names under which a service, such as `Suggestion`, is served."""
    return (f"{KATIB_PACKAGE}.{service}", f"{OWN_PACKAGE}.{service}")
