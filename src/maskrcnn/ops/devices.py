"""Where to compute."""

import torch

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
