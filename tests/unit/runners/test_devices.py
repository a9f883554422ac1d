"""Which GPUs are handed out, and what a trial is told of its own."""

from __future__ import annotations

import pytest

from katibpy.errors import InputError
from katibpy.runners.devices import (
    ChosenDevices,
    Device,
    DeviceSource,
    FixedDevices,
    VisibleDevices,
    gpu_environment,
)
from katibpy.runners.nvml import NvmlDevices
from katibpy.runners.slots import slots_for

KNOWN = tuple(Device(f"GPU-{letter * 4}", str(index)) for index, letter in enumerate("abcd"))
DRIVER = FixedDevices(KNOWN)
SILENT = FixedDevices(absence="that anybody knows of")


def indexes(source: DeviceSource) -> str:
    return "".join(device.index for device in source.devices())


@pytest.mark.parametrize(
    ("words", "found"), [(["2", "0"], "20"), (["GPU-bbbb"], "1"), (["GPU-d", "1"], "31"), (["3"], "3")]
)
def test_devices_are_chosen_by_number_uid_or_its_beginning(words: list[str], found: str) -> None:
    assert indexes(ChosenDevices(DRIVER, words)) == found


@pytest.mark.parametrize("word", ["4", "-1", "GPU-", "GPU-x", "two", ""])
def test_a_word_that_means_no_single_device_is_refused(word: str) -> None:
    with pytest.raises(InputError, match=r"must be auto, none, or GPUs by number or uid \(0, 1, 2, 3\), got"):
        ChosenDevices(DRIVER, [word])


def test_a_device_is_named_once() -> None:
    with pytest.raises(InputError, match="must name every GPU once, got 1,GPU-bbbb"):
        ChosenDevices(DRIVER, ["1", "GPU-bbbb"])


def test_a_chosen_device_is_believed_where_the_driver_is_silent() -> None:
    assert ChosenDevices(SILENT, ["0", "GPU-zz"]).devices() == (Device("0", "0"), Device("GPU-zz", "GPU-zz"))
    with pytest.raises(InputError, match=r"got 'zero' \(that anybody knows of\)"):
        ChosenDevices(SILENT, ["zero"])


@pytest.mark.parametrize(
    ("visible", "found"),
    [("3,1", "31"), ("GPU-cccc", "2"), ("0,7,1", "0"), ("", ""), ("-1", ""), ("1,1", "1")],
)
def test_hidden_devices_are_not_handed_out(visible: str, found: str) -> None:
    assert indexes(VisibleDevices(DRIVER, {"CUDA_VISIBLE_DEVICES": visible})) == found


def test_all_are_handed_out_when_nothing_is_hidden() -> None:
    assert VisibleDevices(DRIVER, {}).devices() == KNOWN


def test_it_is_said_why_there_are_none() -> None:
    hidden = VisibleDevices(DRIVER, {"CUDA_VISIBLE_DEVICES": ""})
    assert hidden.absence() == "that CUDA_VISIBLE_DEVICES='' leaves visible to katib"
    assert VisibleDevices(SILENT, {}).absence() == "that anybody knows of"
    assert slots_for("none", {}).devices() == ()


def test_without_a_driver_there_are_no_devices() -> None:
    found = NvmlDevices()
    if found.devices():
        pytest.skip("this machine has GPUs")
    assert found.users(KNOWN[0]) == ()
    assert slots_for("auto", {}).devices() == ()


def test_a_trial_sees_its_devices_by_uid_and_no_others() -> None:
    assert gpu_environment(KNOWN[1:3]) == {
        "CUDA_VISIBLE_DEVICES": "GPU-bbbb,GPU-cccc",
        "NVIDIA_VISIBLE_DEVICES": "GPU-bbbb,GPU-cccc",
    }
    assert gpu_environment([]) == {"CUDA_VISIBLE_DEVICES": "", "NVIDIA_VISIBLE_DEVICES": "void"}


def test_numbers_are_counted_as_nvidia_smi_counts() -> None:
    assert gpu_environment([Device("1", "1")])["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_who_shares_a_device_is_told_how_much_of_it() -> None:
    variables = gpu_environment(KNOWN[:1], share=250)
    assert variables["KATIB_GPU_FRACTION"] == "0.25"
    assert variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.225"
    assert variables["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
