"""The pretend world behind every emulated network: pages, posts, comments, people, a clock, and the truth about them.

Nothing here knows a protocol. A face (`emulator/vk.py`) shows a world the way one network would; `World.ledger` is the
truth to compare a collector's work with. Times are seconds since the epoch (UTC); ids are whole numbers that grow
within one page and kind, and deliberately repeat between kinds.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from settings import ConfigError
from store.values import Attachment

KINDS = ("post", "photo", "video", "topic")
JOURNAL = 10_000
"""So many of the last happenings are remembered, for those who are told of them."""
AUTHOR_KINDS = ("person", "community", "deleted", "banned", "hidden")
THREADED = frozenset({"post", "video"})
"""Kinds that show threads of replies; the others are flat lists."""


class Clock:
    """The world's time: the machine's own with an offset, or frozen until somebody advances it."""

    def __init__(self, now: float | None = None, *, frozen: bool = False) -> None:
        real = time.time()
        self._offset = 0.0 if now is None else now - real
        self._frozen: float | None = (real if now is None else now) if frozen else None

    def now(self) -> float:
        return self._frozen if self._frozen is not None else time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`; time never goes back."""
        if seconds < 0:
            raise ConfigError("время эмулятора назад не идёт; задайте сдвиг не меньше нуля")
        if self._frozen is not None:
            self._frozen += seconds
        else:
            self._offset += seconds


@dataclass(slots=True)
class Author:
    """Who writes. `hidden`: the network gives an id or none, but no profile."""

    id: int
    name: str = ""
    kind: str = "person"
    screen_name: str = ""


@dataclass(slots=True)
class Page:
    """A watched page. `id` as the network writes it ("-123456").

    `errors`: kind (or "page") -> code for every read; "write" -> code for every comment that somebody tries to write.
    """

    id: str
    title: str = ""
    screen_name: str = ""
    errors: dict[str, int] = field(default_factory=dict)
    posts: dict[tuple[str, int], Post] = field(default_factory=dict)

    @property
    def author_id(self) -> int:
        """Under which author id the page itself writes."""
        return int(self.id)


@dataclass(slots=True, eq=False)
class Comment:
    """A comment at any depth. `texts`: every version, the last one is shown. `own`: written by the page itself.

    `hidden`: by the page, so that others do not see it; what the page itself sees is the face's affair.
    """

    id: int
    post: Post
    parent: Comment | None
    author: int
    published_at: float
    texts: list[str]
    attachments: tuple[Attachment, ...] = ()
    own: bool = False
    emergency: bool | None = None
    deleted: bool = False
    hidden: bool = False
    edited_at: float | None = None
    likes: int = 0
    children: list[Comment] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.texts[-1]

    @property
    def alive_below(self) -> bool:
        """Some reply below, at any depth, is not deleted."""
        stack = list(self.children)
        while stack:
            one = stack.pop()
            if not one.deleted:
                return True
            stack.extend(one.children)
        return False


@dataclass(slots=True, eq=False)
class Post:
    """What the page published. `closed`: no new comments; `unreadable`: the network shows none of them.

    `repost`: (owner id, post id, text) of the original. `version` grows with every change below the post.
    """

    page: Page
    kind: str
    id: int
    author: int
    published_at: float
    text: str = ""
    title: str = ""
    attachments: tuple[Attachment, ...] = ()
    pinned: bool = False
    closed: bool = False
    unreadable: bool = False
    repost: tuple[int, int, str] | None = None
    album: int = 1
    deleted: bool = False
    likes: int = 0
    comments: dict[int, Comment] = field(default_factory=dict)
    version: int = 0
    cache: dict[Any, Any] = field(default_factory=dict)  # a face's own view, valid for one version


@dataclass(frozen=True, slots=True)
class Shown:
    """A post's comments as a network with threads shows them.

    `levels`: None -> the top level, comment id -> the thread under it, each in order of ids. `total` visible ones
    without stubs, `stubs` deleted ones that stay visible because of their replies. `under`: comment id -> the one in
    whose thread it stands.
    """

    levels: dict[int | None, list[Comment]]
    under: dict[int, int | None]
    total: int
    stubs: int
    top: int


