"""The feed to real brokers: a NATS server where the machine has one, and the Kafka cluster inside librdkafka."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from feed.brokers import MEDIA, Address, Event, deliver, event_of, waves
from feed.scope import View
from settings import ConfigError, Settings, parse
from store import Store
from tests.store.build import NOW, PLAIN, THANKS, judged, landing, see

ROOT = Path(__file__).parents[2]


def config(url: str, more: str = "scope: all, timeout: 5s") -> Settings:
    more, _, timeout = more.partition(", timeout: ")
    return parse(f"feed: {{timeout: {timeout or '5s'}, brokers: [{{name: bus, url: '{url}', {more}}}]}}")


def run(store: Store, settings: Settings, **more):
    [told] = deliver(store, settings, now=lambda: NOW, **more)
    return told


def fill(store: Store, count: int = 4, first: int = 1) -> None:
    if first == 1:
        see(store)
    store.land(landing(*(judged(n, f"т {n}", THANKS) for n in range(first, first + count))), NOW)


def edit(store: Store, n: int, version: int) -> None:
    store.land(landing(judged(n, f"правка {version}", PLAIN, edited_at=NOW + timedelta(minutes=version))), NOW)


# --- pure -------------------------------------------------------------------------------------------------------------


def test_a_wave_holds_no_message_twice_and_the_order_stays():
    events = [Event(i, str(i), "t", key, b"") for i, key in enumerate("a b a c  b b d".replace("  ", " _ ").split(" "))]
    made = list(waves(events))
    assert [e for wave in made for e in wave] == events
    for wave in made:
        keys = [e.key for e in wave]
        assert len(keys) == len(set(keys))
    assert len(made) == 3
    assert [len(w) for w in waves([Event(i, "", "t", "", b"") for i in range(5)])] == [5], (
        "events of no message don't wait"
    )


@pytest.mark.parametrize(
    ("url", "is_"),
    [
        ("nats://a:4222", Address("nats", False, ("a:4222",))),
        ("nats+tls://u:p%40q@a:1,b:2/", Address("nats", True, ("a:1", "b:2"), "u", "p@q")),
        ("kafka://a:9092,b:9092", Address("kafka", False, ("a:9092", "b:9092"))),
        ("kafka+tls://u:p@[::1]:9092", Address("kafka", True, ("[::1]:9092",), "u", "p")),
    ],
)
def test_addresses(url, is_):
    assert Address.of(config(url).feed.brokers[0].address()) == is_


@pytest.mark.parametrize(
    "url", ["http://a", "nats://", "nats:/a", "kafka://a b", "redis://a", "nats://a/path", "nats://a?x=1", "a:4222"]
)
def test_what_is_no_address_is_said_before_anything_is_sent_and_not_repeated(store, url):
    fill(store)
    with pytest.raises(ConfigError) as e:
        run(store, config(url))
    assert "feed.brokers" in str(e.value) and "nats://узел:4222" in str(e.value)
    assert len(url) < 8 or url not in str(e.value)


def test_names_are_unique_and_divisions_known():
    for text in (
        "feed: {brokers: [{name: a, url: 'nats://x'}, {name: a, url: 'nats://y'}]}",
        "feed: {brokers: [{name: a, url: 'nats://x', divisions: [нет]}]}",
        "feed: {brokers: [{name: a, url: 'nats://x', topic: 'a b'}]}",
    ):
        with pytest.raises(ConfigError):
            parse(text)


def test_without_a_scope_nothing_personal_leaves(store):
    fill(store, 1)
    raw = next(iter(store.events_raw(0, 10)))
    whole, bare = event_of(raw, View(personal=True)), event_of(raw, View())
    assert b"\xd1\x82 1" in whole.body and b"\xd1\x82 1" not in bare.body and whole.key == bare.key != ""


@pytest.mark.parametrize("kind", ["nats", "kafka"])
def test_nobody_there(store, kind):
    """One sentence without the address; the cursor stays, and the time is bounded."""
    _library(kind)
    fill(store)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    told = run(store, config(f"{kind}://user:pa55word@127.0.0.1:{port}", "scope: all, timeout: 1s"))
    assert told.sent == 0 and told.failed == 1 and told.waiting == store.last_seq()
    assert "не отвечает" in told.problem and "pa55word" not in told.problem and "127" not in told.problem
    assert store.hook_cursor("broker:bus", NOW) == (0, False)


# --- NATS -------------------------------------------------------------------------------------------------------------


def _library(kind: str):
    return pytest.importorskip({"nats": "faststream.nats", "kafka": "faststream.confluent"}[kind])


@contextmanager
def nats_server(folder: Path, port: int | None = None, *, stream: bool = True) -> Iterator[int]:
    """A real NATS server with JetStream and the stream OTKLIK."""
    _library("nats")
    program = shutil.which("nats-server") or "/usr/sbin/nats-server"
    if not os.path.exists(program):
        pytest.skip("no nats-server on this machine")
    if port is None:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
    server = subprocess.Popen(
        [program, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < end, "the server did not come up"
                time.sleep(0.05)
        if stream:
            asyncio.run(_add_stream(port))
        yield port
    finally:
        server.kill()
        server.wait()


async def _add_stream(port: int) -> None:
    import nats

    client = await nats.connect(f"nats://127.0.0.1:{port}")
    try:
        await client.jetstream().add_stream(name="OTKLIK", subjects=["otklik.>"])
    finally:
        await client.close()


def told_by(port: int) -> list[tuple[str, dict, dict]]:
    """What the stream holds: (subject, headers, event), read with the official client."""

    async def read():
        import nats
        from nats.errors import TimeoutError as Nothing

        client = await nats.connect(f"nats://127.0.0.1:{port}")
        found = []
        try:
            inbox = await client.jetstream().pull_subscribe("otklik.>", stream="OTKLIK")
            count = (await client.jetstream().stream_info("OTKLIK")).state.messages
            while len(found) < count:
                try:
                    got = await inbox.fetch(min(200, count - len(found)), timeout=10)
                except Nothing:
                    break
                found += [(m.subject, dict(m.headers), json.loads(m.data)) for m in got]
        finally:
            await client.close()
        return found

    return asyncio.run(read())


def test_nats_gets_every_event_once_and_in_order(store, tmp_path):
    with nats_server(tmp_path) as port:
        settings = config(f"nats://127.0.0.1:{port}")
        fill(store)
        edit(store, 2, 1)
        told = run(store, settings)
        assert (told.failed, told.problem, told.waiting, told.lost) == (0, None, 0, 0)
        assert told.sent == store.last_seq()
        assert run(store, settings).sent == 0
        edit(store, 2, 2)
        fill(store, 2, first=5)
        run(store, settings)
        found = told_by(port)
        assert [e for _, _, e in found] == store.events(0, 1000)
        for subject, headers, event in found:
            assert (
                subject == event["type"] and headers["content-type"] == MEDIA and headers["Nats-Msg-Id"] == event["id"]
            )
        # a run that was killed after sending, before its cursor moved: JetStream itself drops what it has
        store.hook_replay("broker:bus", NOW, 0)
        assert run(store, settings).sent == store.last_seq()
        assert len(told_by(port)) == len(found)


def test_nats_without_the_stream_says_how_to_make_it(store, tmp_path):
    with nats_server(tmp_path, stream=False) as port:
        fill(store)
        told = run(store, config(f"nats://127.0.0.1:{port}"))
        assert told.sent == 0 and "nats stream add OTKLIK --subjects 'otklik.>'" in told.problem


def test_nats_that_went_away_loses_nothing(store, tmp_path):
    with nats_server(tmp_path) as port:
        settings = config(f"nats://127.0.0.1:{port}", "scope: all, timeout: 2s")
        fill(store)
        run(store, settings)
    fill(store, 3, first=5)
    assert run(store, settings).problem
    with nats_server(tmp_path, port, stream=False):
        assert run(store, settings).problem is None
        assert [e for _, _, e in told_by(port)] == store.events(0, 1000)


def test_a_narrow_scope_gets_its_own_and_the_tombstones(store, tmp_path):
    with nats_server(tmp_path) as port:
        fill(store)
        settings = config(f"nats://127.0.0.1:{port}", "types: [answered]")
        told = run(store, settings)
        assert told.sent == 0 and told.waiting == 0, "its cursor moves all the same"


@pytest.mark.parametrize("kind", ["after the broker confirmed", "before"])
def test_killed_while_it_publishes(sqlite_url, tmp_path, kind):
    """kill -9 between any two events: the stream holds every event once, each message's in their order."""
    with nats_server(tmp_path / "js") as port, Store.open(sqlite_url) as store:
        fill(store, 30)
        for version in range(1, 4):
            for n in range(1, 11):
                edit(store, n, version)
        text = f"feed: {{timeout: 20s, brokers: [{{name: bus, url: 'nats://127.0.0.1:{port}', scope: all}}]}}"
        script = """
import os, signal, sys
import feed.brokers as brokers
from settings import parse
from store import Store
from store.values import utcnow
url, text, left, kind = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
send = brokers._wave
async def wave(publish, events, timeout):
    global left
    async def counted(event):
        global left
        left = mine = left - 1
        if kind == "before" and mine == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        await publish(event)
        if mine == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    await send(counted, events, timeout)
brokers._wave = wave
with Store.open(url) as s:
    [told] = brokers.deliver(s, parse(text), now=utcnow)
sys.exit(bool(told.problem))
"""
        for left, code in ((1, -9), (2, -9), (17, -9), (41, -9), (-1, 0)):
            run = [sys.executable, "-c", script, sqlite_url, text, str(left), kind]
            assert subprocess.run(run, cwd=ROOT, timeout=120).returncode == code
        assert store.hook_cursor("broker:bus", NOW)[0] == store.last_seq()
        wanted, found = store.events(0, 10_000), [e for _, _, e in told_by(port)]
        assert sorted(e["seq"] for e in found) == [e["seq"] for e in wanted]
        for key in {e.get("subject") for e in wanted} - {None}:
            assert [e for e in found if e.get("subject") == key] == [e for e in wanted if e.get("subject") == key]


