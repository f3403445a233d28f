"""What settings mean, told at once: words, memory, and where weights come from."""

from dashboard.facts.cost import cost, encoder_weights
from engine.core.run_config import PRESETS, ModelParams, config_from
from engine.network import pretrained

ENOUGH = 10**12


def classic(**training):
    return config_from("classic", {"training": training})


def test_the_sentence_has_size_operations_and_memory():
    shown = cost(classic(), ENOUGH)
    assert "31 million parameters" in shown.sentence and "109 GFLOPs" in shown.sentence
    assert "GB of memory" in shown.sentence and "free now" in shown.sentence
    assert "free now" not in cost(classic(), None).sentence
    assert shown.warning == shown.note == shown.problem == ""


def test_the_table_has_all_parameters():
    shown = cost(PRESETS["fast"], ENOUGH)
    assert sum(row.parameters for row in shown.layers) == shown.parameters
    assert shown.layers[0].output == "256 × 256 × 3"


def test_too_much_memory_names_the_setting_to_lower_and_what_would_fit():
    needed = {batch: cost(classic(batch_size=batch), ENOUGH).memory_bytes for batch in (1, 4, 8)}
    advice = "Choose a smaller batch size (now 8), image size (now 256 px) or number of base filters (now 64)."
    assert cost(classic(batch_size=8), needed[4]).warning.endswith(f"{advice} A batch size of 4 would fit.")
    assert cost(classic(batch_size=8), needed[1] - 1).warning.endswith(advice)
    smallest = cost(classic(batch_size=1), needed[1] - 1).warning
    assert smallest.endswith("Choose a smaller image size (now 256 px) or number of base filters (now 64).")
    assert cost(classic(batch_size=8), needed[8]).warning == ""


def test_pretrained_weights_are_described(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("engine.network.pretrained.installed_path", lambda: tmp_path / "installed.weights.h5")

    def described(weights, architecture="mobilenet_v2"):
        return encoder_weights(ModelParams(architecture=architecture, encoder_weights=weights))

    assert described("imagenet", "unet") == ("", "")
    assert "random weights" in described("none")[0]
    assert "not label-free" in described("imagenet")[0] and "9 MB" in described("imagenet")[0]
    pretrained.keras_path().parent.mkdir()
    pretrained.keras_path().touch()
    assert "9 MB" not in described("imagenet")[0]
    assert "There is no weights file" in described(str(tmp_path / "none.h5"))[1]
    assert described(str(pretrained.keras_path()))[1] == ""
