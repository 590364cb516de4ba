"""Whether the local database is known to be migrated already: then a start saves a Python's start.

Only a shortcut: rest_service itself refuses to serve a database that is not up to date.
"""

import hashlib
from pathlib import Path

from ops.local_layout import Layout
from ops.local_servers import PostgresServer
from ops.services import MIGRATION
from ops.shell import Shell

INPUTS = ("rest_service/alembic/versions/*.py", "rest_service/app/seed/*")


class MigrationNote:
    """Notes which migrations were applied, with which settings, to which data folder."""

    def __init__(self, layout: Layout) -> None:
        self._project = layout.project
        self._path = layout.run / "migrated"

    def is_current(self) -> bool:
        """Whether the last successful migration was this very one."""
        return self._path.exists() and self._path.read_text(encoding="utf-8") == self._digest()

    def write(self) -> None:
        """It has succeeded."""
        self._path.write_text(self._digest(), encoding="utf-8")

    def forget(self) -> None:
        """Migrate at the next start, whatever was noted."""
        self._path.unlink(missing_ok=True)

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for pattern in INPUTS:
            for path in sorted(self._project.root.glob(pattern)):
                if path.is_file():
                    digest.update(path.name.encode() + path.read_bytes())
        for name in MIGRATION.variables:
            digest.update(f"{name}={self._project.values.get(name, '')}\n".encode())
        digest.update(_identity(PostgresServer(self._project, Shell(self._project.root)).data).encode())
        return digest.hexdigest()


def _identity(data: Path) -> str:
    """Changes when the data folder is made anew."""
    mark = data / "initialised"
    found = mark.stat() if mark.exists() else None
    return f"{found.st_ino} {found.st_mtime_ns}" if found else "none"
