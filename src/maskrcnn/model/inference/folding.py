"""A model made ready for prediction: fewer operations, smaller numbers, the same function."""

from itertools import pairwise

import torch
from torch import nn

from ..heads.box import BoxHead
from ..mask_rcnn import MaskRCNN
from ..norms import BatchNorm, NormedConvolution, fold_norm


def prepare_for_prediction(model: MaskRCNN, dtype: torch.dtype) -> MaskRCNN:
    """Fold batch norms into their convolutions and take the network to `dtype`, in place.

    The layers that give the final classes and boxes are at least float32: they cost nothing, and bfloat16 would tie
    scores.

    Args:
        model: With its weights; it can no longer be trained.
        dtype: torch.bfloat16, torch.float32 or torch.float64.
    """
    model.eval().requires_grad_(False).to(torch.promote_types(dtype, torch.float32))
    for module in list(model.modules()):
        _fold_norms(module)
    model.to(dtype).to(memory_format=torch.channels_last)
    for head in [module for module in model.modules() if isinstance(module, BoxHead)]:
        for layer in (head.logits, head.deltas):
            layer.to(torch.promote_types(dtype, torch.float32))
    return model


def _fold_norms(module: nn.Module) -> None:
    """Fold each batch norm that directly follows a convolution in `module`, which makes it an identity."""
    if isinstance(module, NormedConvolution):
        pairs = [("convolution", "norm")]
    elif isinstance(module, nn.Sequential):
        pairs = list(pairwise(name for name, _ in module.named_children()))
    else:
        return
    for first, second in pairs:
        convolution, norm = getattr(module, first), getattr(module, second)
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, BatchNorm):
            weight, bias = fold_norm(convolution.weight, norm, convolution.bias)
            convolution.weight = nn.Parameter(weight, requires_grad=False)
            convolution.bias = nn.Parameter(bias, requires_grad=False)
            setattr(module, second, nn.Identity())
