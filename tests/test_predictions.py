"""Networks that share layers answer together exactly as each does alone."""

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from stages.lib.backbones.build import build_backbone
from stages.lib.inference.predictions import BATCH_SIZE, predict_pictures
from stages.lib.networks.classifiers import head_network, join, scratch_network
from stages.lib.networks.graphs import join_networks


def on_backbone(backbone: keras.Model, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return join(backbone, head_network(backbone.output.shape[-1], 3, 8, 0.5))


@pytest.fixture(scope="module")
def networks() -> list[keras.Model]:
    """A small CNN, two heads on the same backbone, and one on a copy of it whose last layers were trained on."""
    keras.utils.set_random_seed(1)
    backbone = build_backbone("VGG16", 32)
    trained_on = keras.models.clone_model(backbone)
    trained_on.set_weights([*backbone.get_weights()[:-2], *(weight + 0.01 for weight in backbone.get_weights()[-2:])])
    return [scratch_network(32, 3, 0.1), on_backbone(backbone, 2), on_backbone(trained_on, 3), on_backbone(backbone, 4)]


@pytest.fixture(scope="module")
def files(tmp_path_factory, draw_photo):
    folder = tmp_path_factory.mktemp("pictures")
    names = [folder / f"{number:02}.png" for number in range(BATCH_SIZE + 5)]
    for number, file in enumerate(names):
        draw_photo(number, (32, 32)).save(file)
    return names


def test_joined_networks_give_the_very_bits_that_each_gives_alone_in_the_order_of_the_files(networks, files):
    pictures = np.stack([np.asarray(Image.open(file)) for file in files])
    alone = [network.predict(pictures, batch_size=BATCH_SIZE, verbose=0) for network in networks]
    together = predict_pictures(join_networks(networks), files, "test")
    assert [np.array_equal(one, other) for one, other in zip(alone, together, strict=True)] == [True] * 4
    assert len({found.tobytes() for found in together}) == 4


def test_what_is_equal_runs_once_and_what_was_trained_on_runs_again(networks):
    joined = join_networks(networks)
    convolutions = [layer for layer in joined.layers if isinstance(layer, layers.Conv2D)]
    assert len(convolutions) == 4 + 13 + 1  # of the CNN, of VGG16, and the one that differs


def test_no_more_than_a_few_batches_of_pictures_are_in_memory(networks, files, monkeypatch):
    seen = []
    joined = join_networks(networks[:1])
    predict = joined.predict_on_batch
    monkeypatch.setattr(joined, "predict_on_batch", lambda batch: seen.append(len(batch)) or predict(batch))
    predict_pictures(joined, files, "test")
    assert seen == [BATCH_SIZE, 5]
