// Looks near the best trials so far, ever more closely. The same request gets the same reply in any process:
// all that is known comes with the request, and chance follows from the seed and the number of proposals.

import type { Experiment, SuggestionsReply, SuggestionsRequest, Trial } from "./messages.js";
import { dimensionOf, type Dimension } from "./space.js";

const PATIENCE = 200;
const SHRINKS_BY = 0.96;

export interface Settings {
  step: number;
  parents: number;
}

/** The settings, or a line for each that is wrong. */
export function settingsOf(experiment: Experiment): { settings: Settings; problems: string[] } {
  const settings: Settings = { step: 0.3, parents: 3 };
  const problems: string[] = [];
  for (const { name, value } of experiment.spec.algorithm.algorithm_settings) {
    const number = Number(value);
    if (name === "step") {
      settings.step = number;
      if (!(number > 0 && number <= 1)) problems.push(`setting step must be above 0 and at most 1, got ${value}`);
    } else if (name === "parents") {
      settings.parents = number;
      if (!(Number.isInteger(number) && number >= 1)) {
        problems.push(`setting parents must be a whole number of at least 1, got ${value}`);
      }
    } else {
      problems.push(`there is no setting ${name} (got ${value}); settings are step and parents`);
    }
  }
  return { settings, problems };
}

export function suggest(request: SuggestionsRequest): SuggestionsReply {
  const { experiment, trials } = request;
  const { settings } = settingsOf(experiment);
  const dimensions = experiment.spec.parameter_specs.parameters.map(dimensionOf);
  const count = request.current_request_number;
  const made = Math.max(request.total_request_number - count, 0);
  const random = randomOf(`${experiment.spec.seed ?? experiment.uid ?? experiment.name}/${made}`);
  const points = trials.map((trial) => unitsOf(trial, dimensions));
  const known = new Set(points.filter((units) => units !== null).map((units) => keyOf(textsOf(units, dimensions))));
  const parents = best(trials, points, experiment).slice(0, settings.parents);
  const width = settings.step * SHRINKS_BY ** made;
  const proposals: string[][] = [];
  for (let place = 0; place < count; place++) {
    for (const texts of candidates(dimensions, parents, width, random)) {
      if (known.has(keyOf(texts))) continue;
      known.add(keyOf(texts));
      proposals.push(texts);
      break;
    }
  }
  const size = dimensions.reduce((product, dimension) => product * dimension.size, 1);
  return {
    parameter_assignments: proposals.map((texts) => ({
      assignments: texts.map((value, index) => ({ name: dimensions[index]!.name, value })),
    })),
    exhausted: known.size >= size,
    extended: request.extended,
  };
}

/** Units of the trials with a usable objective, the best first. */
function best(trials: Trial[], points: (number[] | null)[], experiment: Experiment): number[][] {
  const { type, objective_metric_name: metric } = experiment.spec.objective;
  const sign = type === "MAXIMIZE" ? -1 : 1;
  const ranked: { units: number[]; loss: number; place: number }[] = [];
  trials.forEach((trial, place) => {
    const units = points[place];
    const text = trial.status.observation?.metrics.find((each) => each.name === metric)?.value;
    const loss = text === undefined || text === "" ? NaN : sign * Number(text);
    const isOver = ["SUCCEEDED", "EARLYSTOPPED"].includes(trial.status.condition);
    if (units && isOver && Number.isFinite(loss)) ranked.push({ units, loss, place });
  });
  return ranked.sort((a, b) => a.loss - b.loss || a.place - b.place).map((each) => each.units);
}

/** Points near the parents, drawn ones while there are none; at last whatever a finite space has. */
function* candidates(
  dimensions: Dimension[], parents: number[][], width: number, random: () => number,
): Generator<string[]> {
  for (let attempt = 0; attempt < PATIENCE; attempt++) {
    const parent = parents[Math.floor(random() * parents.length)];
    const units = dimensions.map((_, index) => {
      if (!parent) return random();
      const moved = Math.abs(parent[index]! + width * normal(random)) % 2;
      return Math.min(1 - Math.abs(1 - moved), 1 - Number.EPSILON); // reflected at the ends
    });
    yield textsOf(units, dimensions);
  }
  const size = dimensions.reduce((product, dimension) => product * dimension.size, 1);
  for (let index = 0; index < size && size !== Infinity; index++) {
    let rest = index;
    const units = dimensions.map((dimension) => {
      const place = rest % dimension.size;
      rest = Math.floor(rest / dimension.size);
      return (place + 0.5) / dimension.size;
    });
    yield textsOf(units, dimensions);
  }
}

/** Where the trial is, null when it is of another space. */
function unitsOf(trial: Trial, dimensions: Dimension[]): number[] | null {
  const texts = new Map(trial.spec.parameter_assignments.assignments.map((each) => [each.name, each.value]));
  const units = dimensions.map((dimension) => dimension.toUnit(texts.get(dimension.name) ?? ""));
  return units.some((unit) => unit === null) ? null : (units as number[]);
}

function textsOf(units: number[], dimensions: Dimension[]): string[] {
  return dimensions.map((dimension, index) => dimension.fromUnit(units[index]!));
}

function keyOf(texts: string[]): string {
  return JSON.stringify(texts);
}

/** Numbers in [0, 1) that follow from the text alone. */
function randomOf(seed: string): () => number {
  let state = 0x811c9dc5;
  for (const letter of seed) state = Math.imul(state ^ letter.codePointAt(0)!, 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
