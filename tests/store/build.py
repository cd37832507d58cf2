"""Values for the tests of the store: a page, comments, assessments, landings; and work for child processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from store.values import Assessment, Attachment, Author, Comment, Judged, Landing, PageRef, Place, Post, PostMark

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SOON = NOW + timedelta(minutes=30)
PAGE = PageRef("vk", "-1", "Администрация района", "https://vk.com/club1")
POST = "wall-1_10"

PLAIN = Assessment(
    topic="water",
    topic_group="housing",
    topic_confidence=0.75,
    places=(Place("Хрюг", "село", ("Ахтынский район",), 41.5, 47.5, (2, 6), 0.9),),
    urgency="prompt",
    reasons=("нет воды",),
    model="m1",
)
URGENT = replace(PLAIN, urgency="urgent", topic="light")
EMERGENCY = Assessment(urgency="urgent", emergency=True, emergency_kind="пожар", reasons=("горит дом",), model="m1")
THANKS = Assessment(reaction="none", model="m1")


def comment(n: int | str, text: str = "нет воды", **more: Any) -> Comment:
    values: dict[str, Any] = {
        "network": "vk",
        "external_id": f"c{n}",
        "page_id": "-1",
        "post_id": POST,
        "comment_id": str(n),
        "parent_id": None,
        "author": Author("5", "Имя Отчество", "https://vk.com/id5", "person"),
        "text": text,
        "published_at": NOW - timedelta(minutes=5),
        "url": f"https://vk.com/wall-1_10?reply={n}",
    }
    return Comment(**{**values, **more})


def judged(n: int | str, text: str = "нет воды", assessment: Assessment | None = PLAIN, **more: Any) -> Judged:
    deadlines = {"route": SOON} if assessment is not None and assessment.reaction == "required" else {}
    return Judged(comment(n, text, **more), assessment, deadlines)


def landing(*comments: Judged, **more: Any) -> Landing:
    return Landing(**{"page": PAGE, "comments": comments, "server_time": NOW, **more})


def mark(post: str = POST, counter: int | None = 3, **more: Any) -> PostMark:
    return PostMark(**{"post": Post("vk", post, "-1", counter=counter), "checked_at": NOW, **more})


def photo(id_: str = "p1", url: str = "https://x/1.jpg?sig=a") -> Attachment:
    return Attachment("photo", url, None, id_)


def see(store: Any, at: datetime = NOW - timedelta(days=1)) -> None:
    store.see_page(PAGE, at)


def types(store: Any, after: int = 0) -> list[str]:
    return [e["type"].removeprefix("otklik.") for e in store.events(after, 10_000)]


def dense(store: Any) -> bool:
    found = [e["seq"] for e in store.events(0, 1_000_000)]
    return found == list(range(1, len(found) + 1)) and store.last_seq() == len(found)


# --- processes --------------------------------------------------------------------------------------------------------

_FRESH = multiprocessing.get_context("forkserver")  # processes that share nothing with this one, but start quickly
_FRESH.set_forkserver_preload(["store.facade", "sqlite3", "psycopg", "alembic.command"])


def _child(work: Callable[..., Any], args: Sequence[Any], barrier: Any, results: Any) -> None:
    barrier.wait(60)
    try:
        results.put(("ok", work(*args)))
    except BaseException as e:
        results.put(("error", f"{type(e).__name__}: {e}"))


def together(work: Callable[..., Any], arguments: Sequence[Sequence[Any]]) -> list[Any]:
    """Run `work(*args)` in a process for each of `arguments`, all at once; their results, in any order."""
    barrier = _FRESH.Barrier(len(arguments))
    results = _FRESH.Queue()
    children = [_FRESH.Process(target=_child, args=(work, args, barrier, results)) for args in arguments]
    for child in children:
        child.start()
    found = [results.get(timeout=120) for _ in children]
    for child in children:
        child.join(30)
    bad = [r for kind, r in found if kind == "error"]
    assert not bad, bad
    return [r for _, r in found]
