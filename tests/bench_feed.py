"""`python -m tests.bench feed`: events a second out of the log, as NDJSON, on SQLite and PostgreSQL.

The log is made of copies of the events of a small collected and judged page: some 900 bytes an event. Read by the
command `otklik feed read` into a pipe, start-up included, and by one HTTP client of `otklik serve feed`, page by page.
"""

from __future__ import annotations

import http.client as http_client
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from store import Store
from tests.bench import ROUNDS, _Canned, _Pipeline, halves

EVENTS = 300_000
_KEY = "bench-0123456789abcdef"
_COPY = (
    "INSERT INTO events (seq, id, type, time, message_id, data) "
    "SELECT seq + :by, id || '-' || CAST(:n AS TEXT), type, time, message_id, data FROM events "
    "WHERE seq <= :last AND seq + :by <= :most"
)


def feed(wanted: int = EVENTS) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="otklik-bench-") as folder:
        yield from _measured("SQLite", f"sqlite:///{folder}/otklik.db", wanted)
    with postgres() as url:
        yield from _measured("PostgreSQL", url, wanted)


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a database of a server of its own."""
    from tests.postgres import Server

    server = Server().start()
    try:
        yield server.url(server.create())
    finally:
        server.stop()


def _measured(name: str, url: str, wanted: int) -> Iterator[str]:
    with Store.open(url) as store:
        made = _fill(store, url, wanted)
        found = [_command(url) for _ in range(ROUNDS)]
        rates, busy, memory = zip(*found, strict=True)
        yield (
            f"{name}, {made:,} events: otklik feed read: median {statistics.median(rates):,.0f} events/s of wall clock "
            f"({min(rates):,.0f} – {max(rates):,.0f}), {1e6 * statistics.median(busy):.1f} µs of CPU an event, "
            f"{max(memory)} MB at most"
        )
        rates = [_served(url, made) for _ in range(ROUNDS)]
        yield (
            f"{name}: serve feed, pages of 10,000 events: median {statistics.median(rates):,.0f} events/s "
            f"({min(rates):,.0f} – {max(rates):,.0f})"
        )


def collected(url: str) -> None:
    """A small world, collected and judged."""
    from cli import make_judge
    from emulator.scenario import generate
    from emulator.vk import VkFace
    from tests.proofs.lab import TOKEN

    os.environ["VK_TOKEN"] = TOKEN
    world = generate(7, pages=2, posts=20, comments=3000, depth=3)
    bench = _Pipeline(halves(world), _Canned(VkFace(world)))
    bench._collect(url, make_judge(bench.settings("sqlite://"))[0], bench.pages)


def _fill(store: Store, url: str, wanted: int) -> int:
    """`wanted` events in the log of `store`: a small collected world's, copied."""
    collected(url)
    last = store.last_seq()
    with store._db.write() as conn:
        for n in range(1, -(-wanted // last)):
            conn.execute(text(_COPY), {"by": n * last, "n": n, "last": last, "most": wanted})
        conn.execute(text("UPDATE counters SET value = :n WHERE name = 'events'"), {"n": wanted})
    if store.dialect == "postgresql":
        with store._db.session() as conn:
            conn.execute(text("ANALYZE events"))
    return wanted


def _command(url: str) -> tuple[float, float, int]:
    """(events/s by the clock on the wall, CPU seconds an event, memory in MB) of one `otklik feed read` into a pipe."""
    with _configured(f'store: {{url: "{url}"}}\n') as (otklik, config):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        reading = subprocess.Popen([otklik, "--config", config, "feed", "read"], stdout=subprocess.PIPE)
        assert reading.stdout is not None
        count = memory = 0
        while part := reading.stdout.read(1 << 20):
            count += part.count(b"\n")
            memory = max(memory, _memory(reading.pid))
        assert reading.wait() == 0
        spent = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return count / spent, busy / count, memory


def _memory(pid: int) -> int:
    """MB that the process has taken at most so far; 0 when it has ended."""
    try:
        told = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in told.splitlines() if line.startswith("VmHWM")), 0)


def _served(url: str, wanted: int) -> float:
    """Events/s of wall clock of `otklik serve feed`, asked by one client page after page over one connection."""
    port = _free_port()
    feed = f'{{tokens: [{{name: reader, token: "{_KEY}", scope: all, per_minute: 100000}}]}}'
    with _configured(f'store: {{url: "{url}"}}\nfeed: {feed}\n') as (otklik, config):
        command = [otklik, "--config", config, "serve", "feed", "--port", str(port)]
        serving = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            http = http_client.HTTPConnection("127.0.0.1", port, timeout=60)
            _until_it_answers(http)
            start, after, count, more = time.perf_counter(), "0", 0, "true"
            while more == "true":
                path = f"/v1/events?after={after}&limit=10000&format=ndjson"
                http.request("GET", path, headers={"Authorization": f"Bearer {_KEY}"})
                answer = http.getresponse()
                count += answer.read().count(b"\n")
                assert answer.status == 200, answer.status
                after, more = answer.headers["Otklik-Cursor"], answer.headers["Otklik-More"]
            spent = time.perf_counter() - start
        finally:
            serving.terminate()
            serving.wait()
    assert count == wanted, (count, wanted)
    return count / spent


def _until_it_answers(http: http_client.HTTPConnection) -> None:
    for _ in range(600):
        try:
            http.request("GET", "/health")
            http.getresponse().read()
            return
        except OSError:
            http.close()
            time.sleep(0.1)
    raise TimeoutError("serve feed does not answer")


@contextmanager
def _configured(text: str) -> Iterator[tuple[Path, Path]]:
    """The command, and a configuration file that says `text`."""
    with tempfile.TemporaryDirectory(prefix="otklik-bench-") as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(text)
        yield Path(sys.executable).with_name("otklik"), config


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])
