"""How algorithm services are started and kept alive.

Belongs here: implementations of `katibpy.ports.Launcher`, and the gateway that needs no service because
it runs algorithms in this very process.
Does not belong here: what is said to a service once it listens, which is `katibpy.rpc`.
May be imported by: `katibpy.app`, `katibpy.cli`, `katibpy.testing`, benchmarks.
"""
