"""Raw text -> clean lower-case text and tokens, with the way back to the characters of the raw text.

Pure functions. Ordinary comments take a fast path (one regular expression says that nothing needs cleaning).
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence

MAX_CHARS = 6000
"""A longer text is judged by its beginning and its end: what matters is said there, and the work stays bounded."""

# Words (with inner hyphens), numbers, sentence ends, line breaks, other symbols (emoji among them).
TOKEN = re.compile(r"[^\W_]+(?:[-’'][^\W_]+)*|[.!?…]+|\n+|[^\w\s,:;()\"«»\[\]/\\|—–-]")
_UNCLEAN = re.compile(
    r"[<&\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u0300-\u036f\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u2028-\u202f\u205f-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffd\U000e0000-\U000e0fff"
    r"\uff01-\uff5e\U0001d400-\U0001d7ff]"
)
_TAG = re.compile(r"<(?:/?[a-zA-Z][^<>]{0,300}|!--[^<>]{0,300}--)>")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,10});")
_VK_MENTION = re.compile(r"\[(?:id|club|public)\d+\|([^\]\n]{1,100})\]")

# Letters that look Cyrillic, as people mix them by mistake or to get past a filter.
_LOOKS = str.maketrans(
    "aceopxyktmhbuniërgdvlzs340@6",
    "асеорхуктмнвипиёггдвлзсзчоаб",
)
_SAME_LOOK = set("aceopxykmthb")
_CYRILLIC = re.compile(r"[а-яё]")
_LATIN = re.compile(r"[a-z]")

_TRANSLIT = [
    ("shch", "щ"), ("sch", "щ"), ("zh", "ж"), ("kh", "х"), ("ch", "ч"), ("sh", "ш"), ("ts", "ц"), ("tz", "ц"),
    ("yu", "ю"), ("ju", "ю"), ("ya", "я"), ("ja", "я"), ("yo", "е"), ("jo", "е"), ("ye", "е"), ("iy", "ий"),
    ("yy", "ый"), ("ij", "ий"), ("yj", "ый"), ("x", "х"), ("w", "в"), ("q", "к"), ("c", "ц"), ("j", "й"), ("h", "х"),
    ("a", "а"), ("b", "б"), ("v", "в"), ("g", "г"), ("d", "д"), ("e", "е"), ("z", "з"), ("i", "и"), ("k", "к"),
    ("l", "л"), ("m", "м"), ("n", "н"), ("o", "о"), ("p", "п"), ("r", "р"), ("s", "с"), ("t", "т"), ("u", "у"),
    ("f", "ф"), ("'", "ь"), ("’", "ь"), ("4", "ч"), ("6", "ш"),
]  # fmt: skip
_TRANSLIT_MAP = dict(_TRANSLIT)
_TRANSLIT_RE = re.compile("|".join(re.escape(k) for k, _ in _TRANSLIT) + "|y")


def clean(raw: str) -> tuple[str, Sequence[int] | None]:
    """Lower-case text without markup, invisible or styled letters; and for each character its index in `raw`.

    The index list has one more item (the end); None means that positions are those of `raw`.
    """
    if len(raw) <= MAX_CHARS and not _UNCLEAN.search(raw) and "[id" not in raw and "[club" not in raw:
        low = raw.lower()
        if len(low) == len(raw):
            return low.replace("ё", "е"), None
    index: list[int] = list(range(min(len(raw), MAX_CHARS)))
    text = raw
    if len(raw) > MAX_CHARS:
        head, tail = MAX_CHARS * 2 // 3, MAX_CHARS // 3
        index = [*range(head), *range(len(raw) - tail, len(raw))]
        text = raw[:head] + raw[-tail:]
    text, index = _substitute(
        _TAG, lambda m: "\n" if m.group()[1:3].lower() in ("br", "p>", "/p") else " ", text, index
    )
    text, index = _substitute(_ENTITY, lambda m: html.unescape(m.group()), text, index)
    text, index = _substitute(_VK_MENTION, lambda m: " ", text, index)
    out: list[str] = []
    back: list[int] = []
    for ch, at in zip(text, index, strict=True):
        if unicodedata.combining(ch):
            if out:
                joined = unicodedata.normalize("NFC", out[-1] + ch)
                if len(joined) == 1:
                    out[-1] = joined
            continue
        category = unicodedata.category(ch)
        if category in ("Cf", "Cs", "Co", "Cn") or ch in "\u115f\u1160\u3164\uffa0\u034f":
            continue
        if category in ("Cc", "Zl", "Zp", "Zs"):
            ch = "\n" if ch in "\n\r\u2028\u2029" else " "
        elif ch > "\u2fff":
            ch = unicodedata.normalize("NFKC", ch)
        for c in ch.lower():
            out.append("е" if c == "ё" else c)
            back.append(at)
    back.append(len(raw))
    return "".join(out), back


def _substitute(pattern: re.Pattern[str], with_, text: str, index: list[int]) -> tuple[str, list[int]]:
    """`pattern.sub` that keeps the index in step."""
    if not pattern.search(text):
        return text, index
    out: list[str] = []
    back: list[int] = []
    at = 0
    for m in pattern.finditer(text):
        out.append(text[at : m.start()])
        back.extend(index[at : m.start()])
        new = with_(m)
        out.append(new)
        back.extend([index[m.start()]] * len(new))
        at = m.end()
    out.append(text[at:])
    back.extend(index[at:])
    return "".join(out), back


def original(start: int, end: int, index: Sequence[int] | None) -> tuple[int, int]:
    """The span [start, end) of the clean text as a span of the raw text."""
    if index is None:
        return start, end
    return index[start], index[end - 1] + 1


def is_mixed(form: str) -> bool:
    """Latin letters or digits among Cyrillic ones: a disguise or a slip of the keyboard."""
    return (bool(_CYRILLIC.search(form)) and not form.isalpha()) or bool(_CYRILLIC.search(form) and _LATIN.search(form))


def is_latin(form: str) -> bool:
    return bool(_LATIN.search(form)) and not _CYRILLIC.search(form)


def by_look(form: str) -> str:
    """The Cyrillic word that a mixed one looks like ("вoдa" -> "вода")."""
    return form.translate(_LOOKS)


def only_lookalikes(form: str) -> bool:
    """Latin letters each of which has a Cyrillic twin ("het", "cop")."""
    return all(c in _SAME_LOOK for c in form)


def from_translit(form: str) -> str:
    """ "zdravstvuyte" -> "здравствуйте"."""

    def one(m: re.Match[str]) -> str:
        part = m.group()
        if part != "y":
            return _TRANSLIT_MAP[part]
        before = form[m.start() - 1 : m.start()]
        return "й" if before and before in "aeiou" else "ы"

    return _TRANSLIT_RE.sub(one, form)
