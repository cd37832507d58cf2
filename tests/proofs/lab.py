"""A laboratory for whole runs: an emulator in a process of its own, runs in forked children that may be killed.

Everything heavy is loaded once in the parent, before it forks, so that a run takes a fraction of a second and a
thousand of them can be killed. The emulator and the receiver of alerts live in a spawned process: the parent has no
threads.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import signal
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from settings import Settings, parse
from store import Store
from store.ledger import Comparison, compare

TOKEN = "otklik-user-token"
PAGES = 4
STEP_S = 60.0

EMERGENCIES = (
    "Горит жилой дом в Луткуне, внутри люди, где пожарные?!",
    "Сильный запах газа в подъезде на Ленина, боимся взрыва",
    "Сель сошёл на дорогу Ахты — Хнов, машину унесло, там люди",
    "Провод под напряжением упал у школы в Хрюге, дети рядом",
)
ORDINARY = (
    "Нет воды в Хкеме с утра",
    "Когда вывезут мусор из Зрыха?",
    "Спасибо за новую дорогу!",
    "Фонари на Школьной не горят вторую неделю",
    "Маршрутка опять не пришла",
    "Поздравляю всех с праздником",
    "Яма у рынка, колесо пробил",
    "Цены взлетели, просто взрыв",
)


@dataclass(frozen=True)
class Storm:
    """What happens in the pretend network: `steps` of a minute each, with so many changes a step.

    Every page has one post at a time that gets most of the comments, as news do; the others get one now and then.
    """

    seed: int = 1
    steps: int = 100
    comments: int = 100
    edits: int = 3
    deletions: int = 2
    posts: int = 24
    emergencies: float = 0.01


def build(storm: Storm) -> Any:
    """A world in which everything is scheduled already; it happens as the clock is moved on."""
    from emulator.world import Clock, World

    rng = random.Random(storm.seed)
    start = time.time()
    world = World("vk", clock=Clock(start, frozen=True), start=start)
    people = [world.add_author(1000 + i, f"Житель {i}").id for i in range(50)]
    posts = []
    for p in range(PAGES):
        page = world.add_page(f"-{100 + p}", f"Страница {p + 1}")
        posts.append([world.add_post(page, f"Новость {i}", at=start - 3600 * (i + 1)) for i in range(storm.posts)])
    count = iter(range(storm.steps))

    def step() -> None:
        now = next(count) // 8 % storm.posts
        for _ in range(storm.comments):
            row = rng.choice(posts)
            post = row[now] if rng.random() < 0.95 else rng.choice(row)
            texts = EMERGENCIES if rng.random() < storm.emergencies else ORDINARY
            recent = list(post.comments.values())[-20:]
            parent = rng.choice(recent) if recent and rng.random() < 0.3 else None
            world.add_comment(post, rng.choice(texts), rng.choice(people), parent=parent)
        for change, n in ((world.edit, storm.edits), (world.delete, storm.deletions)):
            for _ in range(n):
                post = rng.choice(posts)[now]
                alive = [c for c in list(post.comments.values())[-50:] if not c.deleted]
                if not alive:
                    continue
                one = rng.choice(alive)
                if change is world.edit:
                    world.edit(one, one.text + " (исправлено)")
                else:
                    world.delete(one)

    for i in range(storm.steps):
        world.schedule(start + STEP_S * (i + 1), step)
    return world


class _Receiver(BaseHTTPRequestHandler):
    """The Head's phone: takes alerts, tells which ones came."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        text = json.loads(body).get("message", "")
        for number in re.findall(r"alerts ack (\d+)", text):
            self.server.heard[number] += 1  # type: ignore[attr-defined]
        self._answer(b"{}")

    def do_GET(self) -> None:
        self._answer(json.dumps(dict(self.server.heard)).encode())  # type: ignore[attr-defined]

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


def _serve(storm: Storm, pipe: Any) -> None:
    """The spawned process: emulator and receiver, until the parent goes away."""
    from emulator.server import Emulator

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    phone = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    phone.daemon_threads = True
    phone.heard = Counter()  # type: ignore[attr-defined]
    threading.Thread(target=phone.serve_forever, daemon=True).start()
    with Emulator(build(storm)) as emulator:
        pipe.send((emulator.url, phone.server_address[1]))
        with suppress(EOFError):
            pipe.recv()


