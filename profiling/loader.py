"""From image files to training batches: this library's loader beside torchvision's reference pipeline.

Both read the same JPEG files and COCO annotations and do the same work: decode, mirror half of the images, shorter
side to 800 and longer to at most 1333 pixels, boxes and masks moved along, normalized, and padded to a batch of two.
torchvision does it as in its references/detection: Pillow, v2 transforms, a bitmap of the image's size for every
object, and then the model's own `GeneralizedRCNNTransform`, or instead of that `v2.Resize` on bytes. Each contender
runs in a process of its own, in turns. Writes a table to `loader.md` beside this file; needs pycocotools.

    python profiling/loader.py [--rounds 3] [--count 24] [--data train.json --images images]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import CocoDetection, wrap_dataset_for_transforms_v2
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.transforms import v2

from maskrcnn.config import RunSettings
from maskrcnn.data.augmentation import change_colors, draw_geometry
from maskrcnn.data.dataset import Record
from maskrcnn.data.loading import read_record, training_batches
from maskrcnn.data.preprocessing import make_batch, prepare_image, resize_and_normalize
from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.shapes import SHAPES, draw_scene
from maskrcnn.ops.devices import keep_freed_memory
from maskrcnn.profiling.report import describe_machine
from maskrcnn.structures.batch import Batch
from maskrcnn.structures.instances import Instances

SIZES = {"640x480": (480, 640), "1800x1200": (1200, 1800)}
STAGES = ("decode", "targets", "augment", "resize and normalize", "batch")
OURS, DEFAULT = "maskrcnn", "maskrcnn, colors and scale too"
TORCHVISION, TUNED, RESIZED = "torchvision", "torchvision, tuned allocator", "torchvision with v2.Resize"
CONTENDERS = (OURS, TORCHVISION, TUNED, RESIZED, DEFAULT)
BATCH = 2
WORKERS = (0, 2)
GPU_STEP = 8 / 0.12
"""Images a second that training on an H200 takes in batches of eight (gpu.md)."""

Timer = Callable[[str, Callable[[], Any]], Any]


def plain_settings() -> RunSettings:
    """Nothing but the flipped images of torchvision's reference."""
    augment = {"horizontal_flip": 0.5, "scale": (1, 1), "brightness": 0, "contrast": 0, "saturation": 0}
    return RunSettings.model_validate({"augment": augment, "data": {"batch_size": BATCH}})


