"""Obscenities however disguised; innocent words left alone; what is no matter of the page."""

import pytest

from classifier.contract import Text

DISGUISED = [
    "б л я", "х*й", "хyй", "x у й", "п и з д е ц", "пиzдец", "пи3дец", "бл@дь", "сууука", "еб@ть", "xуйня",
    "н@хуй", "пох*й",
    "бл*ть", "ху\u200bй", "х.у.й", "йобаный", "пздц", "охуели", "сцуко", "бляяяять", "blyat", "suka",
    "е6ать", "п.и.з.д.а",
    "г0вно", "долбо*б",
]  # fmt: skip
INNOCENT = [
    "потребитель", "рубля", "хулиган", "скипидар", "мандарин", "оскорблять", "команда", "небось", "сабля", "застрахуй",
    "психушка", "употреблять", "ребус", "колебания", "хлебный", "служебный", "лебедь", "мебель", "гребля",
    "корабля", "дебет",
    "сукно", "Херсон", "херувим", "мандат", "хутор", "барсук", "ссора", "касса", "дерматолог", "похудеть", "педикюр",
    "вебинар", "педиатр", "стебель", "погреб", "художник", "хуже", "глухой", "черт", "блин", "бляха муха",
]  # fmt: skip


@pytest.mark.parametrize("word", DISGUISED)
def test_disguised_obscenities(judge, word):
    assert "obscene" in judge.assess(Text(f"{word} когда дорогу сделаете")).conduct


@pytest.mark.parametrize("word", INNOCENT)
def test_innocent_words(judge, word):
    assert "obscene" not in judge.assess(Text(f"{word} на дороге")).conduct


@pytest.mark.parametrize(
    "comment",
    [
        "перешли это сообщение 10 друзьям и будет счастье",
        "Разошлите всем контактам, иначе ватсап заблокируют аккаунт",
        "Трамп опять обещал мир, посмотрим",
    ],
)
def test_no_matter_of_the_page(judge, comment):
    said = judge.assess(Text(comment))
    assert "off_topic" in said.conduct and said.reaction == "refuse"
    assert any("не по теме" in reason for reason in said.reasons)


@pytest.mark.parametrize(
    "comment",
    ["Путину напишем, раз дорогу в Хнов не делаете", "перешлите заявление в район", "отправьте скорую в Хкем срочно"],
)
def test_a_matter_of_the_page_is_not_refused(judge, comment):
    said = judge.assess(Text(comment))
    assert "off_topic" not in said.conduct and said.reaction != "refuse"
