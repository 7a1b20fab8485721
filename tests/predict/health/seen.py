"""Made objects as the network sees them."""

from maskrcnn.config import InputSettings
from maskrcnn.predict.health.inputs import see
from tests.data.health.made import MadeSet


def made_seen(folder, boxes, settings=None, *, sizes=None):
    """Boxes [x, y, w, h], one per picture; pictures of `sizes` (height, width), which need no file contents."""
    made = MadeSet(folder, 1)
    made.annotations = []
    made.images = [{"id": n + 1, "file_name": "train_1.png", "height": h, "width": w} for n, (h, w) in enumerate(sizes)]
    for number, box in enumerate(boxes):
        made.add_object(number + 1, box)
    return see(made.table(), settings or InputSettings())
