"""The neck of models without a pyramid (C4, C5 and DC5; He et al. 2017, Table 2a and section 4)."""

from torch import Tensor, nn


class SingleLevel(nn.Module):
    """Takes one map of the backbone and leaves it as it is."""

    def __init__(self, channels: int, *, source: int, level: int) -> None:
        """
        Args:
            channels: Of the map.
            source: The backbone's level it is taken from.
            level: What it is called from here on, after its stride of 2**level.
        """
        super().__init__()
        self.channels = channels
        self.source = source
        self.levels = self.roi_levels = (level,)

    def forward(self, features: dict[int, Tensor]) -> dict[int, Tensor]:
        """{level: [B, C_l, H_l, W_l]} of the backbone to {level: [B, C, H, W]} of the one map."""
        return {self.levels[0]: features[self.source]}
