"""What the wire must look like, written down once more so that a slip of the pen shows.

`KATIB` is the wire of Kubeflow Katib's `api.v1.beta1`: these numbers and types may never change.
`EXTENSIONS` is what this project adds: once released, a number may be retired but not used again.
"""

from __future__ import annotations

KATIB: dict[str, set[str]] = {
    "AlgorithmSetting": {"string name = 1", "string value = 2"},
    "AlgorithmSpec": {"string algorithm_name = 1", "repeated AlgorithmSetting algorithm_settings = 2"},
    "DeleteObservationLogReply": set(),
    "DeleteObservationLogRequest": {"string trial_name = 1"},
    "EarlyStoppingRule": {
        "string name = 1",
        "string value = 2",
        "ComparisonType comparison = 3",
        "int32 start_step = 4",
    },
    "EarlyStoppingSetting": {"string name = 1", "string value = 2"},
    "EarlyStoppingSpec": {
        "string algorithm_name = 1",
        "repeated EarlyStoppingSetting algorithm_settings = 2",
    },
    "Experiment": {"string name = 1", "ExperimentSpec spec = 2"},
    "ExperimentSpec": {
        "ParameterSpecs parameter_specs = 1",
        "ObjectiveSpec objective = 2",
        "AlgorithmSpec algorithm = 3",
        "EarlyStoppingSpec early_stopping = 4",
        "int32 parallel_trial_count = 5",
        "int32 max_trial_count = 6",
        "NasConfig nas_config = 7",
    },
    "ExperimentSpec.ParameterSpecs": {"repeated ParameterSpec parameters = 1"},
    "FeasibleSpace": {
        "string max = 1",
        "string min = 2",
        "repeated string list = 3",
        "string step = 4",
        "Distribution distribution = 5",
    },
    "GetEarlyStoppingRulesReply": {"repeated EarlyStoppingRule early_stopping_rules = 1"},
    "GetEarlyStoppingRulesRequest": {
        "Experiment experiment = 1",
        "repeated Trial trials = 2",
        "string db_manager_address = 3",
    },
    "GetObservationLogReply": {"ObservationLog observation_log = 1"},
    "GetObservationLogRequest": {
        "string trial_name = 1",
        "string metric_name = 2",
        "string start_time = 3",
        "string end_time = 4",
    },
    "GetSuggestionsReply": {
        "repeated ParameterAssignments parameter_assignments = 1",
        "AlgorithmSpec algorithm = 2",
        "repeated EarlyStoppingRule early_stopping_rules = 3",
    },
    "GetSuggestionsReply.ParameterAssignments": {
        "repeated ParameterAssignment assignments = 1",
        "string trial_name = 2",
        "map<string, string> labels = 3",
    },
    "GetSuggestionsRequest": {
        "Experiment experiment = 1",
        "repeated Trial trials = 2",
        "int32 current_request_number = 4",
        "int32 total_request_number = 5",
    },
    "GraphConfig": {
        "int32 num_layers = 1",
        "repeated int32 input_sizes = 2",
        "repeated int32 output_sizes = 3",
    },
    "Metric": {"string name = 1", "string value = 2"},
    "MetricLog": {"string time_stamp = 1", "Metric metric = 2"},
    "NasConfig": {"GraphConfig graph_config = 1", "Operations operations = 2"},
    "NasConfig.Operations": {"repeated Operation operation = 1"},
    "ObjectiveSpec": {
        "ObjectiveType type = 1",
        "double goal = 2",
        "string objective_metric_name = 3",
        "repeated string additional_metric_names = 4",
    },
    "Observation": {"repeated Metric metrics = 1"},
    "ObservationLog": {"repeated MetricLog metric_logs = 1"},
    "Operation": {"string operation_type = 1", "ParameterSpecs parameter_specs = 2"},
    "Operation.ParameterSpecs": {"repeated ParameterSpec parameters = 1"},
    "ParameterAssignment": {"string name = 1", "string value = 2"},
    "ParameterSpec": {
        "string name = 1",
        "ParameterType parameter_type = 2",
        "FeasibleSpace feasible_space = 3",
    },
    "ReportObservationLogReply": set(),
    "ReportObservationLogRequest": {"string trial_name = 1", "ObservationLog observation_log = 2"},
    "SetTrialStatusReply": set(),
    "SetTrialStatusRequest": {"string trial_name = 1"},
    "Trial": {"string name = 1", "TrialSpec spec = 2", "TrialStatus status = 3"},
    "TrialSpec": {
        "ObjectiveSpec objective = 2",
        "ParameterAssignments parameter_assignments = 3",
        "map<string, string> labels = 4",
    },
    "TrialSpec.ParameterAssignments": {"repeated ParameterAssignment assignments = 1"},
    "TrialStatus": {
        "string start_time = 1",
        "string completion_time = 2",
        "TrialConditionType condition = 3",
        "Observation observation = 4",
    },
    "ValidateAlgorithmSettingsReply": set(),
    "ValidateAlgorithmSettingsRequest": {"Experiment experiment = 1"},
    "ValidateEarlyStoppingSettingsReply": set(),
    "ValidateEarlyStoppingSettingsRequest": {"EarlyStoppingSpec early_stopping = 1"},
}