def draw_images(folder: Path, size: tuple[int, int], count: int) -> None:
    """Write `train.json` and `images/*.jpg` of generated shapes, with polygons as in COCO."""
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number in range(1, count + 1):
        scene = draw_scene(np.random.default_rng([0, number]), max(size))
        name = f"{number}.jpg"
        Image.fromarray(scene.image[: size[0], : size[1]]).save(folder / "images" / name, quality=92)
        images.append({"id": number, "file_name": name, "height": size[0], "width": size[1]})
        for label, mask in zip(scene.labels, scene.masks, strict=True):
            visible = np.ascontiguousarray(mask[: size[0], : size[1]]).astype(np.uint8)
            contours, _ = cv2.findContours(visible, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1)
            polygons = [contour.ravel().tolist() for contour in contours if len(contour) > 3]
            x, y, width, height = cv2.boundingRect(visible)
            if polygons and min(width, height) > 2:
                found = {"id": len(annotations) + 1, "image_id": number, "category_id": label + 1, "iscrowd": 0}
                found |= {"bbox": [x, y, width, height], "area": int(visible.sum()), "segmentation": polygons}
                annotations.append(found)
    categories = [{"id": label, "name": name} for label, name in enumerate(SHAPES, 1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "train.json").write_text(json.dumps(content))


class Ours:
    """This library's loader."""

    def __init__(self, data: Path, images: Path, settings: RunSettings, limit: int) -> None:
        read = read_coco(data, images)
        self.records = [record for record in read.records if len(record.instances)][:limit]
        self.data = replace(read, records=self.records)
        self.settings = settings

    def __len__(self) -> int:
        return len(self.records)

    def stages(self, numbers: Iterable[int], timed: Timer) -> Batch:
        """One batch, each stage of it timed."""
        inputs, records = self.settings.model.input, [self.records[number] for number in numbers]
        images, targets = zip(*(self._moved(record, timed) for record in records), strict=True)
        sizes = [record.size for record in records]
        return timed("batch", lambda: make_batch(images, sizes, size_divisible=inputs.size_divisible, targets=targets))

    def _moved(self, record: Record, timed: Timer) -> tuple[torch.Tensor, Instances]:
        inputs, augment = self.settings.model.input, self.settings.augment
        pixels = timed("decode", lambda: read_record(record, 3))
        geometry = draw_geometry(record.size, augment, inputs)
        changed = timed("augment", lambda: change_colors(geometry.move_pixels(pixels), augment))
        image = timed(STAGES[3], lambda: resize_and_normalize(changed, inputs, geometry.size))
        return image, timed("targets", lambda: geometry.move_objects(record.instances))

    def batches(self, workers: int) -> Iterator[Any]:
        return training_batches(self.data, self.settings, workers=workers)


class Torchvision:
    """torchvision's reference pipeline; with `resize` by v2 on bytes, otherwise as its models resize."""

    def __init__(self, data: Path, images: Path, limit: int, *, resize: bool) -> None:
        files = CocoDetection(str(images), str(data))
        files.ids = [number for number in files.ids if files.coco.getAnnIds(imgIds=number, iscrowd=False)][:limit]
        self.files = files
        self.wrapped = wrap_dataset_for_transforms_v2(files, target_keys=("boxes", "labels", "masks"))
        mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        last = [v2.SanitizeBoundingBoxes(), v2.ToPureTensor()]
        flip = v2.RandomHorizontalFlip(0.5)
        self.model, self.resizes_bytes = GeneralizedRCNNTransform(800, 1333, mean, deviation), resize
        if resize:
            self.first = v2.Compose([v2.ToImage(), flip])
            to_float = v2.ToDtype(torch.float32, scale=True)
            self.prepare = v2.Compose([v2.Resize(800, max_size=1333), to_float, v2.Normalize(mean, deviation), *last])
        else:
            self.first = v2.Compose([flip])
            self.prepare = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), *last])

    def __len__(self) -> int:
        return len(self.files)

    def stages(self, numbers: Iterable[int], timed: Timer) -> tuple[ImageList, list[dict]]:
        pairs = [self._prepared(number, timed) for number in numbers]
        images, targets = [image for image, _ in pairs], [target for _, target in pairs]
        joined = timed("batch", lambda: self.model.batch_images(images, 32))
        return ImageList(joined, [(image.shape[1], image.shape[2]) for image in images]), targets

    def _prepared(self, number: int, timed: Timer) -> tuple[torch.Tensor, dict]:
        key = self.files.ids[number]
        pixels = timed("decode", lambda: self.files._load_image(key))
        found = [one for one in self.files._load_target(key) if not one["iscrowd"]]
        image, target = timed("targets", lambda: self.wrapped._wrapper(number, (pixels, found)))
        image, target = timed("augment", lambda: self.first(image, target))
        image, target = timed(STAGES[3], lambda: self.prepare(image, target))
        if not self.resizes_bytes:
            image, target = timed(STAGES[3], lambda: self.model.resize(self.model.normalize(image), target))
        return image, target

    def __getitem__(self, numbers: list[int]) -> tuple[ImageList, list[dict]]:
        return self.stages(numbers, lambda _, work: work())

    def batches(self, workers: int) -> Iterator[Any]:
        numbers = cycle(list(range(first, first + BATCH)) for first in range(0, len(self) - BATCH + 1, BATCH))
        ahead = 4 if workers else None
        return iter(DataLoader(self, sampler=numbers, batch_size=None, num_workers=workers, prefetch_factor=ahead))


def open_contender(name: str, data: Path, images: Path, limit: int) -> Ours | Torchvision:
    if name in (OURS, DEFAULT):
        return Ours(data, images, plain_settings() if name == OURS else RunSettings(), limit)
    return Torchvision(data, images, limit, resize=name == RESIZED)


