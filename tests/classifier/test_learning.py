"""Learning from people: what is learnt and what measures, nothing forgotten, equal bytes, the gate."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import classifier
from classifier import learning, lessons, packed, refine, train
from classifier.contract import Text
from classifier.live import SHIPPED, Models
from classifier.measure import NONE, Labelled
from classifier.train import ANY, Example
from settings import ConfigError
from store.values import Correction

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BLANK = {
    "topic": None, "topic_group": None, "places": [], "urgency": None, "emergency": False, "emergency_kind": None,
    "reaction": "required",
}  # fmt: skip


def correction(n: int | str, text: str, **said) -> Correction:
    fields = set(said) | ({"topic", "topic_group"} if "topic_group" in said else set())
    return Correction(str(n), "vk", f"c{n}", text, "Страница", (), frozenset(fields), {**BLANK, **said}, "Первый", NOW)


def learnt(*texts: str, **said) -> list[Correction]:
    """Corrections of which none is kept to measure by."""
    found = [correction(f"{i}-{text[:5]}", text, **said) for i in range(40) for text in texts]
    return [c for c in found if not lessons.is_kept(c)][: len(texts)]


LIFT = ["лифт третий день стоит, с коляской пешком", "кабина лифта застряла между этажами, диспетчер молчит"]


@pytest.fixture(scope="module")
def held() -> list[Example]:
    return train.own_examples()[::12]


@pytest.fixture
def quick(held, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer examples to hold the model in place: the tests need not wait for all."""
    monkeypatch.setattr(train, "own_examples", lambda *a, _real=train.own_examples: _real(*a) if a else held)


