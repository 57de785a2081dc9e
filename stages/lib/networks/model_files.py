"""Trained models on disk: Keras' format, in float32, with the breeds' names inside and the same bytes each time."""

import json
import tempfile
import zipfile
from pathlib import Path

import keras

from stages.lib.core.classifier import EPOCH, METADATA, Classifier
from stages.lib.core.errors import UserError
from stages.lib.core.outputs import whole_file
from stages.lib.networks.graphs import in_precision


def save_classifier(classifier: Classifier, path: Path) -> None:
    """Write ``classifier`` in float32 to ``path``, a .keras file, the breeds' names and the way to resize inside.

    Keras writes the time of saving into the file, which would make it another one each time; here it is left out.
    """
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "model.keras"
        in_precision(classifier.network, "float32").save(saved)
        with whole_file(path) as partial, zipfile.ZipFile(saved) as source, zipfile.ZipFile(partial, "w") as target:
            for name in sorted(source.namelist()):
                content: str | bytes = source.read(name)
                if name == METADATA:
                    content = json.dumps(
                        {"keras_version": keras.version(), "breeds": classifier.breeds, "resize": classifier.resize}
                    )
                target.writestr(zipfile.ZipInfo(name, EPOCH), content)


def load_classifier(path: Path) -> Classifier:
    """Read what `save_classifier` wrote.

    Raises `UserError` where ``path`` is no such file. Keras' safe mode is on: no code in the file is run.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            metadata = json.loads(archive.read(METADATA))
            damaged = archive.testzip()  # Keras looks into it in a way in which Python from 3.13 on checks nothing
        if damaged is not None:
            raise ValueError(f"{damaged} in it is damaged")
        network = keras.saving.load_model(path, compile=False, safe_mode=True)
        classifier = Classifier(network, metadata["breeds"], metadata["resize"])
        if network.output_shape != (None, len(classifier.breeds)):
            raise ValueError(f"it gives {network.output_shape} for {len(classifier.breeds)} breeds")
        return classifier
    except FileNotFoundError:
        raise UserError(f"{path} is not here: `dvc repro` makes it.") from None
    except MemoryError:
        raise
    except Exception as error:  # Keras builds whatever the file says, and stumbles over it in as many ways
        first_line = (str(error).strip().splitlines() or [""])[0]
        raise UserError(
            f"{path} is no model of this pipeline, or not whole, or of another version than Keras {keras.version()}: "
            f"{type(error).__name__}: {first_line[:200]}"
        ) from None
