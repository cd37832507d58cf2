"""Forgetting a person: nothing stays in any table, file, backup or event; what was forgotten does not come back."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from sqlalchemy import select, update

from desk.privacy import settle
from desk.work import act
from settings import parse
from store import NotFound, Store, StoreError
from store import forgetting as forgetting_
from store.admin import backup, forgotten_in, restore, verify
from store.scanning import plain_tables, text_columns
from store.tables import Json, metadata
from store.tables import messages as messages_table
from store.values import Attachment, Author, Coverage, Outcome, Pushed
from tests.store.build import EMERGENCY, NOW, PAGE, PLAIN, dense, judged, landing, mark, see

LATER = NOW + timedelta(hours=1)
NAME = "Канария Вьюрковна Зяблик-Овсянкина"
WHO = Author("990017777", NAME, "https://vk.com/kanareika_x9", "person")
OTHER = Author("41", "Пётр Сосед", "https://vk.com/id41", "person")
SAID = "жжжулан-первый"
BEFORE = "жжжулан-прежний"
SENTENCE = f"{NAME} (id990017777, https://vk.com/kanareika_x9) просила"
TRACES = (NAME, "Канария", "990017777", "kanareika_x9", SAID, BEFORE, "жжжулан", "wall-1_10_r99001",
          "reply=99001", "thread=99001",
          "Овсянкина", "+7 928 000-11-22")  # fmt: skip
ONE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
"""Where the database's kind makes no difference, one is enough."""
DESK = parse("divisions: [{id: zhkh}, {id: roads}]")


def own(n: int, text: str, assessment=PLAIN, **more):
    values = {"external_id": f"wall-1_10_r99001{n}", "url": f"https://vk.com/wall-1_10?reply=99001{n}", "author": WHO}
    return judged(f"99001{n}", text, assessment, **{**values, **more})


def other(n: int, text: str, **more):
    return judged(n, text, replace(PLAIN, reasons=("слово «вода»",)), **{"author": OTHER, **more})


HER = (
    own(1, BEFORE),
    own(2, f"{SAID} горит дом, звоните +7 928 000-11-22", EMERGENCY),
    own(3, f"{SAID} снова", replace(PLAIN, reasons=(f"слово «{SAID}»",)), parent_id="wall-1_10_r990011"),
    own(4, f"{SAID} удалено"),
    own(5, f"{SAID} давно", published_at=NOW - timedelta(days=400), attachments=(Attachment("photo", "u", NAME, "p"),)),
)  # fmt: skip
OTHERS = (
    other(11, "[id990017777|Канария], соглашусь: воды нет", parent_id="wall-1_10_r990011"),
    other(12, f"Как верно сказала {NAME.upper()}, света нет"),
    other(13, "Канария, спасибо", parent_id="wall-1_10_r990012"),
    other(16, "и я", url="https://vk.com/wall-1_10?reply=16&thread=990011", parent_id="c11"),
    other(14, "в Хрюге нет воды"),
    judged(15, f"{NAME}, ответим вам", None, own=True, author=Author("-1", "Администрация", None, "community")),
)  # fmt: skip


