"""The search index: it learns of a write only after a while, and not always in the order of the writes (crm.md B7)."""

import heapq
from collections.abc import Iterable


class Index:
    """What search knows of each record: its values as of some moment, None when it is archived.

    Moments are seconds since 1970 in sandbox time.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, tuple[int, dict[str, str] | None]]] = {}
        self._coming: list[tuple[float, int, str, str, dict[str, str] | None]] = []
        self._serial = 0

    def put(self, kind: str, ident: str, values: dict[str, str] | None, visible_at: float) -> None:
        """A record as it stands now, found from `visible_at` on."""
        self._serial += 1
        heapq.heappush(self._coming, (visible_at, self._serial, kind, ident, values))

    def settle(self, now: float) -> None:
        """Take in what has arrived by now; an older state never takes the place of a newer one."""
        while self._coming and self._coming[0][0] <= now:
            _, serial, kind, ident, values = heapq.heappop(self._coming)
            rows = self._known.setdefault(kind, {})
            if serial > rows.get(ident, (0, None))[0]:
                rows[ident] = (serial, values)

    def rows(self, kind: str) -> Iterable[tuple[str, dict[str, str]]]:
        """Id and values of every record that search knows as live."""
        return ((ident, values) for ident, (_, values) in self._known.get(kind, {}).items() if values is not None)

    def waiting(self) -> int:
        """How many writes are still on their way."""
        return len(self._coming)
