"""A mixture of Gaussians in Lab colour and position, by expectation maximisation; clusters may be elongated.

Source: Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm", J. Royal
Statistical Society B 39(1), 1977, doi:10.1111/j.2517-6161.1977.tb01600.x.
"""

from __future__ import annotations

import warnings

import numpy as np

from engine.core.parameters import number
from engine.labelling.base import Method
from engine.labelling.cues.features import ClusterParams, find_clusters, lab_and_position
from engine.labelling.cues.foreground import choose


class GaussianMixtureParams(ClusterParams):
    iterations: int = number(20, 1, 100, "Iterations of expectation maximisation after the start by k-means.")
    spread_floor: float = number(
        1.0,
        0.1,
        20,
        "Smallest standard deviation of a cluster; prevents a cluster from collapsing to one colour.",
        unit="Lab units",
    )


def label(image: np.ndarray, params: GaussianMixtureParams, rng: np.random.Generator) -> np.ndarray:
    """Return the posterior probability (H, W) in [0, 1] of the foreground's Gaussians."""
    # Not above, because scikit-learn takes over a second to import and pages only need the parameters.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    features = lab_and_position(image, params)
    sample, centres = find_clusters(features, params.clusters, rng)
    if len(centres) == 1:
        return np.zeros(image.shape[:2], np.float32)  # one colour: there are no classes
    mixture = GaussianMixture(
        len(centres),
        max_iter=params.iterations,
        tol=1e-4,
        reg_covar=params.spread_floor**2,
        random_state=int(rng.integers(2**31)),
    )
    with warnings.catch_warnings():
        # Stopping after `iterations` is intended.
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(sample)
    posterior = mixture.predict_proba(features)
    regions = posterior.argmax(1).reshape(image.shape[:2])
    chosen = choose(regions, features[:, 0], params.foreground)
    return np.clip(posterior[:, : len(chosen)][:, chosen].sum(1), 0, 1).reshape(image.shape[:2])


METHOD = Method(
    "gaussian_mixture",
    "Gaussian mixture (colour and position)",
    GaussianMixtureParams,
    label,
    summary="Like k-means, but for gradual changes of colour: shaded objects, uneven light, a gradient as background.",
)
