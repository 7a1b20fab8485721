"""Records to batches, in this process or in workers, with the same numbers in either."""

import atexit
import os
import random
import signal
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakSet

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from ..config import InputSettings, RunSettings
from ..errors import DataError
from ..ops.boxes import scale_boxes
from ..structures.batch import Batch, Scales
from ..structures.instances import Instances
from .augmentation import Augment, Augmented, augment
from .dataset import Dataset, Record
from .images import read_image
from .preprocessing import make_batch, prepare_image, resized_size
from .sampler import BatchPlan, Draw

Item = TypeVar("Item", Batch, Scales)

MOST_WORKERS = 8
AHEAD = 4
"""Batches each worker prepares ahead."""
_STREAMS: WeakSet[Generator[Any, None, None]] = WeakSet()


def training_batches(
    data: Dataset, settings: RunSettings, *, start: int = 0, workers: int | None = None, augment: Augment | None = None
) -> Iterator[Batch]:
    """Augmented batches without end.

    Example:
        for batch in training_batches(dataset, settings):
            losses = model(batch.to(device))

    Batch n is a pure function of the records, the settings and n: a run that starts again at `start` sees the same
    pixels as one that never stopped, whatever the number of workers. No random generator of the caller is touched.

    Args:
        data: What is trained on.
        settings: `input`, `augment`, `data` and `train.seed` are used.
        start: Number of the first batch, counted from the start of the whole run.
        workers: Loader processes, 0 for none; None: `data.workers`, or by the machine.
        augment: A change of one's own that comes before the settings' changes; those can be switched off in `augment`.

    Raises:
        DataError: An image cannot be read, also when a worker reads it; or there is none to train on.
    """
    plan = BatchPlan(data.records, settings)
    workers = settings.data.workers if workers is None else workers
    return _load(TrainingImages(data, settings, augment), plan.batches(start), workers)


def evaluation_batches(
    records: Sequence[Record], settings: InputSettings, *, batch_size: int = 1, workers: int | None = None
) -> Iterator[Batch]:
    """Every image once at its usual scale; otherwise as `evaluation_scales`."""
    for scales in evaluation_scales(records, [settings], batch_size=batch_size, workers=workers):
        yield scales.batches[0]


def evaluation_scales(
    records: Sequence[Record], inputs: Sequence[InputSettings], *, batch_size: int = 1, workers: int | None = None
) -> Iterator[Scales]:
    """Every image once, unchanged, the largest first and images of similar size together, which saves padding.

    Args:
        records: The dataset; each batch has the `image_ids` of its images and no targets.
        inputs: How an image becomes the network's input, once for each scale.
        batch_size: Images per batch; the last may have fewer.
        workers: As in `training_batches`.

    Raises:
        DataError: An image cannot be read.
    """
    sizes = [resized_size(record.size, inputs[0]) for record in records]
    order = sorted(range(len(records)), key=lambda number: sizes[number], reverse=True)
    batches = [order[first : first + batch_size] for first in range(0, len(order), batch_size)]
    return _load(EvaluationImages(records, inputs), batches, workers)


def default_workers() -> int:
    """One process less than the processors this one may use, at least 1 and at most 8."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST_WORKERS, allowed - 1))


class TrainingImages(TorchDataset[Batch | DataError]):
    """Makes an augmented batch of some draws."""

    def __init__(self, data: Dataset, settings: RunSettings, augment: Augment | None) -> None:
        self.records = data.records
        self.settings = settings
        self.keypoint_schema = data.classes.keypoint_schema
        self.augment = augment

    def __getitem__(self, draws: list[Draw]) -> Batch | DataError:
        """The batch, or, because a DataLoader would bury it in the traceback of a worker, what went wrong."""
        try:
            with _one_thread():
                return self._batch(draws)
        except DataError as error:
            return error

    def _batch(self, draws: list[Draw]) -> Batch:
        records = [self.records[draw.record] for draw in draws]
        parts = [self._augmented(record, draw.seed) for record, draw in zip(records, draws, strict=True)]
        return make_batch(
            [part.image for part in parts],
            size_divisible=self.settings.model.input.size_divisible,
            targets=[part.target for part in parts],
            proposals=_all_or_none([part.proposals for part in parts]),
            semantic=[part.semantic for part in parts] if self.settings.model.semantic_head else None,
            **_origin(records),
        )

    def _augmented(self, record: Record, seed: int) -> Augmented:
        image, instances = read_input(record, self.settings.model.input), record.instances
        semantic = None
        if self.settings.model.semantic_head is not None and record.segments is not None:
            semantic = record.segments.semantic()
        settings = self.settings
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            if self.augment is not None:
                image, instances = _changed(self.augment, image, record, seed)
            return augment(
                image,
                instances,
                settings.augment,
                settings.model.input,
                self.keypoint_schema,
                semantic,
                record.proposals,
            )


def _changed(change: Augment, pixels: Tensor, record: Record, seed: int) -> tuple[Tensor, Instances]:
    """A user's change of an image and its objects, checked as what comes from outside."""
    if record.segments is not None or record.proposals is not None:
        raise DataError(
            f"{record.path}: an augmentation of one's own moves an image and its objects, but this image also has "
            "semantic segments or proposals. Train without `augment`, or without these."
        )
    with _seeded(seed):
        image, instances = change(pixels, record.instances)
    if image.dtype != torch.uint8 or len(image) != len(pixels) or instances.size != tuple(image.shape[1:]):
        raise DataError(
            f"{record.path}: the augmentation gave an image {image.dtype} {list(image.shape)} and objects in an image "
            f"of {instances.size[0]} x {instances.size[1]} px (height, width). It must give uint8 "
            f"[{len(pixels)}, height, width] and objects of that size."
        )
    return image, instances


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The generators of numpy and of `random` follow from the seed, and are the caller's again afterwards."""
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


