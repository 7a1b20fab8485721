"""Readers of datasets: one module per format, which says what it finds in COCO's terms.

A reader checks only what it needs to find its way; sizes, boxes, polygons, ids and keypoints are checked for all
formats in one place, `coco.to_data`. A whole one, for folders with an image and a text file of boxes each:

    from pathlib import Path

    from maskrcnn.data.dataset import Contents
    from maskrcnn.data.images import image_size
    from maskrcnn.data.readers.contents import ContentsBuilder, Format, read_text


    def is_boxes(path: Path, split: str) -> bool:
        return (path / split).is_dir() and any((path / split).glob("*.boxes"))

    def read_boxes(path: Path, split: str, images: Path | None = None) -> Contents:
        folder = images or path / split
        found = ContentsBuilder(["thing"], path / split, folder)
        for file in sorted((path / split).glob("*.boxes")):
            image = folder / f"{file.stem}.png"
            image_id = found.add_image(image, image_size(image))
            for line in read_text(file, "a list of boxes").splitlines():
                found.add_object(image_id, "thing", bbox=[float(number) for number in line.split()])
        return found.contents()

    FORMAT = Format("boxes", "lists of boxes", "train/NAME.png, train/NAME.boxes", is_boxes, read_boxes)

An object is what a COCO annotation is: `bbox` is x, y, width, height, and polygons are given as
`segmentation=[[x1, y1, x2, y2, ...]]`. All splits must have the same classes. A line that may be wrong is read inside
`with found.skipping(f"{file}: line {number}"):`, which names it where it is left out.

Its `FORMAT` goes into `IN_ORDER` of `data.formats`. Objects that can be left out with a message go to
`found.skipped`; what makes the whole file useless raises `DataError` with file, record, value, rule and remedy.
"""
