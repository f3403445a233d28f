"""Recipes that were kept under a name: to load, rename, delete, and to carry to another machine as JSON."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.access import rights
from dashboard.facts import recipes, wording
from dashboard.facts.recipes import Recipe
from dashboard.server import resources
from dashboard.ui.confirm import deletion_buttons
from dashboard.views.labels import kept_recipe_facts as viewmodel
from dashboard.views.labels.kept_recipe_facts import KeptCard
from dashboard.views.labels.recipe_slots import load_next
from db import recipes as stored
from db.names import NameTaken
from engine.core.parameters import ParameterError

LIMIT_MB = 1


@st.dialog("Keep this recipe", icon=":material/bookmark_add:")
def keep_recipe(recipe: Recipe) -> None:
    """Ask for a name and keep a recipe under it; or hand it over as a file."""
    with resources.database().reading() as session:
        wish = viewmodel.proposed_name(session, recipe)
    st.markdown(f"**{recipe.title}** · {wording.escaped(recipes.describe_changes(recipe.params))}")
    name = st.text_input("Name of the recipe", wish, max_chars=200, key="recipe-name")
    left, right = st.columns(2)
    if left.button("Keep", type="primary", icon=":material/bookmark_add:", key="recipe-keep", width="stretch"):
        _keep(recipe, name)
    with right:
        _download(recipe, name, "Only download it", "recipe-download-now")


def _keep(recipe: Recipe, name: str) -> None:
    try:
        with resources.database().writing() as session:
            stored.keep_recipe(session, name, recipe.method, recipe.params.model_dump())
    except NameTaken as error:
        st.error(wording.escaped(str(error)), icon=":material/error:")
        return
    st.toast(f"Kept as {wording.escaped(name.strip())}.", icon=":material/bookmark_added:")
    st.rerun()


def kept_recipes(slots: tuple[str, ...], load: Callable[[str, Recipe], None]) -> None:
    """Draw the list of kept recipes; `load(slot, recipe)` is the callback that puts one into the sliders."""
    with resources.database().reading() as session:
        cards = viewmodel.kept_cards(session)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader("Kept recipes", width="content")
        if rights.button("Import a recipe", icon=":material/upload_file:", key="recipe-import"):
            _import()
    if not cards:
        st.caption("None yet. *Keep this recipe* above keeps one under a name, for this and every other dataset.")
        return
    with st.container(border=True, gap="small"):
        for card in cards:
            _draw_card(card, slots, load)


def _draw_card(card: KeptCard, slots: tuple[str, ...], load: Callable[[str, Recipe], None]) -> None:
    words, buttons = st.columns([3, 2], vertical_alignment="center")
    with words:
        st.markdown(f"**{wording.escaped(card.name)}**")
        st.caption(f"{card.method_title}: {wording.escaped(card.changes)}")
    with buttons, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        if card.recipe is not None:
            for slot in slots:
                st.button(
                    f"Load into {slot.upper()}",
                    icon=":material/tune:",
                    key=f"kept-{card.id}-{slot}",
                    on_click=load,
                    args=(slot, card.recipe),
                )
            _download(card.recipe, card.name, "", f"kept-{card.id}-download")
        if rights.button("", icon=":material/edit:", key=f"kept-{card.id}-rename", help="Rename this recipe."):
            _rename(card)
        if rights.button("", icon=":material/delete:", key=f"kept-{card.id}-delete", help="Delete this recipe."):
            _delete(card)


def _download(recipe: Recipe, name: str, label: str, key: str) -> None:
    st.download_button(
        label,
        data=lambda: viewmodel.recipe_json(name, recipe),
        file_name=viewmodel.file_name(name),
        mime="application/json",
        icon=":material/download:",
        key=key,
        help="Download this recipe as JSON: another Maskloom imports it, and the command line takes it.",
        on_click="ignore",
        width="stretch" if label else "content",
    )


@st.dialog("Rename this recipe", icon=":material/edit:")
def _rename(card: KeptCard) -> None:
    name = st.text_input("Name of the recipe", card.name, max_chars=200, key="recipe-new-name")
    if not st.button("Rename", type="primary", key="recipe-rename"):
        return
    try:
        with resources.database().writing() as session:
            stored.rename_recipe(session, card.id, name)
    except NameTaken as error:
        st.error(wording.escaped(str(error)), icon=":material/error:")
        return
    st.rerun()


@st.dialog("Delete this recipe?", icon=":material/delete:")
def _delete(card: KeptCard) -> None:
    st.markdown(f"**{wording.escaped(card.name)}** is forgotten. Label sets that were drawn with it stay.")

    def delete() -> None:
        with resources.database().writing() as session:
            stored.delete_recipe(session, card.id)

    deletion_buttons(delete, "The recipe is deleted.")


@st.dialog("Import a recipe", icon=":material/upload_file:")
def _import() -> None:
    st.markdown("A recipe is a small JSON file that *Download* beside a kept recipe makes.")
    upload = st.file_uploader("Recipe file", type="json", key="recipe-file", max_upload_size=LIMIT_MB)
    if upload is None:
        return
    try:
        wish, recipe = viewmodel.recipe_of(upload.getvalue())
    except ParameterError as error:
        st.error(wording.escaped(f"{upload.name}: {error}"), icon=":material/error:")
        return
    with resources.database().reading() as session:
        wish = viewmodel.free_name(session, wish)
    st.markdown(f"**{recipe.title}** · {wording.escaped(recipes.describe_changes(recipe.params))}")
    name = st.text_input("Keep it as", wish, max_chars=200, key="recipe-import-name")
    if st.button("Keep and load it", type="primary", key="recipe-import-keep"):
        load_next("a", recipe)
        _keep(recipe, name)
