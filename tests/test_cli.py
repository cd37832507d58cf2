"""The `otklik` command: every command's happy way, its JSON, pipes, signals, crashes, bad arguments, hostile texts."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulator import USER_TOKEN, Emulator
from emulator.world import World
from tests.desk.receivers import Receiver, dead_port, receiver
from tests.rig import PROGRAM, ROOT, Said, config, environment, otklik, two_pages

FIRE = "Горит жилой дом в Луткуне, внутри люди, где пожарные?!"
HOSTILE = "Нет воды \x1b[31mкрасный\x1b]0;title\x07 \u202eхвост\u202c\x00\x9b2J <b>&amp;</b> =cmd|'/c calc'!A1"

ASSESSMENT = [
    "topic", "topic_group", "topic_confidence", "places", "urgency", "emergency", "emergency_kind", "reaction",
    "conduct", "reasons", "model",
]  # fmt: skip
PLACE = {"name", "kind", "parents", "lat", "lon", "span", "confidence"}
MESSAGE = {
    "id", "network", "page", "url", "post_id", "comment_id", "parent_id", "author", "text", "published_at",
    "collected_at", "edited_at", "deleted_at", "status", "historical", "repeat_of", "division", "deadlines",
    *ASSESSMENT,
}  # fmt: skip


def fill(world: World) -> None:
    """What comes after the first run."""
    world.advance(60)
    first, second = (list(world.pages[p].posts.values()) for p in ("-1", "-2"))
    world.add_comment(first[0], FIRE, 1001)
    world.add_comment(first[1], "Нет воды в Хкеме второй день", 1002)
    world.add_comment(second[0], HOSTILE, 1003)
    world.add_comment(second[1], "Спасибо за новую дорогу!", 1004)


@dataclass
class Place_:
    """Where commands run: a folder with a config.yaml, the emulator, the Head's phone."""

    folder: Path
    world: World
    emulator: Emulator
    phone: Receiver

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def write(self, **options: Any) -> None:
        url = f"sqlite:///{self.folder}/otklik.db"
        options.setdefault("head", [self.phone.url])
        self.config.write_text(config(url, self.emulator.url, **options), encoding="utf-8")

    def run(self, *argv: str, stdin: str = "") -> Said:
        return otklik("--config", str(self.config), *argv, stdin=stdin)

    def spawn(self, *argv: str, **more: Any) -> subprocess.Popen[str]:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": self.folder, **more}
        env = environment(**options.pop("env", {}))
        return subprocess.Popen([*PROGRAM, "--config", str(self.config), *argv], env=env, **options)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place_]:
    """Two runs done: old comments, then new ones with an emergency. For commands that change nothing."""
    world = two_pages()
    with Emulator(world) as emulator, receiver() as phone:
        where = Place_(tmp_path_factory.mktemp("cli"), world, emulator, phone)
        where.write()
        assert where.run("collect").code == 0
        fill(world)
        assert where.run("collect").code == 0
        yield where


@pytest.fixture
def here(ready: Place_, tmp_path: Path) -> Place_:
    """The same with a database of this test's own."""
    shutil.copy(ready.folder / "otklik.db", tmp_path / "otklik.db")
    mine = Place_(tmp_path, ready.world, ready.emulator, ready.phone)
    mine.write()
    return mine


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Place_]:
    """Nothing collected yet, a world of this test's own."""
    world = two_pages()
    with Emulator(world) as emulator, receiver() as phone:
        where = Place_(tmp_path, world, emulator, phone)
        where.write()
        yield where


def message(where: Place_, text: str) -> dict[str, Any]:
    return next(m for m in where.run("queue", "--json").json if text in m["text"])


# --- collecting and looking -------------------------------------------------------------------------------------------


def test_collect_says_what_it_did(here: Place_) -> None:
    here.world.advance(1)
    here.world.add_comment(next(iter(here.world.pages["-1"].posts.values())), "Где автобус?", 1001)
    said = here.run("collect", "--json")
    found = said.json
    assert said.code == found["exit_code"] == 0
    assert {"run", "exit_code", "interrupted", "new", "revised", "deleted", "own", "alerts", "pages"} <= found.keys()
    page = found["pages"][0]
    assert {"outcome", "counter", "seen", "stored", "hidden_or_deleted", "gap", "delay_p50", "calls"} <= page.keys()
    assert page["outcome"] == "complete"
    again = here.run("collect")
    assert "Всего: 0 новых" in again.out and again.err == ""


