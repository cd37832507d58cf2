"""The clocks of the Regulation that start when a message is collected (clause 7.1). Pure functions.

Terms in working time (`3wh`, `2wd`) need the working calendar; a clock that can't be told rightly is left out.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from settings import Settings, seconds
from store.values import Assessment, Comment


def clocks(comment: Comment, assessment: Assessment | None, settings: Settings, now: datetime) -> dict[str, datetime]:
    """Deadlines of one message by name; `now` is when it was collected, not when it was published.

    Only a resident's message that requires a reaction has clocks: not the administration's own comments, not thanks,
    not those with a ground to refuse (a person decides), not those nobody has judged yet, not deleted ones.
    """
    return {} if comment.own or comment.deleted else clocks_from(now, assessment, settings)


def clocks_from(collected_at: datetime, assessment: Assessment | None, settings: Settings) -> dict[str, datetime]:
    """The same for a resident's message that is stored already; its clocks run from `collected_at`."""
    if assessment is None or assessment.reaction != "required":
        return {}
    due = after(collected_at, settings.desk.deadlines.route)
    return {} if due is None else {"route": due}


def after(start: datetime, term: str) -> datetime | None:
    """`start` plus a term in plain time ("30m"); None when the term is in working time or beyond the calendar."""
    try:
        return start + timedelta(seconds=seconds(term))
    except (ValueError, OverflowError):
        return None
