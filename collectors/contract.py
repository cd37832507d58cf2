"""The collector contract: what a new network has to say, and nothing more.

A network is one file with a subclass of `Collector`. The poll loop (`collectors/poll.py`) decides what is due, calls
the class, lands what it yields and judges completeness; limits, retries and the scrubbing of secrets are `Manners`
(`collectors/manners.py`). A collector never turns an error into an empty list: it raises one of the errors below.
Third-party collectors are found by the entry point group `otklik.collectors`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from collectors.inbox import Inbox, MemoryInbox
from settings import INTERRUPTED, OtklikError
from store.values import Answer, Author, Comment, Known, Outcome, PageRef, Post, Receipt

if TYPE_CHECKING:
    from collectors.manners import Manners
    from settings import Network
    from settings import Page as PageSettings


class CollectError(OtklikError):
    """A page or a post that can't be read. `code` is the network's own code, `outcome` what the page's run becomes.

    `page_wide`: met at one post, but true of the whole page (a captcha, a stop), so trying the next post is pointless.
    """

    outcome: Outcome = Outcome.failed
    page_wide: bool = False

    def __init__(
        self,
        message: str,
        *,
        code: str | int | None = None,
        outcome: Outcome | None = None,
        page_wide: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.code = None if code is None else str(code)
        if page_wide is not None:
            self.page_wide = page_wide
        if outcome is not None:
            self.outcome = outcome


class Unauthorised(CollectError):
    """The token is bad or lacks a right: the whole network's run is pointless until a person acts.

    At one post alone it ends nothing: the poll loop believes it of the page when the next post is refused as well.
    """

    outcome = Outcome.unauthorised


class Blocked(CollectError):
    """The network refuses to show what it has: captcha, ban, private page."""

    outcome = Outcome.blocked


class RateLimited(CollectError):
    """The limit did not lift within `max_wait`; a later run goes on."""

    outcome = Outcome.rate_limited


class Gone(CollectError):
    """The page or post does not exist (any more).

    All comments of such a post are called deleted: say it of a post only when a second sign agrees with the first.
    """

    outcome = Outcome.failed


class Declined(CollectError):
    """The network does not take this answer from this token, and will not later: a person must publish it by hand."""

    outcome = Outcome.failed


class Unavailable(CollectError):
    """The network answered nonsense or nothing after all retries."""

    outcome = Outcome.failed


class Stopped(CollectError):
    """The run was asked to stop (SIGTERM) while it waited for the network; what came before is kept."""

    outcome = Outcome.partial
    page_wide = True
    exit_code = INTERRUPTED


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a network's API can do, read by people (`otklik networks`) and by the contract's tests.

    `posts`: publications can be listed. `history`: what was written before the first run can be read; without it
    comments are only told as they are written (`push`), and once. `counters`: a post tells how many comments it has.
    `replies`: which comment a reply answers is told. `depth`: to so many levels (2: a reply to a reply hangs under the
    top comment; None: however deep). `edits`, `deletions`: can be seen. `attachments`: come with comments.
    `reply`, `hide`, `block`: a person's deed can be carried out; `hide` means a comment that stays and can be shown
    again: deleting is no hiding. `push`: the network tells of news by itself.
    `cost`, `note`: limits and money, and what else one should know (short, Russian).
    """

    posts: bool = True
    comments: bool = True
    history: bool = True
    counters: bool = False
    replies: bool = False
    depth: int | None = None
    edits: bool = False
    deletions: bool = False
    attachments: bool = True
    reply: bool = False
    hide: bool = False
    block: bool = False
    push: bool = False
    cost: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Prices:
    """What reading costs: how many posts, counters and comments one call brings; what `budget` counts (Russian).

    `by_item`: every post and comment that comes is charged, not the call. `dollars`: the price of a unit.
    """

    posts: int = 100
    counters: int = 100
    comments: int = 100
    unit: str = "запросов"
    by_item: bool = False
    dollars: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Some comments of one walk, in the order found. `cursor`: an opaque note for the next walk, kept by the store."""

    comments: Sequence[Comment]
    cursor: str | None = None


@dataclass(slots=True)
class Walk:
    """One walk over a post's comments: what the collector is told, and what it says at the end.

    Told: `full` (every comment must be looked at, for edits and deletions) or not (new ones are enough: the collector
    may stop once `expected` comments are accounted for); `known`: stored comments of this post by external id.
    Said: `complete` = the walk came to its proper end: every comment the network showed during the whole walk was
    yielded (or is in `known`, when not full); `exhaustive` = everything that the network shows was looked at, so what
    is absent is deleted, hidden or left out: the poll loop tells which; `counter` = the network's own count seen during
    the walk, None if none: more than was seen is a gap; `stubs` = deleted ones that are shown as such and counted;
    `problem` why it is not complete (Russian); `note` what no walk can see here, however often it is made (Russian):
    the coverage record tells it, the walk counts as made. `collectors/reading.py` says all of it for a network.
    """

    full: bool
    known: Mapping[str, Known] = field(default_factory=dict)
    cursor: str | None = None
    complete: bool = False
    exhaustive: bool = False
    counter: int | None = None
    stubs: int = 0
    problem: str | None = None
    note: str | None = None
    outcome: Outcome | None = None

    @property
    def live(self) -> int:
        """How many stored comments of this post are neither deleted nor hidden by us."""
        return sum(1 for k in self.known.values() if not k.deleted and not k.hidden)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `otklik doctor`: ok True/False, None = could not be checked; `advice` in Russian."""

    name: str
    ok: bool | None
    detail: str = ""
    advice: str = ""


