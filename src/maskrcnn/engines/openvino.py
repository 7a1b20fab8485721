"""Parts of a model that OpenVINO computes in torch's place: the same weights, the same results, compiled graphs.

What depends on the data stays with torch: choosing proposals, suppression, RoIAlign, masks in images; and so do RPN
and heads, whose few large products take as long there. OpenVINO gets backbone and neck, and the fifth stage that heads
of C4 models share.
"""

from __future__ import annotations

import copy
import sys
import warnings
from collections import OrderedDict
from functools import cache
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import SettingError
from ..model.backbones.timm import TimmBackbone
from ..model.interfaces import Backbone, Neck
from ..model.mask_rcnn import MaskRCNN

if TYPE_CHECKING:
    from openvino import Core, InferRequest, Model

SHAPES_KEPT = 4
"""Shapes whose compiled graphs a part keeps; for a ResNet-50 each takes some 130 MB, and 0.2 s to compile again."""
BOXES = 25
"""Boxes that the shared stage of C4 models treats together."""
_CORE_TURN = Lock()
TRACED_SIDE = 64
"""Most pixels per side of the example from which a graph is made; it then gets the shape of the images."""


def use_openvino(model: MaskRCNN) -> None:
    """Let OpenVINO compute the network's parts of fixed shape from now on, in place.

    Args:
        model: Ready for prediction on the CPU (`prepare_for_prediction`); what is bfloat16 there, is so in OpenVINO.

    Raises:
        SettingError: OpenVINO is not installed, the model is not on the CPU, or its backbone is from timm.
    """
    device = next(model.parameters()).device
    if device.type != "cpu":
        raise SettingError(f"engine openvino: computes on the CPU, not on {device}. Predict with device cpu.")
    if find_spec("openvino") is None:
        raise SettingError(
            'engine openvino: OpenVINO is not installed. Install it by `pip install "maskrcnn[openvino]"`, or predict '
            "with engine torch, which needs nothing more."
        )
    if isinstance(model.backbone, TimmBackbone):
        raise SettingError(
            "engine openvino: the backbone of this model is from timm, and its layers may hold numbers that are right "
            "for one size of image only. Predict with engine torch."
        )
    model.add_module("backbone", CompiledPyramid(model.backbone, model.neck))
    model.add_module("neck", nn.Identity())
    if model.shared_head is not None:
        model.shared_head = CompiledRows(model.shared_head)


class CompiledPyramid(nn.Module):
    """Backbone and neck in one: images [B, D, H, W] to {level: [B, C, H_l, W_l]}, channels_last as in torch.

    Images go through one by one, so that a graph is for a size of image and not for a size of batch.
    """

    def __init__(self, backbone: Backbone, neck: Neck) -> None:
        super().__init__()
        self.levels = neck.levels
        self.channels = dict.fromkeys(neck.levels, neck.channels)
        self.part = CompiledPart(_Pyramid(backbone, neck))

    def forward(self, images: Tensor) -> dict[int, Tensor]:
        maps = self.part.compute(images.permute(0, 2, 3, 1), chunk=1)
        return {level: map.permute(0, 3, 1, 2) for level, map in zip(self.levels, maps, strict=True)}


