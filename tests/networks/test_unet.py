"""The U-Net, its style and its size model are Cellpose 3's on every runtime: compared with files of `make oracles`."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from prometheus_client import REGISTRY

from morula.common.compute import Processors, go_on
from morula.common.errors import InvalidArgument, ModelUnavailable
from morula.common.models import FAMILIES
from morula.networks import unet_files, unet_graph
from morula.networks.crop_queue import CropQueue
from morula.networks.dtypes import Dtype, Runtime
from morula.networks.files import State
from morula.networks.network import Batch, Network, computing_in
from morula.networks.openvino_runtime import GraphNetwork, graph_network
from morula.networks.silent_openvino import openvino
from morula.networks.unet_runtimes import unet
from morula.networks.unet_shape import UNetConfig
from morula.segmenter import cellpose_unet
from morula.segmenter.crop_backend import CropBackend, Traits
from morula.segmenter.instances import Wanted
from morula.segmenter.params import FlowParams
from tests.servers.require import networks

networks()
import torch  # noqa: E402 - only where it is installed
from torch.nn import functional  # noqa: E402

from morula.networks.unet import UNet  # noqa: E402
from morula.networks.unet_torch import read_unet  # noqa: E402

ORACLES = Path(__file__).parents[1] / "oracles"
NETWORK, SIZE = ORACLES / "unet_narrow.pth", ORACLES / "size_narrow.safetensors"
GRAPH = ORACLES / "unet_narrow.onnx"
TRAITS = Traits(cellpose_unet.CROP_PX, ("gray", "none"), 17.0, fills_crops=False)
EXACTLY = Wanted(flows=FlowParams(dtype="float32"))
ROW = next(row for row in FAMILIES if row.name == "cellpose-unet")


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(ORACLES / "unet_narrow.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def state() -> State:
    return unet_files.read(NETWORK)


@pytest.fixture(scope="module", params=["openvino", "torch"])
def queue(request: pytest.FixtureRequest) -> Iterator[CropQueue]:
    opened = CropQueue("cpu", batch=2, processors=Processors(1), runtime=request.param)
    yield opened
    opened.close()


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def narrow(queue: CropQueue) -> Network:
    return unet(unet_files.read(NETWORK), "narrow", queue.device, queue.runtime)


def backend(queue: CropQueue) -> CropBackend:
    return CropBackend([narrow(queue)], TRAITS, queue, cellpose_unet.read_size_model(SIZE))


def test_the_network_and_its_style_are_the_stock_ones(expected: dict[str, np.ndarray]) -> None:
    network = read_unet(unet_files.read(NETWORK)).eval()
    with torch.inference_mode():
        outputs, style = network(torch.from_numpy(expected["crops"]))
    assert difference(outputs.numpy(), expected["outputs"]) < 1e-5
    assert difference(style.numpy(), expected["style"]) < 1e-5


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("bfloat16", 0.05)])
def test_runtimes_say_the_same(
    expected: dict[str, np.ndarray], state: State, dtype: Dtype, runtime: Runtime, bound: float
) -> None:
    """Within what a dtype rounds to, and batches are filled up without a trace."""
    with torch.inference_mode():
        maps, style, features = read_unet(state).eval().see(torch.from_numpy(expected["crops"]))
        exact = [each.numpy() for each in (maps, style, functional.avg_pool2d(features, 4))]
    graph = unet_graph.model(UNetConfig.of(state), state, feature_step=4)
    of_torch = unet(state, "narrow", "cpu", "torch")
    made = graph_network(graph, "narrow", "bfloat16") if runtime == "openvino" else of_torch
    answer = computing_in(made, dtype)(Batch([expected["crops"][:1], expected["crops"][1:]], size=3, threads=1))
    assert answer.features is not None
    assert [part.shape for part in answer] == [part.shape for part in exact]
    assert difference(answer.maps, exact[0]) < bound
    assert difference(answer.styles, exact[1]) < bound
    assert difference(answer.features, exact[2]) < max(bound, 1e-3)


def test_the_graph_that_tests_use_is_of_the_network_that_stock_wrote(state: State) -> None:
    """After `make oracles` it is written anew: unet_files.write(unet_files.read(NETWORK), GRAPH)."""
    assert unet_files.written(state) == GRAPH.read_bytes()


@pytest.mark.parametrize(("whole_px", "compiled"), [(0, 7), (64, 2)])
def test_crops_of_many_shapes_are_each_computed_as_alone(
    state: State, whole_px: int, compiled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where most have one shape, the graph is compiled for that and once for all others."""
    shapes: list[object] = []
    compile_for = GraphNetwork._compile

    def seen(self: GraphNetwork, shape: tuple[int, ...], threads: int) -> object:
        shapes.append(shape)
        return compile_for(self, shape, threads)

    monkeypatch.setattr(GraphNetwork, "_compile", seen)
    graph = unet_graph.model(UNetConfig.of(state), state, feature_step=4)
    file = graph_network(graph, "narrow", "float32", whole_px)
    sides = [32, 48, 64, 80, 96, 112, 32]
    crops = [np.random.default_rng(side).random((1, 2, side, 64), dtype=np.float32) for side in sides]
    found = [file(Batch([crop], 1, 1)).maps for crop in crops]
    assert np.array_equal(found[0], found[-1])
    assert len(shapes) == compiled
    network = read_unet(state).eval()
    with torch.inference_mode():
        for crop, maps in zip(crops, found, strict=True):
            assert difference(maps, network(torch.from_numpy(crop))[0].numpy()) < 1e-5


