"""Webhooks to a real receiver: signed, in order, at least once, nothing lost in 48 hours, dead letters, kills."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from feed.webhooks import DELAYS, WINDOW, deliver
from settings import ConfigError, Settings, parse
from store import Store
from tests.store.build import NOW, PLAIN, THANKS, judged, landing, see

ROOT = Path(__file__).parents[2]
OLD, NEW = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


class Receiver:
    """Keeps what it got; `answer(event)` decides the status."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes, int]] = []
        self.answer = lambda event: 204
        self.port = 0

    @property
    def events(self) -> list[dict]:
        return [json.loads(body) for _, body, status in self.got if status < 300]

    @property
    def seqs(self) -> list[int]:
        return [e["seq"] for e in self.events]


@contextmanager
def receiving() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            status = kept.answer(json.loads(body))
            kept.got.append((dict(self.headers), body, status))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if status == 429:
                self.send_header("Retry-After", "7200")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    kept.port = server.server_port
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def config(port: int, more: str = "scope: all", secrets: str = NEW) -> Settings:
    return parse(
        f"feed: {{loopback: true, timeout: 5s, webhooks: [{{name: crm, url: 'http://127.0.0.1:{port}/in', "
        f"secrets: [{secrets}], {more}}}]}}"
    )


def run(store: Store, settings: Settings, at: datetime = NOW, **more):
    [told] = deliver(store, settings, now=lambda: at, **more)
    return told


def edit(n: int, version: int):
    """A revision of message n."""
    c = judged(n, f"текст {n}, правка {version}", PLAIN, edited_at=NOW + timedelta(minutes=version))
    return c


def fill(store: Store, count: int = 4) -> None:
    see(store)
    store.land(landing(*(judged(n, f"т {n}", THANKS) for n in range(1, count + 1))), NOW)


def test_the_official_library_verifies_what_is_sent(store):
    standardwebhooks = pytest.importorskip("standardwebhooks")
    fill(store)
    with receiving() as receiver:
        told = run(store, config(receiver.port, secrets=f"{NEW}, {OLD}"), datetime.now(UTC))
        assert (told.sent, told.failed, told.waiting, told.problem) == (4, 0, 0, None)
        for headers, body, _ in receiver.got:
            for secret in (OLD, NEW):  # while one replaces the other both are right
                data = standardwebhooks.Webhook(secret).verify(body, headers)
            assert data["type"] and data["timestamp"] == data["time"] and headers["webhook-id"] == data["id"]
            with pytest.raises(standardwebhooks.WebhookVerificationError):
                standardwebhooks.Webhook(OLD).verify(body + b" ", headers)
            with pytest.raises(standardwebhooks.WebhookVerificationError):
                standardwebhooks.Webhook("whsec_" + "A" * 43 + "=").verify(body, headers)
        assert [e["seq"] for e in store.events(0, 10)] == receiver.seqs
        assert [{k: v for k, v in e.items() if k != "timestamp"} for e in receiver.events] == store.events(0, 10)
        assert run(store, config(receiver.port)).sent == 0


def test_a_scope_and_types_narrow_and_tombstones_pass(store):
    fill(store)
    store.land(landing(deleted=("c2",)), NOW + timedelta(hours=1))
    store.correct("3", {"topic": "light"}, by="x", now=NOW)
    with receiving() as receiver:
        run(store, config(receiver.port, "types: [corrected]"))
    assert [e["type"].rpartition(".")[2] for e in receiver.events] == ["deleted", "corrected"]
    assert receiver.events[1]["data"]["text"] == "" and "Имя" not in str(receiver.events)


def test_a_failing_message_waits_in_its_order_while_others_go_on(store):
    fill(store, 3)
    store.land(landing(edit(1, 1), edit(2, 1)), NOW + timedelta(minutes=10))
    of_first = {e["seq"] for e in store.events(0, 100) if e.get("subject") == "1"}
    rest = [e["seq"] for e in store.events(0, 100) if e.get("subject") != "1"]
    assert len(of_first) > 1
    with receiving() as receiver:
        receiver.answer = lambda event: 400 if event.get("subject") == "1" else 200
        told = run(store, config(receiver.port))
        assert (receiver.seqs, told.failed, told.waiting) == (rest, 1, len(of_first))  # its second was not tried
        receiver.answer = lambda event: 200
        assert run(store, config(receiver.port)).sent == 0  # not before its time
        assert run(store, config(receiver.port), NOW + DELAYS[0]).sent == len(of_first)
        assert receiver.seqs[len(rest) :] == sorted(of_first)


