"""Generated protobuf and gRPC code, committed and never edited; `make proto` writes it from `proto/`.

Belongs here: what the generator writes, one folder per version of the wire.
Does not belong here: conversions, which live in `katibpy.rpc`.
May be imported by: `katibpy.rpc` alone.
"""