# --- Kafka ------------------------------------------------------------------------------------------------------------


@contextmanager
def kafka_cluster() -> Iterator[str]:
    """The brokers that librdkafka brings for tests of clients: real sockets, the real protocol."""
    _library("kafka")
    from confluent_kafka import Producer

    keeper = Producer({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1, "log_level": 0})
    try:
        [one] = keeper.list_topics(timeout=30).brokers.values()
        yield f"{one.host}:{one.port}"
    finally:
        del keeper


def heard_by_kafka(address: str, count: int) -> list[tuple[str, dict, dict]]:
    from confluent_kafka import Consumer

    consumer = Consumer({"bootstrap.servers": address, "group.id": "test", "auto.offset.reset": "earliest"})
    found = []
    try:
        consumer.subscribe(["otklik"])
        end = time.monotonic() + 60
        while len(found) < count and time.monotonic() < end:
            got = consumer.poll(0.5)
            if got is not None and got.error() is None:
                key = (got.key() or b"").decode()
                found.append((key, {k: v.decode() for k, v in got.headers()}, json.loads(got.value())))
    finally:
        consumer.close()
    return found


def test_kafka_gets_every_event_and_each_message_keeps_its_order(store):
    with kafka_cluster() as address:
        settings = config(f"kafka://{address}", "scope: all, timeout: 20s")
        fill(store)
        edit(store, 2, 1)
        edit(store, 2, 2)
        told = run(store, settings)
        assert (told.failed, told.problem, told.waiting) == (0, None, 0) and told.sent == store.last_seq()
        assert run(store, settings).sent == 0
        found, wanted = heard_by_kafka(address, told.sent), store.events(0, 1000)
        assert sorted((e for _, _, e in found), key=lambda e: e["seq"]) == wanted
        for key, headers, event in found:
            assert key == event.get("subject", "") and headers["content-type"] == MEDIA and headers["id"] == event["id"]
        for key in {k for k, _, _ in found} - {""}:
            seqs = [e["seq"] for k, _, e in found if k == key]
            assert seqs == sorted(seqs)
