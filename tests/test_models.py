"""The model's loop at the command line: correct, train, list, measure, roll back, judge anew; on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import classifier
from classifier import lessons, train
from classifier.contract import Text
from classifier.reassess import reassess
from store import Store
from store.values import Assessment, Judged, Landing, Reassessing
from tests.desk.receivers import receiver
from tests.rig import Said, otklik
from tests.store.build import PAGE, comment

LIFT = [f"лифт опять не едет, подъезд {n}, почините наконец" for n in range(12)]
FIRE = "горит сарай в Хрюге, огонь идёт к дому!"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer examples to hold the model in place, fewer texts to measure by: the tests need not wait for all."""
    held, kept = train.own_examples()[::12], lessons.kept
    monkeypatch.setattr(train, "own_examples", lambda *a, _real=train.own_examples: _real(*a) if a else held)
    monkeypatch.setattr(lessons, "kept", lambda c=(): kept()[::6] + kept(c)[len(kept()) :])


class Site:
    """An installation: a folder with a configuration, a database, a few messages."""

    def __init__(self, folder: Path, url: str, phone: str) -> None:
        self.url = url
        self.config = folder / "config.yaml"
        self.models = folder / "models"
        self.config.write_text(
            f'store: {{url: "{url}"}}\nalerts: {{head: ["{phone}"], timeout: 5s}}\n', encoding="utf-8"
        )

    def run(self, *argv: str) -> Said:
        return otklik("--config", str(self.config), *argv)

    def json(self, *argv: str) -> Any:
        said = self.run(*argv, "--json")
        assert said.code == 0, said
        return json.loads(said.out)

    def land(self, texts: list[str], assessment: Assessment, at: datetime) -> None:
        with Store.open(self.url) as store:
            store.see_page(PAGE, at - timedelta(days=1))
            found = [Judged(comment(n, t, published_at=at), assessment, {}) for n, t in enumerate(texts)]
            store.land(Landing(PAGE, found, server_time=at), at)


@pytest.fixture
def small_site(sqlite_url: str, tmp_path: Path) -> Site:
    return Site(tmp_path, sqlite_url, "json://127.0.0.1:1")


@pytest.fixture
def site(store_url: str, tmp_path: Path) -> Iterator[Site]:
    with receiver() as phone:
        found = Site(tmp_path, store_url, phone.url)
        found.phone = phone
        yield found


def test_the_loop_from_a_correction_to_a_model_that_runs(small_site: Site) -> None:
    site = small_site
    now = datetime.now(UTC) - timedelta(hours=1)
    site.land(LIFT, Assessment(topic_group="gas", reaction="required", model="otklik-1.old"), now)
    before = classifier.load().model
    (only,) = site.json("model")
    assert (only["version"], only["runs"]) == ("shipped", True)
    for message in site.json("queue"):
        done = site.run("queue", "correct", message["id"], "--topic", "lift", "--by", "Первый")
        assert done.code == 0
    trained = site.json("model", "train", "--by", "Вторая")
    assert trained["live"] and trained["data"]["corrections"] + trained["figures"]["n"] > 12
    (_, mine) = site.json("model")
    assert mine["runs"] and mine["version"] == trained["version"] and mine["at"]
    said = site.json("classify", LIFT[0])
    assert said["topic"] == "lift" and said["model"].endswith(trained["version"]) != before.endswith(trained["version"])
    again = site.run("model", "train")
    assert again.code == 0 and "уже работает" in again.err
    html = site.config.parent / "report.html"
    assert site.run("model", "evaluate", "shipped", "--html", str(html)).code == 0
    assert "Сравнение с работающей" in html.read_text(encoding="utf-8")
    figures = site.json("model", "evaluate")
    assert figures["model"] == said["model"]
    with Store.open(site.url) as store:
        kept = sum(lessons.is_kept(c) for c in store.corrections())
    assert 0 < kept < 12 and figures["sets"][0]["n"] == len(lessons.kept()) + kept
    listing = site.run("model").out
    assert "работает" in listing and trained["version"] in listing and "из поставки" in listing
    assert site.run("model", "rollback").code == 0
    assert site.json("classify", LIFT[0])["model"] == before
    assert site.run("model", "rollback", trained["version"][:5]).code == 0
    assert site.json("classify", LIFT[0])["model"] == said["model"]


def test_messages_are_judged_anew_and_a_persons_word_stays(site: Site) -> None:
    now = datetime.now(UTC) - timedelta(hours=2)
    old = Assessment(topic="lift", topic_group="housing", reaction="none", model="otklik-1.old")
    site.land([FIRE, "в селе нет воды второй день", "спасибо всем", "Когда починят фонарь?"], old, now)
    at = {m["text"]: m["id"] for m in site.json("queue")}
    lamp = at["Когда починят фонарь?"]
    assert site.run("queue", "correct", lamp, "--topic", "lamps_broken", "--no-emergency").code == 0
    dry = site.json("model", "reassess", "--dry-run")
    assert dry["judged"] == 4 and dry["changed"] == 0 and dry["changes"]["emergency"] == 1
    assert {m["model"] for m in site.json("queue")} == {"otklik-1.old"}
    said = site.run("model", "reassess")
    assert said.code == 0 and "новых ЧП 1" in said.err and "тревог: 1, отправлено 1 из 1" in said.err
    assert len(site.phone.heard) == 1
    after = {m["text"]: m for m in site.json("queue")}
    assert after[FIRE]["emergency"] and after["в селе нет воды второй день"]["topic"] == "cold_water_missing"
    assert after["Когда починят фонарь?"]["topic"] == "lamps_broken"
    assert after["в селе нет воды второй день"]["deadlines"]["route"] > now.isoformat()[:19]
    done = site.json("model", "reassess")
    assert (done["judged"], done["changed"], done["alerts"]) == (0, 0, 0)
    everything = site.json("model", "reassess", "--all")
    assert (everything["judged"], everything["changed"]) == (4, 0)
    assert len(site.phone.heard) == 1


