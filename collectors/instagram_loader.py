"""Pages of Instagram that are not ours, through instaloader: as the person sees them whose session it is.

Against the rules of Instagram, may cost that person's account, and breaks whenever Instagram changes; so it is off
unless `networks.instagram.mode: instaloader` says otherwise, and only reads. instaloader builds the requests and reads
the answers; turns, limits, patience and addresses are ours: its context is told neither to sleep nor to repeat, and
every session it makes gets our adapter before it sends. (It copies sessions without their adapters, so mounting one
once would not do.)

Comments come newest first, all in one walk: a short walk would save nothing that the site lets us save. Long threads
come cut (instaloader reads one page of replies): the counter shows the gap, and as long as there is one nothing under
that post is called deleted.
"""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from collectors.contract import Batch, Blocked, Check, CollectError, Gone, Unauthorised, Unavailable, Walk, page_check
from collectors.instagram_items import SITE, comment_of
from collectors.manners import Manners, Retry
from collectors.raw import clean, whole
from collectors.transport import requests_adapter
from settings import ConfigError, InstagramNetwork, os_problem, remember_secret
from store.values import Comment, Outcome, PageRef, Post

if TYPE_CHECKING:
    import requests

T = TypeVar("T")
HOSTS = frozenset({"www.instagram.com", "i.instagram.com"})
GUIDE = "docs/ru/instagram-token.md"
PINNED = 3  # posts that may stand before the newest, whatever their age
_SESSION = "networks.instagram.session"
MAX_SESSION = 100_000  # bytes of a session file
_ASK = "войдите в Instagram под этой учётной записью, подтвердите вход и обновите файл сеанса"


