from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from katibpy.api.experiment import Collector, FileSystemPath, MetricsCollectorSpec, MetricsSource, Objective
from katibpy.api.model import ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.app.clock import SystemClock
from katibpy.collectors.tail import LocalCollector
from katibpy.core.records import ObservedValue
from katibpy.core.runs import CollectionState
from katibpy.errors import StoreError
from katibpy.ports import Key, TrialOutputs
from katibpy.stores.memory_observations import MemoryObservationStore

DEADLINE_SECONDS = 5.0


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.002)


def make_trial(name: str = "t", *, kind: str = "StdOut", path: str = "", form: str = "TEXT") -> Trial:
    source = (
        MetricsSource(file_system_path=FileSystemPath(path=path, kind="File", format=form)) if path else None
    )
    spec = TrialSpec(
        objective=Objective(
            type="minimize", objective_metric_name="loss", additional_metric_names=("accuracy",)
        ),
        metrics_collector=MetricsCollectorSpec(collector=Collector(kind=kind), source=source),
    )
    return Trial(metadata=ObjectMeta(name=name, uid=f"uid-{name}"), spec=spec)


class Bench:
    def __init__(self, directory: Path) -> None:
        self.store = MemoryObservationStore()
        self.collector = LocalCollector(self.store, clock=SystemClock())
        self.output = directory / "output.log"
        self.told: list[Key] = []
        self.collector.subscribe(self.told.append)

    def write(self, text: str | bytes) -> None:
        with open(self.output, "ab") as file:
            file.write(text.encode() if isinstance(text, str) else text)

    def texts(self, trial: Trial, metric: str = "loss") -> list[str]:
        return [value.text for value in self.store.read(trial.metadata.uid or "", metric=metric)]

    def drained(self, trial: Trial) -> CollectionState:
        self.collector.finish(trial)
        eventually(lambda: self.collector.observe(trial).is_drained)
        return self.collector.observe(trial)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.collector.close()


def test_the_little_that_is_left_at_the_end_is_read_at_once_and_told_once(bench: Bench) -> None:
    trial = make_trial()
    bench.collector.attach(trial, TrialOutputs(stdout=bench.output))
    bench.write("loss=1\nloss=2")
    bench.collector.finish(trial)
    assert bench.collector.observe(trial).is_drained
    assert bench.texts(trial) == ["1", "2"]
    assert bench.told == [trial.key]


def test_the_much_that_is_left_at_the_end_is_read_by_the_collector_s_own_thread(bench: Bench) -> None:
    trial = make_trial()
    bench.collector.attach(trial, TrialOutputs(stdout=bench.output))
    bench.write(b"loss=1\n" + b"x" * 100 + b"\n" * (5 << 20) + b"loss=2\n")
    bench.collector.finish(trial)
    assert not bench.collector.observe(trial).is_drained
    eventually(lambda: bench.collector.observe(trial).is_drained)
    assert bench.texts(trial) == ["1", "2"]


def test_values_are_stored_while_the_trial_runs(bench: Bench) -> None:
    trial = make_trial()
    bench.collector.attach(trial, TrialOutputs(stdout=bench.output))
    bench.write("loss=1 accuracy=0.5\nloss=")
    eventually(lambda: bench.texts(trial) == ["1"])
    eventually(lambda: bench.told != [])
    assert not bench.collector.observe(trial).is_drained
    bench.write("2\n")
    eventually(lambda: bench.texts(trial) == ["1", "2"])
    assert bench.texts(trial, "accuracy") == ["0.5"]


def test_a_finished_trial_is_read_to_its_last_byte(bench: Bench) -> None:
    trial = make_trial()
    bench.collector.attach(trial, TrialOutputs(stdout=bench.output))
    time.sleep(0.7)  # until the file is looked at rarely
    bench.write("x\n" * 100 + "loss=0.25 epoch=3\nlast words")
    state = bench.drained(trial)
    assert bench.texts(trial) == ["0.25"]
    assert state.seen_names == ("loss", "epoch")
    assert state.last_lines == (*["x"] * 18, "loss=0.25 epoch=3", "last words")
    assert state.problem == ""
    assert bench.told[-1] == trial.key


