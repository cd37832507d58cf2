"""Clause 14: officials may not express a personal social or political position in the Administration's name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from desk.checks import ERROR, WARNING, Draft, Finding

_AGITATION = re.compile(
    r"\b(?:голосуйте|проголосуйте|отдайте (?:свой )?голос|поддержите (?:кандидат|парти|нашего|действующ)\w*|"
    r"приходите на выборы|"
    r"вступайте в (?:ряды|партию)|наш кандидат|выходите на митинг\w*)",
    re.IGNORECASE,
)
_OPINION = re.compile(
    r"\b(?:я (?:лично )?(?:считаю|думаю|полагаю|уверен\w*|поддерживаю|против|за то)|лично я|лично мо[её]|"
    r"по моему (?:личному )?мнению|мо[её] (?:личное )?мнение|на мой взгляд|мне кажется|как по мне|"
    r"как (?:гражданин|патриот|мусульманин|верующий))",
    re.IGNORECASE,
)
_POLITICS = re.compile(
    r"\b(?:един\w+ росси\w+|кпрф|лдпр|справедлив\w+ росси\w+|нов(?:ые|ых) люд\w+|партия яблоко|коммунист\w*|либерал\w*|"
    r"оппозици\w*|режим[аеу]?\b|революци\w*|митинг\w*|санкци\w*|сво\b|спецопераци\w*|запад(?:ные|ных) стран\w*|"
    r"америк\w*|украин\w*|предвыборн\w*|кандидат(?:а|ы|ов|у)?\b(?! наук))",
    re.IGNORECASE,
)


def check(draft: Draft) -> Iterator[Finding]:
    if m := _AGITATION.search(draft.text):
        yield Finding(
            ERROR, "politics", f"похоже на агитацию («{m.group()}»); от имени администрации её не ведут (п. 14)"
        )
        return
    if m := _OPINION.search(draft.text):
        yield Finding(
            WARNING, "politics", f"личное мнение («{m.group()}») от имени администрации; напишите, что сделано (п. 14)"
        )
    asked = {w.lower() for w in _POLITICS.findall(draft.message)}
    if (m := _POLITICS.search(draft.text)) and m.group().lower() not in asked:
        yield Finding(WARNING, "politics", f"речь о политике («{m.group()}»); проверьте, нужна ли она в ответе (п. 14)")