def test_only_the_named_page_and_a_dry_run(here: Place_) -> None:
    assert [p["page"] for p in here.run("collect", "--page", "2", "--json").json["pages"]] == ["Страница 2"]
    planned = here.run("collect", "--dry-run", "--json").json
    assert [p["number"] for p in planned] == [1, 2] and all(not p["first_time"] for p in planned)
    shown = here.run("collect", "--dry-run").out
    assert "Страница" in shown and "ещё не собиралась" not in shown
    assert here.run("collect", "--since", "2026-01-01", "--json").code == 0


def test_a_dry_run_before_the_first_one_says_so(fresh: Place_) -> None:
    planned = fresh.run("collect", "--dry-run")
    assert planned.code == 0 and planned.out.count("ещё не собиралась") == 2 and " 0 " not in planned.out
    assert all(p["first_time"] for p in fresh.run("collect", "--dry-run", "--json").json)


def test_pages(ready: Place_) -> None:
    lines = ready.run("pages", "--json").json
    assert [(p["number"], p["page_id"], p["outcome"], p["gap"]) for p in lines] == [
        (1, "-1", "complete", 0),
        (2, "-2", "complete", 0),
    ]
    assert {"counter", "stored", "last_success_at", "delay_p50", "delay_max"} <= lines[0].keys()
    shown = ready.run("pages")
    assert shown.code == 0 and "Страница 1" in shown.out and shown.out == ready.run("pages", "list").out


def test_pages_check_and_doctor(ready: Place_) -> None:
    checked = ready.run("pages", "check", "--json")
    assert [c["name"] for c in checked.json if c["ok"] is False] == ["часы"], "the world's clock is not ours"
    assert all({"name", "ok", "detail", "advice"} <= c.keys() for c in checked.json)
    said = ready.run("doctor", "--json")
    names = " ".join(c["name"] for c in said.json)
    for word in ("настройки", "база", "токен", "права", "часы", "страница", "последний успех"):
        assert word in names.lower(), word
    # The token stands in the file itself.
    bad = {c["name"] for c in said.json if c["ok"] is False}
    assert said.code == 1 and "секреты" in bad and USER_TOKEN not in said.out


def test_queue_and_its_filters(ready: Place_) -> None:
    every = ready.run("queue", "--json").json
    assert len(every) == 4 and all(m.keys() >= MESSAGE for m in every)
    assert every[0]["emergency"] and every[0]["text"] == FIRE
    assert set(every[0]["author"]) == {"id", "name", "url"}

    def texts(*argv: str) -> list[str]:
        said = ready.run("queue", "--json", *argv)
        assert said.code == 0, said.err
        return [m["text"] for m in said.json]

    assert texts("--emergency") == [FIRE]
    assert FIRE in texts("--urgency", "urgent")
    assert texts("--search", "АВТОБУС") == [] and texts("--search", "хкеме") == ["Нет воды в Хкеме второй день"]
    assert texts("--place", "хкем") == ["Нет воды в Хкеме второй день"]
    assert len(texts("--page=-2")) == 2
    assert len(texts("--limit", "1")) == 1
    assert len(texts("--historical", "--limit", "100")) == 28
    assert len(texts("--status", "new")) == 4 and texts("--status", "closed") == []
    wrong = ready.run("queue", "--status", "answered")
    assert wrong.code == 2 and "нет такого состояния; есть new" in wrong.err
    unknown = ready.run("queue", "--division", "нет")
    assert unknown.code == 2 and "подразделения «нет» в настройках нет" in unknown.err
    assert texts("--overdue") == []
    topic = every[1]["topic"] or every[0]["topic"]
    assert topic is None or texts("--topic", topic)
    table = ready.run("queue")
    assert table.code == 0 and "Горит жилой дом" in table.out


