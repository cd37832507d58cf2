"""VK's events: they move the turn of a page and of a publication, and nothing else, whoever sends them."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from collectors import make
from collectors.contract import CollectError
from collectors.turns import is_due
from collectors.vk_longpoll import LongPoll, groups
from collectors.vk_push import MOST_BYTES, Community, Confirmation, News, Refused, news, read
from emulator.vk_events import event, send
from running import longpoll
from running.callback import address, communities, listening
from settings import ConfigError, parse
from store.values import utcnow
from tests.rig import Rig, rig

SECRET = "s3cret-of-the-server"
OURS = [Community(1, "1a2b3c4d", SECRET.encode()), Community(2, "9z9z9z", b"another")]
NEW = {
    "type": "wall_reply_new", "group_id": 1, "event_id": "e", "v": "5.199", "secret": SECRET,
    "object": {"id": 7, "owner_id": -1, "post_id": 5, "text": "Нет воды"},
}  # fmt: skip


def body(**more: Any) -> bytes:
    return json.dumps({k: v for k, v in {**NEW, **more}.items() if v is not None}).encode()


# --- what an event means ----------------------------------------------------------------------------------------------


def test_what_events_mean() -> None:
    assert read(body(), OURS) == News("-1", "wall-1_5")
    assert read(body(type="wall_reply_delete"), OURS) == News("-1", "wall-1_5", whole=True)
    assert read(body(type="wall_reply_edit", object={"owner_id": -2, "post_id": 5}), OURS) == News("-1", whole=True)
    photo = {"photo_owner_id": -1, "photo_id": 9, "owner_id": 44, "post_id": 5}
    assert read(body(type="photo_comment_new", object=photo), OURS) == News("-1", "photo-1_9")
    gone = {"owner_id": -1, "video_id": 3, "id": 1}
    assert read(body(type="video_comment_delete", object=gone), OURS) == News("-1", "video-1_3", whole=True)
    topic = {"topic_owner_id": -1, "topic_id": 8}
    assert read(body(type="board_post_restore", object=topic), OURS) == News("-1", "topic-1_8", whole=True)
    assert read(body(type="wall_post_new", object={}), OURS) == News("-1")
    for silent in ("message_new", "group_join", "wall_repost", "wall_reply", "wall_reply_new_x", "like_add", ""):
        assert read(body(type=silent), OURS) is None
    assert read(body(type="confirmation"), OURS) == Confirmation("1a2b3c4d")
    assert read(body(type="confirmation", secret=None, object=None), OURS) == Confirmation("1a2b3c4d")


HOSTILE: list[tuple[bytes, int]] = [
    (body(secret="wrong"), 403),
    (body(secret=None), 403),
    (body(secret=""), 403),
    (body(secret="another"), 403),  # the secret of another community
    (body(secret=[SECRET]), 403),
    (body(secret="\ud800"), 403),
    (body(group_id=3), 403),
    (body(group_id=True), 403),
    (body(group_id="1"), 403),
    (body(group_id=2**70), 400),  # no number that a parser takes
    (body(group_id=1.0), 403),
    (body(type="confirmation", secret="wrong"), 403),
    (body(type="confirmation", secret=None, group_id=77), 403),
    (body(type=None), 400),
    (body(type=["wall_reply_new"]), 400),
    (b"", 400), (b"[]", 400), (b"null", 400), (b"{", 400), (b"\xff\xfe", 400), (b"[" * 5000, 400),
    (b'{"type":' + b'{"a":' * 5000, 400),
    (b"x" * (MOST_BYTES + 1), 413),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_what_is_not_vks_is_refused(number: int) -> None:
    given, status = HOSTILE[number]
    with pytest.raises(Refused) as told:
        read(given, OURS)
    assert told.value.status in (status, 403)
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    "told", [None, [], "x", 5, {}, {"owner_id": "-1", "post_id": 5}, {"owner_id": -1, "post_id": -5},
             {"owner_id": -1, "post_id": True}, {"owner_id": -1, "post_id": 2**66}, {"post_id": {"a": 1}}],
)  # fmt: skip
def test_an_object_that_makes_no_sense_names_the_page_only(told: Any) -> None:
    assert news({**NEW, "object": told}) == News("-1")


@pytest.mark.parametrize("at", ["8312", ":8312", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", "host:-1"])
def test_an_address_that_is_none(at: str) -> None:
    with pytest.raises(ConfigError, match="--callback"):
        address(at)
    assert address("[::1]:8312") == ("::1", 8312)


def test_what_the_configuration_must_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"networks\.vk\.callbacks"):
        communities(parse("networks: {vk: {token: x}}"))
    text = 'networks: {vk: {callbacks: [{group: 12, confirmation: abc, secret: "${CALLBACK_SECRET}"}]}}'
    with pytest.raises(ConfigError, match="CALLBACK_SECRET"):
        communities(parse(text))
    monkeypatch.setenv("CALLBACK_SECRET", "abc")
    assert communities(parse(text)) == [Community(12, "abc", b"abc")]
    for wrong in ("group: -12, confirmation: abc, secret: x", 'group: 1, confirmation: "<b>", secret: x'):
        with pytest.raises(ConfigError):
            parse(f"networks: {{vk: {{callbacks: [{{{wrong}}}]}}}}")


# --- events of the emulator, over HTTP --------------------------------------------------------------------------------

HOUR = ", page_every: 1h"
CALLBACKS = f', callbacks: [{{group: 1, confirmation: abc, secret: "{SECRET}"}}]'


@contextmanager
def receiving(url: str) -> Iterator[tuple[Rig, str, list[int]]]:
    """A rig that was collected once, the address of the receiver, and how often somebody was woken."""
    woken: list[int] = []
    with rig(url, network=CALLBACKS, collect=HOUR) as r:
        r.say("Первый")
        assert r.collect().exit_code == 0
        with listening(r.store, r.settings, "127.0.0.1:0", lambda: woken.append(1)) as port:
            yield r, f"http://127.0.0.1:{port}/vk", woken


def post(url: str, data: bytes, **more: Any) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, **more), timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


def due(r: Rig) -> bool:
    state = next(s for s in r.store.page_states() if s.page.id == "-1")
    return is_due(state, utcnow(), timedelta(hours=1))


def test_an_event_moves_the_turn_and_polling_finds_the_truth(store_url: str) -> None:
    with receiving(store_url) as (r, to, woken):
        old = r.say("Было")
        gone = r.say("Исчезнет")
        r.collect(only=["1"])
        r.agrees()
        pushed = r.world.journal[-1][0]
        assert not due(r) and not woken
        r.world.advance(60)
        r.say("Новое")
        r.world.edit(old, "Стало")
        r.world.delete(gone)
        pushed, statuses = send(r.emulator.face, to, SECRET, pushed)
        assert statuses == [200] * 3 and len(woken) == 3 and due(r)
        assert r.collect().exit_code == 0  # a run that takes only what is due
        r.agrees()
        assert not due(r)
        assert {"Новое", "Стало"} <= {m["text"] for m in r.store.messages()}


def test_lost_doubled_and_forged_events_lose_and_invent_nothing(store_url: str) -> None:
    with receiving(store_url) as (r, to, woken):
        before = len(r.events())
        r.say("Событие о нём потеряется")
        for forged in (body(secret="wrong"), body(secret=None), b"{}", b"x" * 300_000):
            assert post(to, forged)[0] in (400, 403, 413)
        assert not woken and not due(r)
        invented = body(object={"owner_id": -1, "post_id": 999, "id": 1, "text": "<script>горит</script>"})
        assert [post(to, invented) for _ in range(3)] == [(200, b"ok")] * 3
        assert post(to, body(type="wall_reply_delete"))[1] == b"ok"
        assert due(r) and len(r.events()) == before, "nothing of an event is believed"
        assert r.collect().exit_code == 0
        r.agrees()
        assert not r.alerts()
        assert post(to, body(type="confirmation")) == (200, b"abc")
        assert post(to, b"{", method="PUT")[0] == 405 and post(to + "/x", body())[0] == 404
        with socket.create_connection(("127.0.0.1", int(to.rpartition(":")[2].partition("/")[0])), 30) as s:
            s.sendall(b"POST /vk HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n" + b"y" * 400_000)
            s.settimeout(60)
            assert b" 413 " in s.recv(1000)


def test_the_emulators_events_are_vks(shared: Any) -> None:
    """Every field that the schema requires of an event's object is there."""
    told = json.loads((shared / "specs/vk/callback/objects.json").read_text(encoding="utf-8"))["definitions"]
    with rig("sqlite://") as r:
        one = r.say("Нет света")
        made = [event(what, one, r.emulator.face) for what in ("new", "edit", "delete", "restore")]
    assert [m["type"] for m in made if m] == [f"wall_reply_{w}" for w in ("new", "edit", "delete", "restore")]
    for one in made:
        assert one is not None and one["type"] in told["callback_type"]["enum"]
        needed = {k for k, v in told["callback_base"]["properties"].items() if v.get("required")}
        assert needed <= {*one} and one["object"]["post_id"] and one["object"]["owner_id"] == -1


