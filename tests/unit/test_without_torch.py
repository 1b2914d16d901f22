"""What runs on a laptop needs none of what networks need."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ABSENT = """
import importlib, sys

class Absent:
    def find_spec(self, name, *_):
        if name in ("torch", "torchvision", "cellpose"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""
STARTING = """
for name in ("cli.main", "demo.__main__", "onebox.serve", "onebox.run", "onebox.models", "gateway.__main__"):
    importlib.import_module(f"morula.{name}")
for name in ("tiler", "segmenter", "embedder", "clusterer", "clusterer.labeller", "evaluator"):
    importlib.import_module(f"morula.{name}.__main__")
"""
# From a file to objects: as `morula models add` and a segmenter do it.
SEGMENTING = """
from pathlib import Path
import numpy as np
from morula.common.errors import ModelUnavailable
from morula.common.weights import WeightsFolder
from morula.networks.models import Models
from morula.onebox.folder import DataFolder
from morula.onebox.models import Wishes, add
from morula.segmenter.backends import MODELS
from morula.segmenter.instances import Wanted
from morula.segmenter.params import FlowParams

oracles, folder = Path(sys.argv[1]), DataFolder(Path(sys.argv[2]))
add(folder, "cellpose-unet", [oracles / "unet_narrow.onnx"], oracles / "size_narrow.safetensors", Wishes())
try:
    add(folder, "cellpose-unet", [oracles / "unet_narrow.pth"], None, Wishes(name="other"))
except ModelUnavailable as error:
    assert "needs torch" in str(error), error
else:
    raise SystemExit("a file that torch wrote was read without it")
models = Models("segmenter", MODELS, WeightsFolder(folder.weights))
pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3)).astype(np.uint8)
wanted = Wanted(flows=FlowParams(flow_threshold=0, cellprob_threshold=-9))
assert models["cellpose-unet"](pixels, 0.5, wanted).labels.max() > 0
assert models.check()
models.close()
talking = [name for name, module in sys.modules.items() if "telemetry" in name.split(".")[0] and module]
assert not talking, talking
assert not list(Path.home().iterdir()), "something was left in the home folder"
"""
# From a file to vectors: as `morula models add` and an embedder do it.
EMBEDDING = """
from pathlib import Path
import numpy as np
import safetensors.numpy
import shapely
from morula.common.pixels import Region
from morula.common.stain import Staining
from morula.common.weights import WeightsFolder
from morula.embedder.backends import MODELS
from morula.embedder.instances import RegionCells
from morula.networks import backbones
from morula.networks.models import Models
from morula.onebox.folder import DataFolder
from morula.onebox.models import Wishes, add

folder, rng = DataFolder(Path(sys.argv[1])), np.random.default_rng(0)
file = Path(sys.argv[1]) / "random.safetensors"
shapes = backbones.shapes("mobilenet_v2").items()
safetensors.numpy.save_file({name: rng.uniform(0.01, 0.1, shape).astype(np.float32) for name, shape in shapes}, file)
add(folder, "mobilenet_v2", [file], None, Wishes("wide", context_um=60.0))
models = Models("embedder", MODELS, WeightsFolder(folder.weights))
labels = np.zeros((90, 120), np.int32)
labels[30:40, 50:70] = 1
pixels = rng.integers(0, 255, (90, 120, 3)).astype(np.uint8)
region = Region(0, 0.0, 0.0, 1.0, pixels, 0, 0.5, 0.5)
cells = RegionCells(region, np.array([shapely.box(50, 30, 70, 40)]), labels, Staining(), {})
vectors = models["wide"](cells, lambda: None)
assert vectors.shape == (1, 2 * 1280), vectors.shape
assert np.allclose(np.linalg.norm(vectors.reshape(2, 1280), axis=1), 1, atol=1e-3)
models.close()
"""


def run(program: str, *words: object) -> None:
    command = [sys.executable, "-c", ABSENT + program, *map(str, words)]
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HOME": home}
        ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr


def test_programs_start_where_torch_is_not_installed() -> None:
    run(STARTING)


def test_a_network_finds_objects_where_torch_is_not_installed(tmp_path: Path) -> None:
    run(SEGMENTING, Path(__file__).parents[1] / "oracles", tmp_path)


def test_a_network_describes_cells_where_torch_is_not_installed(tmp_path: Path) -> None:
    run(EMBEDDING, tmp_path)


def test_training_says_what_it_needs(tmp_path: Path) -> None:
    program = ABSENT + "sys.argv[0] = 'morula'\nimportlib.import_module('morula.cli.main').main()"
    (tmp_path / "a.toml").write_text("")
    command = [sys.executable, "-c", program, "train", str(tmp_path / "a.toml")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "networks need torch, which is not installed" in ended.stderr