@pytest.fixture
def small(quick, tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that came with a small model: it knows of gas and waste only."""
    train.save(*tiny, tmp_path / "shipped")
    monkeypatch.setattr("classifier.judge.MODEL", tmp_path / "shipped")
    kept = lessons.kept
    monkeypatch.setattr(lessons, "kept", lambda c=(): [k for k in kept(c) if k.group in ("gas", "waste", NONE)])


GAS = ["голубое топливо перекрыли без предупреждения", "конфорка еле горит, баллоны возим"]
GAS_SAID = {"topic": "gas_restoration", "topic_group": "gas"}


# --- what is learnt ---------------------------------------------------------------------------------------------------


def test_one_correction_in_five_is_kept_and_always_the_same_one():
    found = [lessons.is_kept(correction(n, "x")) for n in range(3000)]
    assert 0.17 < sum(found) / len(found) < 0.23
    assert found == [lessons.is_kept(replace(correction(n, "y"), by="Вторая", message_id="7")) for n in range(3000)]


def test_kept_corrections_are_never_learnt():
    found = [correction(n, f"текст номер {n}", reaction="none") for n in range(200)]
    taught = {e.text for e in lessons.examples(found, lambda _: "", lambda _: False)}
    measured = {t.text.text for t in lessons.kept(found) if t.text.id.isdigit()}
    assert taught and measured and not taught & measured
    assert taught | measured == {c.text for c in found}


def test_a_copy_of_a_text_that_measures_is_not_learnt():
    shipped = lessons.kept()
    text = shipped[0].text.text
    copies = [
        Example(text.upper() + " !!!", "gas", NONE, 1),
        Example("другое", "gas", NONE, 1),
        Example("👍👍👍", NONE, NONE, 0),
    ]
    assert [e.text for e in lessons.without(copies, shipped)] == ["другое"]


def test_no_text_that_measures_stands_among_the_examples():
    own = {lessons.same(e.text) for e in train.own_examples()}
    kept = lessons.kept()
    assert not own & {lessons.same(k.text.text) for k in kept}
    assert len(kept) > 150 and sum(bool(k.emergency) for k in kept) >= 30
    assert len({k.group for k in kept} - {None}) >= 27


@pytest.mark.parametrize(
    "said, expected",
    [
        ({"topic": "lift", "topic_group": "housing"}, ("housing", "lift", None, ANY)),
        ({"topic": None, "topic_group": "gas"}, ("gas", ANY, None, ANY)),
        ({"topic": None, "topic_group": None}, (NONE, NONE, None, ANY)),
        ({"reaction": "none"}, (ANY, ANY, 0, ANY)),
        ({"reaction": "required"}, (ANY, ANY, 1, ANY)),
        ({"urgency": "urgent"}, (ANY, ANY, 1, ANY)),
        ({"urgency": None}, (ANY, ANY, 0, ANY)),
        ({"emergency": True, "emergency_kind": "пожар"}, (ANY, ANY, 1, "пожар")),
        ({"emergency": True, "emergency_kind": "неведомое"}, (ANY, ANY, 1, "сель")),
        ({"emergency": True}, (ANY, ANY, 1, "сель")),
        ({"emergency": False}, (ANY, ANY, None, NONE)),
    ],
)
def test_only_what_the_person_said_is_a_lesson(said, expected):
    (found,) = lessons.examples(learnt("текст", **said), lambda _: "сель", lambda kind: kind == "пожар")
    assert (found.group, found.topic, found.required, found.alarm) == expected


@pytest.mark.parametrize("said", [{"reaction": "refuse"}, {"places": [{"name": "Кака"}]}])
def test_what_the_model_has_no_head_for_is_no_lesson(said):
    assert not lessons.examples(learnt("текст", **said), lambda _: "", lambda _: True)
    (measured,) = [lessons.labelled_correction(c) for c in learnt("текст", **said)]
    assert (measured.group, measured.emergency) == (None, None)
    assert (measured.reaction, measured.places) in (("refuse", None), (None, ("Кака",)))


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base():
    return packed.arrays(train.MODEL / "weights.npz"), packed.meta(train.MODEL / "meta.json")


def test_without_lessons_the_base_stays(base, held):
    arrays, meta = refine.refine(*base, [], held)
    assert meta["version"] == base[1]["version"] and arrays is base[0]


def test_lessons_are_learnt_and_nothing_is_forgotten(base, held, tmp_path: Path):
    strange = "грымзолап бурлямкает у подъезда"
    taught = [
        Example("грымзолап опять бурлямкает, уберите", "ecology", "air_pollution", 1, 3.0, NONE),
        Example("сколько можно, грымзолап бурлямкает ночами", "ecology", "air_pollution", 1, 3.0, NONE),
    ]
    train.save(*refine.refine(*base, taught, held), tmp_path / "new")
    before, after = classifier.load(), classifier.load(tmp_path / "new")
    assert before.assess(Text(strange)).topic_group != "ecology"
    said = after.assess(Text(strange))
    assert (said.topic_group, said.topic, said.reaction) == ("ecology", "air_pollution", "required")
    texts = [Text(e.text) for e in train.own_examples()[5::40]]
    same = [
        a.topic_group == b.topic_group for a, b in zip(before.assess_many(texts), after.assess_many(texts), strict=True)
    ]
    assert sum(same) >= 0.97 * len(same)
    alarms = [
        a.emergency == b.emergency for a, b in zip(before.assess_many(texts), after.assess_many(texts), strict=True)
    ]
    assert sum(alarms) >= 0.99 * len(alarms)


def test_equal_corrections_give_equal_weights_in_any_order(small, tmp_path: Path):
    """Sums of floats may differ in the last bit with where memory lies; a weight in 10,000 may round the other way."""
    found = learnt(*GAS, **GAS_SAID) + learnt("пахнет газом, но это не авария", emergency=False)
    for name, order in (("a", found), ("b", found[::-1])):
        train.save(*learning.make(order), tmp_path / name)
    one, other = (packed.arrays(tmp_path / name / "weights.npz") for name in "ab")
    assert one.keys() == other.keys()
    for name, values in one.items():
        apart = np.abs(values.astype(np.float64) - other[name].astype(np.float64))
        if values.dtype == np.int8:
            assert apart.max() <= 1 and (apart > 0).mean() <= 1e-4, name
        else:
            assert apart.max() <= 1e-4 * max(1.0, np.abs(values).max()), name
    data = packed.meta(tmp_path / "a" / "meta.json")["data"]
    assert data["corrections"] == 3 and data["base"] == packed.meta(tmp_path / "shipped/meta.json")["version"]


def test_a_better_model_goes_live(quick, tmp_path: Path):
    models = Models(tmp_path / "models")
    done = learning.learn(models, learnt(*LIFT, topic="lift", topic_group="housing"), by="Первый")
    assert done.live and not done.same and not done.comparison.against
    assert models.current() == done.version
    assert models.judge().assess(Text(LIFT[0])).topic == "lift"
    trained, live = models.journal()
    assert (trained["what"], trained["by"], live["what"], live["forced"]) == ("trained", "Первый", "live", False)
    listed = next(v for v in models.list() if v.runs)
    assert listed.figures["n"] == len(lessons.kept()) and listed.made["corrections"] == 2


def test_training_again_changes_nothing(small, village: Path, tmp_path: Path):
    models = Models(tmp_path / "models")
    first = learning.learn(models, learnt(*GAS, **GAS_SAID), gazetteer=village)
    again = learning.learn(models, learnt(*GAS, **GAS_SAID), gazetteer=village)
    assert first.live and again.same and not again.live and len(models.list()) == 2
    back = learning.learn(models, [], gazetteer=village)  # nobody corrects any more: the program's own model again
    assert back.version == SHIPPED and (back.live or back.comparison.against)


def nonsense() -> list[Correction]:
    """Somebody calls every question about gas and waste idle talk."""
    texts = [t.text.text for t in lessons.kept() if t.group in ("gas", "waste")]
    said = {"topic": None, "topic_group": None, "reaction": "none"}
    return [c for text in texts for c in learnt(f"{text} вот", **said)]


def test_a_worse_model_waits_for_force(small, village: Path, tmp_path: Path):
    models = Models(tmp_path / "models")
    done = learning.learn(models, nonsense(), gazetteer=village)
    assert not done.live and models.current() == SHIPPED
    assert "F1 групп тем ниже" in "; ".join(done.comparison.against)
    assert done.version in [v.name for v in models.list()]
    forced = learning.learn(models, nonsense(), force=True, gazetteer=village)
    assert forced.live and forced.version == done.version == models.current()
    assert models.journal()[-1]["forced"] is True


def test_a_damaged_running_model_does_not_hold_up_training(small, village: Path, tmp_path: Path):
    models = Models(tmp_path / "models")
    models.folder.mkdir()
    (models.folder / "current").write_text("0123456789")
    assert learning.learn(models, learnt(*GAS, **GAS_SAID), gazetteer=village).live
    assert models.judge(village).model


def test_shared_data_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(ConfigError, match="--shared"):
        learning.make([], shared=tmp_path)


def test_kinds_of_emergencies_that_nobody_named_are_guessed_by_the_programs_model(quick):
    (found,) = learning.lessons_of(learnt("полыхает склад за рынком, огонь до неба", emergency=True), None)
    assert found.alarm == "пожар"


def test_labelled_examples_say_what_the_file_says():
    kept = lessons.kept()
    fire = next(k for k in kept if k.text.text.startswith("Хлев у соседей"))
    assert isinstance(fire, Labelled) and (fire.emergency, fire.kind, fire.group) == (True, "пожар", "safety")
    price = next(k for k in kept if k.text.text.startswith("Цены на бензин"))
    assert (price.emergency, price.group, price.reaction) == (False, None, None)
