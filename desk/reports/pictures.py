"""Charts and the picture of places as PNG: the same figures give the same bytes (no time, no version in the file)."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import Any

from desk.reports.blocks import Chart, Map, Spot

COLOURS = ("#2f6f9f", "#d9822b", "#b3333a", "#5b8c5a")
DPI = 110


def chart_png(chart: Chart) -> bytes:
    """A chart 7 inches wide; the height follows the number of bars."""
    lying = chart.kind == "bar"
    height = max(2.2, 0.36 * len(chart.categories) + 1.2) if lying else 3.0
    figure, axes = _figure(7.0, min(height, 20.0), chart.title)
    labels = [_short(c) for c in chart.categories]
    places = range(len(labels))
    if not labels:
        axes.text(0.5, 0.5, "нет данных", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
    elif lying:
        left = [0.0] * len(labels)
        for (name, values), colour in zip(chart.series.items(), COLOURS, strict=False):
            axes.barh(places, values, left=left, color=colour, label=name, height=0.7)
            left = [a + (b or 0) for a, b in zip(left, values, strict=True)]
        axes.set_yticks(list(places), labels)
        axes.invert_yaxis()
        for place, total in zip(places, left, strict=True):
            axes.annotate(
                f"{total:g}", (total, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7
            )
    elif chart.kind == "column":
        wide = 0.8 / max(len(chart.series), 1)
        for i, ((name, values), colour) in enumerate(zip(chart.series.items(), COLOURS, strict=False)):
            axes.bar(
                [p + (i - (len(chart.series) - 1) / 2) * wide for p in places], values, wide, color=colour, label=name
            )
        axes.set_xticks(list(places), labels)
    else:
        for (name, values), colour in zip(chart.series.items(), COLOURS, strict=False):
            axes.plot(list(places), [math.nan if v is None else v for v in values], "o-", color=colour, label=name)
        axes.set_xticks(list(places), labels)
    if chart.percent:
        from matplotlib.ticker import PercentFormatter

        axes.set_ylim(0, 1.05)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if len(chart.series) > 1 and labels:
        axes.legend(fontsize=8, frameon=False, loc="best")
    return _png(figure)


def map_png(picture: Map) -> bytes:
    """Places where they lie, north up, the area of a circle as the number of messages."""
    figure, axes = _figure(7.0, 5.5, picture.title)
    if not picture.spots:
        axes.text(0.5, 0.5, "мест с координатами нет", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return _png(figure)
    most = max(s.n for s in picture.spots)
    axes.scatter(
        [s.lon for s in picture.spots], [s.lat for s in picture.spots],
        s=[30 + 900 * s.n / most for s in picture.spots], c=COLOURS[0], alpha=0.55, edgecolors="white", linewidths=0.8,
    )  # fmt: skip
    for s in _labelled(picture.spots):
        axes.annotate(f"{_short(s.name)}: {s.n}", (s.lon, s.lat), xytext=(5, 5), textcoords="offset points", fontsize=7)
    middle = sum(s.lat for s in picture.spots) / len(picture.spots)
    axes.set_aspect(1 / max(0.1, math.cos(math.radians(middle))), adjustable="datalim")
    axes.margins(0.15)
    axes.grid(True, color="#e3e3e3", linewidth=0.6)
    axes.set_xlabel("долгота", fontsize=8)
    axes.set_ylabel("широта", fontsize=8)
    axes.ticklabel_format(useOffset=False)
    return _png(figure)


def _labelled(spots: Sequence[Spot]) -> list[Spot]:
    """The larger ones, unless another one with a label lies at the same spot."""
    taken: set[tuple[float, float]] = set()
    out = []
    for s in spots:
        at = (round(s.lat, 2), round(s.lon, 2))
        if at not in taken:
            taken.add(at)
            out.append(s)
    return out[:25]


def _short(text: str) -> str:
    # A dollar sign would begin a formula of the drawing library.
    return (text if len(text) <= 38 else text[:37] + "…").replace("$", "\\$")


def _figure(width: float, height: float, title: str) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _png(figure: Any) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that the font does not have becomes a box
        figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
