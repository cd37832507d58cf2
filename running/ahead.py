"""The judge in a process of its own, while a backlog is read: reading and landing go on here, judging there.

It is started only when so much comes that it is worth it, so a usual run pays nothing. It is a fork: it has the loaded
model and its caches, and shares nothing else: no file, no connection, no lock. It ends when this process does, whatever
ends it. When it fails, is killed or falls silent, its batches are judged here: nothing is lost.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collectors.poll import Judge, Ready
    from store.drafting import Drafted, Frame
    from store.values import Comment, Judged, PageRef

log = logging.getLogger("otklik")

START_AFTER = 1000
"""So many comments of one run are judged here before a process is started for the rest."""
HANDED = 2
"""Batches that the process may have at a time; when it has not finished any, the next one is judged here."""
PATIENCE_S = 120.0
"""A process that says nothing for so long is given up."""


class Ahead:
    """A judge for the poll loop (`collectors.poll.JudgeAhead`) around a plain one. Like it, not safe for threads."""

    ahead = HANDED + 1

    def __init__(self, judge: Judge, start_after: int = START_AFTER) -> None:
        self._judge = judge
        self._start_after = start_after
        self._begun = 0
        self._helper: _Helper | None = None
        self._failed = False

    def __call__(self, page: PageRef, comments: Sequence[Comment], now: Any) -> list[Judged]:
        return self._judge(page, comments, now)

    def begin(self, page: PageRef, comments: Sequence[Comment], frame: Frame) -> Ready:
        """Have these judged, there or here; the result is asked for later."""
        self._begun += len(comments)
        number = self._hand_over(page, comments, frame) if self._begun > self._start_after else None
        if number is None:
            judged = self._judge(page, comments, frame.now)
            return lambda: (judged, None)
        return lambda: self._result(number, page, comments, frame)

    def rest(self) -> None:
        """The run is over: the process ends."""
        self._begun = 0
        self._failed = False
        if self._helper is not None:
            self._helper.end()
            self._helper = None

    @property
    def pid(self) -> int | None:
        """The process that judges, while there is one."""
        return self._helper.pid if self._helper is not None else None

    def _hand_over(self, page: PageRef, comments: Sequence[Comment], frame: Frame) -> int | None:
        if self._failed:
            return None
        try:
            if self._helper is None:
                if not _possible():
                    self._failed = True
                    return None
                self._helper = _Helper(self._judge)
            if self._helper.unfinished() >= HANDED:
                return None
            return self._helper.hand_over((page, comments, frame))
        except (OSError, EOFError) as e:
            self._give_up(e)
            return None

    def _result(
        self, number: int, page: PageRef, comments: Sequence[Comment], frame: Frame
    ) -> tuple[Sequence[Judged], Any]:
        from store.drafting import Draft, Later

        made = None
        if self._helper is not None:
            try:
                made = self._helper.result(number)
            except (OSError, EOFError, pickle.UnpicklingError) as e:
                self._give_up(e)
        if made is None:
            return self._judge(page, comments, frame.now), None

        def again(comment: Comment) -> Judged:
            return self._judge(page, [comment], frame.now)[0]

        return [Later(c, again) for c in comments], Draft(frame, made)

    def _give_up(self, why: BaseException) -> None:
        log.warning("the judge's own process failed (%s); judging goes on here", type(why).__name__)
        self._failed = True
        if self._helper is not None:
            self._helper.end()
            self._helper = None


def _possible() -> bool:
    """A second core, and a system on which a forked child may go on computing."""
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


class _Helper:
    """The process, from outside. What it is handed it answers in order. Any failure is an OSError or EOFError."""

    def __init__(self, judge: Judge) -> None:
        theirs_in, self._out = Pipe(duplex=False)
        self._in, theirs_out = Pipe(duplex=False)
        self._last = self._done = 0
        self._found: dict[int, dict[str, Drafted] | None] = {}
        with warnings.catch_warnings():
            # Other threads may hold locks; the child uses none of theirs (see `_serve`).
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            _serve(judge, theirs_in, theirs_out)
        theirs_in.close()
        theirs_out.close()

    def hand_over(self, batch: Any) -> int:
        self._out.send_bytes(pickle.dumps(batch, protocol=5))
        self._last += 1
        return self._last

    def unfinished(self) -> int:
        """How many batches it has not answered yet."""
        while self._done < self._last and self._in.poll():
            self._receive()
        return self._last - self._done

    def result(self, number: int) -> dict[str, Drafted] | None:
        """Drafts of a batch; None when it could not be judged there."""
        while self._done < number:
            if not self._in.poll(PATIENCE_S):
                raise TimeoutError
            self._receive()
        return self._found.pop(number)

    def _receive(self) -> None:
        found = pickle.loads(self._in.recv_bytes())
        self._done += 1
        self._found[self._done] = found

    def end(self) -> None:
        """The closed pipe tells it to end; it is waited for, but not for long."""
        self._out.close()
        self._in.close()
        with suppress(ChildProcessError, ProcessLookupError):
            for _ in range(200):
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    return
                time.sleep(0.005)
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


# --- inside the process -----------------------------------------------------------------------------------------------


def _serve(judge: Judge, requests: Connection, results: Connection) -> None:
    """Judge what comes until the other end is closed. Never returns.

    Two threads carry bytes, so that neither side ever waits for the other with its pipe full, and so that the end of
    the other process is noticed in the middle of a batch. Nothing is logged, nothing of the parent's is flushed.
    """
    try:
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, signal.SIG_IGN)  # a terminal or systemd tells the whole group; the parent decides
        signal.set_wakeup_fd(-1)
        logging.disable(logging.CRITICAL)
        _drop_files(requests.fileno(), results.fileno())
        inbox: SimpleQueue[bytes] = SimpleQueue()
        outbox: SimpleQueue[bytes] = SimpleQueue()
        threading.Thread(target=_carry, args=(requests.recv_bytes, inbox.put), daemon=True).start()
        threading.Thread(target=_carry, args=(outbox.get, results.send_bytes), daemon=True).start()
        while True:
            outbox.put(_answer(judge, inbox.get()))
    finally:
        os._exit(0)


def _drop_files(*kept: int) -> None:
    """Close all that was inherited: a file's lock must not outlive the parent, nor a pipe of somebody who waits for it.

    Their objects are never used nor destroyed here.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    start = 3
    for fd in sorted(kept):
        os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))


def _carry(take: Callable[[], bytes], give: Callable[[bytes], None]) -> None:
    try:
        while True:
            give(take())
    except (OSError, EOFError):
        os._exit(0)


def _answer(judge: Judge, request: bytes) -> bytes:
    """The drafts; None when anything could not be judged, so that it is tried, and told, where there is a log."""
    from store.drafting import prepare

    try:
        page, comments, frame = pickle.loads(request)
        judged = judge(page, comments, frame.now)
        whole = all(j.assessment is not None or j.comment.own for j in judged)
        return pickle.dumps(prepare(judged, frame) if whole else None, protocol=5)
    except Exception:
        return pickle.dumps(None)
