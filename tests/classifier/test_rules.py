"""The rule language."""

import pytest

from classifier.rules import RuleBook
from settings import ConfigError


def book(text: str) -> RuleBook:
    return RuleBook([("t.rules", text)])


def holds(rules: RuleBook, words: str) -> bool:
    masks = [rules.mask(w, [w], ["END"] if w == "." else []) for w in words.split()]
    total = 0
    for m in masks:
        total |= m
    return bool(rules.matches("x", masks, total))


@pytest.mark.parametrize(
    "rule, yes, no",
    [
        ("дом гореть", "дом сильно гореть", "гореть дом"),
        ("дом + гореть", "дом гореть", "дом сильно гореть"),
        ("дом ~2 гореть", "гореть а дом", "гореть а б дом"),
        ("дом ~ гореть", "дом гореть", "дом . гореть"),
        ("дом & гореть", "дом . гореть", "дом"),
        ("гореть !свет", "гореть . свет", "гореть свет"),
        ("гореть !!свет", "гореть", "гореть . свет"),
        ("(дом|сарай) @burn", "сарай пылать", "лампа пылать"),
        ("пожар*", "пожарище", "пож"),
        ("=дом", "дом", "дома"),
    ],
)
def test_terms_and_windows(rule, yes, no):
    rules = book(f"@burn = гореть пылать\n[x имя a=b]\n{rule}\n")
    assert holds(rules, yes) and not holds(rules, no)
    assert rules.sections[0].name == "имя" and rules.sections[0].settings == {"a": "b"}


@pytest.mark.parametrize("text", ["дом\n", "[x y\nдом", "[x y]\n@нет\n", "@a = @b\n[x y]\n@a\n", "[x y]\n!дом\n"])
def test_errors_name_the_line(text):
    with pytest.raises(ConfigError, match=r"t\.rules:\d"):
        book(text)


def test_the_shipped_rules_load(judge):
    sorts = {s.sort for s in judge._book.sections}
    assert sorts == {"emergency", "guard", "conduct", "reaction"}
