"""Forms drawn from declared parameters, in a page."""

from __future__ import annotations

import pytest
from pydantic import Field
from streamlit.testing.v1 import AppTest

from dashboard.ui import field
from engine.core.parameters import Params
from engine.core.run_config import PRESETS, RunConfig
from engine.core.run_config_text import choice_words


class Sample(Params):
    share: float = Field(0.3, ge=0, le=0.9, description="A share.")
    angle: float = Field(15.0, ge=0, le=180, json_schema_extra={"unit": "°"})
    rate: float = Field(1e-3, ge=1e-7, le=1)
    factor: float = Field(0.5, gt=0, lt=1)
    few: int = Field(4, ge=1, le=7)
    many: int = Field(30, ge=1, le=10_000)
    side_px: int = Field(400, ge=64, le=2048, json_schema_extra={"unit": "px"})


def limits_of(name, start):
    return field.limits(Sample.model_fields[name], start)


def test_steps_suit_the_range_and_tiny_numbers_are_scientific():
    assert limits_of("share", 0.3) == field.Limits(0, 0.9, 0.01)
    assert limits_of("angle", 15.0).step == 1
    assert limits_of("few", 4) == field.Limits(1, 7, 1)
    rate = limits_of("rate", 1e-3)
    assert rate.scientific and rate.step == pytest.approx(1e-4)


def test_an_exclusive_limit_is_not_offered():
    factor = limits_of("factor", 0.5)
    assert factor.low > 0 and factor.high < 1


def test_help_has_the_limits_and_the_label_has_the_unit():
    assert field.help_text(Sample.model_fields["share"]) == "A share. From 0 to 0.9."
    assert field.label_text("angle", Sample.model_fields["angle"]) == "Angle (°)"
    assert field.label_text("side_px", Sample.model_fields["side_px"]) == "Side (px)"
    assert [choice_words(word) for word in ("val_iou", "adamw", "cosine")] == ["Validation IoU", "AdamW", "Cosine"]


def page():
    import streamlit as st

    from dashboard.ui.form import params_form, reset_form
    from engine.core.run_config import PRESETS, RunConfig

    preset = st.selectbox("Preset", list(PRESETS), key="preset")
    form = params_form(RunConfig, key="f", start=PRESETS[preset], columns=2, leave_out=("model", "training.seed"))
    st.session_state["outcome"] = form
    if st.button("Reset", key="reset"):
        reset_form("f")
        st.rerun()


@pytest.fixture
def form_page(dashboard):
    return AppTest.from_function(page, default_timeout=30).run()


def test_an_unchanged_form_returns_its_start_values(form_page):
    assert not form_page.exception
    assert form_page.session_state["outcome"].params == PRESETS["fast"]


def test_values_are_validated_and_reset(form_page):
    form_page.number_input(key="f.training.epochs").set_value(7).run()
    form_page.toggle(key="f.training.tensorboard").set_value(True).run()
    params = form_page.session_state["outcome"].params
    assert (params.training.epochs, params.training.tensorboard) == (7, True)
    form_page.button(key="reset").click().run()
    assert form_page.session_state["outcome"].params == PRESETS["fast"]


def test_another_preset_restarts_the_form(form_page):
    form_page.number_input(key="f.training.epochs").set_value(7).run()
    form_page.selectbox(key="preset").set_value("classic").run()
    params = form_page.session_state["outcome"].params
    assert params.training == PRESETS["classic"].training
    # what the page left out keeps the start's values
    assert params.model == PRESETS["classic"].model


def test_a_rule_between_fields_gives_one_error(form_page):
    form_page.toggle(key="f.reduce_lr.enabled").set_value(True).run()
    form_page.number_input(key="f.reduce_lr.min_lr").set_value(0.5).run()
    outcome = form_page.session_state["outcome"]
    assert outcome.params is None and "reduce_lr.min_lr must be below" in outcome.error
    assert form_page.error[0].value == outcome.error


def test_a_disabled_group_is_greyed_out(form_page):
    assert form_page.number_input(key="f.reduce_lr.patience").disabled
    form_page.toggle(key="f.reduce_lr.enabled").set_value(True).run()
    assert not form_page.number_input(key="f.reduce_lr.patience").disabled


def test_every_parameter_of_a_run_has_a_widget(form_page):
    keys = {
        element.key
        for kind in ("number_input", "slider", "toggle", "selectbox", "button_group")
        for element in form_page.get(kind)
    }
    left_out = {"model", "version"}
    wanted = {
        f"f.{group}.{name}"
        for group, declared in RunConfig.model_fields.items()
        if group not in left_out
        for name in declared.annotation.model_fields
    } - {"f.training.seed"}
    assert wanted <= keys


def idle_page():
    from dashboard.ui.form import params_form
    from engine.core.run_config import RunConfig

    idle = {"self_training": "Truth needs no rounds.", "training.ignore_band": "Truth is always sure."}
    params_form(RunConfig, key="f", columns=2, idle=idle)


def test_fields_without_effect_are_disabled_with_their_condition():
    app = AppTest.from_function(page, default_timeout=30).run()
    alpha = app.slider(key="f.training.tversky_alpha")
    assert alpha.disabled and "only with Loss: Tversky" in alpha.help
    assert not app.number_input(key="f.training.weight_decay").disabled
    app.selectbox(key="f.training.loss").set_value("tversky").run()
    assert not app.slider(key="f.training.tversky_alpha").disabled
    app.button_group(key="f.training.optimizer").set_value("sgd").run()
    assert app.number_input(key="f.training.weight_decay").disabled
    assert app.slider(key="f.self_training.keep").disabled
    app.slider(key="f.self_training.rounds").set_value(3).run()
    assert not app.slider(key="f.self_training.keep").disabled


def test_idle_fields_and_groups_are_disabled_with_the_reason():
    app = AppTest.from_function(idle_page, default_timeout=30).run()
    assert not app.exception
    assert app.slider(key="f.self_training.rounds").disabled
    assert "Truth needs no rounds." in [caption.value for caption in app.caption]
    band = app.slider(key="f.training.ignore_band")
    assert band.disabled and band.help.endswith("Truth is always sure.")
    assert app.text_input(key="f.model.encoder_weights").disabled
    assert not app.slider(key="f.model.depth").disabled
