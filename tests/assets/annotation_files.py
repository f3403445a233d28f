"""One annotation of the same two objects in every format, and files that are nearly annotations.

A square of 4 × 4 pixels at (2, 3) of the class "egg", and a triangle of the class "pan", in images/a.png, 20 × 12
pixels; images/b.png has no object. `class_map` draws them.
"""

from __future__ import annotations

import base64
import json

import cv2
import numpy as np

from engine.datasets.annotations.documents import Document

IMAGES = ("images/a.png", "images/b.png")
SHAPE = (12, 20)
SQUARE = [2, 3, 6, 3, 6, 7, 2, 7]
TRIANGLE = [10, 2, 18, 2, 10, 10]


def class_map(square: int = 1, triangle: int = 2) -> np.ndarray:
    """Return what the annotations draw, uint8 (12, 20)."""
    expected = np.zeros(SHAPE, np.uint8)
    expected[3:7, 2:6] = square
    x, y = np.meshgrid(np.arange(20) + 0.5, np.arange(12) + 0.5)
    expected[(x > 10) & (y > 2) & (x - 10 + y - 2 < 8)] = triangle
    return expected


def document(name: str, content: object) -> Document:
    """Return a document of text, or of JSON."""
    text = content if isinstance(content, str) else json.dumps(content)
    return Document(name, text.encode())


def coco(**changes: object) -> dict:
    """Return the content of a COCO file, with some of its parts changed."""
    images = [{"id": at, "file_name": name, "width": 20, "height": 12} for at, name in enumerate(("a.png", "b.png"), 1)]
    pieces = [(1, [SQUARE]), (2, [TRIANGLE])]
    annotations = [
        {"id": at, "image_id": 1, "category_id": kind, "segmentation": shape, "iscrowd": 0, "bbox": [2, 3, 4, 4]}
        for at, (kind, shape) in enumerate(pieces, 1)
    ]
    categories = [{"id": 1, "name": "egg"}, {"id": 2, "name": "pan"}]
    return {"images": images, "annotations": annotations, "categories": categories} | changes


def labelme(**changes: object) -> dict:
    """Return the content of a labelme file of a.png: the square as a mask, and the triangle as a polygon."""
    shapes = [
        {"label": "egg", "shape_type": "mask", "points": [[2, 3], [5, 6]], "mask": encoded(np.ones((4, 4), bool))},
        {"label": "pan", "shape_type": "polygon", "points": np.reshape(TRIANGLE, (-1, 2)).tolist()},
    ]
    return {
        **{"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": "../images/a.png", "imageData": None},
        **{"imageHeight": 12, "imageWidth": 20},
    } | changes


def encoded(mask: np.ndarray) -> str:
    """Return a bool mask (H, W) as labelme holds it: PNG in base64."""
    return base64.b64encode(cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes()).decode()


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><labels><label><name>egg</name></label><label><name>pan</name></label></labels></task></meta>
<image id="0" name="a.png" width="20" height="12">
<polygon label="pan" points="10,2;18,2;10,10" z_order="1"></polygon>
<mask label="egg" rle="0, 16" left="2" top="3" width="4" height="4" z_order="0"></mask></image>
<image id="1" name="b.png" width="20" height="12"></image></annotations>
"""

VOC = """<annotation><folder>pictures</folder><filename>a.png</filename>
<size><width>20</width><height>12</height><depth>3</depth></size>
<object><name>egg</name><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>6</xmax><ymax>7</ymax></bndbox>
<polygon><x1>2</x1><y1>3</y1><x2>6</x2><y2>3</y2><x3>6</x3><y3>7</y3><x4>2</x4><y4>7</y4></polygon></object>
<object><name>pan</name><polygon><pt><x>10</x><y>2</y></pt><pt><x>18</x><y>2</y></pt><pt><x>10</x><y>10</y></pt></polygon>
</object></annotation>
"""

BOXES = """<annotation><filename>a.png</filename>
<object><name>egg</name><bndbox><xmin>2</xmin></bndbox></object></annotation>
"""


def yolo_lines() -> str:
    """Return the label file of a.png."""
    rings = [np.reshape(ring, (-1, 2)) / (20, 12) for ring in (SQUARE, TRIANGLE)]
    return "".join(f"{at} {' '.join(f'{number:.6f}' for number in ring.ravel())}\n" for at, ring in enumerate(rings))


def files() -> dict[str, list[Document]]:
    """Return {format: its documents}."""
    return {
        "coco": [document("annotations/instances.json", coco())],
        "cvat": [document("annotations.xml", CVAT)],
        "labelme": [
            document("labelme/a.json", labelme()),
            document("labelme/b.json", labelme(shapes=[], imagePath="b.png")),
        ],
        "voc": [document("xml/a.xml", VOC)],
        "yolo": [
            document("data.yaml", "train: images\nnames:\n  0: egg\n  1: pan\n"),
            document("labels/a.txt", yolo_lines()),
            document("labels/b.txt", ""),
        ],
    }
