"""What happens next: phases, records, views, instructions, the three planners, invariants.

Pure: given what is, a planner says what to do. No I/O, no clock, no randomness, no logging. Imports
only `katibpy.api` and `katibpy.errors`; `algo` and `core` do not know each other.
"""
