"""The tables, and the two column types they need.

Times are whole microseconds of UTC in a BIGINT: exact, compact, sorted and the same on both databases. JSON is text,
so that the same bytes can be copied out. What lists filter or sort by is a column; the rest of an assessment is JSON.
Indexes are partial where they can be: they hold what is still open, so lists stay as fast with 10^7 rows as with 10^3.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Sequence, Text, UniqueConstraint, literal
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""Stands for "no term" where a list is sorted by it; outside the store it is None."""


def micros(value: datetime) -> int:
    """Aware datetime -> microseconds since 1970 in UTC. A naive one raises TypeError."""
    return (value - _EPOCH) // _US


def instant(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


class Instant(TypeDecorator[datetime]):
    """An aware datetime as BIGINT microseconds."""

    impl = BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Any) -> Callable[[Any], Any]:
        return lambda value: None if value is None else (value - _EPOCH) // _US

    def literal_processor(self, dialect: Any) -> Callable[[Any], Any]:
        return lambda value: str(micros(value))

    def result_processor(self, dialect: Any, coltype: object) -> Callable[[Any], Any]:
        return lambda value: None if value is None else _EPOCH + timedelta(microseconds=value)


class Json(TypeDecorator[Any]):
    """A JSON value as text; None is NULL."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Any) -> Callable[[Any], Any]:
        dumps = orjson.dumps
        options = orjson.OPT_UTC_Z
        return lambda value: None if value is None else dumps(value, option=options).decode()

    def result_processor(self, dialect: Any, coltype: object) -> Callable[[Any], Any]:
        loads = orjson.loads
        return lambda value: None if value is None else loads(value)


BigId = BigInteger().with_variant(Integer, "sqlite")  # INTEGER PRIMARY KEY is SQLite's rowid itself


def _id(**more: Any) -> Any:
    return Field(sa_column=Column(BigId, primary_key=True, autoincrement=False, **more))


def _ref(to: str, *, primary: bool = False, nullable: bool = False) -> Any:
    return Field(
        default=None if nullable else ...,
        sa_column=Column(BigId, ForeignKey(to), primary_key=primary, nullable=nullable, autoincrement=False),
    )


def _time() -> Any:
    return Field(sa_type=Instant)


def _time_or_none() -> Any:
    return Field(default=None, sa_type=Instant)


def _json() -> Any:
    return Field(default=None, sa_type=Json, nullable=True)


class Page(SQLModel, table=True):
    __tablename__ = "pages"
    network: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    title: str = ""
    url: str = ""
    owner: str = ""
    include: list[str] = _json()
    first_seen_at: datetime = _time()
    last_started_at: datetime | None = _time_or_none()
    last_success_at: datetime | None = _time_or_none()
    last_outcome: str | None = None
    next_due_at: datetime | None = _time_or_none()
    last_coverage: int | None = Field(default=None, sa_type=BigInteger)


class Resolved(SQLModel, table=True):
    """What a configured page (URL, short name) turned out to be."""

    __tablename__ = "resolved"
    network: str = Field(primary_key=True)
    configured: str = Field(primary_key=True)
    page: dict[str, Any] = _json()
    at: datetime = _time()


class Post(SQLModel, table=True):
    __tablename__ = "posts"
    network: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    page_id: str
    kind: str = "post"
    published_at: datetime | None = _time_or_none()
    counter: int | None = Field(default=None, sa_type=BigInteger)
    url: str = ""
    text: str = Field(default="", sa_type=Text)
    pinned: bool = False
    closed: bool = False
    gone: bool = False
    denied: bool = False
    problem: str | None = None
    first_seen_at: datetime = _time()
    checked_at: datetime | None = _time_or_none()
    walked_at: datetime | None = _time_or_none()
    full_walked_at: datetime | None = _time_or_none()
    walked_counter: int | None = Field(default=None, sa_type=BigInteger)
    gap: int | None = Field(default=None, sa_type=BigInteger)
    cursor: str | None = Field(default=None, sa_type=Text)
    next_check_at: datetime | None = _time_or_none()
    next_full_at: datetime | None = _time_or_none()
    last_new_at: datetime | None = _time_or_none()
    stored: int = 0

    __table_args__ = (Index("ix_posts_page", "network", "page_id", "next_check_at"),)


class Message(SQLModel, table=True):
    """`seal`: keyed hash of what the comment says in the network, when less of it is kept here (`store.seals`).
    `erased_at`: when its words were erased, by the retention rule or with its author; `forgotten_at`: with its author.
    """

    __tablename__ = "messages"
    id: int = _id()
    network: str
    external_id: str
    page_id: str
    post_id: str
    comment_id: str
    parent_id: str | None = None
    author_id: str | None = None
    author: dict[str, Any] = _json()
    url: str = ""
    text: str = Field(sa_type=Text)
    folded: str = Field(sa_type=Text)
    attachments: list[dict[str, Any]] | None = _json()
    own: bool = False
    published_at: datetime | None = _time_or_none()
    collected_at: datetime = _time()
    listed_at: datetime = _time()
    edited_at: datetime | None = _time_or_none()
    deleted_at: datetime | None = _time_or_none()
    historical: bool = False
    status: str = "new"
    topic: str | None = None
    topic_group: str | None = None
    urgency: str | None = None
    emergency: bool = False
    reaction: str | None = None
    assessment: dict[str, Any] | None = _json()
    assessed_at: datetime | None = _time_or_none()
    corrected: dict[str, Any] | None = _json()
    repeat_of: int | None = Field(default=None, sa_type=BigInteger)
    repeat_note: str | None = Field(default=None, sa_type=Text)
    division: str | None = None
    deadlines: dict[str, Any] | None = _json()
    due_at: datetime = _time()
    priority: int = 9
    lease_by: str | None = None
    lease_until: datetime | None = _time_or_none()
    acked_at: datetime | None = _time_or_none()
    run_id: str | None = None
    seal: str | None = Field(default=None, sa_type=Text)
    erased_at: datetime | None = _time_or_none()
    forgotten_at: datetime | None = _time_or_none()

    __table_args__ = (UniqueConstraint("network", "external_id", name="uq_messages_key"),)


_m = Message.__table__
_ORDER = (_m.c.priority, _m.c.due_at, _m.c.listed_at, _m.c.id)


def _partial(name: str, columns: tuple[Any, ...], where: Any) -> Index:
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


# What a consumer may take: live, not handed over yet. Leaves the index with `ack`.
WAITING = (~_m.c.own) & _m.c.acked_at.is_(None) & _m.c.deleted_at.is_(None)
# What has a term that the desk must keep: also what a consumer took, once the desk has begun.
TIMED = (
    (~_m.c.own)
    & _m.c.deleted_at.is_(None)
    & (_m.c.due_at < literal(NEVER, Instant(), literal_execute=True))
    & (_m.c.acked_at.is_(None) | (_m.c.status != literal("new", literal_execute=True)))
)
# What the desk has begun with; new messages, the bulk of what lands, are not in its index.
BEGUN = (~_m.c.own) & (_m.c.status != literal("new", literal_execute=True))
# What the classifier still owes.
UNASSESSED = (~_m.c.own) & _m.c.assessed_at.is_(None) & _m.c.deleted_at.is_(None)

Index("ix_messages_post", _m.c.network, _m.c.post_id)
_partial("ix_messages_queue", _ORDER, ~_m.c.own)
_partial("ix_messages_waiting", _ORDER, WAITING)
_partial("ix_messages_due", (_m.c.due_at, _m.c.id), TIMED)
_partial("ix_messages_status", (_m.c.status, *_ORDER), BEGUN)
_partial("ix_messages_topic", (_m.c.topic,), _m.c.topic.isnot(None))
_partial("ix_messages_group", (_m.c.topic_group,), _m.c.topic_group.isnot(None))
_partial("ix_messages_division", (_m.c.division, *_ORDER), _m.c.division.isnot(None))
_partial("ix_messages_unassessed", (_m.c.id,), UNASSESSED)
# By the day they came: reports and the watch for rises read no more than their time.
_partial("ix_messages_collected", (_m.c.collected_at,), ~_m.c.own)


class MessagePlace(SQLModel, table=True):
    """Names of the places of a message and of their parents, folded; for the `place` filter."""

    __tablename__ = "message_places"
    place: str = Field(primary_key=True)
    message_id: int = _ref("messages.id", primary=True)

    __table_args__ = (Index("ix_message_places_message", "message_id"), {"sqlite_with_rowid": False})


class SignatureRow(SQLModel, table=True):
    """What a message is compared by: hashes only. `cluster`: the first message of its question, itself when none is.

    `at`: when it was written, as far as known; `keys`: those under which it stands in `signature_keys`, as JSON; `by`:
    the person whose word the cluster is.
    """

    __tablename__ = "signatures"
    message_id: int = _ref("messages.id", primary=True)
    cluster: int = Field(sa_type=BigInteger)
    at: datetime = _time()
    body: str = Field(sa_type=Text)
    keys: str = Field(sa_type=Text)
    by: str | None = Field(default=None, sa_type=Text)

    __table_args__ = (Index("ix_signatures_cluster", "cluster", "message_id"),)


class SignatureKey(SQLModel, table=True):
    """Messages that share a key may ask the same. No foreign key: it would need one more index to be deleted by."""

    __tablename__ = "signature_keys"
    key: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    message_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))

    __table_args__ = ({"sqlite_with_rowid": False},)


class Revision(SQLModel, table=True):
    """What a message said before an edit."""

    __tablename__ = "revisions"
    message_id: int = _ref("messages.id", primary=True)
    n: int = Field(primary_key=True)
    text: str = Field(sa_type=Text)
    attachments: list[dict[str, Any]] | None = _json()
    edited_at: datetime | None = _time_or_none()
    replaced_at: datetime = _time()


class Judgement(SQLModel, table=True):
    """An assessment that a later one replaced; the current one stands in its message."""

    __tablename__ = "judgements"
    message_id: int = _ref("messages.id", primary=True)
    n: int = Field(primary_key=True)
    by: str
    at: datetime | None = _time_or_none()
    assessment: dict[str, Any] = _json()
    replaced_at: datetime = _time()


class Event(SQLModel, table=True):
    """`data` is JSON ready to be copied out. `seq` is dense and in the order of commits."""

    __tablename__ = "events"
    seq: int = _id()
    id: str
    type: str
    time: datetime = _time()
    message_id: int | None = Field(default=None, sa_type=BigInteger)
    data: str = Field(sa_type=Text)


class Alert(SQLModel, table=True):
    __tablename__ = "alerts"
    id: int = _id()
    message_id: int | None = _ref("messages.id", nullable=True)
    drill: bool = False
    kind: str | None = None
    text: str = Field(default="", sa_type=Text)
    created_at: datetime = _time()
    escalated_at: datetime | None = _time_or_none()
    acknowledged_at: datetime | None = _time_or_none()
    acknowledged_by: str | None = None

    __table_args__ = (UniqueConstraint("message_id", name="uq_alerts_message"),)


_partial("ix_alerts_open", (Alert.__table__.c.id,), Alert.__table__.c.acknowledged_at.is_(None))


class Sending(SQLModel, table=True):
    """One alert through one channel. `channel` is a keyed hash: the channel's address is a secret."""

    __tablename__ = "sendings"
    alert_id: int = _ref("alerts.id", primary=True)
    level: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    attempts: int = 0
    claimed_until: datetime = _time()
    next_try_at: datetime = _time()
    delivered_at: datetime | None = _time_or_none()
    error: str | None = Field(default=None, sa_type=Text)


