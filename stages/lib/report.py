"""plots/report.html: the comparison on one page that needs nothing beside it.

What differs from run to run, seconds, is not on it, so that the same results make the same bytes;
metrics/costs/evaluate.csv has it.
"""

import base64
import io
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

import jinja2
from PIL import Image

from stages.lib import paths
from stages.lib.outputs import whole_file
from stages.lib.params import Params, Section

TEMPLATE = Path(__file__).with_name("report.html.jinja")
PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "scipy", "statsmodels", "cleanlab", "pillow", "dvc")
THUMBNAIL = 224  # pixels a side, at most
QUALITY = 85  # of JPEG
WITHOUT_EFFECT = {"compute"}  # on results: with it, the page would be another one for each engine


def percent(share: float) -> str:
    """A share in per cent, to one digit: 0.9123 is "91.2 %"."""
    return f"{100 * share:.1f} %"


def embed_chart(path: Path) -> str:
    """A PNG file as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def embed_photo(photo: Path | Image.Image) -> str:
    """A picture, small and compressed, as a data URI."""
    image = photo if isinstance(photo, Image.Image) else Image.open(photo)
    small = image.convert("RGB")
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def list_params(section: Section, prefix: str = "") -> list[tuple[str, Any]]:
    """Every parameter that results depend on and its value, in the order of params.yaml's sections."""
    rows = []
    for name in type(section).model_fields:
        if name in WITHOUT_EFFECT:
            continue
        value = getattr(section, name)
        rows += list_params(value, f"{prefix}{name}.") if isinstance(value, Section) else [(f"{prefix}{name}", value)]
    return rows


def list_versions() -> dict[str, str]:
    """Python's version and those of the packages that the numbers depend on."""
    return {"python": python_version(), **{package: version(package) for package in PACKAGES}}


def write_report(content: dict[str, Any], params: Params) -> None:
    """Fill the template and write the page.

    Args:
        content: what stages/lib/report.html.jinja names, see `stages.evaluate`. Text is escaped.
        params: all of them but `WITHOUT_EFFECT` stand on the page.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["share"] = percent
    environment.filters["level"] = lambda value: f"{100 * value:g} %"
    environment.filters["digits"] = lambda value: f"{value:.3f}"
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        **content, params=list_params(params), evaluate=params.evaluate, versions=list_versions()
    )
    with whole_file(paths.PLOTS / "report.html") as partial:
        partial.write_text(page, encoding="utf-8")
