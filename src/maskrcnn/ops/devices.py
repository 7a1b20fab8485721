"""Where to compute, and the way there."""

import torch
from torch import Tensor

from ..errors import SettingError


def choose_device(wanted: str | torch.device | None) -> torch.device:
    """The device somebody asked for, or CUDA where it is there and else the CPU.

    Raises:
        SettingError: It is no device's name, or not on this machine.
    """
    if wanted is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SettingError(
            f"device {wanted}: it cannot be used on this machine ({str(error).splitlines()[0]}). "
            f"Here there {'are cpu and cuda' if torch.cuda.is_available() else 'is only cpu'}."
        ) from error
    return device


def carry(values: Tensor, device: torch.device | str) -> Tensor:
    """The same values on a device; a CUDA device need not first finish what it was told before.

    What goes to the CPU is there when this returns.
    """
    return values.to(device, non_blocking=torch.device(device).type == "cuda")
