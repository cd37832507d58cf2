"""Worlds from scenario files and from a generator.

A scenario is YAML: pages, their posts, comments over time, changes. Times are offsets from the scenario's zero: `90s`,
`-2d`, `1h30m`, or from a mark: `t2`, `t2-5m`. The whole format is the models below; the built-in example is
`emulator/scenarios/demo.yaml`. What lies in the future of the clock happens when the clock gets there.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from emulator import texts
from emulator.world import Clock, Comment, Page, Post, World
from settings import ConfigError, os_problem
from store.values import Attachment

MAX_BYTES = 5_000_000
DEMO = Path(__file__).with_name("scenarios") / "demo.yaml"

_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TIME = re.compile(r"^(?P<mark>[a-z][a-z0-9_]*)?\s*(?P<sign>[+-])?\s*(?P<parts>(?:\d+(?:\.\d+)?[smhd]\s*)*)$")


def _when(value: Any) -> str:
    text = str(value).strip().lower()
    if isinstance(value, bool) or not text or not (text == "0" or _TIME.match(text)):
        raise ValueError("нужно время: 0, -2d, 1h30m или отметка, например t2-5m")
    return text


When = Annotated[str, BeforeValidator(_when)]
Name = Annotated[str, BeforeValidator(lambda v: str(v) if isinstance(v, int) and not isinstance(v, bool) else v)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AttachmentModel(_Model):
    kind: str
    url: str | None = None
    title: str | None = None
    id: str | None = None


Attached = list[AttachmentModel | str]


class AuthorModel(_Model):
    """`id` negative: a community."""

    id: int
    name: str = ""
    kind: Literal["person", "community", "deleted", "banned", "hidden"] = "person"
    screen_name: str = ""


class CommentModel(_Model):
    """`by`: an author's id, or `page` for the page itself; absent: somebody. Without `at`: with its parent or post."""

    at: When | None = None
    by: int | Literal["page"] | None = None
    text: str = ""
    key: str | None = None
    attachments: Attached = []
    emergency: bool | None = None
    replies: list[CommentModel] = []
    likes: int = 0


class FillModel(_Model):
    """Generated comments: `count` of them between two times; `replies` is the share of them that answer another one."""

    count: int = Field(ge=0, le=1_000_000)
    since: When = "-2d"
    until: When = "0"
    pool: Literal["mixed", "calm", "complaints", "thanks", "emergencies", "figurative"] = "calm"
    replies: float = Field(default=0.25, ge=0, le=1)
    answered: float = Field(default=0.1, ge=0, le=1)


class RepostModel(_Model):
    owner: int
    id: int = 1
    text: str = ""


class PostModel(_Model):
    key: str | None = None
    kind: Literal["post", "photo", "video", "topic"] = "post"
    at: When = "0"
    text: str = ""
    title: str = ""
    by: int | None = None
    pinned: bool = False
    closed: bool = False
    unreadable: bool = False
    repost: RepostModel | None = None
    album: int = 1
    attachments: Attached = []
    comments: list[CommentModel] = []
    fill: FillModel | list[FillModel] | None = None


class PageModel(_Model):
    id: Name
    title: str = ""
    screen_name: str = ""
    errors: dict[str, int] = {}
    posts: list[PostModel] = []


class ChangeModel(_Model):
    """Exactly one of the verbs; each names the `key` of a comment (`…_post`, `close`, `open`: of a post)."""

    at: When
    edit: str | None = None
    text: str | None = None
    delete: str | None = None
    restore: str | None = None
    delete_post: str | None = None
    close: str | None = None
    open: str | None = None
    delete_some: str | None = None
    edit_some: str | None = None
    count: int = Field(default=1, ge=1)


class ScenarioModel(_Model):
    network: str = "vk"
    seed: int = 1
    start: datetime | Literal["now"] = "now"
    frozen: bool = False
    begin: When = "0"
    marks: dict[str, When] = {}
    authors: list[AuthorModel] = []
    pages: list[PageModel] = Field(min_length=1)
    changes: list[ChangeModel] = []