def test_old_emergencies_raise_no_alert(site: Site) -> None:
    now = datetime.now(UTC)
    site.land([FIRE], Assessment(reaction="none", model="otklik-1.old"), now - timedelta(hours=30))
    done = site.json("model", "reassess", "--since", (now - timedelta(hours=29)).isoformat())
    assert done["total"] == 0
    done = site.json("model", "reassess")
    assert (done["emergencies"], done["alerts"]) == (1, 0) and site.json("queue")[0]["emergency"]
    assert site.phone.heard == []


class Fake:
    """A judge of one verdict that dies at a text."""

    model = "otklik-1.new"

    def __init__(self, dies_at: str = "") -> None:
        self.dies_at = dies_at
        self.seen: list[str] = []

    def assess_many(self, texts: list[Text]) -> list[Assessment | None]:
        if any(t.text == self.dies_at for t in texts):
            raise KeyboardInterrupt
        self.seen += [t.text for t in texts]
        return [None if t.text == "5" else Assessment(topic_group="gas", model=self.model) for t in texts]


def test_a_killed_run_goes_on_where_it_was(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier.reassess.BATCH", 3)
    now = datetime.now(UTC) - timedelta(hours=1)
    site.land([str(n) for n in range(10)], Assessment(model="otklik-1.old"), now)
    run = Reassessing(Fake.model, again=True)

    def go(store: Store, judge: Fake, stop: Any = lambda: False) -> Any:
        options = {"alert_within": timedelta(hours=24), "stop": stop}
        return reassess(store, judge, run, lambda _a, _t: {}, lambda: datetime.now(UTC), **options)

    with Store.open(site.url) as store:
        first = Fake("7")
        with pytest.raises(KeyboardInterrupt):
            go(store, first)
        assert first.seen == ["0", "1", "2", "3", "4", "5"]
        half = Fake()
        stopped = go(store, half, stop=lambda: bool(half.seen))
        assert stopped.interrupted and stopped.continued and half.seen == ["6", "7", "8"]
        last = Fake()
        done = go(store, last)
        assert last.seen == ["9"] and done.continued and not done.interrupted
        whole = Fake()
        done = go(store, whole)
        assert len(whole.seen) == 10 and done.failed == 1 and done.changed == 0
        assert store.last_seq() == 10 + 9 and not done.continued


def test_two_do_not_judge_anew_at_once(site: Site) -> None:
    with Store.open(site.url) as store:
        with store.try_lock("reassess"):
            said = site.run("model", "reassess")
    assert said.code == 6 and "другая команда" in said.err


def test_a_model_into_a_folder_needs_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = otklik("model", "train", "--no-corrections", "--out", "mine")
    assert said.code == 0, said.err
    assert (tmp_path / "mine" / "weights.npz").exists()
    (tmp_path / "config.yaml").write_text('store: {url: "sqlite:///x.db"}\nclassifier: {model: mine}\n')
    assert json.loads(otklik("classify", "нет воды", "--json").out)["topic"] == "cold_water_missing"
    pinned = otklik("model", "rollback")
    assert pinned.code == 2 and "classifier.model" in pinned.err
    assert "mine" in otklik("model").err


@pytest.mark.parametrize(
    "argv, told",
    [
        (("model", "evaluate", "zzz"), "такой модели нет"),
        (("model", "rollback", "zzz"), "такой модели нет"),
        (("model", "rollback"), "откатывать не к чему"),
        (("model", "train", "--shared", "/nonexistent"), "--shared"),
        (("model", "reassess", "--since", "вчера"), "не дата"),
        (("model", "reassess", "--alert-within", "x"), "длительность"),
        (("model", "train", "--no-corrections", "--out", "/proc/x"), "не записать"),
        (("model", "evaluate", "--html", "/nonexistent/x.html"), "не записать"),
        (("model", "nothing"), "нет такой команды"),
    ],
)
def test_bad_arguments_get_one_sentence(small_site: Site, argv: tuple[str, ...], told: str) -> None:
    said = small_site.run(*argv)
    assert said.code == 2 and told in said.err and said.err.count("\n") == 1, said


def test_a_correction_may_name_the_kind_of_emergency(small_site: Site) -> None:
    small_site.land(["сарай у моста, огонь"], Assessment(model="otklik-1.old"), datetime.now(UTC) - timedelta(hours=1))
    (message,) = small_site.json("queue")
    correct = ("queue", "correct", message["id"])
    said = small_site.run(*correct, "--kind", "пажар")
    assert said.code == 2 and "пожар" in said.err and said.err.count("\n") == 1
    said = small_site.run(*correct, "--kind", "пожар", "--no-emergency")
    assert said.code == 2 and "--no-emergency" in said.err
    assert small_site.run(*correct, "--kind", "Пожар").code == 0
    (after,) = small_site.json("queue")
    assert (after["emergency"], after["emergency_kind"]) == (True, "пожар")
    with Store.open(small_site.url) as store:
        (found,) = store.corrections()
    lesson = lessons.examples([found], lambda _: "", lambda kind: kind == "пожар")
    assert lessons.is_kept(found) or lesson[0].alarm == "пожар"
    assert small_site.run(*correct, "--no-emergency").code == 0
