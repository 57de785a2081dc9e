"""Sentences from templates: in one line, with figures as people read them, and nothing that is not given."""

import jinja2
import pytest
from pipeline_fixtures import ROOT

from stages.lib.core.prose import percent, render_line, render_lines, templates
from stages.lib.evaluation import answer, caveats, comparisons, data_size

PLAIN = [answer.ANSWER, caveats.CAVEATS, comparisons.VERDICT, data_size.ANSWER]


@pytest.fixture
def template(tmp_path):
    def write(text: str, autoescape: bool = False) -> jinja2.Template:
        (tmp_path / "it.jinja").write_text(text)
        return templates(tmp_path, autoescape).get_template("it.jinja")

    return write


@pytest.mark.parametrize(
    ("filtered", "value", "text"),
    [
        ("share", 0.91234, "91.2 %"),
        ("share", 1, "100.0 %"),
        ("level", 0.95, "95 %"),
        ("level", 0.999, "99.9 %"),
        ("points", -0.25, "25.0 points"),
        ("digits", 0.5, "0.500"),
        ("thousands", 1234567.0, "1,234,567"),
    ],
)
def test_figures_are_told_as_people_read_them(template, filtered, value, text):
    assert render_line(template(f"{{{{ value|{filtered} }}}}"), value=value) == text


def test_a_share_is_told_alike_by_templates_and_by_python():
    assert percent(0.12345) == "12.3 %"


def test_a_line_is_a_line_however_the_template_is_broken(template):
    broken = template(
        "{% if told %}\nOne\n  sentence,\n\n{% endif %}\n{% if not told %}another{% endif %}\n and its end.\n"
    )
    assert render_line(broken, told=True) == "One sentence, and its end."


def test_paragraphs_are_lines_and_those_that_are_empty_are_left_out(template):
    text = "{% if one %}\nThe first\nof them.\n\n{% endif %}\n{% if two %}\nThe second.\n\n{% endif %}\nThe last.\n"
    assert render_lines(template(text), one=True, two=False) == ["The first of them.", "The last."]
    assert render_lines(template("{% if one %}\nThe first.\n{% endif %}\n"), one=False) == []


def test_what_is_not_given_is_an_error_and_no_gap_in_a_sentence(template):
    with pytest.raises(jinja2.UndefinedError, match="'breed' is undefined"):
        render_line(template("Most for {{ breed }}."), photos=3)


@pytest.mark.parametrize(("autoescape", "text"), [(True, "&lt;b&gt;"), (False, "<b>")])
def test_text_from_outside_is_escaped_on_a_page_and_left_as_it_is_in_a_sentence(template, autoescape, text):
    assert render_line(template("{{ name }}", autoescape), name="<b>") == text


def test_no_sentence_of_a_terminal_is_escaped_and_every_page_is():
    assert [each.environment.autoescape for each in PLAIN] == [False] * len(PLAIN)
    pages = [path.read_text() for path in (ROOT / "stages").rglob("*.html.jinja")]
    assert len(pages) >= 3
    assert all("|safe }}" not in page.replace('"|safe)', "") for page in pages), "a value is put in unescaped"


def test_every_template_stands_beside_the_code_that_fills_it():
    """So that a stage that depends on the package depends on the template, too."""
    for path in (ROOT / "stages").rglob("*.jinja"):
        assert path.parent.name == "templates"
        named = [module for module in path.parent.parent.glob("*.py") if f'"{path.name}"' in module.read_text()]
        assert len(named) == 1, path
