"""Clause 8: an answer is to the substance of the question. An «отписка» says nothing that was not known before.

What is left when the formulas of office language, the message's own words, its topic and its place are taken away? A
number, a date, a link, a name of somebody responsible or a deed is something; nothing is an empty answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from desk.checks import WARNING, Draft, Finding
from desk.checks.dates import names_term
from desk.lemmas import content, parse, words

_FORMULAS = """
администрация аналогичный благодарить благодарность ближайший будущее важный ваш ввиду ведение вести взаимодействие
внимание возможность возможный возникнуть вопрос временной временно время всё выполнение выразить глава год
данный дальнейший действие действующий делать держать добрый довести должный дополнительно доступный ждать жизнь житель
завершение закон законодательство заниматься заинтересованный здравствовать здравствуйте знать извинение иметься
информация информировать исполнение исполнитель использовать кабинет качество коллега компетенция комментарий контакт
контроль кратчайший личный любой мера мероприятие местный минута мнение момент муниципальный направить направление
находиться начало недостаток неравнодушие неравнодушный неудобство необходимость необходимый необходимо непростой
обеспечить обратиться обращение обращать обязательно обязанность ожидать оказать оперативно ответ ответить
ответственный ответственность отдел отметить отношение оставаться остаться отработать очередь план плановый
понимание понимать понять порядок постараться постоянный поступить пояснить предложение предприниматься предпринять
предусмотреть предусмотренный пригласить придерживаться прийти принять принимать приносить принести причина проблема
проводить провести проводиться проинформировать проработать прорабатываться проработка просить просьба процесс пункт
работа работать разбираться разобраться разъяснить район ранее рассматривать рассмотреть рассматриваться рассмотрение
реагирование регламент результат решать решаться решение решить руководство ряд сведение свод сделать связь связать
связаться сигнал сила сигнализировать ситуация следовать следующий служба случай согласно сожаление соответствие
соответствующий сообщать сообщение сообщить сотрудник спасибо специалист срок стадия старание стараться статус
стоять структура сторона существующий считать текущий тема терпение требование требуемый уважаемый уважение уведомить
указать указанный улучшение уполномоченный управление условие установить установленный учесть учитывать учет
уточнить функция целое цель часть человек являться день позиция мочь активность активный участие гражданин благополучие
разрешение устранение устранить выезд слово оставить передать передавать известный известно отнестись очередность
взять брать особый пристальный уделять планирование планировать зарегистрировать регистрация курс обратный
благоустроенный комплексный системный усилие приоритет приоритетный вникнуть озабоченность
"""
FORMULA = frozenset(_FORMULAS.split())
_CONCRETE = re.compile(r"\d{2,}|https?://|\b[\w-]+\.(?:ru|рф|com)\b|\b\d+\s*(?:%|руб|км|м\b|шт|тонн)", re.IGNORECASE)
ENOUGH = 2
"""Words that say something new; one alone may be an accident of the dictionary."""


def check(draft: Draft) -> Iterator[Finding]:
    if draft.kind not in ("final", "interim"):
        return
    if _CONCRETE.search(draft.text) or (draft.kind == "final" and names_term(draft.text)):
        return
    known = set(content(draft.message)) | set(content(draft.topic)) | set(content(" ".join(draft.places)))
    known |= set(content(draft.author or ""))
    news = set(content(draft.text)) - FORMULA - known
    if len(news) < ENOUGH and not _deeds(draft.text):
        yield Finding(
            WARNING,
            "empty",
            "ответ ничего не сообщает по существу: в нём нет ни сделанного, ни срока, ни ответственного; "
            "похоже на отписку (п. 8)",
        )


def _deeds(text: str) -> bool:
    """Whether something was done: "включили", "вывезен". What the office did with the letter is no deed."""
    for word in words(text):
        found = parse(word)
        if found is None or found.normal_form.replace("ё", "е") in FORMULA:
            continue
        if {"VERB", "perf", "past"} <= set(found.tag.grammemes) or {"PRTS", "perf"} <= set(found.tag.grammemes):
            return True
    return False
