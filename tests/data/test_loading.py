import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from multiprocessing import active_children
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.config import InputSettings, RunSettings, SemanticHeadSettings
from maskrcnn.data.dataset import Dataset, Record
from maskrcnn.data.images import read_image
from maskrcnn.data.loading import default_workers, evaluation_batches, evaluation_scales, read_record, training_batches
from maskrcnn.data.preprocessing import prepare_image
from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.shapes import write_shape_segments, write_shapes
from maskrcnn.errors import DataError
from maskrcnn.structures.batch import Batch
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.panoptic import THING, UNKNOWN

SIZES = [(40, 60), (60, 40), (50, 50), (33, 70), (64, 40), (20, 90), (40, 60)]


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    """Seven noisy images, each with two objects and a crowd but for the last, which has none."""
    generator = np.random.default_rng(0)
    images, annotations = [], []
    for number, (height, width) in enumerate(SIZES):
        Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        images.append({"id": 100 + number, "file_name": f"{number}.png", "height": height, "width": width})
        for place in range(3 if number < 6 else 0):
            x, y = 3 + 4 * place, 2
            polygon = [[x, y, x + 20, y, x + 20, y + 12, x, y + 15]]
            place = {"id": len(annotations), "image_id": 100 + number, "category_id": 1, "iscrowd": int(place == 2)}
            annotations.append(place | {"segmentation": polygon})
    contents = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "box"}]}
    (tmp_path / "train.json").write_text(json.dumps(contents))
    return read_coco(tmp_path / "train.json", tmp_path).records


def settings() -> RunSettings:
    run = RunSettings()
    run.model.input.min_size = 64
    run.augment.rotate90 = True
    return run


def batches(records: list[Record], run: RunSettings | None = None, **how) -> Iterator[Batch]:
    data = Dataset(Path("data"), list(records), Classes(("box",), (1,)), dict)
    return training_batches(data, run or settings(), **how)


def take(count: int, records: list[Record], **how) -> list[Batch]:
    return list(islice(batches(records, **how), count))


def assert_equal(some: list[Batch], others: list[Batch]) -> None:
    assert len(some) == len(others)
    for one, other in zip(some, others):
        assert torch.equal(one.images, other.images)
        assert (one.sizes, one.paths, one.image_ids) == (other.sizes, other.paths, other.image_ids)
        for target, same in zip(one.targets, other.targets):
            assert torch.equal(target.boxes, same.boxes)
            assert torch.equal(target.labels, same.labels)
            assert torch.equal(target.masks.pixels, same.masks.pixels)
            assert torch.equal(target.masks.windows, same.masks.windows)


def test_a_batch_holds_prepared_images_and_targets(records: list[Record]):
    for batch in take(4, records, workers=0):
        assert len(batch) == len(batch.targets) == len(batch.sizes) == len(batch.paths) == 2
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.images.dtype == torch.float32
        assert batch.image_sizes == [SIZES[image_id - 100] for image_id in batch.image_ids]
        for size, target, image_id in zip(batch.sizes, batch.targets, batch.image_ids):
            assert target.size == size
            assert target.crowd is None
            assert len(target) == len(target.masks) == (2 if image_id < 106 else 0)


def test_a_stream_entered_late_goes_on_bit_for_bit(records: list[Record]):
    assert_equal(take(8, records, workers=0)[5:], take(3, records, start=5, workers=0))


def test_workers_change_nothing(records: list[Record]):
    assert_equal(take(6, records, start=2, workers=0), take(6, records, start=2, workers=2))


@pytest.mark.timeout(120)
def test_workers_start_where_opencv_had_threads(records: list[Record]):
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        cv2.GaussianBlur(np.zeros((900, 900, 3), np.float32), (0, 0), 3)
        assert_equal(take(2, records, workers=2), take(2, records, workers=0))
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def test_threads_change_nothing(records: list[Record]):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        several = take(3, records, workers=0)
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        assert_equal(several, take(3, records, workers=0))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_generator_of_the_caller_is_left_alone(records: list[Record], workers: int):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    take(2, records, workers=workers)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_breaks_while_training_is_named(records: list[Record], workers: int):
    records[3].path.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        take(8, records, workers=workers)
    assert str(caught.value).startswith(f"{records[3].path}: ")
    assert "Traceback" not in str(caught.value)
    assert active_children() == []  # although the error is kept: Python's exit would wait for them


def test_an_image_of_another_size_than_its_record_is_named(records: list[Record]):
    Image.new("RGB", (40, 60)).save(records[0].path)
    with pytest.raises(DataError, match=r"0.png: .* 40 px wide and 60 px high, .* \(image id 100\) .* 60 x 40"):
        read_record(records[0])


