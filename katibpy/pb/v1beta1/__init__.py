"""Generated code of `proto/katibpy/pb/v1beta1/api.proto`: `api_pb2` and `api_pb2_grpc`.

Belongs here: what the generator writes.
Does not belong here: anything written by hand.
May be imported by: `katibpy.rpc` alone.
"""