class Instaloaded:
    """What `InstagramCollector` asks when it reads through instaloader."""

    def __init__(self, config: InstagramNetwork, manners: Manners) -> None:
        if not config.user or not config.session:
            raise ConfigError(
                f"networks.instagram: для mode: instaloader нужны user и session (файл сеанса; как: {GUIDE})"
            )
        try:
            import instaloader
        except ImportError:
            raise ConfigError(
                "networks.instagram: для mode: instaloader не хватает библиотеки; "
                "установите её: pip install 'otklik[instaloader]'"
            ) from None
        self._lib = instaloader
        self._manners = manners
        self._context = _context(manners, config.user, _session_cookies(config.session), self)
        manners.on_close(self._context.close)
        self._posts: dict[str, Any] = {}  # post -> instaloader's own
        self._accounts: dict[str, Any] = {}
        self.date: datetime | None = None  # of the newest answer

    # --- what is asked -----------------------------------------------------------------------------------------------

    def account(self, name: str) -> dict[str, str]:
        """Id, username and name of an account."""
        profile = self._profile(name)
        found = self._reading(lambda: (profile.userid, profile.username, profile.full_name))
        return {"id": str(found[0]), "username": found[1], "name": clean(found[2])}

    def server_time(self) -> datetime:
        if self.date is None:
            self._reading(self._context.test_login)
        return self.date or datetime.now(UTC)

    def posts(self, page: PageRef, since: datetime | None) -> Iterator[Post]:
        listed = self._reading(lambda: iter(self._profile(_name(page)).get_posts()))
        old = 0
        while (raw := self._reading(lambda: next(listed, None))) is not None:
            post = self._reading(lambda raw=raw: self._post(raw, page))
            yield post
            old = old + 1 if since is not None and post.published_at is not None and post.published_at < since else 0
            if old > PINNED:
                return

    def refresh(self, page: PageRef, posts: Sequence[Post]) -> Iterator[Post]:
        for post in posts:
            try:
                yield self._reading(lambda post=post: self._post(self._fresh(post), page))
            except Gone:
                yield replace(post, gone=self._is_gone(page, post))

    def comments(self, page: PageRef, post: Post, walk: Walk) -> Iterator[Batch]:
        raw = self._posts.get(post.id) or self._reading(lambda: self._fresh(post))
        listed = self._reading(lambda: iter(raw.get_comments()))
        seen: set[str] = set()
        while (one := self._reading(lambda: next(listed, None))) is not None:
            found = [self._comment(one, page, post, None)]
            above = found[0].external_id
            answers = iter(one.answers)
            while (answer := self._reading(lambda answers=answers: next(answers, None))) is not None:
                found.append(self._comment(answer, page, post, above))
            fresh = [c for c in found if c.external_id not in seen]
            seen.update(c.external_id for c in fresh)
            if fresh:
                yield Batch(fresh)
        counter = self._reading(lambda: self._count(raw))
        if counter and not seen:
            walk.outcome = Outcome.blocked
            walk.problem = f"Instagram считает комментариев {counter}, но не показывает ни одного; {_ASK}"
            return
        # While more is counted than shown, what was shown before may stand behind a cut: it is not called deleted.
        walk.complete, walk.exhaustive = True, not counter or len(seen) >= counter
        walk.counter = counter

    def check(self, pages: Iterable[PageRef]) -> Iterator[Check]:
        name = "сеанс Instagram"
        try:
            user = self._reading(self._context.test_login)
        except CollectError as e:
            yield Check(name, False, str(e), f"обновите файл сеанса: {GUIDE}")
            return
        if not user:
            yield Check(name, False, "Instagram не узнаёт этот сеанс", f"обновите файл сеанса: {GUIDE}")
            return
        yield Check(name, True, f"вход выполнен под {clean(user)[:60]}", "это чтение против правил Instagram")
        for page in pages:
            yield page_check(page, lambda page=page: self.account(_name(page)), "проверьте имя страницы")

    # --- instaloader's things ----------------------------------------------------------------------------------------

    def _profile(self, name: str) -> Any:
        if name not in self._accounts:
            self._accounts[name] = self._reading(lambda: self._lib.Profile.from_username(self._context, name))
        return self._accounts[name]

    def _fresh(self, post: Post) -> Any:
        return self._lib.Post.from_shortcode(self._context, post.url.rstrip("/").rpartition("/")[2])

    def _is_gone(self, page: PageRef, post: Post) -> bool:
        """Deleted only if the page itself is shown, and the post is asked for twice."""
        self._accounts.pop(_name(page), None)
        self._profile(_name(page))
        try:
            self._reading(lambda: self._fresh(post))
        except Gone:
            return True
        return False

    def _post(self, raw: Any, page: PageRef) -> Post:
        id = str(raw.mediaid)
        self._posts[id] = raw
        return Post(
            network="instagram",
            id=id,
            page_id=page.id,
            published_at=raw.date_utc.replace(tzinfo=UTC),
            counter=self._count(raw),
            url=f"{SITE}p/{raw.shortcode}/",
            text=clean(raw.caption),
        )

    @staticmethod
    def _count(raw: Any) -> int | None:
        """The counter that came with the post; the library would ask for it once more."""
        came = whole(getattr(raw, "_node", {}).get("comments"))
        return came if came is not None else whole(raw.comments)

    def _comment(self, raw: Any, page: PageRef, post: Post, above: str | None) -> Comment:
        def build() -> Comment:
            owner = raw.owner
            return comment_of(
                page,
                post,
                str(raw.id),
                str(owner.userid),
                clean(owner.username) or None,
                clean(raw.text),
                raw.created_at_utc.replace(tzinfo=UTC),  # instaloader's times are naive UTC
                above,
            )

        return self._reading(build)

    def _reading(self, read: Callable[[], T]) -> T:
        """What instaloader says in its own errors, as ours. Requests inside have had their turns already."""
        try:
            return read()
        except CollectError:
            raise
        except Exception as e:  # a library that reads a site may stumble over anything
            raise as_error(e, self._lib) from None


def as_error(e: BaseException, lib: Any) -> CollectError:
    """An error of instaloader, by its kind and what it was caused by; its text holds addresses and is not shown."""
    errors = lib.exceptions
    chain: list[BaseException] = []
    at: BaseException | None = e
    while at is not None and len(chain) < 5:
        chain.append(at)
        at = at.__cause__

    def any_of(*kinds: type[BaseException]) -> bool:
        return any(isinstance(one, kinds) for one in chain)

    said = type(e).__name__
    if any_of(errors.AbortDownloadException):
        if any("login page" in str(one) for one in chain):
            return Unauthorised(f"Instagram завершила сеанс; {_ASK}", code=said)
        return Blocked(f"Instagram подозревает робота; {_ASK} и собирайте реже", code=said, page_wide=True)
    if any_of(errors.LoginRequiredException, errors.LoginException):
        return Unauthorised(f"Instagram требует входа; {_ASK}", code=said)
    if any_of(errors.PrivateProfileNotFollowedException):
        return Blocked("страница Instagram закрыта; владелец сеанса должен быть на неё подписан", code=said)
    if any_of(errors.QueryReturnedForbiddenException):
        return Blocked("Instagram отказала в доступе; соберите позже и реже", code=said)
    if any_of(errors.ProfileNotExistsException, errors.QueryReturnedNotFoundException):
        return Gone("такого в Instagram нет или оно скрыто от владельца сеанса", code=said)
    if isinstance(e, errors.BadResponseException) and "metadata" in str(e):
        return Gone("публикации в Instagram нет или она скрыта от владельца сеанса", code=said)
    return Unavailable(
        f"ответ Instagram не разобран ({said}); обновите instaloader, а если не поможет — ждите исправления", code=said
    )


