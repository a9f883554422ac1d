"""Composition roots, one process each: the only place that joins adapters with the controller.

Belongs here: which adapters a process is made of, its command line where it has one, its signals.
Does not belong here: anything that decides or converts.
May be imported by: `katibpy.client`, `katibpy.cli`, `katibpy.testing`.
"""
