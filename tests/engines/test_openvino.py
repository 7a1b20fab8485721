import gc
import runpy
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from maskrcnn.engines import openvino as engine
from maskrcnn.engines.openvino import CompiledPart, use_openvino
from maskrcnn.errors import SettingError
from maskrcnn.model.inference.folding import prepare_for_prediction
from tests.conftest import require_openvino
from tests.model.small import fill_norms, small_model, small_settings


def pair(dtype=torch.float32, **parts):
    """The same small model, computed by torch and by OpenVINO."""
    require_openvino()
    models = []
    for _ in range(2):
        model = small_model(small_settings(**parts))
        fill_norms(model.backbone)
        models.append(prepare_for_prediction(model, dtype))
    use_openvino(models[1])
    return models


def images(*shape, dtype=torch.float32):
    images = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    return images.to(dtype).to(memory_format=torch.channels_last)


@torch.no_grad()
def compare(model, other, images, tolerance):
    expected, found = model.features(images), other.features(images)
    assert list(found) == list(expected)
    for level, map in expected.items():
        assert found[level].dtype == map.dtype
        assert found[level].is_contiguous(memory_format=torch.channels_last)
        limit = tolerance * float(map.float().abs().max())
        torch.testing.assert_close(found[level], map, atol=limit, rtol=0)


FROZEN = {"norm": "frozen_batch", "frozen_stages": 0}
NARROW = {"name": "resnet18", "width": 32} | FROZEN


@pytest.mark.parametrize(
    "parts",
    [
        {"backbone": NARROW},
        {"backbone": {"name": "resnet18", "width": 32, "norm": "group", "frozen_stages": 0}},
        {"backbone": {"name": "mobilenet_v3_large"} | FROZEN, "anchors": {"sizes": ((8, 16),) * 3}},
    ],
    ids=["resnet18", "group norm", "mobilenet"],
)
def test_maps_are_those_of_torch_at_every_size_and_batch(parts):
    model, other = pair(**parts)
    # Sides that no level divides, and that are larger or smaller than those of the example the graph is made from.
    for shape in ((1, 3, 64, 96), (2, 3, 70, 50), (3, 3, 33, 129)):
        compare(model, other, images(*shape), 1e-4)


def test_in_bfloat16_maps_differ_by_rounding_only():
    model, other = pair(torch.bfloat16, backbone=NARROW)
    compare(model, other, images(1, 3, 64, 96, dtype=torch.bfloat16), 0.05)


def test_the_shared_stage_of_c4_models_treats_any_number_of_boxes():
    model, other = pair(neck={"name": "c4"}, backbone=NARROW, anchors={"sizes": ((8, 16, 32),)})
    compare(model, other, images(1, 3, 64, 96), 1e-4)
    for count in (0, 1, engine.BOXES, 2 * engine.BOXES + 3):
        pooled = images(count, 128, 14, 14).permute(0, 2, 3, 1)
        with torch.no_grad():
            torch.testing.assert_close(other.shared_head(pooled), model.shared_head(pooled), atol=1e-3, rtol=1e-3)


def test_results_of_two_images_stay_apart():
    _, other = pair(backbone=NARROW)
    with torch.no_grad():
        first = other.features(images(1, 3, 64, 96))
        kept = {level: map.clone() for level, map in first.items()}
        other.features(images(1, 3, 64, 96) + 1)
    assert all(torch.equal(first[level], kept[level]) for level in kept)


def test_threads_that_share_a_model_get_their_own_results():
    model, other = pair(backbone=NARROW)
    inputs = [images(1, 3, 64, 96) * scale for scale in (1, 2, 3, 4)]
    expected = [model.features(one)[2] for one in inputs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: other.features(inputs[i % 4])[2], range(40)))
    for i in range(40):
        torch.testing.assert_close(found[i], expected[i % 4], rtol=0, atol=1e-4 * float(expected[i % 4].abs().max()))


def test_only_the_last_shapes_stay_compiled(monkeypatch):
    require_openvino()
    monkeypatch.setattr(engine, "SHAPES_KEPT", 2)
    part = CompiledPart(torch.nn.Linear(3, 2))
    for width in (1, 2, 1, 3):
        part.compute(torch.zeros(1, width, 3), chunk=1)
    assert list(part.requests) == [(1, 1, 3), (1, 3, 3)]


def test_as_many_threads_compute_as_torch_has():
    require_openvino()
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            request = CompiledPart(torch.nn.Linear(3, 2))._request((1, 1, 3))
            assert request.get_compiled_model().get_property("INFERENCE_NUM_THREADS") == count
    finally:
        torch.set_num_threads(threads)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_signals_arrive_after_engines_have_ended_out_of_turn():
    # With a core for each, the second to end gives back the first one's stack for signals, and this ends the process.
    arrived = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: arrived.append(number))
    try:
        engines = [pair(backbone=NARROW)[1] for _ in range(2)]
        for i in range(2):
            engines[i].features(images(1, 3, 64, 64))
        while engines:
            del engines[0]
            gc.collect()
        signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert arrived == [signal.SIGUSR1]


def test_openvino_is_not_imported_unless_it_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)  # importing it fails now
    monkeypatch.delitem(sys.modules, engine.__name__)  # so that the module runs once more
    runpy.run_module(engine.__name__)


def test_openvino_sends_no_statistics():
    # In a process of its own: this one may have imported OpenVINO elsewhere.
    require_openvino()
    code = (
        "import sys, threading, torch; from maskrcnn.engines.openvino import CompiledPart; "
        "CompiledPart(torch.nn.Linear(3, 2)).compute(torch.zeros(1, 1, 3), chunk=1); "
        "print(sys.modules['openvino_telemetry'], threading.active_count())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["None", "1"]


def test_without_openvino_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r'pip install "maskrcnn\[openvino\]"'):
        use_openvino(small_model())


def test_a_backbone_from_timm_is_refused():
    pytest.importorskip("timm", reason="timm is an extra: pip install maskrcnn[timm]")
    require_openvino()
    model = small_model(small_settings(backbone={"name": "timm/resnet10t", "norm": "batch"}))
    with pytest.raises(SettingError, match="engine openvino: .*timm"):
        use_openvino(model)


def test_a_model_elsewhere_is_refused():
    with pytest.raises(SettingError, match="engine openvino: .*meta"):
        use_openvino(small_model().to("meta"))
