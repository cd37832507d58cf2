"""The world, its clock and ledger; scenarios and the generator."""

from __future__ import annotations

import json
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import Clock, World, generate, load
from emulator.scenario import build, parse
from emulator.world import Shaker, load_scenario, shown
from settings import ConfigError, OtklikError

START = 1_700_000_000.0


@pytest.fixture
def world() -> World:
    world = World(clock=Clock(START, frozen=True))
    world.add_page("-5", "Страница")
    return world


# --- time -------------------------------------------------------------------------------------------------------------


def test_the_clock_stands_runs_and_never_goes_back():
    frozen = Clock(START, frozen=True)
    assert frozen.now() == START
    frozen.advance(60)
    assert frozen.now() == START + 60
    running = Clock(START)
    first = running.now()
    assert START <= first <= running.now()
    running.advance(3600)
    assert running.now() >= first + 3600
    with pytest.raises(OtklikError):
        running.advance(-1)
    assert abs(Clock().now() - time.time()) < 5


def test_what_is_scheduled_happens_in_order_when_its_time_comes(world):
    happened = []
    for at in (30, 10, 20):
        world.schedule(START + at, lambda at=at: happened.append(at))
    world.sync()
    assert happened == []
    world.advance(20)
    assert happened == [10, 20]
    world.advance(100)
    assert happened == [10, 20, 30]


# --- the ledger -------------------------------------------------------------------------------------------------------


def test_the_ledger_keeps_everything_that_ever_was(world):
    page = world.pages["-5"]
    post = world.add_post(page, "п")
    top = world.add_comment(post, "первый", 1, emergency=True)
    reply = world.add_comment(post, "ответ", -5, parent=top)
    world.edit(top, "первый, исправлен")
    world.delete(reply)
    world.delete_post(post)
    photo = world.add_post(page, "", kind="photo")
    world.add_comment(photo, "фото", 2)
    by_resident = world.add_post(page, "Помогите", author=9)
    entries = [json.loads(line) for line in world.ledger_ndjson().splitlines()]
    assert [e["external_id"] for e in entries] == [
        world.external_id(by_resident), "wall-5_2", "wall-5_3", "photo-5_1_2",
    ]  # fmt: skip
    first = entries[1]
    assert first["texts"] == ["первый", "первый, исправлен"]
    assert (first["text"], first["edited"], first["deleted"]) == ("первый, исправлен", True, False)
    assert (first["emergency"], first["post_deleted"], first["own"]) == (True, True, False)
    assert first["published_at"] == "2023-11-14T22:13:20+00:00"
    assert (entries[2]["parent"], entries[2]["own"], entries[2]["deleted"]) == ("wall-5_2", True, True)
    assert entries[0]["text"] == "Помогите"


def test_external_ids_are_unique():
    world = generate(8, 3, 8, 2000, kinds=("post", "photo", "video", "topic"))
    ids = [e["external_id"] for e in world.ledger()]
    assert len(ids) == len(set(ids)) == 2000 + sum(1 for p in world.posts(None, "topic") if p.text)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("adert"), st.integers(0, 30)), max_size=60), st.integers(1, 5))
def test_what_is_shown_is_exactly_what_lives(steps, depth):
    """Whatever happens, every living comment is shown once, stubs are dead with somebody alive below, nothing else."""
    world = World(clock=Clock(START, frozen=True))
    post = world.add_post(world.add_page("-5"), "п")
    row = []
    for what, number in steps:
        one = row[number % len(row)] if row else None
        if what == "a" or one is None:
            row.append(world.add_comment(post, "т", 1))
        elif what == "t":
            row.append(world.add_comment(post, "т", 1, parent=one))
        elif what == "d":
            world.delete(one)
        elif what == "e":
            world.edit(one, "другой")
        else:
            world.restore(one)
    seen = shown(post, depth)
    everywhere = [c for level in seen.levels.values() for c in level]
    assert len(everywhere) == len(set(everywhere)) == seen.total + seen.stubs
    assert {c for c in everywhere if not c.deleted} == {c for c in row if not c.deleted}
    assert all(c.alive_below for c in everywhere if c.deleted)
    assert seen.stubs == (0 if depth == 1 else sum(c.deleted and c.alive_below for c in row))
    # Each level hangs under something that is shown itself.
    ids = {c.id for c in everywhere}
    assert all(key is None or key in ids for key in seen.levels)


def test_the_shaker_is_repeatable_and_ends():
    def shake():
        world = generate(1, 1, 2, 30, start=START)
        shaker = Shaker(7, chance=0.5, limit=15)
        for _ in range(200):
            shaker(world, "wall.getComments")
        return [(e["external_id"], e["texts"], e["deleted"]) for e in world.ledger()]

    assert shake() == shake()
    world = generate(1, 1, 2, 30, start=START)
    before = sum(p.version for p in world.posts())
    shaker = Shaker(7, limit=15, only={"wall.get"})
    for _ in range(100):
        shaker(world, "wall.getComments")
    assert sum(p.version for p in world.posts()) == before
    for _ in range(100):
        shaker(world, "wall.get")
    assert sum(p.version for p in world.posts()) == before + 15


