"""The saved recipes: load, rename, delete, download and import."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.access import rights
from dashboard.facts.recipes import Recipe, describe_changes, describe_stored
from dashboard.facts.wording import escaped
from dashboard.server import resources
from dashboard.ui.confirm import deletion_buttons
from dashboard.views.labels import saved_recipe_facts as facts
from dashboard.views.labels.recipe_slots import load_next
from db import recipes as stored
from db.models import SavedRecipe
from db.names import NameTaken
from engine.core.parameters import ParameterError
from engine.labelling import recipe_file

LIMIT_MB = 1


@st.dialog("Save this recipe", icon=":material/bookmark_add:")
def save_recipe(recipe: Recipe) -> None:
    """Ask for a name, and save or download the recipe."""
    with resources.database().reading() as session:
        wish = facts.free_name(session, recipe)
    st.markdown(f"**{recipe.title}** · {escaped(describe_changes(recipe.params))}")
    name = st.text_input("Name of the recipe", wish, max_chars=200, key="recipe-name")
    left, right = st.columns(2)
    if left.button("Save", type="primary", icon=":material/bookmark_add:", key="recipe-keep", width="stretch"):
        _save(recipe, name)
    with right:
        _download(recipe, name, "Only download it", "recipe-download-now")


def _save(recipe: Recipe, name: str) -> None:
    try:
        with resources.database().writing() as session:
            stored.save_recipe(session, name, recipe.method, recipe.params.model_dump())
    except NameTaken as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    st.toast(f"Saved as {escaped(name.strip())}.", icon=":material/bookmark_added:")
    st.rerun()


def saved_recipes(slots: tuple[str, ...], load: Callable[[str, Recipe], None]) -> None:
    """Draw the list; `load(slot, recipe)` is the callback that puts a recipe into the sliders."""
    with resources.database().reading() as session:
        rows = stored.saved_recipes(session)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.header("Saved recipes", width="content")
        if rights.button("Import a recipe", icon=":material/upload_file:", key="recipe-import"):
            _import()
    if not rows:
        st.caption("None yet. *Save this recipe* above saves one under a name, for this and every other dataset.")
        return
    with st.container(border=True, gap="small"):
        for row in rows:
            _draw_row(row, slots, load)


def _draw_row(row: SavedRecipe, slots: tuple[str, ...], load: Callable[[str, Recipe], None]) -> None:
    recipe, title, changes = describe_stored(row.method, row.params)
    words, buttons = st.columns([3, 2], vertical_alignment="center")
    with words:
        st.markdown(f"**{escaped(row.name)}**")
        st.caption(f"{escaped(title)}: {escaped(changes)}")
    with buttons, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        if recipe is not None:
            for slot in slots:
                st.button(
                    f"Edit in {slot.upper()}",
                    icon=":material/tune:",
                    key=f"kept-{row.id}-{slot}",
                    on_click=load,
                    args=(slot, recipe),
                )
            _download(recipe, row.name, "", f"kept-{row.id}-download")
        if rights.button("", icon=":material/edit:", key=f"kept-{row.id}-rename", help="Rename this recipe."):
            _rename(row)
        if rights.button("", icon=":material/delete:", key=f"kept-{row.id}-delete", help="Delete this recipe."):
            _delete(row)


def _download(recipe: Recipe, name: str, label: str, key: str) -> None:
    st.download_button(
        label,
        data=lambda: recipe_file.to_json(name, recipe.method, recipe.params),
        file_name=facts.file_name(name),
        mime="application/json",
        icon=":material/download:",
        key=key,
        help="Download this recipe as JSON, for another installation or the command line.",
        on_click="ignore",
        width="stretch" if label else "content",
    )


@st.dialog("Rename this recipe", icon=":material/edit:")
def _rename(row: SavedRecipe) -> None:
    name = st.text_input("Name of the recipe", row.name, max_chars=200, key="recipe-new-name")
    if not st.button("Rename", type="primary", key="recipe-rename"):
        return
    try:
        with resources.database().writing() as session:
            stored.rename_recipe(session, row.id, name)
    except NameTaken as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    st.rerun()


@st.dialog("Delete this recipe?", icon=":material/delete:")
def _delete(row: SavedRecipe) -> None:
    st.markdown(f"**{escaped(row.name)}** is deleted. Mask sets that were computed with it stay.")

    def delete() -> None:
        with resources.database().writing() as session:
            stored.delete_recipe(session, row.id)

    deletion_buttons(delete, "The recipe is deleted.")


@st.dialog("Import a recipe", icon=":material/upload_file:")
def _import() -> None:
    st.markdown("A recipe is a small JSON file. *Download* beside a saved recipe creates one.")
    upload = st.file_uploader("Recipe file", type="json", key="recipe-file", max_upload_size=LIMIT_MB)
    if upload is None:
        return
    try:
        wish, recipe = facts.recipe_of(upload.getvalue())
    except ParameterError as error:
        st.error(escaped(f"{upload.name}: {error}"), icon=":material/error:")
        return
    with resources.database().reading() as session:
        wish = facts.free_name(session, recipe, wish)
    st.markdown(f"**{recipe.title}** · {escaped(describe_changes(recipe.params))}")
    name = st.text_input("Save it as", wish, max_chars=200, key="recipe-import-name")
    if st.button("Save and edit it", type="primary", key="recipe-import-keep"):
        load_next("a", recipe)
        _save(recipe, name)
