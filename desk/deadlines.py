"""Which clocks a message has, and when they end (clauses 7.1 and 7.3). Pure functions; working time is `desk.clocks`.

Names as in `deadlines` of a message: `route` (to be sent to a division) and `answer` (to be answered in public) start
when the message is collected; the verbs of the desk start and stop the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from desk.calendar import calendar_of
from desk.clocks import Term, due, term
from desk.clocks import before as earlier
from settings import Settings
from store.values import Assessment, Comment

Clocks = dict[str, datetime]


def clocks(comment: Comment, assessment: Assessment | None, settings: Settings, now: datetime) -> Clocks:
    """Deadlines of one message by name; `now` is when it was collected, not when it was published.

    Only a resident's message that requires a reaction has clocks: not the administration's own comments, not thanks,
    not those with a ground to refuse (a person decides), not those nobody has judged yet, not deleted ones.
    """
    return {} if comment.own or comment.deleted else clocks_from(now, assessment, settings)


def clocks_from(collected_at: datetime, assessment: Assessment | None, settings: Settings) -> Clocks:
    """The same for a resident's message that is stored already; its clocks run from `collected_at`."""
    if assessment is None or assessment.reaction != "required":
        return {}
    return _first(collected_at, assessment.urgency, settings)


def _first(collected_at: datetime, urgency: str | None, settings: Settings) -> Clocks:
    found = {"route": after(collected_at, term(settings.desk.deadlines.route), settings)}
    if settings.desk.answer_from == "collected":
        found["answer"] = after(collected_at, answer_term(urgency, settings), settings)
    return {name: at for name, at in found.items() if at is not None}


def answer_term(urgency: str | None, settings: Settings) -> Term:
    """The term of the answer (clause 7.3); what nobody marked urgent is prompt."""
    terms = settings.desk.deadlines
    return term(terms.urgent if urgency == "urgent" else terms.prompt)


def after(start: datetime, length: Term, settings: Settings) -> datetime | None:
    """When a term ends; None beyond the end of the calendar."""
    try:
        return due(start, length, calendar_of(settings))
    except OverflowError:
        return None


def after_correction(
    message: Mapping[str, Any],
    before: Mapping[str, datetime],
    settings: Settings,
    answer_started: datetime | None = None,
) -> Clocks:
    """The clocks of a message whose assessment a person has corrected; `message` as the store shows it, times aware.
    `answer_started`: when the running term of the answer began, where the desk has begun; None: with collecting.

    Another urgency means another term of the answer, counted from the same beginning. A message that needs no
    reaction after all has no clocks; one that does need it gets them from the time it was collected. What the desk has
    begun (status other than "new") goes on; there only the term of the answer changes.
    """
    if message["historical"] or message["deleted_at"]:
        return {}
    if message["status"] == "new":
        return _first(message["collected_at"], message["urgency"], settings) if _required(message) else {}
    found = dict(before)
    start = answer_started or message["collected_at"]
    by_urgency = {u: after(start, answer_term(u, settings), settings) for u in ("urgent", "prompt")}
    if "answer" in before and before["answer"] in by_urgency.values():  # else somebody has extended it: it stays
        found["answer"] = by_urgency["urgent" if message["urgency"] == "urgent" else "prompt"]
        if "draft" in before:
            found["draft"] = draft_due(found["answer"], settings)
    return found


def draft_due(answer: datetime, settings: Settings) -> datetime:
    """When the draft is due, so long before the term of the answer ends (clause 7.4)."""
    return earlier(answer, term(settings.desk.deadlines.draft), calendar_of(settings))


def _required(message: Mapping[str, Any]) -> bool:
    return message["reaction"] == "required"
