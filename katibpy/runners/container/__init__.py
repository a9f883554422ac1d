"""Trials in containers: what of a pod a container engine can honour, and the engines' command lines.

Implements `katibpy.runners.execution.Execution`; attempts, stopping, deadlines and outcomes are those of
local runs. Only `katibpy.runners` and `katibpy.app` may import it.
"""
