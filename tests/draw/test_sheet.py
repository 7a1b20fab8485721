import torch

from maskrcnn.draw.sheet import GAP, TITLE_SIZE, Row, draw_sheet
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances

CLASSES = Classes(("cat", "dog"), (1, 2))
TOP = 2 * TITLE_SIZE


def objects(*boxes: list[float], size: tuple[int, int], scored: bool = False) -> Instances:
    scores = torch.ones(len(boxes)) if scored else None
    return Instances(size, torch.tensor(boxes).reshape(-1, 4), torch.zeros(len(boxes), dtype=torch.int64), scores)


def row(height: int, width: int, brightness: int = 100) -> Row:
    image = torch.full((3, height, width), brightness, dtype=torch.uint8)
    box, size = [width / 4, height / 4, width / 2, height / 2], (height, width)
    return Row(image, objects(box, size=size), objects(size=size, scored=True))


def test_rows_stand_below_each_other_at_one_scale():
    sheet = draw_sheet([row(40, 80), row(200, 100)], CLASSES, tile=160)
    assert sheet.shape == (3, TOP + 80 + GAP + 160 + GAP, 3 * (160 + GAP) + GAP)
    assert sheet[:, TOP + 40, GAP + 80].tolist() == [100, 100, 100]


def test_the_three_columns_are_bare_annotated_and_predicted():
    sheet = draw_sheet([row(100, 100)], CLASSES, tile=100)
    bare, annotated, predicted = (sheet[:, TOP : TOP + 100, x : x + 100] for x in (GAP, 2 * GAP + 100, 3 * GAP + 200))
    assert (bare == 100).all()
    assert (predicted == 100).all()
    assert (annotated != 100).any()


def test_small_images_are_enlarged_without_blur():
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    image[:, :, 4:] = 200
    nothing = objects(size=(8, 8), scored=True)
    sheet = draw_sheet([Row(image, nothing, nothing)], CLASSES, tile=80)
    assert sheet[:, TOP : TOP + 80, GAP : GAP + 80].unique().tolist() == [0, 200]


def test_titles_are_written_above_their_columns():
    titled = draw_sheet([], CLASSES)
    untitled = draw_sheet([], CLASSES, titles=("", "", ""))
    assert titled.shape == untitled.shape
    assert (untitled == 255).all()
    assert (titled != 255).any()
