"""`otklik review`: the loop between a person's keys and `desk.review`, on a terminal or over lines of stdin."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from console import emit, say

if TYPE_CHECKING:
    from desk.review import Review

TICK_S = 1.0


def run(review: Review, zone: str, *, as_json: bool) -> int:
    """Until the person leaves; the exit code. What was done stays done, however it ends."""
    from desk.terminal import Lines, takes_over

    try:
        if takes_over(sys.stdin, sys.stdout) and not as_json:
            _on_a_terminal(review, zone)
            code = 0
        else:
            code = _over_lines(review, zone, Lines(sys.stdin), as_json)
    finally:
        review.close()
    say(review.summary())
    return code


def _on_a_terminal(review: Review, zone: str) -> None:
    import os

    from desk.review_view import View
    from desk.terminal import taken_over

    view = View(zone, None if os.environ.get("NO_COLOR") else "auto")
    with taken_over() as (keys, screen):
        while not review.over:
            screen.draw(view.lines(review, *screen.size()))
            key = keys.read(TICK_S)
            if key is None:
                review.tick()
            else:
                review.press(key)


def _over_lines(review: Review, zone: str, keys: Any, as_json: bool) -> int:
    """A line is a key or a text. Ends with the lines, with the queue, or at the first line that could not be done: the
    next ones would be meant for another message."""
    from desk.review_view import View
    from desk.terminal import Screen

    shown = None
    if sys.stdout.isatty() and not as_json:  # a terminal that can't move its cursor, or keys from a file
        shown = Screen(sys.stdout, in_place=False), View(zone, None)
    told = number = 0
    while not review.over:
        if review.offer is None and review.mode is None and not review.skipped and shown is None:
            break
        if shown is not None:
            screen, view = shown
            screen.draw(view.lines(review, *screen.size()))
        key, number = keys.read(None), number + 1
        review.press(key, line=True)
        if as_json:
            for decision in review.decisions[told:]:
                emit(decision)
            told = len(review.decisions)
        elif review.notice and shown is None and not review.failed:
            print(review.notice, flush=True)
        if review.failed:
            from desk.text import plain
            from settings import scrub

            shown_key = "" if key == "enter" else f" («{plain(key, 40)}»)"
            print(
                f"otklik: строка {number}{shown_key}: {scrub(review.notice)}; дальше строки не читаются: они о других "
                "сообщениях",
                file=sys.stderr,
            )
            return 1
    return 0
