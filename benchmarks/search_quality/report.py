"""Tells what the results of `run.py` say, as Markdown tables.

python benchmarks/search_quality/report.py results.jsonl --set judging --budget 50 --subject auto
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tasks
from scipy.stats import rankdata, wilcoxon
from task import Task, regret

Regrets = Mapping[tuple[str, str], Mapping[int, float]]
"""Method and task to seed to regret."""

_RESAMPLES = 2000


def regrets(path: Path, chosen: Sequence[Task], budget: int) -> Regrets:
    """Regret after `budget` trials of every run that was at least so long.

    A run with exactly this budget wins over a longer one, since `auto` looks at the budget. A run that ended
    early went through the whole space.
    """
    by_name = {task.name: task for task in chosen}
    found: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    length: dict[tuple[str, str, int], int] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        key = (run["method"], run["task"], run["seed"])
        if run["task"] not in by_name or run["budget"] < budget:
            continue
        if key in length and length[key] <= run["budget"]:
            continue
        length[key] = run["budget"]
        found[key[:2]][run["seed"]] = regret(by_name[run["task"]], run["truths"], run["shown"], budget)
    return found


def interval(values: Sequence[float]) -> tuple[float, float]:
    """A 95 % bootstrap interval of the mean."""
    rng = np.random.default_rng(1)
    drawn = np.asarray(values)[rng.integers(len(values), size=(_RESAMPLES, len(values)))].mean(axis=1)
    return float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm, 1979)."""
    order = np.argsort(p_values)
    corrected, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = largest
    return corrected


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float:
    """Wilcoxon's signed-rank test, two-sided, over the seeds that both have."""
    seeds = sorted(set(ours) & set(theirs))
    differences = np.array([ours[seed] - theirs[seed] for seed in seeds])
    if len(differences) < 5 or not differences.any():
        return 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(wilcoxon(differences).pvalue)


def table(found: Regrets, chosen: Sequence[Task], methods: Sequence[str]) -> str:
    """Mean regret of each method on each task, with the interval, and the means over tasks."""
    lines = ["| task | " + " | ".join(methods) + " |", "|---|" + "---|" * len(methods)]
    for task in chosen:
        cells = []
        for name in methods:
            values = list(found.get((name, task.name), {}).values())
            low, high = interval(values) if values else (0.0, 0.0)
            cells.append(f"{np.mean(values):.2f} ({low:.2f}-{high:.2f})" if values else "")
        if any(cells):
            lines.append(f"| {task.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def summary(found: Regrets, chosen: Sequence[Task], methods: Sequence[str]) -> str:
    """Mean regret and mean rank over the tasks that all of the methods ran on."""
    common = [task.name for task in chosen if all((name, task.name) in found for name in methods)]
    if not common:
        return "no task has all of these methods"
    means = np.array([[np.mean(list(found[name, task].values())) for name in methods] for task in common])
    ranks = np.array([rankdata(row) for row in means]).mean(axis=0)
    lines = [f"{len(common)} tasks that all of them ran on", ""]
    lines += ["| method | mean regret | median regret | mean rank |", "|---|---|---|---|"]
    lines += [
        f"| {methods[place]} | {means[:, place].mean():.3f} | {np.median(means[:, place]):.3f} | "
        f"{ranks[place]:.2f} |"
        for place in np.argsort(means.mean(axis=0))
    ]
    return "\n".join(lines)


def tests(found: Regrets, chosen: Sequence[Task], subject: str, others: Sequence[str]) -> str:
    """The subject against each other method on each task, all tests corrected together."""
    pairs = [
        (task.name, other)
        for task in chosen
        for other in others
        if (subject, task.name) in found and (other, task.name) in found
    ]
    p_values = holm([paired(found[subject, task], found[other, task]) for task, other in pairs])
    lines = ["| task | against | difference | p (Holm) | |", "|---|---|---|---|---|"]
    for (task, other), p_value in zip(pairs, p_values, strict=True):
        ours, theirs = found[subject, task], found[other, task]
        seeds = sorted(set(ours) & set(theirs))
        difference = float(np.mean([ours[seed] - theirs[seed] for seed in seeds]))
        if p_value < 0.05:
            verdict = "better" if difference < 0 else "worse"
            lines.append(f"| {task} | {other} | {difference:+.2f} | {p_value:.3f} | {verdict} |")
    clear = len(lines) - 2
    return "\n".join([*lines, "", f"{len(pairs)} tests, {clear} of them significant at 5 %"])


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--set", choices=("tuning", "judging"), default="judging")
    parser.add_argument("--budget", type=int, default=50)
    parser.add_argument("--methods", nargs="*", help="only these, in this order")
    parser.add_argument("--subject", default="auto", help="whom the others are tested against")
    arguments = parser.parse_args()
    chosen = tasks.tuning() if arguments.set == "tuning" else tasks.judging()
    found = regrets(arguments.results, chosen, arguments.budget)
    methods = arguments.methods or sorted({name for name, _ in found})
    print(summary(found, chosen, methods), "\n")
    print(table(found, chosen, methods), "\n")
    if arguments.subject in methods:
        print(
            tests(found, chosen, arguments.subject, [name for name in methods if name != arguments.subject])
        )


if __name__ == "__main__":
    main()
