"""Bar charts as inline SVG, drawn on the server: no script and no request.

The colours of both themes are in `heists/admin.css`. Series differ by their pattern as well as by their colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

WIDTH, HEIGHT = 960, 250
LEFT, RIGHT, TOP, BOTTOM = 56, 8, 10, 26
# The pattern drawn over the colour of each series, as SVG paths. The first series is plain.
PATTERNS = (
    "",
    "M-2 10L10 -2M-2 18L18 -2M6 18L18 6",
    "M4 4h1M12 12h1",
    "M0 4H16M0 12H16",
    "M-2 6L10 18M-2 -2L18 18M6 -2L18 10",
    "M4 0V16M12 0V16",
    "M0 8H16M8 0V16",
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One column: its label on the axis, its values from the bottom up, its tooltip, and its link."""

    label: str
    values: Sequence[int]
    title: str
    url: str = ""


def bars(chart: str, title: Any, columns: Sequence[Bar]) -> SafeString:
    """Return a chart of stacked columns. `chart` becomes part of element ids and is unique on the page."""
    top = ceiling(max((sum(column.values) for column in columns), default=0))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(columns))
    scale = (HEIGHT - TOP - BOTTOM) / top
    # At most this many labels stand side by side.
    every = -(-len(columns) // 12)
    drawn = format_html_join(
        "\n",
        "{}",
        (
            (_column(chart, column, LEFT + number * step, step, scale, labelled=number % every == 0),)
            for number, column in enumerate(columns)
        ),
    )
    series = max((len(column.values) for column in columns), default=1)
    return format_html(
        '<svg class="heists-chart" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        "<title>{}</title><defs>{}</defs>{}{}</svg>",
        WIDTH,
        HEIGHT,
        title,
        title,
        _patterns(chart, series),
        _grid(top, scale),
        drawn,
    )


def swatch(chart: str, number: int) -> SafeString:
    """Return the legend symbol of one series of a chart."""
    return format_html(
        '<svg class="heists-swatch" viewBox="0 0 24 16" aria-hidden="true">'
        '<rect class="heists-bar" width="24" height="16" fill="url(#heists-{}-{})"/></svg>',
        chart,
        number,
    )


def ceiling(value: int) -> int:
    """Return the smallest round number that is not below the value; a multiple of four, for the grid lines."""
    size = 4
    while True:
        for step in (1, 2, 3, 5):
            if size * step >= value:
                return size * step
        size *= 10


def _patterns(chart: str, series: int) -> SafeString:
    return format_html_join(
        "",
        '<pattern id="heists-{}-{}" width="16" height="16" patternUnits="userSpaceOnUse" class="heists-series-{}">'
        '<rect width="16" height="16"/><path d="{}"/></pattern>',
        ((chart, number, number, PATTERNS[number % len(PATTERNS)]) for number in range(series)),
    )


def _grid(top: int, scale: float) -> SafeString:
    lines = [(TOP + (top - value) * scale, value) for value in range(0, top + 1, top // 4)]
    return format_html_join(
        "",
        '<path class="heists-grid" d="M{} {}H{}"/><text class="heists-axis" x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (LEFT, f"{y:.1f}", WIDTH - RIGHT, LEFT - 8, f"{y + 4:.1f}", number_format(value, force_grouping=True))
            for y, value in lines
        ),
    )


def _column(chart: str, column: Bar, x: float, step: float, scale: float, *, labelled: bool) -> SafeString:
    y = float(HEIGHT - BOTTOM)
    rects = []
    for number, value in enumerate(column.values):
        if value:
            y -= value * scale
            rects.append(
                (f"{x + step * 0.1:.1f}", f"{y:.1f}", f"{step * 0.8:.1f}", f"{value * scale:.1f}", chart, number)
            )
    drawn = format_html_join(
        "", '<rect class="heists-bar" x="{}" y="{}" width="{}" height="{}" fill="url(#heists-{}-{})"/>', rects
    )
    tooltip = format_html("<title>{}</title>", column.title)
    if column.url:
        drawn = format_html('<a href="{}">{}{}</a>', column.url, tooltip, drawn)
    else:
        drawn = format_html("<g>{}{}</g>", tooltip, drawn)
    label: SafeString = mark_safe("")
    if labelled:
        label = format_html(
            '<text class="heists-axis" x="{}" y="{}" text-anchor="middle">{}</text>',
            f"{x + step / 2:.1f}",
            HEIGHT - 8,
            column.label,
        )
    return format_html("{}{}", drawn, label)
