"""Prediction from a stored network: sizes, order, flips, and files that are no network."""

import keras
import numpy as np
import pytest

from engine.model.unet import unet
from engine.predict import ModelError, load_model, predict, predict_many
from engine.run_parameters import ModelParams

PARAMS = ModelParams(image_size=32, depth=2, base_filters=4, first_stride=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "best.keras"
    unet(PARAMS).save(path)
    return load_model(path)


@pytest.fixture(scope="module")
def bright_is_foreground():
    """A network that answers each pixel's own brightness, so that geometry shows in the answer."""
    image = keras.Input((32, 32, 3))
    red = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer=keras.initializers.Constant(1 / 765))(image)
    return keras.Model(image, red)


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("shape", [(32, 32), (48, 20), (8, 200), (1, 1), (131, 77)])
@pytest.mark.parametrize("flips", [False, True])
def test_a_probability_has_the_size_of_its_image(model, shape, flips):
    probability = predict(model, picture(*shape), flips)
    assert probability.shape == shape
    assert probability.dtype == np.float32
    assert probability.min() >= 0
    assert probability.max() <= 1


def test_many_images_of_many_sizes_come_back_in_order(model):
    images = [picture(20 + 3 * index, 50 - index, index) for index in range(11)]
    answers = list(predict_many(model, iter(images), batch_size=4))
    assert [answer.shape for answer in answers] == [image.shape[:2] for image in images]
    for image, answer in zip(images, answers, strict=True):
        np.testing.assert_allclose(answer, predict(model, image), atol=1e-5)


def test_the_answer_lies_where_the_object_is(bright_is_foreground):
    image = np.zeros((60, 90, 3), np.uint8)
    image[10:30, 50:80] = 255
    for flips in (False, True):
        probability = predict(bright_is_foreground, image, flips)
        assert probability[13:27, 54:76].min() > 0.9
        assert probability[40:].max() < 0.05


def test_flips_make_the_answer_the_same_for_a_mirrored_image(model):
    image = picture(32, 32)
    plain = np.abs(predict(model, image) - predict(model, image[:, ::-1])[:, ::-1]).max()
    flipped = np.abs(predict(model, image, True) - predict(model, image[:, ::-1], True)[:, ::-1]).max()
    assert flipped < 1e-4 < plain


def test_no_images_give_no_answers(model):
    assert list(predict_many(model, [])) == []


def test_a_reader_that_fails_is_heard(model):
    def images():
        yield picture(32, 32)
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        list(predict_many(model, images(), batch_size=1))


def test_stopping_early_stops_reading(model):
    read = []

    def images():
        for index in range(1000):
            read.append(index)
            yield picture(32, 32)

    answers = predict_many(model, images(), batch_size=1)
    next(answers)
    answers.close()
    assert len(read) < 10


def test_a_file_that_is_no_network_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"no model file best\.keras"):
        load_model(tmp_path / "best.keras")
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"PK not a model")
    with pytest.raises(ModelError, match=r"broken\.keras cannot be read"):
        load_model(broken)
    other = tmp_path / "other.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]).save(other)
    with pytest.raises(ModelError, match=r"other\.keras maps"):
        load_model(other)
