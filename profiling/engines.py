"""torchvision's Mask R-CNN in inference engines, beside torchvision itself and this library: same weights, same work.

Each is in a process of its own, and their runs alternate.

The model is exported to ONNX with the pasting of masks left out, as it is a loop that no engine does well; the function
of torchvision pastes them afterwards, within the measured time. Writes a table to `engines.md` beside this file.

    pip install onnx onnxruntime openvino
    python profiling/engines.py [--rounds 5] [--engines onnxruntime openvino]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import paste_masks_in_image

from maskrcnn.profiling.contenders import (
    DEFAULT,
    PEERS,
    PRODUCT_FLOPS,
    PRODUCTS,
    SETTINGS,
    Run,
    State,
    build_peer,
    is_installed,
    make_run,
)
from maskrcnn.profiling.processes import Measured
from maskrcnn.profiling.report import describe_machine, measure_all
from maskrcnn.profiling.works import WORKS, Work, make_image

Engine = Callable[[Tensor], list[Tensor]]
"""An image to boxes, labels, scores and small masks."""
NAMES = {
    "onnxruntime": {"ONNX Runtime": "float32"},
    "openvino": {"OpenVINO, float32": "f32", "OpenVINO, its default": ""},
}


def make_engine_run(work: Work, name: str, state: State) -> Run:
    """As `make_run`, for the engines as well."""
    if name in {*PEERS, *SETTINGS, PRODUCTS}:
        return make_run(work, name, state)
    image = make_image(work.size)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        export(build_peer(work, state), image, file)
        run_engine = onnx_runtime(file) if name in NAMES["onnxruntime"] else openvino(file, NAMES["openvino"][name])

    def run() -> int:
        boxes, _, _, masks = run_engine(image / 255)
        return len(paste_masks_in_image(masks, boxes, work.size)[:, 0] > 0.5)

    return run


def export(peer: nn.Module, image: Tensor, file: Path) -> None:
    """Write boxes, labels, scores and small masks of one image as an ONNX graph."""
    peer.transform.postprocess = lambda result, sizes, original: result
    torch.onnx.export(
        peer,
        ([image / 255],),
        str(file),
        input_names=["image"],
        output_names=["boxes", "labels", "scores", "masks"],
        opset_version=17,
        dynamo=False,
    )


def onnx_runtime(file: Path) -> Engine:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda image: [torch.from_numpy(one) for one in session.run(None, {"image": image.numpy()})]


def openvino(file: Path, precision: str) -> Engine:
    """With one precision, or the engine's own choice if it is empty."""
    import openvino as engine

    settings = {"INFERENCE_NUM_THREADS": str(torch.get_num_threads()), "PERFORMANCE_HINT": "LATENCY"}
    if precision:
        settings["INFERENCE_PRECISION_HINT"] = precision
    compiled = engine.Core().compile_model(engine.Core().read_model(str(file)), "CPU", settings)

    def run(image: Tensor) -> list[Tensor]:
        found = compiled([image.numpy()])
        return [torch.from_numpy(found[output].copy()) for output in compiled.outputs]

    return run


def table(found: dict[str, Measured]) -> list[str]:
    """A row for each contender, and our time in each setting as a share of its; products have as many operations."""
    settings = [name for name in SETTINGS if name in found]
    lines = [
        "| contender | seconds | MiB | objects | " + " | ".join(f"our {name}, of its time" for name in settings) + " |",
        "|---|---:|---:|---:|" + "---:|" * len(settings),
    ]
    for name, one in found.items():
        seconds, memory, objects = one.median, f"{one.mebibytes or 0:.0f}", str(one.objects)
        if name == PRODUCTS:
            seconds, memory, objects = seconds * found[DEFAULT].operations / PRODUCT_FLOPS, "", ""
        ratios = " | ".join(f"{found[setting].median / seconds:.2f}" for setting in settings)
        shown = f"maskrcnn, {name}" if name in SETTINGS else name
        lines.append(f"| {shown} | {seconds:.2f} | {memory} | {objects} | {ratios} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--engines", nargs="+", choices=list(NAMES), default=list(NAMES))
    parser.add_argument("--work", default="prediction")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    machine = describe_machine(threads=arguments.threads, rounds=arguments.rounds)
    engines = [name for engine in arguments.engines for name in NAMES[engine]]
    settings = [name for name in SETTINGS if is_installed(name)]
    found = measure_all(
        {arguments.work: WORKS[arguments.work]},
        dict.fromkeys([*PEERS, *engines, PRODUCTS, *settings], False) | {DEFAULT: True},
        rounds=arguments.rounds,
        threads=arguments.threads,
        make=make_engine_run,
        say=lambda words: print(words, flush=True),
        on_run=lambda: None,
    )[arguments.work]
    versions = ", ".join(f"{engine} {metadata.version(engine)}" for engine in arguments.engines)
    lines = [
        "# Beside inference engines",
        "",
        f"{WORKS[arguments.work].title}; {machine['processor']}, {machine['threads']} threads, torch "
        f"{machine['torch']}, {versions}, {machine['date']}; medians of {machine['rounds']} alternating runs; "
        f"{machine['busy_cores_before']} of {machine['cores']} cores were busy before. Our default is "
        f"{machine['default_precision']}.",
        "",
        *table(found),
    ]
    arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
