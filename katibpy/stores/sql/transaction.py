"""A transaction: statements are SQLAlchemy's, their execution is the driver's own.

SQLAlchemy's own execution prepares each one anew, which takes several times as long as SQLite needs to find
or write a row by its key, and a trial's life is about fifty of these. Here the text of a statement is made
once, for whatever dialect the database has. What is given up are conversions between Python and the driver;
the schema has only types that need none.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from sqlalchemy import Delete, Dialect, Insert, Select, Update

Change: TypeAlias = Insert | Update | Delete
Parameters: TypeAlias = Mapping[str, Any]

Row: TypeAlias = Any
"""A named tuple; its fields are the columns of the statement."""

_NONE: Parameters = {}


class Cursor(Protocol):
    """What is used of a driver's cursor."""

    @property
    def rowcount(self) -> int:
        """Number of rows that the last statement changed."""
        ...

    def execute(self, text: str, parameters: Any = ..., /) -> Any:
        """Executes a statement."""
        ...

    def executemany(self, text: str, parameters: Any, /) -> Any:
        """Executes a statement several times."""
        ...

    def fetchone(self) -> Any:
        """The next row, None at the end."""
        ...

    def fetchall(self) -> Any:
        """All rows that are left."""
        ...


class Text:
    """A statement as text, with its parameters in the order that the driver wants them.

    Attributes:
        text: what the driver executes.
        row: makes a row of what the driver fetches.
    """

    def __init__(self, statement: Select[Any] | Change, dialect: Dialect, keys: Sequence[str] = ()) -> None:
        """Compiles it.

        Args:
            statement: a SELECT, or a change.
            dialect: of the database.
            keys: names of the parameters, which a change writes as far as they are columns.
        """
        compiled = statement.compile(
            dialect=dialect, column_keys=list(keys) or None, compile_kwargs={"render_postcompile": True}
        )
        self.text = str(compiled)
        self._constants = dict(compiled.params)
        self._order = compiled.positiontup if compiled.positional else None
        self.row: Callable[[Sequence[Any]], Row] = tuple
        if isinstance(statement, Select):
            names = [str(column.key) for column in statement.selected_columns]
            self.row = _row_type(names)

    def values(self, parameters: Parameters) -> Any:
        """The parameters as the driver wants them; those not given are part of the statement."""
        if self._order is None:
            return {**self._constants, **parameters}
        constants = self._constants
        return [parameters[name] if name in parameters else constants[name] for name in self._order]


def _row_type(names: Sequence[str]) -> Callable[[Sequence[Any]], Row]:
    # The names are not known before the statement is.
    kind = namedtuple("Row", names, rename=True)  # type: ignore[misc]
    return kind._make


class Texts:
    """The statements of the program as text, each made when it is first executed.

    For any number of threads: dictionary steps are atomic, and making one twice does no harm.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: dict[Any, Text] = {}

    def of(self, statement: Select[Any] | Change, parameters: Parameters) -> Text:
        """The text of a statement that is a constant of the program."""
        # What a change writes depends on what it is given.
        key = statement if isinstance(statement, Select) else (statement, *parameters)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Text(statement, self._dialect, tuple(parameters))
        return found

    def made(self, statement: Select[Any] | Change) -> Text:
        """The text of a statement that was made for one execution."""
        return Text(statement, self._dialect)


class Transaction:
    """One transaction of one thread.

    Its methods are for statements that are constants of the program, whose texts are kept; only `all_of` is
    for one that is put together when it is needed.

    Attributes:
        cursor: the driver's.
    """

    __slots__ = ("_texts", "cursor")

    def __init__(self, cursor: Cursor, texts: Texts) -> None:
        self.cursor = cursor
        self._texts = texts

    def all(self, statement: Select[Any], parameters: Parameters = _NONE) -> list[Row]:
        """All rows."""
        text = self._texts.of(statement, parameters)
        self.cursor.execute(text.text, text.values(parameters))
        return list(map(text.row, self.cursor.fetchall()))

    def first(self, statement: Select[Any], parameters: Parameters = _NONE) -> Row | None:
        """The first row, None without one."""
        text = self._texts.of(statement, parameters)
        self.cursor.execute(text.text, text.values(parameters))
        row = self.cursor.fetchone()
        return None if row is None else text.row(row)

    def scalar(self, statement: Select[Any], parameters: Parameters = _NONE) -> Any:
        """The first column of the first row, None without one."""
        text = self._texts.of(statement, parameters)
        self.cursor.execute(text.text, text.values(parameters))
        row = self.cursor.fetchone()
        return None if row is None else row[0]

    def scalars(self, statement: Select[Any], parameters: Parameters = _NONE) -> list[Any]:
        """The first column of all rows."""
        text = self._texts.of(statement, parameters)
        self.cursor.execute(text.text, text.values(parameters))
        return [row[0] for row in self.cursor.fetchall()]

    def change(self, statement: Change, parameters: Parameters = _NONE) -> int:
        """Executes a change; the number of rows it changed."""
        text = self._texts.of(statement, parameters)
        self.cursor.execute(text.text, text.values(parameters))
        return self.cursor.rowcount

    def change_each(self, statement: Change, parameters: Sequence[Parameters]) -> None:
        """Executes a change once for each set of parameters, all with the same names."""
        if parameters:
            text = self._texts.of(statement, parameters[0])
            self.cursor.executemany(text.text, [text.values(each) for each in parameters])

    def all_of(self, statement: Select[Any]) -> list[Row]:
        """All rows of a statement that was made for this."""
        text = self._texts.made(statement)
        self.cursor.execute(text.text, text.values(_NONE))
        return list(map(text.row, self.cursor.fetchall()))