class CompiledRows(nn.Module):
    """A part that treats boxes one by one, `BOXES` of them at a time: [N, S, S, C] to [N, S', S', C']."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = CompiledPart(part)

    def forward(self, pooled: Tensor) -> Tensor:
        return self.part.compute(pooled, chunk=BOXES)[0]


class CompiledPart:
    """Graphs of one part of the network, one for each shape of its input."""

    def __init__(self, part: nn.Module) -> None:
        self.dtype = next(part.parameters()).dtype
        self.part: nn.Module | None = _replace_group_norms(copy.deepcopy(part).float())
        self.graph: Model | None = None
        self.requests: OrderedDict[tuple[int, ...], InferRequest] = OrderedDict()
        self.turn = Lock()

    def compute(self, rows: Tensor, *, chunk: int) -> list[Tensor]:
        """What the part gives for contiguous rows [N, ...]: one or more [N, ...], each contiguous.

        Args:
            rows: In the part's own dtype.
            chunk: Rows that are computed together.
        """
        count = len(rows)
        whole = count + -count % chunk
        rows = F.pad(rows, (0, 0) * (rows.ndim - 1) + (0, whole - count)).contiguous()
        with self.turn:  # a request works for one thread at a time
            request = self._request((chunk, *rows.shape[1:]))
            outputs = [rows.new_empty(whole, *output.shape[1:]) for output in request.get_compiled_model().outputs]
            for start in range(0, whole, chunk):
                request.set_input_tensor(_share(rows[start : start + chunk]))
                for number, output in enumerate(outputs):
                    request.set_output_tensor(number, _share(output[start : start + chunk]))
                request.infer()
        return [output[:count] for output in outputs]

    def _request(self, shape: tuple[int, ...]) -> InferRequest:
        """The graph compiled for a shape; the one not used for longest makes place."""
        if shape not in self.requests:
            self.requests[shape] = self._compile(shape)
            if len(self.requests) > SHAPES_KEPT:
                self.requests.popitem(last=False)
        self.requests.move_to_end(shape)
        return self.requests[shape]

    def _compile(self, shape: tuple[int, ...]) -> InferRequest:
        openvino = _library()

        if self.graph is None:
            assert self.part is not None
            self.graph = _make_graph(self.part, shape, self.dtype)
            self.part = None
        graph = self.graph.clone()
        graph.reshape(openvino.PartialShape(list(shape)))
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if self.dtype == torch.bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        }
        return _core().compile_model(graph, "CPU", options).create_infer_request()


def _library() -> Any:
    """OpenVINO, which would tell Intel that it is imported if it found this module of its own."""
    hidden: Any = None
    sys.modules.setdefault("openvino_telemetry", hidden)
    import openvino

    return openvino


def _core() -> Core:
    """One for the process, and to its end.

    Each gives the thread that first compiles with it another stack for signals, and the former one when it ends. Of
    several that do not end in turn, the last gives back a stack that is gone: the next signal ends the process.
    """
    with _CORE_TURN:
        return _make_core()


@cache
def _make_core() -> Core:
    return _library().Core()


class _Pyramid(nn.Module):
    """Backbone and neck with channels last also by name: [B, H, W, D] to a [B, H_l, W_l, C] of each level."""

    def __init__(self, backbone: Backbone, neck: Neck) -> None:
        super().__init__()
        self.backbone, self.neck = backbone, neck

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = self.neck(self.backbone(images.permute(0, 3, 1, 2)))
        return tuple(map.permute(0, 2, 3, 1) for map in maps.values())


class _GroupNorm(nn.Module):
    """Group norm as that of an instance: OpenVINO 2026.4 crashes when it compiles its own in a residual network."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, features: Tensor) -> Tensor:
        norm = self.norm
        groups = F.instance_norm(features.reshape(features.shape[0], norm.num_groups, -1), eps=norm.eps)
        return groups.reshape(features.shape) * norm.weight[:, None, None] + norm.bias[:, None, None]


def _replace_group_norms(part: nn.Module) -> nn.Module:
    for parent in list(part.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.GroupNorm):
                setattr(parent, name, _GroupNorm(child))
    return part


def _make_graph(part: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> Model:
    """OpenVINO's graph of a float32 part, for any height and width; inputs and outputs in `dtype`.

    By OpenVINO's frontend itself: `openvino.convert_model` takes a second longer, and sends statistics to Intel.
    """
    openvino = _library()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    count, *sides, channels = shape
    example = torch.zeros(count, *(min(side, TRACED_SIDE) for side in sides), channels)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decoder = TorchScriptPythonDecoder(torch.jit.trace(part, example, check_trace=False))
    frontend = FrontEndManager().load_by_framework("pytorch")
    graph = frontend.convert(frontend.load(decoder))
    interface = openvino.preprocess.PrePostProcessor(graph)
    kind = openvino.Type.bf16 if dtype == torch.bfloat16 else openvino.Type.f32
    interface.input().tensor().set_element_type(kind)
    for number in range(len(graph.outputs)):
        interface.output(number).tensor().set_element_type(kind)
    return interface.build()


def _share(rows: Tensor) -> Any:
    """The memory of a contiguous tensor as a tensor of OpenVINO; numpy has no bfloat16 to hand over."""
    openvino = _library()

    if rows.dtype == torch.bfloat16:
        return openvino.Tensor(rows.view(torch.int16).numpy(), openvino.Shape(rows.shape), openvino.Type.bf16)
    return openvino.Tensor(rows.numpy(), shared_memory=True)
