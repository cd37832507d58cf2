"""Clause 8, the manner of an answer: no shouting, no insults, no blaming of whoever asked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from desk.checks import ERROR, WARNING, Draft, Finding
from desk.lemmas import parse, words

_WORD = re.compile(r"[А-ЯЁа-яё]{4,}")
_INSULT = re.compile(
    r"\b(?:дурак\w*|дур[аеы]\b|идиот\w*|тупо[йею]\w*|тупиц\w*|бездельник\w*|нытик\w*|лентя\w*|хамь[её]|хамка\w*|"
    r"болван\w*|дебил\w*|придурк\w*|балабол\w*|сволоч\w*|скотин\w*|мраз\w+|тварь|тролл[ьяи]\w*|"
    r"заткни\w*|пош[её]л (?:вон|ты)|идите (?:лесом|вон)|"
    r"\w*(?:[хx][уy][йеёяию]|[пn]и[зz]д|[еёe]б(?:а|л[аио]|у[чщн])|бля[дт])\w*)",
    re.IGNORECASE,
)
_BLAME = re.compile(
    r"\b(?:сам[иа]? (?:же )?виноват\w*|вас это не касается|не ваше дело|хватит (?:жаловаться|ныть|писать)|"
    r"(?:прежде|сначала) чем (?:писать|жаловаться)|(?:надо|нужно) было (?:думать|раньше|читать|слушать|смотреть)|"
    r"учите (?:матчасть|законы)|"
    r"читайте внимательн\w*|вам (?:уже )?(?:сто|десять|много) раз (?:говорили|отвечали|объясняли)|"
    r"не (?:выдумывайте|преувеличивайте|фантазируйте|устраивайте истерик\w*)|вечно (?:вы )?недовольн\w*|"
    r"вам (?:вечно|всегда|всё|все)(?: всё| все)? (?:мало|не так|не нравится)|радуйтесь|скажите спасибо)",
    re.IGNORECASE,
)
_FAMILIAR = re.compile(r"\b(?:ты|тебе|тебя|тобой|твой|твоя|твоё|твое|твоего|твоей)\b", re.IGNORECASE)


def check(draft: Draft) -> Iterator[Finding]:
    text = draft.text
    if m := _INSULT.search(text):
        yield Finding(ERROR, "manners", f"оскорбление («{m.group()}»); так от имени администрации не пишут (п. 8)")
    if m := _BLAME.search(text):
        yield Finding(WARNING, "manners", f"упрёк жителю («{m.group()}»); скажите по делу (п. 8)")
    if told := _familiar(text):
        yield Finding(WARNING, "manners", f"обращение на «ты» («{told}»); к жителям обращаются на «вы» (п. 8)")
    long = _WORD.findall(text)
    loud = [w for w in long if w.isupper()]
    if len(loud) >= 3 and len(loud) * 3 > len(long):
        yield Finding(WARNING, "manners", "текст набран заглавными буквами: это читают как крик (п. 8)")
    if re.search(r"[!?]{3,}", text):
        yield Finding(
            WARNING, "manners", "несколько восклицательных или вопросительных знаков подряд; хватит одного (п. 8)"
        )


def _familiar(text: str) -> str | None:
    """A word that says «ты»: the pronoun, or a verb in its form («подождёшь»)."""
    if m := _FAMILIAR.search(text):
        return m.group()
    for word in words(text):
        found = parse(word) if word.endswith(("шь", "шься")) else None
        if found is not None and {"VERB", "2per", "sing"} <= set(found.tag.grammemes):
            return word
    return None