def test_one_message_and_its_correction(here: Place_) -> None:
    found = message(here, "Хкеме")
    shown = here.run("queue", "show", found["id"], "--json").json
    assert shown["id"] == found["id"] and "revisions" in shown
    shown = here.run("queue", "show", found["id"]).out
    assert "Хкеме" in shown and re.search("Страница +Страница 1", shown)
    changed = here.run("queue", "correct", found["id"], "--urgency", "urgent", "--place", "Зрых", "--by", "я", "--json")
    assert changed.code == 0, changed.err
    assert changed.json["urgency"] == "urgent" and [p["name"] for p in changed.json["places"]] == ["Зрых"]
    assert "так решил человек: я" in here.run("queue", "show", found["id"]).out
    here.run("collect", "--full")
    after = here.run("queue", "show", found["id"], "--json").json
    assert after["urgency"] == "urgent", "a person's word is not written over"
    formed = here.run("queue", "correct", found["id"], "--place", "в Хкеме", "--by", "я", "--json")
    assert [p["name"] for p in formed.json["places"]] == ["Хкем"]
    for wrong, words in (("Нигде", "справочнике нет"), ("Зрыхпром", "похожие")):
        unknown = here.run("queue", "correct", found["id"], "--place", wrong, "--by", "я")
        assert unknown.code == 2 and words in unknown.err and unknown.err.count("\n") == 1, unknown.err
    assert [p["name"] for p in here.run("queue", "show", found["id"], "--json").json["places"]] == ["Хкем"]
    calm = here.run("queue", "correct", found["id"], "--urgency", "prompt", "--by", "я", "--json").json
    risen = here.run("queue", "correct", found["id"], "--emergency", "--by", "я", "--json").json
    assert risen["urgency"] == "urgent" and risen["deadlines"]["answer"] < calm["deadlines"]["answer"]


def test_who_else_asks_the_same_and_a_persons_word_on_it(here: Place_) -> None:
    water, thanks = message(here, "Хкеме"), message(here, "Спасибо")
    assert here.run("queue", "repeats", thanks["id"]).err.strip() == "других сообщений о том же вопросе нет"
    assert here.run("queue", "relate", thanks["id"], "--to", water["id"], "--by", "я").code == 0
    assert {m["id"] for m in here.run("queue", "repeats", water["id"], "--json").json} == {water["id"], thanks["id"]}
    assert "О том же" in here.run("queue", "show", water["id"]).out
    assert here.run("queue", "relate", thanks["id"], "--none", "--by", "я").code == 0
    assert here.run("queue", "repeats", water["id"], "--json").json == []
    for wrong in (["relate", thanks["id"]], ["relate", thanks["id"], "--to", thanks["id"]], ["repeats", "999999"]):
        said = here.run("queue", *wrong)
        assert said.code != 0 and said.err.count("\n") == 1, said.err


def test_a_word_on_repeats_is_the_administrators(here: Place_) -> None:
    water, thanks = message(here, "Хкеме"), message(here, "Спасибо")
    people = "people: [{id: adm, role: administrator}, {id: cur, role: curator}]\n"
    here.config.write_text(here.config.read_text(encoding="utf-8") + people, encoding="utf-8")
    for by, why in (("cur", "это делает администратор"), ("nobody", "человека «nobody» нет")):
        said = here.run("queue", "relate", thanks["id"], "--to", water["id"], "--by", by)
        assert said.code == 2 and why in said.err, said.err
    assert here.run("queue", "repeats", thanks["id"], "--json").json == []
    assert here.run("queue", "relate", thanks["id"], "--to", water["id"], "--by", "adm").code == 0


def test_take_ack_nack(here: Place_) -> None:
    first = here.run("queue", "take", "--consumer", "a", "--limit", "2", "--lease", "10m", "--json").json
    assert len(first) == 2 and first[0]["text"] == FIRE
    rest = here.run("queue", "take", "--consumer", "b", "--limit", "100", "--json").json
    assert not {m["id"] for m in first} & {m["id"] for m in rest}
    assert here.run("queue", "ack", first[0]["id"], "--consumer", "b").code != 0
    assert here.run("queue", "ack", first[0]["id"], "--consumer", "a").code == 0
    assert here.run("queue", "nack", first[1]["id"], "--consumer", "a").code == 0
    again = here.run("queue", "take", "--consumer", "b", "--limit", "100", "--json").json
    assert [m["id"] for m in again] == [first[1]["id"]]


