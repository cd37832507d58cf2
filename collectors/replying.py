"""Publishing where a network has no key of idempotency: look before every attempt, write once, look again."""

from __future__ import annotations

from collections.abc import Callable

from collectors.contract import CollectError, RateLimited, Receipt, Unavailable
from collectors.manners import FIRST_PAUSE, Manners

PASSING = frozenset({"429", "rateLimitExceeded", "userRateLimitExceeded"})
"""Codes of limits that lift while one waits, unlike a day's budget."""


def write_once(manners: Manners, look: Callable[[], Receipt | None], write: Callable[[], Receipt]) -> Receipt:
    """What `look` finds of this answer, else what `write` makes; `write` sends one request and is not repeated itself.

    An answer that the network took and whose receipt was lost is found before the next attempt, so nothing is written
    twice; only what shows up later than the pause between two attempts could be.
    """
    problem: CollectError | None = None
    for attempt in range(manners.config.retries + 1):
        if attempt:
            manners.pause(FIRST_PAUSE * 2**attempt)
        found = look()
        if found is not None:
            return found
        try:
            return write()
        except Unavailable as e:
            problem = e
        except RateLimited as e:
            if e.code not in PASSING:
                raise
            problem = e
    found = look()
    if found is not None:
        return found
    raise problem or Unavailable("ответ не размещён; повторите позже")
