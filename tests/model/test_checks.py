"""Mistakes of modules of one's own are named, with what was expected, before another part fails on them."""

import pytest
from torch import Tensor, nn

from maskrcnn.errors import SettingError
from maskrcnn.model.build import build_model
from tests.model.small import CLASSES, objects, small_batch, small_settings

LEVELS = (2, 3, 4, 5)


class Backbone(nn.Module):
    """One convolution per level; each argument is a way to get it wrong."""

    def __init__(self, *, channels=None, outputs=8, strides=(4, 8, 16, 32), names=LEVELS):
        super().__init__()
        self.channels = dict.fromkeys(LEVELS, 8) if channels is None else channels
        self.names = names
        self.convolutions = nn.ModuleList(nn.Conv2d(3, outputs, 1, stride=stride) for stride in strides)

    def forward(self, images: Tensor):
        maps = [convolution(images) for convolution in self.convolutions]
        return maps if self.names is None else dict(zip(self.names, maps, strict=True))


class MaskHead(nn.Module):
    """One probability for each bin."""

    pool_size = 14

    def __init__(self, losses=lambda loss: {"mask": loss}, masks=lambda masks: masks, paste="sampled"):
        super().__init__()
        self.losses, self.masks, self.paste = losses, masks, paste
        self.layer = nn.Conv2d(small_settings().neck.channels, 1, 1)

    def forward(self, pooled: Tensor) -> Tensor:
        return self.layer(pooled.permute(0, 3, 1, 2))[:, 0].sigmoid()

    def loss(self, pooled: Tensor, positives):
        return self.losses(self(pooled).sum())

    def predict(self, pooled: Tensor, labels: Tensor) -> Tensor:
        return self.masks(self(pooled))


class NoBackbone(nn.Module):
    def forward(self, images: Tensor) -> dict[int, Tensor]:
        return {2: images}


def run(**parts):
    """Losses and predictions of a model with these parts."""
    model = build_model(small_settings(), CLASSES, **parts)
    batch = small_batch(objects((5, 5, 60, 70)))
    model(batch)
    return model.predict(batch)


def test_parts_that_are_right_are_used():
    found = run(backbone=Backbone(), mask_head=MaskHead())
    assert len(found[0].masks) == len(found[0])


@pytest.mark.parametrize(
    ("part", "named"),
    [
        pytest.param(NoBackbone(), "NoBackbone.*channels", id="no channels"),
        pytest.param("resnet18", "str.*Module", id="no module"),
        pytest.param(Backbone(channels={"2": 8, "3": 8, "4": 8, "5": 8}), "'2'", id="levels are words"),
        pytest.param(Backbone(channels={5: 8, 4: 8, 3: 8, 2: 8}), "5: 8, 4: 8", id="the coarsest first"),
        pytest.param(Backbone(outputs=4), r"level 2 .*\[1, 4, .* 8,", id="other channels than it says"),
        pytest.param(Backbone(strides=(2, 4, 8, 16)), "level 2 .*stride of 4 ", id="other strides"),
        pytest.param(Backbone(names=("a", "b", "c", "d")), r"'a'.*\[2, 3, 4, 5\]", id="other names"),
        pytest.param(Backbone(names=None), r"list.*\[2, 3, 4, 5\]", id="a list"),
    ],
)
def test_a_wrong_backbone_is_named(part, named):
    with pytest.raises(SettingError, match=named):
        run(backbone=part)


@pytest.mark.parametrize(
    ("part", "named"),
    [
        pytest.param(nn.Identity(), "Identity.*pool_size.*loss.*predict", id="no methods"),
        pytest.param(MaskHead(losses=lambda loss: loss), "loss.*Tensor", id="a loss without a name"),
        pytest.param(MaskHead(losses=lambda loss: None), "loss.*NoneType", id="no loss"),
        pytest.param(MaskHead(losses=lambda loss: {"dice": loss.expand(3)}), r"dice.*\[3\]", id="no scalar"),
        pytest.param(MaskHead(losses=lambda loss: {"classes": loss}), "mask_head.*'classes'", id="a name twice"),
        pytest.param(MaskHead(paste="bilinear"), "bilinear.*grown, sampled", id="an unknown way to paste"),
        pytest.param(MaskHead(losses=lambda loss: {"dice": 0.5}), "dice.*float", id="no tensor"),
        pytest.param(MaskHead(masks=lambda masks: masks[:1]), r"predict.*\[1, 14, 14\]", id="too few masks"),
        pytest.param(MaskHead(masks=lambda masks: masks[:, :5]), r"predict.*, 5, 14\]", id="masks that are no squares"),
    ],
)
def test_a_wrong_mask_head_is_named(part, named):
    with pytest.raises(SettingError, match=named):
        run(mask_head=part)


def test_masks_may_be_bfloat16_as_under_autocast():
    found = run(mask_head=MaskHead(masks=Tensor.bfloat16))
    assert found[0].masks.bitmaps().shape[1:] == found[0].size