def test_old_messages_are_taken_only_when_asked_for(here: Place_) -> None:
    assert not any(
        m["historical"] for m in here.run("queue", "take", "--consumer", "a", "--limit", "99", "--json").json
    )
    old = here.run("queue", "take", "--consumer", "a", "--limit", "99", "--historical", "--json").json
    assert len(old) == 24 and all(m["historical"] for m in old)


def test_an_expired_lease_frees_the_message(here: Place_) -> None:
    first = here.run("queue", "take", "--consumer", "a", "--limit", "1", "--lease", "0s", "--json").json
    again = here.run("queue", "take", "--consumer", "b", "--limit", "1", "--json").json
    assert [m["id"] for m in first] == [m["id"] for m in again]


# --- the feed ---------------------------------------------------------------------------------------------------------


def test_feed_is_cloud_events_in_order(ready: Place_) -> None:
    events = ready.run("feed", "read").lines
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    assert {"seq", "id", "type", "time", "specversion", "data"} <= events[0].keys()
    half = len(events) // 2
    assert ready.run("feed", "read", "--after", str(half)).lines == events[half:]
    assert ready.run("feed", "read", "--limit", "2").lines == events[:2]
    schemas = ready.run("feed", "schema").json
    assert schemas and ready.run("feed", "schema", events[0]["type"]).code == 0


def test_a_reader_that_goes_away_is_no_error(ready: Place_) -> None:
    command = " ".join([*PROGRAM, "--config", str(ready.config), "feed", "read"])
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -n 1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, env=environment(), timeout=60,
    )  # fmt: skip
    first, code = done.stdout.splitlines()
    assert json.loads(first)["seq"] == 1
    assert (code, done.stderr) == ("0", "")


def test_following_ends_with_a_signal(ready: Place_) -> None:
    reader = ready.spawn("feed", "read", "--follow", "--limit", "100000")
    assert json.loads(reader.stdout.readline())["seq"] == 1  # type: ignore[union-attr]
    reader.send_signal(signal.SIGTERM)
    _, err = reader.communicate(timeout=30)
    assert (reader.returncode, err) == (0, "")


# --- alerts -----------------------------------------------------------------------------------------------------------


def test_the_emergency_rang_and_can_be_acknowledged(here: Place_) -> None:
    assert any("Луткун" in text for text in here.phone.texts)
    waiting = here.run("alerts", "--json").json
    assert len(waiting) == 1 and waiting[0]["state"] == "raised"
    assert "Горит" in here.run("alerts").out
    assert here.run("alerts", "ack", waiting[0]["id"], "--by", "глава").code == 0
    assert here.run("alerts", "--json").json == []
    acked = here.run("alerts", "--all", "--json").json
    assert [(a["state"], a["acknowledged_by"]) for a in acked] == [("acknowledged", "глава")]
    here.run("alerts", "--all", "--by", "дежурный")
    looked = here.run("store", "access", "--json").json
    assert [(a["how"], a["message_id"]) for a in looked if a["actor"] == "дежурный"] == [
        ("list", acked[0]["message_id"])
    ]


def test_channels_are_tested_and_drilled(here: Place_) -> None:
    heard = len(here.phone.heard)
    assert here.run("alerts", "test").code == 0
    assert here.run("alerts", "drill", "Проверка связи").code == 0
    assert len(here.phone.heard) >= heard + 2
    assert any("УЧЕБНАЯ" in t and "Проверка связи" in t for t in here.phone.texts)
    assert here.run("alerts", "deliver").code == 0
    assert "доставлено 1 из 1" in here.run("alerts", "drill").err
    here.write(head=[])
    said = here.run("alerts", "drill")
    assert said.code == 1 and "добавьте канал" in said.err
    here.write(head=[f"json://127.0.0.1:{dead_port()}"])
    said = here.run("alerts", "test", "--json")
    assert said.code == 1 and said.json[0]["ok"] is False