_VERBS = ("edit", "delete", "restore", "delete_post", "close", "open", "delete_some", "edit_some")
_WORDS = {
    "missing": "обязательный ключ не задан",
    "extra_forbidden": "неизвестный ключ; уберите его или исправьте опечатку",
    "string_type": "нужна строка",
    "int_type": "нужно целое число",
    "int_parsing": "нужно целое число",
    "bool_parsing": "нужно true или false",
    "list_type": "нужен список",
    "dict_type": "нужен раздел с ключами",
    "model_type": "нужен раздел с ключами",
    "too_short": "список пустой; нужна хотя бы одна запись",
}


def parse(text: str, name: str = "scenario.yaml") -> ScenarioModel:
    """A checked scenario; ConfigError names the file, the line or the key."""
    try:
        if any(isinstance(t, yaml.AliasToken) for t in yaml.scan(text)):
            raise ConfigError(f"{name}: ссылки YAML (*) здесь не нужны; запишите значение целиком")
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as e:
        line = e.problem_mark.line + 1 if e.problem_mark else 1
        raise ConfigError(f"{name}:{line}: это не YAML ({e.problem}); проверьте отступы и кавычки") from None
    except RecursionError:
        raise ConfigError(f"{name}: ответы вложены слишком глубоко; сделайте уровней меньше") from None
    except (yaml.YAMLError, ValueError):
        raise ConfigError(f"{name}: файл не разбирается; сохраните его как YAML в UTF-8") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: нужен раздел с ключами pages, authors, changes")
    try:
        model = ScenarioModel.model_validate(data)
    except ValidationError as e:
        error = e.errors()[0]
        where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error["loc"]).lstrip(".")
        why = _WORDS.get(error["type"], str((error.get("ctx") or {}).get("error", error["msg"])))
        raise ConfigError(f"{name}: {where}: {why}") from None
    for i, change in enumerate(model.changes):
        verbs = [v for v in _VERBS if getattr(change, v) is not None]
        if len(verbs) != 1:
            raise ConfigError(f"{name}: changes[{i}]: нужно ровно одно действие из {', '.join(_VERBS)}")
        if verbs == ["edit"] and change.text is None:
            raise ConfigError(f"{name}: changes[{i}]: правке нужен новый текст в text")
    return model


def _built_in(network: str | None) -> Path:
    own = DEMO.with_name(f"{network}.yaml")
    return own if network is not None and own.exists() else DEMO


def load(
    scenario: str | Path | None = None,
    *,
    network: str | None = None,
    at: str | None = None,
    start: float | None = None,
    frozen: bool | None = None,
) -> World:
    """The world of a scenario file, its clock at `at` (or the scenario's own `begin`). None: the built-in one of the
    network, `scenarios/<network>.yaml`, or the demo's as this network would show it.

    Without a `start` the zero is chosen so that the last mark falls on the present: moving on to it brings the world's
    clock to the real time, and nothing is ever dated in the future.
    """
    path = _built_in(network) if scenario is None else Path(scenario)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(
                f"{path.name}: сценарий больше {MAX_BYTES // 1_000_000} МБ; для больших миров есть генератор"
            )
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise ConfigError(f"сценарий {path.name} не читается ({os_problem(e)}); проверьте путь") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path.name}: это не текст UTF-8; пересохраните файл") from None
    model = parse(text, path.name)
    if network is not None and network != model.network and scenario is None:
        model = shown_by(model, network)
    if network is not None and network != model.network:
        raise ConfigError(f"{path.name}: сценарий для сети {model.network}, а не {network}; выберите другой")
    return build(model, path.name, at=at, start=start, frozen=frozen)


def shown_by(model: ScenarioModel, network: str) -> ScenarioModel:
    """The same story in another network; kinds of posts that it does not have become those that it has."""
    from emulator.face import face_of

    kinds = face_of(network).kinds
    pages = [
        page.model_copy(
            update={"posts": [p if p.kind in kinds else p.model_copy(update={"kind": kinds[0]}) for p in page.posts]}
        )
        for page in model.pages
    ]
    return model.model_copy(update={"network": network, "pages": pages})


