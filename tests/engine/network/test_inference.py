"""Prediction from a stored network: sizes, order, framing, flips, doubt, and files that are no network."""

import keras
import numpy as np
import pytest

from engine.core.run_parameters import DataParams
from engine.imaging import metrics
from engine.network.inference import ModelError, Prediction, load_model, predict_many

FRAMINGS = ["pad", "crop", "stretch", "tiles"]
PAD = DataParams()
LEFT_HALF = (np.arange(32) < 16).astype(np.float32)[np.newaxis, :, np.newaxis]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network with random weights that looks at what is around each pixel."""
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(4, 5, padding="same", activation="relu")(keras.layers.Rescaling(1 / 255)(image))
    probability = keras.layers.Conv2D(1, 5, padding="same", activation="sigmoid")(features)
    path = tmp_path_factory.mktemp("model") / "best.keras"
    keras.Model(image, probability).save(path)
    return load_model(path)


@pytest.fixture(scope="module")
def bright_is_foreground():
    """A network that answers each pixel's own brightness, so that geometry shows in the answer."""
    image = keras.Input((32, 32, 3))
    red = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer=keras.initializers.Constant(1 / 765))(image)
    return keras.Model(image, red)


def predict(model, image, framing="pad", flips=False):
    """Return the probability of one image."""
    return next(predict_many(model, [image], DataParams(framing=framing), flips=flips, batch_size=4)).probability


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("shape", [(32, 32), (8, 200), (1, 1), (81, 77)])
@pytest.mark.parametrize("flips", [False, True])
def test_a_prediction_has_the_size_of_its_image(model, framing, shape, flips):
    answer = next(predict_many(model, [picture(*shape)], DataParams(framing=framing), flips=flips))
    for values in (answer.probability, answer.uncertainty):
        assert values.shape == shape
        assert values.dtype == np.float32
        assert values.min() >= 0
        assert values.max() <= 1


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("batch_size", [3, 16])
def test_many_images_of_many_sizes_come_back_in_order(model, framing, batch_size):
    images = [picture(20 + 9 * index, 70 - 5 * index, index) for index in range(9)]
    data = DataParams(framing=framing)
    answers = list(predict_many(model, iter(images), data, batch_size=batch_size))
    alone = list(predict_many(model, iter(images), data, batch_size=1))
    assert [answer.probability.shape for answer in answers] == [image.shape[:2] for image in images]
    for one, other in zip(answers, alone, strict=True):
        np.testing.assert_allclose(one.probability, other.probability, atol=1e-5)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("shape", [(60, 90), (28, 44)])
