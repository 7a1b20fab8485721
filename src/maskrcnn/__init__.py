"""Mask R-CNN: train, evaluate and predict.

The public names are imported when they are first used, so that `import maskrcnn` does not wait for torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Classes": "structures.classes",
    "Instances": "structures.instances",
    "MaskRCNNError": "errors",
    "ModelSettings": "config",
    "RunSettings": "config",
}

__all__ = ["Classes", "Instances", "MaskRCNNError", "ModelSettings", "RunSettings"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'maskrcnn' has no attribute {name!r}")
    return getattr(import_module(f"maskrcnn.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
