"""The values that rooms hand to each other: plain, typed, immutable. No I/O and no heavy import here.

Times are aware UTC datetimes. Ids of networks are strings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol


def utcnow() -> datetime:
    return datetime.now(UTC)


class Outcome(StrEnum):
    """How one page's run ended (design, "Empty is not blocked")."""

    complete = "complete"
    partial = "partial"
    blocked = "blocked"
    unauthorised = "unauthorised"
    rate_limited = "rate_limited"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote. `kind`: person, community, unknown (hidden or deleted: the comment counts all the same)."""

    id: str | None = None
    name: str | None = None
    url: str | None = None
    kind: str = "unknown"

    def __reduce__(self) -> Any:  # thrice as fast as what is made for slots
        return Author, (self.id, self.name, self.url, self.kind)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A typed link: `kind` in the network's own word (photo, sticker, …); unknown kinds are kept too."""

    kind: str
    url: str | None = None
    title: str | None = None
    id: str | None = None

    def __reduce__(self) -> Any:  # thrice as fast as what is made for slots
        return Attachment, (self.kind, self.url, self.title, self.id)


@dataclass(frozen=True, slots=True)
class PageRef:
    """A watched page. `id` is the network's own stable id ("-123456"), found by `Collector.resolve`."""

    network: str
    id: str
    title: str = ""
    url: str = ""
    owner: str = "administration"
    include: tuple[str, ...] = ("posts", "photos", "videos", "topics")


@dataclass(frozen=True, slots=True)
class Post:
    """What a page published. `id` is unique in the network ("wall-123_20"); `kind`: one of `PageRef.include` without s.

    `counter` is the network's own count of comments; None when the network has no counter or will not say.
    `closed`: comments are closed. `gone`: deleted. `denied`: may not be read; `problem` then says why (Russian).
    """

    network: str
    id: str
    page_id: str
    kind: str = "post"
    published_at: datetime | None = None
    counter: int | None = None
    url: str = ""
    text: str = ""
    pinned: bool = False
    closed: bool = False
    gone: bool = False
    denied: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment as collected; the key is `(network, external_id)`.

    `comment_id` is the network's raw id, `parent_id` the `external_id` of the comment it answers, None at top level.
    `own`: written by the page itself or by the administration. `deleted`: a stub that the network shows for a deleted
    comment. `published_at` is None when the network gives no time (shown as "time unknown").
    """

    network: str
    external_id: str
    page_id: str
    post_id: str
    comment_id: str
    parent_id: str | None
    author: Author
    text: str
    published_at: datetime | None
    url: str = ""
    attachments: tuple[Attachment, ...] = ()
    own: bool = False
    deleted: bool = False
    edited_at: datetime | None = None

    def __reduce__(self) -> Any:  # thrice as fast as what is made for slots
        told = (self.network, self.external_id, self.page_id, self.post_id, self.comment_id, self.parent_id)
        said = (self.author, self.text, self.published_at, self.url, self.attachments)
        return Comment, (*told, *said, self.own, self.deleted, self.edited_at)


@dataclass(frozen=True, slots=True)
class Place:
    """A recognised place; `span` = [start, end) in characters of the text; degrees WGS 84."""

    name: str
    kind: str
    parents: tuple[str, ...] = ()
    lat: float | None = None
    lon: float | None = None
    span: tuple[int, int] | None = None
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Likeness:
    """Why one message is taken for a repeat of another: 0..1, and Russian words that follow "повтор"."""

    score: float
    why: str


class Signature(Protocol):
    """What a text is found and compared by. The store keeps it and looks for candidates; the room that made it says
    which of them ask the same.

    `keys`: texts that may ask the same share one (integers below 2**48). `copy`: the one among them that only copies of
    this text share, and which makes them one question whoever wrote them; 0: none. `topical`: keys that mean something
    only for one author or under one post. `body`: hashes to compare, no text.
    """

    @property
    def keys(self) -> tuple[int, ...]: ...

    @property
    def copy(self) -> int: ...

    @property
    def topical(self) -> tuple[int, ...]: ...

    @property
    def body(self) -> str: ...

    def likeness(self, body: str, *, same_author: bool, near: str, apart_s: float) -> Likeness | None:
        """How alike this text and that of `body` are; None: another question. `near`: "thread", "post" or ""."""

    def contradicts(self, body: str) -> bool:
        """Whether the two can't ask the same, whatever words they share."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the classifier (or a person) says of one text. Ids of the taxonomy; None = "don't know"."""

    topic: str | None = None
    topic_group: str | None = None
    topic_confidence: float = 0.0
    places: tuple[Place, ...] = ()
    urgency: str | None = None  # urgent | prompt | None (no reaction needed)
    emergency: bool = False
    emergency_kind: str | None = None
    reaction: str = "required"  # required | none | refuse
    conduct: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()  # short Russian phrases a Head understands
    model: str = ""
    signature: Signature | None = field(default=None, compare=False, repr=False)  # for repeats; not part of the JSON

    def as_dict(self) -> dict[str, Any]:
        """The fields of `classify --json` without `id`, in the order of the design."""
        return {
            "topic": self.topic,
            "topic_group": self.topic_group,
            "topic_confidence": round(self.topic_confidence, 4),
            "places": [
                {
                    "name": p.name,
                    "kind": p.kind,
                    "parents": list(p.parents),
                    "lat": p.lat,
                    "lon": p.lon,
                    "span": list(p.span) if p.span else None,
                    "confidence": round(p.confidence, 4),
                }
                for p in self.places
            ],
            "urgency": self.urgency,
            "emergency": self.emergency,
            "emergency_kind": self.emergency_kind,
            "reaction": self.reaction,
            "conduct": list(self.conduct),
            "reasons": list(self.reasons),
            "model": self.model,
        }


