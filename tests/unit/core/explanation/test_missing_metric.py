from __future__ import annotations

import json
import re
from typing import Any

import pytest

from katibpy.collectors.filters import FilterParser, compile_filter
from katibpy.core.explanation.explain import explain_trial
from katibpy.core.explanation.facts import TrialFacts
from katibpy.core.explanation.finding import Finding
from katibpy.core.explanation.missing_metric import alike_name, suggested_filter
from tests.unit.core.explanation.cases import without_metric
from tests.unit.core.views import tuned


def finding(mentions: tuple[tuple[int, str], ...] = (), **case: Any) -> Finding:
    (found,) = explain_trial(TrialFacts(without_metric(tuned(), **case), mentions=mentions), None)
    assert found.kind == "MetricsUnavailable"
    return found


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("loss: 0.31", "0.31"),
        ("Epoch 3 - loss: 3.1e-2 - acc: 0.9", "3.1e-2"),
        ("loss 0.31", "0.31"),
        ("loss is -4", "-4"),
        ("loss -> 0.31", "0.31"),
        ("loss | 0.31 |", "0.31"),
        ("{'loss': 0.31, 'epoch': 3}", "0.31"),
        ('{"epoch": 3, "loss": 0.31}', "0.31"),
        ("[loss] 0.31", "0.31"),
        ("loss: tensor(0.31)", "0.31"),
        ("loss=tensor(0.31, device='cuda:0')", "0.31"),
        ("(loss): [0.31]", "0.31"),
    ],
)
def test_a_suggested_filter_finds_the_value_in_the_line(line: str, value: str) -> None:
    expression = suggested_filter("loss", line)
    assert expression is not None
    compile_filter(expression)
    values = FilterParser(["loss"], [expression]).feed(line.encode() + b"\n", arrived=0.0)
    assert [each.text for each in values] == [value]


def test_a_suggested_filter_is_of_the_syntax_that_katib_takes() -> None:
    for line in ("val/loss (mean): 0.31", "loss: [0.31]", "a.b|c: 1"):
        name = line.partition(":")[0].partition(" ")[0]
        expression = suggested_filter(name, line)
        if expression is not None:
            # RE2 has neither lookaround nor atomic groups, and no escapes but of punctuation.
            assert not re.search(r"\(\?[=!<>]|\\[^.^$*+?{}\[\]\\|()dsw]", expression)


@pytest.mark.parametrize("line", ["closs: 1", "loss", "loss: none", "loss: 1.2.3", "the lossless 4"])
def test_a_line_without_the_name_and_a_number_gives_no_filter(line: str) -> None:
    assert suggested_filter("loss", line) is None


def test_a_line_in_another_form_is_shown_with_a_filter_for_it() -> None:
    found = finding(mentions=((17, "step 4 loss: 0.31"),), lines=["done"])
    assert found.what.endswith(
        "ended without the objective 'loss': a line names it in another form than loss=VALUE"
    )
    assert found.evidence == ("line 17: step 4 loss: 0.31",)
    assert "have the program print loss=VALUE, or set spec.metricsCollectorSpec.source" in found.advice
    (expression,) = json.loads(found.advice.partition("metricsFormat: ")[2])
    assert FilterParser(["loss"], [expression]).feed(b"step 4 loss: 0.31\n", arrived=0.0)[0].text == "0.31"


def test_a_filter_that_does_not_match_is_named() -> None:
    found = finding(lines=["loss: 0.31"], filters=[r"(\w+) = (\d+)"])
    assert found.what.endswith(r"the filter does not match it: (\w+) = (\d+)")


@pytest.mark.parametrize(
    ("names", "near"),
    [
        (["epoch", "acc"], "acc"),
        (["val-accuracy"], "val-accuracy"),
        (["Accuracy", "accuracy_top5"], "Accuracy"),
        (["accurracy"], "accurracy"),
        (["loss", "epoch"], None),
        ([], None),
    ],
)
def test_the_nearest_name_is_found(names: list[str], near: str | None) -> None:
    assert alike_name("accuracy", names) == near


def test_another_name_for_it_is_told_with_the_line() -> None:
    found = finding(seen_names=["epoch", "val_loss"], lines=["epoch=1 val_loss=0.2"])
    assert "the trial reports 'val_loss' instead" in found.what
    assert found.evidence == ("metrics that did appear: epoch, val_loss", "epoch=1 val_loss=0.2")
    assert "set spec.objective.objectiveMetricName to val_loss" in found.advice


def test_only_other_metrics_are_listed() -> None:
    found = finding(seen_names=["epoch", "speed"], lines=["epoch=1 speed=3"])
    assert "only others did" in found.what
    assert "metrics that did appear: epoch, speed" in found.evidence


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("loss=None", "the value that is printed for it is no number: 'None'"),
        ("loss=N/A, lr=1", "no number: 'N/A'"),
        ("Loss: 0.3", "a line names 'Loss', and names are told apart by case"),
    ],
)
def test_a_line_that_is_no_report_is_explained(line: str, said: str) -> None:
    found = finding(lines=[line])
    assert said in found.what
    assert found.evidence == (line,)


def test_silence_is_told() -> None:
    found = finding()
    assert "the trial printed nothing" in found.what
    assert "collector.kind: File" in found.advice


def test_output_without_any_metric_is_shown() -> None:
    found = finding(lines=["hello", "world"])
    assert found.what.endswith("no line had the form loss=VALUE")
    assert found.evidence == ("hello", "world")


def test_a_file_that_was_never_written_is_told() -> None:
    problem = "metrics file /x/m.log (/var/log/katib/metrics.log of the template) was never written"
    assert problem in finding(problem=problem).what
