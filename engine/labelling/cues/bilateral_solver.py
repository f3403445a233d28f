"""An edge-aware smoother: the map nearest to a target that varies little between pixels of similar colour.

Source: Barron and Poole, "The fast bilateral solver", ECCV 2016, doi:10.1007/978-3-319-46487-9_38; the grid is made
doubly stochastic as in Barron, Adams, Shih and Hernandez, "Fast bilateral-space stereo for synthetic defocus",
CVPR 2015, doi:10.1109/CVPR.2015.7299076. Names are the paper's where it has them.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import cg

SIGMA_SPACE_PX = 16.0
SIGMA_LUMA = 16.0
SIGMA_CHROMA = 8.0
SMOOTHNESS = 256.0
CONFIDENCE = 0.999
STEPS = 25
BISTOCHASTIC_ROUNDS = 10


def bilateral_solver(image: np.ndarray, target: np.ndarray, confidence: float | np.ndarray = CONFIDENCE) -> np.ndarray:
    """Return the smoothed target float32 (H, W) in [0, 1].

    Args:
        image: uint8 RGB (H, W, 3); its edges are kept.
        target: float (H, W) in [0, 1].
        confidence: in [0, 1), one number or (H, W): the weight of each pixel's target.
    """
    vertex, blur = bilateral_grid(image)
    count = blur.shape[0]
    normal, mass = _bistochastised(vertex, blur)
    trust = np.broadcast_to(np.asarray(confidence, np.float64), target.shape).ravel()
    total_trust = np.bincount(vertex, trust, count)
    weighted_target = np.bincount(vertex, trust * target.ravel(), count)
    laplacian = diags_array(mass) - diags_array(normal) @ blur @ diags_array(normal)
    system = (SMOOTHNESS * laplacian + diags_array(total_trust)).tocsr()
    jacobi = diags_array(1 / np.maximum(system.diagonal(), 1e-9))
    start = weighted_target / np.maximum(total_trust, 1e-9)
    solution, _ = cg(system, weighted_target, x0=start, rtol=1e-5, maxiter=STEPS, M=jacobi)
    return np.clip(solution[vertex].reshape(target.shape), 0, 1).astype(np.float32)


def bilateral_grid(image: np.ndarray) -> tuple[np.ndarray, csr_array]:
    """Return int (H*W,), each pixel's vertex 0..V-1, and the blur (V, V): 2 per axis on the diagonal, 1 for links."""
    height, width = image.shape[:2]
    luma_chroma = cv2.cvtColor(image, cv2.COLOR_RGB2YUV).reshape(-1, 3)
    rows, columns = np.divmod(np.arange(height * width), width)
    positions = np.stack([columns, rows], axis=1) / SIGMA_SPACE_PX
    levels = luma_chroma / np.array([SIGMA_LUMA, SIGMA_CHROMA, SIGMA_CHROMA])
    cells = np.concatenate([positions, levels], axis=1).astype(np.int64)
    # One number for each cell; a margin of one on both sides of each axis keeps neighbours from wrapping around.
    strides = np.concatenate([[1], np.cumprod(cells.max(0) + 3)[:-1]])
    keys, vertex = np.unique((cells + 1) @ strides, return_inverse=True)
    count = len(keys)
    blur = diags_array(np.full(count, 2.0 * len(strides))).tocsr()
    for stride in strides:
        position = np.searchsorted(keys, keys + stride).clip(max=count - 1)
        here = np.flatnonzero(keys[position] == keys + stride)
        link = csr_array((np.ones(len(here)), (here, position[here])), shape=(count, count))
        blur = blur + link + link.T
    return vertex, blur.tocsr()


def _bistochastised(vertex: np.ndarray, blur: csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Return n (V,) and (V,): scaled by n on both sides, the rows of the blur sum to the pixels in each vertex."""
    mass = np.bincount(vertex, minlength=blur.shape[0]).astype(np.float64)
    normal = np.ones_like(mass)
    for _ in range(BISTOCHASTIC_ROUNDS):
        normal = np.sqrt(normal * mass / (blur @ normal))
    return normal, normal * (blur @ normal)
