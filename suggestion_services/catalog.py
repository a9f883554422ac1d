"""The search algorithms that come with this distribution: one row each."""

from __future__ import annotations

from katibpy.catalog import Row

ROWS = (
    Row(
        "auto",
        "suggestion_services.auto:Auto",
        summary="picks one of the others by parameters and number of trials; used when none is named",
    ),
    Row(
        "random",
        "suggestion_services.random_search:RandomSearch",
        summary="independent draws; a finite space is never repeated",
    ),
    Row(
        "grid",
        "suggestion_services.grid:GridSearch",
        summary="every combination in order; doubles need a step",
    ),
    Row(
        "sobol",
        "suggestion_services.sobol:SobolSearch",
        summary="low-discrepancy points: covers the space more evenly than random draws",
    ),
    Row(
        "tpe",
        "suggestion_services.tpe:Tpe",
        summary="model-based; a good default from 20 trials on, for any kinds of parameter",
    ),
    Row(
        "multivariate-tpe",
        "suggestion_services.multivariate_tpe:MultivariateTpe",
        summary="tpe that always models the parameters together, by Katib's name for it",
    ),
    Row(
        "cmaes",
        "suggestion_services.cma_es:CmaEs",
        summary="evolution strategy for interacting numeric parameters; wants 100 trials or more",
    ),
    Row(
        "bayesianoptimization",
        "suggestion_services.bayesian_optimization:BayesianOptimization",
        summary="model-based; for up to a dozen parameters and expensive trials, from 15 trials on",
    ),
    Row(
        "gp",
        "suggestion_services.gp:Gp",
        extra="gp",
        summary="the fewest trials for up to 20 parameters and some hundred trials; needs the extra gp",
    ),
    Row(
        "pbt",
        "suggestion_services.pbt:Pbt",
        summary="trains a population whose worst take over checkpoints of its best: finds schedules",
    ),
    Row(
        "hyperband",
        "suggestion_services.hyperband:Hyperband",
        summary="many short trials, and long ones for the best; for training that shows early what is good",
    ),
    Row(
        "asha",
        "suggestion_services.asha:Asha",
        summary="short trials, of which the best go on at once; for many workers and training that goes on",
    ),
    Row(
        "bohb",
        "suggestion_services.bohb:Bohb",
        summary="hyperband that learns from the trials where to start; better than it from some brackets on",
    ),
)
