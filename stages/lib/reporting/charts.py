"""Charts and picture sheets: one look, colours that colour-blind people can tell apart."""

import io
import textwrap
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from PIL import Image

from stages.lib.core.outputs import whole_file
from stages.lib.core.splits import SPLITS

SHEET_COLUMNS = 10
SHEET_ROWS = 12  # more breeds than that would make a sheet that nobody scrolls through
NAME_WIDTH = 0.09  # inches a letter of a breed's name, on average
TITLE_WIDTH = 0.105  # and of a sheet's title
BARS = 30
DPI = 100
COLOURS = 256  # of a PNG: a palette makes it a third as large, no pixel of those tried differs by more than 19 of 255

sns.set_theme(style="whitegrid", palette="colorblind")
plt.rcParams["text.parse_math"] = False  # a breed's name may hold two dollar signs


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


def contact_sheet(rows: dict[str, list[Path]], title: str) -> Figure:
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
            with Image.open(file) as image:
                cell.imshow(image)
    figure.suptitle("\n".join(heading))
    return figure
