"""Server reflection for both names of our services, so that tools need no proto file."""

from __future__ import annotations

from collections.abc import Iterable

import grpc
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from katibpy.pb.v1beta1 import api_pb2 as pb
from katibpy.rpc.names import KATIB_PACKAGE, OWN_PACKAGE


def add_reflection(server: grpc.Server, service_names: Iterable[str]) -> None:
    """Lets the server describe the services of these full names."""
    names = [*service_names, reflection.SERVICE_NAME]
    reflection.enable_server_reflection(names, server, pool=_pool())


def _pool() -> DescriptorPool:
    # A pool of its own: in the default one a second definition of Katib's package would clash with its SDK's.
    pool = DescriptorPool()
    for file in (pb.DESCRIPTOR, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
        pool.AddSerializedFile(file.serialized_pb)
    pool.AddSerializedFile(_under_katibs_name().SerializeToString())
    return pool


def _under_katibs_name() -> FileDescriptorProto:
    proto = FileDescriptorProto.FromString(pb.DESCRIPTOR.serialized_pb)
    proto.name = "api.proto"
    proto.package = KATIB_PACKAGE
    for message in proto.message_type:
        _rename_fields(message)
    for service in proto.service:
        for method in service.method:
            method.input_type = _renamed(method.input_type)
            method.output_type = _renamed(method.output_type)
    return proto


def _rename_fields(message: DescriptorProto) -> None:
    for field in message.field:
        if field.HasField("type_name"):
            field.type_name = _renamed(field.type_name)
    for nested in message.nested_type:
        _rename_fields(nested)


def _renamed(type_name: str) -> str:
    own = f".{OWN_PACKAGE}."
    return f".{KATIB_PACKAGE}.{type_name.removeprefix(own)}" if type_name.startswith(own) else type_name