def test_a_new_collector_stores_nothing_twice_and_misses_nothing(bench: Bench) -> None:
    trial, outputs = make_trial(), TrialOutputs(stdout=bench.output)
    bench.collector.attach(trial, outputs)
    bench.write("loss=1\nloss=2\nlo")
    eventually(lambda: bench.texts(trial) == ["1", "2"])
    before = bench.store.read("uid-t")
    bench.collector.close()
    bench.write("ss=3\n")
    bench.collector = LocalCollector(bench.store, clock=SystemClock())
    bench.collector.attach(trial, outputs)
    bench.drained(trial)
    after = bench.store.read("uid-t")
    assert [value.text for value in after] == ["1", "2", "3"]
    assert after[:2] == before


def test_many_trials_are_followed_at_once_and_do_not_mix(bench: Bench, tmp_path: Path) -> None:
    trials = [make_trial(f"t{number}") for number in range(30)]
    for number, trial in enumerate(trials):
        path = tmp_path / f"{number}.log"
        path.write_text(f"loss={number}\n")
        bench.collector.attach(trial, TrialOutputs(stdout=path))
    for number, trial in enumerate(trials):
        bench.drained(trial)
        assert bench.texts(trial) == [str(number)]


@pytest.mark.parametrize("form", ["TEXT", "JSON"])
def test_a_metrics_file_is_read_and_the_last_lines_are_of_the_output(
    bench: Bench, tmp_path: Path, form: str
) -> None:
    file = tmp_path / "metrics"
    trial = make_trial(kind="File", path="/var/log/katib/metrics.log", form=form)
    bench.collector.attach(trial, TrialOutputs(stdout=bench.output, metrics_path=file))
    bench.write("loss=99\n")
    file.write_text('{"loss": 0.5}\n' if form == "JSON" else "loss=0.5\n")
    state = bench.drained(trial)
    assert bench.texts(trial) == ["0.5"]
    assert state.last_lines == ("loss=99",)


