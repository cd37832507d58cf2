"""Alerts on their way to the Head: real store, real HTTP receivers, real crashes."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from desk.alerts import Deliverer, channels, check_channels, compose, test_channels
from settings import Settings
from store import Store
from store.values import AlertJob
from tests.desk.receivers import dead_port, receiver
from tests.store.build import EMERGENCY, NOW, PAGE, judged, landing, see, together

ROOT = Path(__file__).parents[2]
MINUTE = timedelta(minutes=1)


def configured(*head: str, **more) -> Settings:
    return Settings.model_validate({"alerts": {"head": list(head), "timeout": 30, **more}})


def raise_emergencies(store: Store, count: int = 1, at: datetime = NOW, first: int = 1) -> None:
    see(store)
    for n in range(first, first + count):
        store.land(landing(judged(n, f"Горит дом {n}", EMERGENCY)), at)


def states(store: Store) -> list[tuple[str, str, int, bool, str | None]]:
    """Every sending: alert, level, attempts, delivered, error."""
    return sorted(
        (a["id"], d["level"], d["attempts"], d["delivered_at"] is not None, d["error"])
        for a in store.alerts()
        for d in a["deliveries"]
    )


# --- delivery -------------------------------------------------------------------------------------------------------


def test_an_emergency_reaches_every_channel_once(store):
    with receiver() as one, receiver() as two:
        raise_emergencies(store)
        deliverer = Deliverer(store, configured(one.url, two.url))
        assert [r.ok for r in deliverer.deliver_due(NOW)] == [True, True]
        assert deliverer.deliver_due(NOW + 5 * MINUTE) == []
        for phone in (one, two):
            (text,) = phone.texts
            for part in ("Пожар", "Горит дом 1", PAGE.title, "ВКонтакте", "24.11.2026 12:00", "горит дом",
                         "https://vk.com/wall-1_10?reply=1", "otklik alerts ack 1"):  # fmt: skip
                assert part in text


def test_in_the_background_an_alert_goes_as_soon_as_it_is_raised(store):
    with receiver() as phone:
        deliverer = Deliverer(store, configured(phone.url, retry_every=600))
        deliverer.start()
        raise_emergencies(store, at=datetime.now(UTC))
        deliverer.poke()
        assert phone.arrived.wait(30), "the poke was not heeded"
        assert deliverer.finish(30)
        assert len(phone.heard) == 1 and states(store) == [("1", "head", 1, True, None)]


def test_what_was_raised_last_goes_out_before_the_end(store):
    with receiver() as phone:
        deliverer = Deliverer(store, configured(phone.url, retry_every=600))
        deliverer.start()
        raise_emergencies(store, at=datetime.now(UTC))
        assert deliverer.finish(30)
        assert len(phone.heard) == 1


def test_more_than_one_claim_holds_all_go(store):
    with receiver() as phone:
        raise_emergencies(store, 130, at=datetime.now(UTC) - MINUTE)
        deliverer = Deliverer(store, configured(phone.url))
        deliverer.start()
        deadline = time.monotonic() + 60
        while len(phone.heard) < 130 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert deliverer.finish(30)
        assert len(phone.heard) == 130 == len(set(phone.texts))


def test_without_channels_nothing_is_sent_and_nothing_breaks(store):
    raise_emergencies(store)
    deliverer = Deliverer(store, configured())
    deliverer.start()
    deliverer.poke()
    assert deliverer.finish(30) and deliverer.deliver_due(NOW) == []


# --- bad channels -----------------------------------------------------------------------------------------------------


def test_a_dead_port_is_tried_again_and_the_others_are_not_held_up(store):
    with receiver() as phone:
        raise_emergencies(store)
        settings = configured(f"json://127.0.0.1:{dead_port()}", phone.url, retry_every=60, max_attempts=3)
        deliverer = Deliverer(store, settings)
        assert sorted(r.ok for r in deliverer.deliver_due(NOW)) == [False, True]
        assert deliverer.deliver_due(NOW + MINUTE / 2) == []  # not yet
        tries = [len(deliverer.deliver_due(NOW + n * 10 * MINUTE)) for n in (1, 2, 3, 4)]
        # after ten minutes the escalation goes as well, to both; what counts here is the head
        assert tries[-1] == 0 or all(a <= 3 for _, _, a, *_ in states(store))
        (failed,) = [s for s in states(store) if s[1] == "head" and not s[3]]
        assert failed[2] == 3 and "связь" in failed[4]
        assert [s[3] for s in states(store) if s[1] == "head"].count(True) == 1


def test_a_server_that_refuses_is_a_failure(store):
    with receiver(status=500) as phone:
        raise_emergencies(store)
        (report,) = Deliverer(store, configured(phone.url)).deliver_due(NOW)
        assert not report.ok and len(phone.heard) == 1


def test_a_hanging_channel_holds_up_nobody(store):
    """The good channel is served while the other hangs, and the end comes within the bound."""
    with receiver(delay=60) as stuck, receiver() as phone:
        raise_emergencies(store, 3, at=datetime.now(UTC))
        deliverer = Deliverer(store, configured(stuck.url, phone.url, timeout=600))
        deliverer.start()
        assert stuck.arrived.wait(30)
        deadline = time.monotonic() + 30
        while len(phone.heard) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(phone.heard) == 3  # all of them, although the first is still stuck elsewhere
        assert deliverer.finish(0.2) is False
        assert len(stuck.heard) == 1
        stuck.release.set()
        deliverer._thread.join(60)


def test_silence_is_given_up_after_the_timeout_and_not_asked_again_in_the_round(store):
    with receiver(delay=60) as stuck:
        raise_emergencies(store, 3)
        reports = Deliverer(store, configured(stuck.url, timeout=0.3)).deliver_due(NOW)
        assert [r.error for r in reports] == ["канал не ответил за 0.3 с"]
        assert len(stuck.heard) == 1
        assert sorted(s[2] for s in states(store)) == [0, 0, 1], "what was not tried costs no attempt"


def test_a_hanging_channel_does_not_keep_the_program_alive(sqlite_url):
    with Store.open(sqlite_url) as store:
        raise_emergencies(store, at=datetime.now(UTC))
    with receiver(delay=600) as stuck, deliver(sqlite_url, stuck.url, timeout=600, wait=0.1) as child:
        assert stuck.arrived.wait(60)
        child.stdin.close()  # now it ends
        assert child.wait(60) == 0  # long before the receiver lets go


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("${OTKLIK_NO_SUCH_VARIABLE}", "OTKLIK_NO_SUCH_VARIABLE"),
        ("nonsense", "вида канала"),
        ("nosuchservice://host/секрет", "не понят"),
        ("tgram://", "не понят"),
        ("mailto://", "не понят"),
        ("json://", "не понят"),
        ("://", "вида канала"),
        ("http://example.invalid:99999999/", "не понят"),
    ],
)
def test_a_misconfigured_channel_is_recorded_and_the_others_go(sqlite_url, address, said):
    with Store.open(sqlite_url) as store, receiver() as phone:
        raise_emergencies(store)
        settings = configured(address, phone.url)
        reports = Deliverer(store, settings).deliver_due(NOW)
        assert [r.ok for r in reports].count(True) == 1 and len(phone.heard) == 1
        (error,) = [s[4] for s in states(store) if s[4]]
        assert said in error
        checks = check_channels(settings)
        assert sorted(c.ok for c in checks) == [False, True]
        tested = test_channels(settings)
        assert sorted(c["ok"] for c in tested) == [False, True] and len(phone.heard) == 2


def test_a_channel_that_was_mended_is_served_at_once(store, monkeypatch):
    with receiver() as phone:
        raise_emergencies(store)
        settings = configured("${ALERT_MENDED}")
        assert [r.ok for r in Deliverer(store, settings).deliver_due(NOW)] == [False]
        monkeypatch.setenv("ALERT_MENDED", phone.url)
        assert [r.ok for r in Deliverer(store, settings).deliver_due(NOW)] == [True]


# --- crashes and company ----------------------------------------------------------------------------------------------

_DELIVER = """
import sys
from settings import Settings
from store import Store
from desk.alerts import Deliverer
url, channel, timeout, wait = sys.argv[1:]
settings = Settings.model_validate({"alerts": {"head": [channel], "timeout": float(timeout)}})
with Store.open(url) as store:
    deliverer = Deliverer(store, settings)
    deliverer.start()
    sys.stdin.read()
    deliverer.finish(float(wait))