def build(
    model: ScenarioModel,
    name: str = "scenario",
    *,
    at: str | None = None,
    start: float | None = None,
    frozen: bool | None = None,
) -> World:
    """A world from a checked scenario."""
    return _Builder(model, name, at, start, frozen).world


class _Builder:
    def __init__(
        self, model: ScenarioModel, name: str, at: str | None, start: float | None, frozen: bool | None
    ) -> None:
        self.name = name
        self.rng = random.Random(model.seed)
        self.comments: dict[str, Comment] = {}
        self.posts: dict[str, Post] = {}
        self.keys = _keys(model, name)
        self.offsets: dict[str, float] = {}
        for mark, when in model.marks.items():
            self.offsets[mark] = self.seconds(when)
        if start is None:
            last = max([0.0, *self.offsets.values()])
            start = time.time() - last if isinstance(model.start, str) else model.start.timestamp()
        begin = start + self.seconds(_when(at) if at is not None else model.begin)
        clock = Clock(begin, frozen=model.frozen if frozen is None else frozen)
        self.start = start
        self.world = World(model.network, clock=clock, start=start)
        self.world.marks = {mark: start + offset for mark, offset in self.offsets.items()}
        for author in model.authors:
            self.world.add_author(author.id, author.name, author.kind, author.screen_name)
        self.people = [a.id for a in model.authors if a.kind == "person"] or [self._somebody(i) for i in range(40)]
        for page in model.pages:
            self.page(page)
        for change in model.changes:
            self.change(change)
        self.world.sync()

    def _somebody(self, i: int) -> int:
        return self.world.add_author(1000 + i, texts.name(self.rng)).id

    def seconds(self, when: str) -> float:
        m = _TIME.match(when)
        if when == "0" or m is None:
            return 0.0
        base = 0.0
        if m["mark"]:
            if m["mark"] not in self.offsets:
                raise ConfigError(f"{self.name}: отметка времени {m['mark']} не описана в marks; добавьте её")
            base = self.offsets[m["mark"]]
        size = sum(float(n) * _UNIT[u] for n, u in re.findall(r"(\d+(?:\.\d+)?)([smhd])", m["parts"]))
        return base + (-size if m["sign"] == "-" else size)

    def time(self, when: str) -> float:
        return self.start + self.seconds(when)

    def page(self, model: PageModel) -> None:
        page = self.world.add_page(model.id, model.title, model.screen_name, errors=dict(model.errors))
        for post in model.posts:
            at = self.time(post.at)
            self.world.schedule(at, lambda p=post, t=at: self.post(page, p, t))

    def post(self, page: Page, model: PostModel, at: float) -> None:
        repost = model.repost
        post = self.world.add_post(
            page,
            model.text,
            kind=model.kind,
            at=at,
            title=model.title,
            author=page.author_id if model.by is None else model.by,
            pinned=model.pinned,
            closed=model.closed,
            unreadable=model.unreadable,
            repost=None if repost is None else (repost.owner, repost.id, repost.text),
            album=model.album,
            attachments=_attached(model.attachments),
            likes=self.rng.randrange(60),
        )
        if model.key:
            self.posts[model.key] = post
        for comment in model.comments:
            self.later(post, comment, None, at)
        fills = model.fill if isinstance(model.fill, list) else [model.fill] if model.fill else []
        for fill in fills:
            self.fill(post, fill)

    def later(self, post: Post, model: CommentModel, parent: Comment | None, earliest: float) -> None:
        at = earliest if model.at is None else max(self.time(model.at), earliest)
        self.world.schedule(at, lambda: self.comment(post, model, parent, at))

    def comment(self, post: Post, model: CommentModel, parent: Comment | None, at: float) -> None:
        by = post.page.author_id if model.by == "page" else model.by
        one = self.world.add_comment(
            post,
            model.text,
            self.rng.choice(self.people) if by is None else int(by),
            parent=parent,
            at=at,
            attachments=_attached(model.attachments),
            emergency=model.emergency,
            likes=model.likes,
        )
        if model.key:
            self.comments[model.key] = one
        for reply in model.replies:
            self.later(post, reply, one, at)

    def fill(self, post: Post, model: FillModel) -> None:
        since, until = max(self.time(model.since), post.published_at), self.time(model.until)
        if until < since:
            raise ConfigError(f"{self.name}: у fill конец раньше начала или публикации; исправьте since и until")
        # One generator a fill: when it happens must not change what another one writes.
        rng = random.Random(self.rng.random())
        for at in sorted(rng.uniform(since, until) for _ in range(model.count)):
            seed = rng.random()
            self.world.schedule(at, lambda t=at, s=seed: self.one_of_fill(post, model, t, random.Random(s)))

    def one_of_fill(self, post: Post, model: FillModel, at: float, rng: random.Random) -> None:
        alive = [c for c in post.comments.values() if not c.deleted]
        parent = rng.choice(alive) if alive and rng.random() < model.replies else None
        if parent is not None and not parent.own and rng.random() < model.answered:
            text, emergency, author = *texts.write(rng, "answers"), post.page.author_id
        else:
            text, emergency, author = *texts.write(rng, model.pool), rng.choice(self.people)
        self.world.add_comment(post, text, author, parent=parent, at=at, emergency=emergency)

    def change(self, model: ChangeModel) -> None:
        verb = next(v for v in _VERBS if getattr(model, v) is not None)
        key = getattr(model, verb)
        of_post = verb in ("delete_post", "close", "open", "delete_some", "edit_some")
        if key not in self.keys[1 if of_post else 0]:
            what = "публикации" if of_post else "комментария"
            raise ConfigError(f"{self.name}: {verb}: {what} с ключом {key} в сценарии нет; исправьте key")
        self.world.schedule(self.time(model.at), lambda: self.happen(verb, key, model))

    def happen(self, verb: str, key: str, model: ChangeModel) -> None:
        if verb in ("edit", "delete", "restore"):
            one = self.comments.get(key)
            if one is None:
                raise ConfigError(f"{self.name}: {verb} {key}: в это время комментария ещё нет; сдвиньте at")
            if verb == "edit":
                self.world.edit(one, model.text or "")
            else:
                (self.world.delete if verb == "delete" else self.world.restore)(one)
            return
        post = self.posts.get(key)
        if post is None:
            raise ConfigError(f"{self.name}: {verb} {key}: в это время публикации ещё нет; сдвиньте at")
        if verb == "delete_post":
            self.world.delete_post(post)
        elif verb in ("close", "open"):
            post.closed = verb == "close"
        else:
            named = set(map(id, self.comments.values()))
            plain = [c for c in post.comments.values() if not c.deleted and not c.own and id(c) not in named]
            for one in self.rng.sample(plain, min(model.count, len(plain))):
                if verb == "delete_some":
                    self.world.delete(one)
                else:
                    self.world.edit(one, one.text + " (исправил)")