# --- judging ----------------------------------------------------------------------------------------------------------


def test_classify_one_text(ready: Place_) -> None:
    said = ready.run("classify", FIRE, "--json", "--explain")
    assert list(said.json)[:12] == ["id", *ASSESSMENT] and "explain" in said.json
    assert said.json["emergency"] is True and all(p.keys() == PLACE for p in said.json["places"])
    assert "Луткун" in ready.run("classify", FIRE).out


def test_classify_a_stream_keeps_order_and_tells_bad_lines(ready: Place_) -> None:
    texts = [FIRE, "Спасибо!", "", "😀" * 50, "а" * 20_000, "=cmd|' /C calc'!A0", "\x1b[2J\x00"]
    lines = [json.dumps({"id": i, "text": t, "page": "Ахты"}) for i, t in enumerate(texts)]
    said = ready.run("classify", "--json", stdin="\n".join(lines) + "\n")
    assert said.code == 0 and [v["id"] for v in said.lines] == [str(i) for i in range(len(texts))]
    assert all(list(v)[1:] == ASSESSMENT for v in said.lines)
    bad = ready.run("classify", "-", stdin=f'{lines[0]}\nnot json\n[1]\n{{"id":1}}\n{{"text":5}}\n\n{lines[1]}\n')
    assert bad.code == 1 and [v["id"] for v in bad.lines] == ["0", "1"]
    assert re.findall(r"строка (\d)", bad.err) == ["2", "3", "4", "5"]


def test_classify_needs_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTKLIK_CONFIG", raising=False)
    assert otklik("classify", "Нет света", "--json").code == 0
    topics = otklik("topics", "--json").json
    assert topics and {"id", "title", "group", "group_title"} == topics[0].keys()
    assert otklik("topics").code == 0


# --- the store --------------------------------------------------------------------------------------------------------


def test_backup_restore_verify_migrate(here: Place_) -> None:
    assert here.run("store", "verify").code == 0
    before = here.run("feed", "read").lines
    copy = here.folder / "copy.db"
    assert here.run("store", "backup", str(copy)).code == 0
    here.run("alerts", "ack", here.run("alerts", "--json").json[0]["id"])
    assert here.run("feed", "read").lines != before
    refused = here.run("store", "restore", str(copy))
    assert refused.code == 2 and "--yes" in refused.err
    assert here.run("store", "restore", str(copy), "--yes").code == 0
    after = here.run("feed", "read").lines
    assert [e | {"source": ""} for e in after] == [e | {"source": ""} for e in before]
    assert after[0]["source"] != before[0]["source"], "the restored log is another log"
    assert here.run("store", "migrate").code == 0
    assert here.run("--quiet", "store", "verify", "--json").json == []


def test_the_store_is_held_against_a_ledger(here: Place_) -> None:
    here.run("collect", "--full")
    ledger = here.folder / "ledger.ndjson"
    lines = [e for e in here.world.ledger() if e["text"] != HOSTILE]  # that one is kept without its control characters
    hostile = next(e for e in here.world.ledger() if e["text"] == HOSTILE)
    lines.append(hostile | {"text": message(here, "красный")["text"]})
    ledger.write_text("".join(json.dumps(e) + "\n" for e in lines), encoding="utf-8")
    said = here.run("store", "verify", "--ledger", str(ledger))
    assert said.code == 0 and "потеряно 0" in said.err
    with ledger.open("a") as more:
        more.write('{"network":"vk","external_id":"wall-1_999","text":"x","deleted":false}\n')
    said = here.run("store", "verify", "--ledger", str(ledger))
    assert said.code == 1 and "wall-1_999" in said.out


# --- setting up -------------------------------------------------------------------------------------------------------


def test_init_writes_what_collect_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTKLIK_CONFIG", raising=False)
    assert otklik("init", "--yes", "--page", "https://vk.com/akhty", "--organisation", 'МР "Ахты"').code == 0
    assert otklik("collect", "--dry-run").code == 0
    again = otklik("init", "--yes")
    assert again.code == 2 and "уже есть" in again.err
    assert otklik("init", "--yes", "--force").code == 0


