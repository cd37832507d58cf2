"""Places: every settlement in every case form, typing errors, translit, namesakes, streets, another district."""

import pytest

import classifier
from classifier.contract import Text
from classifier.judge import GAZETTEER
from classifier.places import Gazetteer, case_forms
from settings import ConfigError

HOME = [e for e in Gazetteer.load(GAZETTEER).entries if e.home and e.kind == "село"]


def names(judge, comment, **more):
    return [p.name for p in judge.assess(Text(comment, **more)).places]


@pytest.mark.parametrize("entry", HOME, ids=lambda e: e.name)
def test_every_case_form_of_every_village(judge, entry):
    for form in sorted(case_forms(entry.name.split()[-1])):
        said = " ".join([*(w.lower() for w in entry.name.split()[:-1]), form])
        if " " in entry.name:
            continue  # two words agree with each other; see test_two_word_names
        # In lower case, after a preposition: the hardest way people write it.
        assert entry.name in names(judge, f"нет света в {said} с утра"), form
        assert entry.name in names(judge, f"Когда сделают дорогу до {said.capitalize()}?"), form


@pytest.mark.parametrize("said", ["Новый Усур", "Нового Усура", "новом усуре", "Ново-Усур", "ново-усуре"])
def test_two_word_names(judge, said):
    assert names(judge, f"нет воды, {said}") == ["Новый Усур"]


@pytest.mark.parametrize(
    "comment, place",
    [
        ("в лудкуне нет газа", "Луткун"),
        ("свет мигает, смугулл", "Смугул"),
        ("дорога до мискинжи разбита", "Мискинджа"),
        ("v Zryhe net sveta", "Зрых"),
        ("v Lutkune net vody", "Луткун"),
        ("в Кacумкенте рынок", "Касумкент"),  # Latin a and c
        ("луткунцы без воды", "Луткун"),
        ("с. Хнов когда газ", "Хнов"),
        ("фий без дороги", "Фий"),
        ("педиатра в ахтах нет", "Ахты"),
    ],
)
def test_as_people_write(judge, comment, place):
    assert place in names(judge, comment)


@pytest.mark.parametrize(
    "comment",
    [
        "какой ужас",
        "фу кака",
        "на какой улице",
        "халва вкусная",
        "маза есть?",
        "это не смазано",
        "хрюкает свинья",
        "дружба крепкая",
    ],
)
def test_ordinary_words_are_no_places(judge, comment):
    assert names(judge, comment) == []


def test_namesakes_by_context(judge):
    (river,) = judge.assess(Text("вода в Самуре поднялась")).places
    (village,) = judge.assess(Text("в селе Самур нет воды")).places
    assert (river.kind, village.kind) == ("река", "село")
    assert village.parents == ("Магарамкентский район",)


def test_longest_name_wins(judge):
    assert names(judge, "дыра в асфальте на трассе Ахты-Хнов") == ["Ахты–Хнов"]
    assert names(judge, "хновская дорога вся в ямах") == ["Ахты–Хнов"]
    assert names(judge, "газом воняет в школе №3") == ["Ахтынская СОШ №3"]
    assert names(judge, "в школе номер 3 холодно") == ["Ахтынская СОШ №3"]
    assert names(judge, "Ахтынский район самый красивый") == ["Ахтынский район"]


def test_the_only_school_of_a_village_is_meant(judge):
    assert names(judge, "крыша спортзала в Хнове протекает") == ["Хнов", "Хновская СОШ"]


def test_spans_point_into_the_raw_text(judge):
    comment = "<b>Дорога</b> на\u200b Хрю\u200bг &amp; в Луткуне"
    for place in judge.assess(Text(comment)).places:
        start, end = place.span
        assert comment[start:end].replace("\u200b", "") in ("Хрюг", "Луткуне")


@pytest.mark.parametrize(
    "comment, street",
    [
        ("Фонари на улице Ярагского не работают", "улица Ярагского"),
        ("яма на ул. Кирова 15", "улица Кирова"),
        ("ул ленина без света", "улица Ленина"),
    ],
)
def test_streets(judge, comment, street):
    (place,) = [p for p in judge.assess(Text(comment)).places if p.kind == "улица"]
    assert place.name == street


@pytest.mark.parametrize("comment", ["на нашей улице нет фонарей", "улица вся в грязи", "по улице бегают собаки"])
def test_a_street_without_a_name_is_none(judge, comment):
    assert names(judge, comment) == []


def test_another_district_by_configuration_only(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text(
        "name,kind,district,parent,oktmo,lat,lon,population,aliases,source\n"
        "Кыра,село,Кыринский район,,,49.57,111.97,4000,,hand\n"
        "Верхний Ульхун,село,Кыринский район,,,49.7,112.6,700,Ульхун,hand\n",
        encoding="utf-8",
    )
    judge = classifier.load(gazetteer=path)
    assert names(judge, "в Верхнем Ульхуне нет воды") == ["Верхний Ульхун"]
    assert names(judge, "кыринцы без света") == ["Кыра"]
    assert names(judge, "в Луткуне нет света") == []


@pytest.mark.parametrize("content", ["", "x,y\n1,2\n", "name,kind\n"])
def test_a_bad_gazetteer_is_one_sentence(tmp_path, content):
    path = tmp_path / "g.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="справочник"):
        classifier.load(gazetteer=path)


def test_a_missing_gazetteer_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="не читается"):
        classifier.load(gazetteer=tmp_path / "none.csv")
