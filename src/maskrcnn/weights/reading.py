"""One door for weights: a file in any format that is understood, or a name."""

from __future__ import annotations

import pickle
import re
import struct
from pathlib import Path

import torch
from torch import Tensor

from ..errors import WeightsError
from ..structures.classes import Classes
from .files import Weights, load_weights
from .published import PUBLISHED, download
from .torchvision import is_torchvision, read_torchvision

SHIPPED = {path.stem: path for path in sorted((Path(__file__).parent / "shipped").glob("*.safetensors"))}
TORCH_SUFFIXES = (".pth", ".pt")
DAMAGED = (
    *(pickle.UnpicklingError, struct.error, RuntimeError, OSError, EOFError),
    *(LookupError, ValueError, TypeError, AttributeError, AssertionError),
)
"""What torch raises for files that are not whole."""


def read_weights(source: str | Path) -> Weights:
    """Read a model's weights, with its settings and classes.

    Args:
        source: A file (our .safetensors, torchvision's .pth), the name of weights that came with the library such as
            `nuclei`, or the name of published ones such as `torchvision/maskrcnn_resnet50_fpn`, which are downloaded
            once.

    Raises:
        WeightsError: There is no such file or name, or it cannot be read. Nothing in a file is ever executed.
    """
    path = Path(source)
    if path.is_file():
        return _read_file(path)
    if str(source) in SHIPPED:
        return load_weights(SHIPPED[str(source)])
    if str(source) in PUBLISHED:
        return _read_file(download(str(source)))
    if path.is_dir():
        raise WeightsError(f"{source}: this is a folder. Give the weights file in it, for example best.safetensors.")
    known = ", ".join([*SHIPPED, *PUBLISHED])
    raise WeightsError(f"{source}: no such file, and no weights of that name. Known names: {known}.")


def _read_file(path: Path) -> Weights:
    if path.suffix not in TORCH_SUFFIXES:
        return load_weights(path)
    state = read_torch_file(path)
    if not is_torchvision(state):
        raise WeightsError(
            f"{path}: not a torchvision Faster or Mask R-CNN (it has no tensor "
            "roi_heads.box_predictor.cls_score.weight). Readable are torchvision's state dicts and this library's own "
            ".safetensors files; of a training run here, use best.safetensors or last.safetensors instead of last.pt."
        )
    translated, settings, count = read_torchvision(state, str(path))
    return Weights(translated, settings, _torchvision_classes(count), {"source": path.name}, source=str(path))


def read_torch_file(path: Path) -> dict[str, Tensor]:
    """Tensors of a file written by `torch.save`, without executing anything in it.

    Raises:
        WeightsError: It is cut off, is no such file, or holds more than tensors.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        raise WeightsError(_why_unreadable(path, error)) from error
    for key in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(one, Tensor) for one in content.values()):
        raise WeightsError(f"{path}: holds no state dict (names with tensors). Save the model's state_dict() alone.")
    return dict(content)


def _why_unreadable(path: Path, error: Exception) -> str:
    """What is wrong with a file; torch's own text advises to switch the protection off; this does not."""
    forbidden = re.search(r"GLOBAL ([\w.]*\w)(?=\s)", str(error))
    if forbidden:
        return (
            f"{path}: it holds {forbidden[1]}, which could run code when it is loaded, and was not loaded. Only "
            "tensors are read: have the model's state_dict() alone saved; if it is nothing else, fetch it again."
        )
    return f"{path}: it is no whole file of torch.save, but cut off, damaged or of another kind. Fetch it again."


def _torchvision_classes(count: int) -> Classes:
    """COCO's names where the number of classes is COCO's; torchvision's files hold none."""
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights

    names = MaskRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"][1:]
    if len(names) != count:
        names = [f"class {number}" for number in range(1, count + 1)]
    return Classes(tuple(names), tuple(range(1, count + 1)))
