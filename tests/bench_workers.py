"""`python -m tests.bench workers`: comments a second, emulator to PostgreSQL, by 1, 2, 4 workers."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import text

from settings import parse
from store.copies import existing
from tests.postgres import Server
from tests.proofs.lab import TOKEN, Lab
from tests.proofs.workers import fork_worker, load_all, told_to_stop

ROUNDS = 3
WIDTHS = (1, 2, 4)
PAGES = 16


def _serve(comments: int, pipe: Any) -> None:
    """The spawned process: the emulator, until the parent goes away."""
    from emulator.scenario import generate
    from emulator.server import Emulator

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    world = generate(7, pages=PAGES, posts=20, comments=comments, depth=3)
    with Emulator(world) as emulator:
        pipe.send((emulator.url, sorted(world.pages), sum(not entry["deleted"] for entry in world.ledger())))
        with suppress(EOFError):
            pipe.recv()


def _settings(url: str, api: str, pages: list[str]) -> Any:
    listed = ", ".join(f'{{network: vk, id: "{p}", include: [posts]}}' for p in pages)
    return parse(
        f'store: {{url: "{url}"}}\n'
        f'networks: {{vk: {{token: "${{VK_TOKEN}}", api: "{api}", requests_per_second: 10000}}}}\n'
        f"pages: [{listed}]\nworker: {{pages: 1, every: 1h}}\n"
    )


def _round(url: str, api: str, pages: list[str], total: int, width: int, classifier: Any) -> tuple[float, float]:
    """Comments a second between the first landing that was seen and the last; comments for each second of processor
    time that the workers took, their start included (a busy machine changes it little)."""
    from running.judging import judge_with

    lab = Lab(url, api, 0, _settings(url, api, pages))
    lab.judges = judge_with(classifier, lab.settings), classifier
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    running = [fork_worker(lab) for _ in range(width)]
    try:
        with existing(url) as db:
            seen: list[tuple[float, int]] = []
            limit = time.monotonic() + 600
            while not seen or seen[-1][1] < total:
                with db.read() as conn:
                    landed = conn.execute(text("SELECT count(*) FROM messages")).scalar_one()
                if landed:
                    seen.append((time.monotonic(), landed))
                assert time.monotonic() < limit, f"{landed} of {total} comments after ten minutes"
                time.sleep(0.1)
    finally:
        codes = [told_to_stop(pid) for pid in running]
    assert not any(codes), codes
    (begun, first), (ended, last) = seen[0], seen[-1]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (last - first) / (ended - begun), total / spent


def workers(comments: int = 20_000) -> Iterator[str]:
    from running.judging import make_judge
    from store import Store

    os.environ["VK_TOKEN"] = TOKEN
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(comments, theirs), daemon=True)
    process.start()
    server = Server().start()
    try:
        api, pages, total = ours.recv()
        classifier = make_judge(_settings("sqlite://", api, pages))[1]
        load_all()
        template = server.create()
        Store.open(server.url(template)).close()
        found: dict[int, list[tuple[float, float]]] = {width: [] for width in WIDTHS}
        for _ in range(ROUNDS):
            for width in WIDTHS:
                name = server.create(template)
                found[width].append(_round(server.url(name), api, pages, total, width, classifier))
                server.drop(name)
    finally:
        ours.close()
        server.stop()
        process.join(10)
        if process.is_alive():
            process.kill()
    alone = statistics.median(rate for rate, _ in found[1])
    yield (
        f"emulator over HTTP -> committed row, PostgreSQL, full classifier, {total} comments on {len(pages)} pages, "
        f"{ROUNDS} rounds, {os.cpu_count()} cores shared with the emulator and PostgreSQL"
    )
    for width, measured in found.items():
        rates, by_cpu = zip(*measured, strict=True)
        middle = statistics.median(rates)
        yield (
            f"  {width} worker{'s' if width > 1 else ''}: median {middle:,.0f} comments/s "
            f"({min(rates):,.0f} – {max(rates):,.0f}), {middle / alone:.2f} of one; "
            f"{statistics.median(by_cpu):,.0f} for each second of their processor time"
        )
