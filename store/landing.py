"""Landing: what a batch of comments does to the database, in one transaction.

Each step asks the database once for the whole batch. Comments are compared with what is stored; only those that
changed are read whole, under a lock, and decided again. Rows are always locked in the same order (posts, then messages
by id), so two landings of the same comments queue up; the later one then finds them known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from store.assessing import alerted_among, clean, message_event, raise_alerts, reassess, utc
from store.db import Database, Tx, rows_in
from store.drafting import COLUMNS, Drafted, Frame, attached, folded, prepare
from store.likely import stale
from store.pages import ensure_page
from store.repeats import Asking, asking_anew, link
from store.seals import find_key, hidden_among, hidden_id, seal
from store.tables import UNASSESSED, counters, messages, messages_of_pages, pages, places, posts, revisions
from store.values import Assessment, Comment, Judged, Landed, Landing, PostMark, Unassessed
from store.views import dump, numbered, tombstone

_GLANCE = (
    messages.c.external_id,
    messages.c.text,
    messages.c.attachments,
    messages.c.deleted_at,
    messages.c.assessed_at,
    messages.c.own,
    messages.c.seal,
)
_KEY = messages.c.network


def land(db: Database, landing: Landing, now: datetime) -> Landed:
    """Everything of `landing`, or nothing. Landing the same again changes nothing.

    Rows and events of comments never seen are made before the transaction, so that other writers wait less.
    """
    now = utc(now)
    draft = _Draft(db, landing, now)
    return db.transact(lambda tx: _Batch(tx, landing, draft).land(), now)


class _Draft:
    """What was made ready while other writers are at work: drafts of the comments that seem new."""

    def __init__(self, db: Database, landing: Landing, now: datetime) -> None:
        self.now = now
        self.landing = landing
        self.sqlite = db.is_sqlite
        self.cap = utc(landing.server_time) or now
        self.judged = {j.comment.external_id: j for j in landing.comments}  # of two the later one counts
        self.made: dict[str, Drafted] = {}
        if not self.judged:
            return
        page = landing.page
        with db.read() as conn:
            self.last_id = _last_id(conn) if db.is_sqlite else None
            first_seen = conn.execute(
                select(pages.c.first_seen_at).where(pages.c.network == page.network, pages.c.id == page.id)
            ).scalar()
            known = _known_keys(conn, page.network, self.judged) if first_seen is not None else set(self.judged)
        self.make([k for k in self.judged if k not in known], first_seen or now)

    def make(self, keys: Sequence[str], first_seen: datetime) -> None:
        """Drafts of these comments; those that came with the landing are taken as they are."""
        frame = Frame(first_seen, self.cap, self.now, self.landing.run_id, self.sqlite)
        came = self.landing.draft.made if self.landing.draft is not None and self.landing.draft.frame == frame else {}
        self.made.update({k: came[k] for k in keys if k in came})
        self.made.update(prepare([self.judged[k] for k in keys if k not in came], frame))

    def hang(self, keys: Sequence[str], key: bytes, first_seen: datetime) -> None:
        """These answer comments of forgotten people: what they hang below is called by its hidden id."""
        for k in keys:
            j = self.judged[k]
            hung = replace(j.comment, parent_id=hidden_id(key, j.comment.network, j.comment.parent_id or ""))
            self.judged[k] = Judged(hung, j.assessment, j.deadlines)
        if self.landing.draft is not None:
            self.landing = replace(self.landing, draft=None)
        self.make(keys, first_seen)


class _Batch:
    def __init__(self, tx: Tx, landing: Landing, draft: _Draft) -> None:
        self.tx = tx
        self.landing = landing
        self.draft = draft
        self.key = find_key(tx.conn)
        self.network = landing.page.network
        self.cap = draft.cap
        self.first_seen = ensure_page(tx, landing.page)
        self.judged = draft.judged
        self.deleted = set(landing.deleted)
        self.live_change: Counter[str] = Counter()  # post -> change of its count of live comments
        self.news: set[str] = set()  # posts that got a comment
        self.emergencies: list[tuple[int, str | None]] = []  # message, kind
        self.asking: list[Asking] = []

    def land(self) -> Landed:
        marks = {m.post.id: m for m in self.landing.posts}
        state = self._lock_posts(marks)
        stored = self._glance(self._perhaps_known())
        fresh = [k for k in sorted(self.judged) if k not in stored]
        if self.key is not None:
            fresh = self._not_forgotten(fresh)
        inserted, own = self._insert(fresh)
        late = [k for k in fresh if k not in inserted]  # landed by somebody else while this one was on its way
        if late:
            stored.update(self._glance(late))
        for key in inserted & self.deleted:
            stored.update(self._glance([key]))
        touched = [k for k, row in stored.items() if self._differs(k, row)]
        counts = self._revisit(touched)
        alerts = raise_alerts(self.tx, self.emergencies)
        self._save_posts(marks, state)
        link(self.tx, self.asking)
        return Landed(
            new=len(inserted),
            revised=counts["revised"],
            deleted=counts["deleted"],
            unchanged=len(self.judged) - len(inserted) - counts["revised"],
            own=own,
            alerts=alerts,
        )

    def _perhaps_known(self) -> list[str]:
        """Keys to look up: all but those that were not there for the draft, when nothing was inserted since."""
        keys = self.judged.keys() | self.deleted
        fresh = self.draft.made.keys()
        if fresh and self.tx.is_sqlite:
            since = _last_id(self.tx.conn) != self.draft.last_id
            keys = keys - (fresh - _known_keys(self.tx.conn, self.network, list(fresh)) if since else fresh)
        return sorted(keys)

    def _not_forgotten(self, keys: Sequence[str]) -> list[str]:
        """Those that are no comments of a forgotten person: of these only is kept whether they are still there."""
        assert self.key is not None
        found = hidden_among(self.tx, self.key, self.network, keys)
        for real, row in found.items():
            gone = real in self.deleted or self.judged[real].comment.deleted
            if gone != (row.deleted_at is not None):
                self.live_change[row.post_id] += -1 if gone else 1
                _update(self.tx, {"id": row.id}, {"deleted_at": self.tx.now if gone else None})
        fresh = [k for k in keys if k not in found]
        above = {c.parent_id for k in fresh if (c := self.judged[k].comment).parent_id}
        if hidden := hidden_among(self.tx, self.key, self.network, above).keys():
            answers = [k for k in fresh if self.judged[k].comment.parent_id in hidden]
            self.draft.hang(answers, self.key, self.first_seen)
        return fresh

    # --- new ones ----------------------------------------------------------------------------------------------------

    def _insert(self, keys: Sequence[str]) -> tuple[set[str], int]:
        """Store comments never seen before; (keys that were really new, how many of them are the page's own)."""
        if not keys:
            return set(), 0
        tx, made = self.tx, self.draft.made
        self.draft.make([k for k in keys if k not in made], self.first_seen)
        ids = dict(zip(keys, tx.allocate("messages", len(keys)), strict=True))
        packed = [(id_, *made[k].packed[1:]) for k, id_ in ids.items()]
        inserted = tx.insert_packed(messages, COLUMNS, packed, unless_known="external_id")
        if inserted is None:  # SQLite: this writer is alone, nothing came in between
            inserted = set(keys)
        named = []
        own = 0
        for key, id_ in ids.items():
            if key not in inserted:
                continue
            d = made[key]
            self.news.add(d.post_id)
            if not d.deleted:
                self.live_change[d.post_id] += 1
            if d.event is None:
                own += 1
                continue
            named += [{"place": name, "message_id": id_} for name in d.places]
            if d.emergency:
                self.emergencies.append((id_, d.kind))
            event = tx.emit("otklik.message.landed", id_, numbered(d.event, id_))
            if d.asks is not None:
                self.asking.append(asking_anew(id_, d.asks, event))
        tx.insert_many(places, named)
        return inserted, own

    # --- known ones --------------------------------------------------------------------------------------------------

    def _glance(self, keys: Sequence[str]) -> dict[str, Any]:
        query = select(*_GLANCE).where(messages.c.network == self.network)
        return {row.external_id: row for row in rows_in(self.tx.conn, query, messages.c.external_id, keys)}

    def _differs(self, key: str, row: Any) -> bool:
        """Whether anything has to be done about a stored comment."""
        judged = self.judged.get(key)
        gone = key in self.deleted or (judged is not None and judged.comment.deleted)
        if gone:
            return row.deleted_at is None
        if row.deleted_at is not None or _content_differs(row, judged.comment, self.key):
            return True
        return row.assessed_at is None and judged.assessment is not None and not row.own

    def _revisit(self, keys: Sequence[str]) -> Counter[str]:
        counts: Counter[str] = Counter()
        if not keys:
            return counts
        query = select(messages).where(messages.c.network == self.network).order_by(messages.c.id)
        rows = list(rows_in(self.tx.conn, self.tx.lock(query), messages.c.external_id, sorted(keys)))
        alerted = alerted_among(self.tx, [r.id for r in rows])
        for found in rows:
            if self._differs(found.external_id, found):  # decided again under the lock
                counts.update(self._change(dict(found._mapping), alerted=found.id in alerted))
        return counts

    def _change(self, row: dict[str, Any], *, alerted: bool) -> list[str]:
        """Bring one known message up to date; what was done."""
        tx, now = self.tx, self.tx.now
        judged = self.judged.get(row["external_id"])
        if row["external_id"] in self.deleted or judged is None or judged.comment.deleted:
            self.live_change[row["post_id"]] -= 1
            _update(tx, row, {"deleted_at": now})
            if not row["own"]:
                tx.emit("otklik.message.deleted", row["id"], dump(tombstone(row, now)))
            return ["deleted"]
        c = judged.comment
        restored = row["deleted_at"] is not None
        # It was never seen but as a stub.
        blank = restored and not row["text"] and not row["attachments"] and row["seal"] is None
        changed = _content_differs(row, c, self.key)
        values: dict[str, Any] = {}
        done = []
        if restored:
            self.live_change[row["post_id"]] += 1
            values["deleted_at"] = None
        if changed:
            if not blank:
                _keep_revision(tx, row)
                done.append("revised")
            text = clean(c.text)
            author = row["author"]
            if c.author.kind != "unknown" and author["kind"] == "unknown":
                author = {"id": clean(c.author.id), "name": clean(c.author.name), "url": clean(c.author.url)}
                author["kind"] = c.author.kind
                values.update(author=author, author_id=author["id"])
                stale(tx)
            values.update(
                text=text,
                folded=folded(text, author["name"]),
                attachments=attached(c.attachments),
                edited_at=utc(c.edited_at) or (row["edited_at"] if blank else now),
                seal=None,
                erased_at=None,
            )
        if not row["own"]:
            if judged.assessment is not None and (changed or row["assessed_at"] is None):
                values.update(
                    reassess(tx, row, judged.assessment, judged.deadlines, text_changed=changed, alerted=alerted)
                )
            elif changed:
                values["assessed_at"] = None  # the classifier failed on the new text: the next run takes it up
        first_judged = not restored and not changed
        row.update(values)
        row = _update(tx, row, values)
        if not row["own"]:
            told = [("restored", restored), ("revised", "revised" in done), ("assessed", first_judged)]
            placed = [message_event(tx, kind, row) for kind, happened in told if happened]
            if row["assessed_at"] == now and judged.assessment is not None:
                self.asking.append(Asking(row, judged.assessment.signature, placed))
            if row["emergency"] and row["assessed_at"] == now and not row["historical"] and not alerted:
                self.emergencies.append((row["id"], row["assessment"]["emergency_kind"]))
        return done

    # --- posts -------------------------------------------------------------------------------------------------------

    def _lock_posts(self, marks: Mapping[str, PostMark]) -> dict[str, dict[str, Any]]:
        """The rows of all posts concerned, made when missing, locked in order."""
        tx = self.tx
        wanted = sorted(marks.keys() | {j.comment.post_id for j in self.judged.values()} | self._posts_of_deleted())
        if not wanted:
            return {}
        query = tx.lock(select(posts).where(posts.c.network == self.network).order_by(posts.c.id))
        found = {r.id: dict(r._mapping) for r in rows_in(tx.conn, query, posts.c.id, wanted)}
        missing = [i for i in wanted if i not in found]
        if missing:
            new = [
                {
                    "network": self.network,
                    "id": i,
                    "page_id": self.landing.page.id,
                    "kind": "post",
                    "url": "",
                    "text": "",
                    "pinned": False,
                    "closed": False,
                    "gone": False,
                    "denied": False,
                    "first_seen_at": tx.now,
                    "stored": 0,
                }
                for i in missing
            ]
            tx.execute(tx.insert(posts).on_conflict_do_nothing(), new)
            found |= {r.id: dict(r._mapping) for r in rows_in(tx.conn, query, posts.c.id, missing)}
        return found

    def _posts_of_deleted(self) -> set[str]:
        """Their counts change too, so they are locked before the messages like all others."""
        query = select(messages.c.post_id).where(messages.c.network == self.network)
        return {r.post_id for r in rows_in(self.tx.conn, query, messages.c.external_id, sorted(self.deleted))}

    def _save_posts(self, marks: Mapping[str, PostMark], state: dict[str, dict[str, Any]]) -> None:
        tx = self.tx
        if marks:
            rows = [_marked(state[i], marks[i], self.cap) for i in sorted(marks)]
            tx.execute(_SAVE_POST, rows)
        changed = sorted(self.live_change.keys() | self.news)
        if changed:
            tx.execute(
                _COUNT_POST,
                [
                    {
                        "b_network": self.network,
                        "b_id": i,
                        "b_change": self.live_change[i],
                        "b_new": tx.now if i in self.news else None,
                    }
                    for i in changed
                ],
            )


_POST_FIELDS = (
    "page_id",
    "kind",
    "published_at",
    "counter",
    "url",
    "text",
    "pinned",
    "closed",
    "gone",
    "denied",
    "problem",
    "checked_at",
    "walked_at",
    "full_walked_at",
    "walked_counter",
    "gap",
    "cursor",
    "next_check_at",
    "next_full_at",
)
_SAVE_POST = (
    update(posts)
    .where(posts.c.network == bindparam("b_network"), posts.c.id == bindparam("b_id"))
    .values({name: bindparam(f"v_{name}") for name in _POST_FIELDS})
)
_COUNT_POST = (
    update(posts)
    .where(posts.c.network == bindparam("b_network"), posts.c.id == bindparam("b_id"))
    .values(
        stored=posts.c.stored + bindparam("b_change"),
        last_new_at=func.coalesce(bindparam("b_new", type_=posts.c.last_new_at.type), posts.c.last_new_at),
    )
)


def _marked(old: Mapping[str, Any], mark: PostMark, cap: datetime) -> dict[str, Any]:
    """A post's row after `mark`, as parameters of `_SAVE_POST`; a look at it can't lie after the server's now."""
    p = mark.post
    checked = min(utc(mark.checked_at), cap)
    new: dict[str, Any] = {
        "page_id": p.page_id,
        "kind": p.kind,
        "published_at": utc(p.published_at) or old["published_at"],
        "counter": p.counter,
        "url": clean(p.url) or old["url"],
        "text": clean(p.text) or old["text"],
        "pinned": p.pinned,
        "closed": p.closed,
        "gone": p.gone,
        "denied": p.denied,
        "problem": clean(p.problem),
        "checked_at": checked,
        "walked_at": old["walked_at"],
        "full_walked_at": old["full_walked_at"],
        "walked_counter": old["walked_counter"],
        "gap": old["gap"],
        "cursor": mark.cursor if mark.cursor is not None else old["cursor"],
        "next_check_at": utc(mark.next_check_at),
        "next_full_at": utc(mark.next_full_at),
    }
    if mark.walked is not None:
        new.update(walked_at=checked, walked_counter=p.counter, gap=mark.gap, cursor=mark.cursor)
        if mark.walked == "full":
            new["full_walked_at"] = checked
    return {"b_network": p.network, "b_id": p.id, **{f"v_{k}": v for k, v in new.items()}}


# --- small questions --------------------------------------------------------------------------------------------------


def _last_id(conn: Connection) -> int:
    """The last id given to a message (SQLite): unchanged, no message came since."""
    return conn.execute(select(counters.c.value).where(counters.c.name == "messages")).scalar_one()


def _known_keys(conn: Connection, network: str, keys: Collection[str]) -> set[str]:
    query = select(messages.c.external_id).where(messages.c.network == network)
    return {row.external_id for row in rows_in(conn, query, messages.c.external_id, list(keys))}


# --- pure helpers -----------------------------------------------------------------------------------------------------


def _content_differs(row: Any, comment: Comment, key: bytes | None) -> bool:
    """Whether a comment says something else than its message. Links to the same attachment may change (they expire).

    Of a message that is not kept whole, the seal of the whole is compared.
    """
    row = row if isinstance(row, dict) else row._mapping
    text, before = row["text"], row["attachments"]
    if row["seal"] is not None and key is not None:
        return seal(key, clean(comment.text), attached(comment.attachments)) != row["seal"]
    if text != comment.text and text != clean(comment.text):
        return True
    if not before and not comment.attachments:
        return False
    return [(a["kind"], a["id"] or a["url"]) for a in before or ()] != [
        (clean(a.kind), clean(a.id) or clean(a.url)) for a in comment.attachments
    ]


def _keep_revision(tx: Tx, row: Mapping[str, Any]) -> None:
    if row["erased_at"] is not None:
        return  # what it said before was erased
    n = tx.execute(
        select(func.coalesce(func.max(revisions.c.n), 0)).where(revisions.c.message_id == row["id"])
    ).scalar_one()
    tx.execute(
        insert(revisions).values(
            message_id=row["id"],
            n=n + 1,
            text=row["text"],
            attachments=row["attachments"],
            edited_at=row["edited_at"],
            replaced_at=tx.now,
        )
    )


def _update(tx: Tx, row: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    if values:
        tx.execute(update(messages).where(messages.c.id == row["id"]).values(**values))
    return {**row, **values}


# --- late assessments -------------------------------------------------------------------------------------------------


def unassessed(db: Database, limit: int, after: str = "0") -> list[Unassessed]:
    """Messages the classifier still owes an assessment, oldest first, those behind message `after`."""
    query = (
        select(
            messages.c.id,
            messages.c.text,
            messages.c.attachments,
            messages.c.page_id,
            messages.c.collected_at,
            pages.c.title,
        )
        .select_from(messages_of_pages)
        .where(UNASSESSED, messages.c.id > int(after))
        .order_by(messages.c.id)
        .limit(limit)
    )
    with db.read() as conn:
        return [
            Unassessed(
                message_id=str(r.id),
                text=r.text,
                page=r.title or r.page_id,
                collected_at=r.collected_at,
                attachments=tuple(a["kind"] for a in r.attachments or ()),
            )
            for r in conn.execute(query)
        ]


def assess(db: Database, items: Sequence[tuple[str, Assessment, Mapping[str, datetime]]], now: datetime) -> Landed:
    """Late assessments; those that came meanwhile, and what a person said, stay as they are."""
    wanted = {int(id_): (assessment, deadlines) for id_, assessment, deadlines in items}

    def work(tx: Tx) -> Landed:
        query = tx.lock(select(messages).where(UNASSESSED).order_by(messages.c.id))
        rows = list(rows_in(tx.conn, query, messages.c.id, sorted(wanted)))
        alerted = alerted_among(tx, [r.id for r in rows])
        emergencies = []
        asking = []
        for found in rows:
            row = dict(found._mapping)
            assessment, deadlines = wanted[row["id"]]
            # Unassessed but with an assessment: its text changed since.
            changed = row["assessment"] is not None
            values = reassess(tx, row, assessment, deadlines, text_changed=changed, alerted=row["id"] in alerted)
            row = _update(tx, row, values)
            event = message_event(tx, "assessed", row)
            asking.append(Asking(row, assessment.signature, [event]))
            if row["emergency"] and not row["historical"] and row["id"] not in alerted:
                emergencies.append((row["id"], row["assessment"]["emergency_kind"]))
        alerts = raise_alerts(tx, emergencies)
        link(tx, asking)
        return Landed(unchanged=len(rows), alerts=alerts)

    return db.transact(work, utc(now))