def person(store: Store) -> list[str]:
    """A person who left traces everywhere; the numbers of her messages."""
    see(store)
    store.land(landing(*HER, *OTHERS, posts=[mark(counter=11)]), NOW)
    store.land(landing(own(1, SAID), deleted=["wall-1_10_r990014"]), NOW + timedelta(minutes=1))
    ids = {m["external_id"]: m["id"] for m in store.messages()}
    first, alarm = ids["wall-1_10_r990011"], ids["wall-1_10_r990012"]
    for verb, args in (
        ("accept", {}), ("route", {"to": ["zhkh"]}), ("return", {"reason": f"это к {NAME}"}),
        ("route", {"to": ["roads", "zhkh"]}), ("part", {"text": f"{SAID}: сведения"}),
        ("draft", {"kind": "interim", "text": f"Уважаемая {NAME}!", "condition": f"когда ответит {NAME}"}),
    ):  # fmt: skip
        act(store, DESK, first, verb, args, by="adm", now=NOW + timedelta(minutes=2))
    act(store, DESK, ids["c14"], "accept", {}, by="adm", now=NOW)
    act(store, DESK, ids["c14"], "route", {"to": ["zhkh"]}, by="adm", now=NOW)
    act(store, DESK, ids["c14"], "return", {"reason": f"об этом писала {NAME}"}, by="adm", now=NOW)
    store.correct(first, {"reasons": [f"так сказала {NAME}"], "places": [f"дом {NAME}"]}, by="adm", now=NOW)
    store.correct(first, {"urgency": "urgent"}, by="adm", now=NOW)
    store.relate(ids["c14"], alarm, by="adm", now=NOW)
    for job in store.claim_alerts(NOW, 60, [("k", "head")], 600, 60, 5):
        store.alert_result(job, False, f"не доставлено: {SENTENCE}", NOW)
    store.take(f"consumer {1}", 3, 60, NOW)
    store.saw("adm", list(ids.values()), "show", NOW)
    run = store.start_run("collect", NOW)
    store.add_coverage(run, Coverage("vk", "-1", NOW, NOW, Outcome.partial, problem=f"не прочитано: {SENTENCE}"))
    everywhere(store)
    return [i for key, i in sorted(ids.items()) if key.startswith("wall-1_10_r99001")]


def everywhere(store: Store) -> None:
    """The person also stands in every text column of every table that has no rules of its own."""
    with store._db.write() as conn:
        for table in plain_tables():
            keys = list(table.primary_key.columns)
            row = conn.execute(select(*keys)).first()
            if row is None or table.name == "cases":
                continue
            here = [k == v for k, v in zip(keys, row, strict=True)]
            plain = [c for c in text_columns(table) if not isinstance(c.type, Json) and not c.foreign_keys]
            plain = [c for c in plain if c.name not in ("cursor", "state", "kind", "page_id")]
            if plain:
                conn.execute(update(table).where(*here).values(dict.fromkeys((c.name for c in plain), SENTENCE)))


def traces(text: str) -> list[str]:
    low = text.casefold()
    return [t for t in TRACES if t.casefold() in low]


def remains(store: Store) -> list[str]:
    """Every trace in any column of any table, numbers as texts too."""
    found = []
    with store._db.read() as conn:
        for table in metadata.sorted_tables:
            for row in conn.execute(select(table)):
                found += [f"{table.name}: {t} in {row}" for t in traces(repr(tuple(row)))]
    return found


def bytes_of(path) -> list[str]:
    data = path.read_bytes()
    return [t for t in TRACES if t.encode() in data]


def forget(store: Store, who: str = "vk:990017777", **more):
    return store.forget(who, by="куратор", now=LATER, settle=settle, **more)


@ONE
def test_the_traces_are_there_before(store):
    person(store)
    tables = {line.partition(":")[0] for line in remains(store)}
    assert {
        "messages",
        "revisions",
        "judgements",
        "replies",
        "cases",
        "events",
        "audit",
        "sendings",
        "alerts",
    } <= tables