def test_the_answer_lies_where_the_object_is(bright_is_foreground, framing, flips, shape):
    rows, columns = (np.array([side // 6, side // 2]) for side in shape)
    image = np.zeros((*shape, 3), np.uint8)
    image[slice(*rows), slice(*columns)] = 255
    probability = predict(bright_is_foreground, image, framing, flips)
    edge = 4
    assert probability[rows[0] + edge : rows[1] - edge, columns[0] + edge : columns[1] - edge].min() > 0.9
    assert probability[rows[1] + edge :].max() < 0.05
    assert probability[:, columns[1] + edge :].max() < 0.05


def test_tiles_put_together_show_no_seam(bright_is_foreground):
    image = picture(150, 200)
    answer = predict(bright_is_foreground, image, "tiles")
    np.testing.assert_allclose(answer, image.sum(axis=2) / 765, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "count", "batches"),
    [((32, 32), 9, [1, 2, 4, 2]), ((128, 128), 1, [1, 2, 4, 4, 4, 4, 4, 2]), ((56, 32), 4, [1, 2, 4, 1])],
)
def test_batches_are_filled_across_images_and_begin_small(bright_is_foreground, monkeypatch, shape, count, batches):
    asked = []

    def counting(model):
        def network(squares):
            asked.append(len(squares))
            return squares[..., 0].astype(np.float32) / 255

        return network

    monkeypatch.setattr("engine.network.inference.compiled", counting)
    images = [picture(*shape, index) for index in range(count)]
    answers = list(predict_many(bright_is_foreground, images, DataParams(framing="tiles"), batch_size=4))
    assert len(answers) == count
    assert asked == batches


def test_doubt_is_the_entropy_of_the_answer_in_bits():
    doubt = Prediction(np.zeros((1, 5, 3), np.uint8), np.float32([[0, 0.11, 0.5, 0.89, 1]])).uncertainty
    np.testing.assert_allclose(doubt, [[0, 0.49992, 1, 0.49992, 0]], atol=1e-4)


def test_flips_that_contradict_each_other_are_doubted():
    left = keras.layers.Lambda(lambda images: images[..., :1] * 0 + LEFT_HALF)
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, left(image))
    sure, torn = (
        next(predict_many(model, [picture(32, 32)], PAD, flips=flips)).uncertainty.max() for flips in (False, True)
    )
    assert sure < 1e-6
    assert torn == 1


def test_flips_make_the_answer_the_same_for_a_mirrored_image(model):
    image = picture(32, 32)
    plain = np.abs(predict(model, image) - predict(model, image[:, ::-1])[:, ::-1]).max()
    flipped = np.abs(predict(model, image, flips=True) - predict(model, image[:, ::-1], flips=True)[:, ::-1]).max()
    assert flipped < 1e-4 < plain


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_asking_for_the_mirror_changes_no_bit_of_the_answer(model, framing, flips):
    data, images = DataParams(framing=framing), [picture(40, 75), picture(90, 33, 1)]
    plain = list(predict_many(model, images, data, flips=flips, batch_size=4))
    asked = list(predict_many(model, images, data, flips=flips, compare_mirror=True, batch_size=4))
    for one, other in zip(plain, asked, strict=True):
        assert np.array_equal(one.probability, other.probability)
        assert one.flip_agreement is None and 0 <= other.flip_agreement <= 1


def test_the_mirror_is_asked_once_where_flips_are_off_and_for_nothing_where_they_are_on(model, monkeypatch):
    asked = []

    def counting(model):
        return lambda squares: asked.append(1) or np.zeros(squares.shape[:3], np.float32)

    monkeypatch.setattr("engine.network.inference.compiled", counting)
    counts = []
    for flips, compare in ((False, False), (False, True), (True, False), (True, True)):
        asked.clear()
        list(predict_many(model, [picture(32, 32)], PAD, flips=flips, compare_mirror=compare))
        counts.append(len(asked))
    assert counts == [1, 2, 4, 4]


@pytest.mark.parametrize("shape", [(32, 32), (30, 70), (90, 50)])
def test_a_network_that_sees_no_sides_agrees_with_its_mirror_and_one_that_does_not(bright_is_foreground, shape):
    bright = picture(*shape) // 2 + 127 * (picture(*shape, 1) > 128)
    answer = next(predict_many(bright_is_foreground, [bright], DataParams(framing="tiles"), compare_mirror=True))
    assert answer.flip_agreement == 1
    image = keras.Input((32, 32, 3))
    left = keras.Model(image, keras.layers.Lambda(lambda images: images[..., :1] * 0 + LEFT_HALF)(image))
    torn = next(predict_many(left, [picture(32, 32)], PAD, compare_mirror=True))
    assert torn.flip_agreement == 0


def test_the_agreement_is_dice_of_both_masks_at_one_half(model):
    image = picture(32, 32)
    answer, mirrored = predict(model, image), predict(model, image[:, ::-1])[:, ::-1]
    found = next(predict_many(model, [image], PAD, compare_mirror=True)).flip_agreement
    assert found == pytest.approx(metrics.dice(metrics.to_mask(answer, 0.5), metrics.to_mask(mirrored, 0.5)))


def test_two_empty_masks_agree():
    image = keras.Input((32, 32, 3))
    nothing = keras.Model(image, keras.layers.Lambda(lambda images: images[..., :1] * 0.0)(image))
    assert next(predict_many(nothing, [picture(32, 32)], PAD, compare_mirror=True)).flip_agreement == 1


def test_no_images_give_no_answers(model):
    assert list(predict_many(model, [], PAD)) == []


def test_a_reader_that_fails_is_heard(model):
    def images():
        yield picture(32, 32)
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        list(predict_many(model, images(), PAD, batch_size=1))


def test_stopping_early_stops_reading(model):
    read = []

    def images():
        for index in range(1000):
            read.append(index)
            yield picture(32, 32)

    answers = predict_many(model, images(), PAD, batch_size=1)
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
    image = keras.Input((16, 16, 1))
    keras.Model(image, keras.layers.Conv2D(1, 1)(image)).save(other)
    with pytest.raises(ModelError, match=r"other\.keras maps"):
        load_model(other)