class Activity(SQLModel, table=True):
    """How many residents wrote in an hour; "" = unknown, for `place`: whatever place they named."""

    __tablename__ = "activity"
    hour: datetime = Field(primary_key=True, sa_type=Instant)
    place: str = Field(primary_key=True)
    grp: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    network: str = Field(primary_key=True)
    page_id: str = Field(primary_key=True)
    n: int = 0

    __table_args__ = ({"sqlite_with_rowid": False},)


class SpikeRow(SQLModel, table=True):
    """A rise that an alert tells of; "" in `grp`, `topic`, `place`, `network`, `page_id`: any. `examples`: messages."""

    __tablename__ = "spikes"
    alert_id: int = _ref("alerts.id", primary=True)
    grp: str
    topic: str
    place: str
    network: str
    page_id: str
    window_s: int
    started_at: datetime = _time()
    last_at: datetime = _time()
    ended_at: datetime | None = _time_or_none()
    n: int
    usual: float
    examples: list[str] | None = _json()


class CaseRow(SQLModel, table=True):
    """How far the desk has come with a message; `data` is the desk's own value, `version` counts its steps. `hidden`:
    the comment is hidden in the network, so that it is not seen there means nothing."""

    __tablename__ = "cases"
    message_id: int = _ref("messages.id", primary=True)
    version: int
    data: dict[str, Any] = _json()
    blocked_until: datetime | None = _time_or_none()
    hidden: bool = False