def test_nothing_of_a_forgotten_person_remains(store, store_url, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    her = person(store)
    before = store.last_seq()
    told = forget(store, dry_run=True)
    assert not told.done and set(told.messages) == set(her) and store.last_seq() == before
    assert told.counts["replies"] == 2 and told.counts["others.messages"] >= 3
    found = forget(store)
    assert found.done and set(found.messages) == set(her) and not found.went_on
    assert remains(store) == []
    feed = b"".join(store.events_raw(0, 10_000)).decode()
    assert traces(feed) == []
    assert dense(store) and verify(store_url) == []
    backup(store_url, tmp_path / "copy.db")
    assert bytes_of(tmp_path / "copy.db") == []
    if store.dialect == "sqlite":
        assert bytes_of(store._db.path) == []
        wal = store._db.path.with_name(store._db.path.name + "-wal")
        assert not wal.exists() or bytes_of(wal) == []
    else:
        with store._db.read() as conn:  # what the planner keeps as samples
            stats = conn.exec_driver_sql("SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats").all()
        assert traces(repr(stats)) == []
    out = capfd.readouterr()
    assert traces(caplog.text + out.out + out.err) == []


@ONE
def test_what_statistics_need_stays(store):
    her = person(store)
    first = store.message(her[0])
    forget(store)
    after = store.message(her[0], full=True)
    for name in ("topic", "urgency", "conduct", "published_at", "collected_at", "page", "post_id", "division"):
        assert after[name] == first[name], name
    assert after["author"] == {"id": None, "name": None, "url": None} and after["text"] == after["url"] == ""
    assert after["status"] == "closed" and after["deadlines"] == {} and after["revisions"] == []
    desk = store.desk(her[0])
    assert [e["verb"] for e in desk["log"]] == ["accept", "route", "return", "route", "part", "draft", *2 * ["correct"]]
    assert all(e["redacted"] for e in desk["log"]) and desk["log"][1]["details"] == {"to": ["zhkh"], "compiler": "zhkh"}
    assert desk["case"]["outcome"] == "forgotten" and all(c["stopped_at"] for c in desk["case"]["clocks"])
    assert [r["text"] for r in desk["replies"]] == ["", ""]


@ONE
def test_consumers_are_told(store):
    her = person(store)
    before = store.last_seq()
    forget(store)
    new = [e for e in store.events(before, 100) if e["type"] == "otklik.message.forgotten"]
    assert {e["data"]["id"] for e in new} == set(her) and all(e["data"]["erased"] is None for e in new)
    old = [e for e in store.events(0, before) if e.get("subject") in her]
    assert old and {e["type"] for e in old} == {"otklik.message.forgotten"}
    assert "otklik.message.landed" in {e["data"]["erased"] for e in old}
    masked = [e["data"] for e in store.events(before, 100) if e["type"] == "otklik.message.revised"]
    assert any("[скрыто]" in m["text"] for m in masked)


def test_collecting_again_brings_nothing_back(store, store_url):
    person(store)
    forget(store)
    seq = store.last_seq()
    again = store.land(landing(*[h for h in HER if "удалено" not in h.comment.text], *OTHERS), LATER)
    assert (again.new, again.revised) == (0, 0) and store.last_seq() == seq and remains(store) == []
    known = store.known("vk", "wall-1_10")
    assert len(known) == 11 and "wall-1_10_r990011" in known and known.get("wall-1_10_r990012").deleted is False
    assert "wall-1_10_r990011" in dict.keys(known) and len(known) == 11
    store.land(landing(deleted=[k for k in known if k == "wall-1_10_r990011"]), LATER)  # by the real id: not news
    gone = [k for k in store.known("vk", "wall-1_10") if k.startswith("forgotten:")]
    assert len(gone) == 5
    store.land(landing(deleted=gone), LATER)
    assert verify(store_url) == []
    assert store.land(landing(HER[1]), LATER).new == 0 and verify(store_url) == []  # back again
    new = store.land(landing(own(8, "новый вопрос"), own(9, "ещё", parent_id="wall-1_10_r990011")), LATER)
    assert new.new == 2
    (answer,) = [m for m in store.messages() if m["text"] == "ещё"]
    assert answer["parent_id"].startswith("forgotten:")
    edited = store.land(landing(other(14, "в Хрюге снова есть вода")), LATER)
    assert edited.revised == 1


@ONE
def test_by_address_and_by_number(store):
    her = person(store)
    for who in (
        "https://vk.com/kanareika_x9",
        "m.vk.ru/kanareika_x9/",
        her[1],
        "https://vk.com/wall-1_10?reply=990013",
    ):
        assert set(forget(store, who, dry_run=True).messages) == set(her), who
    for who in ("vk:1", "999999", "https://vk.com/nobody_here"):
        with pytest.raises(NotFound):
            forget(store, who)
    with pytest.raises(StoreError, match="сеть:id"):
        forget(store, "kanareika")
    ours = next(i for i in range(1, 20) if store.message(str(i))["text"].endswith("ответим вам"))
    with pytest.raises(StoreError, match="сама администрация"):
        forget(store, str(ours))


@ONE
def test_nobody_works_with_it_any_more(store):
    her = person(store)
    forget(store)
    for work in (
        lambda: act(store, DESK, her[0], "reopen", {"reason": "x"}, by="adm", now=LATER),
        lambda: store.correct(her[0], {"urgency": "urgent"}, by="adm", now=LATER),
        lambda: store.relate(her[0], None, by="adm", now=LATER),
    ):
        with pytest.raises(StoreError, match="забыт"):
            work()
    assert not {m["id"] for m in store.take("c", 100, 60, LATER + timedelta(hours=9), historical=True)} & set(her)
    assert store.claim_alerts(LATER + timedelta(hours=2), 60, [("k", "head")], 600, 60, 5) == []
    assert not {u.message_id for u in store.unassessed(100)} & set(her)
    assert not [c for c in store.corrections() if c.message_id in her]


@ONE
def test_a_log_of_an_older_program_is_kept_and_redacted(store, store_url, monkeypatch):
    """Its hashes cover the details themselves."""
    from store import audit

    with monkeypatch.context() as older:
        older.setattr(audit, "_digest", lambda row: None)
        her = person(store)
    assert verify(store_url) == []
    forget(store)
    assert remains(store) == [] and verify(store_url) == []
    log = metadata.tables["audit"]
    with store._db.write() as conn:
        conn.execute(update(log).where(log.c.message_id == int(her[0])).values(actor="другой"))
    assert any("не так, как записано" in p for p in verify(store_url))


class _Killed(BaseException):
    pass


@pytest.mark.parametrize(
    ("store_url", "where"),
    [("sqlite", "_erase"), ("postgresql", "_bury_events"), ("sqlite", "compact")],
    indirect=["store_url"],
)
def test_broken_off_it_goes_on_when_repeated(store, store_url, monkeypatch, where):
    person(store)
    monkeypatch.setattr(forgetting_, "_CHUNK", 2)
    real, calls = getattr(forgetting_, where), []

    def dies(*args, **more):
        calls.append(1)
        if len(calls) == (1 if where == "compact" else 2):
            raise _Killed
        return real(*args, **more)

    monkeypatch.setattr(forgetting_, where, dies)
    with pytest.raises(_Killed):
        forget(store)
    monkeypatch.setattr(forgetting_, where, real)
    assert store.forgetting_unfinished()
    assert forget(store).went_on
    assert not store.forgetting_unfinished() and remains(store) == [] and verify(store_url) == []
    if store.dialect == "sqlite":
        assert bytes_of(store._db.path) == []


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_while_comments_land(store, store_url):
    """Old ones, answers and new ones come meanwhile; only the new ones are there at the end, or were forgotten too."""
    person(store)
    stop, failed = threading.Event(), []

    def collect(n: int) -> None:
        with Store.open(store_url) as mine:
            i = 0
            while not stop.is_set():
                i += 1
                try:
                    mine.land(landing(*[h for h in HER if "удалено" not in h.comment.text], *OTHERS), LATER)
                    mine.land(landing(other(1000 * n + i, "вода?", parent_id="wall-1_10_r990012")), LATER)
                except StoreError as e:
                    failed.append(e)

    threads = [threading.Thread(target=collect, args=(n,)) for n in (1, 2)]
    for t in threads:
        t.start()
    try:
        forget(store)
    finally:
        stop.set()
        for t in threads:
            t.join(60)
    assert not failed and remains(store) == [] and verify(store_url) == []


@ONE
def test_an_old_backup_brings_it_back_and_says_so(store, store_url, tmp_path):
    her = person(store)
    backup(store_url, tmp_path / "old.db")
    assert forgotten_in(store_url, tmp_path / "old.db") == []
    forget(store)
    backup(store_url, tmp_path / "new.db")
    assert forgotten_in(store_url, tmp_path / "old.db") == her and forgotten_in(store_url, tmp_path / "new.db") == []
    restore(store_url, tmp_path / "old.db", force=True)
    assert remains(store)
    assert set(forget(store, her[0]).messages) == set(her) and remains(store) == [] and verify(store_url) == []


@ONE
def test_a_namesake_is_somebody_else(store):
    see(store)
    namesake = Author("7", NAME, "https://vk.com/id7", "person")
    store.land(landing(own(1, SAID), judged(2, "другое", author=namesake)), NOW)
    forget(store)
    (left,) = [m for m in store.messages() if m["text"]]
    assert left["author"] == {"id": "7", "name": NAME, "url": "https://vk.com/id7"}
    (event,) = [e for e in store.events(0, 100) if e.get("subject") == left["id"]]
    assert event["data"]["author"]["name"] == NAME


@ONE
def test_an_unknown_author_loses_that_message_only(store):
    see(store)
    nobody = Author(None, None, None, "unknown")
    store.land(landing(judged(1, SAID, author=nobody), judged(2, "чужое", author=nobody)), NOW)
    (first, second) = [m["id"] for m in store.messages()]
    assert forget(store, first).messages == (first,)
    assert store.message(first)["text"] == "" and store.message(second)["text"] == "чужое"


@ONE
def test_the_log_does_not_believe_in_erasing_that_is_not_recorded(store, store_url):
    person(store)
    forget(store)
    assert verify(store_url) == []
    audit = metadata.tables["audit"]

    def wrong(values, where) -> list[str]:
        with store._db.write() as conn:
            old = conn.execute(select(audit).where(where)).mappings().first()
            conn.execute(update(audit).where(audit.c.seq == old["seq"]).values(**values))
        found = verify(store_url)
        with store._db.write() as conn:
            conn.execute(update(audit).where(audit.c.seq == old["seq"]).values(**old))
        return found

    erased, whole = audit.c.redacted.isnot(None), audit.c.redacted.is_(None) & (audit.c.verb == "accept")
    assert any("не так, как записано" in p for p in wrong({"details": '{"to":["roads"]}'}, erased))
    assert any("изменена запись" in p for p in wrong({"actor": "другой"}, erased))
    assert any("изменена запись" in p for p in wrong({"details": '{"reason":"x"}'}, whole))
    with store._db.read() as conn:
        last = conn.execute(select(audit.c.seq).where(audit.c.verb == "forget")).scalars().all()[-1]
    assert any("не так" in p for p in wrong({"details": "{}", "redacted": last}, whole))
    assert any("не записано" in p for p in wrong({"details": "{}", "redacted": 10**6}, whole))
    assert verify(store_url) == []


@ONE
def test_what_others_wrote_keeps_its_sense(store):
    person(store)
    forget(store)
    texts = {m["text"] for m in store.messages()}
    assert "[скрыто], соглашусь: воды нет" in texts and "Как верно сказала [скрыто], света нет" in texts
    assert "[скрыто], спасибо" in texts and "в Хрюге нет воды" in texts
    with store._db.read() as conn:
        sealed = conn.execute(select(messages_table.c.seal).where(messages_table.c.seal.isnot(None))).all()
    assert len(sealed) >= 4


@ONE
def test_what_a_network_pushed_and_nobody_has_landed_yet(store):
    """Pieces as Telegram pushes them: the person's own go, in what others wrote the quoted words are emptied."""
    see(store)
    her = {"id": 990017777, "is_bot": False, "first_name": "Канария", "last_name": "Овсянкина"}
    him = {"id": 41, "is_bot": False, "first_name": "Пётр"}
    store.land(
        landing(judged(1, "воды нет", network="telegram", author=WHO), page=replace(PAGE, network="telegram")), NOW
    )
    mine = {"message_id": 7, "from": her, "text": SAID}
    answer = {"message_id": 8, "from": him, "text": "и у нас", "date": 5, "reply_to_message": mine}
    apart = {"message_id": 9, "from": him, "text": "спасибо"}
    pieces = [Pushed(str(n), "-1", orjson.dumps(m).decode()) for n, m in enumerate((mine, answer, apart))]
    state = {"offset": 3, "albums": {"a": {"date": 5, "parts": [mine]}}}
    assert store.inbox_put("telegram:1", 0, state, pieces, NOW) and remains(store)
    assert store.inbox_put("vk", 0, {}, [Pushed("x", "-1", '{"from": {"id": 41}}')], NOW)
    forget(store, "telegram:990017777")
    assert remains(store) == []
    left = [orjson.loads(p.raw) for p in store.inbox_items("telegram:1", "-1")]
    assert [m["text"] for m in left] == ["и у нас", "спасибо"] and left[1] == apart
    assert left[0]["reply_to_message"]["message_id"] == 7 and left[0]["from"] == him
    version, kept = store.inbox_state("telegram:1")
    assert (version, kept["offset"], kept["albums"]["a"]["date"]) == (2, 3, 5)
