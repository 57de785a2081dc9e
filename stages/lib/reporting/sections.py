"""What the sections of the report show, for its template."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.lib.core import paths
from stages.lib.core.models import find_backbone, list_scorers
from stages.lib.core.params import Params
from stages.lib.core.tables import read_csv
from stages.lib.datasets.pictures import read_picture
from stages.lib.datasets.predictions import read_nearest
from stages.lib.evaluation import galleries
from stages.lib.evaluation.families import MISTAKEN, tabulate_families
from stages.lib.evaluation.notice import LeftOut, tell_notice
from stages.lib.evaluation.scores import MANY_BREEDS
from stages.lib.reporting.embedding import SMALL, embed_chart, embed_photo, overlay
from stages.lib.reporting.score_charts import MATRIX_BREEDS

CHARTS = ("accuracy", "costs", "familiarity", "learning_curves", "recall", "reliability", "risk_coverage", "data_size")
SHOWN_LABELS = 24  # suspicious ones; the CSV has all
SHOWN_FAMILIES = 8  # of breeds, those with the most mistakes within them
TEST = paths.PREPARED / "test"


def hash_of_test(manifest: pd.DataFrame) -> str:
    """The sha256 of the test photos' own, one a line, in the manifest's order."""
    digests = manifest.loc[manifest["split"] == "test", "sha256"]
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()


def results(
    scores: dict[str, dict[str, Any]], comparisons: pd.DataFrame, report: pd.DataFrame, best: str
) -> dict[str, Any]:
    """The numbers and charts.

    Args:
        scores: of each model, as in metrics/evaluate.json.
        comparisons: plots/comparisons.csv.
        report: plots/classification_report.csv.
        best: the model that is best on val.
    """
    breeds = report[report["model"] == best].to_dict("records")
    manifest = pd.read_csv(paths.PREPARED / "manifest.csv", dtype=str, keep_default_na=False)
    return {
        "test_hash": hash_of_test(manifest),
        "scores": scores,
        "comparisons": comparisons.to_dict("records"),
        "breeds": breeds,
        "many_breeds": len(breeds) > MATRIX_BREEDS,
        "charts": {name: embed_chart(paths.PLOTS / f"{name}.png") for name in CHARTS},
        "matrices": {model: embed_chart(paths.CONFUSION / f"{model}.png") for model in scores},
    }


def costs(table: pd.DataFrame, backbones: Iterable[str]) -> dict[str, Any]:
    """What each model costs, and what each backbone took for photos and views: metrics/costs/features/<backbone>.

    ``table`` is metrics/costs/evaluate.csv.
    """
    prepared = {
        backbone: {
            pictures: json.loads((paths.FEATURE_COSTS / backbone / f"{pictures}.json").read_text(encoding="utf-8"))
            for pictures in ("photos", "views")
        }
        for backbone in backbones
    }
    return {"costs": table.set_index("model").to_dict("index"), "prepared": prepared}


def with_pictures(rows: pd.DataFrame, folder: Path = TEST) -> list[dict[str, Any]]:
    """The rows of a table that names photos in ``folder``, with their pictures."""
    records: list[dict[Any, Any]] = rows.to_dict("records")
    return [{**row, "picture": embed_photo(folder / f"{row['photo']}.png")} for row in records]


def explained() -> dict[str, list[dict[str, Any]]]:
    """The photos of data/explained, and over each where the network looked, the right answers and the wrong ones."""
    rows = read_csv(paths.EXPLAINED / "photos.csv")
    heats = np.load(paths.EXPLAINED / "heat.npy", allow_pickle=False)
    shown = [
        {**row, "heat": embed_photo(overlay(read_picture(TEST / f"{row['photo']}.png"), heat))}
        for row, heat in zip(with_pictures(rows), heats, strict=True)
    ]
    return {
        title: [row for row in shown if (row["actual"] == row["predicted"]) == right]
        for title, right in (("Right", True), ("Wrong", False))
    }


def photos(predictions: pd.DataFrame) -> dict[str, Any]:
    """The photos of the best model: plots/predictions/<best>.csv."""
    rows = predictions[["photo", "actual", "predicted", "confidence"]]
    pairs = galleries.confused_pairs(rows).to_dict("records")
    for pair in pairs:
        sides = ((pair["one"], pair["other"]), (pair["other"], pair["one"]))
        pair["sides"] = [with_pictures(galleries.photos_of_pair(rows, *side)) for side in sides]
    breeds = sorted({*rows["actual"], *rows["predicted"]})
    families = (
        tabulate_families(rows, breeds).head(SHOWN_FAMILIES).to_dict("records") if len(breeds) > MANY_BREEDS else []
    )
    of_breeds = {"families_of_breeds": families, "family_share": MISTAKEN}
    return {**of_breeds, "pairs": pairs, "worst": with_pictures(galleries.worst_errors(rows)), "explained": explained()}


def read_left_out(backbone: str) -> LeftOut:
    """What came of breeds left out, by a backbone's features."""
    summary = json.loads((paths.LEFT_OUT / f"{backbone}.json").read_text(encoding="utf-8"))
    table = read_csv(paths.LEFT_OUT_TABLES / f"{backbone}.csv")
    return LeftOut(summary, table.astype(object).where(table.notna(), None).to_dict("records"))