def test_what_stood_in_a_shared_file_before_the_run_is_left_out(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "metrics"
    file.write_text("loss=1\n")
    trial = make_trial(kind="File", path=str(file))
    outputs = TrialOutputs(stdout=bench.output, metrics_path=file, metrics_offset=file.stat().st_size)
    bench.collector.attach(trial, outputs)
    with open(file, "a") as opened:
        opened.write("loss=2\n")
    bench.drained(trial)
    assert bench.texts(trial) == ["2"]


def make_directory(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_nothing(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (make_nothing, "was never written"),
        (make_directory, "is a directory"),
        (make_pipe, "not a regular file"),
    ],
)
def test_a_metrics_file_that_cannot_be_read_is_reported(
    bench: Bench, tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    file = tmp_path / "metrics"
    make(file)
    trial = make_trial(kind="File", path="/var/log/katib/metrics.log")
    bench.collector.attach(trial, TrialOutputs(stdout=bench.output, metrics_path=file))
    problem = bench.drained(trial).problem
    assert problem.startswith(f"metrics file {file} (/var/log/katib/metrics.log of the template) ")
    assert said in problem


def test_lines_that_are_no_json_are_reported_when_the_objective_is_missing(
    bench: Bench, tmp_path: Path
) -> None:
    file = tmp_path / "metrics"
    file.write_text("loss=1\nloss=2\n")
    trial = make_trial(kind="File", path=str(file), form="JSON")
    bench.collector.attach(trial, TrialOutputs(stdout=bench.output, metrics_path=file))
    assert bench.drained(trial).problem == f"2 lines of {file} are no JSON objects"


def test_an_emptied_file_is_read_from_its_new_beginning(bench: Bench) -> None:
    trial = make_trial()
    bench.write("loss=1\nloss=2")
    bench.collector.attach(trial, TrialOutputs(stdout=bench.output))
    eventually(lambda: bench.texts(trial) == ["1"])
    bench.output.write_text("loss=3\n")
    eventually(lambda: bench.texts(trial) == ["1", "2", "3"])


def test_a_replaced_file_is_read_after_the_rest_of_the_old_one(bench: Bench, tmp_path: Path) -> None:
    trial = make_trial()
    bench.write("loss=1\n")
    bench.collector.attach(trial, TrialOutputs(stdout=bench.output))
    eventually(lambda: bench.texts(trial) == ["1"])
    bench.write("loss=2\n")
    bench.output.rename(tmp_path / "old")
    bench.write("loss=3\n")
    bench.drained(trial)
    assert bench.texts(trial) == ["1", "2", "3"]


def test_a_deleted_file_is_still_read_to_its_end(bench: Bench) -> None:
    trial = make_trial()
    bench.write("loss=1\n")
    bench.collector.attach(trial, TrialOutputs(stdout=bench.output))
    eventually(lambda: bench.texts(trial) == ["1"])
    bench.write("loss=2\n")
    bench.output.unlink()
    state = bench.drained(trial)
    assert bench.texts(trial) == ["1", "2"]
    assert state.last_lines == ("loss=1", "loss=2")


class FailingStore(MemoryObservationStore):
    """Refuses the first calls, as a database that is being restarted does."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def append(self, trial_uid: str, values: Sequence[ObservedValue]) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise StoreError("the database is down")
        super().append(trial_uid, values)


def test_values_that_the_store_refuses_are_offered_again(tmp_path: Path) -> None:
    store = FailingStore(failures=2)
    collector = LocalCollector(store, clock=SystemClock())
    trial = make_trial()
    output = tmp_path / "output.log"
    output.write_text("loss=1\n")
    collector.attach(trial, TrialOutputs(stdout=output))
    eventually(lambda: "database is down" in collector.observe(trial).problem)
    collector.finish(trial)
    assert not collector.observe(trial).is_drained
    eventually(lambda: collector.observe(trial).is_drained)
    assert [value.text for value in store.read("uid-t")] == ["1"]
    assert collector.observe(trial).problem == ""
    collector.close()


def test_an_output_on_another_machine_is_drained_with_a_problem(bench: Bench) -> None:
    trial = make_trial()
    bench.collector.attach(trial, None)
    assert bench.drained(trial).problem == "the run's output is not on this machine"


def test_a_kind_that_cannot_be_read_is_drained_with_a_problem(bench: Bench) -> None:
    trial = make_trial(kind="Push")
    bench.collector.attach(trial, TrialOutputs(stdout=bench.output))
    assert "Push" in bench.drained(trial).problem


def test_a_big_output_is_read_piece_by_piece(bench: Bench) -> None:
    trial = make_trial()
    line = b"2023-11-14T22:13:20Z step 17: nothing to be seen here, move along please\n"
    bench.write((line * 7000 + b"loss=1\n") * 60)
    assert bench.output.stat().st_size > 25_000_000
    bench.collector.attach(trial, TrialOutputs(stdout=bench.output))
    bench.drained(trial)
    assert len(bench.texts(trial)) == 60


def test_nothing_is_left_open_after_detaching_and_closing(tmp_path: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    bench = Bench(tmp_path)
    bench.write("loss=1\n")
    trials = [make_trial(f"t{number}") for number in range(20)]
    for trial in trials:
        bench.collector.attach(trial, TrialOutputs(stdout=bench.output))
    for trial in trials:
        eventually(lambda trial=trial: bench.texts(trial) == ["1"])  # type: ignore[misc]
    for trial in trials[:10]:
        bench.collector.detach(trial)
        assert not bench.collector.observe(trial).is_attached
    bench.collector.close()
    assert len(os.listdir("/dev/fd")) == before


def test_last_lines_are_short_and_without_what_was_written_over(bench: Bench) -> None:
    trial = make_trial()
    bench.write("a\r\n10%\r20%\r30%\n\n" + "y" * 600 + "\n")
    bench.collector.attach(trial, TrialOutputs(stdout=bench.output))
    assert bench.drained(trial).last_lines == ("a", "30%", "y" * 500)
