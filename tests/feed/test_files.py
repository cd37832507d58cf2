"""Files of the log, and a consumer's copy compared with it."""

from __future__ import annotations

import builtins
import csv
import io
import json
from datetime import timedelta

import pytest

from feed.files import COLUMNS, format_of, harmless, save
from feed.read import read
from feed.scope import View, seen_by
from feed.verify import compare, events_of
from settings import ConfigError
from store import Store
from tests.store.build import NOW, PLAIN, THANKS, judged, landing, see

EVIL = '=cmd|"/c calc"!A1\r\n"; \u2028 ,x'
ALL = View(personal=True)


@pytest.fixture
def full(sqlite_url):
    with Store.open(sqlite_url) as store:
        see(store)
        store.land(landing(judged(1, EVIL, PLAIN), *(judged(n, f"т {n}", THANKS) for n in range(2, 7))), NOW)
        store.land(landing(judged(2, "правка", PLAIN, edited_at=NOW), deleted=("c3",)), NOW + timedelta(hours=1))
        yield store


def test_ndjson_and_csv_hold_the_log_and_no_formula(full, tmp_path):
    out = tmp_path / "e.ndjson"
    assert save(read(full), str(out), format_of(str(out), None)) == full.last_seq()
    assert out.read_bytes() == b"".join(full.events_raw(0, 100)) and out.stat().st_mode & 0o77 == 0
    table = tmp_path / "e.csv"
    save(read(full), str(table), "csv")
    with open(table, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS) and rows[0]["text"] == f"'{EVIL}"
    assert [json.loads(r["data"]) for r in rows] == [e["data"] for e in full.events(0, 100)]
    assert sorted(p.name for p in tmp_path.iterdir() if "part" in p.name) == []
    for start in ("=", "+", "-", "@", "\t", "\r", " =", "＝"):
        assert harmless(f"{start}1").startswith("'")


def test_xlsx_holds_text_cells(full, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    out = tmp_path / "e.xlsx"
    assert save(read(full), str(out), "xlsx") == full.last_seq()
    cells = list(openpyxl.load_workbook(out).active.iter_rows())
    assert len(cells) == full.last_seq() + 1
    text = cells[1][COLUMNS.index("text")]
    assert text.data_type == "s" and text.value.startswith("=cmd")


def test_parquet_or_a_clear_sentence(full, tmp_path, monkeypatch):
    try:
        from pyarrow import parquet
    except ImportError:
        parquet = None
    if parquet is not None:
        save(read(full), str(tmp_path / "e.parquet"), "parquet")
        found = parquet.read_table(tmp_path / "e.parquet").to_pylist()
        assert [json.loads(r["data"]) for r in found] == [e["data"] for e in full.events(0, 100)]
    inner = builtins.__import__

    def absent(name, *args, **more):
        if name.startswith("pyarrow"):
            raise ImportError
        return inner(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ConfigError, match=r"otklik\[parquet\]"):
        save(read(full), str(tmp_path / "no.parquet"), "parquet")
    assert not (tmp_path / "no.parquet").exists()


def test_what_cannot_be_written_leaves_the_old_file(full, tmp_path):
    old = tmp_path / "e.csv"
    old.write_text("old")

    def broken():
        yield next(iter(full.events_raw(0, 1)))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        save(broken(), str(old), "csv")
    assert old.read_text() == "old" and [p.name for p in tmp_path.iterdir() if "part" in p.name] == []
    with pytest.raises(ConfigError, match="нет"):
        save([], str(tmp_path / "none/e.csv"), "csv")
    with pytest.raises(ConfigError, match="ndjson"):
        format_of("x.doc", None)


# --- verify -----------------------------------------------------------------------------------------------------------


def verdict(store, lines, view=ALL):
    return compare(store, events_of(io.BytesIO(b"".join(lines))), view)


def test_a_true_copy_is_the_same_in_every_form(full, tmp_path):
    lines = list(full.events_raw(0, 100))
    assert verdict(full, lines).same and verdict(full, lines).equal == len(lines)
    save(read(full), str(tmp_path / "e.csv"), "csv")
    with open(tmp_path / "e.csv", "rb") as file:
        told = compare(full, events_of(file), ALL)
    assert told.same and told.equal == len(lines)
    bare = View()
    assert verdict(full, list(seen_by(bare, lines)), bare).same and not verdict(full, list(seen_by(bare, lines))).same
    short = verdict(full, lines[:-2])
    assert short.same and short.behind == 2


def test_what_differs_is_named(full):
    lines = list(full.events_raw(0, 100))
    of_second = [i for i, line in enumerate(lines) if json.loads(line).get("subject") == "2"]
    a, b = of_second[:2]
    swapped = list(lines)
    swapped[a], swapped[b] = swapped[b], swapped[a]
    told = verdict(full, swapped)
    assert told.disorder.first == [a + 1] and not told.missing.count and not told.same
    assert verdict(full, lines[:3] + lines[4:]).missing.first == [4]
    changed = lines[0].replace(b"cmd", b"CMD")
    assert verdict(full, [changed, *lines[1:]]).different.first == [1]
    extra = lines[-1].replace(b'"seq":%d' % len(lines), b'"seq":%d' % (len(lines) + 5))
    assert verdict(full, [*lines, extra]).extra.first == [len(lines) + 5]
    told = verdict(full, [lines[0], b"{broken\n", b"[1]\n", *lines[1:]])
    assert told.unreadable.first == [2, 3]
    again = verdict(full, [lines[0], lines[0], *lines[1:]])
    assert again.same and again.repeated == 1


def test_tombstones_are_understood(full):
    before = list(full.events_raw(0, 100))
    of_deleted = [line for line in before if json.loads(line).get("subject") == "3"]
    assert verdict(full, before).kept == len(of_deleted) - 1
    tidy = [line for line in before if line not in of_deleted[:-1]]
    told = verdict(full, tidy)
    assert told.same and told.removed == len(of_deleted) - 1
    full.forget("1", by="x", now=NOW, settle=lambda case, now: case)  # here and in the log; the copy still has it
    told = verdict(full, before)
    assert not told.same and told.forgotten.count and told.behind
    assert verdict(full, list(full.events_raw(0, 100))).same