def mistaken(familiarity: pd.DataFrame, backbone: str | None) -> dict[str, list[dict[str, Any]]]:
    """Unknown photos that pass for known, and test photos that are turned away, each with the photos most like it.

    ``familiarity`` are the rows of one model in plots/familiarity.csv, ``backbone`` is what it is on.
    """
    nearest = read_nearest(backbone)
    shown = galleries.mistaken_familiarity(familiarity)
    found = {}
    for split, folder in (("unknown", paths.UNKNOWN), ("test", TEST)):
        found[split] = with_pictures(shown[shown["split"] == split], folder)
        for row in found[split]:
            alike = nearest[(nearest["split"] == split) & (nearest["photo"] == row["photo"])]
            row["alike"] = [
                {"breed": breed, "picture": embed_photo(paths.PREPARED / file, SMALL)}
                for breed, file in zip(alike["breed"], alike["nearest"], strict=True)
            ]
    return found


def unknown(
    scores: dict[str, dict[str, Any]], familiarity: pd.DataFrame, best: str, params: Params, subject: str
) -> dict[str, Any]:
    """What is noticed that is none of the breeds.

    Args:
        scores: of each model, as in metrics/evaluate.json.
        familiarity: plots/familiarity.csv.
        best: the model that is best on val.
        params: backbones, evaluate and data.unknown are used.
        subject: the test photos, in words.
    """
    left_out = {backbone: read_left_out(backbone) for backbone in params.backbones}
    backbone = find_backbone(best, params.families)
    of_best = None if backbone is None else left_out[backbone]
    asked, level = params.evaluate.turned_away, params.evaluate.confidence_level
    return {
        "notice": tell_notice(best, scores[best], subject, params.data.unknown, asked, level, of_best),
        "scorers": [
            {"name": name, **scores[model], "left_out": left_out.get(name)}
            for name, model in list_scorers(params.families).items()
        ],
        "left_out_of_best": of_best,
        "unknown_source": params.data.unknown,
        "mistaken": mistaken(familiarity[familiarity["model"] == best], backbone),
    }


def more_photos(table: pd.DataFrame) -> dict[str, Any]:
    """The first of plots/more_photos.csv, and how many breeds it has."""
    return {"more_photos": table.head(MANY_BREEDS).to_dict("records"), "ranked_breeds": len(table)}


def suspicious_labels(table: pd.DataFrame, found: dict[str, Any]) -> dict[str, Any]:
    """The first of plots/suspicious_labels.csv; ``found`` is metrics/label_errors.json."""
    shown = table.head(SHOWN_LABELS)
    pictures = [
        with_pictures(shown.iloc[[place]], paths.PREPARED / split)[0] for place, split in enumerate(shown["split"])
    ]
    return {"suspicious": pictures, "label_errors": found}
