"""Personal data of the resident must not stand under a post for everybody to read (152-ФЗ, article 7; and clause 8).

Numbers that can only be a person's own (passport, СНИЛС, ИНН of a person, a bank card), a flat, what the resident wrote
of himself, a full name. The organisation's own telephones and addresses are answers, not personal data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from desk.checks import ERROR, NOTE, WARNING, Draft, Finding
from desk.lemmas import is_first_name, is_patronymic, lemma

_PHONE = re.compile(r"(?<![\d-])(?:\+?7|8)?[\s(-]{0,2}\d{3,5}[\s)-]{0,2}\d{1,3}[\s-]?\d{2}[\s-]?\d{2}(?![\d-])")
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_PRIVATE_MAIL = (
    "mail.ru",
    "bk.ru",
    "inbox.ru",
    "list.ru",
    "yandex.ru",
    "ya.ru",
    "gmail.com",
    "rambler.ru",
    "icloud.com",
)
_PASSPORT = re.compile(
    r"паспорт[а-я]*[^\d]{0,30}\d{2}\s?\d{2}\s?№?\s?\d{6}|(?<!\d)\d{2}\s\d{2}\s№?\s?\d{6}(?!\d)", re.IGNORECASE
)
_SNILS = re.compile(r"(?<!\d)(\d{3})-?(\d{3})-?(\d{3})[\s-](\d{2})(?!\d)")
_INN = re.compile(r"(?<!\d)\d{12}(?!\d)")
_CARD = re.compile(r"(?<!\d)(?:\d{4}[\s-]?){3}\d{4}(?!\d)")
_FLAT = re.compile(r"\b(?:кв\.?|квартир[а-я]*)\s*№?\s*\d{1,4}\b", re.IGNORECASE)
_NAME = re.compile(r"[А-ЯЁ][а-яё]+(?:-[А-ЯЁ][а-яё]+)?")


def check(draft: Draft) -> Iterator[Finding]:
    text = draft.text
    for pattern, what, sound in (
        (_PASSPORT, "паспорта", lambda m: True),
        (_SNILS, "СНИЛС", lambda m: _is_snils("".join(m.groups()))),
        (_INN, "ИНН человека", lambda m: _is_inn(m.group())),
        (_CARD, "банковской карты", lambda m: _is_card(re.sub(r"\D", "", m.group()))),
    ):
        if any(sound(m) for m in pattern.finditer(text)):
            yield Finding(ERROR, "personal", f"в ответе номер {what}; уберите персональные данные")
    if _FLAT.search(text):
        yield Finding(ERROR, "personal", "в ответе номер квартиры; уберите домашний адрес")
    yield from _contacts(draft)
    yield from _names(draft)
    if draft.alike and draft.kind in ("final", "interim", "redirect") and speaks_to(text, draft.author):
        yield Finding(
            NOTE,
            "personal",
            f"о том же спросили ещё {draft.alike}, а ответ обращён к одному автору по имени: всем сразу (publish "
            "--cluster) он не уйдёт; для этого обратитесь без имени, --set 'обращение=Здравствуйте!'",
        )


def _contacts(draft: Draft) -> Iterator[Finding]:
    theirs = {_digits(p) for p in _phones(draft.message)}
    for phone in _phones(draft.text):
        if _digits(phone) in theirs:
            yield Finding(ERROR, "personal", "в ответе телефон, который написал житель; уберите его")
        elif re.match(r"9\d{9}$", _digits(phone)):
            yield Finding(WARNING, "personal", "в ответе номер мобильного телефона; проверьте, что он служебный")
    mails = {m.lower() for m in _MAIL.findall(draft.message)}
    for mail in _MAIL.findall(draft.text):
        if mail.lower() in mails:
            yield Finding(ERROR, "personal", "в ответе почта, которую написал житель; уберите её")
        elif mail.lower().endswith(tuple("@" + d for d in _PRIVATE_MAIL)):
            yield Finding(
                WARNING, "personal", "в ответе адрес почты на бесплатном сервере; проверьте, что он служебный"
            )


def _phones(text: str) -> list[str]:
    return [m.group() for m in _PHONE.finditer(text) if len(re.sub(r"\D", "", m.group())) in (10, 11)]


def _digits(phone: str) -> str:
    return re.sub(r"\D", "", phone)[-10:]


def _names(draft: Draft) -> Iterator[Finding]:
    """The author's surname, or the author's name with a patronymic; officials are named as they please."""
    author = [w for w in _NAME.findall(draft.author or "") if len(w) > 2]
    if not author:
        return
    found = list(_NAME.finditer(draft.text))
    theirs = {lemma(w.lower().replace("ё", "е")) for w in author}
    for n, m in enumerate(found):
        if lemma(m.group().lower().replace("ё", "е")) not in theirs:
            continue
        near = [o.group() for o in found[max(0, n - 2) : n + 3] if abs(o.start() - m.start()) < 40]
        if any(is_patronymic(w) for w in near):
            yield Finding(ERROR, "personal", "в ответе автор назван по имени и отчеству; обратитесь просто по имени")
            return
        if not is_first_name(m.group()) and len(author) > 1:
            yield Finding(WARNING, "personal", "в ответе фамилия автора; обратитесь просто по имени")
            return


def speaks_to(text: str, author: str | None) -> bool:
    """Whether a text calls the author by a name: then it is not for everybody who asked the same."""
    theirs = {lemma(w.lower().replace("ё", "е")) for w in _NAME.findall(author or "") if len(w) > 2}
    return any(lemma(w.lower().replace("ё", "е")) in theirs for w in _NAME.findall(text))


def _is_snils(digits: str) -> bool:
    """The check number of the Pension Fund: the sum of digits by 9…1, modulo 101."""
    total = sum(int(d) * (9 - i) for i, d in enumerate(digits[:9])) % 101 % 100
    return total == int(digits[9:])


def _is_inn(digits: str) -> bool:
    """The two check digits of a person's taxpayer number."""
    for n, weights in ((10, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)), (11, (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8))):
        if sum(int(d) * w for d, w in zip(digits, weights, strict=False)) % 11 % 10 != int(digits[n]):
            return False
    return True


def _is_card(digits: str) -> bool:
    """Luhn's check digit."""
    total = 0
    for i, d in enumerate(reversed(digits)):
        n = int(d) * (2 if i % 2 else 1)
        total += n - 9 if n > 9 else n
    return total % 10 == 0