# --- long poll --------------------------------------------------------------------------------------------------------


def test_long_poll_waits_for_news_and_begins_anew_when_its_place_is_lost(sqlite_url: str) -> None:
    with rig(sqlite_url) as r:
        poll = LongPoll(make(r.settings, "vk", r.store), 1, wait_s=1)  # type: ignore[arg-type]
        assert poll.ask() == []
        said = r.say("Нет воды")
        assert poll.ask() == [News("-1", r.key(said.post))]
        r.world.delete(said)
        assert poll.ask() == [News("-1", r.key(said.post), whole=True)]
        r.emulator.face.long_poll_keys[1] = "another"
        assert poll.ask() == [News("-1")], "what was missed between two places is the page's business"
        assert poll.ask() == []
        poll.close()


@pytest.mark.parametrize(
    "server",
    ["http://evil.example/x", "https://evil.example/x", "https://vk.com.evil.example/", "https://evilvk.com/", "ftp://vk.com/",
     "http://127.0.0.1:1/x", "http://localhost/x", "https://u:p@vk.com/x", "http://[::1]:80/", "//vk.com", "", "https://vk.com:444/"],
)  # fmt: skip
def test_an_address_that_is_not_vks_is_not_asked(sqlite_url: str, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"server": server, "key": "k", "ts": "1"}
    with rig(sqlite_url) as r:
        for api in (None, "https://api.vk.ru/method/"):
            changed = (
                {} if api is None else {"networks": {"vk": r.settings.networks["vk"].model_copy(update={"api": api})}}
            )
            collector: Any = make(r.settings.model_copy(update=changed), "vk", r.store)
            monkeypatch.setattr(collector.client, "call", lambda *_, **__: told)
            with pytest.raises(CollectError, match="адрес"):
                LongPoll(collector, 1).ask()
            collector.close()


