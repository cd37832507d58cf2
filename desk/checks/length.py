"""Clause 8: an answer fits the format of its network. Nothing, and too much, can't be published."""

from __future__ import annotations

from collections.abc import Iterator

from desk.checks import ERROR, WARNING, Draft, Finding

LONG = 1500
"""Characters that people still read under a post; networks take more."""


def check(draft: Draft) -> Iterator[Finding]:
    n = len(draft.text)
    if not draft.text.strip():
        yield Finding(ERROR, "length", "текст ответа пуст")
    elif draft.limit is not None and n > draft.limit:
        yield Finding(ERROR, "length", f"сеть принимает ответы до {draft.limit} знаков, а здесь {n}; сократите (п. 8)")
    elif n > LONG:
        yield Finding(
            WARNING,
            "length",
            f"в ответе {n} знаков; под публикацией читают до {LONG}, остальное лучше дать ссылкой (п. 8)",
        )
