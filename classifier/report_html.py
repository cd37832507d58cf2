"""Figures as one HTML file that needs nothing else: tables, a confusion picture, a reliability diagram (inline SVG).

No scripts, nothing loaded from elsewhere, every text escaped; a policy in the page forbids what escaping should have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from classifier.measure import Bin, Classes, Comparison, Figures
from classifier.report import Names, called, number, summary

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1b1b;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.5rem}h3{font-size:1rem}
table{border-collapse:collapse;margin:.5rem 0}td,th{padding:.15rem .7rem;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child,td.w{text-align:left}svg{max-width:100%;height:auto}.bad{color:#a01313}.ok{color:#14622b}
summary{cursor:pointer}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(
    sets: Sequence[Figures], comparisons: Sequence[tuple[str, Comparison]], names: Names, *, title: str, made: str
) -> str:
    """The whole page. `comparisons`: (name of the set, new against running); `made`: when, shown as it stands."""
    body = [f"<h1>{escape(title)}</h1><p>{escape(made)}</p>"]
    for name, found in comparisons:
        body.append(f"<h2>Сравнение с работающей: {escape(name)}</h2>{''.join(_comparison(found))}")
    body += ["".join(_set(f, names)) for f in sets]
    return (
        '<!doctype html><html lang="ru"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _set(f: Figures, names: Names) -> Iterator[str]:
    yield f"<h2>{escape(f.name)}: {f.n}</h2><ul>"
    yield from (f"<li>{escape(line)}</li>" for line in summary(f))
    yield "</ul>"
    if f.bins:
        yield f"<h3>Уверенность и доля верных</h3>{reliability_svg(f.bins)}"
    if f.groups.confusion:
        yield f"<h3>Что с чем путает (группы)</h3>{confusion_svg(f.groups, names)}"
    for what, c in (("Группа тем", f.groups), ("Тема", f.topics)):
        if c.n:
            yield f"<h3>{what}</h3>{_classes(what, c, names)}"
    for what, found in (("Ошибки в группе, самые уверенные первыми", f.mistakes), ("Чрезвычайные: ошибки", f.missed)):
        if found:
            yield f"<details><summary>{what} ({len(found)})</summary>"
            yield "<table><tr><th>Текст<th>Верно<th>Сказано<th>Уверенность"
            for m in found[:100]:
                cells = (m.text, called(m.true, names), called(m.said, names))
                yield "<tr>" + "".join(f'<td class="w">{escape(x)}' for x in cells) + f"<td>{m.confidence:.2f}"
            yield "</table></details>"


def _classes(what: str, c: Classes, names: Names) -> str:
    rows = "".join(
        f"<tr><td>{escape(called(r.id, names))}<td>{r.n}<td>{number(r.precision)}<td>{number(r.recall)}<td>{r.f1:.2f}"
        for r in c.rows
    )
    return f"<table><tr><th>{what}<th>Всего<th>Точность<th>Полнота<th>F1{rows}</table>"


def _comparison(found: Comparison) -> Iterator[str]:
    yield "<table><tr><th>Вопрос<th>Новая<th>Работающая<th>Разница F1, 95 %<th>Лучше<th>Хуже<th>p<th>Вывод"
    for d in found.differences:
        low, high = d.interval or (0.0, 0.0)
        yield (
            f"<tr><td>{escape(d.name)}<td>{d.ours:.3f}<td>{d.theirs:.3f}<td>[{low:+.3f}; {high:+.3f}]<td>{d.better}"
            f'<td>{d.worse}<td>{d.p:.3f}<td class="w">{escape(d.words)}'
        )
    yield "</table>"
    if found.against:
        yield '<p class="bad">Против новой: ' + "; ".join(map(escape, found.against)) + "</p>"
    else:
        yield '<p class="ok">Новая не хуже работающей.</p>'


def reliability_svg(bins: Sequence[Bin]) -> str:
    """Share of right answers by confidence; on the dashed line words and truth agree. Circles: how many answers."""
    side, left = 320, 45
    most = max(b.n for b in bins)

    def x(v: float) -> float:
        return left + v * side

    def y(v: float) -> float:
        return 15 + (1 - v) * side

    marks = "".join(
        f'<text x="{x(v):.0f}" y="{y(0) + 18:.0f}" text-anchor="middle">{v:.1f}</text>'
        f'<text x="{left - 8}" y="{y(v) + 4:.0f}" text-anchor="end">{v:.1f}</text>'
        f'<path d="M{x(0):.0f} {y(v):.0f}H{x(1):.0f}" stroke="#eee"/>'
        for v in (0, 0.2, 0.4, 0.6, 0.8, 1)
    )
    line = " ".join(f"{x(b.confidence):.1f},{y(b.right):.1f}" for b in bins)
    dots = "".join(
        f'<circle cx="{x(b.confidence):.1f}" cy="{y(b.right):.1f}" r="{3 + 8 * (b.n / most) ** 0.5:.1f}" '
        f'fill="#2563a8" fill-opacity=".6"><title>{b.low:.1f}–{b.high:.1f}: {b.n}, верно {b.right:.2f}</title></circle>'
        for b in bins
    )
    return (
        f'<svg width="{side + left + 20}" height="{side + 60}" viewBox="0 0 {side + left + 20} {side + 60}" role="img" '
        f'aria-label="Уверенность и доля верных" font-size="11">{marks}'
        f'<path d="M{x(0)} {y(0)}L{x(1)} {y(1)}" stroke="#999" stroke-dasharray="4"/>'
        f'<polyline points="{line}" fill="none" stroke="#2563a8"/>{dots}'
        f'<text x="{x(0.5)}" y="{y(0) + 38}" text-anchor="middle">уверенность</text></svg>'
    )


def confusion_svg(c: Classes, names: Names) -> str:
    """True group down, said group across; the darker, the larger the share of the row."""
    ids = [r.id for r in c.rows]
    ids += sorted({said for _, said, _ in c.confusion} - set(ids))
    at = {id_: i for i, id_ in enumerate(ids)}
    cells = {(r.id, r.id): r.right for r in c.rows} | {(t, s): n for t, s, n in c.confusion}
    total = {r.id: r.n for r in c.rows}
    size, left, top = 22, 190, 150
    width, height = left + size * len(ids) + 10, top + size * len(total) + 10
    out = [
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="Что с чем путает" font-size="11">'
    ]
    for id_, i in at.items():
        label = escape(called(id_, names)[:28])
        px = left + size * i + 15
        out.append(f'<text transform="translate({px} {top - 6}) rotate(-55)">{label}</text>')
        if id_ in total:
            out.append(f'<text x="{left - 6}" y="{top + size * i + 15}" text-anchor="end">{label}</text>')
    for (t, s), n in cells.items():
        if not n:
            continue
        share = n / total[t]
        colour = "#14622b" if t == s else "#a01313"
        ink = "#fff" if share > 0.5 else "#111"
        px, py = left + size * at[s], top + size * at[t]
        said = f"{called(t, names)} → {called(s, names)}: {n}"
        out.append(
            f'<g><title>{escape(said)}</title><rect x="{px}" y="{py}" width="{size - 1}" height="{size - 1}" '
            f'fill="{colour}" fill-opacity="{0.12 + 0.88 * share:.2f}"/>'
            f'<text x="{px + size / 2 - 0.5}" y="{py + 15}" text-anchor="middle" fill="{ink}">{n}</text></g>'
        )
    return "".join(out) + "</svg>"