@dataclass(frozen=True, slots=True)
class Judged:
    """A comment on its way into the store. `assessment` None: the classifier failed, the next run takes it up."""

    comment: Comment
    assessment: Assessment | None
    deadlines: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PostMark:
    """What a run learnt of a post; lands in the transaction of its comments.

    `walked`: None (not walked to the end yet), "tail", "full", or "baseline" (old at first sight: only its counter is
    remembered, its comments are read when the counter changes). After a walk to the end `post.counter` is what the
    network said at that time, `cursor` an opaque note of the collector for its next walk, `gap` how many comments the
    network counts and did not show (None: not known).
    """

    post: Post
    checked_at: datetime
    walked: str | None = None
    cursor: str | None = None
    next_check_at: datetime | None = None
    next_full_at: datetime | None = None
    gap: int | None = None


@dataclass(frozen=True, slots=True)
class Landing:
    """One transaction: comments of one page, marks of its posts, ids found deleted, all or nothing.

    `server_time` is the network's clock (never later than which a cursor may stand); comments older than the page's
    first sight become historical. `run_id` ties the landing to its run. `draft`: what was made ready of the comments
    (`store.drafting.Draft`); without it the landing makes it itself.
    """

    page: PageRef
    comments: Sequence[Judged] = ()
    posts: Sequence[PostMark] = ()
    deleted: Sequence[str] = ()  # external ids
    server_time: datetime | None = None
    run_id: str | None = None
    draft: Any = None


@dataclass(frozen=True, slots=True)
class Landed:
    """What a landing did: counts, the ids of alerts it wrote."""

    new: int = 0
    revised: int = 0
    deleted: int = 0
    unchanged: int = 0
    own: int = 0
    alerts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows of one stored comment; enough for a collector to see what changed.

    `hidden`: we have hidden it, or what it hangs below: that the network does not show it means nothing.
    """

    parent_id: str | None
    deleted: bool
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class PostState:
    """What the store knows of one post."""

    post: Post
    stored: int  # comments stored and not deleted, own ones included
    first_seen_at: datetime
    checked_at: datetime | None
    walked_at: datetime | None
    full_walked_at: datetime | None
    walked_counter: int | None
    cursor: str | None
    next_check_at: datetime | None
    next_full_at: datetime | None
    last_new_at: datetime | None  # when a comment last landed here
    gap: int | None = None  # of the last walk to the end


@dataclass(frozen=True, slots=True)
class Pushed:
    """A piece of news as the network sent it (`raw`: JSON), waiting to be landed. `ref`: unique in its source."""

    ref: str
    page_id: str
    raw: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """The record each page's run ends with. `gap` = comments the network counts and we don't have; None = unknown."""

    network: str
    page_id: str
    started_at: datetime
    finished_at: datetime
    outcome: Outcome
    counter: int | None = None
    seen: int = 0
    stored: int = 0
    new: int = 0
    revised: int = 0
    hidden_or_deleted: int = 0
    gap: int | None = None
    posts: int = 0
    posts_walked: int = 0
    calls: int = 0
    code: str | None = None  # the network's error code
    problem: str | None = None  # Russian: what happened and what to do
    delay_p50: float | None = None  # seconds between publishing and landing, new comments of this run
    delay_max: float | None = None


# --- what the store tells ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PageState:
    """What the store knows of one page. `first_seen_at` is the line between historical and live comments."""

    page: PageRef
    first_seen_at: datetime
    last_started_at: datetime | None = None
    last_success_at: datetime | None = None  # last run that ended complete or partial
    last_outcome: Outcome | None = None
    next_due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unassessed:
    """A message that still waits for the classifier. `page`: title or id; `attachments`: kinds."""

    message_id: str
    text: str
    page: str
    collected_at: datetime
    attachments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person said of one message. `fields`: names of the assessment's fields that are the person's word; the
    other fields of `assessment` (as `Assessment.as_dict` gives them) are the classifier's. `page`: title or id.
    """

    message_id: str
    network: str
    external_id: str
    text: str
    page: str
    attachments: tuple[str, ...]  # kinds
    fields: frozenset[str]
    assessment: Mapping[str, Any]
    by: str
    at: datetime

    def said(self, name: str) -> bool:
        """Whether the field is the person's word."""
        return name in self.fields


