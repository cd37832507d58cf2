"""`make soak`: the long runs of the proofs, on both databases. Small ones are in `make test`.

python -m tests.soak [kills|overlap|publish|workers|schedules|faults|clocks|spikes|hours]… [--kills N] [--runs N]
                     [--schedules N] [--days N] [--messages N] [--database KIND]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.postgres import Server
from tests.proofs.hours import big_board, two_at_once
from tests.proofs.lab import Storm, kill_at_random, laboratory, overlap
from tests.proofs.publishing import kill_publishing

ROOM = "/dev/shm" if Path("/dev/shm").is_dir() else None


@contextmanager
def database(kind: str) -> Iterator[str]:
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="otklik-soak-", dir=ROOM) as folder:
            yield f"sqlite:///{folder}/otklik.db"
        return
    server = Server().start()
    try:
        yield server.url(server.create())
    finally:
        server.stop()


def kills(kind: str, n: int) -> bool:
    with database(kind) as url, laboratory(url, Storm(steps=n * 2, comments=100), batch=50) as lab:
        result = kill_at_random(lab, n, say=print)
    print(f"kills, {kind}: {result}", flush=True)
    return _verdict(result.wrong)


def overlapping(kind: str, n: int) -> bool:
    with database(kind) as url, laboratory(url, Storm(steps=n, comments=40), batch=50) as lab:
        result = overlap(lab, n, say=print)
    print(f"overlap, {kind}: {result}", flush=True)
    return _verdict(result.wrong)


def publishing(kind: str, n: int) -> bool:
    """Answers published by runs that are killed: each exactly once in the network's ledger."""
    storm = Storm(steps=n, comments=100, edits=0, deletions=0)
    with database(kind) as url, laboratory(url, storm, judge=False) as lab:
        result = kill_publishing(lab, n, n * 2, say=print)
    print(f"publish, {kind}: {result}", flush=True)
    return _verdict(result.wrong)


def hours(kind: str, messages: int) -> bool:
    """Two administrators at once, and the board over many messages."""
    good = True
    for part, n in ((two_at_once, messages // 50), (big_board, messages)):
        with database(kind) as url:
            seen, wrong = part(url, n)
        print(f"hours, {kind}: {seen}", flush=True)
        good &= _verdict(wrong)
    return good


def working(n: int) -> bool:
    """Workers, two at a time, killed at random instants (PostgreSQL)."""
    from tests.proofs.workers import at_pace, kill_workers, load_all

    with database("postgresql") as url, laboratory(url, Storm(steps=n + 2, comments=100), batch=50) as lab:
        at_pace(lab)
        load_all()
        result = kill_workers(lab, n, longest=2.0, say=print)
    print(f"workers, postgresql: {result}", flush=True)
    return _verdict(result.wrong)


def _verdict(wrong: list[str]) -> bool:
    for line in wrong:
        print(f"  WRONG: {line}", flush=True)
    return not wrong


def pytest(what: list[str], **environment: str) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--timeout=0", *what]
    return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode == 0


def schedules(n: int, workers: int = 2) -> bool:
    """The same state machine in several processes, each with a seed of its own."""
    started = time.monotonic()
    code = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                code,
                "tests/proofs/test_schedules.py",
                "-q",
                "-x",
                "--timeout=0",
                f"--hypothesis-seed={i}",
            ],
            env={**os.environ, "OTKLIK_SCHEDULES": str(n // workers)},
        )
        for i in range(workers)
    ]
    codes = [p.wait() for p in running]
    good = not any(codes)
    print(f"schedules: {n} in {time.monotonic() - started:.0f} s, {'all agree' if good else 'WRONG'}", flush=True)
    return good


def clocks(cases: int) -> bool:
    """Working time against the minute-by-minute oracle."""
    from tests.desk.oracle import compare

    started = time.monotonic()
    wrong = compare(cases, seed=cases)
    seconds = time.monotonic() - started
    print(f"clocks: {cases} cases in {seconds:.0f} s, {'no difference' if not wrong else 'WRONG'}", flush=True)
    return _verdict(wrong)


def classify(texts: int) -> bool:
    """Hostile texts for the judge."""
    import classifier
    from tests.fuzz_classifier import run

    started = time.monotonic()
    wrong = run(classifier.load(), texts, seed=texts)
    print(f"classify: {texts} texts in {time.monotonic() - started:.0f} s, {len(wrong)} faults", flush=True)
    return _verdict(wrong)


POWER = (0.1, 0.5), (0.5, 1), (1, 2), (2, 4), (4, 8), (8, 16), (16, 32), (32, 64)
"""Bounds of how many people usually write in half an hour."""


def spikes(days: int) -> bool:
    """Raised activity: ordinary traffic under the watch, and real rises noticed within half an hour."""
    from desk.surge import Rules
    from tests.desk.traffic import District, power, watch

    started = time.process_time()
    ordinary, *_ = watch(days, 7, District(), Rules())
    print(
        f"spikes: {ordinary.days} days of ordinary traffic, {ordinary.voices} people, {ordinary.subjects} subjects: "
        f"{len(ordinary.false)} false, {ordinary.per_week:.2f} a week, CPU {time.process_time() - started:.0f} s",
        flush=True,
    )
    for at, key, n, usual in ordinary.false:
        print(f"  {at:%Y-%m-%d %H:%M} {'/'.join(key)}: {n}, usual {usual:.1f}", flush=True)
    good = ordinary.per_week <= 1
    for a_day in (300, 1500):
        _, memory, heard, norms = watch(70, 3, District(a_day=a_day), Rules(), refit=7)
        print(
            f"spikes: {a_day} messages a day; rises told within 30 minutes, by people usual in half an hour", flush=True
        )
        for least, most in POWER:
            row = [power(memory, heard, norms, Rules(), times, least, most, 40, 1) for times in (3, 5, 10, 20, 50)]
            told = ", ".join(f"{t}x {f} of {n}" for t, (f, n) in zip((3, 5, 10, 20, 50), row, strict=True) if n)
            print(f"  {least:g}-{most:g}: {told}", flush=True)
            good &= least < 32 or all(f >= 0.9 * n for f, n in row[1:])
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "parts",
        nargs="*",
        default=[
            "kills",
            "overlap",
            "publish",
            "workers",
            "schedules",
            "faults",
            "clocks",
            "classify",
            "spikes",
            "hours",
            "package",
        ],
    )
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=380)
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    asked = parser.parse_args()
    good = True
    for kind in asked.database or ["sqlite", "postgresql"]:
        if "kills" in asked.parts:
            good &= kills(kind, asked.kills)
        if "overlap" in asked.parts:
            good &= overlapping(kind, asked.runs)
        if "publish" in asked.parts:
            good &= publishing(kind, asked.kills)
        if "hours" in asked.parts:
            good &= hours(kind, asked.messages)
    if "workers" in asked.parts:
        good &= working(asked.kills)
        good &= pytest(["tests/proofs/test_workers.py"], OTKLIK_SOAK="1")
    if "schedules" in asked.parts:
        good &= schedules(asked.schedules)
    if "faults" in asked.parts:
        good &= pytest(
            ["tests/collectors", "tests/emulator", "tests/test_faults.py", "tests/classifier/test_topics.py"],
            OTKLIK_SOAK="1",
        )
    if "clocks" in asked.parts:
        good &= clocks(asked.cases)
    if "classify" in asked.parts:
        good &= classify(asked.texts)
    if "spikes" in asked.parts:
        good &= spikes(asked.days)
    if "package" in asked.parts:
        from tests.packaged import main as package

        good &= package() == 0
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
