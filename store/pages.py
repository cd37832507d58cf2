"""Pages, posts, runs and the coverage records that each page's run ends with."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, insert, literal, select, update

from settings import scrub
from store.assessing import utc
from store.db import Database, Tx
from store.seals import KnownComments, find_key
from store.tables import Instant, cases, coverage, messages, pages, posts, resolved, runs
from store.values import Coverage, Known, Outcome, PageRef, PageState, Post, PostState
from store.views import plain

CLOCKS_APART = timedelta(days=1)
"""A network's clock is not further behind ours."""

_SUCCESS = (Outcome.complete, Outcome.partial)


# --- pages ------------------------------------------------------------------------------------------------------------


def ensure_page(tx: Tx, page: PageRef) -> datetime:
    """When the page was seen first; now, if it never was."""
    key = (pages.c.network == page.network) & (pages.c.id == page.id)
    query = select(pages.c.first_seen_at).where(key)
    found = tx.execute(query).scalar()
    if found is None:
        tx.execute(tx.insert(pages).values(**_page_values(page), first_seen_at=tx.now).on_conflict_do_nothing())
        found = tx.execute(query).scalar_one()
    return found


def _page_values(page: PageRef) -> dict[str, Any]:
    return {
        "network": page.network,
        "id": page.id,
        "title": page.title,
        "url": page.url,
        "owner": page.owner,
        "include": list(page.include),
    }


def see_page(db: Database, page: PageRef, now: datetime) -> PageState:
    """Remember the page; the time of the first sight stays for ever."""

    def work(tx: Tx) -> PageState:
        query = tx.insert(pages).values(**_page_values(page), first_seen_at=tx.now)
        new = {k: query.excluded[k] for k in ("title", "url", "owner", "include")}
        query = query.on_conflict_do_update(index_elements=["network", "id"], set_=new).returning(*pages.c)
        return _page_state(tx.execute(query).one())

    return db.transact(work, utc(now))


def page_states(db: Database) -> list[PageState]:
    with db.read() as conn:
        return [_page_state(r) for r in conn.execute(select(pages).order_by(pages.c.network, pages.c.id))]


def _page_state(row: Any) -> PageState:
    return PageState(
        page=PageRef(row.network, row.id, row.title, row.url, row.owner, tuple(row.include or ())),
        first_seen_at=row.first_seen_at,
        last_started_at=row.last_started_at,
        last_success_at=row.last_success_at,
        last_outcome=Outcome(row.last_outcome) if row.last_outcome else None,
        next_due_at=row.next_due_at,
    )


def find_resolved(db: Database, network: str, configured: str) -> tuple[PageRef, datetime] | None:
    """What a configured page was found to be, and when."""
    query = select(resolved.c.page, resolved.c.at).where(
        resolved.c.network == network, resolved.c.configured == configured
    )
    with db.read() as conn:
        row = conn.execute(query).first()
    if row is None:
        return None
    return PageRef(**{**row.page, "include": tuple(row.page["include"])}), row.at


def all_resolved(db: Database) -> dict[tuple[str, str], PageRef]:
    query = select(resolved.c.network, resolved.c.configured, resolved.c.page)
    with db.read() as conn:
        return {
            (r.network, r.configured): PageRef(**{**r.page, "include": tuple(r.page["include"])})
            for r in conn.execute(query)
        }


def wake(db: Database, network: str, page_id: str, post_id: str | None, *, whole: bool, now: datetime) -> bool:
    """The page's turn is now, and that of one of its posts (`whole`: all its comments anew, for edits and deletions
    change no counter). Only terms are moved, never what is known. False when the page was never seen."""

    def work(tx: Tx) -> bool:
        mine = (pages.c.network == network) & (pages.c.id == page_id)
        found = tx.execute(update(pages).where(mine).values(next_due_at=tx.now).returning(pages.c.id)).first()
        if found is not None and post_id is not None:
            post = (posts.c.network == network) & (posts.c.page_id == page_id) & (posts.c.id == post_id)
            past = tx.now - CLOCKS_APART  # a post's terms are kept in its network's time
            terms = {"next_check_at": past, **({"next_full_at": past} if whole else {})}
            tx.execute(update(posts).where(post).values(**terms))
        return found is not None

    return db.transact(work, utc(now))


def remember_resolved(db: Database, network: str, configured: str, page: PageRef, now: datetime) -> None:
    def work(tx: Tx) -> None:
        values = {"page": asdict(page), "at": tx.now}
        query = tx.insert(resolved).values(network=network, configured=configured, **values)
        tx.execute(query.on_conflict_do_update(index_elements=["network", "configured"], set_=values))

    db.transact(work, utc(now))


# --- posts ------------------------------------------------------------------------------------------------------------


def post_states(db: Database, page: PageRef, due: datetime | None = None) -> list[PostState]:
    """All posts of the page, newest first; with `due`, only those to be looked at by then."""
    query = select(posts).where(posts.c.network == page.network, posts.c.page_id == page.id)
    if due is not None:
        query = query.where((posts.c.next_check_at <= utc(due)) | (posts.c.next_full_at <= utc(due)))
    with db.read() as conn:
        found = [_post_state(r) for r in conn.execute(query)]
    found.sort(key=lambda s: (s.post.published_at or s.first_seen_at, s.post.id), reverse=True)
    return found


