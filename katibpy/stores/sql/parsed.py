"""Resources that need not be parsed again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TypeVar, cast

from katibpy.api.model import Resource
from katibpy.stores.sql.rows import resource_of
from katibpy.stores.sql.transaction import Row

R = TypeVar("R", bound=Resource)

LIMIT = 256


class ParsedResources:
    """The resources that were last read or written, with their versions. `_lock` guards the table.

    Rows are always read; only the parsing of what stands in them is saved. Whoever changes a row, in this
    process or another, gives it a version that no row ever had, so nothing in here can be out of date, and
    dropping it changes nothing but time. What is handed out is shared, as frozen values may be.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        """Prepares an empty table of at most so many resources."""
        self._limit = limit
        self._lock = threading.Lock()
        self._known: OrderedDict[int, tuple[int, Resource]] = OrderedDict()

    def of(self, kind: type[R], row: Row) -> R:
        """The resource of a committed row with the columns `READ`."""
        with self._lock:
            version, resource = self._known.get(row.id, (None, None))
            if version == row.resource_version:
                self._known.move_to_end(row.id)
                return cast("R", resource)
        parsed = resource_of(kind, row)
        self._keep(row.id, row.resource_version, parsed)
        return parsed

    def committed(self, object_id: int, resource: Resource) -> None:
        """A resource was written, and that is committed: until then its version may be given again."""
        self._keep(object_id, int(resource.metadata.resource_version or 0), resource)

    def _keep(self, object_id: int, version: int, resource: Resource) -> None:
        with self._lock:
            self._known[object_id] = (version, resource)
            self._known.move_to_end(object_id)
            if len(self._known) > self._limit:
                self._known.popitem(last=False)