@dataclass
class Lab:
    """A running laboratory. `settings` point to the emulator and the database."""

    url: str
    api: str
    phone: int
    settings: Settings
    judges: Any = None
    exits: Counter[int] = field(default_factory=Counter)

    # --- the network -----------------------------------------------------------------------------------------

    def _http(self, path: str, *, post: bool = False) -> bytes:
        address = self.api.removesuffix("method/") + path
        request = urllib.request.Request(address, method="POST" if post else "GET")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def advance(self, steps: float = 1) -> None:
        self._http(f"_otklik/advance?seconds={STEP_S * steps}", post=True)

    def ledger(self) -> list[bytes]:
        return self._http("_otklik/ledger").splitlines()

    def heard(self) -> dict[str, int]:
        """Alert id -> how often the Head's phone rang for it."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.phone}/", timeout=30) as answer:
            return json.loads(answer.read())

    # --- runs ------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Load in the parent what every child would load."""
        import apprise  # noqa: F401

        import desk.alerts  # noqa: F401
        from cli import make_judge

        self.judges = make_judge(self.settings)

    def fork(self, *, full: bool = False) -> int:
        """Start one `collect` in a child; returns its pid."""
        pid = os.fork()
        if pid:
            return pid
        code = 70
        try:
            from cli import run_collect

            with Store.open(self.url) as store:
                code = run_collect(store, self.settings, full=full, judges=self.judges).exit_code
        except BaseException as e:
            print(f"child failed: {type(e).__name__}: {e}", flush=True)
        finally:
            os._exit(code)

    def wait(self, pid: int) -> int:
        """The child's exit code, or minus the signal that ended it."""
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self.exits[code] += 1
        return code

    def collect(self, *, full: bool = False, attempts: int = 50) -> int:
        """One run to its end; a page lock that a killed run's database session still holds is waited for."""
        for _ in range(attempts):
            code = self.wait(self.fork(full=full))
            if code != 6:
                return code
            time.sleep(0.1)
        return 6

    def settle(self) -> Comparison:
        """Two quiet full runs, then the store against the truth."""
        for _ in range(2):
            code = self.collect(full=True)
            assert code == 0, f"a quiet full run ended with {code}"
        return compare(self.url, self.ledger())

    def alerts(self) -> tuple[int, int]:
        """(alerts in the store, of them heard by the Head)."""
        with Store.open(self.url) as store:
            ids = [a["id"] for a in store.alerts()]
        until = time.monotonic() + 150  # what a killed run had claimed is free again after a while
        while (heard := sum(1 for i in ids if i in self.heard())) < len(ids) and time.monotonic() < until:
            time.sleep(1)
            self.collect()
        return len(ids), heard


CONFIG = """
organisation: {{name: Проба}}
store: {{url: "{url}"}}
networks: {{vk: {{token: "${{VK_TOKEN}}", api: "{api}", requests_per_second: 10000}}}}
pages: [{pages}]
collect: {{batch: {batch}, full_every: 1h}}
alerts: {{head: ["json://127.0.0.1:{phone}"], timeout: 2s, retry_every: 5s, escalate_after: 30d}}
"""


@contextmanager
def laboratory(url: str, storm: Storm, *, batch: int = 50, judge: bool = True) -> Iterator[Lab]:
    """A lab on the database at `url`."""
    os.environ["VK_TOKEN"] = TOKEN
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(storm, theirs), daemon=True)
    process.start()
    try:
        api, phone = ours.recv()
        pages = ", ".join(f'{{network: vk, id: "-{100 + p}"}}' for p in range(PAGES))
        lab = Lab(url, api, phone, parse(CONFIG.format(url=url, api=api, pages=pages, phone=phone, batch=batch)))
        if judge:
            lab.load()
        yield lab
    finally:
        ours.close()
        process.join(10)
        if process.is_alive():
            process.kill()


# --- experiments -----------------------------------------------------------------------------------------


@dataclass
class Result:
    """What an experiment found; `wrong` is empty when everything held."""

    kills: int = 0
    runs: int = 0
    comparison: Comparison = field(default_factory=Comparison)
    alerts: int = 0
    heard: int = 0
    exits: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def wrong(self) -> list[str]:
        found = list(self.comparison.examples())
        if self.heard != self.alerts:
            found.append(f"alerts {self.alerts}, heard {self.heard}")
        bad = {c: n for c, n in self.exits.items() if c not in (0, 1, 6, -signal.SIGKILL)}
        if bad:
            found.append(f"exit codes {bad}")
        return found

    def __str__(self) -> str:
        c = self.comparison
        return (
            f"runs {self.runs}, kills {self.kills}, comments {c.total}, stored {c.stored}, lost {len(c.lost)}, "
            f"doubled {len(c.doubled)}, different {len(c.different)}, unknown {len(c.unknown)}, "
            f"alerts {self.alerts}, heard {self.heard}, exits {dict(self.exits)}, {self.seconds:.0f} s"
        )


def kill_at_random(lab: Lab, kills: int, *, seed: int = 1, say: Any = None) -> Result:
    """kill -9 a run at a random instant, move the world on a minute, again, until so many were killed."""
    rng = random.Random(seed)
    started = time.monotonic()
    lab.collect()  # first sight: what comes later is not historical
    span = 0.4
    result = Result()
    while result.kills < kills:
        lab.advance()
        begun = time.monotonic()
        pid = lab.fork()
        time.sleep(rng.uniform(0, span))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        code = lab.wait(pid)
        result.runs += 1
        if code == -signal.SIGKILL:
            result.kills += 1
            span *= 1.01  # let runs get further, so that kills fall everywhere between the start and the end
        else:
            span = max(0.05, min(span, time.monotonic() - begun) * 0.97)
        if say and result.runs % 50 == 0:
            say(f"killed {result.kills} of {kills}")
    return _end(lab, result, started)


def overlap(lab: Lab, runs: int, *, width: int = 4, say: Any = None) -> Result:
    """So many runs, `width` of them at any time, while the world moves on."""
    started = time.monotonic()
    lab.collect()
    running: set[int] = set()
    result = Result()
    begun = 0
    while begun < runs or running:
        while begun < runs and len(running) < width:
            running.add(lab.fork())
            begun += 1
            if begun % 2 == 0:
                lab.advance()
        pid, status = os.waitpid(-1, 0)
        running.discard(pid)
        lab.exits[os.waitstatus_to_exitcode(status)] += 1
        if say and begun % 50 == 0:
            say(f"run {begun} of {runs}")
    result.runs = begun
    return _end(lab, result, started)


def _end(lab: Lab, result: Result, started: float) -> Result:
    result.comparison = lab.settle()
    result.alerts, result.heard = lab.alerts()
    result.exits = lab.exits
    result.seconds = time.monotonic() - started
    return result
