"""What contract tests share."""

from collections.abc import Iterator

import pytest

from engine.labelling.methods import dataset_clusters, deep_features
from tests.support.backbones import lend_backbone


@pytest.fixture(scope="module")
def lent_backbone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give a small random network to the methods that use one."""
    with pytest.MonkeyPatch.context() as patch:
        for method in (deep_features, dataset_clusters):
            patch.setattr(method, "backbone_of", method.backbone_of)  # to be undone
        lend_backbone(tmp_path_factory.mktemp("backbone"))
        yield
