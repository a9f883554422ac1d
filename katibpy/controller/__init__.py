"""Observe, plan, perform: the one controller of every mode.

Holds the keyed work queue, one reconciler per kind and the mapping of instructions to port calls.
Knows ports only, never an adapter; `app` hands those in, and only `app`, `cli` and tests may import this
package. Decisions belong in `katibpy.core`.
"""
