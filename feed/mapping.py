"""Files for another system of incidents (ЦУР, Incident Management), by columns the configuration names; its ids back.

No such system's format is built in: each region's differs, and is written down in `feed.mappings`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from feed.files import harmless
from settings import ConfigError, Settings
from settings import Mapping as Columns

Message = Mapping[str, Any]
Titles = Mapping[str, str]


def _plain(name: str) -> Callable[[Message, Titles], Any]:
    return lambda m, titles: m[name]


FIELDS: dict[str, Callable[[Message, Titles], Any]] = {
    **{
        name: _plain(name)
        for name in (
            "id", "network", "external_id", "page", "url", "post_id", "comment_id", "text", "published_at",
            "collected_at", "edited_at", "status", "division", "topic", "topic_group", "urgency", "emergency_kind",
            "reaction", "repeat_of",
        )
    },
    "emergency": lambda m, t: "да" if m["emergency"] else "нет",
    "topic_title": lambda m, t: t.get(m["topic"] or "", m["topic"]),
    "group_title": lambda m, t: t.get(m["topic_group"] or "", m["topic_group"]),
    "author": lambda m, t: m["author"]["name"],
    "author_url": lambda m, t: m["author"]["url"],
    "places": lambda m, t: "; ".join(", ".join([p["name"], *p["parents"]]) for p in m["places"]),
    "lat": lambda m, t: next((p["lat"] for p in m["places"] if p["lat"] is not None), None),
    "lon": lambda m, t: next((p["lon"] for p in m["places"] if p["lon"] is not None), None),
    "answer_due": lambda m, t: m["deadlines"].get("answer"),
}  # fmt: skip


def mapping_of(settings: Settings, name: str) -> Columns:
    """The mapping of this name, its fields checked. Raises ConfigError."""
    for i, found in enumerate(settings.feed.mappings):
        if found.name != name:
            continue
        for title, field in found.columns.items():
            if field not in FIELDS:
                where = settings.where("feed", "mappings", i, "columns", title)
                raise ConfigError(f"{where}: поля {field} нет; есть {', '.join(FIELDS)}")
        return found
    names = ", ".join(m.name for m in settings.feed.mappings) or "пока ни одного"
    raise ConfigError(f"формата «{name[:60]}» в feed.mappings нет; есть {names}")


def write(messages: Iterable[Message], how: Columns, titles: Titles) -> Iterator[bytes]:
    """The file, a line a piece. What the encoding can't hold becomes «?»."""
    encoding = "utf-8" if how.encoding == "utf-8-sig" else how.encoding
    if how.encoding == "utf-8-sig":
        yield b"\xef\xbb\xbf"
    for row in _rows(messages, how, titles):
        out = io.StringIO(newline="")
        csv.writer(out, delimiter=how.delimiter).writerow(harmless(v) for v in row)
        yield out.getvalue().encode(encoding, "replace")


def _rows(messages: Iterable[Message], how: Columns, titles: Titles) -> Iterator[list[Any]]:
    yield list(how.columns)
    for message in messages:
        yield [FIELDS[field](message, titles) for field in how.columns.values()]


def pairs(file: BinaryIO, how: Columns) -> list[tuple[int, str, str]]:
    """(line, our id, theirs) of a file the other system sent; lines without an id of theirs are passed by.

    Raises ConfigError when it is no such file."""
    text = io.TextIOWrapper(file, encoding=how.encoding, newline="")
    try:
        reader = csv.DictReader(text, delimiter=how.delimiter)
        for needed in (how.ours, how.theirs):
            if needed not in (reader.fieldnames or ()):
                raise ConfigError(f"в первой строке файла нет столбца «{needed}»; проверьте feed.mappings")
        found = []
        for row in reader:
            ours, theirs = ((row[name] or "").strip() for name in (how.ours, how.theirs))
            if ours and theirs:
                if len(theirs) > 200 or not theirs.isprintable():
                    raise ConfigError(f"строка {reader.line_num}: номер в столбце «{how.theirs}» непригоден")
                found.append((reader.line_num, ours.removeprefix("'"), theirs))
        return found
    except UnicodeDecodeError:
        raise ConfigError(f"файл не в кодировке {how.encoding}; исправьте encoding в feed.mappings") from None
    except csv.Error:
        raise ConfigError("это не CSV с таким разделителем; проверьте feed.mappings") from None
    finally:
        text.detach()
