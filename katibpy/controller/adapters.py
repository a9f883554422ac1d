"""The ports that one controller works with."""

from __future__ import annotations

from dataclasses import dataclass

from katibpy.ports import (
    Clock,
    MetricsCollector,
    ObservationStore,
    ResourceStore,
    SuggestionGateway,
    TrialRunner,
)


@dataclass(frozen=True, slots=True)
class Adapters:
    """What the controller reaches the world through."""

    store: ResourceStore
    observations: ObservationStore
    runner: TrialRunner
    collector: MetricsCollector
    gateway: SuggestionGateway
    clock: Clock
