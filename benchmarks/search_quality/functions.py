"""Functions in closed form."""

from __future__ import annotations

import math

import numpy as np
from task import Assignment, Task, choice, double, integer

_HARTMANN_WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
_HARTMANN_6 = (
    np.array(
        [
            [10, 3, 17, 3.5, 1.7, 8],
            [0.05, 10, 17, 0.1, 8, 14],
            [3, 3.5, 1.7, 10, 17, 8],
            [17, 8, 0.05, 10, 0.1, 14],
        ]
    ),
    1e-4
    * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    ),
)
_HARTMANN_3 = (
    np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]]),
    1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]),
)


def _vector(assignment: Assignment) -> np.ndarray:
    return np.array([float(value) for value in assignment.values()])


def _hartmann(constants: tuple[np.ndarray, np.ndarray], x: np.ndarray) -> float:
    exponents = (constants[0] * (x - constants[1]) ** 2).sum(axis=1)
    return float(-(_HARTMANN_WEIGHTS * np.exp(-exponents)).sum())


def hartmann_6(assignment: Assignment) -> float:
    """Six dimensions, six local optima (Hartmann, 1973)."""
    return _hartmann(_HARTMANN_6, _vector(assignment))


def hartmann_3(assignment: Assignment) -> float:
    """Three dimensions, four local optima (Hartmann, 1973)."""
    return _hartmann(_HARTMANN_3, _vector(assignment))


def branin(assignment: Assignment) -> float:
    """Two dimensions, three global optima (Branin, 1972)."""
    x, y = _vector(assignment)
    valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return float(valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


def rosenbrock(assignment: Assignment) -> float:
    """A bent valley (Rosenbrock, 1960)."""
    x = _vector(assignment)
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def ackley(assignment: Assignment) -> float:
    """A funnel with ripples (Ackley, 1987), off the centre."""
    x = _vector(assignment) - np.linspace(-1.0, 2.0, len(assignment))
    return float(
        -20 * math.exp(-0.2 * math.sqrt((x**2).mean()))
        - math.exp(np.cos(2 * math.pi * x).mean())
        + 20
        + math.e
    )


def training(assignment: Assignment) -> float:
    """How the error of a network moves with its usual hyperparameters: a rate too high diverges."""
    rate, decay = (math.log10(float(assignment[name])) for name in ("rate", "decay"))
    momentum, dropout = float(assignment["momentum"]), float(assignment["dropout"])
    effective = rate - math.log10(1.0 - momentum)
    too_high = max(effective + 1.0, 0.0)
    fit = 0.02 * (effective + 1.6) ** 2 + 0.6 * too_high**2
    regular = 0.01 * (decay + 4.0 + 2.0 * dropout) ** 2 + 0.15 * (dropout - 0.25) ** 2
    return 0.06 + fit + regular


def network(assignment: Assignment) -> float:
    """A training run with choices that interact: each optimiser has its own best rate, depth costs data."""
    rate = math.log10(float(assignment["rate"]))
    best_rate, floor = {"sgd": (-1.0, 0.02), "adam": (-3.0, 0.0), "ftrl": (-1.8, 0.05)}[
        str(assignment["optimizer"])
    ]
    layers, width = int(assignment["layers"]), math.log2(float(assignment["width"]))
    capacity = layers * 0.6 + width
    depth = {"relu": 6, "tanh": 3, "gelu": 7}[str(assignment["activation"])]
    return float(
        0.1
        + floor
        + 0.03 * (rate - best_rate) ** 2
        + 0.01 * (capacity - 9.5) ** 2
        + 0.02 * max(layers - depth, 0)
        + 0.08 * abs(float(assignment["dropout"]) - 0.05 * layers)
        + (0.01 if assignment["activation"] == "tanh" else 0.0)
    )


def steps(assignment: Assignment) -> float:
    """Slopes to one point, on scales that differ."""
    rate = (math.log10(float(assignment["rate"])) + 2.3) ** 2
    units = abs(math.log2(float(assignment["units"])) - 6.0)
    depth = abs(float(assignment["depth"]) - 7) / 4.0
    loss = {"squared": 0.8, "absolute": 0.4, "huber": 0.0, "log": 1.2}[str(assignment["loss"])]
    share = 4.0 * abs(float(assignment["share"]) - 0.7) * (1.0 if loss else 0.5)
    return rate + units * 0.5 + depth + loss + share


TRAINING = (
    double("rate", 1e-6, 1.0, log=True),
    double("decay", 1e-8, 1e-1, log=True),
    double("momentum", 0.0, 0.99),
    double("dropout", 0.0, 0.8),
)
NETWORK = (
    double("rate", 1e-5, 1.0, log=True),
    integer("layers", 1, 10),
    integer("width", 8, 1024, log=True),
    double("dropout", 0.0, 0.9),
    choice("optimizer", "sgd", "adam", "ftrl"),
    choice("activation", "relu", "tanh", "gelu"),
)


STEPS = (
    double("rate", 1e-5, 1.0, log=True),
    integer("depth", 1, 20),
    integer("units", 4, 512, log=True),
    choice("loss", "squared", "absolute", "huber", "log"),
    double("share", 0.0, 1.0),
)


def cube(count: int, low: float, high: float) -> tuple:
    """So many real parameters between two bounds."""
    return tuple(double(f"x{place}", low, high) for place in range(count))


def noisy(name: str, task: Task, deviation: float) -> Task:
    """The same with normal noise in what trials show."""

    def observed(assignment: Assignment, rng: np.random.Generator) -> float:
        return task.truth(assignment) + deviation * float(rng.standard_normal())

    return Task(name, "noisy", task.parameters, task.truth, task.best, observed)