def test_a_processor_that_computes_in_float32_says_so(state: State) -> None:
    file = graph_network(unet_graph.model(UNetConfig.of(state), state), "narrow", "float32")
    assert computing_in(file, "") is computing_in(file, "float32")
    with pytest.raises(ModelUnavailable, match="MORULA_NETWORK_DTYPE=float32"):
        computing_in(file, "bfloat16")


def test_shapes_of_the_graph_are_those_of_the_network(state: State) -> None:
    """Whatever its depth and widths."""
    config = UNetConfig(channel_count=3, widths=(4, 6, 10), output_count=5)
    expected = {name: tuple(tensor.shape) for name, tensor in UNet(config).state_dict().items()}
    counted = {name for name in expected if name.endswith("num_batches_tracked")}
    assert unet_graph.shapes(config).items() <= expected.items()
    assert expected.keys() - unet_graph.shapes(config).keys() == counted | {"diam_mean", "diam_labels"}


@pytest.mark.parametrize("halves", [False, True])
def test_a_file_of_a_graph_is_one_for_anybody(state: State, expected: dict[str, np.ndarray], halves: bool) -> None:
    """It is valid by itself, and computes by itself what our runtimes compute of its weights."""
    graph = unet_graph.model(UNetConfig.of(state), state, halves=halves)
    onnx.checker.check_model(graph, full_check=True)
    assert {tensor.name for tensor in graph.graph.initializer} == unet_graph.shapes(UNetConfig.of(state)).keys()
    read = openvino.Core().read_model(graph.SerializeToString())
    said = openvino.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(expected["crops"])
    assert difference(said["maps"], expected["outputs"]) < (2e-3 if halves else 1e-5)
    assert said["features"].shape == (2, 4, 64, 96)


@pytest.mark.parametrize(
    ("name", "diameter_px", "params"),
    [("plain", 17.0, {}), ("small", 25.0, {}), ("augmented", 17.0, {"augment": True})],
)
def test_flows_of_an_image_are_the_stock_ones(expected, queue, name, diameter_px, params) -> None:  # type: ignore[no-untyped-def]
    wanted = Wanted(diameter_um=diameter_px * 0.5, flows=FlowParams(normalize="image", dtype="float32", **params))
    flows = backend(queue).infer(expected["pixels"], 0.5, wanted, go_on)
    assert difference(flows.flow, expected[f"{name}_flow"]) < 1e-5
    assert difference(flows.probability, expected[f"{name}_probability"]) < 1e-5
    assert difference(flows.style, expected[f"{name}_style"]) < 1e-5


