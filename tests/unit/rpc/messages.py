"""Random messages, each of the one spelling that our converters give."""

from __future__ import annotations

from hypothesis import strategies as st

from katibpy.pb.v1beta1 import api_pb2 as pb

TEXTS = st.text(max_size=6)
WORDS = st.text("abcxyz0.", min_size=1, max_size=6)
COUNTS = st.integers(0, 2**31 - 1)
LABELS = st.dictionaries(WORDS, TEXTS, max_size=2)
FLOATS = st.floats(allow_nan=False)
TIMES = st.just("") | st.datetimes().map(lambda moment: moment.isoformat() + "Z")

SETTINGS = st.lists(st.builds(pb.AlgorithmSetting, name=TEXTS, value=TEXTS), max_size=2)
SPACES = st.builds(
    pb.FeasibleSpace,
    max=TEXTS,
    min=TEXTS,
    list=st.lists(TEXTS, max_size=3),
    step=TEXTS,
    distribution=st.integers(0, 4),
)
PARAMETERS = st.lists(
    st.builds(pb.ParameterSpec, name=TEXTS, parameter_type=st.integers(0, 4), feasible_space=SPACES),
    max_size=3,
)
OPERATIONS = st.lists(
    st.builds(
        pb.Operation,
        operation_type=TEXTS,
        parameter_specs=st.builds(pb.Operation.ParameterSpecs, parameters=PARAMETERS),
    ),
    max_size=2,
)
NAS = st.builds(
    pb.NasConfig,
    graph_config=st.builds(
        pb.GraphConfig,
        num_layers=COUNTS,
        input_sizes=st.lists(COUNTS, max_size=3),
        output_sizes=st.lists(COUNTS, max_size=3),
    ),
    operations=st.builds(pb.NasConfig.Operations, operation=OPERATIONS),
)
STOPPING = st.builds(
    pb.EarlyStoppingSpec,
    algorithm_name=TEXTS,
    algorithm_settings=st.lists(st.builds(pb.EarlyStoppingSetting, name=TEXTS, value=TEXTS), max_size=2),
)


@st.composite
def objectives(draw: st.DrawFn) -> pb.ObjectiveSpec:
    """Objectives; one whose goal is not set has no goal."""
    is_set = draw(st.booleans())
    return pb.ObjectiveSpec(
        type=draw(st.sampled_from([pb.UNKNOWN, pb.MINIMIZE, pb.MAXIMIZE])),
        goal=draw(FLOATS) if is_set else 0.0,
        goal_is_set=is_set,
        objective_metric_name=draw(TEXTS),
        additional_metric_names=draw(st.lists(TEXTS, max_size=2)),
    )


@st.composite
def experiments(draw: st.DrawFn) -> pb.Experiment:
    """Experiments with and without each of their parts."""
    objective = draw(st.none() | objectives())
    strategies = st.lists(st.builds(pb.MetricStrategy, name=TEXTS, value=TEXTS), max_size=2)
    return pb.Experiment(
        name=draw(TEXTS),
        namespace=draw(WORDS),
        uid=draw(TEXTS),
        labels=draw(LABELS),
        spec=pb.ExperimentSpec(
            parameter_specs=pb.ExperimentSpec.ParameterSpecs(parameters=draw(PARAMETERS)),
            objective=objective,
            algorithm=draw(
                st.none() | st.builds(pb.AlgorithmSpec, algorithm_name=TEXTS, algorithm_settings=SETTINGS)
            ),
            early_stopping=draw(st.none() | STOPPING),
            parallel_trial_count=draw(COUNTS),
            max_trial_count=draw(COUNTS),
            nas_config=draw(st.none() | NAS),
            max_failed_trial_count=draw(st.none() | COUNTS),
            seed=draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
            metric_strategies=draw(strategies) if objective is not None else [],
            resume_policy=draw(TEXTS),
        ),
    )


PAIRS = st.lists(st.builds(pb.ParameterAssignment, name=TEXTS, value=TEXTS), max_size=3)
TRIALS = st.builds(
    pb.Trial,
    name=TEXTS,
    uid=TEXTS,
    number=st.integers(0, 2**62),
    spec=st.builds(
        pb.TrialSpec,
        parameter_assignments=st.builds(pb.TrialSpec.ParameterAssignments, assignments=PAIRS),
        labels=LABELS,
    ),
    status=st.builds(
        pb.TrialStatus,
        start_time=TIMES,
        completion_time=TIMES,
        condition=st.integers(0, 6),
        observation=st.builds(
            pb.Observation, metrics=st.lists(st.builds(pb.Metric, name=TEXTS, value=TEXTS), max_size=2)
        ),
    ),
)