@dataclass(frozen=True, slots=True)
class Judgeable:
    """A message that may be assessed anew; the fields are those of `Unassessed`, and what was said of it so far."""

    message_id: str
    text: str
    page: str
    collected_at: datetime
    attachments: tuple[str, ...]
    assessment: Mapping[str, Any]
    corrected: frozenset[str] = frozenset()  # names of the fields that are a person's word


@dataclass(frozen=True, slots=True)
class Reassessing:
    """One run over old messages: judged by `model`, collected not before `since`; `historical`: those from before a
    page's first sight too; `again`: also those that this model has judged already.
    """

    model: str
    since: datetime | None = None
    historical: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Reassessed:
    """What a batch of such a run did. `changed`: another verdict; `emergencies`: newly found; `alerts`: their ids."""

    seen: int = 0
    changed: int = 0
    emergencies: int = 0
    alerts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which messages; every field narrows, None does not. `overdue`: those whose term had ended at that time.

    `topic` is the id of a topic or of a group; `place` the name of a place or of one of its parents, in any letter
    case; `search` a part of the text or of the author's name; `owed`: a notice that the desk owes its author. `order`:
    "queue" (emergencies, urgent, by deadline, by time), "due" (by deadline alone), "newest" or "id". `after_id`: only
    what stands behind that message in the order.
    """

    status: str | None = None
    urgency: str | None = None
    topic: str | None = None
    group: str | None = None
    place: str | None = None
    overdue: datetime | None = None
    search: str | None = None
    emergency: bool | None = None
    page: str | None = None
    network: str | None = None
    division: str | None = None
    historical: bool | None = None
    deleted: bool | None = None
    owed: str | None = None
    limit: int | None = None
    after_id: str | None = None
    order: str = "queue"


@dataclass(frozen=True, slots=True)
class AlertJob:
    """One sending of one alert through one channel, held by whoever claimed it until the claim runs out.

    `level`: "head" or "escalation". `attempt` counts from 1. `message`: the message's fields, None for a drill and for
    raised activity, whose words are `text`; `examples`: messages of a rise. `asking`: how many write of the same
    (`Store.repeat_counts`).
    """

    alert_id: str
    level: str
    channel_key: str
    attempt: int
    message: Mapping[str, Any] | None
    drill: bool
    created_at: datetime
    text: str = ""
    kind: str | None = None
    asking: Mapping[str, Any] | None = None
    examples: Sequence[Mapping[str, Any]] = ()


# --- raised activity --------------------------------------------------------------------------------------------------

SPIKE = "повышенная социальная активность"
"""The kind of an alert about a rise (clause 17)."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is counted: messages of a topic or a group, about a place, under a page. An empty field: any."""

    group: str = ""
    topic: str = ""
    place: str = ""
    network: str = ""
    page: str = ""


