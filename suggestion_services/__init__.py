"""The algorithms: one file each over `katibpy.algo`, and the catalogue that names them.

Belongs here: what an algorithm computes, with its settings and the source of its method.
Does not belong here: gRPC, processes, storage, clocks; an algorithm is a function of its arguments.
May be imported by: nobody; modules are found by the names in the catalogue.
"""
