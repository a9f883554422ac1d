"""Reads the text of a condition into a path; `conditions` says what the language is and follows paths."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from katibpy.errors import ParseError

MAX_LENGTH = 4096
MAX_NESTING = 32
MAX_STEPS = 64
MAX_COLLECTED = 16
"""Paths in brackets per condition. Each may double what the next one works on, so a few dozen would hang."""


class Modifier(StrEnum):
    """A function of the value, written `@name`."""

    THIS = "@this"
    KEYS = "@keys"
    VALUES = "@values"
    FLATTEN = "@flatten"
    REVERSE = "@reverse"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of an object or an index of a list. A pattern keeps its escapes."""

    text: str
    is_pattern: bool = False
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is asked of each item of a list; without operator, that the path exists."""

    path: Path
    operator: str | None = None
    text: str = ""
    quoted: bool = False
    number: float | None = None


@dataclass(frozen=True, slots=True)
class First:
    """The first item that passes."""

    test: Comparison


@dataclass(frozen=True, slots=True)
class All:
    """Every item, or every item that passes."""

    test: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Collect:
    """A list of the results of several paths."""

    paths: tuple[Path, ...]


_STRINGS = json.JSONDecoder(strict=False)

Step = Key | First | All | Collect | Modifier


@dataclass(frozen=True, slots=True)
class Path:
    """Steps in stages: a stage is applied to the whole result of the one before it."""

    stages: tuple[tuple[Step, ...], ...] = ()


def parse_path(text: str) -> Path:
    """Read a whole path.

    Raises:
        ParseError: names the position, counted from 1, and what was expected there.
    """
    if not text.strip():
        raise ParseError("must be a path into the job object, got nothing")
    if len(text) > MAX_LENGTH:
        raise ParseError(f"must have at most {MAX_LENGTH} characters, got {len(text)}")
    reader = _Reader(text)
    reader.skip_spaces()
    path = reader.path(closers="")
    reader.skip_spaces()
    if reader.at < len(text):
        reader.fail("'.', '|' or the end")
    return path


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.steps = 0
        self.collected = 0

    def fail(self, expected: str) -> NoReturn:
        got = repr(self.text[self.at]) if self.at < len(self.text) else "the end"
        raise ParseError(f"must have {expected} at position {self.at + 1}, got {got} in {self.text!r}")

    def peek(self, ahead: int = 0) -> str:
        return self.text[self.at + ahead : self.at + ahead + 1]

    def skip_spaces(self) -> None:
        while self.peek().isspace():
            self.at += 1

    def path(self, closers: str) -> Path:
        """Steps up to an operator, one of `closers` or the end."""
        if self.depth >= MAX_NESTING:
            raise ParseError(f"must not be nested deeper than {MAX_NESTING} levels, got {self.text!r}")
        self.depth += 1
        stages: list[tuple[Step, ...]] = []
        steps = [self.step(closers)]
        while self.peek() and self.peek() in ".|":
            separator = self.peek()
            self.at += 1
            if separator == "|":
                stages.append(tuple(steps))
                steps = []
            steps.append(self.step(closers))
        stages.append(tuple(steps))
        self.depth -= 1
        return Path(tuple(stages))

    def step(self, closers: str) -> Step:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise ParseError(f"must have at most {MAX_STEPS} steps, got more in {self.text!r}")
        match self.peek():
            case "#":
                return self.items()
            case "@":
                return self.modifier()
            case "[":
                return self.collect()
            case "{" | "!":
                self.fail("a key, '#', '[' or '@' (objects and literals cannot be built in a condition)")
        return self.key(closers)

    def items(self) -> Step:
        self.at += 1
        if self.peek() != "(":
            return All()
        self.at += 1
        test = self.comparison()
        if self.peek() != ")":
            self.fail("')'")
        self.at += 1
        if self.peek() == "#":
            self.at += 1
            return All(test)
        return First(test)

    def modifier(self) -> Modifier:
        start = self.at
        self.at += 1
        while self.peek().isalnum():
            self.at += 1
        name = self.text[start : self.at]
        if name not in set(Modifier):
            self.at = start
            self.fail(f"one of {', '.join(Modifier)} (not {name!r})")
        return Modifier(name)

    def collect(self) -> Collect:
        self.at += 1
        paths: list[Path] = []
        while True:
            self.skip_spaces()
            self.collected += 1
            if self.collected > MAX_COLLECTED:
                raise ParseError(f"must collect at most {MAX_COLLECTED} paths, got more in {self.text!r}")
            paths.append(self.path(closers=",]"))
            self.skip_spaces()
            if self.peek() == "]":
                self.at += 1
                return Collect(tuple(paths))
            if self.peek() != ",":
                self.fail("',' or ']'")
            self.at += 1

    def key(self, closers: str) -> Key:
        raw: list[str] = []
        plain: list[str] = []
        is_pattern = False
        stop = ".|" + closers
        while (char := self.peek()) and char not in stop:
            if char == "\\":
                following = self.peek(1)
                if not following:
                    self.at += 1
                    self.fail("a character after '\\'")
                raw.append(char + following)
                plain.append(following)
                self.at += 2
                continue
            if char in "()":
                self.fail("a key (write '\\' before a parenthesis that is part of it)")
            is_pattern = is_pattern or char in "*?"
            raw.append(char)
            plain.append(char)
            self.at += 1
        text = "".join(plain)
        if closers or not self.peek():
            text = text.rstrip()
        if not text:
            self.fail("a key, '#', '[' or '@'")
        if is_pattern:
            return Key("".join(raw).rstrip(), is_pattern=True)
        return Key(text, index=int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None)

    def comparison(self) -> Comparison:
        self.skip_spaces()
        path = Path() if self.peek() and self.peek() in "=!<>%" else self.path(closers=")=!<>%")
        self.skip_spaces()
        operator = self.operator()
        if operator is None:
            return Comparison(path)
        self.skip_spaces()
        if self.peek() == '"':
            comparison = Comparison(path, operator, self.quoted(), quoted=True)
        else:
            comparison = self.bare(path, operator)
        self.skip_spaces()
        number = _number(comparison.text)
        return Comparison(path, operator, comparison.text, comparison.quoted, number)

    def operator(self) -> str | None:
        for written in ("==", "!=", "<=", ">=", "!%", "=", "<", ">", "%"):
            if self.text.startswith(written, self.at):
                self.at += len(written)
                return "==" if written == "=" else written
        if self.peek() != ")":
            self.fail("an operator (== != < <= > >= % !%) or ')'")
        return None

    def quoted(self) -> str:
        try:
            text, self.at = _STRINGS.raw_decode(self.text, self.at)
        except json.JSONDecodeError as error:
            self.at = min(error.pos, len(self.text))
            self.fail("a string that ends with '\"' and has only JSON's escapes")
        return str(text)

    def bare(self, path: Path, operator: str) -> Comparison:
        start = self.at
        if self.peek() == "'":
            self.fail("a string in double quotes")
        while (char := self.peek()) and char not in ')("' and not char.isspace():
            self.at += 1
        if start == self.at:
            self.fail("a string in double quotes, a number, true, false or null")
        return Comparison(path, operator, self.text[start : self.at])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
