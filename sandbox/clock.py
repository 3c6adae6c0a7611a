"""The one clock the simulated companies and the product share: wall time plus an offset kept in a file."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path


class Clock:
    """Wall time plus an offset. With a path the offset is shared with every process that reads the file.

    The file holds `{"offset_seconds": number}`; a missing file means no offset.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.offset = timedelta(seconds=_read(path)) if path else timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def advance(self, by: timedelta) -> None:
        """Move time forward. Going back is refused: stored instants would come to lie in the future."""
        if by < timedelta():
            raise ValueError("The clock only moves forward.")
        self.offset += by
        self._write()

    def reset(self) -> None:
        self.offset = timedelta()
        self._write()

    def _write(self) -> None:
        if self.path is None:
            return
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps({"offset_seconds": self.offset.total_seconds()}))
        os.replace(fresh, self.path)


def _read(path: Path) -> float:
    try:
        return float(json.loads(path.read_text())["offset_seconds"])
    except FileNotFoundError:
        return 0.0