class Offer(SQLModel, table=True):
    """A message that one person is deciding about; nobody else is shown it until then. No foreign key: it runs out by
    itself, and must not hold up the removal of a message."""

    __tablename__ = "offers"
    message_id: int = _id()
    by: str
    until: datetime = _time()


class Digest(SQLModel, table=True):
    """A digest of one division through one channel, for a time of a day: tried, and sent or not."""

    __tablename__ = "digests"
    slot: datetime = Field(sa_column=Column(Instant(), primary_key=True))
    division: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    claimed_until: datetime = _time()
    attempts: int = 0
    done_at: datetime | None = _time_or_none()
    error: str | None = Field(default=None, sa_type=Text)


_blocked = CaseRow.__table__.c.blocked_until
_partial("ix_cases_blocked", (_blocked, CaseRow.__table__.c.message_id), _blocked.isnot(None))
_partial("ix_cases_hidden", (CaseRow.__table__.c.message_id,), CaseRow.__table__.c.hidden)


class ReplyRow(SQLModel, table=True):
    """A reply to a resident, or a part of one. `state`: draft, part, rework, approved, published."""

    __tablename__ = "replies"
    message_id: int = _ref("messages.id", primary=True)
    n: int = Field(primary_key=True)
    kind: str
    state: str
    text: str = Field(sa_type=Text)
    by: str
    at: datetime = _time()
    changed_at: datetime = _time()
    url: str | None = None


