"""Maps of the clusters that people tick: a look-up in them gives the mask of any ticks."""

import numpy as np
import pytest

from engine.labelling.base import cluster_map, draw, find_method, fit_state, look_at
from tests.support.installation import disc


@pytest.mark.parametrize("name", ["kmeans", "dataset_clusters"])
def test_the_mask_of_ticked_clusters_is_nearly_a_look_up(name):
    method = find_method(name)
    images = [disc(120, seed=seed)[0] for seed in range(4)]
    params = method.params(clusters=4)
    state = None
    if method.fit is not None:
        state = fit_state(method, [look_at(method, image, params, 0) for image in images], params, 0)
    numbers = cluster_map(method, images[0], params, 0, state)
    assert numbers.shape == images[0].shape[:2] and numbers.dtype == np.uint8
    for number in np.unique(numbers):
        ticked = params.model_copy(update={"ticked": str(number)})
        mask = draw(method, images[0], ticked, 0, state) >= 0.5
        assert (mask == (numbers == number)).mean() > 0.9
    assert cluster_map(find_method("threshold"), images[0], find_method("threshold").params(), 0) is None
