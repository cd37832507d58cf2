"""Care of a database: migrate, back up, restore, verify. What the other rooms call; the work is done elsewhere."""

from __future__ import annotations

from store import jobs
from store import migrate as schema
from store.copies import backup, forgotten_in, opened, restore
from store.soundness import verify


def migrate(url: str) -> str:
    """Bring the schema to this program's version, in one transaction; the version."""
    with opened(url) as db:
        version = schema.upgrade(db)
        jobs.ensure(db, anew=True)
        return version


def current_version(url: str) -> str | None:
    """The schema's version; None for a database without our tables."""
    with opened(url) as db:
        if db.path is not None and not db.path.exists():
            return None
        with db.read() as conn:
            return schema.version_of(conn)


__all__ = ["backup", "current_version", "forgotten_in", "migrate", "restore", "verify"]
