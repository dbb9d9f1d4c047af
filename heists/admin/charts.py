"""Bar charts as inline SVG, drawn on the server: no script and no request.

The colours of both themes are in `heists/admin.css`. Series differ by their pattern as well as by their colour. A chart
is never drawn smaller than its size in pixels, so its texts stay readable on a phone, where it scrolls. The scroll
starts at the right, so the axis of values is there, beside the newest day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

# Sizes in pixels. A chart of few columns fits a phone.
WIDTH, NARROW_WIDTH, HEIGHT = 840, 340, 220
NARROW_COLUMNS = 12
LEFT, TOP, BOTTOM = 6, 10, 30
# An estimate for the font size of the axis, which is in the style sheet.
CHARACTER_WIDTH = 6.5
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
# Distances of the grid's lines, times a power of ten.
STEPS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)


@dataclass(frozen=True, slots=True)
class Bar:
    """One column: its label on the axis, its values from the bottom up, its tooltip, and its link.

    `partial` marks a day that is not over.
    """

    label: str
    values: Sequence[int]
    title: str
    url: str | None = None
    partial: bool = False


class Scale(NamedTuple):
    """Where columns and values are drawn, in pixels."""

    right: float
    width: int
    step: float
    per_value: float


def bars(chart: str, title: Any, columns: Sequence[Bar]) -> SafeString:
    """Return a chart of stacked columns. `chart` becomes part of element ids and is unique on the page."""
    top = ceiling(max((sum(column.values) for column in columns), default=0))
    narrow = len(columns) <= NARROW_COLUMNS
    width = NARROW_WIDTH if narrow else WIDTH
    right = width - len(_number(top)) * CHARACTER_WIDTH - 14
    scale = Scale(right, width, (right - LEFT) / max(1, len(columns)), (HEIGHT - TOP - BOTTOM) / top)
    drawn = format_html_join(
        "\n", "{}", ((_column(chart, column, number, scale),) for number, column in enumerate(columns))
    )
    series = max((len(column.values) for column in columns), default=1)
    return format_html(
        '<div class="heists-scroll" tabindex="0" role="region" aria-label="{}">'
        '<svg class="heists-chart{}" width="{}" height="{}" viewBox="0 0 {} {}" role="{}" aria-label="{}">'
        "<defs>{}</defs>{}{}{}</svg></div>",
        title,
        " heists-narrow" if narrow else "",
        width,
        HEIGHT,
        width,
        HEIGHT,
        # Screen readers skip the content of an image, so a chart with links is a group.
        "group" if any(column.url for column in columns) else "img",
        title,
        _patterns(chart, series),
        _grid(top, scale),
        drawn,
        _labels(columns, scale),
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
    size = 1
    while True:
        for step in STEPS:
            line = size * step
            if line == int(line) and 4 * line >= value:
                return 4 * int(line)
        size *= 10


def _number(value: int) -> str:
    return number_format(value, force_grouping=True)


def _patterns(chart: str, series: int) -> SafeString:
    return format_html_join(
        "",
        '<pattern id="heists-{}-{}" width="16" height="16" patternUnits="userSpaceOnUse" class="heists-series-{}">'
        '<rect width="16" height="16"/><path d="{}"/></pattern>',
        ((chart, number, number, PATTERNS[number % len(PATTERNS)]) for number in range(series)),
    )


def _grid(top: int, scale: Scale) -> SafeString:
    lines = [(TOP + (top - value) * scale.per_value, value) for value in range(0, top + 1, top // 4)]
    return format_html_join(
        "",
        '<path class="heists-grid" d="M{} {}H{}"/><text class="heists-axis" x="{}" y="{}" aria-hidden="true">{}</text>',
        (
            (LEFT, f"{y:.1f}", f"{scale.right:.1f}", f"{scale.right + 8:.1f}", f"{y + 4:.1f}", _number(v))
            for y, v in lines
        ),
    )


def _column(chart: str, column: Bar, number: int, scale: Scale) -> SafeString:
    x, y = LEFT + number * scale.step, float(HEIGHT - BOTTOM)
    rects = []
    for series, value in enumerate(column.values):
        if value:
            height = value * scale.per_value
            y -= height
            rects.append(
                (
                    " heists-partial" if column.partial else "",
                    f"{x + scale.step * 0.1:.1f}",
                    f"{y:.1f}",
                    f"{scale.step * 0.8:.1f}",
                    f"{height:.1f}",
                    chart,
                    series,
                )
            )
    drawn = format_html_join(
        "",
        '<rect class="heists-bar{}" x="{}" y="{}" width="{}" height="{}" fill="url(#heists-{}-{})"/>',
        rects,
    )
    tooltip = format_html("<title>{}</title>", column.title)
    # Without a bar there is nothing to see, so the Tab key must not stop here.
    if column.url and rects:
        name = "; ".join(column.title.splitlines())
        return format_html('<a href="{}" aria-label="{}">{}{}</a>', column.url, name, tooltip, drawn)
    return format_html("<g>{}{}</g>", tooltip, drawn)


def _labels(columns: Sequence[Bar], scale: Scale) -> SafeString:
    """Return as many labels as fit side by side, the last column's among them."""
    longest = max((len(column.label) for column in columns), default=1) * CHARACTER_WIDTH
    every = max(1, -int(-(longest + 8) // scale.step))
    shown = []
    for number, column in enumerate(columns):
        if (len(columns) - 1 - number) % every == 0:
            half = len(column.label) * CHARACTER_WIDTH / 2
            middle = min(LEFT + (number + 0.5) * scale.step, scale.width - half)
            shown.append((f"{max(middle, half):.1f}", HEIGHT - 6, column.label))
    return format_html_join(
        "", '<text class="heists-axis" x="{}" y="{}" text-anchor="middle" aria-hidden="true">{}</text>', shown
    )
