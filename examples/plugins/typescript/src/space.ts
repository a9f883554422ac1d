// The search space: every parameter is a line from 0 to 1 on which a uniform draw gives its distribution.

import type { Parameter } from "./messages.js";

export interface Dimension {
  name: string;
  size: number; // number of values, Infinity for a double without a step
  fromUnit(unit: number): string;
  toUnit(text: string): number | null; // null for what is no value of the parameter
}

export function dimensionOf(parameter: Parameter): Dimension {
  const { name, parameter_type: kind, feasible_space: space } = parameter;
  if (kind === "CATEGORICAL") return listed(name, [...new Set(space.list)], (text) => space.list.indexOf(text));
  if (kind === "DISCRETE") {
    const texts = [...space.list].sort((a, b) => Number(a) - Number(b));
    return listed(name, texts, (text) => texts.findIndex((each) => Number(each) === Number(text)));
  }
  const [low, high, step] = [Number(space.min), Number(space.max), Number(space.step)];
  if (kind === "INT" || step > 0) return stepped(name, low, high, step || 1, decimals(space.min, space.step));
  const isLog = space.distribution.startsWith("LOG");
  const [from, to] = isLog ? [Math.log(low), Math.log(high)] : [low, high];
  const clamp = (value: number) => Math.min(Math.max(value, low), high);
  return {
    name,
    size: Infinity,
    fromUnit: (unit) => {
      const place = from + unit * (to - from);
      return String(clamp(isLog ? Math.exp(place) : place));
    },
    toUnit: (text) => {
      const value = Number(text);
      if (!(value >= low && value <= high)) return null;
      return ((isLog ? Math.log(value) : value) - from) / (to - from || 1);
    },
  };
}

function listed(name: string, texts: string[], indexOf: (text: string) => number): Dimension {
  return numbered(name, texts.length, (index) => texts[index]!, indexOf);
}

function stepped(name: string, low: number, high: number, step: number, digits: number): Dimension {
  // The small share makes up for 0.1 having no exact binary form.
  const size = Math.floor((high - low) / step + 1e-9) + 1;
  const at = (index: number) => String(Number((low + index * step).toFixed(digits)));
  return numbered(name, size, at, (text) => {
    const place = (Number(text) - low) / step;
    return Math.abs(place - Math.round(place)) < 1e-6 ? Math.round(place) : -1;
  });
}

function numbered(
  name: string, size: number, at: (index: number) => string, indexOf: (text: string) => number,
): Dimension {
  return {
    name,
    size,
    fromUnit: (unit) => at(Math.min(Math.floor(unit * size), size - 1)),
    toUnit: (text) => {
      const index = indexOf(text);
      return index >= 0 && index < size ? (index + 0.5) / size : null;
    },
  };
}

function decimals(...texts: string[]): number {
  const digits = texts.map((text) => {
    const [mantissa, exponent] = text.toLowerCase().split("e");
    return ((mantissa ?? "").split(".")[1] ?? "").length - Number(exponent ?? 0);
  });
  return Math.min(Math.max(0, ...digits), 100);
}
