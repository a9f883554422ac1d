// The messages of katib's contract, as far as this algorithm reads and writes them.
// See proto/katibpy/pb/v1beta1/api.proto; fields from 100 on are extensions that Katib itself lacks.

export interface Parameter {
  name: string;
  parameter_type: "UNKNOWN_TYPE" | "DOUBLE" | "INT" | "DISCRETE" | "CATEGORICAL";
  feasible_space: { min: string; max: string; step: string; list: string[]; distribution: string };
}

export interface Experiment {
  name: string;
  uid: string;
  spec: {
    parameter_specs: { parameters: Parameter[] };
    objective: { type: "UNKNOWN" | "MINIMIZE" | "MAXIMIZE"; objective_metric_name: string };
    algorithm: { algorithm_name: string; algorithm_settings: { name: string; value: string }[] };
    seed?: number;
  };
}

export interface Trial {
  name: string;
  spec: { parameter_assignments: { assignments: { name: string; value: string }[] } };
  status: { condition: string; observation: { metrics: { name: string; value: string }[] } | null };
}

export interface SuggestionsRequest {
  experiment: Experiment;
  trials: Trial[];
  current_request_number: number;
  total_request_number: number;
  extended: boolean;
}

export interface SuggestionsReply {
  parameter_assignments: { assignments: { name: string; value: string }[] }[];
  exhausted: boolean;
  extended: boolean;
}
