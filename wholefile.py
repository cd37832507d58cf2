"""A file that is there whole or not at all, whatever happens while it is written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600


@contextmanager
def whole_file(
    target: str | Path, mode: int | None = PRIVATE, naming: Callable[[Callable[[], None]], object] | None = None
) -> Iterator[BinaryIO]:
    """A file to write to, which gets the name `target` when the block ends well; else what was there stays.

    `mode`: its permissions; None: those of any new file. `naming(rename)`: gives it its name by calling `rename`, when
    that has to happen together with something else. After a power failure the file is the old or the new one.
    Raises OSError.
    """
    target = Path(target)
    handle, made = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".partial", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), _usual() if mode is None else mode)
            os.fsync(file.fileno())
        if naming is None:
            os.replace(made, target)
        else:
            naming(lambda: os.replace(made, target))
        sync(target.parent)
    finally:
        Path(made).unlink(missing_ok=True)


def sync(path: str | Path) -> None:
    """What the file or folder holds is on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _usual() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
