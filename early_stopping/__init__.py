"""The early stopping rules: one file each over `katibpy.algo`, and the catalogue that names them.

Belongs here: how a rule decides from the observations of other trials.
Does not belong here: gRPC, processes, storage, clocks; a rule is a function of its arguments.
May be imported by: nobody; modules are found by the names in the catalogue.
"""
