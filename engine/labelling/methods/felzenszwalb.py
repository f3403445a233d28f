"""Regions merged across the weakest edges; regions connected to the image border are background.

Sources: Felzenszwalb and Huttenlocher, "Efficient graph-based image segmentation", Int. J. Computer Vision 59(2),
2004, doi:10.1023/B:VISI.0000022288.19776.77; the boundary connectivity of regions is that of Zhu et al., CVPR 2014,
doi:10.1109/CVPR.2014.360.
"""

from __future__ import annotations

import cv2
import numpy as np
from skimage.segmentation import felzenszwalb

from engine.core.parameters import number
from engine.labelling.base import Method
from engine.labelling.cues.features import to_lab
from engine.labelling.cues.foreground import RegionParams, choose


class FelzenszwalbParams(RegionParams):
    scale: float = number(
        200, 10, 2000, "How strong an edge must be to separate two regions: higher values give larger regions."
    )
    smoothing_px: float = number(
        0.8, 0, 5, "Blur before regions are computed: a stronger blur ignores texture and noise.", unit="px"
    )
    least_area_percent: float = number(
        1.0,
        0,
        10,
        "Regions smaller than this share of the image are merged with a neighbour.",
        title="Smallest region",
        unit="%",
    )


def label(image: np.ndarray, params: FelzenszwalbParams, rng: np.random.Generator) -> np.ndarray:
    """Return the blurred mask (H, W) in [0, 1]: 1 and 0 except near the outlines of the regions."""
    least_area = max(1, round(image.shape[0] * image.shape[1] * params.least_area_percent / 100))
    regions = felzenszwalb(image, scale=params.scale, sigma=params.smoothing_px, min_size=least_area)
    chosen = choose(regions, to_lab(image)[..., 0], params.foreground)
    # The blur's weights sum to one only approximately.
    return np.minimum(cv2.GaussianBlur(chosen[regions].astype(np.float32), (0, 0), 1.0), 1)


METHOD = Method(
    "felzenszwalb",
    "Felzenszwalb (graph-based regions)",
    FelzenszwalbParams,
    label,
    summary="Objects with clear outlines that lie inside the frame.",
)
