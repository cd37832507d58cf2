"""Every event of a real landing is what the published schema says, on both databases."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from desk.privacy import settle
from desk.work import act
from feed.schema import EVENTS, SCHEMA_VERSION, files, find, publish, schema
from settings import ConfigError, parse
from store.values import Attachment, Author
from tests.store.build import EMERGENCY, NOW, PLAIN, THANKS, comment, judged, landing, see

DOCS = Path(__file__).parents[2] / "docs" / "schema"
STRICT = Draft202012Validator(schema(strict=True))


def history(store) -> None:
    """A log with every event type and every odd kind of comment in it."""
    see(store)
    nobody = Author(None, None, None, "unknown")
    store.land(
        landing(
            judged(1),
            judged(2, "Горит дом на улице Ленина!", EMERGENCY),
            judged(3, "", None, attachments=(Attachment("sticker", None, None, None),), author=nobody),
            judged(4, '<script>alert(1)</script> =cmd|"/c calc" \x1b[31m \u202e \0', THANKS),
            judged(5, "давно", PLAIN, published_at=NOW - timedelta(days=400)),
            judged(6, "без даты", PLAIN, published_at=None, parent_id="c1", url=""),
            judged(7, "", None, deleted=True, author=nobody),
            judged(8, "ответ администрации", None, own=True),
        ),
        NOW,
    )
    later = NOW + timedelta(minutes=1)
    store.land(landing(judged(1, "воды всё ещё нет"), deleted=["c4"]), later)
    store.land(landing(judged(4, "вернулся", THANKS)), later + timedelta(minutes=1))
    waiting = store.unassessed(10)
    store.assess([(w.message_id, replace(PLAIN, topic=None, places=()), {}) for w in waiting], later)
    first, *_ = [m["id"] for m in store.messages()]
    store.correct(first, {"urgency": "urgent"}, by="администратор", now=later)
    drill = store.raise_drill("Учебная тревога", later)
    store.claim_alerts(later + timedelta(hours=1), 60, [("json#1", "escalation")], 600, 60, 20)
    store.acknowledge(drill, "глава", later + timedelta(hours=2))
    desk = parse("divisions: [{id: zhkh}]")
    reply = {"kind": "final", "text": "Включили."}
    for verb, args in (
        ("accept", {}), ("route", {"to": ["zhkh"]}), ("return", {"reason": "не наше"}), ("route", {"to": ["zhkh"]}),
        ("draft", reply), ("approve", {}), ("publish", {"url": "https://vk.com/1"}), ("close", {}),
    ):  # fmt: skip
        act(store, desk, first, verb, args, by="администратор", now=later)
    store.land(landing(judged(9, "забудьте меня", author=Author("77", "Лев Тихий", None, "person"))), later)
    store.forget("vk:77", by="куратор", now=later, settle=settle)


def test_every_event_of_a_real_landing_is_as_published(store):
    history(store)
    lines = list(store.events_raw(0, 10_000))
    seen = set()
    for line in lines:
        event = json.loads(line)
        errors = [f"{list(e.absolute_path)}: {e.message}" for e in STRICT.iter_errors(event)]
        one = Draft202012Validator(schema(event["type"], strict=True))
        detail = [f"{list(e.absolute_path)}: {e.message}" for e in one.iter_errors(event)]
        assert not errors, (event["type"], detail)
        seen.add(event["type"])
    assert seen == set(EVENTS)


def test_a_deletion_is_a_tombstone_without_the_words(store):
    history(store)
    (gone,) = [e for e in store.events(0, 1000) if e["type"] == "otklik.message.deleted"]
    assert set(gone["data"]) == {"id", "network", "external_id", "deleted_at"}


def test_the_published_files_are_fresh():
    published = {p.name: p.read_text(encoding="utf-8") for p in DOCS.glob("*.json")}
    assert published == files(), "run: python -m feed.schema docs/schema"


def test_publishing_removes_what_is_no_more(tmp_path):
    (tmp_path / "message.vanished.json").write_text("{}")
    publish(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == set(files())


@pytest.mark.parametrize("name", [None, *EVENTS])
def test_each_schema_is_itself_valid_and_closed_only_when_strict(name):
    for strict in (False, True):
        Draft202012Validator.check_schema(schema(name, strict=strict))
    assert "additionalProperties" not in schema("message.landed")["properties"]["data"]
    assert schema("message.landed", strict=True)["properties"]["data"]["additionalProperties"] is False
    assert SCHEMA_VERSION in schema(name)["$id"]


def test_names_may_be_short_and_wrong_ones_are_told():
    assert find("landed") == find("message.landed") == find("otklik.message.landed") == "otklik.message.landed"
    for wrong in ("", "message", "otklik", "lnaded", "message.landedd", "\x1b[31m"):
        with pytest.raises(ConfigError) as e:
            find(wrong)
        assert "otklik." in str(e.value) and e.value.exit_code == 2
    with pytest.raises(ConfigError, match=r"lnaded; возможно, otklik\.message\.landed$"):
        find("lnaded")


@pytest.fixture(scope="module")
def landed() -> dict:
    """A good event, to be spoilt."""
    from store.views import dump, message_view

    c = comment(1)
    row = {
        **{n: getattr(c, n) for n in ("network", "external_id", "page_id", "post_id", "comment_id", "parent_id")},
        "id": 1, "author": {"id": "5", "name": "И", "url": None}, "url": "", "text": "т", "attachments": [],
        "published_at": NOW, "collected_at": NOW, "edited_at": None, "deleted_at": None, "status": "new",
        "historical": False, "deadlines": {"route": NOW}, "assessment": PLAIN.as_dict(),
    }  # fmt: skip
    return {
        "seq": 1, "id": "1", "type": "otklik.message.landed", "time": "2026-11-24T09:00:00Z", "specversion": "1.0",
        "source": "urn:x", "datacontenttype": "application/json", "data": json.loads(dump(message_view(row))),
    }  # fmt: skip


def _set(event: dict, path: str, value) -> dict:
    event = json.loads(json.dumps(event))
    *way, last = path.split(".")
    here = event
    for part in way:
        here = here[part]
    if value is ...:
        del here[last]
    else:
        here[last] = value
    return event


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seq", 0), ("seq", "1"), ("seq", ...), ("id", ""), ("id", 1), ("type", "otklik.message.eaten"),
        ("time", "вчера"), ("time", "2026-11-24T09:00:00+03:00"),
        ("specversion", "2.0"), ("source", ...), ("data", None), ("data", []),
        ("data.id", 1), ("data.id", "a1"), ("data.text", None), ("data.text", ...), ("data.author", None),
        ("data.author.name", 5), ("data.places", None), ("data.places", ["Ахты"]), ("data.urgency", "soon"),
        ("data.emergency", "yes"), ("data.emergency", None), ("data.reaction", "maybe"), ("data.topic_confidence", 1.5),
        ("data.collected_at", None), ("data.published_at", "2026-11-24 09:00"), ("data.historical", 0),
        ("data.deadlines", {"route": "30m"}), ("data.deadlines", None), ("data.repeat_of", 7), ("data.reasons", "нет"),
        ("data.attachments", [{"url": "x"}]), ("data.parent_id", 3), ("data.parent_id", ...),
    ],
)  # fmt: skip
def test_the_schema_can_fail(landed, path, value):
    for check in (Draft202012Validator(schema()), Draft202012Validator(schema("landed"))):
        assert check.is_valid(landed)
        assert not check.is_valid(_set(landed, path, value))


def test_a_reader_of_this_version_bears_a_later_one(landed):
    newer = _set(_set(landed, "data.mood", "calm"), "traceparent", "00-1")
    assert Draft202012Validator(schema("landed")).is_valid(newer)
    assert not STRICT.is_valid(newer)