def test_vks_own_servers_are(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(sqlite_url) as r:
        vk = r.settings.networks["vk"].model_copy(update={"api": "https://api.vk.ru/method/"})
        collector: Any = make(r.settings.model_copy(update={"networks": {"vk": vk}}), "vk", r.store)
        poll = LongPoll(collector, 1)
        for good in ("https://lp.vk.com/whp/123", "https://api.vk.ru/lp1", "https://im.vk.ru:443/nim1"):
            assert poll._checked(good).base == good
        collector.close()
    assert groups(["-5", "77", "-x", "club1", "-12"]) == [5, 12]


def test_a_listener_wakes_the_page(store_url: str) -> None:
    woken = threading.Event()
    with rig(store_url, network=", long_poll: true", collect=HOUR) as r:
        r.say("Первый")
        assert longpoll.watched(r.store, r.settings) == [], "a page is collected first"
        r.collect()
        assert longpoll.watched(r.store, r.settings) == [1, 2]
        with longpoll.listening(r.store, r.settings, threading.Event(), woken.set, again_s=0.2):
            limit = time.monotonic() + 60
            while len(r.emulator.face.long_poll_keys) < 2 and time.monotonic() < limit:
                time.sleep(0.05)
            while not woken.is_set() and time.monotonic() < limit:
                r.say("Ещё")  # one that came before the listener had its place would be polling's business
                woken.wait(0.3)
            assert woken.is_set() and due(r)
        r.collect()
        r.agrees()