@pytest.mark.parametrize("workers", [0, 1])
def test_evaluation_sees_every_image_once_and_unchanged(records: list[Record], workers: int):
    inputs = InputSettings(min_size=64)
    batches = list(evaluation_batches(records, inputs, batch_size=3, workers=workers))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert sorted(image_id for batch in batches for image_id in batch.image_ids) == list(range(100, 107))
    for batch in batches:
        assert batch.targets is None
        for image, (height, width), path in zip(batch.images, batch.sizes, batch.paths):
            assert torch.allclose(image[:, :height, :width], prepare_image(read_image(path), inputs), atol=1e-3)


def test_images_are_read_and_padded_as_the_input_says(records: list[Record]):
    inputs = InputSettings(min_size=40, size_divisible=1, mean=(0.5,), std=(0.2,))
    evaluated = next(evaluation_batches(records[:1], inputs, workers=0))
    assert evaluated.images.shape == (1, 1, *evaluated.sizes[0])
    settings = RunSettings.model_validate({"input": inputs.model_dump(), "data": {"batch_size": 1}})
    trained = next(batches(records[:1], settings, workers=0))
    assert trained.images.shape == (1, 1, *trained.sizes[0])


def test_evaluation_begins_with_the_largest_and_keeps_similar_sizes_together(records: list[Record]):
    found = evaluation_batches(records, InputSettings(min_size=64), workers=0)
    heights = [height for batch in found for height, _ in batch.sizes]
    assert heights == sorted(heights, reverse=True)
    assert list(evaluation_batches([], InputSettings(), workers=0)) == []


def test_a_broken_image_is_named_in_evaluation_too(records: list[Record]):
    records[0].path.write_bytes(b"no image")
    with pytest.raises(DataError, match="0.png: "):
        list(evaluation_batches(records, InputSettings(), batch_size=2, workers=1))


def test_there_is_at_least_one_worker_and_never_too_many():
    assert 1 <= default_workers() <= 8


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_outlive_a_signal_that_only_the_parent_may_act_on(records, number):
    before = signal.signal(number, lambda *_: None)
    try:
        stream = batches(records, settings(), workers=1)
        next(stream)
        workers = multiprocessing.active_children()
        assert workers
        for worker in workers:
            os.kill(worker.pid, number)
        for _ in range(20):  # far more than had been prepared when the signal came
            next(stream)
    finally:
        signal.signal(number, before)


KEEPS_A_STREAM = """
import sys
from maskrcnn.config import RunSettings
from maskrcnn.data.formats import read_dataset
from maskrcnn.data.loading import training_batches
if __name__ == "__main__":
    kept = training_batches(read_dataset(sys.argv[1]), RunSettings(), workers=1)
    next(kept)
    sys.exit(3)
"""


def test_a_program_ends_though_it_keeps_a_stream_with_workers(records, tmp_path):
    (tmp_path / "run.py").write_text(KEEPS_A_STREAM)
    words = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "train.json")]
    assert subprocess.run(words, timeout=120, check=False).returncode == 3


LOSES_A_WORKER = """
import multiprocessing, os, signal, sys
from maskrcnn.config import RunSettings
from maskrcnn.data.formats import read_dataset
from maskrcnn.data.loading import explaining_killed_workers, training_batches
from maskrcnn.errors import DataError
if __name__ == "__main__":
    try:
        with explaining_killed_workers():
            stream = training_batches(read_dataset(sys.argv[1]), RunSettings(), workers=1)
            next(stream)
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
            for batch in stream:
                pass
    except DataError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals on Windows")
def test_a_killed_worker_is_one_message_with_a_remedy(records, tmp_path):
    (tmp_path / "run.py").write_text(LOSES_A_WORKER)
    words = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "train.json")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "data.workers=0" in done.stdout


def mirrored(image, instances):
    """A change of one's own, drawn from all three generators."""
    if torch.rand(()) + np.random.rand() + random.random() < 1.5:
        return image, instances
    boxes, width = instances.boxes.clone(), image.shape[2]
    boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    return image.flip(2), replace(instances, boxes=boxes)