def test_a_receiver_that_is_down_for_48_hours_loses_nothing(store):
    fill(store, 30)
    tried = 0
    with receiving() as receiver:
        settings, at = config(receiver.port), NOW
        receiver.answer = lambda event: 503
        while at < NOW + timedelta(hours=48):
            told = run(store, settings, at)
            tried += told.failed
            assert told.failed <= 3 and told.dead == 0  # it is not hammered
            at += timedelta(hours=2)
        store.land(landing(*(edit(n, 1) for n in range(1, 31))), NOW + timedelta(hours=47))
        receiver.answer = lambda event: 200
        while told.waiting and at < NOW + WINDOW + timedelta(hours=1):
            told = run(store, settings, at)
            at += timedelta(hours=1)
        assert at <= NOW + timedelta(hours=50) and tried > 30
        assert sorted(receiver.seqs) == [e["seq"] for e in store.events(0, 1000)]  # each, once
        order: dict[str, list[int]] = {}
        for event in receiver.events:
            order.setdefault(event["subject"], []).append(event["seq"])
        assert all(seqs == sorted(seqs) for seqs in order.values())
        ids = {}
        for _, body, _ in receiver.got:
            ids.setdefault(json.loads(body)["seq"], set()).add(json.loads(body)["id"])
        assert all(len(found) == 1 for found in ids.values())  # the same id at every try
    assert store.hook_dead() == []


def test_what_is_refused_for_two_days_is_a_dead_letter_and_can_be_sent_again(store):
    fill(store, 2)
    store.land(landing(edit(1, 1)), NOW + timedelta(minutes=10))
    with receiving() as receiver:
        receiver.answer = lambda event: 422 if event["seq"] == 1 else 200
        settings, at, dead = config(receiver.port), NOW, 0
        for delay in (*DELAYS, timedelta()):
            assert not dead
            dead = run(store, settings, at).dead
            at += delay
        [letter] = store.hook_dead("crm")
        assert (letter["seq"], letter["error"], letter["attempts"]) == (1, "получатель ответил 422", len(DELAYS) + 1)
        assert dead == 1 and at - NOW == WINDOW > timedelta(hours=48)
        assert run(store, settings, at).problem is None
        assert set(receiver.seqs) == {e["seq"] for e in store.events(0, 100)} - {1}  # the next ones went on
        [row] = store.hook_overview()
        assert (row["waiting"], row["dead"], row["cursor"]) == (0, 1, store.last_seq())
        receiver.answer = lambda event: 200
        assert store.hook_replay("crm", at) == 1
        assert run(store, settings, at).sent == 1 and receiver.seqs[-1] == 1 and store.hook_dead() == []
        before = len(receiver.seqs)
        store.hook_replay("crm", at, after=0)
        assert run(store, settings, at).sent == store.last_seq() and len(receiver.seqs) == before + store.last_seq()


def test_a_receiver_may_ask_for_time_or_to_be_left_alone(store):
    fill(store, 1)
    with receiving() as receiver:
        settings = config(receiver.port)
        receiver.answer = lambda event: 429
        run(store, settings)
        receiver.answer = lambda event: 410
        assert run(store, settings, NOW + timedelta(minutes=119)).failed == 0  # Retry-After: 7200
        assert "410" in run(store, settings, NOW + timedelta(hours=2)).problem
        receiver.answer = lambda event: 200
        assert run(store, settings, NOW + timedelta(hours=3)).sent == 0
        assert store.hook_resume("crm", NOW) and not store.hook_resume("crm", NOW)
        assert run(store, settings, NOW + timedelta(hours=3)).sent == 1


