"""`make bench`: figures for docs/measurements.md. Each is taken several times in one run; medians and ratios count.

python -m tests.bench [pipeline|calls|startup|repeats|workers|feed|grow]…
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import requests

from collectors import make
from collectors.poll import Options, Poller
from emulator.scenario import generate
from emulator.server import Emulator
from emulator.vk import VkFace
from settings import Settings, parse
from store import Store
from tests.proofs.lab import TOKEN

ROUNDS = 3


def _config(api: str, url: str, pages: list[str], batch: int = 500) -> Settings:
    listed = ", ".join(f'{{network: vk, id: "{p}", include: [posts]}}' for p in pages)
    return parse(
        f'store: {{url: "{url}"}}\n'
        f'networks: {{vk: {{token: "${{VK_TOKEN}}", api: "{api}", requests_per_second: 10000}}}}\n'
        f"pages: [{listed}]\ncollect: {{batch: {batch}, deadline: 1h}}\n"
    )


# --- comments per second ---------------------------------------------------------------------------------------------


class _Canned(requests.adapters.BaseAdapter):
    """Answers from memory: what the emulator said once, as bytes, so that no server's work is measured."""

    def __init__(self, face: VkFace) -> None:
        super().__init__()
        self.face = face
        self.kept: dict[tuple[str, str], bytes] = {}
        self.bytes = 0

    def answer(self, method: str, body: str) -> bytes:
        from urllib.parse import parse_qsl

        from emulator.faults import Plan

        key = (method, body)
        if key not in self.kept:
            self.kept[key] = orjson.dumps(self.face.answer(method, dict(parse_qsl(body)), Plan.parse(None)))
        return self.kept[key]

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        body = request.body if isinstance(request.body, str) else (request.body or b"").decode()
        data = self.answer(request.url.rpartition("/")[2], body)
        self.bytes += len(data)
        response = requests.Response()
        response.status_code = 200
        response.request = request
        response.url = request.url
        parsed = orjson.loads(data)
        response._content, response._content_consumed = data, True  # type: ignore[attr-defined]
        response.json = lambda **_: parsed  # type: ignore[method-assign]
        return response

    def close(self) -> None: ...


def pipeline(comments: int = 50_000) -> Iterator[str]:
    """From the bytes of VK's answers to committed rows: parsing, mapping, paging, judging, landing.

    The judge's process is started anew in each run. "Two of them": two runs at once on one SQLite file, each with half
    of the comments, on pages of its own, as two cron jobs would.
    """
    from cli import make_judge
    from running.ahead import Ahead

    os.environ["VK_TOKEN"] = TOKEN
    world = generate(7, pages=8, posts=200, comments=comments, depth=3)
    bench = _Pipeline(halves(world), _Canned(VkFace(world)))
    judge = make_judge(bench.settings("sqlite://"))[0]
    for warm in (_blank, judge):
        bench.run(warm)  # the first round fills the caches
    beside = Ahead(judge)
    found: dict[str, list[float]] = {
        "no classifier": [],
        "classifier, the judge in a process of its own (not used by collect)": [],
        "classifier, all in one process": [],
        "classifier, all in one process, two of them at once": [],
    }
    of = dict(zip(found, ((_blank, False), (beside, False), (judge, False), (judge, True)), strict=True))
    for _ in range(ROUNDS):
        for name, (how, apart) in of.items():
            found[name].append(bench.run(how, apart=apart))
    yield f"page JSON -> committed row, SQLite, {bench.total} comments, batches of 500, {ROUNDS} rounds"
    for name, rates in found.items():
        yield f"  {name}: median {statistics.median(rates):,.0f} comments/s ({min(rates):,.0f} – {max(rates):,.0f})"


def halves(world: Any) -> tuple[list[str], list[str]]:
    """The pages in two parts of about the same number of comments."""
    size = {id_: sum(len(post.comments) for post in page.posts.values()) for id_, page in world.pages.items()}
    parts: tuple[list[str], list[str]] = ([], [])
    for id_ in sorted(size, key=lambda i: -size[i]):
        min(parts, key=lambda part: sum(size[i] for i in part)).append(id_)
    return parts


class _Pipeline:
    def __init__(self, parts: tuple[list[str], ...], canned: _Canned) -> None:
        self.parts = parts
        self.pages = [page for part in parts for page in part]
        self.canned = canned
        self.total = 0

    def settings(self, url: str, pages: list[str] | None = None) -> Settings:
        return _config("http://127.0.0.1:9/method/", url, pages or self.pages)

    def _collect(self, url: str, judge: Any, pages: list[str]) -> None:
        settings = self.settings(url, pages)

        def collector(network: str) -> Any:
            made = make(settings, network)
            made.client._vk.http.mount("https://", self.canned)
            return made

        with Store.open(url) as store:
            Poller(store, settings, judge, collector).run(Options())

    def run(self, judge: Any, *, apart: bool = False) -> float:
        """Comments a second, by the clock on the wall; `apart`: each part of the pages in a process of its own."""
        with tempfile.TemporaryDirectory(prefix="otklik-bench-") as folder:
            url = f"sqlite:///{folder}/otklik.db"
            Store.open(url).close()
            started = time.perf_counter()
            if not apart:
                self._collect(url, judge, self.pages)
            else:
                children = [os.fork() or self._child(url, judge, part) for part in self.parts]
                for pid in children:
                    os.waitpid(pid, 0)
            spent = time.perf_counter() - started
            with Store.open(url) as store:
                self.total = sum(p["stored"] + p["hidden_or_deleted"] for p in store.last_coverage())
        return self.total / spent

    def _child(self, url: str, judge: Any, pages: list[str]) -> int:
        try:
            self._collect(url, judge, pages)
        finally:
            os._exit(0)


