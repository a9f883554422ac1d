"""Rules for a neural architecture search space."""

from __future__ import annotations

from katibpy.api.experiment import NasConfig
from katibpy.api.problems import Problems
from katibpy.api.validate_parameters import check_parameters

_PATH = "spec.nasConfig"


def check_nas(config: NasConfig, problems: Problems) -> None:
    """Check `spec.nasConfig`. Whether sizes are needed is the algorithm's business; DARTS does without."""
    graph = config.graph_config
    path = f"{_PATH}.graphConfig"
    if graph.num_layers is None:
        problems.add(f"{path}.numLayers", "must be set, got nothing")
    elif graph.num_layers < 1:
        problems.add(f"{path}.numLayers", f"must be at least 1, got {graph.num_layers}")
    for field, sizes in (("inputSizes", graph.input_sizes), ("outputSizes", graph.output_sizes)):
        for index, size in enumerate(sizes):
            if size < 1:
                problems.add(f"{path}.{field}[{index}]", f"must be at least 1, got {size}")
    _operations(config, problems)


def _operations(config: NasConfig, problems: Problems) -> None:
    path = f"{_PATH}.operations"
    if not config.operations:
        problems.add(path, "must have at least one operation, got nothing")
    problems.distinct(
        path, (each.operation_type for each in config.operations), "operationType", ".operationType"
    )
    for index, operation in enumerate(config.operations):
        where = f"{path}[{index}]"
        problems.require(f"{where}.operationType", operation.operation_type)
        if not operation.parameters:
            problems.add(f"{where}.parameters", "must have at least one parameter, got nothing")
        check_parameters(operation.parameters, f"{where}.parameters", problems, nested=True)
