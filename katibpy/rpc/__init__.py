"""The wire: everything that knows gRPC and the generated messages.

Belongs here: one two-way converter per message (`convert_*`), servicers, gateways that implement the ports,
the server and its health, the table between exceptions and status codes.
Does not belong here: decisions, algorithms, and how a service process is started, which is
`katibpy.launchers`.
May be imported by: `katibpy.app` and whatever lies above it.
"""
