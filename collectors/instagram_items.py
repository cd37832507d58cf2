"""A comment of Instagram as a value, whoever read it."""

from __future__ import annotations

from datetime import datetime

from store.values import Author, Comment, PageRef, Post

SITE = "https://www.instagram.com/"


def comment_of(
    page: PageRef,
    post: Post,
    id: str,
    who: str | None,
    name: str | None,
    text: str,
    at: datetime | None,
    parent: str | None,
) -> Comment:
    """A comment as a value; hidden ones are messages too. The account itself is known by its number or its name."""
    own = who == page.id or (name is not None and page.url == f"{SITE}{name}/")
    person = Author(who, name, f"{SITE}{name}/", "community" if own else "person") if name else Author(who)
    return Comment(
        network="instagram",
        external_id=id,
        page_id=page.id,
        post_id=post.id,
        comment_id=id,
        parent_id=parent,
        author=person,
        text=text,
        published_at=at,
        url=f"{post.url.rstrip('/')}/c/{id}/",
        own=own,
    )
