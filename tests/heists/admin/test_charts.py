"""The charts: valid, to scale, readable, and usable without the admin's own style sheets."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import Any

import pytest

from heists.admin import charts
from tests import ROOT


def tree(columns: list[charts.Bar]) -> Any:
    return ET.fromstring(charts.bars("x", "a chart", columns))  # noqa: S314


def days(number: int, **fields: Any) -> list[charts.Bar]:
    return [charts.Bar(f"Sept. {day % 30 + 1}", [5], f"day {day}", **fields) for day in range(number)]


@pytest.mark.parametrize(
    ("value", "round"), [(0, 4), (4, 4), (5, 8), (9, 12), (13, 16), (21, 24), (101, 120), (999, 1000), (1001, 1200)]
)
def test_the_axis_ends_at_a_round_number(value: int, round: int) -> None:
    assert charts.ceiling(value) == round


def test_the_highest_bar_takes_most_of_the_height() -> None:
    for value in range(8, 5000, 7):
        assert value <= charts.ceiling(value) <= 1.55 * value


def test_a_chart_is_valid_xml_and_escapes_its_texts() -> None:
    drawn = charts.bars("x", '<"&', [charts.Bar("<b>", [1, 2], "</title><script>", "/?a=1&b=2")])

    found = ET.fromstring(drawn)  # noqa: S314

    assert not [element for element in found.iter() if element.tag == "script"]


@pytest.mark.parametrize("number", [1, 7, 11, 30, 90, 365])
def test_labels_neither_overlap_nor_are_cut(number: int) -> None:
    svg = tree(days(number)).find("svg")
    labels = [text for text in svg.iter("text") if text.get("text-anchor") == "middle"]
    # A character of the font is at most 6.5 pixels wide on average.
    extents = [(float(text.get("x")) - 3.25 * len(text.text), len(text.text) * 6.5) for text in labels]

    assert extents[0][0] >= 0
    assert extents[-1][0] + extents[-1][1] <= float(svg.get("width")) + 0.1
    for (left, width), (next_left, _width) in pairwise(extents):
        assert left + width <= next_left
    assert labels[-1].text == days(number)[-1].label


def test_a_chart_with_links_is_no_image() -> None:
    assert tree(days(7, url="/?x=1")).find("svg").get("role") == "group"
    assert tree(days(7)).find("svg").get("role") == "img"


def test_a_link_says_where_it_leads_and_is_only_on_a_bar() -> None:
    columns = [*days(2, url="/?x=1"), charts.Bar("empty", [0], "nothing", "/?x=2")]

    links = list(tree(columns).iter("a"))

    assert [link.get("aria-label") for link in links] == ["day 0", "day 1"]


def test_only_a_day_that_is_not_over_is_dashed() -> None:
    bars = list(tree([*days(2), *days(1, partial=True)]).iter("rect"))
    dashed = ["heists-partial" in bar.get("class", "") for bar in bars if "heists-bar" in bar.get("class", "")]

    assert dashed == [False, False, True]


def test_every_colour_has_a_fallback_for_admins_without_variables() -> None:
    css = (ROOT / "heists" / "static" / "heists" / "admin.css").read_text()

    assert re.findall(r"var\([^,)]*\)", css) == []
    assert "var(" in css