EXTENSIONS: dict[str, set[str]] = {
    "DeleteObservationLogRequest": {"string namespace = 100", "string trial_uid = 101"},
    "Experiment": {"string namespace = 100", "string uid = 101", "map<string, string> labels = 102"},
    "ExperimentSpec": {
        "optional int32 max_failed_trial_count = 100",
        "optional int64 seed = 101",
        "repeated MetricStrategy metric_strategies = 102",
        "string resume_policy = 103",
    },
    "GetObservationLogRequest": {"string namespace = 100", "string trial_uid = 101"},
    "GetSuggestionsReply": {
        "bytes memory = 100",
        "bool memory_is_set = 101",
        "bool exhausted = 102",
        "string note = 103",
        "bool extended = 104",
    },
    "GetSuggestionsRequest": {
        "bool extended = 100",
        "bytes memory = 101",
        "string history_base = 102",
        "string history_token = 103",
        "int64 history_size = 104",
        "repeated string removed_trials = 105",
    },
    "ObjectiveSpec": {"bool goal_is_set = 100"},
    "ReportObservationLogRequest": {"string namespace = 100", "string trial_uid = 101"},
    "Trial": {"string uid = 100", "int64 number = 101"},
}

NEW_MESSAGES: dict[str, set[str]] = {
    "DescribeReply": {
        "string reads = 1",
        "string algorithm = 2",
        "bool history_differences = 3",
        "string version = 4",
    },
    "DescribeRequest": {"Experiment experiment = 1"},
    "MetricStrategy": {"string name = 1", "string value = 2"},
}

ENUMS: dict[str, list[str]] = {
    "ComparisonType": ["UNKNOWN_COMPARISON", "EQUAL", "LESS", "GREATER"],
    "Distribution": ["DISTRIBUTION_UNSPECIFIED", "UNIFORM", "LOG_UNIFORM", "NORMAL", "LOG_NORMAL"],
    "ObjectiveType": ["UNKNOWN", "MINIMIZE", "MAXIMIZE"],
    "ParameterType": ["UNKNOWN_TYPE", "DOUBLE", "INT", "DISCRETE", "CATEGORICAL"],
    "TrialStatus.TrialConditionType": [
        "CREATED",
        "RUNNING",
        "SUCCEEDED",
        "KILLED",
        "FAILED",
        "METRICSUNAVAILABLE",
        "EARLYSTOPPED",
        "UNKNOWN",
    ],
}

KATIB_METHODS: dict[str, set[str]] = {
    "DBManager": {"ReportObservationLog", "GetObservationLog", "DeleteObservationLog"},
    "EarlyStopping": {"GetEarlyStoppingRules", "SetTrialStatus", "ValidateEarlyStoppingSettings"},
    "Suggestion": {"GetSuggestions", "ValidateAlgorithmSettings"},
}

NEW_METHODS: dict[str, set[str]] = {"Suggestion": {"Describe"}}