def test_no_question_without_a_terminal(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "init"], cwd=tmp_path, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and "--yes" in done.stderr and not list(tmp_path.iterdir())


def test_the_emulator_serves_until_told_to_stop(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "emulator", "--port", "0"], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        try:
            url = server.stdout.readline().strip()  # type: ignore[union-attr]
            with urllib.request.urlopen(f"{url}utils.getServerTime?access_token={USER_TOKEN}&v=5.199") as answer:
                assert json.load(answer)["response"] > 0
        finally:
            server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=30)
        assert (server.returncode, err) == (0, "")


# --- signals and crashes ----------------------------------------------------------------------------------------------


def wait_for(what: Callable[[], Any], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def reading(where: Place_) -> Callable[[], bool]:
    return lambda: where.emulator.calls["wall.get"] > 0 or where.emulator.calls["execute"] > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_tidily(fresh: Place_, number: signal.Signals) -> None:
    fresh.emulator.plan = type(fresh.emulator.plan).parse("wall.get*:slow=0.3; execute:slow=0.3")
    run = fresh.spawn("collect")
    wait_for(reading(fresh))
    run.send_signal(number)
    out, err = run.communicate(timeout=30)
    assert run.returncode == 5, (out, err)
    assert "Traceback" not in err and "прервано" in out
    fresh.emulator.plan = type(fresh.emulator.plan).parse(None)
    after_a_crash(fresh)


def test_kill_9_and_run_again(fresh: Place_) -> None:
    fresh.emulator.plan = type(fresh.emulator.plan).parse("wall.get*:slow=0.2; execute:slow=0.2")
    run = fresh.spawn("collect")
    wait_for(reading(fresh))
    run.kill()
    run.communicate()
    fresh.emulator.plan = type(fresh.emulator.plan).parse(None)
    after_a_crash(fresh)


def after_a_crash(where: Place_) -> None:
    assert where.run("collect").code == 0
    ledger = where.folder / "ledger.ndjson"
    ledger.write_text(where.world.ledger_ndjson(), encoding="utf-8")
    said = where.run("store", "verify", "--ledger", str(ledger))
    assert said.code == 0, said


def test_exit_codes_of_a_run(fresh: Place_, monkeypatch: pytest.MonkeyPatch) -> None:
    page = fresh.world.pages["-1"]
    page.errors["page"] = 15
    assert fresh.run("collect").code == 1
    fresh.world.pages["-2"].errors["page"] = 15
    failed = fresh.run("--quiet", "collect", "--full")
    assert failed.code == 4
    assert failed.out == "" and "закрыт" in failed.err, "an error is told with --quiet too"
    fresh.write(token="${OTKLIK_NOT_SET}")
    assert fresh.run("collect").code == 3
    fresh.write(pages=[{"network": "ok", "id": "1"}])
    assert fresh.run("collect").code == 2


# --- how it looks -----------------------------------------------------------------------------------------------------


def test_no_colour_and_no_progress_off_a_terminal(here: Place_) -> None:
    run = here.spawn("collect", "--full")
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0 and "\x1b" not in out and err == ""


def on_a_terminal(where: Place_, *argv: str, **env: str) -> str:
    """What a command writes when stdout and stderr are a terminal."""
    ours, theirs = pty.openpty()
    run = where.spawn(*argv, stdout=theirs, stderr=theirs, stdin=theirs, text=False, env={"TERM": "xterm", **env})
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert run.wait(60) == 0
    return said.decode("utf-8", "replace")


def test_colour_on_a_terminal_unless_unwanted(ready: Place_) -> None:
    assert "\x1b[" in on_a_terminal(ready, "queue")
    for argv in (("queue",), ("queue", "show", "1")):
        assert not re.search(r"\x1b\[[\d;]*m", on_a_terminal(ready, *argv, NO_COLOR="1")), argv


def test_each_page_is_told_once_on_a_terminal(fresh: Place_) -> None:
    said = on_a_terminal(fresh, "collect", COLUMNS="100")
    assert said.count("полностью") == 2 and said.count("Всего:") == 1


def test_hostile_texts_are_harmless_in_every_view(ready: Place_) -> None:
    found = next(m for m in ready.run("queue", "--json").json if "красный" in m["text"])
    views = [("queue",), ("queue", "show", found["id"]), ("classify", HOSTILE.replace("\x00", ""))]
    for argv in views:
        out = ready.run(*argv).out
        assert "красный" in out
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out), argv
    terminal = on_a_terminal(ready, "queue")
    assert "\x1b]0" not in terminal and "\x9b" not in terminal and "\u202e" not in terminal


