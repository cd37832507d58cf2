"""Keys of a terminal from its bytes, lines instead of keys, the picture."""

from __future__ import annotations

import io
import os

import pytest

from desk.terminal import Lines, Raw, Screen


def keys(*pieces: bytes) -> list[str]:
    read, write = os.pipe()
    raw, found = Raw(read), []
    try:
        for piece in pieces:
            os.write(write, piece)
            while (key := raw.read(0)) is not None:
                found.append(key)
        return found
    finally:
        os.close(read), os.close(write)


@pytest.mark.parametrize(
    ("sent", "want"),
    [
        ([b"ab"], ["a", "b"]), (["ж".encode()[:1], "ж".encode()[1:]], ["ж"]), ([b"\r\n"], ["enter", "enter"]),
        ([b"\x1b"], ["esc"]), ([b"\x1b[A\x1bOB"], ["up", "down"]), ([b"\x1b[A\x1b"], ["up", "esc"]),
        ([b"\x1b[200~x\x1b[201~"], ["x"]), ([b"\x1b[1;5C"], []), ([b"\x7f\x15\x04"], ["backspace", "ctrl-u", "end"]),
        ([b"\x00\x01\xff\xfeq"], ["q"]), ([b"\x1b[6~\x1b[5~"], ["pgdn", "pgup"]), ([b"\x1bq"], ["esc", "q"]),
    ],
)  # fmt: skip
def test_bytes_become_keys(sent, want):
    assert keys(*sent) == want


def test_a_closed_terminal_is_the_end():
    read, write = os.pipe()
    os.close(write)
    assert Raw(read).read(1) == "end"
    os.close(read)
    assert Raw(read).read(0) == "end"


def test_lines_are_keys_or_texts():
    lines = Lines(io.StringIO("t\n\n вода \nfoo"))
    assert [lines.read(None) for _ in range(5)] == ["t", "enter", "вода", "foo", "end"]


def test_only_what_changed_is_sent_again():
    out = io.StringIO()
    screen = Screen(out, in_place=True)
    screen.draw(["a", "b"]), screen.draw(["a", "b"])
    assert out.getvalue() == "\x1b[Ha\x1b[K\nb\x1b[K\x1b[J"
    assert Screen(io.StringIO(), in_place=False).size() == (80, 24)
