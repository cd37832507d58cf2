"""The account of each minute, the forecast, and the desk's commands as people run them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import cli
from desk.deadlines import clocks_from
from desk.sla import accounts, end_of_day, forecast
from desk.states import dump
from settings import parse
from store import Store
from store.values import utcnow
from store.views import plain
from tests.desk.test_states import SETTINGS, fresh, walk
from tests.store.build import EMERGENCY, NOW, PLAIN, THANKS, URGENT, judged, landing, see

USUAL = parse("")


def message(**more):
    """A message as the store shows it; NOW is Tuesday, 12:00 in Moscow."""
    shown = {
        "id": "1", "status": "new", "collected_at": "2026-11-24T09:00:00Z", "historical": False, "deleted_at": None,
        "author": {"id": "5"}, "division": None, "url": "", "topic": "water", "topic_group": "housing",
        "urgency": "urgent", "emergency": False, "reaction": "required",
        "deadlines": {"route": "2026-11-24T09:30:00Z", "answer": "2026-11-24T13:00:00Z"},
    }  # fmt: skip
    return {**shown, **more}


def test_every_minute_of_a_running_clock_is_accounted_for():
    route, answer = accounts(message(), None, USUAL, NOW + timedelta(hours=6))
    assert (route.name, route.late, route.used) == ("route", timedelta(hours=5, minutes=30), timedelta(minutes=30))
    assert [(i.counted, i.why, i.length / timedelta(hours=1)) for i in answer.intervals] == [
        (True, "вторник", 1), (False, "перерыв", 1), (True, "вторник", 2), (False, "опоздание, рабочих минут 120", 2)
    ]  # fmt: skip
    assert (answer.used, answer.late, answer.stopped_at) == (timedelta(hours=3), timedelta(hours=2), None)


@pytest.mark.parametrize("hours", [0, 1, 3, 5, 30, 100])
def test_no_minute_is_told_twice_or_left_out(hours):
    now = NOW + timedelta(hours=hours)
    data = plain(dump(walk(("route", "adm"), ("begin", "z"), ("draft", "z"))))
    deadlines = {"answer": "2026-11-26T09:00:00Z", "approve": "2026-11-24T09:30:00Z"}
    told = accounts(message(status="draft", deadlines=deadlines), data, SETTINGS, now)
    assert [a.name for a in told] == ["route", "answer", "return", "draft", "approve"]
    for a in told:
        edges = [i.start for i in a.intervals] + [i.end for i in a.intervals[-1:]]
        end = a.stopped_at or max(now, a.due_at)
        assert edges == ([a.started_at, *(i.end for i in a.intervals)] if end > a.started_at else [])
        assert not a.intervals or a.intervals[-1].end == end
        counted = sum((min(i.end, max(now, i.start)) - i.start for i in a.intervals if i.counted), timedelta())
        assert a.stopped_at is not None or a.used == counted


def test_a_message_without_clocks_has_no_account():
    assert accounts(message(deadlines={}), None, USUAL, NOW) == []


def test_forecast_by_division_and_by_topic():
    settings = parse("divisions: [{id: zhkh, name: ЖКХ, topics: [housing]}, {id: roads, topics: [potholes]}]")
    until = end_of_day(NOW, settings)
    assert until == datetime(2026, 11, 24, 21, tzinfo=UTC)
    rows = forecast(
        [
            message(id="1"),
            message(id="2", division="zhkh", deadlines={"draft": "2026-11-24T08:00:00Z"}),
            message(id="3", division="zhkh", deadlines={"draft": "2026-11-24T20:00:00Z"}),
            message(id="4", division="zhkh", deadlines={"draft": "2026-11-24T21:00:00Z"}),  # tomorrow
            message(id="5", topic="potholes", topic_group="transport"),
            message(id="6", topic=None, topic_group=None),
            message(id="7", deadlines={}),
            message(id="8", division="zhkh", deadlines={"return": "2026-11-24T07:30:00Z"}),  # no duty
        ],
        settings, NOW, until,
    )  # fmt: skip
    shown = [(r["division"], r["proposed"], r["overdue"], r["by_end"], [m["id"] for m in r["messages"]]) for r in rows]
    assert shown == [
        ("zhkh", False, 1, 1, ["2", "3"]), (None, True, 0, 1, ["6"]), ("roads", True, 0, 1, ["5"]),
        ("zhkh", True, 0, 1, ["1"]),
    ]  # fmt: skip
    assert rows[0]["name"] == "ЖКХ" and rows[0]["messages"][0]["clock"] == "draft"


# --- commands ---------------------------------------------------------------------------------------------------------

CONFIG = """
people:
  - {id: adm, roles: [administrator]}
  - {id: cur, roles: [curator]}