def test_a_change_of_ones_own_comes_first_and_follows_from_the_seed(records: list[Record]):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    plain, once, again, resumed = (
        take(count, records, augment=change, start=start, workers=0)
        for count, change, start in ((6, None, 0), (6, mirrored, 0), (6, mirrored, 0), (3, mirrored, 3))
    )
    assert [torch.equal(one.images, other.images) for one, other in zip(once, again)] == [True] * 6
    assert all(torch.equal(one.images, other.images) for one, other in zip(once[3:], resumed))
    assert not all(torch.equal(one.images, other.images) for one, other in zip(once, plain))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_a_change_of_ones_own_must_give_an_image_of_its_objects(records: list[Record]):
    with pytest.raises(DataError, match="png: .*torch.float32"):
        take(1, records, augment=lambda image, instances: (image / 255, instances), workers=0)
    with pytest.raises(DataError, match="png: "):
        take(1, records, augment=lambda image, instances: (image[:, 1:], instances), workers=0)
    with pytest.raises(DataError, match="semantic segments or proposals"):
        take(1, with_proposals(records), augment=mirrored, workers=0)


@pytest.fixture
def segments(tmp_path: Path) -> list[Record]:
    """Two images of shapes whose ground is annotated too."""
    arguments = {"train": 2, "val": 0, "size": 64, "seed": 0}
    write_shapes(tmp_path, **arguments)
    write_shape_segments(tmp_path, **arguments)
    return read_coco(tmp_path / "panoptic_train.json", tmp_path / "images").records


@pytest.mark.parametrize("workers", [0, 1])
def test_the_classes_of_pixels_come_along_for_a_model_that_is_trained_on_them(segments: list[Record], workers: int):
    run = settings()
    run.semantic_head = SemanticHeadSettings(classes=2)
    for batch in islice(batches(segments, run, workers=workers), 2):
        assert batch.semantic.shape == (2, *batch.images.shape[2:])
        for values, target in zip(batch.semantic, batch.targets, strict=True):
            bitmaps = [target.masks.bitmap(i) for i in range(len(target))]
            things = torch.from_numpy(np.any(bitmaps, axis=0))
            assert set(values.unique().tolist()) <= {0, THING, UNKNOWN}
            assert ((values[: len(things), : things.shape[1]] == THING) ^ things).float().mean() < 0.01


def test_other_models_and_images_without_segments_need_no_files_of_them(segments, records: list[Record]):
    assert next(batches(segments, settings(), workers=0)).semantic is None
    run = settings()
    run.semantic_head = SemanticHeadSettings(classes=2)
    assert (next(batches(records, run, workers=0)).semantic == UNKNOWN).all()
    for record in segments:
        record.segments.path.unlink()
    with pytest.raises(DataError, match="panoptic_train"):
        next(batches(segments, run, workers=0))


def with_proposals(records: list[Record]) -> list[Record]:
    """The annotated boxes of each image as its proposals."""
    return [replace(record, proposals=record.instances.boxes) for record in records]


def test_proposals_come_along_and_move_with_their_objects(records: list[Record]):
    found = 0
    for batch in islice(batches(with_proposals(records), settings(), workers=0), 8):
        assert len(batch.proposals) == len(batch) == 2
        for boxes, target in zip(batch.proposals, batch.targets, strict=True):
            assert torch.equal(boxes[: len(target)], target.boxes)  # the last one is the box of the crowd
            found += len(target)
    assert found > 10


def test_proposals_of_images_as_they_are_get_the_scale_of_their_images(records: list[Record]):
    some = with_proposals(records[:2])
    for batch in evaluation_batches(some, InputSettings(min_size=80), workers=0):
        record = next(record for record in some if record.image_id == batch.image_ids[0])
        assert torch.equal(batch.proposals[0], record.instances.boxes * 2)


def test_images_at_further_scales_come_along(records: list[Record]):
    scales = [InputSettings(min_size=side) for side in (80, 40, 120)]
    some = with_proposals(records[:2])
    [found] = evaluation_scales(some, scales, batch_size=2, workers=0)
    assert (len(found), len(found.batches)) == (2, 3)
    for number, one in enumerate(found.batches):
        [alone] = evaluation_batches(some, scales[number], batch_size=2, workers=0)
        assert torch.equal(one.images, alone.images)
        assert torch.equal(one.proposals[0], alone.proposals[0])
        assert (one.sizes, one.image_ids, one.image_sizes) == (alone.sizes, found.image_ids, alone.image_sizes)


def test_a_batch_has_proposals_of_all_images_or_of_none(records: list[Record]):
    assert take(1, records, workers=0)[0].proposals is None
    assert next(evaluation_batches(records, InputSettings(), workers=0)).proposals is None
    with pytest.raises(ValueError, match="of all or none"):
        next(evaluation_batches([*with_proposals(records[:1]), records[1]], InputSettings(), batch_size=2, workers=0))