def _blank(page: Any, comments: Any, now: Any) -> Any:
    from store.values import Judged

    return [Judged(c, None) for c in comments]


# --- calls per new comment -------------------------------------------------------------------------------------------


def calls(rounds: int = 48, per_round: int = 20) -> Iterator[str]:
    """The same day of the same page: our polling against a collector that asks every post in every round.

    The other collector lists the posts (100 a call) and reads each one's comments and long threads; it too finds edits.
    Both see `rounds` rounds, half an hour apart.
    """
    os.environ["VK_TOKEN"] = TOKEN
    yield f"a page of 150 posts, {rounds} rounds half an hour apart, {per_round} new comments a round"
    found: dict[str, tuple[int, int]] = {}
    for name, run in (("otklik", _ours), ("otklik, service key", _ours_service), ("one call a post", _theirs)):
        found[name] = run(rounds, per_round)
        made, new = found[name]
        yield f"  {name}: {made} calls, {new} new comments, {made / max(new, 1):.2f} calls per new comment"
    ours, theirs = found["otklik"], found["one call a post"]
    yield f"  ratio one call a post : otklik = {(theirs[0] / theirs[1]) / (ours[0] / ours[1]):.1f}"


def _day(emulator: Emulator, rounds: int, per_round: int, look: Callable[[], int]) -> tuple[int, int]:
    import random

    rng = random.Random(5)
    world = emulator.world
    look()
    emulator.forget_calls()
    posts = sorted(world.posts(), key=lambda p: p.published_at)
    weights = [1.2**i for i in range(len(posts))]  # young posts get most
    new = 0
    for _ in range(rounds):
        world.advance(1800)
        for post in rng.choices(posts, weights, k=per_round):
            world.add_comment(post, "Нет воды в Хкеме", 5000)
        new += look()
    return sum(emulator.calls.values()), new


def _ours(rounds: int, per_round: int, token: str = TOKEN) -> tuple[int, int]:
    from datetime import UTC, datetime

    os.environ["VK_TOKEN"] = token
    with Emulator(generate(3, pages=1, posts=150, comments=3000)) as emulator:
        with tempfile.TemporaryDirectory(prefix="otklik-bench-") as folder:
            settings = _config(emulator.url, f"sqlite:///{folder}/otklik.db", list(emulator.world.pages))
            with Store.open(settings.store.url.reveal()) as store:

                def look() -> int:
                    poller = Poller(
                        store,
                        settings,
                        _blank,
                        lambda n: make(settings, n),
                        now=lambda: datetime.fromtimestamp(emulator.world.now(), UTC),
                    )
                    landed = poller.run(Options()).landed
                    return landed.new + landed.own

                return _day(emulator, rounds, per_round, look)


def _ours_service(rounds: int, per_round: int) -> tuple[int, int]:
    return _ours(rounds, per_round, "otklik-service-token")


def _theirs(rounds: int, per_round: int) -> tuple[int, int]:
    from vk_api import VkApi

    from emulator.client import vk_session

    with Emulator(generate(3, pages=1, posts=150, comments=3000)) as emulator:
        vk = VkApi(token=TOKEN, session=vk_session(emulator.url), api_version="5.199")
        vk.RPS_DELAY = 0
        owner = int(next(iter(emulator.world.pages)))
        seen: set[int] = set()

        def read(post: int, **more: Any) -> None:
            offset = 0
            while True:
                answer = vk.method(
                    "wall.getComments",
                    {
                        "owner_id": owner,
                        "post_id": post,
                        "count": 100,
                        "offset": offset,
                        "thread_items_count": 10,
                        **more,
                    },
                )
                for item in answer["items"]:
                    seen.add(item["id"])
                    thread = item.get("thread") or {}
                    seen.update(r["id"] for r in thread.get("items") or ())
                    if thread.get("count", 0) > len(thread.get("items") or ()):
                        read(post, comment_id=item["id"])
                offset += 100
                if offset >= answer["current_level_count"]:
                    return

        def look() -> int:
            before = len(seen)
            offset = 0
            while True:
                answer = vk.method("wall.get", {"owner_id": owner, "count": 100, "offset": offset})
                for item in answer["items"]:
                    read(item["id"])
                offset += 100
                if offset >= answer["count"]:
                    return len(seen) - before

        return _day(emulator, rounds, per_round, look)


# --- start-up --------------------------------------------------------------------------------------------------------


def startup() -> Iterator[str]:
    """CPU seconds of `otklik --help`, against the bare interpreter in the same run."""
    otklik = Path(sys.executable).with_name("otklik")

    def measure(command: list[str]) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    pairs = [(measure([str(otklik), "--help"]), measure([sys.executable, "-c", "pass"])) for _ in range(9)]
    ours, bare = statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)
    yield f"otklik --help: median {ours:.2f} s of CPU; python -c pass: {bare:.2f} s"


def repeats() -> Iterator[str]:
    from tests import bench_repeats

    yield from bench_repeats.repeats()


def report() -> Iterator[str]:
    from tests import bench_report

    yield from bench_report.report()


def workers() -> Iterator[str]:
    from tests import bench_workers

    yield from bench_workers.workers()


def feed() -> Iterator[str]:
    from tests import bench_feed

    yield from bench_feed.feed()


def grow() -> Iterator[str]:
    from tests import bench_grow

    yield from bench_grow.grow()


PARTS = {
    "pipeline": pipeline,
    "calls": calls,
    "startup": startup,
    "repeats": repeats,
    "report": report,
    "workers": workers,
    "feed": feed,
    "grow": grow,
}


def main(names: list[str]) -> None:
    for name in names or PARTS:
        for line in PARTS[name]():
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