def shown(post: Post, depth: int, thread_stubs: bool = True) -> Shown:
    """What can be seen under `post` when threads nest `depth` levels (1 = a flat list without stubs)."""
    key = (post.version, depth, thread_stubs)
    cached = post.cache.get("shown")
    if cached is not None and cached[0] == key:
        return cached[1]
    levels: dict[int | None, list[Comment]] = {None: []}
    hangs: dict[int, int | None] = {}
    total = stubs = top = 0
    anchor: dict[int, tuple[int | None, int]] = {}  # comment -> (what its replies hang under, their level)
    for one in post.comments.values():  # ids grow, so a parent comes before its replies
        under, level = anchor[one.parent.id] if one.parent is not None and depth > 1 else (None, 1)
        anchor[one.id] = (one.id, level + 1) if level < depth else (under, level)
        if one.deleted:
            stub = depth > 1 and (thread_stubs or level < depth) and one.alive_below
            if not stub:
                continue
            stubs += 1
        else:
            total += 1
            top += level == 1
        levels.setdefault(under, []).append(one)
        hangs[one.id] = under
    result = Shown(levels, hangs, total, stubs, top)
    post.cache["shown"] = (key, result)
    return result


# --- how networks write ids -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Naming:
    """The external ids of a network, the same that its collector makes.

    `mention`: how a flat list without links says in the text whom it answers. `page`: the page's id. `depth`: how many
    levels the network's parents tell (2: all below a top comment answer that one); None: each its own. `falls`:
    replies vanish with the top comment under which they stand, and come back with it.
    """

    post: Callable[[Post], str]
    comment: Callable[[Comment], str]
    mention: Callable[[Comment, str], str] | None = None
    page: Callable[[Page], str] = lambda page: page.id
    depth: int | None = None
    falls: bool = False

    def parent(self, comment: Comment) -> Comment | None:
        """Whom a comment answers as far as the network tells."""
        line: list[Comment] = []
        above = comment.parent
        while above is not None:
            line.append(above)
            above = above.parent
        if not line or self.depth == 1:
            return None
        return line[0] if self.depth is None else line[max(0, len(line) - self.depth + 1)]


_WORD = {"post": "wall", "photo": "photo", "video": "video", "topic": "topic"}


def _post_name(post: Post) -> str:
    return f"{_WORD[post.kind]}{post.page.id}_{post.id}"


def _vk_comment_name(comment: Comment) -> str:
    # On a wall posts and comments share one numbering, so the post is not a part of the name.
    post = comment.post
    return f"wall{post.page.id}_{comment.id}" if post.kind == "post" else f"{_post_name(post)}_{comment.id}"


def _vk_mention(comment: Comment, name: str) -> str:
    who = f"id{comment.author}" if comment.author > 0 else f"club{-comment.author}"
    return f"[{who}:bp{comment.post.page.id}_{comment.id}|{name}], "


VK_NAMING = Naming(_post_name, _vk_comment_name, _vk_mention)


def naming_of(network: str) -> Naming:
    """How a network writes ids; a network without a face of its own gets plain ones."""
    from emulator.face import face_of

    try:
        return face_of(network).naming
    except ConfigError:
        return Naming(_post_name, lambda c: f"{_post_name(c.post)}_{c.id}")


