"""An output that grows too large: what stays of it, and that no value is lost or counted twice."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from katibpy.api.experiment import Collector, MetricsCollectorSpec, Objective
from katibpy.api.model import ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.collectors import output_cap
from katibpy.collectors.following import PIECE, Following
from katibpy.collectors.hole import disk_usage
from katibpy.collectors.output_gap import gap_in
from katibpy.ports import TrialOutputs
from katibpy.stores.memory_observations import MemoryObservationStore

LIMIT = 2 << 20
LINUX = sys.platform.startswith("linux")


class Bench:
    """A file that grows, and collectors of it that may begin anew at any time."""

    def __init__(self, folder: Path, *, limit: int = LIMIT, kind: str = "StdOut") -> None:
        self.path = folder / "output.log"
        self.path.touch()
        self.metrics_path = folder / "metrics.log" if kind == "File" else None
        self.store = MemoryObservationStore()
        self.limit = limit
        spec = TrialSpec(
            metrics_collector=MetricsCollectorSpec(collector=Collector(kind=kind)),
            objective=Objective(type="minimize", objective_metric_name="loss"),
        )
        self.trial = Trial(metadata=ObjectMeta(name="t", uid="u"), spec=spec)
        self.written = 0
        self.begin()

    def begin(self) -> None:
        """A new collector."""
        outputs = TrialOutputs(stdout=self.path, metrics_path=self.metrics_path)
        self.following = Following(self.trial, outputs, store=self.store, output_limit=self.limit)

    def restart(self) -> None:
        self.following.close()
        self.begin()

    def write(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)
        self.written += len(data)

    def read(self) -> None:
        """Reads all there is."""
        for _ in range(self.written // PIECE + 3):
            self.following.step(0.0, arrived=1.0)

    def end(self) -> None:
        self.following.is_ending = True
        while not self.following.state.is_drained:
            self.following.step(0.0, arrived=1.0)
        self.following.close()

    @property
    def texts(self) -> list[str]:
        return [each.text for each in self.store.read("u", after_sequence=-1)]


def noise(size: int) -> bytes:
    line = b"x" * 99 + b"\n"
    return line * (size // len(line))


def test_head_and_tail_stay_and_the_middle_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(b"the beginning\n")
    for index in range(20):
        bench.write(b"loss=%d\n" % index + noise(500_000))
        bench.read()
        if LINUX:
            assert disk_usage(bench.path) <= LIMIT + 8192
    assert bench.path.stat().st_size == bench.written
    bench.write(b"the end\n")
    bench.end()
    content = bench.path.read_bytes()
    assert len(content) <= LIMIT + 100
    lines = content.splitlines()
    assert (lines[0], lines[-1]) == (b"the beginning", b"the end")
    (notice,) = (line for line in lines if line.startswith(b"[katib"))
    assert notice == b"[katib: 7.6 MiB of output dropped here]"
    assert {len(line) for line in lines if line.startswith(b"x")} == {99}
    assert bench.texts == [str(index) for index in range(20)]
    assert [path.name for path in tmp_path.iterdir()] == ["output.log"]


def test_an_output_within_the_limit_is_left_as_it_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(b"loss=1\n" + noise(LIMIT - 100_000))
    before = bench.path.stat()
    bench.read()
    bench.end()
    after = bench.path.stat()
    assert (after.st_ino, after.st_size, after.st_blocks) == (before.st_ino, before.st_size, before.st_blocks)


def lines_of_values(rng: random.Random, number: int) -> bytes:
    return b"loss=%d " % number + b"y" * rng.randrange(20_000) + b"\n"


def endless_line(rng: random.Random, number: int) -> bytes:
    """Values that nobody may see, since their line is too long, and now and then one in a line of its own."""
    if number % 12 == 11:
        return b"\nloss=%d\n" % number
    return b"zloss=7 " + b"z" * rng.randrange(300_000)


def carriage_returns(rng: random.Random, number: int) -> bytes:
    return b"loss=%d " % number + b"y" * rng.randrange(20_000) + rng.choice([b"\r", b"\r\n", b"\n"])


@pytest.mark.parametrize("make", [lines_of_values, endless_line, carriage_returns])
@pytest.mark.parametrize("seed", range(3))
def test_values_keep_their_numbers_whenever_a_collector_begins_anew(
    tmp_path: Path, make: Callable[[random.Random, int], bytes], seed: int
) -> None:
    rng = random.Random(seed)
    whole, cut = (Bench(tmp_path / name, limit=limit) for name, limit in folders(tmp_path))
    number = 0
    for _ in range(30):
        data = b""
        while len(data) < 300_000:
            data += make(rng, number)
            number += 1
        split = rng.randrange(len(data))
        for part in (data[:split], data[split:]):
            for bench in (whole, cut):
                bench.write(part)
            for _ in range(rng.randrange(3)):
                cut.following.step(0.0, arrived=1.0)
        if rng.random() < 0.3:
            cut.restart()
    for bench in (whole, cut):
        bench.end()
    assert len(whole.texts) >= 5
    assert [(each.sequence, each.text) for each in cut.store.read("u", after_sequence=-1)] == [
        (each.sequence, each.text) for each in whole.store.read("u", after_sequence=-1)
    ]
    assert cut.path.stat().st_size <= LIMIT + 100


def folders(parent: Path) -> list[tuple[str, int]]:
    for name in ("whole", "cut"):
        (parent / name).mkdir()
    return [("whole", 1 << 30), ("cut", LIMIT)]


def test_a_collector_after_the_end_stores_nothing_twice(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for index in range(100):
        bench.write(b"loss=%d\n" % index + noise(100_000))
        bench.read()
    bench.end()
    before = bench.texts
    bench.begin()
    bench.end()
    assert bench.texts == before == [str(index) for index in range(100)]


def test_a_record_without_its_hole_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)

    def die(descriptor: int, start: int, end: int) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(output_cap, "punch_hole", die)
        bench.write(b"".join(b"loss=%d\n" % index + noise(100_000) for index in range(60)))
        with pytest.raises(KeyboardInterrupt):
            bench.read()
    assert gap_in(bench.path, bench.path.stat()) is not None
    bench.restart()
    for index in range(60, 120):
        bench.write(b"loss=%d\n" % index + noise(100_000))
        bench.read()
    bench.end()
    assert bench.texts == [str(index) for index in range(120)]


def test_where_no_hole_can_be_made_the_output_is_cut_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_cap, "punch_hole", lambda *_: False)
    bench = Bench(tmp_path)
    for index in range(60):
        bench.write(b"loss=%d\n" % index + noise(100_000))
        bench.read()
        if index == 40:
            assert not (tmp_path / "output.gap").exists()
            bench.restart()
    assert disk_usage(bench.path) >= bench.written
    bench.end()
    assert bench.path.stat().st_size <= LIMIT + 100
    assert bench.texts == [str(index) for index in range(60)]


def test_an_output_that_nobody_reads_is_cut_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path, kind="File")
    assert bench.metrics_path is not None
    bench.metrics_path.write_text("loss=1\n")
    for index in range(20):
        bench.write(b"%d\n" % index + noise(500_000))
        bench.read()
        if index == 10:
            bench.restart()
        if LINUX:
            assert disk_usage(bench.path) <= LIMIT + 8192
    bench.end()
    assert b"dropped here" in bench.path.read_bytes()
    assert bench.texts == ["1"]


def test_a_trial_that_empties_its_output_begins_a_new_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(b"loss=1\n" + noise(3 * LIMIT))
    bench.read()
    with bench.path.open("wb"):
        pass
    bench.write(b"loss=2\n" + noise(LIMIT // 4))
    bench.read()
    bench.restart()
    bench.write(b"loss=3\n")
    bench.end()
    assert b"dropped here" not in bench.path.read_bytes()
    assert not (tmp_path / "output.gap").exists()
    assert bench.texts[:2] == ["1", "2"]


def test_a_deleted_output_is_left_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(b"loss=1\n")
    bench.read()
    with bench.path.open("ab") as file:
        bench.path.unlink()
        file.write(noise(3 * LIMIT) + b"loss=2\n")
        file.flush()
        bench.written += 3 * LIMIT
        bench.read()
    bench.end()
    assert bench.texts == ["1", "2"]
    assert list(tmp_path.iterdir()) == []


def test_the_outputs_of_other_processes_are_cut_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.following.close()
    outputs = TrialOutputs(stdout=bench.path, side_logs="replica-*.log")
    bench.following = Following(bench.trial, outputs, store=bench.store, output_limit=LIMIT)
    other = tmp_path / "replica-worker-1.log"
    for moment in range(20):
        with other.open("ab") as file:
            file.write(b"loss=%d\n" % moment + noise(500_000))
        bench.following.step(float(moment), arrived=1.0)
        if LINUX:
            assert disk_usage(other) <= LIMIT + 8192
    bench.end()
    assert other.stat().st_size <= LIMIT + 100
    assert b"dropped here" in other.read_bytes()
    assert bench.texts == []
