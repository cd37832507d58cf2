"""A report as one HTML file: no script, nothing loaded from elsewhere, every text escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from desk.reports.blocks import LINK, TEXT, Chart, Document, Heading, Map, Para, Table, shown

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#1c1c1c;max-width:1100px;margin:2em auto;padding:0 1em}
h1{font-size:1.5em}h2{font-size:1.25em;margin-top:2em;border-bottom:1px solid #ccc}h3{font-size:1.05em}
.scroll{overflow-x:auto}table{border-collapse:collapse;margin:.6em 0;font-size:.87em}
caption{text-align:left;font-weight:600;padding:.3em 0}
th,td{border:1px solid #d5d5d5;padding:.25em .5em;text-align:right}
th{background:#f2f4f6;vertical-align:bottom}td.text,th.text,td.link,th.link{text-align:left}
img{max-width:100%;display:block;margin:1em 0}.note{color:#555;font-size:.87em}@media print{body{margin:0}}
"""


def write(document: Document, pictures: Mapping[str, bytes]) -> bytes:
    """The whole file; `pictures`: PNG by the name of the chart or map."""
    return "".join(_parts(document, pictures)).encode()


def _parts(d: Document, pictures: Mapping[str, bytes]) -> Iterator[str]:
    title = escape(d.title)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    yield f'<!DOCTYPE html>\n<html lang="ru"><head><meta charset="utf-8"><title>{title}</title>\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="referrer" content="no-referrer">'
    yield f"\n<style>{_STYLE}</style></head><body>\n<h1>{title}</h1>\n<p>{escape(d.subtitle)}</p>\n"
    for block in d.blocks:
        if isinstance(block, Heading):
            yield f"<h{block.level + 1}>{escape(block.text)}</h{block.level + 1}>\n"
        elif isinstance(block, Para):
            yield f"<p>{escape(block.text)}</p>\n"
        elif isinstance(block, Table):
            yield from _table(block.readable(), d.zone)
        elif isinstance(block, Chart | Map):
            data = b64encode(pictures[block.name]).decode()
            yield f'<img alt="{escape(block.title)}" src="data:image/png;base64,{data}">\n'
    yield "</body></html>\n"


def _table(t: Table, zone: str) -> Iterator[str]:
    kinds = ["text" if c.kind == TEXT else "link" if c.kind == LINK else "" for c in t.columns]
    yield f'<div class="scroll"><table><caption>{escape(t.title)}</caption><thead><tr>'
    for c, kind in zip(t.columns, kinds, strict=True):
        yield (
            f'<th scope="col" class="{kind}">{escape(c.name)}</th>'
            if kind
            else f'<th scope="col">{escape(c.name)}</th>'
        )
    yield "</tr></thead><tbody>\n"
    for row in t.rows:
        cells = (_cell(v, c.kind, k, zone) for v, c, k in zip(row, t.columns, kinds, strict=True))
        yield f"<tr>{''.join(cells)}</tr>\n"
    if not t.rows:
        yield f'<tr><td class="text" colspan="{len(t.columns)}">нет</td></tr>\n'
    yield "</tbody></table></div>\n"
    if t.note:
        yield f'<p class="note">{escape(t.note)}</p>\n'


def _cell(value: Any, kind: str, style: str, zone: str) -> str:
    text = escape(shown(value, kind, zone))
    if kind == LINK and value:
        text = f'<a rel="noopener noreferrer nofollow" href="{text}">{text}</a>'
    return f'<td class="{style}">{text}</td>' if style else f"<td>{text}</td>"
