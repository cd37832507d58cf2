"""Named locks between processes, freed by the system at once when their holder dies.

PostgreSQL: an advisory lock of a session of its own, so it also works between machines. SQLite: `flock` on a file in
`<database>.locks/` (the database itself serves one machine). In memory: within the process.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from sqlalchemy import text

from settings import os_problem
from store.db import Database
from store.errors import StoreError

log = logging.getLogger("otklik.store")
_held_in_memory: set[tuple[int, str]] = set()
_guard = threading.Lock()


class Lock:
    """A lock that is held. Released by `release()`, at the end of `with`, or by the death of the process."""

    def __init__(self, name: str, release: Callable[[], None]) -> None:
        self.name = name
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        free, self._release = self._release, None
        if free is not None:
            free()

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


def try_lock(db: Database, name: str) -> Lock | None:
    """The lock, or None when somebody else holds it; never waits."""
    if not db.is_sqlite:
        return _advisory(db, name)
    if db.path is None:
        return _in_memory(db, name)
    return _file(db.path, name)


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8, person=b"otklik-lock").digest()


def _advisory(db: Database, name: str) -> Lock | None:
    key = int.from_bytes(_digest(name), "big", signed=True)
    conn = db.session()

    def free() -> None:
        engine = conn.engine
        conn.close()  # ends the session, and the lock with it
        engine.dispose()

    try:
        with db.errors():
            got = conn.execute(text("SELECT pg_try_advisory_lock(:k)"), {"k": key}).scalar_one()
    except BaseException:
        free()
        raise
    if not got:
        free()
        return None

    def release() -> None:
        try:  # at once: the server notices the end of a session a moment later
            conn.execute(text("SELECT pg_advisory_unlock(:k)"), {"k": key})
        except Exception as e:  # the session is gone, and the lock with it
            log.debug("lock %s: %s", name, type(e).__name__)
        finally:
            free()

    return Lock(name, release)


def _file(path: Path, name: str) -> Lock | None:
    import fcntl

    folder = path.with_name(f"{path.name}.locks")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(folder / f"{_digest(name).hex()}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise StoreError(f"{folder}: файл замка не создаётся ({os_problem(e)}); проверьте права на каталог") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError as e:
        os.close(fd)
        raise StoreError(
            f"{folder}: здесь не работают замки файлов ({os_problem(e)}); держите базу на местном диске"
        ) from None
    return Lock(name, lambda: os.close(fd))  # the file stays: removing it could let two holders in


def _in_memory(db: Database, name: str) -> Lock | None:
    key = (id(db), name)
    with _guard:
        if key in _held_in_memory:
            return None
        _held_in_memory.add(key)
    return Lock(name, lambda: _held_in_memory.discard(key))