class World:
    """Everything that exists, and what is still to happen. Thread-safe: take `lock` to see several things at once.

    `mutator`, when set, is called as `mutator(world, method)` before every API call, with the lock held: it makes items
    appear, vanish and change while somebody pages over them.
    """

    def __init__(self, network: str = "vk", *, clock: Clock | None = None, start: float | None = None) -> None:
        self.network = network
        self.clock = clock or Clock(start)
        self.start = self.clock.now() if start is None else start
        self.marks: dict[str, float] = {}
        self.lock = threading.RLock()
        self.pages: dict[str, Page] = {}
        self.authors: dict[int, Author] = {}
        self.mutator: Callable[[World, str], None] | None = None
        self.naming = naming_of(network)
        self.journal: deque[tuple[int, str, Any]] = deque(maxlen=JOURNAL)
        """What happened, the latest last: (number from 1, "new", "edit", "delete", "restore" or "post", to what)."""
        self._journalled = itertools.count(1)
        self._last: dict[tuple[str, str], int] = {}
        self._pending: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._due = float("inf")

    # -- time ----------------------------------------------------------------------------------------------------------

    def now(self) -> float:
        return self.clock.now()

    def schedule(self, at: float, action: Callable[[], None]) -> None:
        """`action` happens when the clock reaches `at`; what is due at once happens at the next `sync`."""
        with self.lock:
            heapq.heappush(self._pending, (at, next(self._order), action))
            self._due = self._pending[0][0]

    def sync(self) -> None:
        """Let happen what is due. Cheap when nothing is."""
        if self._due > self.clock.now():
            return
        with self.lock:
            while self._pending and self._pending[0][0] <= self.clock.now():
                heapq.heappop(self._pending)[2]()
            self._due = self._pending[0][0] if self._pending else float("inf")

    def advance(self, seconds: float) -> None:
        with self.lock:
            self.clock.advance(seconds)
            self.sync()

    def advance_to(self, mark: str) -> None:
        """Move the clock on to a named moment of the scenario; no step when it has passed."""
        if mark not in self.marks:
            known = ", ".join(sorted(self.marks)) or "ни одной нет"
            raise ConfigError(f"в сценарии нет отметки времени {mark}; есть: {known}")
        self.advance(max(0.0, self.marks[mark] - self.now()))

    # -- what exists ---------------------------------------------------------------------------------------------------

    def add_page(self, id: str, title: str = "", screen_name: str = "", **more: Any) -> Page:
        with self.lock:
            page = Page(str(id), title, screen_name or f"club{str(id).lstrip('-')}", **more)
            self.pages[page.id] = page
            return page

    def add_author(self, id: int, name: str = "", kind: str = "person", screen_name: str = "") -> Author:
        with self.lock:
            author = Author(id, name, kind, screen_name)
            self.authors[id] = author
            return author

    def _next_id(self, page: Page, kind: str) -> int:
        key = (page.id, kind)
        self._last[key] = self._last.get(key, 0) + 1
        return self._last[key]

    def add_post(self, page: Page, text: str = "", *, kind: str = "post", at: float | None = None, **more: Any) -> Post:
        """A new publication. A topic's text is also its first comment, by the page."""
        with self.lock:
            more.setdefault("author", page.author_id)
            when = self.now() if at is None else at
            post = Post(page, kind, self._next_id(page, kind), published_at=when, text=text, **more)
            page.posts[kind, post.id] = post
            self._note("post", post)
            if kind == "topic" and text:
                self.add_comment(post, text, post.author, at=when)
            return post

    def add_comment(
        self,
        post: Post,
        text: str,
        author: int,
        *,
        parent: Comment | None = None,
        at: float | None = None,
        attachments: Iterable[Attachment] = (),
        emergency: bool | None = None,
        likes: int = 0,
    ) -> Comment:
        """A new comment or reply (`parent`); in a topic, a flat list, the text itself names whom it answers."""
        with self.lock:
            if post.kind == "topic" and parent is not None:
                if self.naming.mention is None:
                    parent = None
                else:
                    known = self.authors.get(parent.author)
                    text = self.naming.mention(parent, known.name if known and known.name else "Автор") + text
            comment = Comment(
                id=self._next_id(post.page, post.kind),
                post=post,
                parent=parent,
                author=author,
                published_at=self.now() if at is None else at,
                texts=[text],
                attachments=tuple(attachments),
                own=author == post.page.author_id,
                emergency=emergency,
                likes=likes,
            )
            post.comments[comment.id] = comment
            if parent is not None:
                parent.children.append(comment)
            post.version += 1
            self._note("new", comment)
            return comment

    def _note(self, what: str, thing: Any) -> None:
        self.journal.append((next(self._journalled), what, thing))

    def edit(self, comment: Comment, text: str, attachments: Iterable[Attachment] | None = None) -> None:
        with self.lock:
            if text != comment.text:
                comment.texts.append(text)
            if attachments is not None:
                comment.attachments = tuple(attachments)
            comment.edited_at = self.now()
            comment.post.version += 1
            self._note("edit", comment)

    def delete(self, comment: Comment) -> None:
        self._set_deleted(comment, True)

    def restore(self, comment: Comment) -> None:
        self._set_deleted(comment, False)

    def _set_deleted(self, comment: Comment, deleted: bool) -> None:
        with self.lock:
            comment.deleted = deleted
            comment.post.version += 1
            self._note("delete" if deleted else "restore", comment)

    def hide(self, comment: Comment, hidden: bool = True) -> None:
        with self.lock:
            comment.hidden = hidden
            comment.post.version += 1

    def delete_post(self, post: Post) -> None:
        with self.lock:
            post.deleted = True
            post.version += 1

    def posts(self, page: Page | None = None, *kinds: str) -> Iterator[Post]:
        for one in [page] if page else list(self.pages.values()):
            for post in list(one.posts.values()):
                if not kinds or post.kind in kinds:
                    yield post

    def comments(self) -> Iterator[Comment]:
        for post in self.posts():
            yield from list(post.comments.values())

    def external_id(self, thing: Post | Comment) -> str:
        return self.naming.post(thing) if isinstance(thing, Post) else self.naming.comment(thing)

    # -- the truth -----------------------------------------------------------------------------------------------------

    def ledger(self) -> Iterator[dict[str, Any]]:
        """One value for each comment that ever existed; `post_deleted` tells that its post is gone.

        A post that somebody else wrote on the page's wall is a message too: it stands here under the post's id.
        """
        with self.lock:
            self.sync()
            entries = [self._post_entry(p) for p in self.posts(None, "post") if p.author != p.page.author_id]
            entries += [self._entry(c) for c in self.comments()]
        yield from entries

    def ledger_ndjson(self) -> str:
        """The ledger as lines of JSON."""
        return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in self.ledger())

    def _post_entry(self, post: Post) -> dict[str, Any]:
        text = "\n\n".join(filter(None, (post.text, post.repost[2] if post.repost else "")))
        whole = Comment(post.id, post, None, post.author, post.published_at, [text], post.attachments)
        whole.deleted = post.deleted
        return self._entry(whole) | {"external_id": self.external_id(post)}

    def _entry(self, one: Comment) -> dict[str, Any]:
        return {
            "network": self.network,
            "external_id": self.external_id(one),
            "page": self.naming.page(one.post.page),
            "post": self.external_id(one.post),
            "comment_id": str(one.id),
            "parent": None if (above := self.naming.parent(one)) is None else self.external_id(above),
            "author": one.author,
            "text": one.text,
            "texts": list(one.texts),
            "attachments": [a.kind for a in one.attachments],
            "published_at": datetime.fromtimestamp(one.published_at, UTC).isoformat(),
            "edited": len(one.texts) > 1,
            "deleted": one.deleted or (self.naming.falls and self._fallen(one)),
            "post_deleted": one.post.deleted,
            "hidden": one.hidden,
            "own": one.own,
            "emergency": one.emergency,
        }

    def _fallen(self, one: Comment) -> bool:
        """The top comment above this one is deleted."""
        while one.parent is not None:
            one = one.parent
        return one.deleted