def _post_state(row: Any) -> PostState:
    return PostState(
        post=Post(
            network=row.network,
            id=row.id,
            page_id=row.page_id,
            kind=row.kind,
            published_at=row.published_at,
            counter=row.counter,
            url=row.url,
            text=row.text,
            pinned=row.pinned,
            closed=row.closed,
            gone=row.gone,
            denied=row.denied,
            problem=row.problem,
        ),
        stored=row.stored,
        first_seen_at=row.first_seen_at,
        checked_at=row.checked_at,
        walked_at=row.walked_at,
        full_walked_at=row.full_walked_at,
        walked_counter=row.walked_counter,
        cursor=row.cursor,
        next_check_at=row.next_check_at,
        next_full_at=row.next_full_at,
        last_new_at=row.last_new_at,
        gap=row.gap,
    )


def known(db: Database, network: str, post_id: str) -> dict[str, Known]:
    """Every stored comment of the post, own and deleted ones too, by external id; forgotten ones are known by it too
    (`KnownComments`)."""
    query = select(messages.c.external_id, messages.c.parent_id, messages.c.deleted_at).where(
        messages.c.network == network, messages.c.post_id == post_id
    )
    ours = select(messages.c.external_id).join_from(cases, messages, messages.c.id == cases.c.message_id)
    ours = ours.where(cases.c.hidden, messages.c.network == network, messages.c.post_id == post_id)
    with db.read() as conn:
        found = {r.external_id: Known(r.parent_id, r.deleted_at is not None) for r in conn.execute(query)}
        hidden = set(conn.execute(ours).scalars())
        key = find_key(conn)
    for name in _below(found, hidden):
        found[name] = replace(found[name], hidden=True)
    return found if key is None else KnownComments(found, key, network)


def _below(known: Mapping[str, Known], hidden: set[str]) -> set[str]:
    """The hidden ones and all that hangs below them: where a comment is not seen, its replies are not either."""
    answers: dict[str, list[str]] = {}
    if hidden:
        for name, one in known.items():
            if one.parent_id is not None:
                answers.setdefault(one.parent_id, []).append(name)
    found: set[str] = set()
    waiting = list(hidden & known.keys())
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += answers.get(name, ())
    return found


# --- runs -------------------------------------------------------------------------------------------------------------


def start_run(db: Database, command: str, now: datetime) -> str:
    """A new run; its id sorts by time."""
    run_id = f"{utc(now):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    values = {"id": run_id, "command": command, "host": socket.gethostname(), "pid": os.getpid()}
    db.transact(lambda tx: tx.execute(insert(runs).values(**values, started_at=tx.now)), utc(now))
    return run_id


def finish_run(db: Database, run_id: str, exit_code: int, now: datetime) -> None:
    query = update(runs).where(runs.c.id == run_id)
    db.transact(lambda tx: tx.execute(query.values(finished_at=tx.now, exit_code=exit_code)), utc(now))


def add_coverage(db: Database, run_id: str, found: Coverage, next_due_at: datetime | None = None) -> None:
    """The record of one page's run; only a complete or partial one counts as a success of the page."""

    def work(tx: Tx) -> None:
        values = asdict(found)
        values.update(
            id=tx.allocate("coverage", 1)[0],
            run_id=run_id,
            outcome=str(found.outcome),
            started_at=utc(found.started_at),
            finished_at=utc(found.finished_at),
            problem=None if found.problem is None else scrub(found.problem),
        )
        ensure_page(tx, PageRef(found.network, found.page_id))
        tx.execute(insert(coverage).values(**values))
        # Who woke the page while it was being collected may have meant what came too late for it.
        woken = pages.c.next_due_at.between(values["started_at"], tx.now)
        state = {
            "last_started_at": values["started_at"],
            "last_outcome": values["outcome"],
            "next_due_at": case((woken, pages.c.next_due_at), else_=literal(utc(next_due_at), Instant)),
            "last_coverage": values["id"],
        }
        if found.outcome in _SUCCESS:
            state["last_success_at"] = values["finished_at"]
        key = (pages.c.network == found.network) & (pages.c.id == found.page_id)
        tx.execute(update(pages).where(key).values(**state))

    db.transact(work, utc(found.finished_at))


def last_coverage(db: Database) -> list[dict[str, Any]]:
    """The latest record of each page with its title, address and last success; pages never run have only those."""
    names = [c for c in coverage.c if c.name not in ("id", "network", "page_id")]
    query = (
        select(pages.c.network, pages.c.id.label("page_id"), pages.c.title, pages.c.url, pages.c.owner, *names)
        .add_columns(pages.c.first_seen_at, pages.c.last_success_at)
        .join_from(pages, coverage, coverage.c.id == pages.c.last_coverage, isouter=True)
        .order_by(pages.c.network, pages.c.id)
    )
    with db.read() as conn:
        return [plain(dict(r._mapping)) for r in conn.execute(query)]
