"""What contract tests share."""

from collections.abc import Iterator

import pytest

from engine.labelling.methods import deep_features
from tests.support.backbones import lend_backbone


@pytest.fixture(scope="module")
def lent_backbone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give a small random network to the method that draws nothing without one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deep_features, "backbone_of", deep_features.backbone_of)  # to be undone
        lend_backbone(tmp_path_factory.mktemp("backbone"))
        yield