def load_scenario(path: Any = None, **how: Any) -> World:
    """The world of a scenario file; see `emulator.scenario.load`."""
    from emulator.scenario import load

    return load(path, **how)


class Shaker:
    """A `World.mutator`: before calls, comments appear, vanish, come back and change. Repeatable by its seed.

    `chance`: of one change before a call; `limit`: changes altogether (None: no end); `only`: names of methods.
    """

    def __init__(
        self, seed: int = 0, *, chance: float = 1.0, limit: int | None = None, only: Iterable[str] = ()
    ) -> None:
        self._rng = random.Random(seed)
        self._chance = chance
        self._left = limit
        self._only = frozenset(only)
        self._count = 0

    def __call__(self, world: World, method: str) -> None:
        if (self._only and method not in self._only) or self._left == 0 or self._rng.random() >= self._chance:
            return
        if self._left is not None:
            self._left -= 1
        self.shake(world)

    def shake(self, world: World) -> None:
        """One change under a random living post."""
        rng = self._rng
        posts = [p for p in world.posts() if not p.deleted and not p.closed]
        if not posts:
            return
        self._count += 1
        post = rng.choice(posts)
        alive = [c for c in post.comments.values() if not c.deleted]
        dead = [c for c in post.comments.values() if c.deleted]
        what = rng.choice(("add", "add", "reply", "delete", "delete", "edit", "restore"))
        if what == "delete" and alive:
            world.delete(rng.choice(alive))
        elif what == "edit" and alive:
            world.edit(rng.choice(alive), f"исправлено, раз {self._count}")
        elif what == "restore" and dead:
            world.restore(rng.choice(dead))
        else:
            parent = rng.choice(alive) if what == "reply" and alive else None
            people = [a for a in world.authors.values() if a.kind == "person"]
            author = rng.choice(people).id if people else 1
            world.add_comment(post, f"написано, пока листали, {self._count}", author, parent=parent)
