"""Reports: the figures against SQL written here, the same bytes, nothing live in the files, bad input."""

from __future__ import annotations

import io
import os
import re
import shutil
import sqlite3
import subprocess
import zipfile
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import docx
import openpyxl
import pytest

import cli
from desk.reports import making
from desk.reports.blocks import Table
from desk.reports.calendar import back, bounds, parse_month
from desk.reports.figures import count
from desk.reports.writing import render, save
from settings import ConfigError
from store import Store
from store.tables import micros
from tests.desk.month_rig import EVIL, FIRST, configured, fill

MONTH = (2026, 10)
START, END = bounds(MONTH, "Europe/Moscow")
NAMES = {"housing": "ЖКХ", "cold_water": "Холодная вода", "roads": EVIL}
NOW = datetime(2026, 12, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """The path of a SQLite store with three months of work, its settings."""
    path = tmp_path_factory.mktemp("reports") / "otklik.db"
    with Store.open(f"sqlite:///{path}") as store:
        fill(store, configured(), 90, 4, FIRST, 60)
    return path


@pytest.fixture
def opened(worked):
    with Store.open(f"sqlite:///{worked}") as store:
        yield store


@pytest.fixture(scope="module")
def sql(worked):
    """Plain SQL on the same file: a function of a query, `:a`, `:b` the month, `:now` the latest known moment."""
    db = sqlite3.connect(worked)
    with Store.open(f"sqlite:///{worked}") as store:
        known = store.known_at()
    values = {
        "a": micros(START),
        "b": micros(END),
        "now": known.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "now_us": micros(known),
    }
    yield lambda query, **more: db.execute(query, {**values, **more}).fetchall()
    db.close()


@pytest.fixture(scope="module")
def figures(worked):
    with Store.open(f"sqlite:///{worked}") as store:
        return count(store.report_messages(START, END), store.report_steps, store.known_at(), name_faults=True)


OURS = "m.own = 0 AND m.historical = 0 AND m.collected_at >= :a AND m.collected_at < :b"
CLOCKS = f"""
    SELECT m.id, m.status, m.deleted_at, c.key AS k, c.value ->> 'name' AS name, c.value ->> 'due_at' AS due,
           c.value ->> 'stopped_at' AS stopped, c.value ->> 'stopped_by' AS by
    FROM messages m JOIN cases ON cases.message_id = m.id, json_each(cases.data, '$.clocks') c
    WHERE {OURS} AND m.status != 'new' AND (c.value ->> 'name' != 'return' OR c.value ->> 'stopped_by' = 'return')
    UNION ALL
    SELECT m.id, m.status, m.deleted_at, 0, d.key, d.value, NULL, NULL
    FROM messages m, json_each(m.deadlines) d WHERE {OURS} AND m.status = 'new' AND m.deleted_at IS NULL
"""


def test_the_material_has_everything(sql, figures):
    """Otherwise the comparisons below would compare nothing with nothing."""
    verbs = dict(sql("SELECT verb, COUNT(*) FROM audit GROUP BY verb"))
    assert {
        "route",
        "return",
        "draft",
        "rework",
        "approve",
        "publish",
        "extend",
        "redirect",
        "refuse",
        "reopen",
    } <= set(verbs)
    assert all(
        n >= 1
        for n in (
            figures.emergencies,
            figures.deleted,
            figures.by_reaction[None],
            len(figures.faults),
            figures.received,
        )
    )
    ((archive,),) = sql("SELECT COUNT(*) FROM messages WHERE historical AND collected_at >= :a AND collected_at < :b")
    assert archive > 0


def test_counts_of_messages(sql, figures):
    ((received, deleted, urgent, emergencies),) = sql(
        f"""SELECT COUNT(*), COUNT(m.deleted_at), SUM(m.urgency = 'urgent'), SUM(m.emergency)
            FROM messages m WHERE {OURS}"""
    )
    assert (figures.received, figures.deleted, figures.urgent, figures.emergencies) == (
        received,
        deleted,
        urgent,
        emergencies,
    )
    assert dict(figures.by_reaction) == dict(
        sql(f"SELECT m.reaction, COUNT(*) FROM messages m WHERE {OURS} GROUP BY 1")
    )
    topics = sql(f"SELECT m.topic_group, m.topic, COUNT(*) FROM messages m WHERE {OURS} GROUP BY 1, 2")
    assert dict(figures.topics) == {(g, t): n for g, t, n in topics}
    places = sql(
        f"""SELECT p.value ->> 'name', COUNT(*) FROM messages m, json_each(m.assessment, '$.places') p
            WHERE {OURS} GROUP BY 1"""
    )
    assert dict(figures.places) == dict(places)
    assert sum(figures.pages.values()) == received


def test_answers_in_term(sql, figures):
    rows = sql(
        f"""WITH c AS ({CLOCKS}), first AS (
              SELECT id, MIN(k) AS k FROM c WHERE name = 'answer' AND by = 'publish' GROUP BY id)
            SELECT m.urgency = 'urgent', c.stopped > c.due, COUNT(*) FROM first JOIN c USING (id, k)
            JOIN messages m USING (id) WHERE m.reaction = 'required' GROUP BY 1, 2"""
    )
    counted = {(urgent, late): n for urgent, late, n in rows}
    answers = figures.answers.values()
    for urgent, kind in ((1, "urgent"), (0, "prompt")):
        assert sum(a.in_term[kind] for a in answers) == counted.get((urgent, 0), 0)
        assert sum(a.late[kind] for a in answers) == counted.get((urgent, 1), 0)
    ((overdue,),) = sql(
        f"""WITH c AS ({CLOCKS}) SELECT COUNT(*) FROM c JOIN messages m USING (id) WHERE c.name = 'answer'
            AND c.stopped IS NULL AND c.due < :now AND m.reaction = 'required' AND m.deleted_at IS NULL
            AND m.id NOT IN (SELECT id FROM c WHERE name = 'answer' AND by = 'publish')"""
    )
    assert sum(a.overdue for a in answers) == overdue > 0
    ((required,),) = sql(f"SELECT COUNT(*) FROM messages m WHERE {OURS} AND m.reaction = 'required'")
    assert sum(a.total for a in answers) == required
    for a in answers:
        assert a.total == a.answered + a.overdue + a.waiting + a.without


def test_every_clock(sql, figures):
    rows = sql(
        f"""WITH c AS ({CLOCKS}) SELECT name, SUM(stopped <= due), SUM(stopped > due),
              SUM(stopped IS NULL AND due < :now AND deleted_at IS NULL),
              SUM(stopped IS NULL AND due >= :now AND deleted_at IS NULL) FROM c GROUP BY name"""
    )
    found: dict = {}
    for (_, name), s in figures.clocks.items():
        old = found.get(name, (0, 0, 0, 0))
        found[name] = tuple(a + b for a, b in zip(old, (s.in_term, s.late, s.overdue, s.running), strict=True))
    assert found == {name: tuple(v or 0 for v in values) for name, *values in rows}
    assert len(figures.faults) == sum(late + overdue for _, late, overdue, _ in found.values())
    named = sum(f.actor is not None for f in figures.faults)
    assert named == sum(late for _, late, _, _ in found.values()) > 5  # what was done late has a hand


def test_whose_term_it_was(sql, figures):
    """Division by division, from the audit log alone: a late return is that of the one that returned."""
    rows = sql(
        f"""SELECT a.details ->> 'from', COUNT(*), SUM(a.details LIKE '%"late":[%"return"%') FROM audit a
            JOIN messages m ON m.id = a.message_id WHERE {OURS} AND a.verb = 'return' GROUP BY 1"""
    )
    assert {d: (q.returned, q.returned_late) for d, q in figures.quality.items() if q.returned} == {
        d: (n, late) for d, n, late in rows
    }
    late = sum(f.clock == "return" and f.stopped_at is not None for f in figures.faults)
    ((logged,),) = sql(
        f"""SELECT COUNT(*) FROM audit a JOIN messages m ON m.id = a.message_id, json_each(a.details, '$.late') l
            WHERE {OURS} AND l.value = 'return'"""
    )
    assert late == logged
    reworks = sql(
        f"SELECT COUNT(*) FROM audit a JOIN messages m ON m.id = a.message_id WHERE {OURS} AND verb = 'rework'"
    )
    assert sum(q.reworks for q in figures.quality.values()) == reworks[0][0] > 0


def test_dynamics_agree_with_the_month_and_with_sql(opened, sql, figures):
    months = [back(MONTH, n) for n in (1, 0)]
    before, this = opened.report_months([bounds(m, "Europe/Moscow") for m in months], opened.known_at())
    assert this["received"] == figures.received and this["required"] == figures.by_reaction["required"]
    assert this["emergencies"] == figures.emergencies
    published = sql(
        f"""SELECT COUNT(DISTINCT a.message_id) FROM audit a JOIN messages m ON m.id = a.message_id
            WHERE {OURS} AND a.verb = 'publish' AND m.reaction = 'required'"""
    )
    assert this["answered"] == published[0][0] > 0
    first = sql(
        f"""SELECT COUNT(*) FROM audit a JOIN messages m ON m.id = a.message_id WHERE {OURS} AND a.verb = 'publish'
            AND m.reaction = 'required' AND NOT EXISTS (
              SELECT 1 FROM audit e WHERE e.message_id = a.message_id AND e.verb = 'publish' AND e.seq < a.seq)
            AND NOT EXISTS (SELECT 1 FROM json_each(a.details, '$.late') l WHERE l.value = 'answer')"""
    )
    assert this["in_term"] == first[0][0]
    assert this["answered"] == sum(a.answered for a in figures.answers.values())
    assert this["in_term"] == sum(a.in_term.total() for a in figures.answers.values())
    overdue = sql(
        f"""SELECT COUNT(*) FROM messages m WHERE {OURS} AND m.status NOT IN ('published', 'closed')
            AND m.deleted_at IS NULL AND m.due_at < :now_us"""
    )
    assert this["overdue"] == overdue[0][0] and before["received"] > 0


def test_time_of_each_outcome(opened, sql):
    """A record holds until the next one: told without a window function."""
    rows = sql(
        """SELECT c.page_id, c.outcome, SUM(MIN(:b, COALESCE((SELECT MIN(n.started_at) FROM coverage n
             WHERE n.page_id = c.page_id AND n.started_at > c.started_at), :b)) - MAX(:a, c.started_at)) / 1000000.0
           FROM coverage c WHERE c.started_at < :b AND COALESCE((SELECT MIN(n.started_at) FROM coverage n
             WHERE n.page_id = c.page_id AND n.started_at > c.started_at), :b) > :a GROUP BY 1, 2"""
    )
    found = opened.report_coverage(START, END)
    assert {(c["page_id"], o): s for c in found for o, s in c["seconds"].items()} == {(p, o): s for p, o, s in rows}
    for c in found:
        assert sum(c["seconds"].values()) == pytest.approx((END - START).total_seconds())  # begun before the month
        ((gap,),) = sql(
            """SELECT gap FROM coverage WHERE page_id = :p AND gap IS NOT NULL AND started_at < :b
               ORDER BY id DESC LIMIT 1""",
            p=c["page_id"],
        )
        assert c["gap"] == gap


def test_both_databases_give_the_same_document(postgres_url, opened):
    """Every figure, from PostgreSQL; filled anew, for a copy would copy mistakes."""
    with Store.open(postgres_url) as other:
        fill(other, configured(), 16, 9, FIRST, 40)
        found = making.monthly(other, configured(), MONTH, NOW, NAMES)
        lacks = making.for_deputies(other, configured(), MONTH, NOW, NAMES)
    with Store.open("sqlite://") as other:
        fill(other, configured(), 16, 9, FIRST, 40)
        assert making.monthly(other, configured(), MONTH, NOW, NAMES) == found
        assert making.for_deputies(other, configured(), MONTH, NOW, NAMES) == lacks


# --- the files --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(worked):
    with Store.open(f"sqlite:///{worked}") as store:
        documents = [f(store, configured(), MONTH, NOW, NAMES) for f in (making.monthly, making.for_deputies)]
    return documents, {
        **render(documents[0], ("docx", "xlsx", "html")),
        **render(documents[1], ("docx", "xlsx", "html")),
    }


def test_the_same_store_gives_the_same_bytes(worked, files, monkeypatch):
    import time

    later = time.time() + 10**7
    monkeypatch.setattr(time, "time", lambda: later)
    with Store.open(f"sqlite:///{worked}") as store:
        again = making.monthly(store, configured(), MONTH, NOW + timedelta(days=3), NAMES)
        lacks = making.for_deputies(store, configured(), MONTH, NOW + timedelta(days=3), NAMES)
    for name, data in {**render(again, ("docx", "xlsx", "html")), **render(lacks, ("xlsx",))}.items():
        assert data == files[1][name], name


def test_every_table_stands_in_every_file(files):
    """Cell by cell in the workbook, word by word in the others."""
    from desk.reports.blocks import LENGTH, PERCENT, TIME, shown

    for document in files[0]:
        tables = [b for b in document.blocks if isinstance(b, Table)]
        book = openpyxl.load_workbook(io.BytesIO(files[1][f"{document.name}.xlsx"]))
        word = docx.Document(io.BytesIO(files[1][f"{document.name}.docx"]))
        page = _Page(files[1][f"{document.name}.html"].decode())
        assert len(word.tables) == len(page.tables) == len(tables) and tables
        for n, (table, sheet) in enumerate(zip(tables, book.worksheets, strict=False)):
            got = [list(r) for r in sheet.iter_rows(3, 3 + len(table.rows), values_only=True)]
            assert got[0] == [c.name for c in table.columns]
            for row, cells in zip(table.rows, got[1:], strict=True):
                for value, cell, column in zip(row, cells, table.columns, strict=True):
                    if isinstance(value, float) and column.kind in (PERCENT, LENGTH):
                        value = value / 86400 if column.kind == LENGTH else value
                        cell = cell.total_seconds() / 86400 if hasattr(cell, "total_seconds") else cell
                        if not isinstance(cell, int | float):  # openpyxl takes less than a day for a time of day
                            cell = (cell.hour * 3600 + cell.minute * 60 + cell.second) / 86400
                        assert cell == pytest.approx(value, abs=1e-4)
                    elif column.kind == TIME and value is not None:
                        assert abs(cell - (value + timedelta(hours=3)).replace(tzinfo=None)) < timedelta(seconds=1)
                    else:
                        assert (None if cell == "" else cell) == (None if value == "" else value)
            words = [
                [shown(v, c.kind, document.zone) for v, c in zip(r, table.columns, strict=True)] for r in table.rows
            ]
            xml = word.tables[n]._tbl.xpath(".//w:tr")
            in_word = [["".join(t.text or "" for t in c.xpath(".//w:t")) for c in r.xpath("./w:tc")] for r in xml[1:]]
            assert (in_word == words or not words) and (page.tables[n][1:] == words or not words)


class _Page(HTMLParser):
    """The tables of a page, its tags and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [v or "" for k, v in attrs if k in ("href", "src")]
        assert not [k for k, _ in attrs if k.startswith("on")]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        self.cell = tag in ("td", "th") or (self.cell and tag == "a") if hasattr(self, "cell") else False

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.cell = False

    def handle_data(self, data):
        self.text += data
        if getattr(self, "cell", False):
            self.tables[-1][-1][-1] += data


def test_nothing_in_the_files_is_live(files):
    for name, data in files[1].items():
        if name.endswith("html"):
            page = _Page(data.decode())
            assert not page.tags & {"script", "iframe", "object", "embed", "form", "base", "link", "b"}
            assert all(link.startswith(("https://vk.com/", "data:image/png;base64,")) for link in page.links)
            if name.startswith("month"):
                assert EVIL in page.text and "Администрация <b>района</b>" in page.text
            assert "default-src 'none'" in data.decode()
            continue
        with zipfile.ZipFile(io.BytesIO(data)) as z:
            assert {i.date_time for i in z.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            for part in z.namelist():
                text = z.read(part).decode("utf-8", "replace")
                assert not re.search(r"<(?!c:)(?:\w+:)?f>|<(?:\w+:)?hyperlink |instrText|vbaProject|oleObject", text), (
                    part
                )
                assert 'TargetMode="External"' not in text


@pytest.mark.skipif(not os.environ.get("OTKLIK_SOAK"), reason="LibreOffice takes its time: in the soak")
@pytest.mark.skipif(not (shutil.which("soffice") or shutil.which("libreoffice")), reason="LibreOffice is not here")
def test_the_documents_open_in_libreoffice(files, tmp_path):
    for name, data in files[1].items():
        if name.endswith(".html"):
            continue
        (tmp_path / name).write_bytes(data)
        program = shutil.which("soffice") or shutil.which("libreoffice")
        subprocess.run(
            [program, "--headless", f"-env:UserInstallation=file://{tmp_path}/profile", "--convert-to", "pdf",
             "--outdir", str(tmp_path / name.rpartition(".")[2]), str(tmp_path / name)],
            check=True, timeout=170, capture_output=True,
        )  # fmt: skip
        stem, _, kind = name.rpartition(".")
        made = (tmp_path / kind / f"{stem}.pdf").read_bytes()
        assert len(made) > 5000
        if kind == "xlsx":  # one page wide: a table is not torn apart over several sheets of paper
            pages, sheets = made.count(b"/Type/Page/") + made.count(b"/Type /Page "), len(_sheets(data))
            assert not pages or pages <= sheets + 3


def _sheets(data: bytes) -> list[str]:
    import openpyxl

    return openpyxl.load_workbook(io.BytesIO(data), read_only=True).sheetnames


# --- months, input ----------------------------------------------------------------------------------------------------


def test_a_month_is_that_of_the_organisation():
    assert bounds((2026, 1), "Europe/Moscow") == (
        datetime(2025, 12, 31, 21, tzinfo=UTC),
        datetime(2026, 1, 31, 21, tzinfo=UTC),
    )
    assert back((2026, 1), 1) == (2025, 12) and back((2026, 12), -1) == (2027, 1)
    for bad in ("2026", "2026-13", "2026-1", "26-11", "ноябрь", "2026-11-01", "٢٠٢٦-11", "0000-01"):
        with pytest.raises(ConfigError):
            parse_month(bad)


def run(worked, tmp_path, capfd, *argv, by="adm"):
    from tests.desk.month_rig import CONFIG

    config = tmp_path / "config.yaml"
    config.write_text(f'{CONFIG}\nstore: {{url: "sqlite:///{worked}"}}\n', "utf-8")
    code = cli.run(["-c", str(config), "report", *argv, "--by", by])
    return code, capfd.readouterr().err


def test_the_commands_and_what_they_refuse(worked, tmp_path, capfd):
    out = str(tmp_path / "new" / "folder")
    code, told = run(worked, tmp_path, capfd, "month", "2026-10", "-o", out, "--format", "html,xlsx")
    assert code == 0 and told.count("записано") == 2
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == [
        "month-2026-10.html",
        "month-2026-10.xlsx",
    ]
    assert run(worked, tmp_path, capfd, "deputies", "--month", "2026-10", "-o", out, "--format", "html")[0] == 0
    page = (tmp_path / "new" / "folder" / "deputies-2026-10.html").read_text("utf-8")
    assert "Магомедов М. М." in page and "Заместитель не указан" in page and "Работа администратора" in page
    before = {p: p.read_bytes() for p in (tmp_path / "new" / "folder").iterdir()}
    (tmp_path / "file").write_text("x")
    for argv, code, words in (
        (("month", "2026-10", "-o", out, "--format", "html"), 2, "файл уже есть; добавьте --force"),
        (("month", "2026-13", "-o", out), 2, "не месяц"),
        (("month", "2199-01", "-o", out), 2, "ещё не начался"),
        (("month", "2026-10", "-o", out, "--format", "pdf"), 2, "есть docx, xlsx, html"),
        (("month", "2026-10", "-o", str(tmp_path / "file")), 2, "каталог не создаётся"),
        (("month", "2026-10", "-o", str(tmp_path / "file" / "sub")), 2, "каталог не создаётся"),
    ):
        found = run(worked, tmp_path, capfd, *argv)
        assert found[0] == code and words in found[1] and found[1].count("\n") == 1, found
    code, told = run(worked, tmp_path, capfd, "month", "2026-10", "-o", out, by="z")
    assert (code, told) == (2, "otklik: этого z не может: это делает глава, куратор или администратор\n")
    assert {p: p.read_bytes() for p in (tmp_path / "new" / "folder").iterdir()} == before
    assert run(worked, tmp_path, capfd, "month", "2026-10", "-o", out, "--format", "html", "--force")[0] == 0


def test_an_empty_month_is_a_report_too(opened, tmp_path):
    for make in (making.monthly, making.for_deputies):
        document = make(opened, configured(), (2026, 1), NOW, NAMES)
        paths = save(tmp_path, render(document, ("docx", "xlsx", "html")))
        assert [p.stat().st_size > 1000 for p in paths] == [True] * 3
        text = (tmp_path / f"{document.name}.html").read_text("utf-8")
        assert "сообщений нет" in text or "Недостатков за этот месяц нет" in text
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_file_that_can_not_be_written_leaves_nothing(tmp_path):
    (tmp_path / "b.html").mkdir()
    with pytest.raises(ConfigError, match="отчёт не записан"):
        save(tmp_path, {"b.html": b"y"})
    assert [p.name for p in tmp_path.iterdir()] == ["b.html"]
