"""Networks on disk: Keras' format, in float32, the same bytes each time; in a model, what belongs to it, too."""

import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from stages.lib.core.classifier import EPOCH, METADATA, Classifier
from stages.lib.core.errors import UserError
from stages.lib.core.outputs import whole_file
from stages.lib.networks.graphs import in_precision


def save_network(network: keras.Model, path: Path, **known: Any) -> None:
    """Write ``network`` in float32 to ``path``, a .keras file, with what is ``known`` of it as JSON inside.

    Keras writes the time of saving into the file, which would make it another one each time; here it is left out.
    """
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "model.keras"
        in_precision(network, "float32").save(saved)
        with whole_file(path) as partial, zipfile.ZipFile(saved) as source, zipfile.ZipFile(partial, "w") as target:
            for name in sorted(source.namelist()):
                content: str | bytes = source.read(name)
                if name == METADATA:
                    content = json.dumps({"keras_version": keras.version(), **known})
                target.writestr(zipfile.ZipInfo(name, EPOCH), content)


def save_classifier(classifier: Classifier, path: Path) -> None:
    """Write ``classifier`` as `save_network` does, with all that belongs to its network inside."""
    save_network(**classifier._asdict(), path=path)


def _read(path: Path) -> tuple[keras.Model, dict[str, Any]]:
    """The network that `save_network` wrote and what is known of it; raises whatever Keras stumbles over."""
    with zipfile.ZipFile(path) as archive:
        known = json.loads(archive.read(METADATA))
        damaged = archive.testzip()  # Keras looks into it in a way in which Python from 3.13 on checks nothing
    if damaged is not None:
        raise ValueError(f"{damaged} in it is damaged")
    return keras.saving.load_model(path, compile=False, safe_mode=True), known


@contextmanager
def _refused_in_words(path: Path) -> Iterator[None]:
    """Have a `UserError` raised for ``path`` for whatever the block stumbles over when it reads it."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} is not here: `dvc repro` makes it.") from None
    except MemoryError:
        raise
    except Exception as error:  # Keras builds whatever the file says, and stumbles over it in as many ways
        first_line = (str(error).strip().splitlines() or [""])[0]
        raise UserError(
            f"{path} is no model of this version of the pipeline, or not whole, or of another Keras than "
            f"{keras.version()}: {type(error).__name__}: {first_line[:200]}"
        ) from None


def load_network(path: Path) -> keras.Model:
    """Read the network that `save_network` wrote.

    Raises `UserError` where ``path`` is no such file. Keras' safe mode is on: no code in the file is run.
    """
    with _refused_in_words(path):
        return _read(path)[0]


def load_classifier(path: Path) -> Classifier:
    """Read what `save_classifier` wrote; raises `UserError` as `load_network` does."""
    with _refused_in_words(path):
        network, known = _read(path)
        classifier = Classifier(network, **{name: known[name] for name in Classifier._fields if name != "network"})
        classifier.check()
        return classifier
