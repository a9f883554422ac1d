"""What a YAML may say: types, defaults, validation, templates, conditions, codec, CRD schema.

Pure: nothing here does I/O, reads a clock, draws random numbers or logs. Anyone may import it; it
imports only `katibpy.errors`. Algorithms, planners and adapters do not belong here.
"""
