"""The whole program against a small pretend network: a world, an emulator, a configuration, `collect`, the truth."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cli
import settings
from emulator import USER_TOKEN, Emulator
from emulator.world import Clock, Comment, Page, Post, World
from store import Store
from store.ledger import Comparison, compare
from store.values import Assessment

FIRE = "Горит жилой дом, внутри люди"
ROOT = Path(__file__).parents[1]


class PlainJudge:
    """A classifier of two words: fire is an emergency. `broken`: texts it fails on; `dead`: it fails on everything."""

    model = "plain"

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.dead = False

    def assess(self, text: Any) -> Assessment:
        fire = "горит" in text.text.lower()
        return Assessment(
            urgency="urgent" if fire else "prompt",
            emergency=fire,
            emergency_kind="пожар" if fire else None,
            reasons=("горит",) if fire else (),
            model=self.model,
        )

    def assess_many(self, texts: Sequence[Any]) -> list[Assessment | None]:
        if self.dead:
            raise RuntimeError("out of order")
        return [None if t.text in self.broken else self.assess(t) for t in texts]

    def explain(self, text: Any) -> dict[str, Any]:
        return {}


def two_pages(*, posts: int = 3, comments: int = 4, start: float | None = None, frozen: bool = True) -> World:
    """Two pages, a few posts each, a few comments each (every third a reply), all from before `start`.

    The world's clock stands a little behind ours, so that tests may move it on without leaving the present.
    """
    clock = Clock(time.time() - 3000 if start is None else start, frozen=frozen)
    now = clock.now()
    world = World("vk", clock=clock, start=now)
    people = [world.add_author(1000 + i, f"Житель {i}").id for i in range(5)]
    for p in (1, 2):
        page = world.add_page(f"-{p}", f"Страница {p}", f"stranica{p}")
        for n in range(posts):
            post = world.add_post(page, f"Новость {n}", at=now - 7200 - 3600 * (posts - n))
            last = None
            for i in range(comments):
                parent = last if i % 3 == 2 else None
                last = world.add_comment(
                    post, f"Вопрос {p}.{n}.{i}", people[i % 5], parent=parent, at=now - 3600 - i
                )  # fmt: skip
    return world


CONFIG = """
organisation: {{name: Проба}}
store: {{url: "{url}"}}
networks:
  vk: {{token: "{token}", api: "{api}", requests_per_second: 10000{network}}}
pages: {pages}
collect: {{batch: 50{collect}}}
alerts: {{head: {head}, timeout: 5s, retry_every: 1s}}
"""


def config(
    url: str,
    api: str,
    *,
    pages: Sequence[Mapping[str, Any]] = (),
    token: str = USER_TOKEN,
    network: str = "",
    collect: str = "",
    head: Sequence[str] = (),
) -> str:
    """The text of a configuration; `network` and `collect` add keys (", retries: 1")."""
    listed = [{"network": "vk", "id": "-1", "include": ["posts"]}, {"network": "vk", "id": "-2", "include": ["posts"]}]
    return CONFIG.format(
        url=url,
        api=api,
        token=token,
        network=network,
        collect=collect,
        pages=json.dumps(list(pages) or listed, ensure_ascii=False),
        head=json.dumps(list(head)),
    )


@dataclass
class Rig:
    """A world, its emulator, a database (`store` is open)."""

    world: World
    emulator: Emulator
    store: Store
    url: str
    judge: PlainJudge = field(default_factory=PlainJudge)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> settings.Settings:
        return settings.parse(config(self.url, self.emulator.url, **self.options))

    @property
    def judges(self) -> Any:
        """The program's own judge over this rig's classifier."""
        return cli.judge_with(self.judge, self.settings), self.judge

    def collect(self, **how: Any) -> Any:
        """One run of the whole program's `collect`; its report."""
        return cli.run_collect(self.store, self.settings, judges=self.judges, **how)

    def compare(self) -> Comparison:
        return compare(self.url, self.world.ledger_ndjson().splitlines())

    def agrees(self) -> None:
        found = self.compare()
        assert found.agrees, found.examples()

    def stored(self) -> dict[str, dict[str, Any]]:
        """Every resident's message by external id."""
        return {m["external_id"]: m for m in self.store.messages()}

    def story(self, thing: Post | Comment) -> dict[str, Any]:
        """One message with its revisions, judgements and alerts."""
        return self.store.message(self.stored()[self.key(thing)]["id"], full=True)

    def events(self) -> list[dict[str, Any]]:
        return self.store.events(0, 100_000)

    def alerts(self) -> list[dict[str, Any]]:
        return self.store.alerts()

    # --- the world ---------------------------------------------------------------------------------------------------

    def page(self, number: int = 1) -> Page:
        return self.world.pages[f"-{number}"]

    def post(self, page: int = 1, number: int = 1) -> Post:
        return self.page(page).posts["post", sorted(i for k, i in self.page(page).posts if k == "post")[number - 1]]

    def say(self, text: str, post: Post | None = None, **more: Any) -> Comment:
        """A resident writes now; the world's clock moves on a little."""
        self.world.advance(1)
        return self.world.add_comment(post or self.post(), text, 1001, **more)

    def key(self, thing: Post | Comment) -> str:
        return self.world.external_id(thing)


@contextmanager
def rig(url: str, world: World | None = None, *, faults: Any = None, behaviour: Any = None, **options: Any) -> Any:
    """A running rig; `options` as for `config`."""
    world = world or two_pages()
    with Emulator(world, faults, behaviour=behaviour) as emulator, Store.open(url) as store:
        yield Rig(world, emulator, store, url, options=options)


# --- the command line ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def otklik(*argv: str, stdin: str = "") -> Said:
    """A command in this process, with real byte streams."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = cli.run(list(argv))
            out.flush()
    finally:
        sys.stdin = before
    return Said(code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode())  # type: ignore[attr-defined]


def forked(*argv: str, cwd: Path, env: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    """A command in a child of this process: descriptors and an environment of its own, nothing loaded anew."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if not pid:
            code = 70
            try:
                os.chdir(cwd)
                os.environ.clear()
                os.environ.update(env)
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                for number, file in ((1, out), (2, err)):
                    os.dup2(file.fileno(), number)
                sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115
                sys.stdout, sys.stderr = (open(n, "w", encoding="utf-8", buffering=1) for n in (1, 2))  # noqa: SIM115
                logging.getLogger().handlers.clear()
                for name in list(logging.root.manager.loggerDict):  # what other tests of this process silenced
                    logging.getLogger(name).setLevel(logging.NOTSET)
                code = cli.run(list(argv))
                sys.stdout.flush()
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read()


PROGRAM = [sys.executable, "-m", "cli"]


def environment(**more: str) -> dict[str, str]:
    """For a subprocess: nothing of ours that would change its behaviour."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTKLIK", "VK_", "NO_COLOR", "FORCE_COLOR"))}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "120", **more}


def iterate(text: str) -> Iterator[Any]:
    """The values of NDJSON."""
    for line in text.splitlines():
        yield json.loads(line)
