"""When a post is looked at again. Pure functions of ages; the poll loop keeps their answers in the store.

A post gets most of its comments soon after it appears, and a quiet one stays quiet: the chance of a new comment falls
roughly with the time since the last sign of life. So the time until the next look is a share of that quiet time, within
bounds. Two looks are told apart: a *check* only reads the counter (2,500 posts a call in VK), a *full walk* reads every
comment again, the only way to see edits and deletions that leave the counter as it was.
"""

from __future__ import annotations

from datetime import datetime, timedelta

CHECK_SHARE = 0.1
CHECK_MIN = timedelta(minutes=5)
CHECK_MAX = timedelta(days=1)
FULL_SHARE = 0.5
FULL_MIN = timedelta(minutes=30)


def _quiet(now: datetime, published_at: datetime | None, last_new_at: datetime | None) -> timedelta:
    """Time since the last sign of life; a post without any known time counts as fresh."""
    last = max((t for t in (published_at, last_new_at) if t is not None), default=now)
    return max(now - last, timedelta(0))


def next_check(now: datetime, published_at: datetime | None, last_new_at: datetime | None) -> datetime:
    """When the post's counter is read again."""
    share = _quiet(now, published_at, last_new_at) * CHECK_SHARE
    return now + min(max(share, CHECK_MIN), CHECK_MAX)


def next_full(
    now: datetime, published_at: datetime | None, last_new_at: datetime | None, *, longest: timedelta
) -> datetime:
    """When every comment of the post is read again; at the latest after `longest`."""
    share = _quiet(now, published_at, last_new_at) * FULL_SHARE
    return now + min(max(share, FULL_MIN), longest)


def watched(now: datetime, published_at: datetime | None, last_new_at: datetime | None, *, watch: timedelta) -> bool:
    """False for a post that has been silent longer than `watch`; only `collect --full` looks at it again."""
    return _quiet(now, published_at, last_new_at) <= watch
