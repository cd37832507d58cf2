"""Keys in, a screen out: a terminal taken over for a while and given back however the program ends.

A key is named "enter", "esc", "up", "down", "pgup", "pgdn", "backspace", "ctrl-u", "end" (nothing more will come), or
is the character itself; None means that nothing was pressed in time. Without a terminal each line of stdin is one key
or one text (`Lines`), so a script can do what a person does.
"""

from __future__ import annotations

import codecs
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TextIO

_SEQUENCES = {
    "[A": "up", "[B": "down", "OA": "up", "OB": "down", "[5~": "pgup", "[6~": "pgdn", "[3~": "backspace", "OM": "enter",
}  # fmt: skip
_CONTROLS = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace", "\x15": "ctrl-u", "\x04": "end"}
_AFTER_ESC = 0.05
"""The rest of a key's sequence comes with its Esc; after so many seconds it was the Esc key alone. Over a slow line the
tail of a sequence may come later: it is dropped as a whole because it begins with "[" or "O" right after an Esc."""
LONGEST_LINE = 4000


class Keys(Protocol):
    """Where keys come from. `lines`: a key is a whole line, and so is a text."""

    lines: bool

    def read(self, wait_s: float | None) -> str | None: ...


class Raw:
    """The keys of a terminal in raw mode, read from its file descriptor."""

    lines = False

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._ready: list[str] = []
        self._esc = False  # the last key was Esc: what follows at once may be the tail of a sequence

    def read(self, wait_s: float | None) -> str | None:
        if not self._ready:
            try:
                if not select.select([self._fd], [], [], wait_s)[0]:
                    return None
                self._fill()
            except OSError:  # the terminal has gone
                return "end"
        return self._ready.pop(0) if self._ready else None

    def _fill(self) -> None:
        data = os.read(self._fd, 1024)
        if not data:
            self._ready.append("end")
            return
        text = self._decoder.decode(data)
        while text.endswith("\x1b") or (text.startswith("\x1b") and len(text) == 2 and text[1] in "[O"):
            if not select.select([self._fd], [], [], _AFTER_ESC)[0]:
                break
            more = os.read(self._fd, 1024)
            if not more:
                break
            text += self._decoder.decode(more)
        self._ready += list(_keys(text))


def _keys(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        ch = text[at]
        at += 1
        if ch == "\x1b":
            end = _sequence_end(text, at)
            if end == at:
                yield "esc"
            elif (name := _SEQUENCES.get(text[at:end])) is not None:
                yield name
            at = end
        elif ch in _CONTROLS:
            yield _CONTROLS[ch]
        elif ch.isprintable():
            yield ch


def _sequence_end(text: str, at: int) -> int:
    """Where the escape sequence that begins at `at` ends; `at` itself when there is none."""
    if at >= len(text) or text[at] not in "[O":
        return at
    if text[at] == "O":
        return min(at + 2, len(text))
    end = at + 1
    while end < len(text) and not "@" <= text[end] <= "~":
        end += 1
    return min(end + 1, len(text))


class Lines:
    """Lines of stdin: an empty one is Enter; names of keys stand as they are; any other line is a key or a text."""

    lines = True

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def read(self, wait_s: float | None) -> str | None:
        line = self._stream.readline(LONGEST_LINE)
        if not line:
            return "end"
        text = line.strip("\r\n")
        return "enter" if not text.strip() else text.strip()


class Screen:
    """Where the picture goes: drawn in place on a terminal, line under line on one that can't do that."""

    def __init__(self, out: TextIO, *, in_place: bool) -> None:
        self._out = out
        self._in_place = in_place
        self._last: tuple[str, ...] = ()

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines (of `width` cells at most); what has not changed is not sent again."""
        if tuple(lines) == self._last:
            return
        if self._in_place:
            out = ["\x1b[H"]
            out += [line + "\x1b[K" + ("\n" if i + 1 < len(lines) else "") for i, line in enumerate(lines)]
            self._out.write("".join(out) + "\x1b[J")
        else:
            self._out.write("\n".join(line.rstrip() for line in lines) + "\n\n")
        self._out.flush()
        self._last = tuple(lines)

    def forget(self) -> None:
        """Somebody else has written there: everything is to be drawn anew."""
        self._last = ()

    def size(self) -> tuple[int, int]:
        """Columns and lines now: the window may have changed."""
        try:
            found = os.get_terminal_size(self._out.fileno())
            return max(found.columns, 20) if found.columns else 80, max(found.lines, 6) if found.lines else 24
        except (OSError, ValueError):
            return 80, 24


def takes_over(stdin: Any, stdout: Any) -> bool:
    """Whether both are a terminal that can move its cursor."""
    try:
        both = stdin.isatty() and stdout.isatty()
    except (AttributeError, ValueError):
        return False
    return bool(both) and os.environ.get("TERM", "") not in ("", "dumb")


@contextmanager
def taken_over() -> Iterator[tuple[Keys, Screen]]:
    """The terminal in raw mode with a screen of its own; given back at the end, also after an error or a signal.

    Ctrl-C still interrupts, and Ctrl-Z stops: those keys go to the program as signals, as everywhere.
    """
    import termios
    import tty

    fd, out = sys.stdin.fileno(), sys.stdout
    before = termios.tcgetattr(fd)
    screen = Screen(out, in_place=True)

    def enter(*_: object) -> None:
        tty.setcbreak(fd)
        out.write("\x1b[?1049h\x1b[?25l\x1b[2J")
        out.flush()
        screen.forget()

    resumed = signal.signal(signal.SIGCONT, enter)  # the shell has put the terminal into its own mode meanwhile
    try:
        enter()
        yield Raw(fd), screen
    finally:
        signal.signal(signal.SIGCONT, resumed)
        try:
            with suppress(OSError, ValueError):
                out.write("\x1b[?25h\x1b[?1049l")
                out.flush()
        finally:
            with suppress(termios.error):  # the terminal may have gone
                termios.tcsetattr(fd, termios.TCSADRAIN, before)
