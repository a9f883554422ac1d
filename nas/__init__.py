"""Neural architecture search: the algorithms, and the network code that runs inside a trial.

Belongs here: one folder per method, holding its algorithm and its networks.
Does not belong here: anything that other algorithms need as well.
May be imported by: nobody; modules are found by the names in the catalogue.
"""