def _keys(model: ScenarioModel, name: str) -> tuple[set[str], set[str]]:
    """The keys of comments and of posts, each unique."""
    comments: set[str] = set()
    posts: set[str] = set()

    def add(key: str | None, known: set[str]) -> None:
        if key is not None and key in known:
            raise ConfigError(f"{name}: ключ {key} встречается дважды; дайте разные")
        if key is not None:
            known.add(key)

    def walk(items: Sequence[CommentModel]) -> None:
        for item in items:
            add(item.key, comments)
            walk(item.replies)

    pages: set[str] = set()
    for page in model.pages:
        add(page.id, pages)
        if not re.fullmatch(r"-?\d{1,15}", page.id):
            raise ConfigError(f"{name}: страница {page.id}: id — это число, у сообщества с минусом")
        for post in page.posts:
            add(post.key, posts)
            walk(post.comments)
    return comments, posts


def _attached(items: Iterable[AttachmentModel | str]) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(x, id="1_1") if isinstance(x, str) else Attachment(x.kind, x.url, x.title, x.id) for x in items
    )


# --- the generator ----------------------------------------------------------------------------------------------------


def generate(
    seed: int = 1,
    pages: int = 2,
    posts: int = 10,
    comments: int = 500,
    depth: int = 3,
    *,
    kinds: Sequence[str] = ("post",),
    days: float = 20.0,
    start: float | None = None,
    frozen: bool = True,
    replies: float = 0.35,
    deleted: float = 0.02,
    edited: float = 0.02,
    pool: str = "mixed",
    people: int = 200,
    network: str = "vk",
) -> World:
    """A big world: `comments` altogether, spread unevenly over `posts` a page; the same for the same arguments.

    Replies nest at most `depth` levels. Shares: `replies` answer a comment, `deleted` are gone, `edited` have two
    versions. Among the authors are communities and deleted, banned and hidden people; some comments have only a sticker
    or a photo; the first post of each page is pinned, one has no text, one is a repost, one is closed to new comments.
    """
    rng = random.Random(seed)
    now = time.time() if start is None else start
    world = World(network, clock=Clock(now, frozen=frozen), start=now)
    authors = _population(world, rng, people)
    every: list[Post] = []
    span = days * 86400
    for p in range(pages):
        page = world.add_page(f"-{100001 + p}", f"Администрация, страница {p + 1}", f"otklik_page{p + 1}")
        stamps = sorted(now - span * rng.uniform(0.1, 1) for _ in range(posts))
        for i, at in enumerate(stamps):
            kind = kinds[i % len(kinds)]
            text = "" if i % 9 == 4 and kind == "post" else rng.choice(texts.POSTS)
            repost = (-200001, 7 + i, "Новость соседей") if i % 9 == 5 and kind == "post" else None
            post = world.add_post(
                page, text, kind=kind, at=at, pinned=i == 0 and kind == "post", repost=repost, likes=rng.randrange(90)
            )
            post.closed = i % 9 == 6 and kind == "post"
            every.append(post)
    if not every:
        return world
    weights = [rng.paretovariate(1.2) for _ in every]
    targets = rng.choices(every, weights, k=comments)
    written: dict[Post, list[Comment]] = {post: [] for post in every}
    level: dict[Comment, int] = {}
    for at, post in sorted(((rng.uniform(x.published_at, now), x) for x in targets), key=lambda pair: pair[0]):
        row = written[post]
        parent = rng.choice(row) if row and rng.random() < replies and post.kind != "topic" else None
        if parent is not None and level[parent] >= depth:
            parent = None
        text, emergency, attached, author = _words(rng, post, pool, authors, parent)
        one = world.add_comment(
            post, text, author, parent=parent, at=at, emergency=emergency, attachments=attached, likes=rng.randrange(9)
        )
        level[one] = 1 if parent is None else level[parent] + 1
        row.append(one)
    for row in written.values():
        for one in row:
            roll = rng.random()
            if roll < deleted:
                world.delete(one)
            elif roll < deleted + edited and one.text:
                world.edit(one, one.text + " (поправил)")
    return world


