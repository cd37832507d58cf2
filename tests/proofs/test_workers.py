"""Workers on a real PostgreSQL: small runs; `python -m tests.soak workers` makes the full one."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cli
import store.migrate
from store.admin import migrate
from store.copies import existing
from store.events import last_seq
from store.ledger import compare
from tests.conftest import SOAK
from tests.postgres import Server
from tests.proofs.lab import PAGES, Lab, Storm, laboratory
from tests.proofs.workers import (
    PACE,
    PATIENCE_S,
    at_pace,
    caught_up,
    dies_at,
    fork_worker,
    jobs,
    kill_workers,
    load_all,
    told_to_stop,
    wait_until,
)
from tests.rig import PlainJudge, otklik

NEXT = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None


def upgrade() -> None:
    op.create_table("of_the_future", sa.Column("id", sa.Integer(), primary_key=True))
    op.add_column("messages", sa.Column("of_the_future", sa.Integer()))
"""


def until(true: Callable[[], Any]) -> None:
    assert wait_until(true), "it never came true"


def small(url: str) -> Any:
    return laboratory(url, Storm(steps=12, comments=40, posts=4, emergencies=0.1, edits=0, deletions=0), judge=False)


@pytest.mark.timeout(600)
def test_killed_workers_are_taken_over_and_nothing_is_lost_or_doubled(postgres_url: str) -> None:
    with small(postgres_url) as lab:
        at_pace(lab, judge=PlainJudge())
        load_all()
        assert lab.collect() == 0 and jobs(lab) is None
        lab.advance()
        dying = [fork_worker(lab, before=dies_at(1, after=after)) for after in (False, True)]
        assert [lab.wait(pid) for pid in dying] == [-signal.SIGKILL] * 2
        until(lambda: jobs(lab).stalled and not jobs(lab).workers)  # what they were at is there, for others
        found = kill_workers(lab, 2, longest=1.0, settle=False)
        found.kills += len(dying)
        assert not found.wrong, found.wrong
        assert found.kills == 4 and found.alerts > 2 and found.comparison.total > 100
        assert jobs(lab).running == 0 and jobs(lab).failed == 0 and jobs(lab).workers == 0


def test_on_sqlite_one_sentence_says_who_does_the_work_there(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("pages: [{network: vk, id: '-1'}]\n", encoding="utf-8")
    said = otklik("--config", str(tmp_path / "config.yaml"), "worker")
    assert said.code == 2 and "PostgreSQL" in said.err and "otklik collect" in said.err and said.err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["config.yaml"], "no database is made for nothing"


@pytest.mark.timeout(600)
def test_after_a_migration_the_older_worker_ends_and_the_newer_goes_on(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer program is this one with one more migration."""
    with small(postgres_url) as lab:
        (tmp_path / "config.yaml").write_text(at_pace(lab, judge=PlainJudge()), encoding="utf-8")
        load_all()
        lab.advance()
        older = fork_command(["--config", str(tmp_path / "config.yaml"), "worker", "--pages", "1"], tmp_path / "said")
        try:
            until(lambda: ended(older) is not None or landed(lab) > 0)
            newer(tmp_path, monkeypatch)
            assert migrate(lab.url) == "9999"
            lab.advance(2)
            until(lambda: ended(older) is not None)
        finally:
            if ended(older) is None:
                os.kill(older, signal.SIGKILL)
        assert ended(older) == 2
        said = (tmp_path / "said").read_text(encoding="utf-8").splitlines()
        assert said[0].startswith("рабочий процесс начат, страниц одновременно: 1")
        assert said[1:] == [
            f"otklik: база обновлена до схемы 9999, эта программа знает {HEAD}; запустите новую версию otklik"
        ]
        before = compare(lab.url, lab.ledger())
        assert before.lost, "nobody worked meanwhile"
        # The newer one hears of news by events alone: by itself a page has its turn once an hour.
        secret = "s3cret"
        groups = ", ".join(f"{{group: {100 + p}, confirmation: abc, secret: {secret}}}" for p in range(PAGES))
        hourly = PACE.replace("every: 1s", "every: 1h", 1)
        at_pace(lab, judge=PlainJudge(), more=hourly, network=f", callbacks: [{groups}]")
        ours, theirs = multiprocessing.Pipe()
        pid = fork_worker(lab, events=theirs)
        assert ours.poll(PATIENCE_S)
        answer = json.loads(lab._http(f"_otklik/push?secret={secret}&to=http://127.0.0.1:{ours.recv()}/vk", post=True))
        assert set(answer["statuses"]) == {200}
        assert not caught_up(lab).lost
        until(lambda: jobs(lab).workers == 1)
        assert told_to_stop(pid) == 0
        after = compare(lab.url, lab.ledger())
        assert after.agrees, after.examples()
        rung = lab.heard().values()
        assert rung and sum(n - 1 for n in rung) <= 1, "once; what was on its way at the migration could not be noted"


@pytest.mark.skipif(not SOAK, reason="a long run: OTKLIK_SOAK=1")
@pytest.mark.timeout(600)
def test_a_worker_whose_connections_break_goes_on_or_ends_with_a_sentence(postgres_url: str, postgres: Server) -> None:
    """All sessions of the database are ended, as by a restart of PostgreSQL; systemd would start the worker again."""
    with small(postgres_url) as lab:
        at_pace(lab, judge=PlainJudge())
        load_all()
        pid = fork_worker(lab)
        for _ in range(8):
            lab.advance()
            assert not caught_up(lab).lost
            with postgres._admin() as conn:
                conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE usename = 'otklik' AND pid <> pg_backend_pid()"
                )
            time.sleep(2)
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                assert os.waitstatus_to_exitcode(status) == 1
                pid = fork_worker(lab)
        lab.advance()
        assert not caught_up(lab).lost
        assert told_to_stop(pid) == 0
        after = compare(lab.url, lab.ledger())
        assert after.agrees, after.examples()


HEAD = store.migrate.HEAD


def fork_command(argv: list[str], said: Path) -> int:
    """The whole command in a child; its stderr goes to the file `said`."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.dup2(os.open(said, os.O_CREAT | os.O_WRONLY), 2)
        sys.stderr = open(2, "w", encoding="utf-8", buffering=1)  # noqa: SIM115
        code = cli.run(argv)
    finally:
        os._exit(code)


_ended: dict[int, int] = {}


def ended(pid: int) -> int | None:
    """How a child ended; None while it lives."""
    if pid not in _ended:
        gone, status = os.waitpid(pid, os.WNOHANG)
        if not gone:
            return None
        _ended[pid] = os.waitstatus_to_exitcode(status)
    return _ended[pid]


def landed(lab: Lab) -> int:
    with existing(lab.url) as db:
        return last_seq(db)


def newer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "v9999_next.py").write_text(NEXT.format(head=HEAD))
    config = store.migrate._config

    def with_next(conn: Any) -> Any:
        made = config(conn)
        made.set_main_option("path_separator", "os")
        made.set_main_option(
            "version_locations", os.pathsep.join((f"{made.get_main_option('script_location')}/versions", str(folder)))
        )
        return made

    monkeypatch.setattr(store.migrate, "_config", with_next)
    monkeypatch.setattr(store.migrate, "HEAD", "9999")
