from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from katibpy.api.encode import dump_yaml
from katibpy.api.experiment import Experiment, ExperimentSpec, Objective
from katibpy.api.model import ObjectMeta
from katibpy.client.plain import documents_of, plain
from katibpy.errors import InputError, InvalidResource, ParseError

TEXT = """
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: one}
spec: {maxTrialCount: 3}
"""


class Generated:
    """A model as OpenAPI generators make them: `attribute_map` has the spelling of YAML."""

    attribute_map: ClassVar[dict[str, str]] = {}

    def __init__(self, **fields: object) -> None:
        for name in self.attribute_map:
            setattr(self, name, fields.get(name))

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.attribute_map}


class GeneratedSpec(Generated):
    attribute_map: ClassVar[dict[str, str]] = {"max_trial_count": "maxTrialCount", "parameters": "parameters"}


class GeneratedExperiment(Generated):
    attribute_map: ClassVar[dict[str, str]] = {
        "api_version": "apiVersion",
        "kind": "kind",
        "metadata": "metadata",
        "spec": "spec",
        "status": "status",
    }


class Converting:
    def to_dict(self) -> dict[str, Any]:
        return {"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": {"name": "one"},
                "spec": {"maxTrialCount": 3}}  # fmt: skip


def sources(folder: Path) -> dict[str, object]:
    file = folder / "one.yaml"
    file.write_text(TEXT)
    generated = GeneratedExperiment(
        api_version="kubeflow.org/v1beta1",
        kind="Experiment",
        metadata={"name": "one"},
        spec=GeneratedSpec(max_trial_count=3),
    )
    typed = Experiment(metadata=ObjectMeta(name="one"), spec=ExperimentSpec(max_trial_count=3))
    return {
        "path": file,
        "path text": str(file),
        "yaml": TEXT,
        "dict": Converting().to_dict(),
        "converting": Converting(),
        "generated": generated,
        "typed": typed,
    }


def test_every_way_to_say_an_experiment_means_the_same(tmp_path: Path) -> None:
    found = {name: documents_of(source) for name, source in sources(tmp_path).items()}
    expected = dump_yaml(documents_of(TEXT)[0].resource)
    for name, documents in found.items():
        assert [dump_yaml(each.resource) for each in documents] == [expected], name
    assert not any("namespace" in found[name][0].resource.metadata.model_fields_set for name in found)


def test_parts_of_generated_models_are_spelled_as_in_yaml() -> None:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    value = GeneratedSpec(max_trial_count=2, parameters=[{"a": Objective(type="minimize"), "b": None}])
    assert plain({"when": moment, "spec": value}) == {
        "when": "2026-01-31T12:00:00Z",
        "spec": {"maxTrialCount": 2, "parameters": [{"a": {"type": "minimize"}}]},
    }


def test_a_typed_experiment_is_read_as_strictly_as_text() -> None:
    with pytest.raises(InvalidResource, match="maxTrialsCount"):
        documents_of(Experiment(spec=ExperimentSpec.model_validate({"maxTrialsCount": 3})))


def test_what_is_no_experiment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="must be a dict, a path, YAML text, an Experiment or an object with"
    ):
        documents_of(42)
    with pytest.raises(ParseError, match="cannot be read: No such file"):
        documents_of(tmp_path / "missing.yaml")
