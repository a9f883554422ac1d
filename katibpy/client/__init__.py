"""Tuning from Python: `KatibClient`, `tune`, the search helpers.

Sits on `katibpy.app`, which runs the engine in the caller's process; `katibpy` itself re-exports the public
names, lazily. Nothing here decides anything about trials. Only `cli` and `testing` may import it.
"""
