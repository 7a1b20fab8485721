"""Where to compute, in which precision, and what becomes of freed memory."""

import ctypes
import platform
import sys
from typing import Literal

import torch
from torch import Tensor

from ..errors import SettingError


def choose_device(name: str | torch.device | None) -> torch.device:
    """The device somebody asked for, or CUDA where it is there and else the CPU.

    Raises:
        SettingError: It is no device's name, or not on this machine.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SettingError(
            f"device {name}: it cannot be used on this machine ({str(error).splitlines()[0]}). "
            f"Here there {'are cpu and cuda' if torch.cuda.is_available() else 'is only cpu'}."
        ) from error
    return device


def carry(values: Tensor, device: torch.device | str) -> Tensor:
    """The same values on a device; a CUDA device need not first finish what it was asked before.

    What goes to the CPU is there when this returns.
    """
    return values.to(device, non_blocking=torch.device(device).type == "cuda")


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


# Names and numbers from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4
_NEVER = -1
_MIB = 2**20


def keep_freed_memory() -> bool:
    """Ask glibc to reuse the memory of freed tensors instead of returning it to the kernel and faulting it in again.

    About a third of torch's time on a CPU goes into those page faults. The process then keeps its peak memory until
    it ends. Calling it again changes nothing.

    Returns:
        Whether it took effect; False where the C library is not glibc.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    wishes = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: _NEVER, _M_TOP_PAD: 256 * _MIB}
    granted = [mallopt(name, value) == 1 for name, value in wishes.items()]
    return all(granted)
