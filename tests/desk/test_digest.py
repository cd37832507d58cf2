"""Digests of divisions: once for each time of a day, what a division may see, nothing of the author."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

import cli
from desk import digest
from desk.work import act
from settings import ConfigError, parse
from store import Store, StoreError
from store.values import Judged
from tests.desk.receivers import dead_port, receiver
from tests.desk.test_states import GOOD
from tests.rig import otklik, rig
from tests.store.build import EMERGENCY, NOW, PLAIN, comment, landing, see

one_database = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
"""For what is the same on both; a few tests of this file run on both."""
MORNING = NOW.replace(hour=6, minute=0)  # 09:00 in Moscow, a Tuesday
MINUTE = timedelta(minutes=1)
EVERY_DAY = 'hours: {mon-sun: "00:00-24:00"}, holidays: none'
NAMES = {"water": "Нет воды", "housing": "ЖКХ"}
TEXT = "Нет воды на Школьной, звоните Магомеду +7 (928) 123-45-67, mag@mail.ru, www.x.ru " + "очень " * 30
CONFIG = """
organisation: {{name: "Администрация"}}
alerts: {{timeout: 5s, retry_every: 1m}}
people: [{{id: adm, roles: [administrator]}}]
divisions:
  - {{id: zhkh, name: "Отдел ЖКХ", people: [z], notify: {notify}}}
  - {{id: roads, name: "Отдел дорог", people: [r], notify: {roads}}}
