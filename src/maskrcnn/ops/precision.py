"""Where bfloat16 is fast, the autocast that uses it there, and the way back to float32."""

from typing import Literal

import torch
from torch import Tensor

Precision = Literal["auto", "bfloat16", "float32"]


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Context in which convolutions and matrix products run in bfloat16, weights and gradients staying float32.

    Args:
        precision: auto: bfloat16 where `bfloat16_is_fast`.
        device: Where the model runs.
    """
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=uses_bfloat16(precision, device))


def uses_bfloat16(precision: Precision, device: torch.device) -> bool:
    """Whether a precision means bfloat16 on a device."""
    return precision == "bfloat16" or (precision == "auto" and bfloat16_is_fast(device))


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware: AVX-512 bf16 or AMX on a CPU, Ampere or later on CUDA."""
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported()
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def at_least_float32(values: Tensor) -> Tensor:
    """The values in float32, or as they are if they are more exact: coordinates and losses need it."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
