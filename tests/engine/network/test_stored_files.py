"""Model files are code: ours hold none, and no other is opened."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from engine.core.network_parameters import ModelParams
from engine.core.run_config import PRESETS
from engine.network.architectures import architectures
from engine.network.encoder_weights import EncoderWeightsError, load_encoder_weights
from engine.network.inference import ModelError, load_model
from engine.network.networks import network
from engine.network.stored_files import (
    MEMBERS,
    MOST_CONFIG_BYTES,
    UnsafeFile,
    check_model_file,
    check_weights_file,
)

TINY = {"image_size": 64, "depth": 2, "base_filters": 4, "encoder_weights": "none"}
KINDS = {
    f"{architecture}, stride {stride}, {'with' if normalised else 'no'} batch normalisation": ModelParams(
        architecture=architecture, first_stride=stride, batch_normalization=normalised, dropout=0.1, **TINY
    )
    for architecture in architectures()
    for stride in ((1,) if architecture == "mobilenet_v2" else (1, 4))  # the encoder has its own
    for normalised in (True, False)
} | {f"preset {name}": config.model.model_copy(update=TINY) for name, config in PRESETS.items()}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ours") / "best.keras"
    network(ModelParams(**TINY)).save(path)
    return path


@pytest.fixture(scope="module")
def encoder() -> keras.Model:
    return network(ModelParams(architecture="mobilenet_v2", image_size=64))


def rewritten(ours: Path, target: Path, **members: bytes | None) -> Path:
    """Write our model with members (by name, "." as "__") replaced, added, or with None left out."""
    with zipfile.ZipFile(ours) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content |= {name.replace("__", "."): data for name, data in members.items()}
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)
    return target


def with_layer(ours: Path, target: Path, **changes: object) -> Path:
    """Write our model with its third layer changed."""
    with zipfile.ZipFile(ours) as archive:
        config = json.loads(archive.read("config.json"))
    config["config"]["layers"][2] |= changes
    return rewritten(ours, target, config__json=json.dumps(config).encode())


def weights(write: Callable[[h5py.File], object]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        write(file)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow if params.architecture == "mobilenet_v2" else ())
        for kind, params in KINDS.items()
    ],
)
def test_our_models_hold_nothing_but_layers_of_keras(tmp_path, kind):
    path = tmp_path / "best.keras"
    network(KINDS[kind]).save(path)
    check_model_file(path)
    with zipfile.ZipFile(path) as archive:
        text = archive.read("config.json").decode()
        assert set(archive.namelist()) == MEMBERS
    assert "Lambda" not in text and "engine." not in text and ">" not in text
    names = set()
    json.loads(text, object_hook=lambda part: names.add(part.get("registered_name")))
    assert names <= {None, "Functional"}
    load_model(path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"class_name": "Lambda"}, "a Lambda layer, which is a program"),
        ({"module": "keras.src.layers.core.lambda_layer", "class_name": "X"}, "a Lambda layer, which is a program"),
        ({"module": "builtins", "class_name": "eval"}, r"built from 'builtins\.eval'"),
        ({"module": "os", "class_name": "system"}, r"built from 'os\.system'"),
        ({"module": "engine.network.normalization", "class_name": "FusedBatchNormalization"}, "no network of Maskloom"),
        ({"registered_name": "Package>Conv2D"}, r"built from 'keras\.layers\.Conv2D'"),
        ({"module": "keras.layers", "class_name": "TFSMLayer"}, r"built from 'keras\.layers\.TFSMLayer'"),
        ({"module": "keras.layers", "class_name": "Hashing"}, r"built from 'keras\.layers\.Hashing'"),
        ({"module": None, "class_name": "function"}, "built from 'function'"),
    ],
)
def test_a_class_that_is_none_of_ours_is_refused_by_name(ours, tmp_path, changes, sentence):
    with pytest.raises(ModelError, match=f"other.keras cannot be read: It .*{sentence}"):
        load_model(with_layer(ours, tmp_path / "other.keras", **changes))


def test_a_real_lambda_layer_never_runs(tmp_path):
    path, trace = tmp_path / "lambda.keras", tmp_path / "it ran"
    image = keras.Input((16, 16, 3))
    runs = keras.layers.Lambda(
        lambda x, name: (__import__("pathlib").Path(name).touch(), x)[1], arguments={"name": str(trace)}
    )
    model = keras.Model(image, keras.layers.Conv2D(1, 1)(runs(image)))
    model.save(path)
    trace.unlink(missing_ok=True)
    with pytest.raises(ModelError, match="a Lambda layer, which is a program"):
        load_model(path)
    assert not trace.exists()


def test_a_class_hidden_in_a_layer_is_found(ours, tmp_path):
    with zipfile.ZipFile(ours) as archive:
        config = json.loads(archive.read("config.json"))
    convolution = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Conv2D")
    convolution["config"]["activation"] = {"module": "builtins", "class_name": "function", "config": "exec"}
    with pytest.raises(UnsafeFile, match=r"builtins\.function"):
        check_model_file(rewritten(ours, tmp_path / "x.keras", config__json=json.dumps(config).encode()))
    deep = b"[" * 500 + b"]" * 500
    with pytest.raises(UnsafeFile, match="nested more than 60 deep"):
        check_model_file(rewritten(ours, tmp_path / "y.keras", config__json=deep))


def test_what_else_lies_in_the_file_is_refused(ours, tmp_path):
    path = tmp_path / "x.keras"
    with pytest.raises(UnsafeFile, match=r"also contains 'assets/evil\.py'"):
        check_model_file(rewritten(ours, path, **{"assets/evil__py": b"x"}))
    with pytest.raises(UnsafeFile, match=r"also contains '\.\./x\.h5'"):
        check_model_file(rewritten(ours, path, **{"../x.h5": b"x"}))
    with pytest.raises(UnsafeFile, match=r"lacks 'model\.weights\.h5'"):
        check_model_file(rewritten(ours, path, model__weights__h5=None))
    with pytest.raises(UnsafeFile, match=r"config\.json has 17 MB; the limit is 17 MB"):
        check_model_file(rewritten(ours, path, config__json=b" " * (MOST_CONFIG_BYTES + 1)))
    with pytest.raises(UnsafeFile, match="weights are damaged or not an HDF5 file"):
        check_model_file(rewritten(ours, path, model__weights__h5=b"\x89HDF no"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in MEMBERS:
            archive.writestr(name, bytes(1 << 20))
    with pytest.raises(UnsafeFile, match="is compressed, and Keras does not compress"):
        check_model_file(path)
    path.write_bytes(ours.read_bytes()[:-100])
    with pytest.raises(UnsafeFile, match="damaged or not a Keras file"):
        check_model_file(path)


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), np.float32)
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (4,))
    file.create_virtual_dataset("virtual", layout)


def _itself(file: h5py.File) -> None:
    group = file.create_group("a")
    group["b"] = group


EVIL_WEIGHTS: dict[str, tuple[Callable[[h5py.File], object], str]] = {
    "external link": (lambda file: file.__setitem__("x", h5py.ExternalLink("/etc/passwd", "/x")), "a link 'x'"),
    "soft link": (lambda file: file.__setitem__("x", h5py.SoftLink("/nowhere")), "a link 'x'"),
    "external storage": (
        lambda file: file.create_dataset("x", (4,), np.uint8, external=[("/etc/passwd", 0, 4)]),
        "data is in another file",
    ),
    "virtual array": (_virtual, "data is in another file"),
    "references": (lambda file: file.create_dataset("x", (4,), h5py.ref_dtype), "which is not numeric"),
    "pickled objects": (lambda file: file.create_dataset("x", (4,), h5py.string_dtype()), "which is not numeric"),
    "array that only claims its size": (
        lambda file: file.create_dataset("x", (1 << 40,), np.float32, chunks=(1 << 20,), compression="gzip"),
        "the limit is 4,295 MB",
    ),
    "group inside itself": (_itself, "inside itself"),
}


@pytest.mark.parametrize("kind", EVIL_WEIGHTS)
def test_weights_that_lead_elsewhere_or_claim_too_much_are_refused(ours, encoder, tmp_path, kind):
    write, sentence = EVIL_WEIGHTS[kind]
    data = weights(write)
    with pytest.raises(UnsafeFile, match=sentence):
        check_model_file(rewritten(ours, tmp_path / "x.keras", model__weights__h5=data))
    (tmp_path / "x.weights.h5").write_bytes(data)
    with pytest.raises(UnsafeFile, match=sentence):
        check_weights_file(tmp_path / "x.weights.h5")
    with pytest.raises(EncoderWeightsError, match=sentence):
        load_encoder_weights(encoder, str(tmp_path / "x.weights.h5"))


def test_only_files_of_weights_are_opened_as_weights(tmp_path):
    for name in ("x.weights.json", "x.pkl", "x"):
        (tmp_path / name).write_bytes(b"{}")
        with pytest.raises(UnsafeFile, match=r"ending in \.h5, \.hdf5, \.keras"):
            check_weights_file(tmp_path / name)


@pytest.mark.slow
def test_the_encoders_own_weights_pass(encoder, tmp_path):
    theirs = keras.applications.MobileNetV2(input_shape=(64, 64, 3), include_top=False, weights=None)
    for name in ("x.weights.h5", "x.keras"):
        (theirs.save_weights if name.endswith(".h5") else theirs.save)(tmp_path / name)
        check_weights_file(tmp_path / name)
        load_encoder_weights(encoder, str(tmp_path / name))
