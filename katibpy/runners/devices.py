"""Which GPUs this program may hand out, and what it tells a trial that gets some.

`auto` means those that the driver shows, less those that `CUDA_VISIBLE_DEVICES` hides from this program (a
batch system sets it, for one); a list means these and no others; `none` means that trials see whatever the
host has, as if nobody managed it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from katibpy.errors import InputError

GPUS_VARIABLE = "KATIB_GPUS"
VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"
FRACTION_VARIABLE = "KATIB_GPU_FRACTION"
AUTO = "auto"
NONE = "none"

_CONTAINER_VARIABLE = "NVIDIA_VISIBLE_DEVICES"
_CONTAINER_NONE = "void"
# JAX takes three quarters of a device at once and TensorFlow all of it, unless told otherwise.
_JAX_VARIABLE = "XLA_PYTHON_CLIENT_MEM_FRACTION"
_JAX_SHARE = 0.9
_TENSORFLOW_VARIABLE = "TF_FORCE_GPU_ALLOW_GROWTH"


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU, or one part of a GPU that the driver shows as a device.

    Attributes:
        uid: what the driver knows it by in every process and after a restart.
        index: its number among all of the host, as `nvidia-smi` shows it.
        name: of the product, may be empty.
    """

    uid: str
    index: str
    name: str = ""


class DeviceSource(Protocol):
    """Finds the devices of a host. Its methods may be called from any thread."""

    def devices(self) -> tuple[Device, ...]:
        """All of them, in the driver's order; the same at every call."""
        ...

    def users(self, device: Device) -> tuple[int, ...]:
        """Ids of the processes that compute on it now, as far as that can be told."""
        ...

    def absence(self) -> str:
        """Why there are none and what to do about it, in words that go on after "no GPU"; may be empty."""
        ...


class FixedDevices:
    """Devices that are known beforehand, and nobody else's: for tests, and where the driver is silent."""

    def __init__(self, devices: Sequence[Device] = (), *, absence: str = "") -> None:
        self._devices = tuple(devices)
        self._absence = absence

    def devices(self) -> tuple[Device, ...]:
        """See `DeviceSource.devices`."""
        return self._devices

    def users(self, device: Device) -> tuple[int, ...]:
        """Nobody."""
        return ()

    def absence(self) -> str:
        """What was said beforehand."""
        return self._absence


class ChosenDevices:
    """The devices that a user named, of those that the driver shows.

    Whoever names a device wants it used, so that foreign processes on it are no reason to wait.
    """

    def __init__(self, source: DeviceSource, words: Sequence[str]) -> None:
        """Looks the words up: numbers, uids or beginnings of uids.

        Raises:
            InputError: a word names no device, or two name the same one.
        """
        known = source.devices()
        # Without a driver's list a number is all that is known of a device, and CUDA takes that too.
        found = [_device_of(word, known) if known else _unknown_device(word, source) for word in words]
        if len(set(found)) < len(found):
            raise InputError(f"--gpus must name every GPU once, got {','.join(words)}")
        self._devices = tuple(found)

    def devices(self) -> tuple[Device, ...]:
        """See `DeviceSource.devices`."""
        return self._devices

    def users(self, device: Device) -> tuple[int, ...]:
        """Nobody that counts."""
        return ()

    def absence(self) -> str:
        """Nothing to say, since there is at least one."""
        return ""


class VisibleDevices:
    """The devices that an environment leaves visible, of those that the driver shows."""

    def __init__(self, source: DeviceSource, environment: Mapping[str, str]) -> None:
        self._source = source
        self._visible = environment.get(VISIBLE_VARIABLE)

    def devices(self) -> tuple[Device, ...]:
        """See `DeviceSource.devices`."""
        known = self._source.devices()
        if self._visible is None:
            return known
        found: list[Device] = []
        for word in self._visible.split(","):
            try:
                found.append(_device_of(word.strip(), known))
            except InputError:
                # As CUDA does: what comes after a word that means nothing is not seen.
                break
        return tuple(dict.fromkeys(found))

    def users(self, device: Device) -> tuple[int, ...]:
        """See `DeviceSource.users`."""
        return self._source.users(device)

    def absence(self) -> str:
        """See `DeviceSource.absence`."""
        if self._source.devices() and self._visible is not None:
            return f"that {VISIBLE_VARIABLE}={self._visible!r} leaves visible to katib"
        return self._source.absence()


def gpu_environment(devices: Sequence[Device], *, share: int = 0) -> dict[str, str]:
    """The variables that show a trial these devices and no others.

    Args:
        devices: what it got, () when it asked for none.
        share: thousandths of the one device that it shares.
    """
    if not devices:
        return {VISIBLE_VARIABLE: "", _CONTAINER_VARIABLE: _CONTAINER_NONE}
    uids = ",".join(device.uid for device in devices)
    variables = {VISIBLE_VARIABLE: uids, _CONTAINER_VARIABLE: uids}
    if any(device.uid.isdigit() for device in devices):
        # A number means the one of nvidia-smi only if CUDA counts as it does.
        variables["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    if share:
        fraction = share / 1000
        variables |= {
            FRACTION_VARIABLE: f"{fraction:g}",
            _JAX_VARIABLE: f"{fraction * _JAX_SHARE:.3g}",
            _TENSORFLOW_VARIABLE: "true",
        }
    return variables


def _device_of(word: str, known: Sequence[Device]) -> Device:
    exact = [device for device in known if word in (device.index, device.uid)]
    matches = exact or [device for device in known if device.uid.startswith(word) and not word.isdigit()]
    if word and len(matches) == 1:
        return matches[0]
    listed = ", ".join(device.index for device in known)
    what = "names more than one GPU" if matches and word else "names no GPU of this machine"
    raise InputError(
        f"--gpus must be auto, none, or GPUs by number or uid ({listed}), got {word!r}, which {what}"
    )


def _unknown_device(word: str, source: DeviceSource) -> Device:
    if word.isdigit() or word.startswith(("GPU-", "MIG-")):
        return Device(uid=word, index=word)
    hint = source.absence()
    raise InputError(
        f"--gpus must be auto, none, or GPUs by number or uid, got {word!r}" + (f" ({hint})" if hint else "")
    )