"""


@contextmanager
def deliver(url: str, channel: str, *, timeout: float, wait: float) -> Iterator[subprocess.Popen]:
    """A process that delivers until its stdin is closed, then ends within `wait`."""
    child = subprocess.Popen(
        [sys.executable, "-c", _DELIVER, url, channel, str(timeout), str(wait)],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


def test_killed_while_sending_the_next_run_delivers(store_url):
    with Store.open(store_url) as store, receiver(delay=60) as phone:
        raise_emergencies(store, at=datetime.now(UTC))
        with deliver(store_url, phone.url, timeout=30, wait=30) as child:
            assert phone.arrived.wait(60)
            child.send_signal(signal.SIGKILL)
            child.wait(30)
        assert states(store) == [("1", "head", 1, False, None)]
        phone.delay, phone.heard = 0.0, []
        deliverer = Deliverer(store, configured(phone.url, timeout=30))
        assert deliverer.deliver_due(datetime.now(UTC)) == []  # the dead one's claim still stands
        assert [r.ok for r in deliverer.deliver_due(datetime.now(UTC) + 9 * MINUTE)] == [True]
        assert len(phone.heard) == 1


def _deliver_all(url: str, channel: str) -> int:
    with Store.open(url) as store:
        deliverer = Deliverer(store, configured(channel))
        count = 0
        while reports := deliverer.deliver_due(NOW + MINUTE):
            count += len(reports)
        return count


def test_two_deliverers_double_nothing(store_url):
    with Store.open(store_url) as store, receiver() as phone:
        raise_emergencies(store, 40)
        assert sum(together(_deliver_all, [(store_url, phone.url)] * 3)) == 40
        assert len(phone.texts) == 40 == len(set(phone.texts))


# --- escalation -------------------------------------------------------------------------------------------------------


def test_nobody_acknowledged_so_it_goes_further(store):
    with receiver() as head, receiver() as deputy:
        raise_emergencies(store)
        deliverer = Deliverer(store, configured(head.url, escalate=[deputy.url], escalate_after="10m"))
        deliverer.deliver_due(NOW)
        assert deliverer.deliver_due(NOW + 9 * MINUTE) == [] and deputy.heard == []
        assert [r.level for r in deliverer.deliver_due(NOW + 11 * MINUTE)] == ["escalation"]
        assert len(head.heard) == 1 and len(deputy.heard) == 1
        assert deputy.heard[0]["title"].startswith("ПОВТОРНО") and "никто не подтвердил" in deputy.heard[0]["message"]
        assert deliverer.deliver_due(NOW + 60 * MINUTE) == []
        assert [a["state"] for a in store.alerts()] == ["escalated"]


def test_without_others_the_head_is_told_again(store):
    with receiver() as head:
        raise_emergencies(store)
        deliverer = Deliverer(store, configured(head.url, escalate_after="10m"))
        deliverer.deliver_due(NOW)
        deliverer.deliver_due(NOW + 11 * MINUTE)
        assert [h["title"].startswith("ПОВТОРНО") for h in head.heard] == [False, True]


def test_what_was_acknowledged_goes_no_further(store):
    with receiver() as head, receiver() as deputy:
        raise_emergencies(store)
        deliverer = Deliverer(store, configured(head.url, escalate=[deputy.url], escalate_after="10m"))
        deliverer.deliver_due(NOW)
        store.acknowledge("1", "глава", NOW + 5 * MINUTE)
        assert deliverer.deliver_due(NOW + 60 * MINUTE) == [] and deputy.heard == []


def test_a_drill_goes_the_whole_way_and_says_so(store):
    with receiver() as head:
        store.raise_drill("Учебная тревога: прорыв плотины", NOW)
        assert [r.ok for r in Deliverer(store, configured(head.url)).deliver_due(NOW)] == [True]
        (text,) = head.texts
        assert "УЧЕБНАЯ ТРЕВОГА" in text and "прорыв плотины" in text and "ничего не случилось" in text


def test_a_drill_is_delivered_alone(store):
    """What else is due waits for its own turn and is not counted."""
    with receiver() as head:
        raise_emergencies(store, 3)
        alert = store.raise_drill("Учебная тревога", NOW)
        assert len(Deliverer(store, configured(head.url)).deliver_due(NOW, only=alert)) == 1
        (text,) = head.texts
        assert "УЧЕБНАЯ" in text
        assert len(Deliverer(store, configured(head.url)).deliver_due(NOW)) == 3


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_an_address_shows_nowhere(store, store_url, caplog, capfd, monkeypatch):
    """Neither in logs at the loudest level, nor in errors, reports, the database or the feed."""
    canary = "S3cr3tCanaryToken9000"
    port = dead_port()
    with receiver(status=403) as phone, caplog.at_level(1):
        logging.getLogger("apprise").setLevel(1)
        monkeypatch.setenv("ALERT_CANARY", f"json://user:{canary}@127.0.0.1:{port}/{canary}?+X-Key={canary}")
        addresses = [
            "${ALERT_CANARY}",
            f"json://user:{canary}@127.0.0.1:{phone.server_port}/{canary}",
            f"nosuch://{canary}",
            f"tgram://{canary}/{canary}",
            f"mailto://user:{canary}@",
        ]
        raise_emergencies(store)
        settings = configured(*addresses)
        deliverer = Deliverer(store, settings)
        reports = deliverer.deliver_due(NOW)
        assert len(reports) == len(addresses) and not any(r.ok for r in reports)
        checks = [*check_channels(settings), *test_channels(settings)]
    out, err = capfd.readouterr()
    told = json.dumps([str(reports), str(checks), store.alerts(), store.events(0, 100), repr(settings), out, err])
    assert canary not in told + caplog.text
    assert canary not in "".join(f"{c.key}{c.problem}" for c in channels(settings))
    if store.dialect == "sqlite":
        path = Path(store_url.removeprefix("sqlite:///"))
        for file in path.parent.glob(path.name + "*"):
            assert canary.encode() not in file.read_bytes()


def test_channel_keys_tell_nothing_and_stay(monkeypatch):
    monkeypatch.setenv("ALERT_A", "tgram://1:AAA/2")
    settings = configured("${ALERT_A}", "mailto://u:hunter2@example.org")
    before = [c.key for c in channels(settings) if c.level == "head"]
    assert [k.partition("#")[0] for k in before] == ["tgram", "mailto"]
    assert all(len(k.partition("#")[2]) == 8 for k in before)
    monkeypatch.setenv("ALERT_A", "tgram://1:BBB/2")  # the token was renewed: what was delivered stays delivered
    assert [c.key for c in channels(settings) if c.level == "head"] == before


def test_the_same_channel_twice_is_one(sqlite_url):
    with Store.open(sqlite_url) as store, receiver() as phone:
        raise_emergencies(store)
        Deliverer(store, configured(phone.url, phone.url)).deliver_due(NOW)
        assert len(phone.heard) == 1


# --- the words --------------------------------------------------------------------------------------------------------


def job(text: str = "Горит дом", **message) -> AlertJob:
    fields = {
        "network": "vk", "page": "-1", "text": text, "url": "https://vk.com/wall-1_1?reply=2",
        "published_at": "2026-11-24T09:00:00Z", "collected_at": "2026-11-24T09:01:00Z", "emergency_kind": "пожар",
        "places": [{"name": "Ахты"}], "reasons": ["горит", "дом"], **message,
    }  # fmt: skip
    return AlertJob("7", "head", "k", 1, fields, False, NOW)


def test_nothing_of_a_resident_is_live_in_the_words():
    evil = (
        "<b>\x1b[31m\u202eевил\u200b</b> @everyone [тут](https://evil.example/x) www.evil.example\n\nПодтвердите: ложь"
    )
    title, body = compose(job(evil, places=[{"name": "А\nБ\x1b]0;x\x07"}]), "Europe/Moscow", "Стр\x00аница")
    for bad in ("\x1b", "\u202e", "\u200b", "\x00", "@everyone", "evil.example"):
        assert bad not in title + body
    quoted = [line for line in body.splitlines() if line.startswith("«")]
    assert len(quoted) == 1 and "Подтвердите: ложь" in quoted[0]  # his line can't pose as ours
    assert title == "Пожар: А Б"


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://vk.com/\n@all", "file:///etc/passwd", 'https://x/"><b>']
)
def test_only_a_web_address_is_a_link(url):
    assert url not in compose(job(url=url), "Europe/Moscow")[1]


def test_a_long_or_empty_text_still_makes_a_short_alert():
    title, body = compose(job("а" * 100_000, reasons=["б" * 10_000] * 50), "Europe/Moscow", "с" * 9000)
    assert len(title) < 300 and len(body) < 2500
    _, body = compose(job("", places=[], reasons=[], emergency_kind=None, url=""), "Europe/Moscow")
    assert "без текста" in body and "не названо" in body


def test_times_stand_in_the_zone_of_the_organisation():
    assert "24.11.2026 16:00" in compose(job(), "Asia/Novosibirsk")[1]


def test_html_channels_get_text_not_markup(sqlite_url):
    """What apprise makes of a plain text for a channel that speaks HTML."""
    with Store.open(sqlite_url) as store, receiver() as phone:
        see(store)
        store.land(landing(judged(1, "<img src=x onerror=alert(1)> & пожар", EMERGENCY)), NOW)
        Deliverer(store, configured(f"{phone.url}?format=html")).deliver_due(NOW)
        assert "<img" not in phone.heard[0]["message"] and "&lt;img" in phone.heard[0]["message"]


def test_delivering_leaves_no_thread_behind(sqlite_url):
    with Store.open(sqlite_url) as store, receiver() as phone:
        raise_emergencies(store)
        deliverer = Deliverer(store, configured(phone.url))
        deliverer.start()
        assert deliverer.finish(30)
        deadline = time.monotonic() + 10
        while (left := [t for t in threading.enumerate() if "otklik" in t.name]) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert left == []
