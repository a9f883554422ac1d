"""What runs trials: processes on this host, and a simulation with a virtual clock.

A runner implements `katibpy.ports.TrialRunner`; all that is known about one kind of place where trials run
belongs here. No decisions about trials and no reading of metrics: those are the controller's and the
collectors'. Only `katibpy.app`, `katibpy.testing` and what lies above them may import it.
"""
