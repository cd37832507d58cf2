"""The feed over HTTP, on a real server: cursors, scopes, waiting, limits, and what strangers send."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest

import cli
from feed import openapi
from feed.keys import Pace
from feed.page import page
from feed.schema import schema
from feed.scope import View
from feed.serving import HEAD_BYTES, Protocol
from store import Store
from store.events import drop_before
from store.values import Author, Place
from tests.feed.served import ALL, BARE, client, served, token
from tests.store.build import EMERGENCY, NOW, PLAIN, THANKS, judged, landing, see

ROOT = Path(__file__).parents[2]
PROBLEM = "application/problem+json"
OTHER = Author("6", "Имя Отчество", "https://vk.com/id6", "person")
HOUSE = Place("ул. Тайная, 7", "улица", ("Хрюг",), None, None, (0, 4), 0.9)


def fill(store: Store) -> None:
    """Four messages, an emergency with its alert, and a deletion."""
    see(store)
    said = "канарейка <script>alert(1)</script>\x0b ]]> & =1+1"
    with_house = replace(PLAIN, places=(*PLAIN.places, HOUSE), reasons=("канарейка",))
    store.land(landing(judged(1, said, with_house, author=OTHER), judged(2, "канарейка", THANKS)), NOW)
    store.land(landing(judged(3, "горит канарейка", EMERGENCY)), NOW)
    light = replace(PLAIN, topic="light")
    store.land(landing(judged(4, "канарейка", light), deleted=("c2",)), NOW + timedelta(hours=1))


@pytest.fixture
def full(sqlite_url):
    with Store.open(sqlite_url) as store:
        fill(store)
        yield store


@pytest.fixture
def port(full):
    with served(full) as found:
        yield found


@pytest.fixture(scope="module")
def still(sqlite_template, tmp_path_factory):
    """The port of a server whose log nobody changes."""
    path = tmp_path_factory.mktemp("still") / "otklik.db"
    shutil.copy(sqlite_template, path)
    with Store.open(f"sqlite:///{path}") as store:
        fill(store)
        with served(store) as found:
            yield found


def problem(answer, status: int) -> dict:
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    told = answer.json()
    assert told["status"] == status and told["title"] and re.search("[а-я]", told["detail"])
    assert "\n" not in told["detail"] and "Traceback" not in answer.text
    return told


# --- cursor -----------------------------------------------------------------------------------------------------------


def test_following_by_cursor_gives_exactly_the_log(full, port):
    expected = list(full.events_raw(0, 100))
    for format in ("ndjson", "json"):
        got, after = [], 0
        with client(port) as http:
            while True:
                answer = http.get("/v1/events", params={"after": after, "limit": 2, "format": format})
                assert answer.status_code == 200
                if format == "json":
                    told = answer.json()
                    found, more = told["events"], told["more"]
                    assert told["next"] == int(answer.headers["otklik-cursor"])
                else:
                    found = [json.loads(line) for line in answer.text.splitlines(keepends=False) if line]
                    more = answer.headers["otklik-more"] == "true"
                got += found
                after = int(answer.headers["otklik-cursor"])
                assert len(found) <= 2
                if not more:
                    break
        assert got == [json.loads(line) for line in expected]
    with client(port) as http:
        batch = http.get("/v1/events", headers={"Accept": "application/cloudevents-batch+json"})
        assert batch.headers["content-type"] == "application/cloudevents-batch+json"
        assert (
            batch.json() == http.get("/v1/events").json()["events"] == http.get("/v1/events?format=cloudevents").json()
        )
        by_accept = http.get("/v1/events", headers={"Accept": "application/x-ndjson"})
        assert by_accept.content == b"".join(expected)


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", "after=1e3", "after=٣", "after=9223372036854775808", "limit=0", "limit=10001",
              "wait=61", "types=nothing", "format=xml", "after=1&after=2", "afer=1", "after=", "limit=%00"],
)  # fmt: skip
def test_a_bad_parameter_is_named(still, query):
    with client(still) as http:
        assert query.split("=")[0] in problem(http.get(f"/v1/events?{query}"), 400)["detail"]


def test_a_cursor_that_would_lose_events_is_refused(full, port):
    last = full.last_seq()
    with client(port) as http:
        assert problem(http.get(f"/v1/events?after={last + 1}"), 409)["last"] == last
        assert problem(http.get(f"/v1/stream?after={last + 1}"), 409)["last"] == last
        full._db.transact(lambda tx: drop_before(tx, 4), NOW)
        assert problem(http.get("/v1/events?after=2"), 410)["first"] == 4
        assert http.get("/v1/events?after=3").json()["events"][0]["seq"] == 4
        assert http.get("/v1/events").json()["events"][0]["seq"] == 4


def test_the_same_content_is_not_sent_twice(full, port):
    with client(port) as http:
        first = http.get("/v1/events?limit=2")
        again = {"If-None-Match": f'"x", W/{first.headers["etag"]}'}
        answer = http.get("/v1/events?limit=2", headers=again)
        assert (answer.status_code, answer.content) == (304, b"")
        assert http.get("/v1/events?limit=3", headers=again).status_code == 200
        full.forget("1", by="test", now=NOW, settle=lambda case, now: case)  # rewrites the log in place
        changed = http.get("/v1/events?limit=2", headers=again)
        assert changed.status_code == 200 and "script" in first.text and "script" not in changed.text


# --- waiting ----------------------------------------------------------------------------------------------------------


def later(store, seconds=0.2):
    timer = threading.Timer(seconds, lambda: store.land(landing(judged(9, "потом", THANKS)), NOW))
    timer.start()
    return timer


def test_a_long_poll_ends_with_the_first_news(full, port):
    last = full.last_seq()
    timer = later(full)
    with client(port) as http:
        begun = time.monotonic()
        told = http.get(f"/v1/events?after={last}&wait=20").json()
        assert [e["seq"] for e in told["events"]] == [last + 1] and time.monotonic() - begun < 15
        assert http.get(f"/v1/events?after={last + 1}&wait=1").json() == {
            "events": [], "next": last + 1, "more": False
        }  # fmt: skip
    timer.join()


def test_a_stream_goes_on_where_it_was_cut(full, port):
    last = full.last_seq()

    def take(count: int, after: int) -> list[dict]:
        found, ids = [], []
        with client(port) as http, http.stream("GET", "/v1/stream", headers={"Last-Event-ID": str(after)}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    ids.append(int(value))
                elif name == "data":
                    found.append(json.loads(value))
                    if len(found) == count:
                        break
        assert ids == [e["seq"] for e in found]
        return found

    first = take(2, 0)
    timer = later(full)
    rest = take(last - 1, first[-1]["seq"])  # to one that lands while we listen
    timer.join()
    assert [e["seq"] for e in first + rest] == list(range(1, last + 2))


# --- scopes -----------------------------------------------------------------------------------------------------------


def test_without_a_known_key_nothing_is_told(port):
    with client(port, None) as http:
        for header in (None, "Bearer", "Bearer x", f"Bearer {ALL}x", f"Token {ALL}", "Basic !!", "Bearer " + "я" * 9):
            raw = {} if header is None else {"Authorization": header.encode()}
            for path in ("/v1/events", "/v1/stream", "/v1/places.geojson", "/v1/atom/topics/water"):
                answer = http.get(path, headers=raw)
                if answer.status_code != 429:  # so many wrong keys
                    problem(answer, 401)
                    assert "Bearer" in answer.headers["www-authenticate"]
        for path in ("/health", "/openapi.json", "/v1/schema", "/v1/schema/landed"):
            assert http.get(path).status_code == 200
        assert http.get("/v1/events", auth=("anybody", ALL)).status_code == 200


def test_two_keys_work_while_one_replaces_the_other(full):
    both = token("x", ALL, next_token=BARE)
    with served(full, [both]) as port:
        for key, status in ((ALL, 200), (BARE, 200), ("none" * 5, 401)):
            with client(port, key) as http:
                assert http.get("/v1/events").status_code == status


PRIVATE = ("канарейка", "Имя Отчество", "vk.com", "Тайная", '"id":"6"', '"c1"')


def test_without_personal_data_there_is_none_of_it_anywhere(full, port):
    paths = ("/v1/events", "/v1/places.geojson", "/v1/open311/requests.json", "/v1/atom/topics/water")
    for path in paths:
        with client(port, ALL) as http, client(port, BARE) as bare:
            told = http.get(path).text
            assert any(p in told for p in PRIVATE), path  # or the test would prove nothing
            for secret in PRIVATE:
                assert secret not in bare.get(path).text, (path, secret)
    with client(port, BARE) as bare:
        events = bare.get("/v1/events").json()["events"]
    assert len(events) == full.last_seq()
    for event in events:
        jsonschema.validate(event, schema(event["type"], strict=True))
    assert events[0]["data"]["topic"] == "water" and [p["name"] for p in events[0]["data"]["places"]] == ["Хрюг"]


def test_a_narrow_reader_gets_its_own_and_every_tombstone(full):
    full.forget("1", by="test", now=NOW, settle=lambda case, now: case)
    names = {"zhkh": {"divisions": ["zhkh"]}, "ok": {"networks": ["ok"]}, "vk": {"networks": ["vk"]}}
    tokens = [token(n, f"{n}-0123456789abcdef", scope="all", **more) for n, more in names.items()]
    with served(full, tokens) as port:
        got = {}
        for n in names:
            with client(port, f"{n}-0123456789abcdef") as http:
                told = http.get("/v1/events").json()
                assert told["next"] == full.last_seq()  # the cursor passes what it may not read
                got[n] = [e["type"].rpartition(".")[2] for e in told["events"]]
                listed = http.get("/v1/open311/requests.json").json()
                assert bool(listed) == (n == "vk")
    assert set(got["ok"]) == {"forgotten"} and set(got["zhkh"]) == {"forgotten", "deleted"}
    assert "landed" in got["vk"] and "raised" not in got["vk"]


def test_a_page_on_both_databases(store):
    fill(store)
    found = page(store, View(personal=True, types=frozenset({"otklik.alert.raised"})), 0, 1)
    assert [json.loads(line)["type"] for line in found.lines] == ["otklik.alert.raised"]
    rest = page(store, View(personal=True), found.next)
    assert found.next + len(rest.lines) == store.last_seq() == rest.next and not rest.more


# --- limits -----------------------------------------------------------------------------------------------------------


def test_too_many_requests_are_told_when_to_come_back(full):
    now = [1000.0]
    slow = [token("slow", ALL, scope="all", per_minute=3), token("other", BARE)]
    with served(full, slow, clock=lambda: now[0]) as port, client(port) as http, client(port, BARE) as other:
        assert [http.get("/v1/events").status_code for _ in range(4)] == [200, 200, 200, 429]
        answer = http.get("/v1/events")
        problem(answer, 429)
        assert answer.headers["retry-after"] == "20" and other.get("/v1/events").status_code == 200
        now[0] += 20
        assert [http.get("/v1/events").status_code for _ in range(2)] == [200, 429]


def test_buckets_do_not_grow_without_end():
    pace = Pace(most=100)
    assert not any(pace.take(str(i), 1, 0.0) for i in range(1000)) and len(pace._left) == 100


# --- views ------------------------------------------------------------------------------------------------------------


def test_atom_geojson_and_open311(port):
    with client(port) as http:
        feed = ET.fromstring(http.get("/v1/atom/topics/water").content)
        a = "{http://www.w3.org/2005/Atom}"
        entry = feed.find(f"{a}entry")
        assert entry.find(f"{a}content").get("type") == "text" and "<script>" in entry.findtext(f"{a}content")
        assert entry.findtext(f"{a}title").startswith("Вода: Хрюг") and len(feed.findall(f"{a}entry")) == 1
        for name in ("id", "title", "updated"):
            assert feed.findtext(f"{a}{name}") and entry.findtext(f"{a}{name}")
        assert len(ET.fromstring(http.get("/v1/atom/places/хрюг").content).findall(f"{a}entry")) == 2
        problem(http.get("/v1/atom/topics/nothing"), 404)
        spots = {f["properties"]["name"]: f for f in http.get("/v1/places.geojson").json()["features"]}
        assert spots["Хрюг"]["geometry"] == {"type": "Point", "coordinates": [47.5, 41.5]}
        assert spots["Хрюг"]["properties"]["messages"] == spots["Хрюг"]["properties"]["open"] == 2
        assert spots["Хрюг"]["properties"]["topics"] == {"water": 1, "light": 1}
        assert spots["ул. Тайная, 7"]["geometry"] is None
        [one] = http.get("/v1/open311/requests.json?service_code=water&status=open").json()
        assert (one["service_name"], one["lat"], one["status"]) == ("Вода", 41.5, "open")


# --- strangers --------------------------------------------------------------------------------------------------------


def raw(port: int, data: bytes, timeout: float = 20) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        sock.sendall(data)
        got = b""
        try:
            while part := sock.recv(65536):
                got += part
        except (ConnectionResetError, TimeoutError):
            pass
        return got


AUTH = f"Authorization: Bearer {ALL}\r\n".encode()
END = b"Host: x\r\nConnection: close\r\n" + AUTH + b"\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /v1/../../etc/passwd HTTP/1.1\r\n" + END, 404),
        (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" + END, 404),
        (b"GET /v1/schema/%00%0d%0aX:1 HTTP/1.1\r\n" + END, 404),
        (b"GET /v1/atom/places/%00 HTTP/1.1\r\n" + END, 400),
        (b"GET /v1/atom/places/%ff%fe HTTP/1.1\r\n" + END, 200),
        (b"GET /v1/events/ HTTP/1.1\r\n" + END, 404),
        (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\n" + END, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 10 * HEAD_BYTES + b"\r\n" + END, 400),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % i for i in range(9999)) + END, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n" + END, 404),
        (b"GET http://[bad HTTP/1.1\r\n" + END, 404),
        (b"DELETE /v1/events HTTP/1.1\r\n" + END, 405),
        (b"POST /v1/events HTTP/1.1\r\nContent-Length: 99999999999\r\n" + END, 405),
        (b"TRACE / HTTP/1.1\r\n" + END, 405),
        (b"GET /v1/events HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + END, 200),
        (b"GET /v1/stream HTTP/1.1\r\nLast-Event-ID: 1\x00\r\n" + END, 400),
        (b"GET /v1/stream HTTP/1.1\r\nLast-Event-ID: -5\r\n" + END, 400),
    ],
)
def test_what_strangers_send_gets_a_plain_answer(still, capfd, request_, status):
    got = raw(still, request_)
    head, _, rest = got.partition(b"\r\n\r\n")
    if status == 431 and head.startswith(b"HTTP/1.1 400"):  # it came in pieces, and was refused before its end
        status = 400
    assert head.startswith(b"HTTP/1.1 %d " % status), got[:300]
    if status != 200:
        assert PROBLEM.encode() in head.lower() and json.loads(rest)["status"] == status
    if b"safe" not in head and status != 400:
        assert b"x-content-type-options: nosniff" in head.lower()
    out = capfd.readouterr()
    assert "Traceback" not in out.err + out.out


def test_whoever_is_slow_is_hung_up_on(full, monkeypatch):
    monkeypatch.setattr(Protocol, "head_s", 0.3)
    monkeypatch.setattr(Protocol, "drain_s", 0.3)
    big = b'{"text":"%b"}' % (b"x" * 500_000)
    full._db.transact(lambda tx: [tx.emit("otklik.alert.raised", None, big) for _ in range(24)], NOW)
    with served(full) as port:
        begun = time.monotonic()
        assert raw(port, b"GET / HTTP/1.1\r\nX-Slow: ") == b""  # never ends its headers
        assert raw(port, b"") == b""
        assert time.monotonic() - begun < 10
        lost = []
        end = Protocol.connection_lost
        monkeypatch.setattr(Protocol, "connection_lost", lambda self, exc: (lost.append(exc), end(self, exc))[1])
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.sendall(b"GET /v1/events?limit=1000 HTTP/1.1\r\n" + END)
            begun = time.monotonic()
            while not lost and time.monotonic() - begun < 10:  # it takes nothing
                time.sleep(0.05)
            assert lost
        with client(port) as http:
            assert len(http.get("/v1/events?limit=1000").content) > 8_000_000


def test_a_broken_database_is_told_without_its_details(full, monkeypatch, capfd):
    with served(full) as port, client(port) as http:

        def broken(*_):
            raise RuntimeError(f"secret place /srv/db {ALL}")

        monkeypatch.setattr(full, "events_blocks", broken)
        told = problem(http.get("/v1/events"), 500)
        assert "srv" not in str(told) and "RuntimeError" not in str(told)
    out = capfd.readouterr()
    assert "Traceback" not in out.err and ALL not in out.err


# --- description and command ------------------------------------------------------------------------------------------


def test_the_published_description_is_fresh(port):
    assert (ROOT / "docs/openapi.json").read_text(encoding="utf-8") == openapi.published()
    with client(port, None) as http:
        assert http.get("/openapi.json").json() == openapi.document()


def test_the_server_keeps_to_its_description(port):
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    document = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
    wanted = [not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
              checks.response_schema_conformance, checks.response_headers_conformance]  # fmt: skip
    seen = set()
    for found in document.get_all_operations():
        operation = found.ok()
        if operation.path in ("/v1/stream", "/openapi.json"):  # has no end; is what we read
            continue
        seen.add(operation.path)

        @settings(max_examples=6, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(case=operation.as_strategy())
        def check(case):
            if case.query and "wait" in case.query:
                case.query["wait"] = 0
            headers = {"Authorization": f"Bearer {ALL}"}
            case.call_and_validate(checks=wanted, headers=headers)

        check()
    assert seen == set(openapi.document()["paths"]) - {"/v1/stream", "/openapi.json"}


def start(tmp_path: Path, config: str, *more: str) -> subprocess.Popen:
    (tmp_path / "config.yaml").write_text(config, encoding="utf-8")
    env = {**os.environ, "OTKLIK_CONFIG": str(tmp_path / "config.yaml"), "FEED_A": ALL, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "import cli; cli.main()", "serve", "feed", "--port", "0", *more]
    return subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_command_serves_and_stops_when_told(tmp_path):
    child = start(tmp_path, 'feed: {tokens: [{name: a, token: "${FEED_A}"}]}\n')
    try:
        said = child.stderr.readline()
        port = int(re.search(r"127\.0\.0\.1:(\d+)/", said).group(1))
        with client(port) as http:
            assert http.get("/v1/events").json() == {"events": [], "next": 0, "more": False}
    finally:
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err) == (0, "", "")
    assert ALL not in said


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("feed: {}\n", "feed.tokens"),
        ('feed: {tokens: [{name: a, token: "short"}]}\n', "короче 16"),
        ('feed: {tokens: [{name: a, token: "${NOT_THERE_AT_ALL}"}]}\n', "NOT_THERE_AT_ALL"),
        ('feed: {tokens: [{name: a, token: "${FEED_A}", divisions: [x]}]}\n', "подразделения x нет"),
    ],
)
def test_what_is_missing_is_said(tmp_path, monkeypatch, capsys, config, said):
    monkeypatch.setenv("FEED_A", ALL)
    (tmp_path / "config.yaml").write_text(config, encoding="utf-8")
    assert cli.run(["--config", str(tmp_path / "config.yaml"), "serve", "feed"]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
