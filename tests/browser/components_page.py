"""A page with each component alone, for the browser tests: `?show=grid|classes|viewer|brush|upload`."""

import streamlit as st

from dashboard.facts import urls
from dashboard.facts.corrections import drawn_classes
from dashboard.server import resources
from dashboard.ui.mask_grid import MODES, Tile, mask_grid
from dashboard.ui.uploader import forget_upload, uploader
from dashboard.ui.viewer import Brush, Pane, viewer
from db import datasets
from db.models import Dataset

with resources.database().reading() as session:
    dataset = session.query(Dataset).first()
    images = datasets.images(session, dataset.id) if dataset else []


def addresses(image_id):
    return urls.image(dataset.id, image_id), urls.truth(dataset.id, image_id)


show = st.query_params.get("show")
if show == "grid":
    mode = st.selectbox("Mode", MODES, key="mode")
    threshold = st.number_input("Threshold", 0.0, 1.0, 0.5, key="threshold")
    tiles = [Tile(image.id, image.name, *addresses(image.id), addresses(image.id)[1], badge="0.9") for image in images]
    tiles.append(Tile("gone", "gone.png", urls.image(dataset.id, "0" * 32)))
    chosen = mask_grid(tiles, key="grid", mode=mode, threshold=threshold, opacity=1.0, aspect=1.0)
    if chosen:
        st.session_state["chosen"] = next((image.name for image in images if image.id == chosen), chosen)
    st.write("Chosen:", st.session_state.get("chosen", "nothing"))
elif show == "classes":
    set_id, mode = st.query_params["set"], st.selectbox("Mode", MODES, key="mode")
    only = st.number_input("Class", 0, 2, 0, key="class")
    image = images[0]
    picture, mask = urls.image(dataset.id, image.id), urls.prediction(set_id, image.id)
    truth = urls.truth(dataset.id, image.id, classes=True)
    foreground = urls.truth(dataset.id, image.id)
    levels, numbers = {"foreground": (foreground, None), "label": (foreground, truth)}.get(
        st.query_params.get("reference"), (None, truth)
    )
    classes = {"classes": urls.prediction_classes(set_id, image.id), "reference_classes": numbers}
    tile = Tile(image.id, image.name, picture, mask, levels, **classes)
    mask_grid([tile], key="grid", mode=mode, opacity=1.0, aspect=1.0, tile_px=300, only_class=only or None)
    names = ("background", "egg", "pan")
    own = {"class_colours": ("transparent", "#123456", "#AA00CC"), "only_class": 2} if "own" in st.query_params else {}
    pane = Pane("Mask", picture, mask, levels, mode, class_names=names, **classes, **own)
    viewer([pane], key="pane", opacity=1.0, only_class=only or None)
elif show == "viewer":
    image, truth = addresses(images[0].id)
    panes = [Pane("Image", image), Pane("Truth", image, mask=truth)]
    viewer(panes, key="panes", opacity=1.0, height_px=320)
    viewer(panes, key="wipe", opacity=1.0, height_px=320, wipe=True)
elif show == "brush":
    image, truth = addresses(images[0].id)
    with resources.database().reading() as session:
        brush = Brush(dataset.id, images[0].id, drawn_classes(session, dataset.id), tells=True)
    stored = viewer([Pane("Mask", image, mask=truth)], key="brush", brush=brush)
    st.session_state["stored"] = st.session_state.get("stored", 0) + stored
    st.write("Stored:", st.session_state["stored"])
elif show == "upload":
    upload = uploader(key="u")
    st.write("Arrived:", f"{len(upload.files)} files, {upload.bytes} bytes" if upload else "nothing")
    if st.button("Forget"):
        forget_upload("u")
        st.rerun()
