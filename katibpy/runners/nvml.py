"""GPUs as NVIDIA's driver reports them, through its management library.

The library comes with the driver, its Python binding with the extra `nvidia`. Where either is missing there
are no devices.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from katibpy.runners.devices import Device

logger = logging.getLogger(__name__)

_DRIVER_TRACES = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"))
_USERS_KEPT_SECONDS = 0.2


class NvmlDevices:
    """A `DeviceSource` that asks the driver, at the first question. `_lock` guards the rest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._devices: tuple[Device, ...] | None = None
        self._handles: dict[str, Any] = {}
        self._users: dict[str, tuple[float, tuple[int, ...]]] = {}
        self._nvml: Any = None
        self._absence = ""

    def devices(self) -> tuple[Device, ...]:
        """See `DeviceSource.devices`."""
        with self._lock:
            if self._devices is None:
                self._devices = tuple(self._find())
            return self._devices

    def users(self, device: Device) -> tuple[int, ...]:
        """See `DeviceSource.users`; an answer holds for a moment."""
        self.devices()
        with self._lock:
            handle = self._handles.get(device.uid)
            asked_at, users = self._users.get(device.uid, (float("-inf"), ()))
            now = time.monotonic()
            if handle is None or now - asked_at < _USERS_KEPT_SECONDS:
                return users
            with contextlib.suppress(self._nvml.NVMLError):
                processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(handle)
                users = tuple(sorted({process.pid for process in processes}))
            self._users[device.uid] = now, users
            return users

    def absence(self) -> str:
        """See `DeviceSource.absence`."""
        self.devices()
        return self._absence

    def _find(self) -> Iterator[Device]:
        try:
            self._nvml = nvml = importlib.import_module("pynvml")
        except ImportError:
            if any(path.exists() for path in _DRIVER_TRACES):
                self._absence = (
                    "that katib can see: it has NVIDIA's driver, so install nvidia-ml-py (`pip install "
                    "'katibpy[nvidia]'`), or name the GPUs with --gpus 0,1"
                )
                logger.info("this machine has no GPU %s", self._absence)
            return
        try:
            nvml.nvmlInit()
            for index in range(nvml.nvmlDeviceGetCount()):
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                parts = list(self._parts(handle))
                for number, part in enumerate(parts):
                    yield self._device(part, f"{index}:{number}")
                if not parts:
                    yield self._device(handle, str(index))
        except nvml.NVMLError as error:
            self._absence = f"that NVIDIA's driver shows ({error})"

    def _parts(self, handle: Any) -> Iterator[Any]:
        """The instances that a device is split into; once it is, it cannot be used as a whole."""
        nvml = self._nvml
        try:
            mode, _ = nvml.nvmlDeviceGetMigMode(handle)
            most = nvml.nvmlDeviceGetMaxMigDeviceCount(handle) if mode == nvml.NVML_DEVICE_MIG_ENABLE else 0
        except nvml.NVMLError:
            return
        for number in range(most):
            # Numbers in use have gaps between them.
            with contextlib.suppress(nvml.NVMLError):
                yield nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)

    def _device(self, handle: Any, index: str) -> Device:
        uid = _text(self._nvml.nvmlDeviceGetUUID(handle))
        name = ""
        with contextlib.suppress(self._nvml.NVMLError):
            name = _text(self._nvml.nvmlDeviceGetName(handle))
        self._handles[uid] = handle
        return Device(uid=uid, index=index, name=name)


def _text(value: bytes | str) -> str:
    # Old bindings give bytes.
    return value.decode(errors="replace") if isinstance(value, bytes) else value
