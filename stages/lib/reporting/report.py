"""plots/report.html: the comparison on one page that needs nothing beside it.

Seconds and milliseconds differ from run to run, and so do the lines that tell them; the rest is the same for the same
results.
"""

from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

from stages.lib.core import paths
from stages.lib.core.outputs import whole_file
from stages.lib.core.params import Params, Section
from stages.lib.core.prose import templates

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "scipy", "statsmodels", "pillow", "dvc")
WITHOUT_EFFECT = {"compute", "export"}  # on what the page tells: with compute, it would be another one for each engine


def list_params(section: Section, prefix: str = "") -> list[tuple[str, Any]]:
    """Every parameter that results depend on and its value, in the order of params.yaml's sections."""
    rows = []
    for name in type(section).model_fields:
        if name in WITHOUT_EFFECT:
            continue
        value = getattr(section, name)
        if isinstance(value, Section):
            rows += list_params(value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            rows += [row for key, each in value.items() for row in list_params(each, f"{prefix}{name}.{key}.")]
        else:
            rows.append((f"{prefix}{name}", value))
    return rows


def list_versions() -> dict[str, str]:
    """Python's version and those of the packages that the numbers depend on."""
    return {"python": python_version(), **{package: version(package) for package in PACKAGES}}


def write_report(content: dict[str, Any], params: Params) -> None:
    """Fill the template and write the page.

    Args:
        content: what templates/report.html.jinja names, see `stages.report`. Text is escaped.
        params: all of them but `WITHOUT_EFFECT` stand on the page.
    """
    template = templates(Path(__file__).parent / "templates").get_template("report.html.jinja")
    page = template.render(
        **content,
        params=list_params(params),
        families=params.families,
        main_backbone=params.main_backbone,
        evaluate=params.evaluate,
        versions=list_versions(),
    )
    with whole_file(paths.PLOTS / "report.html") as partial:
        partial.write_text(page, encoding="utf-8")
