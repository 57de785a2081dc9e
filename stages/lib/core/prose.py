"""Sentences and pages, from Jinja templates that stand beside the code that fills them."""

from pathlib import Path
from typing import Any

import jinja2


def percent(share: float) -> str:
    """A share in per cent, to one digit: 0.9123 is "91.2 %"."""
    return f"{100 * share:.1f} %"


FILTERS = {
    "share": percent,
    "level": lambda share: f"{100 * share:g} %",
    "points": lambda share: f"{100 * abs(share):.1f} points",
    "digits": "{:.3f}".format,
    "thousands": "{:,.0f}".format,
}


def templates(folder: Path, autoescape: bool = True) -> jinja2.Environment:
    """The templates in ``folder``; a name that is not given is an error, and text from outside is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= FILTERS
    return environment


def render_lines(template: jinja2.Template, **values: Any) -> list[str]:
    """The paragraphs of a template for plain text, each as one line; those that are empty are left out."""
    paragraphs = template.render(**values).split("\n\n")
    return [" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip()]


def render_line(template: jinja2.Template, **values: Any) -> str:
    """A template for plain text as one line."""
    return " ".join(template.render(**values).split())