class EvaluationImages(TorchDataset[Scales | DataError]):
    """Makes a batch of some images as they are, at one scale or at several."""

    def __init__(self, records: Sequence[Record], scales: Sequence[InputSettings]) -> None:
        self.records = records
        self.scales = scales

    def __getitem__(self, numbers: list[int]) -> Scales | DataError:
        """The batch, or what went wrong, as in `TrainingImages`."""
        records = [self.records[number] for number in numbers]
        try:
            with _one_thread():
                images = [self._prepared(record) for record in records]
                return Scales(tuple(self._batch(records, scale) for scale in zip(*images, strict=True)))
        except DataError as error:
            return error

    def _prepared(self, record: Record) -> list[Tensor]:
        """The image at each scale."""
        image = read_input(record, self.scales[0])
        return [prepare_image(image, settings) for settings in self.scales]

    def _batch(self, records: Sequence[Record], images: Sequence[Tensor]) -> Batch:
        proposals = [_resized_proposals(*one) for one in zip(records, images, strict=True)]
        size_divisible = self.scales[0].size_divisible
        return make_batch(images, size_divisible=size_divisible, proposals=_all_or_none(proposals), **_origin(records))


def read_input(record: Record, settings: InputSettings) -> Tensor:
    """The image of a record as the settings want it read; otherwise as `read_record`."""
    return read_record(record, settings.channels, value_range=settings.range, stretch=settings.stretch)


def read_record(
    record: Record,
    channels: int | None = None,
    *,
    value_range: tuple[float, float] | None = None,
    stretch: tuple[float, float] | None = None,
) -> Tensor:
    """The image of a record, [C, height, width] uint8, of its file or in memory; arguments as of `read_image`.

    Raises:
        DataError: It cannot be read, or is of another size than its record says, so that no annotation would fit.
    """
    if record.pixels is not None:
        return _held_pixels(record, record.pixels, channels)
    image = read_image(record.path, channels, value_range=value_range, stretch=stretch)
    height, width = image.shape[1:]
    if (height, width) != record.size:
        raise DataError(
            f"{record.path}: the image is {width} px wide and {height} px high, but its record (image id "
            f"{record.image_id}) says {record.size[1]} x {record.size[0]}, and its annotations fit only that. Correct "
            "`width` and `height`; where they are swapped, the image has an EXIF orientation that its annotations "
            "ignore: remove it."
        )
    return image


def _held_pixels(record: Record, pixels: Tensor, channels: int | None) -> Tensor:
    if channels in (None, 3) and len(pixels) in (1, 3):
        return pixels.expand(3, -1, -1)
    if channels is not None and len(pixels) != channels:
        raise DataError(
            f"{record.path}: the image has {len(pixels)} channels, but {channels} are needed. Give images of "
            f"{channels} channels, or use a model whose input.mean has {len(pixels)} values."
        )
    return pixels


def _resized_proposals(record: Record, image: Tensor) -> Tensor | None:
    if record.proposals is None:
        return None
    return scale_boxes(record.proposals, record.size, (image.shape[1], image.shape[2]))


def _all_or_none(proposals: list[Tensor | None]) -> list[Tensor] | None:
    found = [boxes for boxes in proposals if boxes is not None]
    if found and len(found) < len(proposals):
        raise ValueError("some images of a batch have proposals and some have none; a batch has them of all or none")
    return found or None


def _origin(records: Sequence[Record]) -> dict:
    return {
        "image_sizes": [record.size for record in records],
        "paths": [str(record.path) for record in records],
        "image_ids": [record.image_id for record in records],
    }


def _load(images: TorchDataset[Item | DataError], batches: Iterable[list], workers: int | None) -> Iterator[Item]:
    stream = _loaded(images, batches, workers)
    _STREAMS.add(stream)
    return stream


@atexit.register
def _end_workers() -> None:
    """End the workers of streams that somebody keeps, or of whose frame an error: at its exit, Python would wait."""
    for stream in list(_STREAMS):
        stream.close()


def _loaded(
    images: TorchDataset[Item | DataError], batches: Iterable[list], workers: int | None
) -> Generator[Item, None, None]:
    count = default_workers() if workers is None else workers
    loader = DataLoader(
        images,
        sampler=batches,
        batch_size=None,  # each item already is a batch
        num_workers=count,
        prefetch_factor=AHEAD if count else None,
        generator=torch.Generator(),  # else it would draw from the global one, which belongs to the training
        worker_init_fn=_leave_signals_to_the_parent,
    )
    with _one_thread():  # a process that is forked while OpenCV has threads waits for them without end
        ready = iter(loader)
    try:
        for batch in ready:
            if isinstance(batch, DataError):
                raise batch
            yield batch
    finally:
        del ready  # ends the workers, also while somebody keeps the error


@contextmanager
def explaining_killed_workers() -> Iterator[None]:
    """Say what it means that a loader process was killed; torch raises that wherever this process is just then.

    Raises:
        DataError: In place of torch's error.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise DataError(
            "data.workers: a loader process was killed, most often for want of memory or of shared memory, as in a "
            f"container ({error!s:.80}). Set data.workers=0, or give more of it (docker run --shm-size=8g)."
        ) from error


def _leave_signals_to_the_parent(worker: int) -> None:
    """Ctrl-C and a scheduler's notice reach the workers too; they must live until the parent has finished its step."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@contextmanager
def _one_thread() -> Iterator[None]:
    """As in a worker: the last bits of a resized image depend on how many threads share the work.

    OpenCV's do not, but it would start as many threads as there are processors in each worker.
    """
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])