divisions:
  - {id: zhkh, name: "Отдел ЖКХ", topics: [housing], people: [z]}
  - {id: roads, name: "Отдел дорог", topics: [roads], people: [r]}
"""


@pytest.fixture
def desk(tmp_path, monkeypatch, sqlite_url, capsys):
    """`run(*argv)` -> (exit code, stdout, stderr), on a database with four messages (test_work.py: PostgreSQL)."""
    path = tmp_path / "config.yaml"
    path.write_text(f'store: {{url: "{sqlite_url}"}}\n{CONFIG}')
    monkeypatch.setenv("OTKLIK_CONFIG", str(path))
    settings, now = parse(CONFIG), utcnow()
    with Store.open(sqlite_url) as store:
        see(store)
        items = [judged(1), judged(2, "горит дом", EMERGENCY), judged(3, "яма", URGENT), judged(4, "спасибо", THANKS)]
        timed = [replace(i, deadlines=clocks_from(now, i.assessment, settings)) for i in items]
        store.land(landing(*timed, server_time=now), now)

    def run(*argv):
        code = cli.run([*argv])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_from_the_queue_to_an_answer_on_the_command_line(desk):
    assert desk("queue", "accept", "1", "--by", "adm")[0] == 0
    code, out, err = desk("queue", "route", "1", "--to", "zhkh", "--by", "adm", "--json")
    assert code == 0 and json.loads(out)[0]["status"] == "routed" and "вернуть, если не своё (п. 7.2)" in err
    assert desk("queue", "begin", "1", "--by", "z")[0] == 0
    code, out, err = desk("queue", "draft", "1", "--text", "Разберёмся", "--interim", "--by", "z")
    assert (code, out) == (2, "") and "нужен срок или условие" in err and err.count("\n") == 1
    assert desk("queue", "draft", "1", "--text", "Воду \x1b[31mвключили", "--by", "z")[0] == 0
    assert desk("queue", "rework", "1", "--reason", "когда?", "--by", "adm")[0] == 0
    assert desk("queue", "draft", "1", "--text", "Включили в 9:00", "--by", "z")[0] == 0
    assert desk("queue", "approve", "1", "--by", "adm", "--version", "5")[0] == 2  # somebody saw an older one
    assert desk("queue", "approve", "1", "--by", "adm", "--version", "6")[0] == 0
    assert desk("queue", "publish", "1", "--url", "javascript:alert(1)", "--by", "adm")[0] == 2
    assert desk("queue", "publish", "1", "--url", "https://vk.com/wall-1_1?reply=7", "--by", "adm")[0] == 0
    code, out, _ = desk("queue", "history", "1")
    assert code == 0 and "Включили в 9:00" in out and "размещён" in out and "\x1b" not in out
    found = json.loads(desk("queue", "history", "1", "--json")[1])
    assert [r["state"] for r in found["replies"]] == ["rework", "published"] and found["version"] == 8
    assert desk("queue", "close", "1", "--by", "adm")[0] == 0
    assert desk("store", "verify")[0] == 0


def test_one_of_several_that_is_refused_holds_up_no_other(desk):
    code, out, err = desk("queue", "route", "1", "99", "3", "--to", "roads", "--by", "adm", "--json")
    assert code == 1 and [m["id"] for m in json.loads(out)] == ["1", "3"] and "«99» нет" in err
    assert desk("queue", "route", "1", "3", "--to", "roads", "--by", "adm")[0] == 2
    code, _, err = desk("queue", "route", "2", "--to", "roads", "--by", "stranger")
    assert code == 2 and "человека «stranger» нет в настройках" in err
    assert json.loads(desk("queue", "--division", "roads", "--json")[1])[0]["id"] == "3"


def test_several_divisions_extension_redirection_refusal(desk, tmp_path):
    assert desk("queue", "route", "3", "--to", "zhkh", "--to", "roads", "--by", "adm")[0] == 0
    assert desk("queue", "part", "3", "--text", "трубы целы", "--by", "z")[0] == 0
    day = (utcnow() + timedelta(days=25)).date().isoformat()  # later than any term over the New Year
    code, out, _ = desk("queue", "extend", "3", "--until", day, "--reason", "ждём щебень", "--by", "adm", "--json")
    assert code == 0 and json.loads(out)[0]["deadlines"]["answer"][:10] == day
    assert desk("queue", "extend", "3", "--until", "2090-01-01", "--reason", "x", "--by", "adm")[0] == 2
    assert desk("queue", "notify", "3", "--kind", "extension", "--by", "adm")[0] == 0
    text = tmp_path / "answer.txt"
    text.write_text("Этим занимается Росреестр.", encoding="utf-8")
    assert desk("queue", "redirect", "1", "--to", "Росреестр", "--file", str(text), "--by", "adm")[0] == 0
    assert desk("queue", "redirect", "4", "--to", "Росреестр", "--set", "орган", "--by", "adm")[0] == 2
    assert desk("queue", "refuse", "2", "--ground", "obscene", "--by", "adm")[0] == 0
    assert desk("queue", "deny", "2", "--reason", "это пожар", "--by", "cur")[0] == 0
    assert desk("queue", "refuse", "4", "--ground", "boring", "--by", "adm")[0] == 2
    assert desk("queue", "close", "4", "--by", "adm")[0] == 0
    assert desk("queue", "reopen", "4", "--reason", "не то", "--by", "cur")[0] == 0


def test_sla_commands(desk):
    code, out, _ = desk("sla", "explain", "2")
    assert code == 0 and "направить в подразделение (п. 7.1)" in out and "обычное время" in out
    told = json.loads(desk("sla", "explain", "2", "--json")[1])
    assert [a["name"] for a in told] == ["route", "answer"] and told[0]["intervals"][0]["minutes"] == 30
    assert "нет сроков" in desk("sla", "explain", "4")[1]
    assert desk("sla", "explain", "99")[0] == 2
    far = (utcnow() + timedelta(days=30)).date().isoformat()
    found = json.loads(desk("sla", "forecast", "--until", far, "--json")[1])
    assert sorted(m["id"] for r in found["divisions"] for m in r["messages"]) == ["1", "2", "3"]
    only = json.loads(desk("sla", "forecast", "--until", far, "--division", "zhkh", "--json")[1])["divisions"]
    assert {r["division"] for r in only} == {"zhkh"} and only[0]["proposed"]
    code, out, _ = desk("sla", "forecast", "--until", far)
    assert code == 0 and "Отдел ЖКХ" in out and "по теме" in out and "просрочится ещё 3" in out
    assert "ничего не просрочится" in desk("sla", "forecast", "--until", "2020-01-01")[1]


def test_a_correction_moves_the_clocks_and_the_list_of_the_overdue(desk):
    before = json.loads(desk("queue", "show", "1", "--json")[1])["deadlines"]
    assert desk("queue", "correct", "1", "--urgency", "urgent", "--by", "z")[0] == 2  # not an executor's business
    after = json.loads(desk("queue", "correct", "1", "--urgency", "urgent", "--by", "cur", "--json")[1])["deadlines"]
    assert after["route"] == before["route"] and after["answer"] < before["answer"]
    found = desk("queue", "correct", "1", "--reaction", "none", "--by", "adm", "--json")[1]
    assert json.loads(found)["deadlines"] == {}
    assert desk("alerts", "ack", "1", "--by", "z")[0] == 2 and desk("alerts", "ack", "1", "--by", "cur")[0] == 0
    assert fresh().deadlines.keys() == {"route", "answer"}
    assert json.loads(desk("queue", "--overdue", "--json")[1]) == []


def test_without_people_in_the_configuration_one_person_does_everything(store, monkeypatch):
    from desk.work import act

    see(store)
    store.land(landing(judged(1, assessment=PLAIN)), NOW)
    alone = parse("divisions: [{id: zhkh}]")
    for verb, args in (("route", {"to": ["zhkh"]}), ("draft", {"kind": "final", "text": "Да"}), ("approve", {})):
        found = act(store, alone, "1", verb, args, by="whoever", now=NOW)
    assert found["status"] == "approved"
