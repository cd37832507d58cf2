"""The log as a file: NDJSON as it stands, or a table (CSV, XLSX, Parquet) of the fields people and programs sort by.

Streaming: a file of any length takes the memory of one batch. It appears under its name only when it is whole. What a
resident wrote is never a formula: a cell that would start one gets an apostrophe before it, XLSX gets text cells.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from settings import USAGE, ConfigError, OtklikError, os_problem
from wholefile import whole_file

FORMATS = ("ndjson", "csv", "xlsx", "parquet")
_HEAD = ("seq", "id", "type", "time", "subject")
_DATA = (
    "network", "page", "url", "published_at", "status", "division", "topic", "topic_group", "urgency", "emergency",
    "reaction", "text",
)  # fmt: skip
COLUMNS = (*_HEAD, *_DATA, "data")
"""`data`: the event's whole payload as JSON; an XLSX cell can't hold it."""
_CELL, _ROWS = 32_767, 1_048_575
_BATCH = 5000


class TooLong(OtklikError):
    exit_code = USAGE


def format_of(path: str, asked: str | None) -> str:
    """Raises ConfigError."""
    found = (asked or Path(path).suffix.removeprefix(".") or "ndjson").lower()
    if found not in FORMATS:
        raise ConfigError(f"формат {found[:20]!r} неизвестен; есть {', '.join(FORMATS)}: укажите --format")
    return found


def save(lines: Iterable[bytes], path: str, format_: str) -> int:
    """Write the events; how many. Raises ConfigError, TooLong; an old file stays as it was when anything fails."""
    write = {"ndjson": _ndjson, "csv": _csv, "xlsx": _xlsx, "parquet": _parquet}[format_]
    try:
        with whole_file(path) as out:
            return write(lines, out)
    except OSError as e:
        raise ConfigError(f"{path}: файл не пишется ({os_problem(e)}); проверьте путь, права и место") from None


def row(event: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of an event; absent ones are None."""
    data = event["data"]
    out = {name: event.get(name) for name in _HEAD} | {name: data.get(name) for name in _DATA}
    return {**out, "data": orjson.dumps(data).decode()}


def harmless(value: Any) -> Any:
    """A text that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.lstrip(" \u00a0\ufeff")[:1] in tuple("=+-@\t\r\n|＝＋－＠"):
        return f"'{value}"
    return value


def _ndjson(lines: Iterable[bytes], out: BinaryIO) -> int:
    count = 0
    for line in lines:
        out.write(line)
        count += 1
    return count


def _rows(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    return (row(orjson.loads(line)) for line in lines)


def _csv(lines: Iterable[bytes], out: BinaryIO) -> int:
    text = io.TextIOWrapper(out, encoding="utf-8-sig", newline="", errors="replace")
    writer, count = csv.writer(text), 0
    writer.writerow(COLUMNS)
    for found in _rows(lines):
        writer.writerow([harmless(found[name]) for name in COLUMNS])
        count += 1
    text.flush()
    text.detach()
    return count


def _xlsx(lines: Iterable[bytes], out: BinaryIO) -> int:
    import xlsxwriter

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book = xlsxwriter.Workbook(out, options)
    sheet = book.add_worksheet("events")
    columns, count = COLUMNS[:-1], 0
    sheet.write_row(0, 0, columns)
    for count, found in enumerate(_rows(lines), 1):
        if count > _ROWS:
            raise TooLong(f"в лист помещается {_ROWS} строк, событий больше: --format csv или --limit")
        for i, name in enumerate(columns):
            value = found[name]
            if isinstance(value, bool):
                sheet.write_boolean(count, i, value)
            elif isinstance(value, int):
                sheet.write_number(count, i, value)
            elif value is not None:
                sheet.write_string(count, i, str(value)[:_CELL])
    book.close()
    return count


def _parquet(lines: Iterable[bytes], out: BinaryIO) -> int:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ConfigError("для Parquet нужна библиотека pyarrow: pip install 'otklik[parquet]'") from None
    kinds: dict[str, Callable[[], Any]] = {"seq": pa.int64, "emergency": pa.bool_}
    schema = pa.schema([(name, kinds.get(name, pa.string)()) for name in COLUMNS])
    count, batch = 0, []
    with parquet.ParquetWriter(out, schema) as writer:

        def put() -> None:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            batch.clear()

        for found in _rows(lines):
            batch.append(found)
            count += 1
            if len(batch) >= _BATCH:
                put()
        put()
    return count
