"""Small models that start from a file."""

import torch
from safetensors.torch import save_file

from maskrcnn.config import ModelSettings
from maskrcnn.model.build import build_model
from maskrcnn.structures.classes import Classes
from maskrcnn.weights.start import start_from

CELLS = Classes(("cell", "gap"), (1, 2))


def small_settings(name="resnet18", *, parts=None, **options):
    """A narrow model; `options` are of its backbone, `parts` other sections."""
    tree = {
        "backbone": {"name": name, **options},
        "neck": {"channels": 16},
        "box_head": {"channels": 16},
        "mask_head": {"channels": 8, "convolutions": 1},
    }
    return ModelSettings.model_validate(tree | (parts or {}))


def begin(start, settings=None, classes=CELLS):
    """A model that has started, always from the same random numbers, and the report."""
    torch.manual_seed(1)
    settings = settings or small_settings()
    model = build_model(settings, len(classes)).eval()
    return model, start_from(model, start, settings=settings, classes=classes)


def saved(state, path):
    """The path, to which the state was written."""
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path
