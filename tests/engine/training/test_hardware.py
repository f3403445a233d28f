"""What a run computes with, and a network that is spread over two devices and learns as one."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.training.hardware import hardware

ROOT = Path(__file__).resolve().parents[3]

# Two halves of one processor stand for two graphics cards: the same strategy, the same copies of each variable
SPREAD = """
import sys
from pathlib import Path
import tensorflow as tf
processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
from engine.training import compiled
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
compiled.spread = strategy.scope
from engine.training.callbacks import Hooks
from engine.training.fit import fit
from tests.support.training_samples import discs, tiny
folder = Path(sys.argv[1])
config = tiny(training={"epochs": 6, "precision": "float32", "ema": 0.5})
samples = discs(folder / "files", 16, 4)
seen = []
stopping = Hooks(on_batch=lambda *values: seen.append(values), should_stop=lambda: len(seen) >= 10)
assert fit(config, samples, folder / "run", stopping).ended == "stopped"
result = fit(config, samples, folder / "run")
assert strategy.num_replicas_in_sync == 2
assert (result.ended, result.epochs_done) == ("finished", 6)
assert result.best_metrics["val_dice"] > 0.7, result
"""


def test_this_machine_is_described():
    found = hardware("float32")
    assert found.devices
    assert found.threads >= 1
    assert (found.precision, found.replicas) == ("float32", max(len(found.devices), 1))
    assert found.stored()["devices"] == list(found.devices)


@pytest.mark.slow
def test_a_network_on_two_devices_learns_stops_and_goes_on(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SPREAD, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