def _name(page: PageRef) -> str:
    return page.url.rstrip("/").rpartition("/")[2] or page.id


def _session_cookies(path: str) -> dict[str, str]:
    """The cookies of a session file: JSON, or what `instaloader --login` writes. A pickle is read without classes, so a
    foreign file can't run anything."""

    class Plain(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            raise pickle.UnpicklingError("no classes here")

    try:
        with Path(path).expanduser().open("rb") as f:
            data = f.read(MAX_SESSION)
    except OSError as e:
        raise ConfigError(f"{_SESSION}: файл сеанса не читается ({os_problem(e)}); как: {GUIDE}") from None
    try:
        found = json.loads(data) if data.lstrip()[:1] == b"{" else Plain(io.BytesIO(data)).load()
    except Exception:  # a broken pickle may fail in any way
        found = None
    if not isinstance(found, dict) or not all(isinstance(v, str) for kv in found.items() for v in kv):
        raise ConfigError(f"{_SESSION}: это не файл сеанса; создайте его заново (как: {GUIDE})")
    for name in ("sessionid", "csrftoken"):
        if not found.get(name):
            raise ConfigError(f"{_SESSION}: в файле сеанса нет {name}; создайте его заново (как: {GUIDE})")
        remember_secret(found[name])
    return found


def _context(manners: Manners, user: str, cookies: dict[str, str], owner: Instaloaded) -> Any:
    """instaloader's context whose requests go through `manners` and only to Instagram (or the loopback address)."""
    from instaloader.exceptions import ConnectionException, TooManyRequestsException
    from instaloader.instaloadercontext import InstaloaderContext, RateController

    gate = manners.gate
    if gate is None:
        raise ValueError("instaloader needs manners with a gate")

    def address(url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.hostname not in HOSTS:
            raise Unavailable(f"адрес {parts.hostname or '?'} не относится к Instagram; запрос не отправлен")
        return gate.base + url.split("/", 3)[3] if gate.local else url

    adapter = requests_adapter(gate, address, plain=True)

    class Patient(RateController):
        """Turns are ours."""

        def wait_before_query(self, query_type: str) -> None:
            pass

        def handle_429(self, query_type: str) -> None:
            pass

    class Context(InstaloaderContext):
        def error(self, msg: Any, repeat_at_end: bool = True) -> None:
            """Nothing is printed."""

        def get_json(
            self,
            path: str,
            params: dict[str, Any],
            host: str = "www.instagram.com",
            session: requests.Session | None = None,
            response_headers: dict[str, Any] | None = None,
            use_post: bool = False,
        ) -> dict[str, Any]:
            sess, headers = session or self._session, {} if response_headers is None else response_headers
            ask = super().get_json
            found = self._turn(sess, path, lambda: ask(path, params, host, sess, headers, use_post))
            owner.date = _date(headers) or owner.date
            return found

        def _get_page(self, session: requests.Session, path: str) -> str:
            ask = super()._get_page
            return self._turn(session, "page", lambda: ask(session, path))

        def _turn(self, session: requests.Session, what: str, ask: Callable[[], T]) -> T:
            session.mount("https://", adapter)
            session.trust_env = False
            if gate.proxy:
                session.proxies.update({"https": gate.proxy})
            session.headers.pop("Host", None)  # the library names it, whatever the address

            def send() -> T:
                try:
                    return ask()
                except ConnectionException as e:
                    if isinstance(e, TooManyRequestsException) or isinstance(e.__cause__, TooManyRequestsException):
                        raise Retry("HTTP 429", limited=True, code="429") from None
                    if type(e) is ConnectionException and not _final(e.__cause__):
                        raise Retry("Instagram не ответила как надо") from None
                    raise

            return manners.call(send, what=what)

    context = Context(
        sleep=False, quiet=True, max_connection_attempts=1, request_timeout=gate.timeout, rate_controller=Patient
    )
    context.load_session(user, cookies)
    return context


def _final(cause: BaseException | None) -> bool:
    """A refusal that a repetition won't change."""
    return type(cause).__name__ in {"QueryReturnedBadRequestException", "QueryReturnedNotFoundException"}


def _date(headers: Any) -> datetime | None:
    try:
        return parsedate_to_datetime(headers.get("Date") or "").astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
