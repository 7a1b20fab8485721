"""A model that is right can learn by heart what every pixel of a few images belongs to."""

import pytest
import torch

from maskrcnn.config import RunSettings
from maskrcnn.data.loading import evaluation_batches
from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.shapes import write_shape_segments, write_shapes
from maskrcnn.structures.panoptic import THING
from maskrcnn.training.settings import with_stuff
from tests.learning.test_overfit import SETTINGS, SIDE, learn


@pytest.mark.slow
def test_the_segments_of_four_images_are_learned_by_heart(tmp_path):
    for write in (write_shapes, write_shape_segments):
        write(tmp_path, train=4, val=0, size=SIDE, seed=0)
    data = read_coco(tmp_path / "panoptic_train.json", tmp_path / "images")
    model_settings = SETTINGS.model.model_dump() | {
        "semantic_head": {"channels": 32},
        "panoptic": {"stuff_area_limit": 64},
    }
    settings = with_stuff(RunSettings.model_validate(SETTINGS.model_dump() | model_settings), data.classes)
    model = learn(data, settings)
    records = {record.image_id: record for record in data.records}
    right = total = found = objects = 0
    for batch in evaluation_batches(data.records, settings.model.input, workers=0):
        record, panoptic = records[batch.image_ids[0]], model.predict(batch)[0].panoptic
        things = torch.tensor([False, *[segment.is_thing for segment in panoptic.segments]])
        ground = torch.tensor([False, *[not segment.is_thing for segment in panoptic.segments]])
        truth = record.segments.semantic() == THING
        right += (things[panoptic.map.long()] & truth).sum() + (ground[panoptic.map.long()] & ~truth).sum()
        total += truth.numel()
        for i, label in enumerate(record.instances.labels.tolist()):
            bitmap = torch.from_numpy(record.instances.masks.bitmap(i))
            found += any(
                segment.is_thing
                and segment.label == label
                and ((panoptic.map == segment.id) & bitmap).sum() > 0.5 * ((panoptic.map == segment.id) | bitmap).sum()
                for segment in panoptic.segments
            )
            objects += 1
    assert right / total > 0.95  # measured: 0.980, and all 18 objects
    assert found > 0.9 * objects
