"""Obscenities, also disguised by stars, spaces, look-alike letters, translit; innocent look-alikes are left alone."""

from __future__ import annotations

import re

from classifier import text as texts

_PREFIX = r"(?:на|по|за|до|вы|от|об|у|въ|в|рас|раз|из|ис|под|недо|пере|при|про|о|не|ни|съ|разъ|объ|отъ|изъ|подъ|пиздо|долбо|мозго|трех|дво|одно|полу|ос)?"  # noqa: E501
_ROOT = (
    r"(?:ху(?:й|и(?:$|л|т|ц)|я(?:$|р|ч|м|х|к|ш|с)|е(?:$|в|м|т|с|р|п|г|л)|ю(?:$|ш))|"
    r"п[иеы]зд|"
    r"[еи]б(?:а(?!й|н[иь]с|ст)|у(?!к)|е(?:т|ш|м|н)|л(?:а|о|и|я)|н(?:у|и|ы)|ы|и|ш|с|к)|"
    r"бл[яе](?:$|д|т(?:ь|ск|$)|ха[- ]?муха)|мудак|муда[кчц]|муди(?:ла|ло)|мудоз|"
    r"манд(?:а$|ы$|у$|ой$|авош)|залуп|дроч(?:и|е|у|ер)|г[ао]ндон|пид[ао]р|педик|шлюх|шалав|сперм|"
    r"срать|сру$|срет|насра|обосра|жоп|говн|дерьм|сук(?:а$|и$|у$|ой$|ин)|ссан|"
    r"йоб(?:а|н|у)|пзд(?:ц|е)|сцук|долбо[её]б|курв|елд|отсос|хер(?:$|н[яе]|ов|а$|у$|ня)|пох[уе]|нахер|похер|охре|бляд)"
)
_OBSCENE = re.compile("^" + _PREFIX + _ROOT)
_ROUGH = re.compile(
    "^" + _PREFIX + r"(?:срать|сру$|срет|насра|жоп|хер(?:$|н|ов|а$|у$)|говн|дерьм|ссан|охре|педик|сперм|елд|отсос)"
)
_INNOCENT = re.compile(
    r"^(?:сперм(?:а|ы|у)ц|херсон|херувим|хереса?$|ебонит|блеф|блеск|бледн|блядин|похуд|похуже|поху(?:тор)|уеб?юн|ибо|"
    r"небо|небе|небы|обеща|ебук|вибр|ниб|елда|сукин.?сын|неб|заб|об[еи]|у[её]ха|доех|уех|похер(?:и)|по?худ|"
    r"сукно|мандат|мандар|застрах|страх|психу|хуту|хутор|худ|обиб|рибу|себ|теб|иб(?:ад|ис|раг|ер|ри|н)|пеби|либ|"
    r"педикюр|вебин|ибат$|проебренд|поебет$|небл|дерьми|недоб|ниб|похе(?:$))"
)
_STARS = re.compile(r"(?<![\w*])[а-яa-z]{1,6}[*#@_]{1,5}[а-яa-z]{0,6}(?![\w*])", re.IGNORECASE)
_STARRED = re.compile(
    r"^(?:[хx][*#@_]+(?:й|и|я|е|ю|ня|ли|йня|ево|ето)?|[хx]у[*#@_]+|п[*#@_]+(?:ц|здец|дец|ец|да|зд\w*)|пи[*#@_]+\w*|бл[*#@_]+\w*|"
    r"е[*#@_]+(?:ть|л|н|ый|ан\w*|ал\w*|ла\w*)|еб[*#@_]+\w*|за[еe]?[*#@_]+\w+|на[*#@_]{1,3}(?:й|уй)?|с[*#@_]к[аи]|су[*#@_]+[аи]?|"
    r"долб[оа]?[*#@_]+\w*|м[*#@_]+(?:к|ак|даки?)|му[*#@_]+\w*|г[*#@_]+(?:н|он|но|вно)|ж[*#@_]+(?:п|па|пе|пу)|по[хx]?[*#@_]+(?:й|ю|ую)?)$",
    re.IGNORECASE,
)
_MARKS = re.compile("[*#@_]")
_SPACED = re.compile(r"(?<!\w)(?:[а-яa-z][\s.\-_*]{1,2}){2,7}[а-яa-z](?!\w)", re.IGNORECASE)
_REPEAT = re.compile(r"(.)\1+")


def obscene(form: str) -> bool:
    """A Russian form (homoglyphs undone) is an obscenity."""
    if len(form) < 3 or _INNOCENT.match(form):
        return False
    if _OBSCENE.match(form):
        return True
    squeezed = _REPEAT.sub(r"\1", form)
    return squeezed != form and not _INNOCENT.match(squeezed) and bool(_OBSCENE.match(squeezed))


def disguised(clean: str, letters: bool) -> str | None:
    """An obscenity written with stars or with spaces between its letters; the piece of text, or None.

    `letters`: there are lone letters that are no words, so that the second way is worth a look.
    """
    for m in _STARS.finditer(clean) if _MARKS.search(clean) else ():
        if _STARRED.match(m.group()):
            return m.group()
    for m in _SPACED.finditer(clean) if letters else ():
        joined = texts.by_look(re.sub(r"[\s.\-_*]", "", m.group()))
        if obscene(joined):
            return m.group()
    return None