def test_threads_do_not_tear_the_world():
    world = generate(1, 1, 3, 50)
    post = next(iter(world.posts()))

    def write() -> None:
        for i in range(300):
            world.add_comment(post, str(i), 1)

    threads = [threading.Thread(target=write) for _ in range(6)]
    for t in threads:
        t.start()
    for _ in range(20):
        list(world.ledger())
    for t in threads:
        t.join()
    assert len(list(world.ledger())) == 50 + 1800
    assert list(post.comments) == sorted(post.comments)


# --- the generator ----------------------------------------------------------------------------------------------------


def truth(world):
    return [(e["external_id"], e["parent"], e["author"], e["texts"], e["deleted"]) for e in world.ledger()]


def test_the_generator_is_repeatable():
    assert truth(generate(5, 2, 10, 500, start=START)) == truth(generate(5, 2, 10, 500, start=START))
    assert truth(generate(5, 2, 10, 500, start=START)) != truth(generate(6, 2, 10, 500, start=START))


def test_the_generator_makes_what_is_asked():
    world = generate(5, 3, 10, 3000, depth=4, deleted=0.1, edited=0.1, start=START)
    entries = list(world.ledger())
    assert len(world.pages) == 3
    assert len(entries) == 3000
    parents = {e["external_id"]: e["parent"] for e in entries}

    def depth(name):
        return 1 + (depth(parents[name]) if parents[name] else 0)

    assert max(map(depth, parents)) == 4
    assert 0.05 < sum(e["deleted"] for e in entries) / 3000 < 0.15
    assert 0.05 < sum(e["edited"] for e in entries) / 3000 < 0.15
    assert any(e["own"] for e in entries)
    assert any(e["emergency"] for e in entries)
    assert any(e["attachments"] == ["sticker"] and not e["text"] for e in entries)
    kinds = {world.authors[e["author"]].kind for e in entries if not e["own"]}
    assert kinds == {"person", "community", "deleted", "banned", "hidden"}
    assert all(c.published_at <= START for c in world.comments())
    assert "{" not in "".join(e["text"] for e in entries)
    assert list(generate(1, 0, 0, 0).ledger()) == list(generate(1, 1, 0, 5).ledger()) == []


# --- scenarios --------------------------------------------------------------------------------------------------------


def test_the_demo_has_its_acts():
    world = load_scenario()
    assert len(world.pages) == 2
    first = list(world.ledger())
    world.advance_to("act1")
    second = list(world.ledger())
    world.advance_to("act2")
    third = list(world.ledger())
    assert 200 < len(first) < len(second) < len(third) < 1000
    assert not any(e["emergency"] or e["deleted"] for e in first)
    assert sum(bool(e["emergency"]) for e in second) >= 4
    assert sum(e["edited"] for e in third) >= 4
    assert sum(e["deleted"] for e in third) >= 6
    assert abs(world.now() - time.time()) < 60
    # Nothing is dated in the future, nothing changes by itself any more.
    assert all(c.published_at <= world.now() for c in world.comments())
    world.advance(10 * 86400)
    assert list(world.ledger()) == third


def test_the_demo_shows_what_a_collector_must_bear():
    world = load()
    world.advance_to("act2")
    posts = list(world.posts())
    assert {p.kind for p in posts} == {"post", "photo", "video", "topic"}
    for what in ("pinned", "closed", "repost"):
        assert any(getattr(p, what) for p in posts), what
    assert any(not p.text and p.kind == "post" for p in posts)
    assert any(p.author > 0 for p in posts)
    comments = list(world.comments())
    assert max(len(c.children) for c in comments) > 10
    assert {a.kind for c in comments for a in c.attachments} == {"photo", "sticker"}
    kinds = {world.authors[c.author].kind for c in comments if not c.own}
    assert kinds == {"person", "community", "deleted", "banned", "hidden"}
    assert any(c.deleted and c.alive_below for c in comments)
    assert any(c.own and c.parent for c in comments)


def test_the_demo_is_the_same_every_time():
    def texts(world):
        world.advance_to("act2")
        return [(e["external_id"], e["author"], e["texts"], e["deleted"]) for e in world.ledger()]

    assert texts(load(start=START)) == texts(load(start=START + 777))


def test_a_scenario_may_begin_at_any_mark():
    world = load(at="act1")
    assert any(e["emergency"] for e in world.ledger())
    assert not any(e["deleted"] for e in world.ledger())
    assert len(list(load(at="act2+5m").ledger())) > len(list(world.ledger()))