def test_whoever_was_forgotten_meanwhile_is_not_told_of(store):
    fill(store, 1)
    with receiving() as receiver:
        receiver.answer = lambda event: 500
        run(store, config(receiver.port))
        store.forget("1", by="x", now=NOW, settle=lambda case, now: case)
        receiver.got.clear()
        receiver.answer = lambda event: 200
        run(store, config(receiver.port), NOW + timedelta(hours=1))
        assert {e["type"] for e in receiver.events} == {"otklik.message.forgotten"} and "т 1" not in str(receiver.got)


def test_two_runs_at_once_send_nothing_twice(store_url):
    with Store.open(store_url) as store:
        fill(store, 5)
        with receiving() as receiver, store.try_lock("webhook crm"):
            assert "другой запуск" in run(store, config(receiver.port)).problem and receiver.got == []


# --- killed -----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    pass


def test_killed_at_any_point_it_goes_on_with_the_same_ids(store):
    """Before and after each write of the store and each request of a run."""
    fill(store, 3)
    expected = [e["id"] for e in store.events(0, 10)]
    steps = ("hook_cursor", "hook_take", "hook_due", "hook_done", "hook_wake", "events_raw")

    class Dying:
        def __init__(self, at: int) -> None:
            self.left = at

        def __getattr__(self, name):
            inner = getattr(store, name)
            if name not in steps:
                return inner

            def call(*args, **more):
                self.tick()
                out = inner(*args, **more)
                self.tick()
                return out

            return call

        def tick(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise Killed

    deaths = 0
    with receiving() as receiver:
        settings = config(receiver.port)
        for at in range(200):
            try:
                told = run(Dying(at % 60), settings)
            except Killed:
                deaths += 1
                continue
            if told.sent == 0 and told.waiting == 0:
                break
        found = [h["webhook-id"] for h, _, _ in receiver.got]
    assert deaths > 10 and list(dict.fromkeys(found)) == expected


def test_a_real_kill_while_the_receiver_answers(sqlite_url, tmp_path):
    with Store.open(sqlite_url) as store, receiving() as receiver:
        fill(store, 3)
        file = tmp_path / "config.yaml"
        file.write_text(
            f"store: {{url: '{sqlite_url}'}}\nfeed: {{loopback: true, webhooks: [{{name: crm, scope: all, "
            f"url: 'http://127.0.0.1:{receiver.port}/', secrets: [\"${{HOOK}}\"]}}]}}\n",
            encoding="utf-8",
        )
        env = {**os.environ, "OTKLIK_CONFIG": str(file), "HOOK": NEW, "PYTHONPATH": str(ROOT)}

        def start() -> subprocess.Popen:
            command = [sys.executable, "-c", "import cli; cli.main()", "feed", "deliver", "--json"]
            return subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        box: list[subprocess.Popen] = []
        ready = threading.Event()

        def kill(event) -> int:
            ready.wait(30)
            if event["seq"] == 2 and len(receiver.got) == 1:
                box[0].send_signal(signal.SIGKILL)
                box[0].wait(30)
            return 200

        receiver.answer = kill
        box.append(start())
        ready.set()
        box[0].communicate(timeout=60)
        assert box[0].returncode == -signal.SIGKILL and receiver.seqs[:1] == [1]
        again = start()
        out, err = again.communicate(timeout=60)
        assert (again.returncode, err) == (0, b"") and json.loads(out)[0]["sent"] == 2
        ids = [h["webhook-id"] for h, _, _ in receiver.got]
        assert receiver.seqs == [1, 2, 2, 3] and ids[1] == ids[2]


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "secret", "said"),
    [
        ("http://example.com/", NEW, "http"),
        ("https://10.0.0.1/", NEW, "внутренней сети"),
        ("https://user:pw@example.com/", NEW, "имени, пароля"),
        ("https://0x7f.1/", NEW, "не именем"),
        ("https://example.com/", "abcdefgh", "whsec_"),
        ("https://example.com/", "whsec_AAAA", "whsec_"),
    ],
)
def test_a_bad_webhook_is_named_before_anything_is_sent(sqlite_url, url, secret, said):
    settings = parse(f"feed: {{webhooks: [{{name: crm, url: '{url}', secrets: ['{secret}']}}]}}")
    with Store.open(sqlite_url) as store, pytest.raises(ConfigError) as e:
        run(store, settings)
    assert said in str(e.value) and "feed.webhooks[0]" in str(e.value) and "pw" not in str(e.value)
