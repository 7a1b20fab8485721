"""Published checkpoints by name: where they are, and how they are fetched once and checked."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

import torch
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights, MaskRCNN_ResNet50_FPN_Weights

from ..errors import WeightsError


class Published(NamedTuple):
    """A checkpoint on the web; its file name ends with the start of its SHA-256."""

    address: str
    description: str


# torchvision itself says where its files are.
PUBLISHED = {
    "torchvision/maskrcnn_resnet50_fpn": Published(
        MaskRCNN_ResNet50_FPN_Weights.COCO_V1.url, "COCO, 90 category ids; box AP 37.9, mask AP 34.6 (torchvision)"
    ),
    "torchvision/fasterrcnn_resnet50_fpn": Published(
        FasterRCNN_ResNet50_FPN_Weights.COCO_V1.url, "COCO, 90 category ids; box AP 37.0 (torchvision)"
    ),
}


def download(name: str) -> Path:
    """The local copy of a published checkpoint, fetched with a progress bar if it is not there yet.

    It lies in torch's own cache (`torch.hub.get_dir()`, moved by TORCH_HOME), where torchvision finds it too, and a
    file put there by hand is used as it is.

    Raises:
        WeightsError: It cannot be fetched, or is not the published file.
    """
    address = PUBLISHED[name].address
    path = Path(torch.hub.get_dir()) / "checkpoints" / address.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    hash_start = path.stem.rsplit("-", 1)[-1]
    try:
        torch.hub.download_url_to_file(address, str(path), hash_prefix=hash_start)
    except (URLError, OSError) as error:
        raise WeightsError(
            f"{name}: {address} cannot be fetched ({error}). Without a network, put the file at {path}, or give "
            "--weights a file."
        ) from error
    except RuntimeError as error:
        raise WeightsError(
            f"{name}: what came from {address} is not the published file ({error}). Try again."
        ) from error
    return path
