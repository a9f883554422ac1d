"""Conformance suites, builders and simulators, shipped so that plug-in authors run what we run.

Belongs here: what proves that an implementation keeps its contract, as plain functions that say what they
sent and what came back. Does not belong here: tests of one module, which stand in `tests/`.
May be imported by: tests, and the command that runs a suite. Nothing here is needed to run an Experiment.
"""
