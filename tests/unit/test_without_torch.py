"""What runs on a laptop needs none of what networks need."""

import subprocess
import sys

PROGRAM = """
import importlib, sys

class Absent:
    def find_spec(self, name, *_):
        if name in ("torch", "torchvision", "cellpose", "safetensors"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
for name in ("cli.main", "demo.__main__", "onebox.serve", "onebox.run", "onebox.models", "gateway.__main__"):
    importlib.import_module(f"morula.{name}")
for name in ("tiler", "segmenter", "embedder", "clusterer", "clusterer.labeller"):
    importlib.import_module(f"morula.{name}.__main__")
"""


def test_programs_start_where_torch_is_not_installed() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
