"""A model made ready for prediction: fewer operations, smaller numbers, the same function."""

import torch
from torch import nn

from .mask_rcnn import MaskRCNN
from .norms import FrozenBatchNorm, NormedConvolution


def prepare_for_prediction(model: MaskRCNN, dtype: torch.dtype) -> MaskRCNN:
    """Fold frozen batch norms into their convolutions and take the network to `dtype`, in place.

    The layers that give the final classes and boxes are at least float32: they cost nothing, and bfloat16 would tie
    scores.

    Args:
        model: With its weights; it can no longer be trained.
        dtype: torch.bfloat16, torch.float32 or torch.float64.
    """
    model.eval().requires_grad_(False)
    for module in list(model.modules()):
        if isinstance(module, NormedConvolution) and isinstance(module.norm, FrozenBatchNorm):
            weight, bias = module.norm.fold_into(module.convolution.weight)
            module.convolution.weight = nn.Parameter(weight, requires_grad=False)
            module.convolution.bias = nn.Parameter(bias, requires_grad=False)
            module.norm = nn.Identity()
    model.to(dtype).to(memory_format=torch.channels_last)
    for layer in (model.box_head.logits, model.box_head.deltas):
        layer.to(torch.promote_types(dtype, torch.float32))
    return model
