"""Algorithms that a configuration names: at an address, or in a program that is started for them."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from katibpy.core.endpoints import Endpoint, Security
from katibpy.errors import ServiceUnavailable
from katibpy.launchers.guarded import GuardedStarter, Ports, Probe, Recipe
from katibpy.launchers.supervised import SupervisedService
from katibpy.ports import Launcher


@dataclass(frozen=True, slots=True, kw_only=True)
class PlugIn:
    """Where one algorithm comes from; either an address or a recipe.

    Attributes:
        address: of a service that somebody else runs; empty when it is started here.
        recipe: what to start; None when it runs elsewhere.
        is_shared: one process for all Experiments instead of one for each.
        call_seconds: how long one call may take; None for the usual time.
        start_timeout_seconds: how long its start may take.
        security: for an address that is reached over TLS.
    """

    address: str = ""
    recipe: Recipe | None = None
    is_shared: bool = False
    call_seconds: float | None = None
    start_timeout_seconds: float = 60.0
    security: Security | None = None


class PlugInLauncher:
    """A Launcher for the algorithms of a configuration, which leaves all others to another launcher.

    `_lock` guards the table of services, by algorithm and Experiment (empty for a shared one).
    """

    def __init__(
        self, plug_ins: Mapping[str, PlugIn], *, otherwise: Launcher, log_directory: Path, probe: Probe
    ) -> None:
        """Takes the algorithms; nothing is started before it is asked for.

        Args:
            plug_ins: by the name of the algorithm.
            otherwise: for all other names; closed with this one.
            log_directory: gets the outputs of what is started.
            probe: tells whether a service answers.
        """
        self._plug_ins = dict(plug_ins)
        self._otherwise = otherwise
        self._log_directory = log_directory
        self._probe = probe
        self._ports = Ports()
        self._lock = threading.Lock()
        self._services: dict[tuple[str, str], SupervisedService] = {}
        self._is_closed = False

    def endpoint(self, algorithm_name: str, *, timeout_seconds: float, experiment_uid: str = "") -> Endpoint:
        """Where the algorithm is served; a program is started for the first call that needs it.

        Raises:
            UnknownName, Unsupported: there is no such algorithm.
            ServiceUnavailable: its program does not come up.
        """
        plug_in = self._plug_ins.get(algorithm_name)
        if plug_in is None:
            return self._otherwise.endpoint(
                algorithm_name, timeout_seconds=timeout_seconds, experiment_uid=experiment_uid
            )
        address, note = plug_in.address, ""
        if plug_in.recipe is not None:
            service = self._service(algorithm_name, plug_in, plug_in.recipe, experiment_uid)
            address, note = service.address(timeout_seconds=timeout_seconds), service.failure
        return Endpoint(address, plug_in.call_seconds, plug_in.security, note)

    def pid(self, algorithm_name: str, experiment_uid: str = "") -> int | None:
        """Process id of the guard of a service that was started; None when there is none."""
        with self._lock:
            service = self._services.get((algorithm_name, experiment_uid))
        return None if service is None else service.pid

    def release(self, experiment_uid: str) -> None:
        """Ends the programs that were started for the Experiment alone."""
        self._otherwise.release(experiment_uid)
        if not experiment_uid:
            return
        with self._lock:
            keys = [key for key in self._services if key[1] == experiment_uid]
            ended = [self._services.pop(key) for key in keys]
        for service in ended:
            service.close()

    def close(self) -> None:
        """Ends all."""
        with self._lock:
            self._is_closed = True
            services = tuple(self._services.values())
            self._services.clear()
        closing = [threading.Thread(target=service.close) for service in services]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
        self._otherwise.close()

    def _service(self, name: str, plug_in: PlugIn, recipe: Recipe, experiment_uid: str) -> SupervisedService:
        owner = "" if plug_in.is_shared else experiment_uid
        with self._lock:
            if self._is_closed:
                raise ServiceUnavailable("the launcher of algorithm services has been closed")
            service = self._services.get((name, owner))
            if service is None:
                log_path = self._log_directory / log_name(name, owner)
                starter = GuardedStarter(
                    recipe,
                    log_path=log_path,
                    probe=self._probe,
                    ports=self._ports,
                    instance=hashlib.sha256(str(log_path.absolute()).encode()).hexdigest()[:16],
                    start_timeout_seconds=plug_in.start_timeout_seconds,
                )
                service = SupervisedService(starter, noun=f"the service of algorithm {name}")
                self._services[name, owner] = service
            return service


def log_name(algorithm_name: str, experiment_uid: str = "") -> str:
    """The name of the log of a service that is started for an algorithm, and for one Experiment alone."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", algorithm_name)
    return f"algorithm-{safe}-{experiment_uid[:8]}.log" if experiment_uid else f"algorithm-{safe}.log"