"""


def configured(notify=(), roads=(), more=""):
    listed = {"notify": list(notify), "roads": list(roads)}
    return parse(CONFIG.format(**{k: str(v).replace("'", '"') for k, v in listed.items()}) + more)


@pytest.fixture
def queue(store):
    """Two messages and an emergency with zhkh, one with the roads, one that nobody has, one with a draft."""
    see(store)
    due = {"route": NOW + timedelta(minutes=30), "answer": NOW + timedelta(hours=1)}
    store.land(landing(*(Judged(comment(n, TEXT), EMERGENCY if n == 3 else PLAIN, due) for n in range(1, 7))), NOW)
    settings = configured()
    for id, to in (("1", "zhkh"), ("2", "zhkh"), ("3", "zhkh"), ("4", "roads"), ("6", "zhkh")):
        act(store, settings, id, "route", {"to": [to]}, by="adm", now=NOW)
    act(store, settings, "6", "draft", GOOD["draft"], by="z", now=NOW)  # the administrator's turn
    return store


@one_database
def test_what_a_division_may_see_and_no_more(queue):
    settings = configured()
    found = digest.compose(queue, settings.divisions[0], settings, NAMES, NOW + timedelta(minutes=10))
    assert (found.division, found.total) == ("zhkh", 3)
    assert found.title == "Администрация: Отдел ЖКХ, 24.11.2026 12:10"
    lines = found.body.splitlines()
    assert lines[0] == "У вас 3 сообщения: просрочено 3, скоро (за час) 0."
    assert lines.index("Чрезвычайные:") < lines.index("По срокам:")
    assert next(line for line in lines if line.startswith("№")).startswith("№ 3: пожар; проект ответа опоздание")
    assert "№ 1: Нет воды, Хрюг; " in found.body and not {"№ 4", "№ 5", "№ 6"} & {line[:3] for line in lines}
    for secret in ("928", "123-45", "mag@", "mail.ru", "www", "Имя Отчество", "vk.com", "очень очень очень очень"):
        assert secret not in found.body, secret


@one_database
def test_only_so_many_are_listed(store):
    see(store)
    store.land(landing(*(Judged(comment(n), PLAIN, {}) for n in range(1, 31))), NOW)
    settings = configured()
    for n in range(1, 31):
        act(store, settings, str(n), "route", {"to": ["zhkh"]}, by="adm", now=NOW)
    body = digest.compose(store, settings.divisions[0], settings, {}, NOW).body
    assert body.count("№ ") == 10 and "…и ещё 20." in body


def test_a_slot_is_a_time_of_a_working_day():
    settings = parse('desk: {digest: ["09:00", "14:30"], hours: {mon-sat: "09:00-18:00"}, days: {off: [11-25]}}')
    at = MORNING
    assert digest.slot_of(at, settings) == at
    assert digest.slot_of(at - MINUTE, settings) is None
    assert digest.slot_of(at + 119 * MINUTE, settings) == at and digest.slot_of(at + 120 * MINUTE, settings) is None
    assert digest.slot_of(at + timedelta(hours=5.5), settings) == at + timedelta(hours=5.5)
    assert digest.slot_of(at + timedelta(days=1), settings) is None  # the district's own day off
    assert digest.slot_of(at + timedelta(days=4), settings) is not None  # Saturday is worked here
    assert digest.slot_of(at + timedelta(days=5), settings) is None
    assert digest.slot_of(at, parse("desk: {digest: []}")) is None


@one_database
def test_once_for_each_slot_however_often_collect_runs(queue):
    with receiver() as mail, receiver() as chat:
        settings = configured([mail.url, chat.url])
        for minutes in (0, 5, 10, 90):
            digest.send_due(queue, settings, NAMES, MORNING + minutes * MINUTE)
        assert len(mail.texts) == len(chat.texts) == 1 and "Отдел ЖКХ" in mail.texts[0]
        digest.send_due(queue, settings, NAMES, MORNING + timedelta(days=1))
        assert len(mail.texts) == 2


def test_several_runs_at_once_send_one(queue, store_url):
    with receiver(delay=0.2) as mail:
        settings = configured([mail.url])

        def run(_):
            with Store.open(store_url) as mine:
                return len(digest.send_due(mine, settings, NAMES, MORNING))

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(run, range(4))) == [0, 0, 0, 1]
        assert len(mail.heard) == 1


def test_a_channel_that_fails_is_tried_again_and_holds_up_no_other(queue):
    with receiver() as good, receiver(status=500) as bad:
        settings = configured([bad.url], [good.url, f"json://127.0.0.1:{dead_port()}"])
        sent = digest.send_due(queue, settings, NAMES, MORNING)
        assert {(s.division, s.error is None) for s in sent} == {("zhkh", False), ("roads", True), ("roads", False)}
        assert digest.send_due(queue, settings, NAMES, MORNING + MINUTE / 2) == []
        bad.status = 200
        again = digest.send_due(queue, settings, NAMES, MORNING + MINUTE)
        assert ("zhkh", None) in {(s.division, s.error) for s in again} and len(again) == 2
        assert len(good.heard) == 1 and len(bad.heard) == 2


@one_database
def test_what_a_dead_program_may_have_sent_is_not_sent_again(queue):
    with receiver() as mail:
        settings = configured([mail.url])
        (channel,) = digest.channels(settings.divisions[0])
        assert queue.claim_digest(MORNING, "zhkh", channel.key, MORNING, 1, 10)  # and there it died
        assert digest.send_due(queue, settings, NAMES, MORNING + timedelta(hours=1)) == [] and not mail.heard


@one_database
def test_nothing_to_tell_is_told_to_nobody(store):
    see(store)
    with receiver() as mail:
        settings = configured([mail.url])
        assert [s.error for s in digest.send_due(store, settings, NAMES, MORNING)] == [None]
        assert digest.send_due(store, settings, NAMES, MORNING + MINUTE) == [] and mail.heard == []


def test_doctor_tells_of_an_address_that_is_none(monkeypatch):
    monkeypatch.setenv("MAIL", "json://127.0.0.1:1/secret-token")
    settings = configured(["${MAIL}", "nonsense"], ["${NOT_SET}"])
    found = digest.check_digests(settings)
    assert [c.ok for c in found] == [True, False, False]
    assert not any("secret-token" in f"{c}" for c in found) and "NOT_SET" in found[2].detail


@pytest.mark.parametrize("text", ["9:00", "25:00", "09:60", "утром"])
def test_bad_times_are_told_of(text):
    with pytest.raises(ConfigError, match=r"desk.digest\[0\]: нужно время суток"):
        parse(f'desk: {{digest: ["{text}"]}}')


@one_database
def test_what_failed_before_anything_was_sent_is_tried_again(queue, monkeypatch):
    with receiver() as mail:
        settings = configured([mail.url], [mail.url])
        real = digest.compose

        def broken(store, division, *rest):
            if division.id == "roads":
                raise StoreError("база занята")
            return real(store, division, *rest)

        with monkeypatch.context() as m:
            m.setattr(digest, "compose", broken)
            with pytest.raises(StoreError):
                digest.send_due(queue, settings, NAMES, MORNING)
        assert mail.heard == []
        assert len(digest.send_due(queue, settings, NAMES, MORNING + MINUTE)) == len(mail.heard) == 2


def test_the_command(tmp_path, sqlite_url):
    with receiver() as mail, Store.open(sqlite_url) as store:
        see(store)
        store.land(landing(Judged(comment(1), PLAIN, {})), NOW)
        text = f'store: {{url: "{sqlite_url}"}}\n' + CONFIG.format(notify=f'["{mail.url}"]', roads="[]")
        (tmp_path / "config.yaml").write_text(text, encoding="utf-8")

        def run(*argv):
            return otklik("--config", str(tmp_path / "config.yaml"), *argv)

        shown = run("digest", "--dry-run", "--division", "zhkh")
        assert shown.code == 0 and "У вас 0 сообщений" in shown.out and not mail.heard
        assert run("digest", "--now", "--json").json == [] and not mail.heard
        act(store, parse(text), "1", "route", {"to": ["zhkh"]}, by="adm", now=NOW)
        assert run("digest", "--dry-run", "--by", "adm").code == 0
        assert [(a["actor"], a["message_id"], a["how"]) for a in store.access(None, 9)] == [("adm", "1", "list")]
        (sent,) = run("digest", "--now", "--json").json
        assert (sent["division"], sent["error"], len(mail.heard)) == ("zhkh", None, 1)
        wrong = run("digest", "--division", "x")
        assert wrong.code == 2 and "подразделения «x» в настройках нет; есть zhkh" in wrong.err


@one_database
def test_collect_sends_what_is_due_and_ends_blockings_whose_term_is_over(store_url, capsys, monkeypatch):
    """Both hang on a run of the whole program, by the clock; at noon: the digest of before midnight is yesterday's."""
    now = datetime.now(UTC)
    ahead = now.replace(hour=12, minute=0) + timedelta(days=now.hour >= 12) - now
    monkeypatch.setattr(cli, "utc_now", lambda: datetime.now(UTC) + ahead)
    now = cli.utc_now()
    with receiver() as mail, rig(store_url) as r:
        mine = configured([mail.url], more=f'desk: {{digest: ["{now:%H:%M}"], {EVERY_DAY}}}\n')
        zone = parse("organisation: {timezone: UTC}").organisation
        changed = {"organisation": zone, "desk": mine.desk, "divisions": mine.divisions, "people": mine.people}
        settings = r.settings.model_copy(update=changed)
        cli.run_collect(r.store, settings, judges=r.judges)
        r.say("Нет света")
        cli.run_collect(r.store, settings, judges=r.judges)
        assert mail.heard == []  # nobody had anything; that was this time's digest
        id = next(m["id"] for m in r.store.messages() if m["text"] == "Нет света")
        until = {"ground": "spam", "until": now - timedelta(minutes=1)}
        act(r.store, settings, id, "block", until, by="adm", now=now - timedelta(hours=1))
        act(r.store, settings, id, "route", {"to": ["zhkh"]}, by="adm", now=now)
        later = mine.desk.model_copy(update={"digest": [f"{now - timedelta(minutes=30):%H:%M}", f"{now:%H:%M}"]})
        cli.run_collect(r.store, settings.model_copy(update={"desk": later}), judges=r.judges)
        assert mail.heard == [] and r.store.blocks() == []
        assert ": она снята" in capsys.readouterr().err
        before = mine.desk.model_copy(update={"digest": [f"{now - timedelta(minutes=30):%H:%M}"]})
        for _ in range(2):
            cli.run_collect(r.store, settings.model_copy(update={"desk": before}), judges=r.judges)
        assert len(mail.heard) == 1
