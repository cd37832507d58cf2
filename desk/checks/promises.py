"""Clause 7.8: an interim answer names the term or the condition of the final one. Clause 7.12: a redirection names the
responsible body. A final answer is final: it does not promise another one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from desk.checks import ERROR, WARNING, Draft, Finding
from desk.checks.dates import dates, names, names_term
from desk.lemmas import content
from desk.text import zone

_LATER = re.compile(
    r"\b(?:окончательн\w+ ответ|(?:дополнительно|позже|позднее) (?:сообщим|проинформируем|ответим)|"
    r"(?:сообщим|проинформируем|ответим)(?: вам)? (?:дополнительно|позже|позднее)|"
    r"о результатах (?:сообщим|проинформируем))",
    re.IGNORECASE,
)


def check(draft: Draft) -> Iterator[Finding]:
    if draft.kind == "interim":
        yield from _interim(draft)
    elif draft.kind == "redirect":
        missing = sorted(set(content(draft.body or "")) - set(content(draft.text)))
        if not draft.body or len(missing) > len(set(content(draft.body))) / 2:
            yield Finding(ERROR, "promises", "в тексте не назван ответственный орган; назовите его (п. 7.12)")
    elif draft.kind == "final" and _LATER.search(draft.text):
        yield Finding(WARNING, "promises", "ответ обещает продолжение: тогда он промежуточный, со сроком (п. 7.8)")


def _interim(draft: Draft) -> Iterator[Finding]:
    wanted = set(content(draft.condition or ""))
    told = bool(wanted) and len(wanted & set(content(draft.text))) * 2 >= len(wanted)
    if not (told or names_term(draft.text)):
        yield Finding(
            ERROR, "promises", "в промежуточном ответе не названы ни срок, ни условие окончательного решения (п. 7.8)"
        )
    elif draft.until is not None and dates(draft.text):
        day = draft.until.astimezone(zone(draft.zone)).date()
        if not names(draft.text, day):
            yield Finding(WARNING, "promises", f"в тексте другой срок, а обещан {day:%d.%m.%Y}; проверьте (п. 7.8)")