def test_quiet_leaves_data_and_errors(here: Place_) -> None:
    done = here.run("--quiet", "store", "verify")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert here.run("-q", "collect").out == ""
    assert here.run("-q", "queue", "show", "999999").err.startswith("otklik: ")


def test_version_and_help() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+\+g[0-9a-f]+(\.d\d+)?)?\n", otklik("--version").out)
    for argv in ((), ("collect",), ("queue",), ("queue", "take"), ("store",), ("alerts", "drill"), ("emulator",)):
        said = otklik(*argv, "--help")
        assert said.code == 0 and re.search("[а-я]{4}", said.out) and said.err == "", argv


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


def test_help_needs_no_configuration(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    import cli

    monkeypatch.setenv("OTKLIK_CONFIG", "/no/such/config.yaml")
    every = list(commands(typer.main.get_command(cli.app)))
    assert len(every) > 30
    for path in every:
        for word in ("--help", "-h") if len(path) < 2 else ("--help",):
            assert cli.run([*path, word]) == 0, path
            said = capsys.readouterr()
            assert said.out.startswith("Usage: otklik") and said.err == "", path


# --- bad arguments ----------------------------------------------------------------------------------------------------

BAD: list[tuple[str, ...]] = [
    ("nothing",),
    ("--nothing",),
    ("--config",),
    ("--config", "/nowhere/config.yaml", "collect"),
    ("--config", "/", "collect"),
    ("--config", "\x00", "pages"),
    ("--log-level", "loud", "pages"),
    ("--log-level", "", "pages"),
    ("collect", "extra"),
    ("collect", "--page"),
    ("collect", "--page", "17"),
    ("collect", "--page", ""),
    ("collect", "--page", "нет такой"),
    ("collect", "--page", "\x1b[31m"),
    ("collect", "--since", "yesterday"),
    ("collect", "--since", "2026-13-01"),
    ("collect", "--since", "24.11.2026"),
    ("collect", "--since", ""),
    ("collect", "--ful"),
    ("collect", "--full=1"),
    ("pages", "nothing"),
    ("pages", "--verbose"),
    ("pages", "check", "1"),
    ("doctor", "now"),
    ("doctor", "--fix"),
    ("classify", "--json", "a", "b"),
    ("classify", "--explane", "a"),
    ("queue", "block", "1", "--ground", "spam"),
    ("queue", "block", "1", "--ground", "spam", "--for", "forever"),
    ("queue", "block", "1", "--ground", "boring", "--for", "30d"),
    ("queue", "block", "1", "--for", "30d"),
    ("queue", "unblock", "1"),
    ("queue", "unblock"),
    ("queue", "repeat", "1"),
    ("queue", "repeat", "1", "--of", "1"),
    ("queue", "repeat", "1", "--of", "x"),
    ("queue", "recall", "1"),
    ("queue", "blocks", "1"),
    ("review", "x"),
    ("queue", "--by", "я" * 101),
    ("queue", "--by", "я\n"),
    ("queue", "return", "1", "--reason", "\udcff не наше"),
    ("store", "log", "--verb", "\udcff"),
    ("digest", "--division", "x"),
    ("review", "--limit"),
    ("board", "x"),
    ("board", "--division"),
    ("digest", "--now", "x"),
    ("digest", "--time"),
    ("queue", "--urgency", "high"),
    ("queue", "--urgency", ""),
    ("queue", "--urgency"),
    ("queue", "--limit", "0"),
    ("queue", "--limit", "-1"),
    ("queue", "--limit", "many"),
    ("queue", "--limit", "1.5"),
    ("queue", "--limit", "99999999999999999999999"),
    ("queue", "--topic"),
    ("queue", "--sort", "x"),
    ("queue", "nothing"),
    ("queue", "show"),
    ("queue", "show", "1", "2"),
    ("queue", "show", "abc"),
    ("queue", "show", "-1"),
    ("queue", "show", ""),
    ("queue", "show", "99999999999999999999999999"),
    ("queue", "correct", "1"),
    ("queue", "correct"),
    ("queue", "correct", "1", "--urgency", "soon"),
    ("queue", "correct", "1", "--reaction", "maybe"),
    ("queue", "correct", "1", "--topic", "нет такой темы"),
    ("queue", "take"),
    ("queue", "take", "--consumer"),
    ("queue", "take", "--consumer", "a", "--limit", "0"),
    ("queue", "take", "--consumer", "a", "--lease", "soon"),
    ("queue", "take", "--consumer", "a", "--lease", "-5m"),
    ("queue", "take", "--consumer", "a", "--lease", "3wh"),
    ("queue", "take", "--consumer", "a", "--lease", "9999999999d"),
    ("queue", "take", "--consumer", ""),
    ("queue", "ack", "--consumer", "a"),
    ("queue", "ack", "1"),
    ("queue", "ack", "x", "--consumer", "a"),
    ("queue", "nack"),
    ("feed",  "nothing"),
    ("feed", "read", "--after", "-1"),
    ("feed", "read", "--after", "x"),
    ("feed", "read", "--limit", "0"),
    ("feed", "read", "--after", "99999999999999999999999"),
    ("feed", "schema", "otklik.nothing"),
    ("alerts", "nothing"),
    ("alerts", "ack"),
    ("alerts", "ack", "x"),
    ("alerts", "drill", "a", "b"),
    ("store", "nothing"),
    ("store", "backup"),
    ("store", "backup", "/nowhere/at/all/copy.db"),
    ("store", "restore", "/nowhere.db", "--yes"),
    ("store", "restore", "x"),
    ("store", "verify", "--ledger", "/nowhere.ndjson"),
    ("store", "verify", "--ledger", "/"),
    ("store", "migrate", "now"),
    ("init", "a", "b", "--yes"),
    ("init", "/nowhere/at/all/config.yaml", "--yes"),
    ("init", "x.yaml", "--yes", "--timezone", "Mars/Base"),
    ("init", "x.yaml", "--yes", "--page", "две\nстраницы"),
    ("emulator", "--port", "99999"),
    ("emulator", "--port", "x"),
    ("emulator", "--network", "myspace", "--port", "0"),
    ("emulator", "--port", "0", "--faults", "everything breaks"),
    ("emulator", "--port", "0", "--faults", "*:melt"),
    ("emulator", "--port", "0", "--scenario", "/nowhere.yaml"),
    ("demo", "--slow"),
]  # fmt: skip

ENGLISH = re.compile(r"\b(invalid|missing|option|argument|value|such|got|expected|unexpected|not|does)\b", re.I)


def test_there_are_enough_bad_arguments() -> None:
    assert len(BAD) >= 60 and len(set(BAD)) == len(BAD)


@pytest.mark.parametrize("argv", BAD, ids=lambda a: " ".join(a).encode("unicode_escape").decode()[:60])
def test_bad_arguments_get_one_russian_sentence(
    ready: Place_, argv: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTKLIK_CONFIG", str(ready.config))
    said = otklik(*argv)
    assert said.code == 2, said
    assert said.out == ""
    assert said.err.startswith("otklik: ") and said.err.count("\n") == 1
    line = said.err.strip()
    assert line.isprintable() and len(line) < 600
    told = re.sub(r"'[^']*'|«[^»]*»|--?[\w-]+|/[\w./-]+", "", line)
    assert re.search("[а-яё]{4}", told) and not ENGLISH.search(told), line
    assert "Traceback" not in line
    assert not list(tmp_path.iterdir())


def test_a_bad_argument_in_the_real_program() -> None:
    done = subprocess.run(
        [*PROGRAM, "queue", "--limit", "x"], env=environment(), capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("otklik: ")
