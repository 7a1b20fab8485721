import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.config import RunSettings
from maskrcnn.data.conversion import convert_dataset
from maskrcnn.data.dataset import Dataset
from maskrcnn.data.formats import read_dataset
from maskrcnn.data.loading import evaluation_batches, read_record, training_batches
from maskrcnn.errors import DataError, SettingError
from maskrcnn.predict.evaluation import score
from maskrcnn.structures.classes import Classes, KeypointSchema
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.masks import MaskCrops

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
MASK = np.zeros((40, 60), dtype=bool)
MASK[10:20, 5:15] = True
SQUARE = {"category": "cat", "segmentation": [[5, 10, 15, 10, 15, 20, 5, 20]]}


def made(*samples, classes=("cat", "dog")):
    return Dataset.from_samples(samples, classes)


@pytest.mark.parametrize(
    "image", [IMAGE, torch.from_numpy(IMAGE).permute(2, 0, 1), Image.fromarray(IMAGE)], ids=["array", "tensor", "PIL"]
)
def test_images_in_memory_are_read_as_their_pixels(image):
    (record,) = made((image, []))
    assert record.size == (40, 60)
    assert torch.equal(read_record(record), torch.from_numpy(IMAGE).permute(2, 0, 1))
    assert len(record.instances) == 0


def test_a_data_set_keeps_its_pixels_when_the_array_is_used_again():
    image = IMAGE.copy()
    (record,) = made((image, []))
    image[:] = 0
    assert torch.equal(read_record(record), torch.from_numpy(IMAGE).permute(2, 0, 1))


def test_gray_images_become_rgb_and_paths_stay_files(tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    gray, file = made((IMAGE[:, :, 0], []), (tmp_path / "a.png", [SQUARE]))
    assert torch.equal(read_record(gray), torch.from_numpy(IMAGE[:, :, 0]).expand(3, -1, -1))
    assert file.path == tmp_path / "a.png"
    assert file.pixels is None
    assert torch.equal(read_record(file), torch.from_numpy(IMAGE).permute(2, 0, 1))


def test_images_of_other_channels_fit_only_their_networks():
    (record,) = made((torch.zeros(5, 8, 8, dtype=torch.uint8), []))
    assert read_record(record, 5).shape == (5, 8, 8)
    with pytest.raises(DataError, match="image_1.* 5 channels, but 3"):
        read_record(record, 3)


@pytest.mark.parametrize(
    "objects",
    [
        [SQUARE],
        [{"category_id": 1, "segmentation": MASK}],
        [{"category": "cat", "segmentation": torch.from_numpy(MASK), "bbox": [5, 10, 10, 10]}],
        Instances((40, 60), torch.tensor([[5.0, 10, 15, 20]]), torch.tensor([0]), masks=None),
        Instances(
            (40, 60),
            torch.tensor([[5.0, 10, 15, 20]]),
            torch.tensor([0]),
            masks=MaskCrops.of([(5, 10, np.ones((10, 10), dtype=bool))], (40, 60)),
        ),
    ],
    ids=["polygons", "bitmap", "tensor", "instances without masks", "instances"],
)
def test_objects_are_the_same_in_every_form(objects):
    (record,) = made((IMAGE, objects))
    assert record.instances.boxes.tolist() == [[5, 10, 15, 20]]
    assert record.instances.labels.tolist() == [0]
    assert record.instances.crowd.tolist() == [False]
    x, y, bitmap = record.instances.masks.crop(0)
    assert (x, y, bitmap.shape, bitmap.all()) == (5, 10, (10, 10), True)


def test_keypoints_come_and_go_in_pixels_of_the_image():
    schema = KeypointSchema(("nose", "tail"), (), ((0, 1),), (0.05, 0.05))
    points = torch.tensor([[[8.5, 12.5, 2], [0, 0, 0]]])
    objects = Instances((40, 60), torch.tensor([[5.0, 10, 15, 20]]), torch.tensor([0]), keypoints=points)
    (record,) = made((IMAGE, objects), classes=Classes(("cat",), (7,), keypoint_schema=schema))
    assert torch.equal(record.instances.keypoints, points)


@pytest.mark.parametrize(
    ("image", "objects", "value"),
    [
        (IMAGE.astype(np.float32), [], "image_1.*float32.*uint8"),
        (np.zeros((2, 2, 2, 2), np.uint8), [], "image_1"),
        (IMAGE, [{**SQUARE, "category": "cow"}], "image_1: object 0.*'cow'.*cat, dog"),
        (IMAGE, [{"category_id": 3, "bbox": [1, 1, 5, 5]}], "category_id.* 3"),
        (IMAGE, [{"category": "cat", "bbox": [1, 1, 0, 5]}], "annotation 1 .image_1.*0 px wide"),
        (IMAGE, [{"category": "cat", "segmentation": MASK.T}], r"image_1: object 0.*\(60, 40\)"),
        (IMAGE, Instances((9, 9), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)), r"image_1.*\(9, 9\)"),
    ],
)
def test_what_cannot_be_used_is_named(image, objects, value):
    with pytest.raises(DataError, match=value):
        made((image, objects))


def test_it_is_trained_and_evaluated_like_one_from_files():
    data = made(*((IMAGE, [SQUARE]) for _ in range(3)))
    settings = RunSettings.model_validate({"input": {"min_size": 64}, "data": {"batch_size": 2}})
    batch = next(training_batches(data, settings, workers=0))
    assert [len(target) for target in batch.targets] == [1, 1]
    assert [batch.image_ids for batch in evaluation_batches(data.records, settings.model.input, workers=0)]
    exact = [{"image_id": one.image_id, "category_id": 1, "bbox": [5, 10, 10, 10], "score": 1.0} for one in data]
    assert score(exact, data)["bbox"]["AP"] == pytest.approx(1)


def test_it_can_be_written_as_files(tmp_path):
    data = made((IMAGE, [SQUARE]), (IMAGE[:30], []))
    convert_dataset(data, tmp_path / "new")
    again = read_dataset(tmp_path / "new")
    assert [one.size for one in again] == [(40, 60), (30, 60)]
    assert torch.equal(read_record(again[0]), read_record(data[0]))
    assert again[0].instances.boxes.tolist() == [[5, 10, 15, 20]]
    with pytest.raises(SettingError, match="image_1.*memory"):
        convert_dataset(data, tmp_path / "other", images_as="link")