SMALL = """
network: vk
marks: {soon: 10m}
pages:
  - id: "-1"
    posts:
      - key: p
        at: -1d
        text: Новость
        comments:
          - {key: a, at: -5m, by: 7, text: Раз, replies: [{at: -1m, by: page, text: Ответ}]}
          - {at: soon-5m, text: Два}
changes:
  - {at: 1m, edit: a, text: Раз!}
  - {at: 2m, delete: a}
  - {at: 3m, restore: a}
  - {at: soon, close: p}
  - {at: soon+1m, delete_post: p}
"""


def test_changes_happen_at_their_time():
    world = build(parse(SMALL), start=START, frozen=True)
    seen = []
    for _ in range(5):
        first = next(iter(world.ledger()))
        seen.append((first["text"], first["deleted"]))
        world.advance(60)
    assert seen == [("Раз", False), ("Раз!", False), ("Раз!", True), ("Раз!", False), ("Раз!", False)]
    world.advance_to("soon")
    (post,) = world.posts()
    assert (post.closed, post.deleted, len(post.comments)) == (True, False, 3)
    world.advance(60)
    assert post.deleted
    answer = post.comments[3]
    assert (answer.own, answer.parent.text) == (True, "Раз!")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "нужен раздел"),
        ("[]", "нужен раздел"),
        ("pages: []", "pages"),
        ("pages: [", "это не YAML"),
        ("pages: [{id: '-1'}]\nwhat: 1", "what: неизвестный ключ"),
        ("pages: [{}]", "pages[0].id: обязательный ключ"),
        ("pages: [{id: x}]", "страница x"),
        ("pages: [{id: '-1'}, {id: '-1'}]", "ключ -1 встречается дважды"),
        ("pages: [{id: '-1', posts: [{kind: story}]}]", "pages[0].posts[0].kind"),
        ("pages: [{id: '-1', posts: [{at: вчера}]}]", "pages[0].posts[0].at: нужно время"),
        ("pages: [{id: '-1', posts: [{at: t9}]}]", "отметка времени t9 не описана"),
        ("pages: [{id: '-1', posts: [{key: k}, {key: k}]}]", "ключ k встречается дважды"),
        ("pages: [{id: '-1', posts: [{comments: [{key: k}, {key: k}]}]}]", "ключ k встречается дважды"),
        ("pages: [{id: '-1', posts: [{comments: [{by: кто}]}]}]", "pages[0].posts[0].comments[0].by"),
        ("pages: [{id: '-1', posts: [{fill: {count: -1}}]}]", "fill"),
        ("pages: [{id: '-1', posts: [{at: 0, fill: {count: 1, until: -5d}}]}]", "конец раньше начала"),
        ("pages: [{id: '-1'}]\nchanges: [{at: 1m}]", "ровно одно действие"),
        ("pages: [{id: '-1'}]\nchanges: [{at: 1m, edit: a, delete: b}]", "ровно одно действие"),
        ("pages: [{id: '-1'}]\nchanges: [{at: 1m, edit: a}]", "новый текст"),
        ("pages: [{id: '-1'}]\nchanges: [{at: 1m, delete: a}]", "с ключом a в сценарии нет"),
        ("pages: [{id: '-1'}]\nbegin: never", "отметка времени never"),
        ("a: &a 1\npages: *a", "ссылки YAML"),
        ("pages: " + "[" * 3000, "scenario.yaml"),
        ("pages: [{id: '-1'}]\nstart: завтра", "start"),
    ],
)
def test_a_bad_scenario_is_one_sentence(text, part):
    with pytest.raises(ConfigError) as caught:
        build(parse(text), "scenario.yaml", start=START)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_scenario_file_is_one_sentence(tmp_path):
    path = tmp_path / "s.yaml"
    with pytest.raises(ConfigError, match="не читается"):
        load(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(path)
    path.write_text(SMALL, encoding="utf-8")
    with pytest.raises(ConfigError, match="для сети vk"):
        load(path, network="ok")
    with pytest.raises(ConfigError, match="отметки времени nowhere"):
        load(path).advance_to("nowhere")


@pytest.mark.parametrize(("levels", "good"), [(120, True), (3000, False)])
def test_a_scenario_of_many_levels_of_replies(levels: int, good: bool) -> None:
    text = "{text: a}"
    for _ in range(levels):
        text = f"{{text: a, replies: [{text}]}}"
    scenario = f"pages:\n- id: '-1'\n  posts:\n  - text: x\n    comments: [{text}]\n"
    if good:
        assert sum(1 for _ in build(parse(scenario)).comments()) == levels + 1
    else:
        with pytest.raises(ConfigError, match="слишком глубоко"):
            parse(scenario)
