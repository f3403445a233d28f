"""What the page of a run shows, also where the browser draws it by itself while the run trains."""

import json


def metrics(app) -> dict[str, str]:
    """The numbers at the head: a run that trains has them drawn by the browser, since they change with each epoch."""
    live = [number for data in given(app) for number in data.get("numbers", [])]
    return {metric.label: metric.value for metric in app.metric} | {each["label"]: each["value"] for each in live}


def given(app) -> list[dict]:
    """What the page gave to the browser halves of our components."""
    return [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]


def bar(app) -> dict:
    """What the page gave to the bar of a run that trains; its browser half asks for the rest."""
    return next(data for data in given(app) if "drawn" in data)


def newest_epoch(app) -> int:
    return next(data["epoch"] for data in given(app) if data.get("part") == "epoch")


def masks(app) -> list[str]:
    return [tile["mask"] for data in given(app) for tile in data.get("tiles", [])]