class PublicationRow(SQLModel, table=True):
    """The way of a reply into its network, from the intention to the receipt; `state` as `Publication` has it."""

    __tablename__ = "publications"
    message_id: int = _ref("messages.id", primary=True)
    n: int = Field(primary_key=True)
    guid: str
    state: str
    by: str
    at: datetime = _time()
    tried_at: datetime = _time()
    attempts: int = 0
    external_id: str | None = None
    url: str | None = None
    published_at: datetime | None = _time_or_none()
    seen_at: datetime | None = _time_or_none()
    problem: str | None = Field(default=None, sa_type=Text)


UNDERWAY = PublicationRow.__table__.c.state.in_(
    [literal(s, literal_execute=True) for s in ("intended", "sent", "seen")]
)
_partial("ix_publications_underway", (PublicationRow.__table__.c.message_id, PublicationRow.__table__.c.n), UNDERWAY)


class AuditRow(SQLModel, table=True):
    """Who did what to a message, when. Rows are only added; each holds the hash of the one before it.

    The hash covers `digest`, which is that of `salt` and `details`, so that the two may be erased and the chain still
    holds: `redacted` is then the number of the row that records it. Rows of older programs have no digest: their hash
    covers the details themselves.
    """

    __tablename__ = "audit"
    seq: int = _id()
    at: datetime = _time()
    actor: str
    verb: str
    message_id: int | None = Field(default=None, sa_type=BigInteger)
    source: str
    target: str
    details: str = Field(sa_type=Text)
    prev: str
    hash: str
    salt: str | None = Field(default=None, sa_type=Text)
    digest: str | None = Field(default=None, sa_type=Text)
    redacted: int | None = Field(default=None, sa_type=BigInteger)

    __table_args__ = (Index("ix_audit_message", "message_id", "seq"),)


class SeenRow(SQLModel, table=True):
    """Who was shown the personal data of a message: one row a person, message, day (UTC) and way."""

    __tablename__ = "seen"
    message_id: int = _ref("messages.id", primary=True)
    actor: str = Field(primary_key=True)
    day: str = Field(primary_key=True)
    how: str = Field(primary_key=True)
    at: datetime = _time()

    __table_args__ = (Index("ix_seen_at", "at"), {"sqlite_with_rowid": False})


class Run(SQLModel, table=True):
    __tablename__ = "runs"
    id: str = Field(primary_key=True)
    command: str
    host: str = ""
    pid: int = 0
    started_at: datetime = _time()
    finished_at: datetime | None = _time_or_none()
    exit_code: int | None = None


class CoverageRow(SQLModel, table=True):
    __tablename__ = "coverage"
    id: int = _id()
    run_id: str
    network: str
    page_id: str
    started_at: datetime = _time()
    finished_at: datetime = _time()
    outcome: str
    counter: int | None = Field(default=None, sa_type=BigInteger)
    seen: int = 0
    stored: int = 0
    new: int = 0
    revised: int = 0
    hidden_or_deleted: int = 0
    gap: int | None = Field(default=None, sa_type=BigInteger)
    posts: int = 0
    posts_walked: int = 0
    calls: int = 0
    code: str | None = None
    problem: str | None = Field(default=None, sa_type=Text)
    delay_p50: float | None = None
    delay_max: float | None = None

    __table_args__ = (Index("ix_coverage_page", "network", "page_id", "id"),)


