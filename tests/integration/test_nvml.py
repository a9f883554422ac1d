"""NVIDIA's Python binding over a library that answers like a driver with three GPUs, one of them in parts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = r"""
#include <stdio.h>
#include <string.h>
typedef struct { unsigned pid, pad; unsigned long long memory; unsigned instance, compute; } process;
static long number(void *handle) { return (long)handle; }
int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 3; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    *handle = (void *)(long)(index + 1);
    return 0;
}
int nvmlDeviceGetUUID(void *handle, char *text, unsigned size) {
    snprintf(text, size, number(handle) > 100 ? "MIG-%ld" : "GPU-%ld", number(handle));
    return 0;
}
int nvmlDeviceGetName(void *handle, char *text, unsigned size) {
    snprintf(text, size, "Imaginary 9000");
    return 0;
}
int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    *current = *pending = number(handle) == 3;
    return number(handle) == 1 ? 3 : 0;
}
int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) { *count = 7; return 0; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **part) {
    *part = (void *)(long)(300 + index);
    return index == 0 || index == 2 ? 0 : 6;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, process *found) {
    unsigned room = *count;
    *count = number(handle) == 2;
    if (room < *count) return 7;
    if (*count) { memset(found, 0, sizeof *found); found->pid = 4242; }
    return 0;
}
const char *nvmlErrorString(int code) { return "imaginary error"; }
"""

LOOK = """
import sys
from katibpy.runners.devices import ChosenDevices, VisibleDevices
from katibpy.runners.nvml import NvmlDevices
driver = NvmlDevices()
for device in driver.devices():
    print(device.index, device.uid, device.name, *driver.users(device))
print(*(each.uid for each in ChosenDevices(driver, ["2:1", "0"]).devices()))
print(*(each.uid for each in VisibleDevices(driver, {"CUDA_VISIBLE_DEVICES": "1,MIG-300"}).devices()))
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler on Linux")
    source = tmp_path / "driver.c"
    source.write_text(DRIVER)
    command = [compiler, "-shared", "-fPIC", "-o", str(tmp_path / "libnvidia-ml.so.1"), str(source)]
    subprocess.run(command, check=True)
    return tmp_path


def test_devices_parts_of_devices_and_their_users_are_found(library: Path) -> None:
    environment = {**os.environ, "LD_LIBRARY_PATH": str(library)}
    found = subprocess.run(
        [sys.executable, "-c", LOOK], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    assert found.stdout.splitlines() == [
        "0 GPU-1 Imaginary 9000",
        "1 GPU-2 Imaginary 9000 4242",
        "2:0 MIG-300 Imaginary 9000",
        "2:1 MIG-302 Imaginary 9000",
        "MIG-302 GPU-1",
        "GPU-2 MIG-300",
    ]
