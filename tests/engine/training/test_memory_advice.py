"""What to lower when memory runs out: only settings that the network obeys."""

from engine.core.run_config import config_from
from engine.training.memory_advice import memory_advice


def test_every_setting_that_counts_is_named_with_its_value():
    fast = config_from("fast").model_dump()
    assert (
        memory_advice(fast)
        == "a smaller batch size (now 4), image size (now 256 px) or number of base filters (now 16)"
    )
    assert memory_advice({}) == "a smaller batch size, image size or number of base filters"


def test_a_batch_of_one_image_cannot_be_lowered():
    single = config_from("fast", {"training": {"batch_size": 1}}).model_dump()
    assert memory_advice(single) == "a smaller image size (now 256 px) or number of base filters (now 16)"


def test_an_encoder_has_no_base_filters_to_lower():
    encoder = config_from("encoder").model_dump()
    assert memory_advice(encoder) == "a smaller batch size (now 4) or image size (now 320 px)"