class Budget(SQLModel, table=True):
    """When the next call of a key may start, in seconds since 1970 (the arrival time of GCRA)."""

    __tablename__ = "budgets"
    key: str = Field(primary_key=True)
    next_at: float = 0.0


class Calls(SQLModel, table=True):
    __tablename__ = "calls"
    key: str = Field(primary_key=True)
    day: str = Field(primary_key=True)
    n: int = Field(default=0, sa_type=BigInteger)


class InboxItem(SQLModel, table=True):
    """A piece of news that a network pushed, until it is landed (`store/inbox.py`)."""

    __tablename__ = "inbox"
    source: str = Field(primary_key=True)
    n: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    ref: str
    page_id: str
    raw: str = Field(sa_type=Text)
    at: datetime = _time()

    __table_args__ = (
        UniqueConstraint("source", "ref", name="uq_inbox_ref"),
        Index("ix_inbox_page", "source", "page_id", "n"),
    )


class InboxState(SQLModel, table=True):
    __tablename__ = "inbox_states"
    source: str = Field(primary_key=True)
    version: int = 0
    state: str = Field(default="{}", sa_type=Text)


class ForeignId(SQLModel, table=True):
    """The number of a message in another system."""

    __tablename__ = "foreign_ids"
    system: str = Field(primary_key=True)
    message_id: int = _ref("messages.id", primary=True)
    foreign_id: str
    at: datetime = _time()

    __table_args__ = (UniqueConstraint("system", "foreign_id", name="uq_foreign_ids"),)


class HookRow(SQLModel, table=True):
    """How far a webhook has come in the log. `disabled_at`: its receiver said that it is gone."""

    __tablename__ = "hooks"
    name: str = Field(primary_key=True)
    cursor: int = Field(default=0, sa_type=BigInteger)
    disabled_at: datetime | None = _time_or_none()


class HookEvent(SQLModel, table=True):
    """An event a webhook has not delivered yet. `key`: events of one key go out in their order, one at a time.

    `down`: the receiver could not be reached, as against: it refused this event.
    """

    __tablename__ = "hook_events"
    hook: str = Field(primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    key: int = Field(sa_type=BigInteger)
    attempts: int = 0
    first_at: datetime | None = _time_or_none()
    next_at: datetime = _time()
    dead_at: datetime | None = _time_or_none()
    down: bool = False
    error: str | None = Field(default=None, sa_type=Text)

    __table_args__ = (
        Index("ix_hook_events_key", "hook", "key", "seq"),
        Index("ix_hook_events_next", "hook", "next_at"),
    )


class Counter(SQLModel, table=True):
    """The last number given out: `events` and `audit` on both databases; `messages`, `alerts`, `coverage` on SQLite."""

    __tablename__ = "counters"
    name: str = Field(primary_key=True)
    value: int = Field(default=0, sa_type=BigInteger)


class Meta(SQLModel, table=True):
    """Facts about the database itself: `source`, the URN under which its events are told apart."""

    __tablename__ = "meta"
    name: str = Field(primary_key=True)
    value: str = Field(sa_type=Text)


# PostgreSQL gives these ids from sequences: a gap does no harm there, a row lock held until commit would.
SEQUENCES = ("messages", "alerts", "coverage")
for _name in SEQUENCES:
    Sequence(f"{_name}_ids", metadata=SQLModel.metadata)

metadata = SQLModel.metadata
messages = Message.__table__
places = MessagePlace.__table__
pages = Page.__table__
messages_of_pages = messages.outerjoin(
    pages, (pages.c.network == messages.c.network) & (pages.c.id == messages.c.page_id)
)
"""Every message with its page, where that is known (for its title)."""
posts = Post.__table__
resolved = Resolved.__table__
signatures = SignatureRow.__table__
signature_keys = SignatureKey.__table__
revisions = Revision.__table__
judgements = Judgement.__table__
events = Event.__table__
alerts = Alert.__table__
sendings = Sending.__table__
activity = Activity.__table__
spikes = SpikeRow.__table__
cases = CaseRow.__table__
offers = Offer.__table__
digests = Digest.__table__
replies = ReplyRow.__table__
publications = PublicationRow.__table__
audit = AuditRow.__table__
seen = SeenRow.__table__
runs = Run.__table__
coverage = CoverageRow.__table__
budgets = Budget.__table__
calls = Calls.__table__
inbox = InboxItem.__table__
inbox_states = InboxState.__table__
foreign_ids = ForeignId.__table__
hooks = HookRow.__table__
hook_events = HookEvent.__table__
counters = Counter.__table__
meta = Meta.__table__
