"""Which tasks defaults are tuned on, and which ones judge them. No task may move from one to the other."""

from __future__ import annotations

import functions as f
from tables import bbob, published, scikit_learn
from task import Task, double

_BRANIN = (double("x0", -5.0, 10.0), double("x1", 0.0, 15.0))


def tuning() -> tuple[Task, ...]:
    """Tasks that defaults may be fitted to."""
    branin = Task("branin", "continuous", _BRANIN, f.branin, 0.39788735772973816)
    ackley = Task("ackley-4", "continuous", f.cube(4, -5.0, 5.0), f.ackley, 0.0)
    steps = Task("steps", "mixed", f.STEPS, f.steps, 0.0)
    return _present(
        branin,
        Task("rosenbrock-5", "continuous", f.cube(5, -2.0, 2.0), f.rosenbrock, 0.0),
        ackley,
        bbob(6, 5),
        bbob(17, 5),
        f.noisy("noisy-branin", branin, 2.0),
        f.noisy("noisy-ackley-4", ackley, 1.0),
        f.noisy("noisy-steps", steps, 0.3),
        steps,
        scikit_learn("svm-breast-cancer"),
        scikit_learn("knn-digits"),
        published("HPOBench", "car"),
        published("HPOBench", "phoneme"),
        published("NASBench201", "cifar10"),
    )


def judging() -> tuple[Task, ...]:
    """Tasks that were not looked at while defaults were chosen."""
    hartmann_3 = Task("hartmann-3", "continuous", f.cube(3, 0.0, 1.0), f.hartmann_3, -3.86278214782076)
    return _present(
        Task("hartmann-6", "continuous", f.cube(6, 0.0, 1.0), f.hartmann_6, -3.32236801141551),
        bbob(3, 5),
        bbob(8, 5),
        bbob(10, 5),
        bbob(15, 5),
        bbob(21, 5),
        f.noisy("noisy-hartmann-3", hartmann_3, 0.3),
        Task("training", "log-scaled", f.TRAINING, f.training, _TRAINING_BEST),
        Task("network", "mixed", f.NETWORK, f.network, _NETWORK_BEST),
        scikit_learn("boosting-diabetes"),
        scikit_learn("sgd-digits"),
        scikit_learn("forest-wine"),
        published("HPOBench", "vehicle"),
        published("HPOBench", "segment"),
        published("HPOLib", "protein_structure"),
        published("HPOLib", "parkinsons_telemonitoring"),
        published("NASBench201", "cifar100"),
        published("NASBench201", "imagenet"),
    )


def named(name: str) -> Task:
    """The task of that name."""
    return next(task for task in (*judging(), *tuning()) if task.name == name)


_TRAINING_BEST = 0.06
_NETWORK_BEST = 0.1


def _present(*tasks: Task | None) -> tuple[Task, ...]:
    return tuple(task for task in tasks if task is not None)
