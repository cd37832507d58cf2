"""The monthly summary (clause 16): timeliness of divisions, quality, dynamics; what was collected; emergencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from desk.delays import first_delivery, percentile, summary
from desk.reports.blocks import (
    LENGTH,
    LINK,
    PERCENT,
    TEXT,
    TIME,
    Block,
    Chart,
    Column,
    Document,
    Heading,
    Map,
    Para,
    Spot,
    Table,
)  # fmt: skip
from desk.reports.calendar import Month, name, short
from desk.reports.figures import ADMINISTRATOR, Answers, ClockSums, Figures, Quality
from desk.sla import CLOCKS
from desk.text import NETWORKS, link, plain, plural, span, when
from store.values import SPIKE

NOBODY = "администратор (не направлено)"
OUTCOMES = {
    "complete": "полностью", "partial": "частично", "blocked": "закрыто сетью", "unauthorised": "нет доступа",
    "rate_limited": "предел запросов", "failed": "ошибка",
}  # fmt: skip
_CHART_TOPICS, _CHART_PLACES = 12, 40


@dataclass(frozen=True, slots=True)
class Material:
    """Everything a monthly summary is made of. `months`: this month last; `sums`: one for each; `before`: topics of the
    month before; `alerts`: of this month; `names`: topics and groups -> titles."""

    month: Month
    organisation: str
    zone: str
    at: datetime
    figures: Figures
    months: Sequence[Month]
    sums: Sequence[Mapping[str, int]]
    before: Mapping[tuple[str | None, str | None], int]
    coverage: Sequence[Mapping[str, Any]]
    alerts: Sequence[Mapping[str, Any]]
    divisions: Mapping[str, str]
    names: Mapping[str, str]


def document(m: Material) -> Document:
    """The report as blocks."""
    blocks: list[Block] = [Heading("Кратко"), *_summary(m)]
    blocks += [Heading("Своевременность по подразделениям"), *_timeliness(m)]
    blocks += [Heading("Качество"), *_quality(m)]
    blocks += [Heading("Динамика"), *_dynamics(m)]
    blocks += [Heading("О чём пишут"), *_topics(m)]
    blocks += [Heading("Где"), *_places(m)]
    blocks += [Heading("Чрезвычайное и повышенная активность"), *_alerts(m)]
    blocks += [Heading("Полнота сбора"), *_coverage(m)]
    return Document(
        f"month-{m.month[0]}-{m.month[1]:02d}",
        f"Работа с сообщениями из открытых источников: {name(m.month)}",
        f"{plain(m.organisation)}. Пункт 16 Регламента. По данным на {when(m.at, m.zone)}.",
        m.at,
        m.zone,
        blocks,
    )


def division_name(m: Mapping[str, str], id_: str) -> str:
    return NOBODY if id_ == ADMINISTRATOR else plain(m.get(id_, id_), 100)


def percent(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _summary(m: Material) -> list[Block]:
    f = m.figures
    if not f.received:
        return [Para("За этот месяц сообщений нет."), _summary_table(m)]
    answers = _all(f.answers)
    share = answers.share()
    told = "" if share is None else f" В срок: {share * 100:.1f} %.".replace(".", ",", 1)
    words = (
        f"Поступило {plural(f.received, 'сообщение', 'сообщения', 'сообщений')}, требуют ответа "
        f"{answers.total}, отвечено {answers.answered}, просрочено без ответа {answers.overdue}.{told}"
    )
    return [Para(words), _summary_table(m)]


def _summary_table(m: Material) -> Table:
    f, a = m.figures, _all(m.figures.answers)
    rows: list[tuple[str, Any, str]] = [
        ("Поступило сообщений", f.received, ""),
        ("требуют ответа", a.total, "реагирование: нужен ответ"),
        ("ответ не нужен", f.by_reaction["none"], "благодарности, разговоры"),
        ("можно не рассматривать", f.by_reaction["refuse"], "основания пунктов 9 и 10"),
        ("ещё не оценены", f.by_reaction[None], ""),
        ("срочных", f.urgent, ""),
        ("чрезвычайных", f.emergencies, "о них сразу извещён Глава"),
        ("повторных", f.repeats, "о том же вопросе писали раньше"),
        ("удалено авторами", f.deleted, ""),
        ("Отвечено", a.answered, "размещён ответ, в том числе промежуточный или перенаправление"),
        ("в срок", a.in_term.total(), ""),
        ("с опозданием", a.late.total(), ""),
        ("Без ответа, срок прошёл", a.overdue, ""),
        ("Без ответа, срок не прошёл", a.waiting, ""),
        ("Закрыто без ответа", a.without, "удалено автором или закрыто решением"),
    ]
    columns = (Column("Показатель", TEXT, 34), Column("Сообщений"), Column("Пояснение", TEXT, 50))
    return Table("Кратко", "Сообщения месяца", columns, rows)


def _all(answers: Mapping[str, Answers]) -> Answers:
    out = Answers()
    for a in answers.values():
        out.total += a.total
        out.in_term += a.in_term
        out.late += a.late
        out.overdue += a.overdue
        out.waiting += a.waiting
        out.without += a.without
        out.seconds.extend(a.seconds)
    return out


def _order(m: Material, ids: Sequence[str]) -> list[str]:
    """Divisions as the configuration lists them, others behind, the administrator last."""
    known = list(m.divisions)
    return sorted(ids, key=lambda i: (i == ADMINISTRATOR, known.index(i) if i in known else len(known), i))


def _timeliness(m: Material) -> list[Block]:
    f = m.figures
    columns = (
        Column("Подразделение", TEXT, 34), Column("Нужен ответ"), Column("Срочные: в срок"),
        Column("Срочные: поздно"), Column("Оперативные: в срок"), Column("Оперативные: поздно"),
        Column("Просрочено без ответа"), Column("Срок не прошёл"), Column("Закрыто без ответа"),
        Column("Доля в срок", PERCENT), Column("Половина ответов за", LENGTH), Column("90 % ответов за", LENGTH),
    )  # fmt: skip
    rows = []
    for id_ in _order(m, list(f.answers)):
        rows.append(_answers_row(division_name(m.divisions, id_), f.answers[id_]))
    rows.append(_answers_row("Всего", _all(f.answers)))
    table = Table("Своевременность", "Ответы в срок по подразделениям (пункт 7.3)", columns, rows)
    clock_columns = (
        Column("Кто", TEXT, 34), Column("Что", TEXT, 44), Column("В срок"), Column("Поздно"),
        Column("Не сделано, срок прошёл"), Column("Срок идёт"), Column("Доля в срок", PERCENT),
    )  # fmt: skip
    clocks = []
    for id_ in _order(m, sorted({d for d, _ in f.clocks})):
        for clock, title in CLOCKS.items():
            s: ClockSums | None = f.clocks.get((id_, clock))
            if s is not None:
                who = "администратор" if id_ == ADMINISTRATOR else division_name(m.divisions, id_)
                clocks.append((who, title, s.in_term, s.late, s.overdue, s.running, s.share()))
    chart = [r for r in rows[:-1] if r[1]]
    return [
        table,
        Chart(
            "timeliness", "Ответы по подразделениям", "bar", [r[0] for r in chart],
            {"в срок": [r[2] + r[4] for r in chart], "с опозданием": [r[3] + r[5] for r in chart],
             "просрочено": [r[6] for r in chart]},
        ),
        Table("Сроки", "Все сроки Регламента", clock_columns, clocks),
    ]  # fmt: skip


def _answers_row(title: str, a: Answers) -> tuple[Any, ...]:
    return (
        title, a.total, a.in_term["urgent"], a.late["urgent"], a.in_term["prompt"], a.late["prompt"], a.overdue,
        a.waiting, a.without, a.share(), percentile(a.seconds, 0.5), percentile(a.seconds, 0.9),
    )  # fmt: skip


def _quality(m: Material) -> list[Block]:
    f = m.figures
    columns = (
        Column("Подразделение", TEXT, 34), Column("Возвращено как чужое"), Column("из них поздно"),
        Column("Проектов на доработку"), Column("возвратов на доработку"), Column("Повторных обращений"),
        Column("Открыто снова"), Column("Продлён срок"), Column("Нарушено сроков"),
    )  # fmt: skip
    rows = []
    total = [0] * 8
    for id_ in _order(m, sorted({*f.quality, *f.broken, *f.answers})):
        q = f.quality.get(id_, Quality())
        row = [q.returned, q.returned_late, q.reworked, q.reworks, q.repeats, q.reopened, q.extended, f.broken[id_]]
        total = [a + b for a, b in zip(total, row, strict=True)]
        rows.append((division_name(m.divisions, id_), *row))
    rows.append(("Всего", *total))
    return [Table("Качество", "Возвраты, доработки, повторы, нарушенные сроки", columns, rows)]


def _dynamics(m: Material) -> list[Block]:
    columns = (
        Column("Месяц", TEXT, 18), Column("Поступило"), Column("Нужен ответ"), Column("Срочных"),
        Column("Чрезвычайных"), Column("Повторных"), Column("Отвечено"), Column("В срок"),
        Column("Доля ответов в срок", PERCENT), Column("Открыто, срок прошёл"), Column("Возвращено"),
        Column("На доработке"),
    )  # fmt: skip
    rows = [
        (
            name(month), s["received"], s["required"], s["urgent"], s["emergencies"], s["repeats"], s["answered"],
            s["in_term"], percent(s["in_term"], s["answered"]), s["overdue"], s["returned"], s["reworked"],
        )
        for month, s in zip(m.months, m.sums, strict=True)
    ]  # fmt: skip
    labels = [short(month) for month in m.months]
    return [
        Table("Динамика", "Месяц за месяцем", columns, rows),
        Chart("dynamics", "Поступило и отвечено", "column", labels,
              {"поступило": [r[1] for r in rows], "отвечено": [r[6] for r in rows]}),
        Chart("share", "Доля ответов в срок", "line", labels, {"в срок": [r[8] for r in rows]}, percent=True),
    ]  # fmt: skip


def _topics(m: Material) -> list[Block]:
    f = m.figures
    groups: dict[str | None, int] = {}
    for (group, _), n in f.topics.items():
        groups[group] = groups.get(group, 0) + n
    rows = []
    for (group, topic), n in sorted(f.topics.items(), key=lambda t: (-t[1], t[0][0] or "", t[0][1] or "")):
        before = m.before.get((group, topic), 0)
        rows.append((_title(m, group), _title(m, topic), n, percent(n, f.received), before, n - before))
    columns = (
        Column("Группа тем", TEXT, 34), Column("Тема", TEXT, 44), Column("Сообщений"), Column("Доля", PERCENT),
        Column("Месяцем раньше"), Column("Разница"),
    )  # fmt: skip
    top = sorted(groups.items(), key=lambda g: (-g[1], g[0] or ""))[:_CHART_TOPICS]
    return [
        Table("Темы", "Темы", columns, rows),
        Chart("topics", "Группы тем", "bar", [_title(m, g) for g, _ in top], {"сообщений": [n for _, n in top]}),
    ]


def _title(m: Material, id_: str | None) -> str:
    return plain(m.names.get(id_, id_), 80) if id_ else "не определена"


def _places(m: Material) -> list[Block]:
    f = m.figures
    ordered = sorted(f.places.items(), key=lambda p: (-p[1], p[0]))
    rows = [(plain(p, 80), n, percent(n, f.received)) for p, n in ordered]
    spots = [Spot(plain(p, 40), *f.where[p], n) for p, n in ordered if p in f.where][:_CHART_PLACES]
    note = "Одно сообщение может называть несколько мест; в строках с координатами место есть на рисунке."
    return [
        Map("map", "Места, о которых пишут", spots),
        Table("Места", "Места", (Column("Место", TEXT, 40), Column("Сообщений"), Column("Доля", PERCENT)), rows, note),
    ]


def _alerts(m: Material) -> list[Block]:
    real = [a for a in m.alerts if not a["drill"]]
    drills = len(m.alerts) - len(real)
    columns = (
        Column("№ тревоги", TEXT, 10), Column("Что", TEXT, 40), Column("Написано", TIME, 17),
        Column("Получено", TIME, 17), Column("Тревога", TIME, 17), Column("Доставлена через", LENGTH),
        Column("Подтверждена через", LENGTH), Column("Ссылка", LINK, 40),
    )  # fmt: skip
    rows = []
    for a in real:
        places = ", ".join(plain(p["name"], 40) for p in (a["assessment"] or {}).get("places") or ())
        what = plain(a["kind"] or "возможно ЧП", 80)
        if a["kind"] == SPIKE:
            what = plain(a["text"].partition(". ")[0], 200)
        elif places:
            what = f"{what}: {places}"
        acknowledged = a["acknowledged_at"]
        rows.append(
            (
                str(a["id"]), what, a["published_at"], a["collected_at"], a["created_at"], first_delivery(a),
                None if acknowledged is None else (acknowledged - a["created_at"]).total_seconds(), link(a["url"]),
            )
        )  # fmt: skip
    delivered = summary([r[5] for r in rows if r[5] is not None])
    taken = summary([r[6] for r in rows if r[6] is not None])
    words = f"Тревог: {len(real)}, учебных: {drills}."
    if delivered["n"]:
        words += f" Первая доставка: половина за {span(delivered['p50'])}, 95 % за {span(delivered['p95'])}."
    if taken["n"]:
        words += f" Подтверждение: половина за {span(taken['p50'])}, 95 % за {span(taken['p95'])}."
    if undelivered := sum(r[5] is None for r in rows):
        words += f" Не доставлено: {undelivered}."
    return [Para(words), Table("Тревоги", "Тревоги месяца (пункт 17)", columns, rows)]


def _coverage(m: Material) -> list[Block]:
    columns = (
        Column("Страница", TEXT, 40), Column("Сеть", TEXT, 14), Column("Запусков"), Column("Новых"),
        *(Column(f"Время: {word}", LENGTH) for word in OUTCOMES.values()), Column("Дольше всего без сбора", LENGTH),
        Column("Не хватает"), Column("Сообщений жителей"),
    )  # fmt: skip
    rows = []
    for c in m.coverage:
        rows.append(
            (
                plain(c["title"], 80) or plain(c["page_id"], 80), NETWORKS.get(c["network"], plain(c["network"], 20)),
                c["runs"], c["new"], *(c["seconds"].get(o, 0.0) for o in OUTCOMES), c["longest_s"] or None, c["gap"],
                m.figures.pages[c["network"], c["page_id"]],
            )
        )  # fmt: skip
    note = (
        "Итог каждого запуска действует до начала следующего. «Не хватает»: сколько комментариев сеть насчитывала, а "
        "показать не показала, по последнему запуску, который это знал."
    )
    return [Table("Полнота", "Как собирались страницы", columns, rows, note)]
