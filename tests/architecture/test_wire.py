from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from katibpy.pb.v1beta1 import api_pb2
from tests.architecture.sources import ROOT
from tests.architecture.wire import ENUMS, EXTENSIONS, KATIB, KATIB_METHODS, NEW_MESSAGES, NEW_METHODS

PROTO = ROOT / "proto" / "katibpy" / "pb" / "v1beta1" / "api.proto"
FIRST_EXTENSION = 100

# Declares Katib's package as Katib's SDK does, under the same file name.
AS_KATIBS_SDK_DOES = """
from google.protobuf import descriptor_pb2, descriptor_pool
katib = descriptor_pb2.FileDescriptorProto(name="api.proto", package="api.v1.beta1", syntax="proto3")
katib.message_type.add(name="Experiment").field.add(name="name", number=1, type=9, label=1)
katib.service.add(name="Suggestion")
descriptor_pool.Default().AddSerializedFile(katib.SerializeToString())
"""
AS_KATIBPY_DOES = "from katibpy.pb.v1beta1 import api_pb2, api_pb2_grpc"
BOTH_ARE_THERE = """
from google.protobuf import descriptor_pool
pool = descriptor_pool.Default()
assert [field.name for field in pool.FindMessageTypeByName("api.v1.beta1.Experiment").fields] == ["name"]
assert "uid" in pool.FindMessageTypeByName("katibpy.v1beta1.Experiment").fields_by_name
"""


def test_fields_below_100_are_katibs() -> None:
    ours = {name: fields for name, fields in numbered(below=True).items() if name not in NEW_MESSAGES}
    assert ours == KATIB


def test_fields_from_100_are_the_extensions() -> None:
    assert {name: fields for name, fields in numbered(below=False).items() if fields} == EXTENSIONS


def test_new_messages_are_as_written_down() -> None:
    messages = numbered(below=True)
    assert {name: messages[name] for name in NEW_MESSAGES} == NEW_MESSAGES


def test_enum_values_are_katibs() -> None:
    declared = {name: [value.name for value in enum.value] for name, enum in enums(described())}
    numbers = [[value.number for value in enum.value] for _, enum in enums(described())]
    assert declared == ENUMS
    assert all(these == list(range(len(these))) for these in numbers)


def test_services_have_katibs_methods_and_the_extensions() -> None:
    declared = {service.name: {method.name for method in service.method} for service in described().service}
    expected = {name: methods | NEW_METHODS.get(name, set()) for name, methods in KATIB_METHODS.items()}
    assert declared == expected


def test_every_method_takes_its_request_and_returns_its_reply() -> None:
    for service in described().service:
        for method in service.method:
            assert method.input_type == f".katibpy.v1beta1.{method.name}Request"
            assert method.output_type == f".katibpy.v1beta1.{method.name}Reply"
            assert not method.client_streaming
            assert not method.server_streaming


def test_the_generated_code_is_that_of_the_proto() -> None:
    written = dict(fields_in_text(PROTO.read_text(encoding="utf-8")))
    generated = dict(fields_in_descriptor(described()))
    assert written == generated, "run `make proto` and commit what it writes"


@pytest.mark.parametrize(
    "order",
    [(AS_KATIBPY_DOES, AS_KATIBS_SDK_DOES), (AS_KATIBS_SDK_DOES, AS_KATIBPY_DOES)],
    ids=["katibpy first", "katib first"],
)
def test_one_process_can_hold_katibs_wire_and_ours(order: tuple[str, str]) -> None:
    script = "\n".join([*order, BOTH_ARE_THERE])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def described() -> FileDescriptorProto:
    described = FileDescriptorProto()
    api_pb2.DESCRIPTOR.CopyToProto(described)
    return described


def numbered(*, below: bool) -> dict[str, set[str]]:
    """The fields of every message, either those numbered below the first extension or the others."""
    return {
        name: {field for field in fields if (int(field.rpartition(" ")[2]) < FIRST_EXTENSION) is below}
        for name, fields in fields_in_descriptor(described())
    }


def messages(found: Iterable[DescriptorProto], prefix: str = "") -> Iterator[tuple[str, DescriptorProto]]:
    for message in found:
        yield prefix + message.name, message
        inner = (nested for nested in message.nested_type if not nested.options.map_entry)
        yield from messages(inner, f"{prefix}{message.name}.")


def enums(file: FileDescriptorProto) -> Iterator[tuple[str, EnumDescriptorProto]]:
    yield from ((enum.name, enum) for enum in file.enum_type)
    for name, message in messages(file.message_type):
        yield from ((f"{name}.{enum.name}", enum) for enum in message.enum_type)


def fields_in_descriptor(file: FileDescriptorProto) -> Iterator[tuple[str, set[str]]]:
    """Each message's name and its fields, written as a .proto file writes them."""
    for name, message in messages(file.message_type):
        maps = {entry.name: entry for entry in message.nested_type if entry.options.map_entry}
        yield name, {in_words(field, maps) for field in message.field}


def in_words(field: FieldDescriptorProto, maps: dict[str, DescriptorProto]) -> str:
    entry = maps.get(type_of(field))
    if entry is not None:
        key, value = (type_of(part) for part in entry.field)
        return f"map<{key}, {value}> {field.name} = {field.number}"
    label = ""
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        label = "repeated "
    elif field.proto3_optional:
        label = "optional "
    return f"{label}{type_of(field)} {field.name} = {field.number}"


def type_of(field: FieldDescriptorProto) -> str:
    if field.type_name:
        return field.type_name.rpartition(".")[2]
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def fields_in_text(proto: str) -> Iterator[tuple[str, set[str]]]:
    """What `fields_in_descriptor` gives, read from the text: one statement a line, as the file is kept."""
    blocks: list[tuple[str, str]] = []
    fields: dict[str, set[str]] = {}
    for raw in proto.splitlines():
        line = raw.partition("//")[0].strip()
        opened = re.fullmatch(r"(message|enum|service) (\w+) \{(\})?", line)
        if opened:
            kind, name, closed = opened.groups()
            blocks.append((kind, name))
            if kind == "message":
                fields[".".join(name for _, name in blocks)] = set()
            if closed:
                blocks.pop()
        elif line == "}":
            blocks.pop()
        elif blocks and blocks[-1][0] == "message" and re.fullmatch(r".* = \d+;", line):
            fields[".".join(name for _, name in blocks)].add(line.removesuffix(";"))
    assert not blocks, f"a block of the proto is not closed: {blocks}"
    yield from fields.items()
