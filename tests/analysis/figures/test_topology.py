"""A configuration as a graph: every role and every arrow that is declared, and nothing of data read as markup."""

import xml.etree.ElementTree as ET
from urllib.parse import unquote

import pytest

from coordeval.analysis.figures.topology import image, svg, topology
from coordeval.configurations import load

CLASSES = load().classes


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_each_configuration_that_can_be_used_is_a_graph_with_all_its_roles_and_arrows(name):
    elements = CLASSES[name].elements.as_dict()
    drawn = topology(elements)
    roles = [end["role"] for end in elements["endpoints"]]
    assert [box.role for box in drawn.boxes] == [*roles, "forecast"]
    assert {(a, b) for a, b in drawn.arrows if b != "forecast"} == {tuple(edge) for edge in elements["topology"]}
    assert bool(roles) is any(b == "forecast" for _, b in drawn.arrows), "somebody's word becomes the forecast"
    ET.fromstring(svg(drawn, label=name))
    for box in drawn.boxes:
        assert 0 <= box.x <= drawn.width
        assert 0 <= box.y < drawn.height


def test_boxes_do_not_lie_on_each_other():
    roles = [{"role": f"r{i}", "answers": "report"} for i in range(6)]
    drawn = topology({"endpoints": roles, "topology": [["r0", f"r{i}"] for i in range(1, 6)], "aggregation": "mean"})
    assert len({(box.x, box.y) for box in drawn.boxes}) == len(drawn.boxes)


@pytest.mark.parametrize(
    "elements",
    [None, {}, {"endpoints": ["forecaster × 3"], "topology": "none: agents never see each other"}, {"endpoints": 3}],
)
def test_what_is_declared_in_words_is_no_graph(elements):
    assert topology(elements) is None


def test_text_from_data_is_escaped():
    hostile = '<script>alert("1")</script>'
    text = svg(topology({"endpoints": [{"role": hostile}], "topology": [], "aggregation": hostile}), label=hostile)
    assert "<script" not in text
    ET.fromstring(text)


@pytest.mark.parametrize("dark", [False, True])
def test_a_picture_of_its_own_needs_no_page_for_its_colours_and_letters(dark):
    drawn = topology({"endpoints": [{"role": "a & b", "answers": "estimate"}], "topology": [], "aggregation": "mean"})
    text = unquote(image(drawn, label="<x>", dark=dark).removeprefix("data:image/svg+xml,"))
    assert "var(" not in text
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert (root.get("font-size"), root.get("fill")) == ("13", "#eceff1" if dark else "#1c2127")
