"""MediaPipe, which asks TensorFlow Lite files on phones and on the web, takes the exported ones and answers as Keras.

It is in requirements/mediapipe.txt; what needs it is skipped without.
"""

import json

import keras
import numpy as np
import pytest
from small_classifiers import KNOWN, familiar

from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.exporting.about import About
from stages.lib.exporting.conversion import to_int8_tflite, to_tflite
from stages.lib.exporting.tflite_files import TfliteNetwork, label_tflite
from stages.lib.exporting.tflite_metadata import add_metadata
from stages.lib.networks.classifiers import scratch_network

REASON = "MediaPipe is not here: requirements/mediapipe.txt has it"
BREEDS = ["Cairn", "Grand Bleu de Gascogne", "Löwchen"]
SIDE = 32  # pixels
ANY = 1e-9  # score from which on MediaPipe tells one; 0 would be the file's own threshold
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(draw_photo):
    return np.stack([np.asarray(draw_photo(number, (SIDE, SIDE)).convert("RGB")) for number in range(12)])


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    network = scratch_network(SIDE, len(BREEDS), dropout=0.1)
    kernel, _ = network.layers[-1].get_weights()
    network.layers[-1].set_weights([40 * kernel, np.array([1.8, 4.8, -3.6])])
    return familiar(network)


@pytest.fixture(scope="module")
def of_keras(network, photos):
    return network.predict_on_batch(photos)


@pytest.fixture(scope="module")
def about(of_keras):
    """With thresholds on either side of which half of the photos fall."""
    confidence, familiarity = of_keras[PROBABILITIES].max(axis=1), of_keras[FAMILIARITY]
    return About(
        model="scratch_plain", keras_sha256="0123456789abcdef", licence="Apache-2.0", description="what goes in",
        breeds=BREEDS, resize="crop", prepared_size=SIDE, threshold=float(np.median(confidence)),
        familiarity_threshold=float(np.median(familiarity)), known_familiarity=KNOWN, views=1,
    )  # fmt: skip


@pytest.fixture(scope="module", params=["float32", "float16", "int8"])
def exported(request, network, about, photos, of_keras):
    """A file, what it is to answer, and how nearly: in 8 bits what it answers in LiteRT, which is not quite Keras'."""
    if request.param == "int8":
        converted = to_int8_tflite(network, photos)
        return label_tflite(converted, about), TfliteNetwork(converted).predict_on_batch(photos), 1e-2
    converted = dict(zip(("float32", "float16"), to_tflite(network), strict=True))
    return label_tflite(converted[request.param], about), of_keras, {"float32": 1e-5, "float16": 2e-3}[request.param]


def ask_mediapipe(content: bytes, photos: np.ndarray, **options: float) -> list[dict[str, dict]]:
    """Of each photo the scores that MediaPipe tells, by head and then by the label, None where there is none."""
    mediapipe = pytest.importorskip("mediapipe", reason=REASON)
    tasks = mediapipe.tasks
    settings = tasks.vision.ImageClassifierOptions(tasks.BaseOptions(model_asset_buffer=content), **options)
    found = []
    with tasks.vision.ImageClassifier.create_from_options(settings) as classifier:
        for photo in photos:
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=photo)
            heads = classifier.classify(image).classifications
            assert [head.head_name for head in heads] == [PROBABILITIES, FAMILIARITY]
            scores = [{each.category_name: each.score for each in head.categories} for head in heads]
            found.append(dict(zip((PROBABILITIES, FAMILIARITY), scores, strict=True)))
    return found


def test_mediapipe_gives_the_breeds_and_probabilities_of_keras(exported, photos):
    content, expected, close = exported
    for answer, probabilities in zip(
        ask_mediapipe(content, photos, score_threshold=ANY), expected[PROBABILITIES], strict=True
    ):
        found = [answer[PROBABILITIES].get(breed, 0) for breed in BREEDS]
        np.testing.assert_allclose(found, probabilities, atol=close)
    assert np.ptp(expected[PROBABILITIES], axis=0).max() > 0.1, "all the same: this would find no fault"


def test_mediapipe_has_no_breed_where_the_model_is_not_sure_and_no_familiarity_where_it_is_none_of_them(
    exported, photos, about
):
    content, expected, close = exported
    confidence, familiarity = expected[PROBABILITIES].max(axis=1), expected[FAMILIARITY]
    for number, answer in enumerate(ask_mediapipe(content, photos)):
        if abs(confidence[number] - about.threshold) > close:
            named = [breed for breed, score in zip(BREEDS, expected[PROBABILITIES][number], strict=True)
                     if score >= about.threshold]  # fmt: skip
            assert sorted(answer[PROBABILITIES]) == named
        if abs(familiarity[number] - about.familiarity_threshold) > close:
            assert list(answer[FAMILIARITY]) == [None] * int(familiarity[number] >= about.familiarity_threshold)


def test_a_model_that_is_never_sure_has_no_threshold_and_mediapipe_tells_all(network, photos, about):
    never = about.model_copy(update={"threshold": None, "familiarity_threshold": None})
    (answer,) = ask_mediapipe(label_tflite(to_tflite(network)[0], never), photos[:1])
    assert sorted(answer[PROBABILITIES]) == BREEDS


def test_mediapipes_own_reader_finds_all_that_was_written(network, about):
    schema = pytest.importorskip("mediapipe.tasks.metadata.metadata_schema_py_generated", reason=REASON)
    from ai_edge_litert import schema_py_generated

    model = schema_py_generated.ModelT.InitFromPackedBuf(add_metadata(to_tflite(network)[0], about), 0)
    (place,) = [each.buffer for each in model.metadata if each.name == b"TFLITE_METADATA"]
    content = bytes(model.buffers[place].data)
    assert schema.ModelMetadata.ModelMetadataBufferHasIdentifier(content, 0)
    found = schema.ModelMetadataT.InitFromObj(schema.ModelMetadata.GetRootAs(content, 0))
    told = json.loads(json.dumps(found, default=lambda each: each.decode() if isinstance(each, bytes) else vars(each)
                                 if hasattr(each, "__dict__") else each.tolist()))  # fmt: skip
    assert (told["name"], told["version"], told["license"]) == ("scratch_plain", "0123456789ab", "Apache-2.0")
    assert (told["description"], told["minParserVersion"]) == ("what goes in", "1.0.0")
    (subgraph,) = told["subgraphMetadata"]
    (photo,), (probabilities, familiarity) = subgraph["inputTensorMetadata"], subgraph["outputTensorMetadata"]
    assert photo["name"] == "photo"
    assert photo["content"]["contentProperties"]["colorSpace"] == schema.ColorSpaceType.RGB
    assert photo["processUnits"] == [{"optionsType": 1, "options": {"mean": [0.0], "std": [1.0]}}]
    (labels,) = probabilities["associatedFiles"]
    assert (labels["name"], labels["type"]) == ("labels.txt", schema.AssociatedFileType.TENSOR_AXIS_LABELS)
    assert [each["name"] for each in (probabilities, familiarity)] == [PROBABILITIES, FAMILIARITY]
    assert [each["processUnits"][0]["options"]["globalScoreThreshold"] for each in (probabilities, familiarity)] == [
        pytest.approx(each) for each in (about.threshold, about.familiarity_threshold)
    ]
