"""The model card that goes with the exported files, in the form that model hubs read: YAML, then Markdown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from stages.lib.core.prose import templates
from stages.lib.exporting.about import About

CARD = templates(Path(__file__).parent / "templates", autoescape=False).get_template("card.md.jinja")
# how `to_square` makes a photo square, in Pillow's words
SQUARED = {
    "crop": "ImageOps.fit(photo, (prepared, prepared), Image.Resampling.LANCZOS)",
    "pad": "ImageOps.pad(photo, (prepared, prepared), Image.Resampling.LANCZOS, color=(124, 116, 104))",
    "squash": "photo.resize((prepared, prepared), Image.Resampling.LANCZOS)",
}
# and in sharp's
SQUARED_BY_SHARP = {
    "crop": '{ fit: "cover" }',
    "pad": '{ fit: "contain", background: { r: 124, g: 116, b: 104 } }',
    "squash": '{ fit: "fill" }',
}


def _head(about: About, source: str, score: Mapping[str, Any]) -> str:
    """The YAML that a hub searches by (huggingface.co/docs/hub/model-cards)."""
    task = {"type": "image-classification"}
    metrics = [
        {"type": kind, "name": name, "value": score[key]}
        for kind, name, key in (("accuracy", "accuracy on test", "accuracy"), ("f1", "macro F1 on test", "macro_f1"))
    ]
    data = {"type": "imagefolder", "name": source, "split": "test"}
    head = {
        "license": about.licence.lower() if about.licence in ("Apache-2.0", "MIT") else "other",
        "pipeline_tag": "image-classification",
        "library_name": "onnx",
        "tags": ["image-classification", "dog-breeds", "onnx", "tflite", "mediapipe"],
        "model-index": [{"name": about.model, "results": [{"task": task, "dataset": data, "metrics": metrics}]}],
    }
    return yaml.safe_dump(head, sort_keys=False, allow_unicode=True)


def write_card(
    about: About,
    side: int,
    source: str,
    photos: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    recalls: pd.DataFrame,
    level: float,
    parity_photos: int,
    equal_in_8_bits: float | None,
) -> str:
    """What a stranger has to know before using the exported files, as Markdown.

    Args:
        about: what stands in the files.
        side: pixels a side of the pictures that the network takes.
        source: `data.source`.
        photos: how many there are: "photos", "train", "val" and "test", as prepare counted them.
        evaluation: what `read_evaluation` gives.
        recalls: has "model", "breed", "recall", "precision" and "support", as evaluate wrote them.
        level: of the intervals, 0 to 1.
        parity_photos: about how many the files were compared with Keras.
        equal_in_8_bits: share of these, 0 to 1, to which best-int8.tflite answers as Keras; None where it is not there.
    """
    score = evaluation[about.model]
    return CARD.render(
        about.model_dump(),
        head=_head(about, source, score),
        side=side,
        source=source,
        photos=photos,
        caveats=evaluation["caveats"],
        score=score,
        rows=recalls[recalls["model"] == about.model].to_dict("records"),
        level=level,
        parity_photos=parity_photos,
        equal_in_8_bits=equal_in_8_bits,
        squared=SQUARED[about.resize],
        squared_by_sharp=SQUARED_BY_SHARP[about.resize],
    )
