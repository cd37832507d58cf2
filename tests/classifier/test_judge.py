"""The judge as other rooms see it: conduct, reaction, hard input, explanation, batches."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import classifier
from classifier import conduct, text
from classifier.contract import Judge, Text
from settings import ConfigError
from store.values import Assessment


def test_satisfies_the_contract(judge):
    typed: Judge = judge
    said = typed.assess(Text("Из Хрюга мусор не вывозили две недели", "1"))
    assert isinstance(said, Assessment) and said.model == judge.model
    assert (said.topic_group, said.topic) == ("waste", "waste_collection")
    assert (said.urgency, said.reaction) == ("prompt", "required")
    json.dumps(said.as_dict(), ensure_ascii=False)


@pytest.mark.parametrize(
    "word", ["х*й", "п***ц", "бл*", "б л я", "х у й", "xуй", "пиииздец", "blyad", "н@хуй", "ох/уеть".replace("/", "")]
)
def test_disguised_obscenities(judge, word):
    assert "obscene" in judge.assess(Text(f"да {word} вы там")).conduct


@pytest.mark.parametrize(
    "comment",
    [
        "рубля не хватает на хлеб",
        "страхуйте дома, не психуй",
        "ребенок учебник потерял",
        "тебе и себе не хуже",
        "мандарины и мандаты",
        "корабля не видно, сабля в музее",
        "Херсон, хутор, худой, похудеть",
        "употреблять оскорбления нехорошо",
        "и я с ней в городе",
        "дом 5 * 10 = 50",
    ],
)
def test_innocent_words(judge, comment):
    assert "obscene" not in judge.assess(Text(comment)).conduct


@pytest.mark.parametrize(
    "comment, flag",
    [
        ("Вы там все воры и бездельники", "insult"),
        ("Кредит под залог, одобрение 100%, пиши в лс", "spam"),
        ("найду тебя и голову оторву, пожалеешь", "threat"),
        ("знаю где ты живешь, береги семью", "threat"),
    ],
)
def test_grounds_to_refuse(judge, comment, flag):
    said = judge.assess(Text(comment))
    assert flag in said.conduct and said.reaction == "refuse" and said.topic is None and said.urgency is None


def test_rude_words_do_not_hide_a_request(judge):
    said = judge.assess(Text("какого хрена, сволочи, воды нет третий день, почините трубу"))
    assert said.reaction == "required" and said.topic_group == "housing"


@pytest.mark.parametrize(
    "comment", ["ок понял", "С днем рождения наш район!!!", "Соболезную родным", "😂😂😂", "спасибо врачам за операцию"]
)
def test_no_reaction_needed(judge, comment):
    said = judge.assess(Text(comment))
    assert (said.reaction, said.urgency) == ("none", None)


@pytest.mark.parametrize("comment", ["Чи хуьре яд авач, вуч ийида", "Сагърай чан стхаяр, квез вири хъсан хьуй"])
def test_lezgian_is_kept_for_a_person(judge, comment):
    said = judge.assess(Text(comment))
    assert said.reaction == "required" and any("другой язык" in r for r in said.reasons)


def test_a_photo_without_words_is_worth_a_look(judge):
    assert judge.assess(Text("", attachments=("photo",))).reaction == "required"
    assert judge.assess(Text("")).reaction == "none"


@pytest.mark.parametrize(
    "a, b",
    [
        ("нет воды в Хкеме", "Н\u200bет во\u200bды в Хк\u00adеме"),
        ("нет воды в Хкеме", "нет вoды в Хкeмe"),  # Latin o and e
        ("нет воды в Хкеме", "<p>нет&nbsp;воды <b>в</b> Хкеме</p>"),
    ],
)
def test_disguises_do_not_change_the_judgement(judge, a, b):
    x, y = judge.assess(Text(a)), judge.assess(Text(b))
    assert (x.topic, x.reaction, [p.name for p in x.places]) == (y.topic, y.reaction, [p.name for p in y.places])


HARD = [
    "",
    " ",
    "\0\x1b[31m\u202e",
    "а" * 100_000,
    "горит дом " * 10_000,
    "слово" + "-слово" * 5000,
    "\ud800 одинокий суррогат",
    "🔥" * 3000,
    "<" * 5000 + "&" * 5000,
    "&#x110000; &#55555555; &bogus; &lt;b&gt;",
    "ﬀ ﷺ ㍿ 𝕡𝕠𝕫𝕙𝕒𝕣 ｐｏｚｈａｒ",
    "и\u0306" * 2000,
    "* " * 4000,
    "а б в " * 3000,
    "1" * 5000,
    "ул. " * 3000,
    "школа №" * 2000,
    "Ахты-" * 3000,
    "İSTANBUL ß ŉ ǰ",
    "𗀀 ᚠᚢ 漢字 عربي ქართული հայերեն",
]


@pytest.mark.parametrize("raw", HARD, ids=range(len(HARD)))
def test_hard_input_gets_an_answer(judge, raw):
    said = judge.assess(Text(raw))
    for place in said.places:
        start, end = place.span
        assert 0 <= start < end <= len(raw)
    judge.explain(Text(raw))
    assert judge.assess_many([Text(raw), Text("нет воды")])[0] == said


WORDS = "не горит дом Луткун в Каке ул. школа №3 вода х*й 😂 ! ? . <b> &amp; газом воняет pozhar с сель 1 ё Ахты-Хнов"
WORDS = [*WORDS.split(), "\u200b", "И\u0306"]
ALPHABET = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.sampled_from(WORDS),
        max_size=30,
    ).map(" ".join),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ALPHABET, max_size=5))
def test_any_texts_alone_or_together_get_the_same_answer(judge, raws):
    items = [Text(r) for r in raws]
    together = judge.assess_many(items)
    assert None not in together
    for item, said in zip(items, together, strict=True):
        alone = judge.assess(item)
        assert alone.emergency == said.emergency and alone.topic == said.topic and alone.places == said.places
        for place in said.places:
            assert place.span is not None and 0 <= place.span[0] < place.span[1] <= len(item.text)


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_clean_text_keeps_its_way_back(raw):
    clean, index = text.clean(raw)
    if index is None:
        assert len(clean) == len(raw)
    else:
        assert len(index) == len(clean) + 1 and index == sorted(index)
        assert not clean or index[-1] <= len(raw)


def test_explain_shows_lemmas_rules_topics(judge):
    said = judge.explain(Text("Баня загорелась в Луткуне"))
    assert [t["lemmas"][0] for t in said["tokens"]] == ["баня", "загореться", "в", "луткун"]
    (rule,) = [r for r in said["rules"] if r["name"] == "пожар"][:1]
    assert {"баня", "загорелась"} <= set(rule["words"])
    assert len(said["topics"]["top"]) == 3 and said["topics"]["weights"]
    assert said["assessment"]["emergency"] is True
    json.dumps(said, ensure_ascii=False)


def test_a_broken_model_is_one_sentence(tmp_path):
    (tmp_path / "weights.npz").write_bytes(b"PK\x03\x04 broken")
    (tmp_path / "meta.json").write_text("{}")
    with pytest.raises(ConfigError, match="не читается модель"):
        classifier.load(tmp_path)


def test_a_text_that_breaks_the_judge_is_alone(judge, monkeypatch):
    real = judge._one

    def breaks(item, *rest):
        if item.text == "bad":
            raise RuntimeError("broken")
        return real(item, *rest)

    monkeypatch.setattr(judge, "_one", breaks)
    said = judge.assess_many([Text("нет воды"), Text("bad"), Text("нет света")])
    assert [a is None for a in said] == [False, True, False]


def test_the_cache_is_bounded(judge, monkeypatch):
    monkeypatch.setattr("classifier.judge.MAX_FORMS", 50)
    for n in range(200):
        judge.assess(Text(f"слово{n} вода"))
        assert len(judge._lexicon) < 60
    assert judge.assess(Text("нет воды в Хкеме с утра")).topic == "cold_water_missing"


def test_plain_obscenities():
    assert conduct.obscene("хуйня") and conduct.obscene("заебали") and not conduct.obscene("себе")
