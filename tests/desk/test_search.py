"""Finding by a few letters."""

from __future__ import annotations

import pytest

from classifier.names import titles
from classifier.topics import read_taxonomy
from desk.search import Choice, find, same_key


def topics():
    names, groups, group_of = read_taxonomy()
    return [Choice((t, group_of[t]), names[t], groups[group_of[t]], t) for t in names]


TOPICS = topics()


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("фонар", "Не горят фонари"), ("ФОНАРИ", "Не горят фонари"), ("холодная вода", "Нет холодной воды"),
        ("хлодной воды", "Нет холодной воды"), ("vecjh", "Вывоз мусора"), ("ямы дорога", "Ямы на дороге"),
        ("гололед", "Снег и гололёд на дорогах"), ("street_lighting", None), ("фонаhb", "Не горят фонари"),
    ],
)  # fmt: skip
def test_what_is_meant_comes_first(typed, first):
    found = [c.title for c in find(typed, TOPICS)]
    assert first is None or (found and found[0] == first), found


def test_nothing_typed_shows_all_in_order_and_nonsense_nothing():
    assert find("", TOPICS, 3) == TOPICS[:3] and find("щщщщщ", TOPICS) == [] and find("-- !", TOPICS, 1) == TOPICS[:1]


def test_every_topic_is_found_by_its_own_name_and_id():
    assert all(find(c.title, TOPICS, 1) == [c] for c in TOPICS[::7])
    assert {c.value[0] for c in TOPICS} <= set(titles())


def test_a_person_is_found_and_stands_for_the_division():
    choices = [Choice("zhkh", "Отдел ЖКХ", "zhkh"), Choice("zhkh", "Петров П. П.", "Отдел ЖКХ", "petrov")]
    assert [c.title for c in find("петр", choices)] == ["Петров П. П."]
    assert [c.title for c in find("petrov", choices)] == ["Петров П. П."]
    assert find("жкх", choices)[0].title == "Отдел ЖКХ"


def test_a_key_is_the_same_in_both_layouts():
    assert [same_key(c) for c in "еЕйt1?ю"] == ["t", "T", "q", "t", "1", "?", "."]
