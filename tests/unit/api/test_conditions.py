from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from katibpy.api.conditions import Match, compile_condition
from katibpy.errors import ParseError

SUCCEEDED = 'status.conditions.#(type=="Complete")#|#(status=="True")#'
FAILED = 'status.conditions.#(type=="Failed")#|#(status=="True")#'
JOB = {
    "status": {
        "conditions": [
            {"type": "Suspended", "status": "False"},
            {"type": "Complete", "status": "True", "reason": "Done", "message": "all pods ended"},
        ],
        "phase": "Succeeded",
        "ready": True,
        "succeeded": 2,
        "ratio": 0.5,
        "nothing": None,
        "empty": [],
        "blank": {},
        "pods": [
            {"name": "a-0", "phase": "Running", "code": 0, "tags": ["x", "y"], "ok": True},
            {"name": "a-1", "phase": "Failed", "code": 137, "tags": ["z"], "ok": False},
            {"name": "b-0", "code": None},
        ],
    },
    "fav.movie": {"title": "x"},
    "a|b": {"c": 1},
}


def holds(text: str, document: dict[str, Any] | None = None) -> bool:
    return compile_condition(text).evaluate(JOB if document is None else document) is not None


def test_the_usual_conditions_tell_success_from_failure() -> None:
    assert compile_condition(SUCCEEDED).evaluate(JOB) == Match("Done", "all pods ended")
    assert compile_condition(FAILED).evaluate(JOB) is None


def test_a_condition_that_is_no_longer_true_does_not_count() -> None:
    entry = {"type": "Complete", "status": "False"}
    assert not holds(SUCCEEDED, {"status": {"conditions": [entry]}})


@pytest.mark.parametrize("document", [{}, {"status": None}, {"status": {"conditions": None}}, {"status": []}])
def test_a_job_without_status_has_neither_succeeded_nor_failed(document: dict[str, Any]) -> None:
    assert not holds(SUCCEEDED, document)
    assert not holds(FAILED, document)


def test_the_phase_of_a_workflow_is_reached_through_a_list_of_itself() -> None:
    assert holds('status.[@this].#(phase=="Succeeded")#')
    assert not holds('status.[@this].#(phase=="Failed")#')


@pytest.mark.parametrize(
    "text",
    [
        "status",
        "status.conditions",
        "status.conditions.0",
        "status.ready",
        "status.cond*",
        "status.condition?",
        "fav\\.movie",
        "a\\|b",
        "@this",
        "status|conditions|1",
        'status.conditions.#(type=="Complete")',
        'status.conditions.#(type="Complete")',
        "status.conditions.#(type==Complete)",
        "status.conditions.#(reason)",
        'status.conditions.#(type!="Complete")#',
        'status.conditions.#(type%"Comp*")',
        'status.conditions.#(type!%"Comp*")',
        'status.conditions.#( type == "Complete" )#',
        "status.conditions.#.type",
        "status.pods.#(code>100)#",
        "status.pods.#(code>=137)#",
        "status.pods.#(code<1)#",
        "status.pods.#(code<=0)#",
        "status.pods.#(code==137.0)",
        'status.pods.#(code==137).tags.#(=="z")#',
        'status.pods.#(tags.#(=="z"))#',
        'status.pods.#(name>"a-0")#',
        "status.pods.#(ok==true)",
        "status.pods.#(ok==false)",
        "status.pods.#(ok!=true)",
        "status.pods.#(code==null)",
        "status.pods.#(code>0)#.name",
        "status.pods.#.tags|0",
        'status.pods.#.tags|@flatten|#(=="z")#',
        "status.pods.@reverse.0",
        "status.@keys",
        "status.@values",
        '[status.phase,status.none]|#(=="Succeeded")#',
        'status.conditions.#(reason=="D\\u006fne")',
    ],
)
def test_holds(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "missing",
        "status.missing.deeper",
        "status.phase",
        "status.phase.more",
        "status.succeeded",
        "status.nothing",
        "status.empty",
        "status.conditions.2",
        "status.conditions.-1",
        "status.conditions.#",
        "status.conditions.type",
        'status.conditions.#(type=="complete")',
        'status.conditions.#(type=="Complete")#.#(status=="True")#|0',
        'status.conditions.#(type=="Complete").status',
        "status.pods.#(code>137)#",
        'status.pods.#(code=="abc")#',
        "status.pods.#(phase==null)",
        "status.pods.#(tags==1)",
        'status.phase.#(=="S")',
        "STATUS",
        "s",
        "status.phase|@keys",
    ],
)
def test_does_not_hold(text: str) -> None:
    assert not holds(text)


def test_an_empty_object_counts_as_there() -> None:
    assert holds("status.blank")


def test_a_dot_after_all_matches_goes_into_each_and_a_pipe_takes_the_whole() -> None:
    document = {"a": [{"b": [{"c": 1}]}, {"b": []}]}
    assert holds("a.#(b)#.b.0", document)
    assert holds("a.#(b)#|0", document)
    assert not holds("a.#(b)#.0", document)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "got nothing"),
        ("   ", "got nothing"),
        ("a..b", "position 3"),
        ("a.", "the end"),
        (".a", "position 1"),
        ("a|", "the end"),
        ('a.#(b=="c"', "must have ')'"),
        ('a.#(b=="c', "ends with"),
        ("a.#(b=='c')", "double quotes"),
        ("a.#(b==)", "a string in double quotes"),
        ("a.#(b", "an operator"),
        ("a.#()", "a key"),
        ("a.#(b==1)x", "the end"),
        ("[a", "',' or ']'"),
        ("{a}", "cannot be built"),
        ("!1", "cannot be built"),
        ("a.@nope", "@this"),
        ("a)", "parenthesis"),
        ("a\\", "character after"),
        ("a" * 5000, "at most 4096"),
        ("#(" * 100 + "a", "nested deeper"),
        (".".join("a" * 100), "at most 64 steps"),
        ("|".join(["[a,b]"] * 20), "at most 16 paths"),
    ],
)
def test_a_bad_path_says_where_and_what_was_expected(text: str, fragment: str) -> None:
    with pytest.raises(ParseError) as caught:
        compile_condition(text)
    assert fragment in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "type", "0"]), inner)
    ),
    max_leaves=20,
)
WORDS = (
    'a b type . | # ( ) [ ] , @this @flatten @values == != < % !% " "a" 1 true null * ? \\ #( )# { 0 é -1e9'
)
PIECES = st.lists(st.sampled_from([*WORDS.split(), " "]), max_size=25).map("".join)


@settings(max_examples=400)
@given(
    text=PIECES | st.text(max_size=30), document=st.dictionaries(st.sampled_from(["a", "b", "type"]), JSON)
)
def test_nothing_but_a_parse_error_ever_comes_out(text: str, document: dict[str, Any]) -> None:
    try:
        condition = compile_condition(text)
    except ParseError:
        return
    assert isinstance(condition.evaluate(document), Match | None)


def test_no_condition_takes_long() -> None:
    document: dict[str, Any] = {"a": ["x" * 2000] * 50, "b" * 5000: 1}
    nested: Any = 1
    for _ in range(60):
        nested = [nested, nested]
    start = time.process_time()
    for text in (
        'a.#(%"' + "*x" * 200 + 'y")#',
        "*" * 2000 + "c",
        "|".join(["[@this,@this,@this]", "@flatten"] * 5),
        "a" + ".#" * 60,
    ):
        compile_condition(text).evaluate(document)
    compile_condition("a" + ".0" * 59).evaluate({"a": nested})
    assert time.process_time() - start < 5
