"""Charts and picture sheets: one look, colours that colour-blind people can tell apart."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from stages.lib.core.models import VARIANTS
from stages.lib.core.outputs import whole_file
from stages.lib.core.splits import SPLITS

SHEET_COLUMNS = 10
SHEET_ROWS = 12  # more breeds than that would make a sheet that nobody scrolls through
NAME_WIDTH = 0.09  # inches a letter of a breed's or a model's name, on average
TITLE_WIDTH = 0.105  # and of a sheet's title
BARS = 30
PANEL_COLUMNS = 4
PANEL_NAME = 27  # letters, for which there is room above a panel
DPI = 100
COLOURS = 256  # of a PNG: a palette makes it a third as large, no pixel of those tried differs by more than 19 of 255

sns.set_theme(style="whitegrid", palette="colorblind")
plt.rcParams["text.parse_math"] = False  # a breed's name may hold two dollar signs

# what a model is in its family, in the same colour and with the same mark in each
ROLES = (*VARIANTS, "finetune")
ROLE_COLOURS = dict(zip(ROLES, sns.color_palette("colorblind", len(ROLES)), strict=True))
ROLE_MARKS = dict(zip(ROLES, "osD", strict=True))


def colours_for(count: int) -> list[tuple[float, float, float]]:
    """``count`` colours, all different; colour-blind people can tell the first ten apart."""
    return sns.color_palette("colorblind" if count <= 10 else "husl", count)


def role(model: str) -> str:
    """Which of `ROLES` a model has: the last word of its name."""
    return model.rpartition("_")[2]


def panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` panels in rows of `PANEL_COLUMNS`, each ``height`` inches high, and room for a legend."""
    columns = min(count, PANEL_COLUMNS)
    rows = -(-count // columns)
    size = (3.1 * max(columns, 2), height * rows + 0.5)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat[count:]:
        axis.axis("off")
    return figure, list(axes.flat[:count])


def legend_of_roles(figure: Figure, styles: Mapping[str, Any], title: str) -> None:
    """Say above the panels what they show, which role has which colour, and which line of ``styles`` means what."""
    handles = [Line2D([], [], color=colour, linewidth=3, label=name) for name, colour in ROLE_COLOURS.items()]
    handles += [Line2D([], [], color="0.3", linestyle=style, label=name) for name, style in styles.items()]
    figure.legend(handles=handles, ncols=len(handles), title=title, title_fontsize=12, loc="outside upper center")


def break_name(name: str) -> str:
    """A name on as many lines as it takes above a panel, broken behind its underscores."""
    return "\n".join(textwrap.wrap(name.replace("_", "_ "), PANEL_NAME)).replace("_ ", "_")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, or as JPEG (for sheets of photos) where ``path`` says so, and close it.

    The same content gives the same bytes: no date and no version goes into the file.
    """
    with whole_file(path) as partial:
        if path.suffix == ".jpg":
            figure.savefig(partial, format="jpg", dpi=DPI, pil_kwargs={"quality": 88})
        else:
            draw_with_palette(figure).save(partial, format="PNG", optimize=True)
    plt.close(figure)


def draw_with_palette(figure: Figure) -> Image.Image:
    """Draw a figure in the `COLOURS` that suit it best."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    image = Image.open(drawn).convert("RGB")
    # of Pillow's methods the one that keeps rare colours, such as those of a thin line
    return image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)


def class_balance(balance: pd.DataFrame) -> Figure:
    """Photos a breed and split, as bars, the largest breed first.

    ``balance`` has the columns breed, split, photos. Where there are more than `BARS` breeds, those with the fewest
    photos are shown.
    """
    table = balance.pivot(index="breed", columns="split", values="photos").fillna(0)[list(SPLITS)]
    order = table.sum(axis=1).sort_values(ascending=False, kind="stable").index[-BARS:]
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.4 * len(order)), layout="constrained")
    left = pd.Series(0, index=order)
    for split in SPLITS:
        bars = axes.barh(order, table.loc[order, split], left=left, label=split)
        axes.bar_label(bars, fmt="%d", label_type="center", color="white")
        left = left + table.loc[order, split]
    axes.invert_yaxis()
    axes.set(xlabel="pictures", ylabel="", title="Pictures of each breed")
    if len(order) < len(table):
        axes.set_title(f"Pictures of the {len(order)} of {len(table)} breeds that have the fewest")
        axes.margins(y=0.01)  # of the height, which is more where there are more bars
    axes.grid(axis="y", visible=False)
    axes.legend(title="split", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def contact_sheet(rows: Mapping[str, Sequence[Path | Image.Image]], title: str) -> Figure:
    """Lay pictures out in named rows, at most `SHEET_ROWS` by `SHEET_COLUMNS` of them."""
    shown = dict(list(rows.items())[:SHEET_ROWS])
    columns = min(SHEET_COLUMNS, max(map(len, shown.values())))
    more = f" ({len(shown)} of {len(rows)} breeds)" if len(shown) < len(rows) else ""
    width = columns * 1.15 + max(1, NAME_WIDTH * max(map(len, shown)))  # inches
    heading = textwrap.wrap(title + more, int(width / TITLE_WIDTH))
    size = (width, len(shown) * 1.15 + 0.25 * (len(heading) + 1))
    figure, axes = plt.subplots(len(shown), columns, figsize=size, squeeze=False)
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    for (name, files), line in zip(shown.items(), axes, strict=True):
        for cell in line:
            cell.axis("off")
        line[0].set_anchor("W")  # or the name, laid out for a square at the left, would be cut off
        line[0].text(-0.12, 0.5, name, transform=line[0].transAxes, ha="right", va="center", fontsize=11)
        for file, cell in zip(files, line, strict=False):
            with file if isinstance(file, Image.Image) else Image.open(file) as image:
                cell.imshow(image)
    figure.suptitle("\n".join(heading))
    return figure
