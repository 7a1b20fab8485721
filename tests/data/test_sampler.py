from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import torch

from maskrcnn.config import RunSettings
from maskrcnn.data.dataset import Record
from maskrcnn.data.sampler import BatchPlan
from maskrcnn.errors import DataError
from maskrcnn.structures.instances import Instances


def record(number: int, *, upright: bool = False, objects: int = 1, crowd: bool = False, **fields) -> Record:
    size = (60, 40) if upright else (40, 60)
    boxes, labels = torch.ones(objects, 4), torch.zeros(objects, dtype=torch.int64)
    instances = Instances(size=size, boxes=boxes, labels=labels, crowd=torch.full((objects,), crowd))
    return Record(Path(f"{number}.png"), number, size, fields, instances)


def settings(**values) -> RunSettings:
    run = RunSettings()
    run.data.batch_size = values.pop("batch_size", 2)
    run.train.seed = values.pop("seed", 0)
    run.augment.crop = values.pop("crop", None)
    for name, value in values.items():
        setattr(run.data, name, value)
    return run


def numbers(batches: list) -> list[list[int]]:
    return [[draw.record for draw in batch] for batch in batches]


def all_of(batches: list) -> list[int]:
    return [draw.record for batch in batches for draw in batch]


def test_an_epoch_sees_every_image_once():
    plan = BatchPlan([record(i) for i in range(12)], settings(batch_size=3))
    assert len(plan) == 4
    for epoch in range(3):
        assert sorted(all_of(plan.epoch(epoch))) == list(range(12))


@pytest.mark.parametrize(("images", "batch_size", "draws", "most"), [(7, 3, 9, 2), (2, 5, 5, 3)])
def test_the_last_batch_is_filled_up_with_other_images_of_the_epoch(images, batch_size, draws, most):
    plan = BatchPlan([record(i) for i in range(images)], settings(batch_size=batch_size))
    counts = Counter(all_of(plan.epoch(0)))
    assert (len(plan) * batch_size, sum(counts.values()), len(counts), max(counts.values())) == (
        draws,
        draws,
        images,
        most,
    )


def test_epochs_and_seeds_differ_and_repeat():
    records = [record(i) for i in range(30)]
    plan = BatchPlan(records, settings())
    assert plan.epoch(3) == BatchPlan(records, settings()).epoch(3)
    assert numbers(plan.epoch(0)) != numbers(plan.epoch(1))
    assert numbers(plan.epoch(0)) != numbers(BatchPlan(records, settings(seed=1)).epoch(0))


def test_no_two_draws_share_a_seed():
    draws = [
        draw for batch in islice(BatchPlan([record(i) for i in range(10)], settings()).batches(), 100) for draw in batch
    ]
    assert len({draw.seed for draw in draws}) == 200


@pytest.mark.parametrize("start", [1, 4, 5, 13])
def test_the_sequence_can_be_entered_anywhere(start: int):
    plan = BatchPlan([record(i, upright=i % 3 == 0) for i in range(9)], settings())
    assert list(islice(plan.batches(start), 10)) == list(islice(plan.batches(), start + 10))[start:]


def test_upright_images_are_batched_together_in_a_mixed_order():
    plan = BatchPlan([record(i, upright=i < 21) for i in range(60)], settings(batch_size=4))
    kinds = [{number < 21 for number in batch} for batch in numbers(plan.epoch(0))]
    assert sum(len(kind) == 2 for kind in kinds) <= 1
    upright = [place for place, kind in enumerate(kinds) if kind == {True}]
    assert len(upright) == 5
    assert upright[-1] - upright[0] > 5


def test_crops_are_all_of_one_shape_so_images_are_not_kept_apart():
    plan = BatchPlan([record(i, upright=i % 2 == 0) for i in range(40)], settings(crop=256, batch_size=4))
    assert sum(len({number % 2 for number in batch}) == 2 for batch in numbers(plan.epoch(0))) > 5


def test_values_of_the_balanced_field_are_drawn_equally_often():
    records = [record(i, modality="rare" if i < 3 else "common") for i in range(20)]
    plan = BatchPlan(records, settings(balance="modality"))
    counts = Counter(all_of(plan.epoch(0)))
    assert sum(counts[i] for i in range(3)) == 10
    assert {counts[i] for i in range(3)} == {3, 4}
    assert max(counts[i] for i in range(3, 20)) == 1
    assert len(plan) == 10


def test_records_without_the_balanced_field_are_a_group_of_their_own():
    records = [record(i) if i < 2 else record(i, modality="x") for i in range(8)]
    counts = Counter(all_of(BatchPlan(records, settings(balance="modality")).epoch(0)))
    assert counts[0] + counts[1] == 4


def test_images_without_objects_can_be_left_out_if_one_with_some_is_left():
    records = [record(0), record(1, objects=0), record(2, crowd=True), record(3)]
    assert set(all_of(BatchPlan(records, settings()).epoch(0))) == {0, 1, 2, 3}
    assert set(all_of(BatchPlan(records, settings(keep_empty=False)).epoch(0))) == {0, 3}
    with pytest.raises(DataError, match="keep_empty"):
        BatchPlan(records[1:2], settings(keep_empty=False))