def _population(world: World, rng: random.Random, people: int) -> list[int]:
    """Mostly people; some deleted, banned, hidden, some communities."""
    kinds = ("deleted", "banned", "hidden", "community")
    ids = []
    for i in range(max(people, 12)):
        kind = kinds[i // 3] if i < 12 else "person"
        number = -(300001 + i) if kind == "community" else 5000 + i
        ids.append(world.add_author(number, f"Сообщество {i}" if kind == "community" else texts.name(rng), kind).id)
    return ids


def _words(
    rng: random.Random, post: Post, pool: str, authors: Sequence[int], parent: Comment | None
) -> tuple[str, bool, tuple[Attachment, ...], int]:
    """What one generated comment consists of: text, emergency, attachments, author."""
    roll = rng.random()
    if parent is not None and not parent.own and roll < 0.15:
        return (*texts.write(rng, "answers"), (), post.page.author_id)
    author = rng.choice(authors)
    if roll > 0.98:
        return "", False, (Attachment("sticker", id=f"0_{rng.randrange(1, 9000)}"),), author
    if roll > 0.96:
        return "", False, (Attachment("photo", id=f"{abs(author)}_{rng.randrange(1, 9000)}"),), author
    text, emergency = texts.write(rng, pool)
    return text, emergency, (), author
