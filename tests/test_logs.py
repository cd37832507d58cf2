"""Structured logs: every record is one line of JSON that says what it is about and holds no secret."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from settings import HIDDEN, JsonFormatter, install_log_scrubbing, logged_about, remember_secret
from tests.rig import otklik, rig


@contextmanager
def json_log() -> Iterator[tuple[logging.Logger, Any]]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter())
    log = logging.Logger("otklik.test", logging.DEBUG)
    log.addHandler(handler)
    install_log_scrubbing(log)
    yield log, lambda: [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_record_is_one_line_whatever_it_holds() -> None:
    nasty = 'две\nстроки \x1b[31m\x00\x9b31m \u202e «"{}»'
    with json_log() as (log, lines):
        log.warning("page %s", nasty, extra={"facts": {"new": 3, "gap": None, "message": "нет"}})
        try:
            raise ValueError(nasty)
        except ValueError:
            log.exception("плохо")
    first, second = lines()
    assert first["level"] == "warning" and first["logger"] == "otklik.test" and first["new"] == 3
    assert first["message"].startswith("page две\nстроки"), "facts never stand for what a line is"
    assert first["time"].endswith("Z") and "Traceback" in second["error"] and "ValueError" in second["error"]


def test_what_a_line_is_about_is_each_threads_own() -> None:
    with json_log() as (log, lines):
        with logged_about(run="r1"):
            with logged_about(network="vk", page="-1"):
                log.info("a")
                other = threading.Thread(target=log.info, args=("b",))
                other.start()
                other.join()
            log.info("c")
        log.info("d")
    about = [{k: line[k] for k in ("run", "network", "page") if k in line} for line in lines()]
    assert about == [{"run": "r1", "network": "vk", "page": "-1"}, {}, {"run": "r1"}, {}]


def test_secrets_are_scrubbed_from_every_part() -> None:
    secret = 'CANARY-"quoted" и русский\\'
    remember_secret(secret)
    with json_log() as (log, lines):
        with logged_about(page=f"x{secret}"):
            try:
                raise RuntimeError(f"token={secret}")
            except RuntimeError:
                log.exception(
                    "call %s failed", secret, extra={"facts": {"url": f"http://h/?t={secret}", "deep": [secret]}}
                )
    (line,) = lines()
    assert "CANARY" not in repr(line), line
    assert HIDDEN in line["message"] and HIDDEN in line["error"] and HIDDEN in line["url"] and HIDDEN in line["page"]


def test_a_run_tells_each_page_and_its_end(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    formatter = JsonFormatter()
    seen: list[dict[str, Any]] = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(json.loads(formatter.format(record)))  # type: ignore[method-assign]
    log = logging.getLogger("otklik.poll")
    with rig(sqlite_url) as r, caplog.at_level("INFO", "otklik.poll"):
        log.addHandler(handler)
        try:
            report = r.collect()
        finally:
            log.removeHandler(handler)
    pages = [line for line in seen if "outcome" in line]
    assert [(p["network"], p["page"], p["outcome"], p["new"], p["gap"]) for p in pages] == [
        ("vk", "-1", "complete", 12, 0),
        ("vk", "-2", "complete", 12, 0),
    ]
    (end,) = [line for line in seen if "exit_code" in line]
    assert end["exit_code"] == 0 and end["pages"] == 2 and {line["run"] for line in seen} == {report.run_id}


def test_an_unknown_form_is_one_sentence(tmp_path: Path) -> None:
    said = otklik("--log-format", "xml", "pages")
    assert said.code == 2 and said.err.count("\n") == 1 and "text, json" in said.err
