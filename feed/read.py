"""The event log as NDJSON: one event a line, in the order of `seq`, by cursor."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from settings import USAGE, OtklikError

if TYPE_CHECKING:
    from store import Store

BATCH = 1000
_SEQ = re.compile(rb'"seq"\s*:\s*(\d+)')


class FeedError(OtklikError):
    """A cursor that this log never gave out."""

    exit_code = USAGE


def read(store: Store, after: int = 0, limit: int | None = None, **how: Any) -> Iterator[bytes]:
    """Events with `seq` > `after`, each as one line of JSON with its line feed; see `blocks`."""
    for lines in blocks(store, after, limit, **how):
        yield from lines


def blocks(
    store: Store,
    after: int = 0,
    limit: int | None = None,
    follow: bool = False,
    poll_s: float = 1.0,
    stop: Callable[[], bool] = lambda: False,
    idle: Callable[[], None] = lambda: None,
) -> Iterator[list[bytes]]:
    """The same, many lines at a time.

    Ends after `limit` events, or at the end of the log; with `follow` it waits there and looks again every `poll_s`
    seconds until `stop()` is true, calling `idle()` before each wait. The log has no holes that fill later, so the last
    `seq` seen is all a reader keeps. Raises `FeedError` when the log never came as far as `after`: waiting there would
    skip events in silence; `StoreError` of the store.
    """
    first = store.first_seq()
    if 0 < after < first - 1:
        raise FeedError(
            f"события до {first} удалены по сроку хранения, а прочитано до {after}: получите недостающее иначе "
            f"(otklik queue --json) и читайте с --after {first - 1}"
        )
    left = limit
    while left is None or left > 0:
        if stop():
            return
        count = 0
        size = BATCH if left is None else min(BATCH, left)
        for last, lines in store.events_blocks(after, size):
            yield lines
            after = last
            count += len(lines)
        if left is not None:
            left -= count
        if not count and after > (last := store.last_seq()):
            raise FeedError(
                f"события с номером {after} здесь не было, последнее {last}; возможно, базу заменили прежней копией: "
                f"читайте с --after {last} или с начала"
            )
        if count < size:
            if not follow:
                return
            idle()
            _wait(poll_s, stop)


def copy(store: Store, out: BinaryIO, after: int = 0, limit: int | None = None, **how: Any) -> int:
    """`read` written to `out` (`how`: its other arguments); how many events were written.

    Flushes when the log has caught up. A reader that went away (`otklik feed read | head`) ends it quietly.
    """
    count = 0
    try:
        for lines in blocks(store, after, limit, idle=out.flush, **how):
            out.write(b"".join(lines))
            count += len(lines)
        out.flush()
    except BrokenPipeError:
        _mute(out)
    return count


def seq_of(line: bytes) -> int:
    """The number of the event on a line of the log."""
    # `seq` is the first key of an event (store/events.py), so nothing a resident wrote can stand before it.
    found = _SEQ.search(line, 0, 64)
    if found is None:
        import orjson

        return int(orjson.loads(line)["seq"])
    return int(found.group(1))


def _wait(seconds: float, stop: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not stop() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))


def _mute(out: BinaryIO) -> None:
    """Point a broken stdout at /dev/null, or the interpreter complains once more when it flushes at exit."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, out.fileno())
        os.close(null)
    except (OSError, ValueError, AttributeError):
        pass
