"""`otklik status`: what is wrong is said and shows in the exit code; the figures for Prometheus are what it reads."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from desk.health import Status, status
from desk.health_metrics import METRICS, exposition, registry, write
from settings import ConfigError, parse
from store.health import AlertFacts, DatabaseFacts, Health, HookFacts, PublicationFacts, QueueFacts, RunFacts
from store.jobs import JobFacts
from tests.desk.receivers import dead_port
from tests.rig import config, otklik, rig

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def good() -> Health:
    run = RunFacts("r", "host", NOW - 3 * MINUTE, NOW - 2 * MINUTE, 0)
    return Health(
        last_run=run,
        finished_run=run,
        queue=QueueFacts(5, 4, NOW - HOUR, 3, 0),
        alerts=AlertFacts(1, NOW - HOUR, 0, None, 2.0, 9.0),
        publications=PublicationFacts(0, None, 2),
        webhooks=(HookFacts("crm", 3, 2, 0, NOW - MINUTE, False),),
        database=DatabaseFacts("sqlite", "3.40.1", "0010", 10**6, 77, NOW - HOUR),
        jobs=JobFacts(2, 5, 2, 1, 3, NOW - HOUR),
    )


def line(**more: Any) -> dict[str, Any]:
    values = {
        "number": 1, "network": "vk", "page_id": "-1", "title": "Страница", "enabled": True, "outcome": "complete",
        "last_success_at": NOW - 2 * MINUTE, "counter": 10, "stored": 10, "gap": 0, "delay_p50": 60.0,
    }  # fmt: skip
    return {**values, **more}


def spent(**more: Any) -> dict[str, Any]:
    values = {"network": "vk", "unit": "запросов", "used": 5, "budget": 100, "resets_at": NOW}
    return {**values, "month_used": None, "month_budget": None, **more}


def weighed(health: Health | None = None, *, pages: Any = None, budgets: Any = None, text: str = "") -> Status:
    return status(health or good(), pages or [line()], budgets or [spent()], parse(text), NOW)


def codes(found: Status) -> list[str]:
    return [p.code for p in found.problems]


def test_nothing_wrong_is_said_of_what_is_well() -> None:
    found = weighed()
    assert codes(found) == [] and found.pages[0].ok and found.pages[0].lag == 120.0
    assert found.calendar == 2027, "the calendar of the package knows the next year"


WRONG = {
    "never_run": lambda h: replace(h, last_run=None, finished_run=None),
    "run_failed": lambda h: replace(h, finished_run=replace(h.finished_run, exit_code=3)),
    "run_unfinished": lambda h: replace(
        h, last_run=replace(h.last_run, started_at=NOW - HOUR, finished_at=None, exit_code=None)
    ),
    "unassessed": lambda h: replace(h, queue=replace(h.queue, unassessed=1)),
    "alert_delay": lambda h: replace(
        h, alerts=replace(h.alerts, undelivered=1, oldest_undelivered_at=NOW - 6 * MINUTE)
    ),
    "publish_delay": lambda h: replace(h, publications=PublicationFacts(1, NOW - 2 * HOUR, 0)),
    "no_worker": lambda h: replace(
        h, jobs=replace(h.jobs, workers=0), last_run=replace(h.last_run, started_at=NOW - HOUR, finished_at=NOW - HOUR)
    ),
    "backup_age": lambda h: replace(h, database=replace(h.database, backup_at=NOW - 3 * DAY)),
}


@pytest.mark.parametrize("code", WRONG)
def test_each_trouble_has_its_code(code: str) -> None:
    found = weighed(WRONG[code](good()))
    assert codes(found) == [code] and "\n" not in found.problems[0].text


@pytest.mark.parametrize(
    "health",
    [
        replace(good(), finished_run=replace(good().finished_run, exit_code=5)),  # stopped by somebody
        replace(good(), last_run=replace(good().last_run, finished_at=None, exit_code=None)),  # it goes on
        replace(good(), alerts=replace(good().alerts, undelivered=1, oldest_undelivered_at=NOW - 4 * MINUTE)),
        replace(good(), publications=PublicationFacts(1, NOW - 59 * MINUTE, 0)),
        replace(good(), jobs=JobFacts(0, 9, 0, 0, 0, NOW - HOUR)),  # cron does the work again
        replace(good(), finished_run=replace(good().finished_run, exit_code=4, command="page")),  # a worker's job
        replace(good(), queue=QueueFacts(10_000, 10_000, NOW - 9 * DAY, 10_000, 0)),  # the desk's matter
    ],
)
def test_what_is_under_way_is_no_trouble(health: Health) -> None:
    assert codes(weighed(health)) == []


def test_pages_and_budgets() -> None:
    assert codes(weighed(pages=[line(last_success_at=NOW - 3 * HOUR)])) == ["page_lag"]
    assert codes(weighed(pages=[line(last_success_at=None, outcome=None)])) == ["page_lag"]
    assert codes(weighed(pages=[line(gap=2)])) == ["coverage_gap"]
    assert codes(weighed(pages=[line(enabled=False, last_success_at=None)])) == ["no_pages"]
    assert codes(weighed(pages=[line(last_success_at=NOW + HOUR)])) == [], "a clock that was put back"
    slow = "collect: {page_every: 2h}\n"
    assert codes(weighed(pages=[line(last_success_at=NOW - 3 * HOUR)], text=slow)) == [], "it is not due more often"
    assert codes(weighed(budgets=[spent(used=100)])) == ["budget_spent"]
    assert codes(weighed(budgets=[spent(used=10**6, budget=None)])) == []


def test_what_is_watched_is_set_in_the_configuration() -> None:
    text = "status: {backup_age: never, alert_delay: 10m}\n"
    old = replace(good(), database=replace(good().database, backup_at=None))
    assert codes(weighed(old)) == ["backup_age"] and codes(weighed(old, text=text)) == []
    assert codes(weighed(WRONG["alert_delay"](good()), text=text)) == []
    with pytest.raises(ConfigError, match=r"status\.page_lag.*never"):
        parse("status: {page_lag: soon}\n")


def test_a_broker_that_gets_nothing_is_told_while_it_is_wanted() -> None:
    text = "feed: {brokers: [{name: bus, url: 'nats://x'}]}\n"
    late = replace(good(), webhooks=(HookFacts("broker:bus", 5, 0, 0, NOW - 2 * HOUR, False),))
    assert codes(weighed(late, text=text)) == ["broker_delay"]
    assert codes(weighed(replace(late, webhooks=(HookFacts("broker:bus", 5, 0, 0, NOW, False),)), text=text)) == []
    assert codes(weighed(late)) == []


def test_webhooks_count_while_they_are_wanted() -> None:
    hook = '{name: crm, url: "https://x.example.ru/", secrets: ["whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"]}'
    text = f"feed: {{webhooks: [{hook}]}}\n"
    bad = replace(good(), webhooks=(HookFacts("crm", 0, 2, 1, NOW - 2 * HOUR, True),))
    assert codes(weighed(text=text)) == []
    assert codes(weighed(bad, text=text)) == ["webhook_off", "webhook_dead", "webhook_delay"]
    assert codes(weighed(bad)) == [], "nobody wants it any more"


def test_a_year_without_its_decree_is_told_from_november_on() -> None:
    at = {y: datetime(y, m, 15, tzinfo=UTC) for y, m in ((2035, 12), (2026, 6))}
    far = status(good(), [line(last_success_at=at[2035])], [], parse("status: {backup_age: never}"), at[2035])
    assert "calendar" in codes(far) and far.calendar is None
    assert "calendar" not in codes(status(good(), [line()], [], parse(""), at[2026]))


# --- Prometheus -------------------------------------------------------------------------------------------------------


def families(text: str) -> dict[str, Any]:
    return {f.name: f for f in text_string_to_metric_families(text)}


def test_the_figures_are_what_prometheus_reads() -> None:
    odd = 'a"b\\c\nd'
    page = line(page_id=odd, title="Тайное название", gap=None, outcome="partial")
    found = weighed(WRONG["unassessed"](good()), pages=[line(), page], budgets=[spent(month_used=7, month_budget=90)])
    text = exposition(found).decode()
    read = families(text)
    assert set(read) == set(METRICS), "all of them, once everything is known"
    value = {(s.name, *sorted(s.labels.values())): s.value for f in read.values() for s in f.samples}
    assert value["otklik_healthy",] == 0 and value["otklik_problem", "unassessed"] == 1
    assert value["otklik_page_lag_seconds", "-1", "vk"] == 120
    assert value["otklik_page_lag_seconds", odd, "vk"] == 120, "an id comes back as it was"
    assert ("otklik_page_coverage_gap", odd, "vk") not in value, "unknown is not zero"
    assert value["otklik_page_outcome", odd, "partial", "vk"] == 1
    assert value["otklik_page_outcome", odd, "complete", "vk"] == 0
    assert value["otklik_budget_used", "vk"] == 5 and value["otklik_budget_month_limit", "vk"] == 90
    assert value["otklik_queue_oldest_untouched_age_seconds",] == 3600
    assert value["otklik_alert_delay_seconds", "1"] == 9
    assert value["otklik_backup_timestamp_seconds",] == (NOW - HOUR).timestamp()
    assert value["otklik_status_timestamp_seconds",] == NOW.timestamp()
    assert "Тайное" not in text
    assert all(f.type == "gauge" and f.documentation for f in read.values())


def test_what_was_never_is_absent() -> None:
    bare = replace(WRONG["never_run"](good()), database=replace(good().database, backup_at=None))
    read = families(exposition(weighed(bare, pages=[line(last_success_at=None, outcome=None, gap=None)])).decode())
    absent = {"otklik_run_exit_code", "otklik_backup_timestamp_seconds", "otklik_page_lag_seconds"}
    assert not absent & set(read) and "otklik_page_outcome" not in read


def test_every_metric_is_documented() -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\botklik_\w+", page)) == set(METRICS)


def test_a_reader_of_the_file_never_sees_half_of_it(tmp_path: Path) -> None:
    target = tmp_path / "otklik.prom"
    found = weighed(pages=[line(page_id=str(i)) for i in range(200)])
    write(found, str(target))
    done, seen = threading.Event(), []

    def watch() -> None:
        while not done.is_set():
            seen.append(len(families(target.read_text(encoding="utf-8"))))

    reader = threading.Thread(target=watch)
    reader.start()
    for _ in range(20):
        write(found, str(target))
    done.set()
    reader.join()
    assert set(seen) == {len(list(registry(found).collect()))}
    assert [p.name for p in tmp_path.iterdir()] == ["otklik.prom"]
    assert target.stat().st_mode & 0o777 == 0o644


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="файл не записывается"):
        write(weighed(), str(tmp_path / "absent" / "x.prom"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="файл не записывается"):
        write(weighed(), str(tmp_path / "folder"))
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


# --- the whole program ------------------------------------------------------------------------------------------------


@contextmanager
def installation(url: str, folder: Path, **options: Any) -> Iterator[tuple[Any, list[str]]]:
    with rig(url, **options) as r:
        file = folder / "config.yaml"
        file.write_text(config(url, r.emulator.url, **options), encoding="utf-8")
        yield r, ["--config", str(file), "status"]


def test_the_command_from_an_empty_database_to_a_healthy_one(store_url: str, tmp_path: Path) -> None:
    with installation(store_url, tmp_path) as (r, command):
        before = otklik(*command, "--json")
        assert before.code == 1
        assert [p["code"] for p in before.json["problems"]] == ["never_run", "page_lag", "backup_age"]
        r.collect()
        assert otklik(*command[:2], "store", "backup", str(tmp_path / "copy")).code == 0
        after = otklik(*command, "--json")
        assert (after.code, after.json["problems"], after.json["ok"]) == (0, [], True)
        assert [(p["gap"], p["ok"]) for p in after.json["pages"]] == [(0, True), (0, True)]
        assert after.json["budgets"][0]["used"] > 0 and after.json["budgets"][0]["budget"] is None
        shown = otklik(*command)
        assert shown.code == 0 and "Всё в порядке" in shown.out and "Страница 1" in shown.out
        assert len(shown.out.splitlines()) <= 24, "one screen"


def test_an_alert_that_nobody_got_shows(store_url: str, tmp_path: Path) -> None:
    with installation(store_url, tmp_path, head=[f"json://127.0.0.1:{dead_port()}"]) as (r, command):
        text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
        (tmp_path / "config.yaml").write_text(f"{text}status: {{alert_delay: 0s, backup_age: never}}\n", "utf-8")
        r.collect()
        assert otklik(*command).code == 0
        r.say("Срочно! Горит дом, внутри люди")
        r.collect()
        found = otklik(*command, "--json")
        assert found.code == 1 and [p["code"] for p in found.json["problems"]] == ["alert_delay"]
        assert found.json["alerts"]["undelivered"] == found.json["alerts"]["open"] == 1
        said = found.out + otklik(*command).out + otklik(*command, "--prometheus").out
        assert "Горит" not in said and "127.0.0.1" not in said


def test_the_figures_of_the_command(sqlite_url: str, tmp_path: Path) -> None:
    with installation(sqlite_url, tmp_path) as (r, command):
        r.collect()
        printed, target = otklik(*command, "--prometheus"), tmp_path / "otklik.prom"
        assert printed.code == 0, "what is wrong is one of the figures"
        assert otklik(*command, "--prometheus", "-o", str(target)).code == 0
        for text in (printed.out, target.read_text(encoding="utf-8")):
            assert families(text)["otklik_page_comments"].samples[0].value == 12
            assert families(text)["otklik_healthy"].samples[0].value == 0
            assert "Вопрос" not in text and r.settings.networks["vk"].token.reveal() not in text
        for argv in (
            ["-o", str(target)],
            ["--prometheus", "--json"],
            ["--prometheus", "-o", str(tmp_path / "no" / "x")],
        ):
            said = otklik(*command, *argv)
            assert said.code == 2 and said.err.count("\n") == 1 and said.err.startswith("otklik: ")
        assert json.loads(otklik(*command, "--json").out)["counted_up_to"] == 10_000
