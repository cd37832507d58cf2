"""What residents, networks and machines may throw at it, the whole way: network -> collect -> queue -> feed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator import GROUP_TOKEN, SERVICE_TOKEN, USER_TOKEN, Behaviour, Emulator, generate
from emulator.world import World
from store import Store
from tests.rig import FIRE, PROGRAM, Rig, environment, otklik, rig, two_pages
from tests.rig import config as conf


@pytest.fixture
def r(store_url: str) -> Iterator[Rig]:
    with rig(store_url) as opened:
        yield opened


def chain(world: World, levels: int) -> list[Any]:
    """One comment, an answer to it, an answer to that…"""
    post = world.add_post(next(iter(world.pages.values())), "Спор")
    made: list[Any] = []
    for n in range(levels):
        made.append(world.add_comment(post, f"Ответ {n}", 1001 + n % 4, parent=made[-1] if made else None))
    return made


@pytest.mark.parametrize(("depth", "levels"), [(2, 500), (10_000, 2000)])
def test_two_thousand_levels_of_answers(sqlite_url: str, depth: int, levels: int) -> None:
    with rig(sqlite_url, behaviour=Behaviour(thread_depth=depth)) as r:
        made = chain(r.world, levels)
        report = r.collect()
        assert (report.exit_code, report.landed.new) == (0, levels + 24)
        found = r.stored()
        assert found[r.key(made[-1])]["parent_id"] == r.key(made[-2])
        if depth > 2:
            r.agrees()
            return
        r.world.advance(60)
        r.world.add_comment(made[0].post, "И ещё", 1001, parent=made[-1])
        r.world.delete(made[levels // 2])
        assert r.collect(full=True).exit_code == 0
        r.agrees()
        assert len(r.events()) >= levels + 25


# --- texts -----------------------------------------------------------------------------------------------------------

HARD = {
    "100,000 characters": "Вода " * 20_000,
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;</td>",
    "right to left": "\u202eтсет\u202c עברית العربية \u2066смесь\u2069",
    "NUL": "до\x00после",
    "half a pair": "плохо \ud83d конец \udd25",
    "escape": "\x1b[2J\x1b]0;title\x07красный\x9b31m",
    "formula": '=HYPERLINK("http://example.org";"x")',
    "separators": "раз\u2028два\u2029три\x85четыре\r\nпять\tшесть",
    "quotes": "'; DROP TABLE messages; -- \\ \" % _ {} $1 :a",
    "combining": "З̷̢̛а̶л̵г̸о̷" * 50,
    "emoji": "👨‍👩‍👧‍👦🏳️‍🌈\ufeff\u200b",
    "nothing": "",
    "spaces": " \n\t \u00a0 ",
}


def test_hard_texts_the_whole_way(store_url: str, tmp_path: Path) -> None:
    world = World("vk")
    for number in (1, 2):
        world.add_page(f"-{number}", HARD["escape"] + HARD["half a pair"], f"stranica{number}")
    people = {name: world.add_author(1000 + n, text[:200]).id for n, (name, text) in enumerate(HARD.items())}
    post = world.add_post(world.pages["-1"], HARD["NUL"] + HARD["half a pair"] + HARD["100,000 characters"])
    world.add_post(world.pages["-1"], HARD["half a pair"], author=people["half a pair"])
    with rig(store_url, world) as r:
        assert r.collect().exit_code == 0
        world.advance(60)
        made = {name: world.add_comment(post, text, people[name]) for name, text in HARD.items()}
        report = r.collect()
        assert (report.exit_code, report.landed.new) == (0, len(HARD))
        again = r.collect(full=True)
        assert (again.landed.revised, again.landed.deleted) == (0, 0), "it looks like an edit every time"

        found = r.stored()
        for name, c in made.items():
            kept = found[r.key(c)]["text"]
            kept.encode()
            assert not set(kept) & set(map(chr, [*range(9), 0x1B, 0x7F])), name
            if name not in ("NUL", "half a pair", "escape", "separators"):
                assert kept == HARD[name]
        assert found[r.key(made["NUL"])]["text"] == "допосле"

        config = tmp_path / "config.yaml"
        config.write_text(conf(r.url, r.emulator.url), encoding="utf-8")
        at = ("--config", str(config))
        feed = otklik(*at, "feed", "read")
        lines = [json.loads(line) for line in feed.out.split("\n") if line]
        assert feed.code == 0 and {e["data"].get("external_id") for e in lines} >= set(found)
        longest = max(len(e["data"].get("text") or "") for e in lines)
        assert longest == len(HARD["100,000 characters"].strip()) or longest == 100_000
        for args in (
            ["queue"],
            ["queue", "--json"],
            ["pages"],
            *(
                ["queue", "show", found[r.key(made[n])]["id"]]
                for n in ("100,000 characters", "escape", "right to left")
            ),
        ):
            said = otklik(*at, *args)
            assert said.code == 0 and not said.err, (args, said.err)
            live = "\x00\x07\x1b\x7f\x9b\u2028\u2029" + ("" if "--json" in args else "\u202e")
            assert not set(said.out) & set(live), args


# --- dates -----------------------------------------------------------------------------------------------------------


def test_dates_that_are_none(r: Rig) -> None:
    r.collect()
    dates = {"never": 0, "before all": -5, "2099": 4_070_908_800, "9999": 253_402_300_000}
    made = {name: r.say(f"Вопрос {name}", at=at) for name, at in dates.items()}
    posts = [r.world.add_post(r.page(2), f"Новость {at}", at=at) for at in dates.values()]
    under = [r.say("Под ней", post) for post in posts]
    report = r.collect()
    assert (report.exit_code, report.landed.new) == (0, len(made) + len(under))
    found = r.stored()
    assert {name: found[r.key(c)]["published_at"] for name, c in made.items()} == {
        "never": None,
        "before all": None,
        "2099": "2099-01-01T00:00:00Z",
        "9999": "9999-12-31T23:46:40Z",
    }
    assert not any(found[r.key(c)]["historical"] for c in made.values())
    r.world.advance(3600)
    late = r.say("Позже")
    assert r.collect().landed.new == 1 and r.collect(full=True).exit_code == 0
    assert r.key(late) in r.stored()
    r.agrees()


@pytest.mark.parametrize("hours", [1, -1])
def test_our_clock_is_an_hour_off_for_a_whole_run(store_url: str, hours: int) -> None:
    world = two_pages(start=time.time() + hours * 3600, frozen=False)
    with rig(store_url, world) as r:
        assert r.collect().exit_code == 0
        assert r.alerts() == [] and all(m["historical"] for m in r.stored().values())
        fire = r.key(r.say(FIRE))
        report = r.collect()
        assert (report.exit_code, len(report.landed.alerts)) == (0, 1)
        one = r.stored()[fire]
        assert not one["historical"] and one["deadlines"]
        (told,) = [c for c in report.coverages if c.new]
        assert told.delay_max is not None and 0 <= told.delay_max < 60
        r.agrees()


# --- numbers that repeat ---------------------------------------------------------------------------------------------


def test_comments_of_different_pages_and_kinds_share_their_numbers(store_url: str) -> None:
    kinds = ("post", "photo", "video", "topic")
    world = generate(3, pages=2, posts=8, comments=80, kinds=kinds)
    numbers = [(c.post.page.id, c.post.kind, c.id) for c in world.comments()]
    assert len({n for *_, n in numbers}) < len(numbers) / 2
    pages = [{"network": "vk", "id": p, "include": [f"{k}s" for k in kinds]} for p in world.pages]
    with rig(store_url, world, pages=pages) as r:
        assert r.collect().exit_code == 0
        r.agrees()
        assert r.collect(full=True).landed.revised == 0


# --- tokens ----------------------------------------------------------------------------------------------------------

STRANGE = "123456789:AAF-qx0000000000000000000000000000"  # the shape of another network's token


@pytest.mark.parametrize(
    ("token", "code", "words"),
    [
        (GROUP_TOKEN, 3, "ключом сообщества"),
        (STRANGE, 3, "токен ВКонтакте не действует"),
        ("пароль с пробелами", 3, "ключе доступа"),
        ("${OTKLIK_ABSENT}", 3, "OTKLIK_ABSENT"),
        ("${OTKLIK_EMPTY}", 3, "OTKLIK_EMPTY"),
    ],
)
def test_tokens_of_the_wrong_kind(
    sqlite_url: str, token: str, code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTKLIK_EMPTY", "")
    monkeypatch.delenv("OTKLIK_ABSENT", raising=False)
    with rig(sqlite_url) as r:
        r.collect()
        before = r.stored()
        r.options["token"] = token
        for full in (False, True):
            report = r.collect(full=full)
            assert (report.exit_code, report.landed.deleted) == (code, 0)
            for c in report.coverages:
                assert words in c.problem and token not in c.problem.replace("${", "").replace("}", "") + "|"
                assert "\n" not in c.problem and len(c.problem) < 400
        assert r.stored() == before
        del r.options["token"]
        assert r.collect(full=True).exit_code == 0


def test_a_service_key_reads_its_part_and_says_what_is_missing(sqlite_url: str) -> None:
    world = generate(6, pages=1, posts=12, comments=100, kinds=("post", "photo", "video", "topic"))
    pages = [{"network": "vk", "id": p, "include": ["posts", "photos", "videos", "topics"]} for p in world.pages]
    with rig(sqlite_url, world, pages=pages, token=SERVICE_TOKEN) as r:
        first = r.collect()
        assert (first.exit_code, [str(c.outcome) for c in first.coverages]) == (1, ["partial"])
        assert "токен пользователя" in first.coverages[0].problem
        r.options["token"] = USER_TOKEN
        assert r.collect(full=True).exit_code == 0
        r.agrees()
        r.options["token"] = SERVICE_TOKEN
        back = r.collect(full=True)
        assert (back.exit_code, back.landed.deleted) == (1, 0)
        r.agrees()


# --- pages that change -----------------------------------------------------------------------------------------------

NAMED = [{"network": "vk", "id": "stranica1", "include": ["posts"]}]


@pytest.fixture
def named(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """A page configured by its short name, which is asked for in each run."""
    monkeypatch.setattr("collectors.poll.RESOLVE_AGAIN", timedelta(0))
    with rig(sqlite_url, pages=NAMED) as opened:
        assert opened.collect().exit_code == 0
        yield opened


@pytest.mark.parametrize("unknown", ["error", "empty"])
def test_a_renamed_page_is_read_on_and_told_of(named: Rig, unknown: str) -> None:
    r = named
    r.emulator.face.behaviour = Behaviour(unknown_name=unknown)
    r.page().screen_name = "novoe_imya"
    fresh = r.key(r.say(FIRE))
    report = r.collect()
    assert (report.exit_code, len(report.landed.alerts)) == (1, 1)
    assert fresh in r.stored() and "stranica1 больше никуда не ведёт" in report.coverages[0].problem
    r.options["pages"] = [{**NAMED[0], "id": "novoe_imya"}]
    assert (r.collect(full=True).exit_code, r.collect().landed.new) == (0, 0)


def test_a_short_name_that_another_page_took_is_not_followed(named: Rig) -> None:
    r = named
    r.page().screen_name = "novoe_imya"
    r.page(2).screen_name = "stranica1"
    fresh = r.key(r.say("Вопрос"))
    report = r.collect(full=True)
    assert (report.exit_code, report.landed.new, report.landed.deleted) == (1, 1, 0)
    assert "ведёт теперь на другую страницу (-2)" in report.coverages[0].problem
    assert fresh in r.stored() and {m["page"] for m in r.stored().values()} == {"-1"}


@pytest.mark.parametrize("code", [15, 18, 19, 30, 37, 203])
def test_a_page_that_was_closed_deleted_or_banned_loses_nothing(named: Rig, code: int) -> None:
    r = named
    before = r.stored()
    r.page().errors["page"] = code
    for full in (False, True, False):
        r.world.advance(3 * 86400)
        report = r.collect(full=full)
        assert (report.exit_code, [str(c.outcome) for c in report.coverages]) == (4, ["blocked"])
    assert r.stored() == before
    r.page().errors.clear()
    r.say("Снова открыто")
    assert r.collect().exit_code == 0
    assert len(r.stored()) == len(before) + 1


# --- the machine -----------------------------------------------------------------------------------------------------

UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]  # root may write anywhere otherwise


@pytest.mark.parametrize("made_before", [True, False])
def test_a_directory_that_may_not_be_written(tmp_path: Path, made_before: bool) -> None:
    """One sentence, whether the database is there already or not; nothing is asked of the network."""
    as_nobody = UNPRIVILEGED if os.getuid() == 0 else []
    if as_nobody and shutil.which("setpriv") is None:
        pytest.skip("setpriv is needed to try this as root")
    with tempfile.TemporaryDirectory(prefix="otklik-ro-") as name, Emulator(two_pages()) as emulator:
        folder = Path(name)
        if made_before:
            Store.open(f"sqlite:///{folder}/otklik.db").close()
        (folder / "config.yaml").write_text(conf(f"sqlite:///{folder}/otklik.db", emulator.url), encoding="utf-8")
        for path in (*folder.rglob("*"), folder):
            path.chmod(0o555 if path.is_dir() else 0o444)
        done = subprocess.run(
            [*as_nobody, *PROGRAM, "--config", f"{folder}/config.yaml", "collect"],
            capture_output=True,
            text=True,
            env=environment(),
            cwd="/",
            timeout=60,
            check=False,
        )
        folder.chmod(0o755)
        assert done.returncode != 0 and not done.stdout, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr
        assert "otklik.db" in done.stderr and "права" in done.stderr
        assert not emulator.calls