@dataclass(frozen=True, slots=True)
class Voice:
    """One message as it counts. `who`: its author, told apart; `whole` False: the author was counted already, but not
    for these places."""

    id: str
    at: datetime
    who: str
    group: str
    topic: str
    places: tuple[str, ...]
    network: str
    page: str
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Hour:
    """How many wrote in one hour; `place` "": whatever place they named."""

    hour: datetime
    group: str
    topic: str
    place: str
    network: str
    page: str
    n: int


@dataclass(frozen=True, slots=True)
class Spike:
    """A rise that was told of. `n` people within `window_s` seconds, `usual`: how many would be expected."""

    subject: Subject
    window_s: int
    started_at: datetime
    last_at: datetime
    n: int
    usual: float
    examples: tuple[str, ...] = ()
    ended_at: datetime | None = None
    alert_id: str = ""


# --- terms ------------------------------------------------------------------------------------------------------------

NO_DUTY = frozenset({"return"})
"""Clocks of what may be done and need not be (clause 7.2), each called as the step that it is for: only that very step
can come late, nothing is overdue when such a clock is over."""


def first_due(deadlines: Mapping[str, Any]) -> Any:
    """The end of the duty that ends first; None without one."""
    return min((at for name, at in deadlines.items() if name not in NO_DUTY), default=None)


# --- personal data ----------------------------------------------------------------------------------------------------

SETTLED = ("published", "closed")
"""States in which nothing is owed to the resident any more."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How many seconds what is kept; None: for ever. `text`, `authors`: of messages nobody works on any more, since
    they were collected or last edited; `deleted`: the text of deleted ones, since then; `replies`: answers' texts."""

    text: float | None = None
    authors: float | None = None
    deleted: float | None = None
    revisions: float | None = None
    replies: float | None = None
    events: float | None = None
    alerts: float | None = None
    audit: float | None = None
    coverage: float | None = None
    access: float | None = None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What of a person was erased, or would be: counts by kind, numbers of the messages, which of them were open."""

    messages: tuple[str, ...]
    open: tuple[str, ...]
    counts: Mapping[str, int]
    done: bool
    went_on: bool = False  # an earlier run was broken off; this one finished it


# --- the desk ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewReply:
    """A reply (or a part of one) to be kept. `state`: draft, approved or part."""

    n: int
    kind: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class ReplyMoved:
    """A kept reply in another state: approved, rework or published (at `url`)."""

    n: int
    state: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class DeskStep:
    """One step of the desk, decided: what the store is to keep of it. `case`: the desk's own value, as plain data.

    `event`: the last word of the event's type. `done`: nothing more is owed to the resident. `blocked_until`: when the
    author may write again. `hidden`: the comment is kept from being seen. `repeat_of`: the message that this one
    repeats, when the step says so.
    """

    verb: str
    source: str
    status: str
    event: str
    division: str | None
    deadlines: Mapping[str, datetime]
    case: Mapping[str, Any]
    details: Mapping[str, Any] = field(default_factory=dict)
    blocked_until: datetime | None = None
    hidden: bool = False
    repeat_of: str | None = None
    new_reply: NewReply | None = None
    reply_moved: ReplyMoved | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the administration on its way to one comment.

    `page`, `post_id`, `external_id`, `author`: the comment that is answered, as a collector gave it (its author is
    named where a network writes answers as mentions). `speaker`: the administration's own page, which it is written as.
    `guid`: the same for every attempt to publish this answer here, so that a repetition writes nothing twice; at most
    50 characters of [a-z0-9-].
    """

    page: PageRef
    post_id: str
    external_id: str
    author: Author
    text: str
    speaker: PageRef
    guid: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A published answer: `external_id` as a collector will bring it, `url` for people.

    `published_at`: the network's own time of it, None when it has not said yet.
    """

    external_id: str
    url: str
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ByHand:
    """The program can't publish it here, and waiting will not change that: a person does. `reason` is Russian."""

    reason: str


@dataclass(frozen=True, slots=True)
class Publication:
    """How far the publishing of one reply has come; kept since before the first attempt.

    `state`: intended (the network may or may not have it), sent (it gave a receipt), seen (read back), by_hand (a
    person has to), done (recorded with the message). `attempts`: tries that were begun. `at`: of the first intention.
    """

    message_id: str
    n: int
    guid: str
    state: str
    by: str
    at: datetime
    attempts: int = 0
    receipt: Receipt | None = None
    seen_at: datetime | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class HookEvent:
    """An event that a webhook may send now; `first_at`: when it was first tried."""

    seq: int
    attempts: int
    first_at: datetime | None