def contend(name: str, data: Path, images: Path, limit: int) -> dict[str, float]:
    """Milliseconds of a processor for each stage of an image, and images a second, in this process."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if name not in (TORCHVISION, RESIZED):
        keep_freed_memory()
    contender = open_contender(name, data, images, limit)
    found: dict[str, float] = defaultdict(float)

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        result = work()
        found[stage] += time.process_time() - began
        return result

    count = len(contender) // BATCH * BATCH
    for first in range(0, 2 * BATCH, BATCH):  # files into the cache, memory to its peak
        contender.stages(range(first, first + BATCH), lambda _, work: work())
    for first in range(0, count, BATCH):
        contender.stages(range(first, first + BATCH), timed)
    result = {stage: 1000 * found[stage] / count for stage in STAGES}
    for workers in WORKERS:
        batches = contender.batches(workers)
        for _ in islice(batches, 4 * max(1, workers)):  # until what was prepared ahead is used up
            pass
        began = time.perf_counter()
        for _ in islice(batches, count // BATCH):
            pass
        result[f"{workers} workers"] = count / (time.perf_counter() - began)
    return result


def run_contender(name: str, data: Path, images: Path, limit: int) -> dict[str, float]:
    """`contend` in a new process."""
    command = [sys.executable, __file__, "--contender", name, "--data", data, "--images", images, "--count", limit]
    output = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def compare(title: str, data: Path, images: Path, limit: int, rounds: int) -> list[str]:
    """The table of one set of images."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name in CONTENDERS:
            runs[name].append(run_contender(name, data, images, limit))
            print(title, name, {key: round(value, 2) for key, value in runs[name][-1].items()}, flush=True)
    medians = {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]} for name, found in runs.items()
    }
    whole = {name: sum(found[stage] for stage in STAGES) for name, found in medians.items()}
    lines = [
        "",
        f"## {title}",
        "",
        f"| ms of a processor per image | {' | '.join(STAGES)} | all | ratio | images/s, no worker | 2 workers |",
        f"|---|{'---:|' * (len(STAGES) + 4)}",
    ]
    for name, found in medians.items():
        stages = " | ".join(f"{found[stage]:.1f}" for stage in STAGES)
        rates = " | ".join(f"{found[f'{workers} workers']:.0f}" for workers in WORKERS)
        lines.append(f"| {name} | {stages} | {whole[name]:.1f} | {whole[OURS] / whole[name]:.2f} | {rates} |")
    share = 2 * whole[DEFAULT] / 1000 / cpu_step()
    return [
        *lines,
        "",
        f"With its default augmentation, maskrcnn prepares the images of a training step of two on this processor in "
        f"{100 * share:.1f} % of the step's {cpu_step():.1f} s. An H200, which takes {GPU_STEP:.0f} images a second, "
        f"is fed by {whole[DEFAULT] / 1000 * GPU_STEP:.1f} such cores.",
    ]


def cpu_step() -> float:
    """Seconds of a training step of two images at our default, as `make profile` last measured them."""
    rows = json.loads(Path(__file__).with_name("results.json").read_text())["rows"]
    return next(row["seconds"] for row in rows if row["work"] == "training" and row["setting"] == "default")


def largest_difference(data: Path, images: Path) -> float:
    """Of a value of the network's input, ours to torchvision's in float64."""
    image = read_record(Ours(data, images, plain_settings(), 1).records[0])
    inputs = plain_settings().model.input
    transform = GeneralizedRCNNTransform(800, 1333, list(inputs.mean), list(inputs.std)).eval()
    expected, _ = transform.resize(transform.normalize(image.double() / 255), None)
    return float((prepare_image(image, inputs) - expected).abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--data", type=Path, help="COCO annotations of your own images; none: generated ones")
    parser.add_argument("--images", type=Path, help="folder of these images")
    parser.add_argument("--contender", choices=CONTENDERS, help="run only this one, in this process")
    arguments = parser.parse_args()
    if arguments.contender:
        print(json.dumps(contend(arguments.contender, arguments.data, arguments.images, arguments.count)))
        return
    machine = describe_machine(threads=1, rounds=arguments.rounds)
    lines = [
        "# From image files to training batches",
        "",
        f"{machine['processor']}, torch {machine['torch']}, torchvision {machine['torchvision']}, OpenCV "
        f"{cv2.__version__}, Pillow {PIL.__version__}, {machine['date']}; medians of {machine['rounds']} runs in "
        f"turns, each in a process of its own with one thread; {machine['busy_cores_before']} of {machine['cores']} "
        "cores were busy before. `ratio` is our time divided by the other's.",
    ]
    with tempfile.TemporaryDirectory() as temporary:
        sets = {"Images of your own": (arguments.data, arguments.images)} if arguments.data else {}
        for title, size in SIZES.items() if not sets else ():
            folder = Path(temporary) / title
            draw_images(folder, size, arguments.count)
            sets[f"Generated images of {title}"] = (folder / "train.json", folder / "images")
        for title, (data, images) in sets.items():
            lines += compare(title, data, images, arguments.count, arguments.rounds)
            lines.append(
                f"Our input differs from torchvision's in float64 by at most {largest_difference(data, images):.0e}."
            )
    text = "\n".join([*lines, "", "Made by `python profiling/loader.py`."]) + "\n"
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