def test_the_size_model_is_the_stock_one(expected: dict[str, np.ndarray], queue: CropQueue) -> None:
    wanted = Wanted(flows=FlowParams(normalize="image", dtype="float32"))
    found = backend(queue).first_diameter_um(expected["pixels"], 0.5, wanted, go_on)
    assert found / 0.5 == pytest.approx(float(expected["diameter_px"]), rel=1e-5)


def test_an_ensemble_of_equals_is_each_of_them(expected: dict[str, np.ndarray], queue: CropQueue) -> None:
    one = cellpose_unet.load(ROW, [("network", NETWORK)], queue)
    two = cellpose_unet.load(ROW, [("network", NETWORK), ("network", NETWORK)], queue)
    wanted = Wanted(flows=FlowParams(flow_threshold=0, cellprob_threshold=-9))
    assert np.array_equal(one(expected["pixels"], 0.5, wanted).labels, two(expected["pixels"], 0.5, wanted).labels)


def other_network(queue: CropQueue) -> Network:
    """The narrow network with other numbers."""
    state = unet_files.read(NETWORK)
    other = {
        name: -3 * tensor if name in ("output.2.weight", "output.2.bias") else tensor for name, tensor in state.items()
    }
    return unet(other, "other", queue.device, queue.runtime)


def test_an_ensemble_of_others_is_their_mean(expected: dict[str, np.ndarray], queue: CropQueue) -> None:
    first, second = narrow(queue), other_network(queue)
    one, other, both = (
        CropBackend(members, TRAITS, queue).infer(expected["pixels"], 0.5, EXACTLY, go_on)
        for members in ([first], [second], [first, second])
    )
    assert difference(other.flow, one.flow) > 0.1
    assert difference(both.flow, (one.flow + other.flow) / 2) < 1e-6
    assert difference(both.probability, (one.probability + other.probability) / 2) < 1e-6


def test_channels_of_a_request_take_the_place_of_the_networks_own(
    expected: dict[str, np.ndarray], queue: CropQueue
) -> None:
    own = CropBackend([narrow(queue)], replace(TRAITS, channels=("inverted_red", "blue")), queue)
    asked = Wanted(flows=FlowParams(channels=("inverted_red", "blue")))
    overridden = backend(queue).infer(expected["pixels"], 0.5, asked, go_on)
    assert np.array_equal(overridden.flow, own.infer(expected["pixels"], 0.5, Wanted(), go_on).flow)
    plain = backend(queue).infer(expected["pixels"], 0.5, Wanted(), go_on)
    assert difference(overridden.flow, plain.flow) > 1e-3
    with pytest.raises(InvalidArgument, match="sees 2 channels, not 1"):
        backend(queue).infer(expected["pixels"], 0.5, Wanted(flows=FlowParams(channels=("red",))), go_on)


def test_what_is_done_is_counted(expected: dict[str, np.ndarray], queue: CropQueue) -> None:
    names = ["network_crops_total", "segmenter_cells_total", "network_batch_fill_count", "network_batch_seconds_count"]
    phases = ("prepare", "instances")

    def counted() -> list[float]:
        found = [REGISTRY.get_sample_value(f"morula_{name}") for name in names]
        seconds = "morula_segmenter_phase_seconds_count"
        found += [REGISTRY.get_sample_value(seconds, {"phase": phase}) for phase in phases]
        return [value or 0.0 for value in found]

    model = cellpose_unet.load(ROW, [("network", NETWORK)], queue)
    before = counted()
    cells = model(expected["pixels"], 0.5, Wanted(flows=FlowParams(flow_threshold=0, cellprob_threshold=-9))).scores
    crops, found, batches, timed, *phase_counts = (now - then for now, then in zip(counted(), before, strict=True))
    assert found == cells.size > 0
    assert (crops, batches, timed) == (2, 1, 1), "two crops are one batch of two"
    assert phase_counts == [1, 1]


def test_width_and_channels_are_read_off_the_file() -> None:
    config = UNetConfig(channel_count=1, widths=(4, 8, 12))
    assert UNetConfig.of(UNet(config).state_dict()) == config
