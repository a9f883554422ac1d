from __future__ import annotations

import socket
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from katibpy.core.endpoints import is_local
from katibpy.errors import ServiceUnavailable, Unsupported
from katibpy.pb.v1beta1 import api_pb2 as pb
from katibpy.rpc.names import MAX_MESSAGE_BYTES
from katibpy.rpc.server import ServiceServer
from katibpy.rpc.suggestion_servicer import SuggestionServicer
from tests.unit.rpc.parts import Ledger, Scripted, call, experiment, finder, reaching, serving, usual_reply

SERVICES = ("api.v1.beta1.Suggestion", "katibpy.v1beta1.Suggestion")


@pytest.mark.parametrize("name", ["", *SERVICES, "manager.v1beta1.Suggestion"])
def test_health_is_told_under_every_name(name: str) -> None:
    with serving(SuggestionServicer()) as address, grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        reply = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=4)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_a_service_that_is_not_here_is_not_found() -> None:
    with serving(SuggestionServicer()) as address, grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
            stub.Check(health_pb2.HealthCheckRequest(service="api.v1.beta1.DBManager"), timeout=4)


def test_tools_learn_services_and_messages_by_reflection() -> None:
    def ask(**request: str) -> reflection_pb2.ServerReflectionResponse:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        requests = iter([reflection_pb2.ServerReflectionRequest(**request)])
        reply: reflection_pb2.ServerReflectionResponse = next(
            iter(stub.ServerReflectionInfo(requests, timeout=4))
        )
        return reply

    with serving(SuggestionServicer()) as address, grpc.insecure_channel(address) as channel:
        listed = {service.name for service in ask(list_services="").list_services_response.service}
        assert listed == {*SERVICES, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
        for name in sorted(listed):
            reply = ask(file_containing_symbol=name).file_descriptor_response
            files = [FileDescriptorProto.FromString(each) for each in reply.file_descriptor_proto]
            found = {f"{file.package}.{service.name}" for file in files for service in file.service}
            assert name in found
        katib = ask(file_containing_symbol="api.v1.beta1.GetSuggestionsRequest").file_descriptor_response
        file = FileDescriptorProto.FromString(katib.file_descriptor_proto[0])
        request = next(message for message in file.message_type if message.name == "GetSuggestionsRequest")
        assert {field.type_name for field in request.field if field.type_name} == {
            ".api.v1.beta1.Experiment",
            ".api.v1.beta1.Trial",
        }


def test_a_unix_socket_is_served_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with ServiceServer(SuggestionServicer().handlers(), address=f"unix:{path}") as server:
        assert server.address == f"unix:{path}"
        with reaching(server.address) as gateway:
            assert len(gateway.suggest(call(experiment())).proposals) == 2
    assert not path.exists()


def test_a_taken_port_is_an_error_and_not_shared() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ServiceUnavailable, match=address):
            ServiceServer([], address=address)
    with (
        ServiceServer([], address="127.0.0.1:0") as first,
        pytest.raises(ServiceUnavailable, match=first.address),
    ):
        ServiceServer([], address=first.address)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1:0", True),
        ("127.8.8.8:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("unix:/tmp/s", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("example.org:1", False),
    ],
)
def test_what_only_this_machine_reaches_is_local(address: str, local: bool) -> None:
    assert is_local(address) is local


def test_plaintext_off_loopback_needs_leave() -> None:
    with pytest.raises(Unsupported, match=r"loopback or a Unix socket only, got 0\.0\.0\.0:0"):
        ServiceServer([], address="0.0.0.0:0")


def test_messages_far_beyond_the_usual_limit_pass() -> None:
    algorithm = Scripted()
    ledger = Ledger()
    ledger.put(0, lr="0." + "5" * (9 * 1024 * 1024))
    with (
        serving(SuggestionServicer(find_algorithm=finder(algorithm))) as address,
        reaching(address) as gateway,
    ):
        assert gateway.suggest(call(experiment("scripted"), ledger)) == usual_reply(2)
    assert len(algorithm.shown[0]) == 1
    assert MAX_MESSAGE_BYTES == 256 * 1024 * 1024


def test_our_definition_does_not_take_katibs_package() -> None:
    assert pb.DESCRIPTOR.package == "katibpy.v1beta1"
    with serving(SuggestionServicer()), pytest.raises(KeyError):
        pb.DESCRIPTOR.pool.FindFileContainingSymbol("api.v1.beta1.Suggestion")
