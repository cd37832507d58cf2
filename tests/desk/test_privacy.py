"""Personal data from the command line: forgetting against a living network, export, who saw what, the audit log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from classifier.anonymise import masked
from desk.privacy import settle, terms_of
from settings import parse
from store import Store
from store.admin import verify
from store.tables import audit
from store.values import Author
from store.values import Retention as Terms
from tests.rig import environment, otklik, rig
from tests.store.build import EMERGENCY, NOW, PLAIN, judged, landing, see
from tests.store.test_forgetting import SENTENCE, bytes_of, person, remains, traces

ONE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
PEOPLE = """
people:
  - {id: ivanova, name: "Иванова А. А.", roles: [administrator]}
  - {id: kuratova, name: "Куратова К. К.", roles: [curator]}
"""


@ONE
def test_the_walks_agree_after_forgetting(store_url):
    """Counters, tails and full walks of a network that still shows the forgotten comments, edits and deletes them."""
    with rig(store_url) as r:
        r.collect()
        target = r.say("меня зовут так-то, нет воды")
        answer = r.say("и у меня нет", parent=target)
        r.collect()
        author = r.stored()[r.key(target)]["author"]["id"]
        theirs = [m["external_id"] for m in r.store.messages() if m["author"]["id"] == author]
        done = r.store.forget(f"vk:{author}", by="куратор", now=NOW, settle=settle)
        assert set(done.messages) and not r.stored().keys() & set(theirs)
        r.agrees()
        for full in (False, True):
            report = r.collect(full=full)
            assert report.exit_code == 0 and sum(x.coverage.new for x in report.results) == 0, full
            assert all(x.coverage.gap in (0, None) for x in report.results)
        r.world.edit(target, "меня зовут так-то, воды всё нет")
        r.say("мимо проходил")  # by the same person: a new matter
        report = r.collect(full=True)
        assert sum(x.coverage.new for x in report.results) == 1
        assert not [m for m in r.store.messages() if "зовут" in m["text"]]
        r.world.delete(target)
        r.collect(full=True)
        r.agrees()
        assert verify(store_url) == []
        assert r.key(answer) in r.stored() or r.key(answer) in theirs


@pytest.fixture
def place(sqlite_url, tmp_path, monkeypatch):
    """A folder with a config.yaml, and a database with a person in it; the person's numbers."""
    (tmp_path / "config.yaml").write_text(f'store: {{url: "{sqlite_url}"}}\n{PEOPLE}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTKLIK_CONFIG", raising=False)
    with Store.open(sqlite_url) as store:
        her = person(store)
    return sqlite_url, her


def test_forget_asks_tells_and_does(place):
    url, her = place
    told = otklik("store", "forget", "vk:990017777", "--dry-run", "--by", "kuratova")
    assert told.code == 0 and ", ".join(her) in told.out and "ничего не изменено" in told.err
    assert "сообщения — 5" in told.out and "где назван автор" in told.out
    with Store.open(url) as store:
        assert remains(store)
    asked = otklik("store", "forget", "vk:990017777", "--by", "kuratova")
    assert asked.code == 2 and "--yes" in asked.err and "ещё открыты" in asked.err
    assert otklik("store", "forget", "vk:990017777", "--yes", "--by", "ivanova").code == 2
    assert otklik("store", "forget", "vk:990017777", "--yes", "--by", "никто").code == 2
    with Store.open(url) as store:
        assert remains(store)
    done = otklik("store", "forget", "vk:990017777", "--yes", "--by", "kuratova", "--json")
    assert done.code == 0 and done.json["done"] and done.json["messages"] == her and done.json["open"]
    assert "Копии базы" in done.err and traces(done.out + done.err) == []
    with Store.open(url) as store:
        assert remains(store) == []
    again = otklik("store", "forget", "vk:990017777", "--yes", "--by", "kuratova")
    assert again.code == 2 and "в базе нет" in again.err
    shown = otklik("queue", "show", her[0], "--by", "ivanova")
    assert shown.code == 0 and "автор забыт" in shown.out
    history = otklik("queue", "history", her[0])
    assert history.code == 0 and "подробности стёрты" in history.out
    assert otklik("store", "verify").code == 0
    read = otklik("feed", "read")
    assert read.code == 0 and traces(read.out) == [] and "otklik.message.forgotten" in read.out


def test_a_program_killed_in_the_middle_goes_on(place, tmp_path):
    assert place
    code = (
        "import os, signal, cli\n"
        "from store import forgetting\n"
        "forgetting.compact = lambda db: os.kill(os.getpid(), signal.SIGKILL)\n"
        "cli.run(['store', 'forget', 'vk:990017777', '--yes', '--by', 'kuratova'])\n"
    )
    died = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    again = otklik("store", "forget", "vk:990017777", "--by", "kuratova")  # no question: it was answered
    assert again.code == 0 and "прервано" in again.err
    assert bytes_of(tmp_path / "otklik.db") == []
    assert not os.path.exists(tmp_path / "otklik.db-wal") or bytes_of(tmp_path / "otklik.db-wal") == []


def test_the_export_has_no_people_in_it(place, tmp_path):
    out = tmp_path / "out.ndjson"
    assert otklik("store", "export", "-o", str(out), "--by", "ivanova").code == 2
    said = otklik("store", "export", "--pseudonymised", "-o", str(out), "--by", "ivanova")
    assert said.code == 0 and out.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 10 and str(len(lines)) in said.err
    text = out.read_text(encoding="utf-8")
    for trace in ("Канария", "Овсянкина", "990017777", "kanareika", "000-11-22", "vk.com", "wall-1_10", "Сосед"):
        assert trace not in text, trace
    authors = [m["author"] for m in lines]
    assert len(set(authors)) == 2 and authors.count(authors[-1]) == 5
    hers = [m for m in lines if m["author"] == authors[-1]]
    assert hers[2]["answers"] == hers[0]["comment"] and hers[1]["emergency"] and lines[0]["topic"] == "water"
    assert otklik("store", "export", "--pseudonymised", "-o", str(out), "--by", "ivanova").code == 2
    again = otklik("store", "export", "--pseudonymised", "-o", str(out), "--by", "ivanova", "--force")
    assert again.code == 0 and out.read_text(encoding="utf-8") == text
    assert not list(tmp_path.glob(".*partial"))
    nowhere = otklik("store", "export", "--pseudonymised", "-o", str(tmp_path / "нет" / "f"), "--by", "ivanova")
    assert nowhere.code == 2 and "Traceback" not in nowhere.err


def test_who_looked_is_known(place):
    _, her = place
    assert otklik("queue", "show", her[1], "--by", "ivanova").code == 0
    assert otklik("queue", "--by", "ivanova").code == 0
    assert otklik("queue", "take", "--consumer", "портал", "--limit", "2").code == 0
    assert otklik("store", "access", "--by", "ivanova").code == 2
    found = otklik("store", "access", her[1], "--by", "kuratova", "--json").json
    assert {(r["actor"], r["how"]) for r in found} >= {("ivanova", "show"), ("ivanova", "list")}
    shown = otklik("store", "access", "--by", "kuratova")
    assert "Иванова А. А." in shown.out and "портал" in shown.out
    of_her = otklik("store", "access", "vk:990017777", "--by", "kuratova", "--json").json
    assert {r["message_id"] for r in of_her} <= set(her) and of_her
    assert otklik("store", "access", "77777", "--by", "kuratova").code == 2


def test_sweep_tells_and_does(place, tmp_path):
    config = tmp_path / "config.yaml"
    text = config.read_text(encoding="utf-8")
    terms = "retention: {text: 1d, authors: 1d, deleted: 1d, revisions: 1d, events: 1d}"
    config.write_text(text.replace("store: {", f"store: {{{terms}, "), encoding="utf-8")
    told = otklik("store", "sweep", "--dry-run", "--json")
    assert told.code == 0
    done = otklik("store", "sweep", "--json")
    assert done.code == 0 and done.json == told.json
    assert otklik("store", "sweep").err.strip() == "стирать нечего" and otklik("store", "verify").code == 0
    assert terms_of(parse(config.read_text(encoding="utf-8"))) != Terms()


@ONE
def test_what_people_do_is_in_the_log(store):
    see(store)
    store.land(landing(judged(1), judged(2), judged(3, "горит дом", EMERGENCY)), NOW)
    a, b, c = sorted(m["id"] for m in store.messages())
    store.correct(a, {"topic": "light", "topic_group": "housing"}, by="ivanova", now=NOW)
    store.relate(a, b, by="ivanova", now=NOW)
    store.acknowledge(store.alerts()[0]["id"], "глава", NOW)
    store.raise_drill("Учения", NOW, "глава")
    assert store.record("ivanova", "model_rollback", {"version": "x"}, NOW, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        store.record("ivanova", "model_train", {}, NOW, lambda: 1 // 0)
    with store._db.read() as conn:
        rows = conn.execute(audit.select().order_by(audit.c.seq)).all()
    assert [(r.actor, r.verb, r.message_id) for r in rows] == [
        ("ivanova", "correct", int(a)), ("ivanova", "relate", int(a)), ("глава", "acknowledge", int(c)),
        ("глава", "drill", None), ("ivanova", "model_rollback", None),
    ]  # fmt: skip


MASKED = {
    "Здравствуйте, Иван Петрович! Нет света": "Здравствуйте, <имя>! Нет света",
    "Звоните 8 (928) 123-45-67 или ivan.p@mail.ru": "Звоните <телефон> или <почта>",
    "[id123|Анна], см. https://vk.com/id5 и t.me/x1": "<упоминание>, см. <ссылка> и <ссылка>",
    "Глава Муталибов А. М. обещал": "Глава <имя> обещал",
    "на улице Гагарина яма, кв. 12": "на улице Гагарина яма, кв. <номер>",
    "зябликов просил": "<имя> просил",
    "паспорт 8204 123456": "паспорт <номер>",
    "=cmd|'/c calc'\x1b[31m": "'=cmd|'/c calc' [31m",
    "В Ахтах нет газа": "В Ахтах нет газа",
    "Яма на дороге. Мусор не вывозят": "Яма на дороге. Мусор не вывозят",
}


@pytest.mark.parametrize("text", MASKED)
def test_a_text_without_the_people_in_it(text):
    assert masked(text, ("Пётр Зябликов",), ("Ахтах",)) == MASKED[text]


@ONE
def test_a_case_of_a_forgotten_author_is_closed_without_words(store):
    person(store)
    her = [m["id"] for m in store.messages() if m["author"]["id"] == "990017777" and m["division"]]
    data = store.desk(her[0])["case"]
    assert SENTENCE.split(" (")[0] in json.dumps(data, ensure_ascii=False)
    left = settle(data, NOW)
    assert left["state"] == "closed" and left["outcome"] == "forgotten" and traces(str(left)) == []
    assert [c["name"] for c in left["clocks"]] == [c["name"] for c in data["clocks"]]


@ONE
def test_an_author_known_by_nothing_but_a_name(store):
    """A network without ids: only that message is forgotten, and the name where it stands."""
    see(store)
    named = Author(None, "Агриппина Нездешняя", None, "person")
    store.land(landing(judged(1, "раз", author=named), judged(2, "Агриппина Нездешняя права", PLAIN)), NOW)
    (first,) = [m["id"] for m in store.messages() if m["text"] == "раз"]
    store.forget(first, by="куратор", now=NOW, settle=settle)
    assert "Агриппина" not in str(list(store.messages())) and "[скрыто] права" in str(list(store.messages()))