def page_check(page: PageRef, look: Callable[[], object], advice: str) -> Check:
    """A line of `otklik doctor`: can this page be read? `look` raises CollectError when not."""
    name = f"страница {page.title or page.id}"
    try:
        look()
    except CollectError as e:
        return Check(name, False, str(e), advice)
    return Check(name, True, page.url or page.id)


class Collector(ABC):
    """One network. Constructed once a run; all its calls go through `self.manners`.

    `hosts`: the network's own API hosts; another address in `networks.<name>.api` must be loopback or trusted.
    `needs_token`: nothing can be read without one. `max_reply`: the longest answer in characters, 0 = no limit known.
    `daily_budget`: units a day that the network allows everybody, None when it names no such number; `day_zone`: where
    its day begins. `counter_tells_all`: comments come and go only when a post's counter changes; where it counts some
    of them only (direct replies), every visit looks for new ones. `block_ends`: the network keeps a blocking's term.
    """

    network: ClassVar[str]
    title: ClassVar[str]
    api: ClassVar[str]
    hosts: ClassVar[frozenset[str]]
    needs_token: ClassVar[bool] = True
    requests_per_second: ClassVar[float] = 3.0
    capabilities: ClassVar[Capabilities] = Capabilities()
    max_reply: ClassVar[int] = 0
    prices: ClassVar[Prices] = Prices()
    daily_budget: ClassVar[int | None] = None
    day_zone: ClassVar[str] = "UTC"
    counter_tells_all: ClassVar[bool] = True
    block_ends: ClassVar[bool] = False
    inbox: Inbox
    """Where news that the network tells only once wait to be landed; of this process alone unless `make` gave it."""

    def __init__(self, config: Network, manners: Manners) -> None:
        self.config = config
        self.manners = manners
        self.inbox = MemoryInbox()
        self.configured: tuple[PageSettings, ...] = ()  # all pages of this network that are watched

    @abstractmethod
    def resolve(self, page: PageSettings) -> PageRef:
        """The page named by URL, short name or id -> its stable id, title and address."""

    @abstractmethod
    def server_time(self) -> datetime:
        """The network's clock (UTC)."""

    @abstractmethod
    def posts(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        """Posts of the page with their counters, newest first, at least back to `since` (None: all there are).

        Pinned, reposted and text-less posts count. A kind of post that can't be read for this token raises after the
        other kinds were yielded, or is yielded as a `denied` post with a `problem`.
        """

    @abstractmethod
    def refresh(self, page: PageRef, posts: Sequence[Post]) -> Iterator[Post]:
        """The same posts with their counters of now, as cheaply as the network allows; vanished ones with `gone`."""

    @abstractmethod
    def comments(self, page: PageRef, post: Post, walk: Walk) -> Iterator[Batch]:
        """Every comment and reply at any depth of `post`, as `walk` says; sets the walk's findings before it ends."""

    def prefetch(self, page: PageRef, posts: Sequence[tuple[Post, bool]]) -> None:  # noqa: B027
        """A hint: `comments` is about to be called for these posts (and whether in full), in this order.

        A network that can read several at the price of one call does so now and keeps what came for those calls; what
        fails here is simply asked again by `comments`. About 25 posts at a time.
        """

    def landed(self, page: PageRef) -> None:  # noqa: B027
        """All that was yielded of this page so far is in the store: what the network keeps for us may be let go.

        Called when a page's turn is over, after what came is committed, whether or not the turn ended well; not when
        anything of it could not be landed. A network that tells each piece of news only once and for a short time
        confirms it here and nowhere else.
        """

    @abstractmethod
    def check(self, pages: Iterable[PageRef]) -> Iterator[Check]:
        """What `otklik doctor` tells of this network: token, scopes, reachability of each page."""

    def reply(self, answer: Answer) -> Receipt:
        """Publish an answer under the comment. The same `guid` again gives the same receipt and writes nothing.

        Raises `Declined` when it can't be published here by this program (comments closed, no right, too long), and
        the other errors of the contract; after `Unavailable` or `Stopped` the network may have taken it all the same:
        `find_reply` tells, and trying again with the same `guid` is safe.
        """
        if (why := self.no_replies()) is not None:
            raise Declined(why)
        if not answer.text.strip():
            raise Declined("текст ответа пуст")
        if self.max_reply and len(answer.text) > self.max_reply:
            raise Declined(
                f"{self.title} принимает ответы до {self.max_reply} знаков, а здесь {len(answer.text)}; сократите текст"
            )
        return self.send_reply(answer)

    def no_replies(self) -> str | None:
        """Why nothing can be published here by this program as it is configured (Russian); None when it can."""
        return None if self.capabilities.reply else f"{self.title}: ответы через программу здесь не размещаются"

    def send_reply(self, answer: Answer) -> Receipt:
        """The network's part of `reply`; only with `capabilities.reply`."""
        raise NotImplementedError

    def find_reply(self, answer: Answer, since: datetime, besides: Container[str] = ()) -> Receipt | None:
        """The published answer as the network shows it now; None when it shows none. Only with `capabilities.reply`.

        Looks for the speaker's comment with this text under this comment, published after `since` (about: clocks
        differ); never one of `besides`, which are known to be other answers. Raises what stands in the way of looking.
        """
        raise NotImplementedError

    def block(
        self, page: PageRef, author: Author, until: datetime | None, ground: str, hidden: str | None = None
    ) -> None:
        """Keep an author from writing on the page until then (None: let the author write again). Doing it once more
        does no harm; the last word counts. `ground`: one of clause 10 (insult, illegal, advertising, offtopic, spam).
        `hidden`: a comment of the author that we have hidden, for networks that block by it.

        Raises `Declined` when this program can't do it here, and the other errors of the contract.
        """
        if not self.capabilities.block:
            raise Declined(f"{self.title}: через программу здесь не блокируют")
        if author.id is None:
            raise Declined("сеть не назвала автора")
        self.send_block(page, author, until, ground, hidden)

    def send_block(
        self, page: PageRef, author: Author, until: datetime | None, ground: str, hidden: str | None
    ) -> None:
        """The network's part of `block`; only with `capabilities.block`. The author has an id."""
        raise NotImplementedError

    def hide(self, page: PageRef, external_id: str, hidden: bool) -> None:
        """Keep a comment on the page from being seen by others, or (False) show it again. Nothing is deleted; doing it
        once more does no harm, so it may be repeated after any error.

        Raises `Declined` when this program can't do it here, and the other errors of the contract.
        """
        if not self.capabilities.hide:
            raise Declined(f"{self.title}: скрыть комментарий через программу здесь нельзя")
        self.send_hide(page, external_id, hidden)

    def send_hide(self, page: PageRef, external_id: str, hidden: bool) -> None:
        """The network's part of `hide`; only with `capabilities.hide`."""
        raise NotImplementedError

    def close(self) -> None:
        """Release connections."""
        self.manners.close()
