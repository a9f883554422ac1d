from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katibpy.api.nodes import MappingNode, Node, Scalar, SequenceNode, merged_entries, plain_value
from katibpy.api.source import MAX_ALIASED_VALUES, MAX_BYTES, from_python, read_documents
from katibpy.errors import ParseError


def plain(node: Node) -> object:
    match node:
        case MappingNode():
            return {entry.key: plain(entry.node) for entry in merged_entries(node)}
        case SequenceNode():
            return [plain(item) for item in node.items]
    return node.value


def read(text: str | bytes) -> object:
    (node,) = read_documents(text)
    return plain(node)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-5", -5),
        ("+3", 3),
        ("010", 8),
        ("08", 8),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", 3),
        ("1_000", 1000),
        ("0x", "0x"),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e-5", 1e-5),
        ("1E3", 1000.0),
        ("yes", True),
        ("Off", False),
        ("y", "y"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("~", None),
        ("", None),
        ("-", "-"),
        (".inf", float("inf")),
        ("9" * 70, float("9" * 70)),
    ],
)
def test_unquoted_values_mean_what_kubernetes_takes_them_for(text: str, value: object) -> None:
    found = plain_value(text)
    assert found == value
    assert type(found) is type(value)


def test_several_documents_and_empty_ones() -> None:
    documents = read_documents("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n")
    assert [plain(node) for node in documents] == [{"a": 1}, {"b": 2}]


def test_a_node_knows_its_text_and_line() -> None:
    (node,) = read_documents("a:\n  - 0.10\n  - '0.10'\n")
    assert isinstance(node, MappingNode)
    items = node.entries[0].node
    assert isinstance(items, SequenceNode)
    assert items.items == [Scalar("0.10", False, 2), Scalar("0.10", True, 3)]


def test_json_is_read_also_where_yaml_would_stumble() -> None:
    assert read('{"a":\t[1, 2.50],\n\t"b": "\\ud83d\\ude00", "c": null}') == {
        "a": [1, 2.5],
        "b": "😀",
        "c": None,
    }
    assert read("[]") == []


def test_merge_keys_give_way_to_the_keys_of_the_mapping_itself() -> None:
    text = "base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\nall: {x: 0, <<: [*b, *m]}\n"
    found = read(text)
    assert isinstance(found, dict)
    assert found["all"] == {"x": 0, "y": 2, "z": 4}


def test_explicit_plain_tags_are_obeyed() -> None:
    assert read("[!!str 5, !!int '5', ! 5]") == ["5", 5, "5"]


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("a: [1, 2", "line 2, column 1"),
        ("a:\n\t- b", "line 2, column 1"),
        ('{"a": [}', "line 1, column 8"),
        ("a: 'x", "line 1"),
        ("a: b: c", "line 1, column 5"),
        ("a: \x01", "control characters"),
        (b"\xff\xfe\x00", "UTF-8"),
        ("\ud800", "UTF-8"),
        ("a: !!python/object:os.system x", "must not have the tag"),
        ("a: !thing x", "must not have the tag"),
        ("&a [*a]", "complete before"),
        ("a: *missing", "missing"),
        ("? [a]\n: 1", "keys that are plain text"),
        ("{[a]: 1}", "keys that are plain text"),
        ("<<: 1", "after `<<`"),
    ],
)
def test_bad_text_is_refused_with_its_place(text: str | bytes, fragment: str) -> None:
    with pytest.raises(ParseError) as caught:
        read_documents(text)
    assert fragment in str(caught.value)


def bomb() -> str:
    letters = "abcdefghij"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in pairwise(letters)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        (bomb(), "aliases"),
        ("a: &a {x: 1}\nb:\n" + "  - *a\n" * (MAX_ALIASED_VALUES // 2 + 1), "aliases"),
        ("[" * 1_000_000, "nested deeper"),
        ("{a: " * 200, "nested deeper"),
        ("- " * 1000, "nested deeper"),
        ("x" * (MAX_BYTES + 1), "at most 16 MiB"),
        (b"x" * 100_000_000, "at most 16 MiB"),
        ("- 1\n" * 400_000, "at most 300000 values"),
        ("a: &a [[[[[[[[[[x]]]]]]]]]]\n" + "b: " + "[" * 95 + "*a" + "]" * 95, "aliases included"),
    ],
    ids=[
        "bomb",
        "many-aliases",
        "brackets",
        "braces",
        "dashes",
        "large",
        "huge",
        "many-values",
        "deep-alias",
    ],
)
def test_hostile_text_is_refused_quickly(text: str | bytes, fragment: str) -> None:
    start = time.process_time()
    with pytest.raises(ParseError) as caught:
        read_documents(text)
    assert fragment in str(caught.value)
    assert time.process_time() - start < 10


def test_parsed_data_is_refused_when_json_could_not_hold_it() -> None:
    deep: object = 1
    for _ in range(2000):
        deep = [deep]
    with pytest.raises(ParseError, match="nested deeper"):
        from_python(deep)
    with pytest.raises(ParseError, match="a set"):
        from_python({"a": {1}})
    with pytest.raises(ParseError, match="4096 bits"):
        from_python([10**5000])


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_nothing_but_a_parse_error_ever_comes_out(text: str | bytes) -> None:
    try:
        nodes = read_documents(text)
    except ParseError:
        return
    assert all(isinstance(node, Node) for node in nodes)
