from __future__ import annotations

import subprocess
import sys

import pytest

from katibpy.client.output import traceback_in


def printed_by(program: str) -> str:
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return f"epoch 1\nTraceback is a word\n{ended.stderr}"


PLAIN = "1 / 0"
CHAINED = """
try:
    {}['a']
except KeyError as error:
    raise ValueError('no a') from error
"""
HANDLED = """
try:
    {}['a']
except KeyError:
    raise ValueError('no a')
"""
GROUP = "raise ExceptionGroup('two', [ValueError('one'), TypeError('other')])"
EARLIER = """
import traceback
try:
    {}['a']
except KeyError:
    traceback.print_exc()
1 / 0
"""


@pytest.mark.parametrize("program", [PLAIN, CHAINED, HANDLED, GROUP])
def test_a_traceback_is_found_with_all_that_led_to_it(program: str) -> None:
    output = printed_by(program)
    assert traceback_in(output) == output.removeprefix("epoch 1\nTraceback is a word\n").rstrip()


def test_an_earlier_traceback_that_did_not_lead_to_it_is_left_out() -> None:
    found = traceback_in(printed_by(EARLIER))
    assert "KeyError" not in found
    assert found.endswith("ZeroDivisionError: division by zero")


def test_there_is_none_where_nothing_was_raised() -> None:
    assert traceback_in("epoch 1\nkilled\n") == ""
