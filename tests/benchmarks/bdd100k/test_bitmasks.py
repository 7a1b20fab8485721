import numpy as np
import pytest
from pycocotools import mask as oracle

from maskrcnn.benchmarks.bdd100k.metric import bitmask_section, none_where_undefined
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.results import Results
from maskrcnn.evaluation.sections import Section, say_nothing

AREAS = {"": (0, 1e10), "s": (0, 1024), "m": (1024, 9216)}


def rectangle(y: int, x: int, height: int, width: int) -> dict:
    bitmap = np.zeros((120, 160), dtype=np.uint8)
    bitmap[y : y + height, x : x + width] = 1
    return {"size": [120, 160], "counts": oracle.encode(np.asfortranarray(bitmap))["counts"].decode()}


def some_data() -> tuple[dict, list[dict]]:
    """Objects on a grid of four cells in each of six images, some crowds, some ignored, and moved detections."""
    random = np.random.default_rng(3)
    objects, records = [], []
    for image_id in range(1, 7):
        for cell in range(4):
            y, x = 60 * (cell // 2), 80 * (cell % 2)
            height, width = int(random.integers(12, 50)), int(random.integers(12, 70))
            place = {"image_id": image_id, "category_id": int(random.integers(1, 3))}
            flags = {"crowd": bool(random.random() < 0.3), "ignored": bool(random.random() < 0.3)}
            shape = {"segmentation": rectangle(y, x, height, width)}
            objects.append({**place, **shape, "attributes": flags, "iscrowd": any(flags.values())})
            half = width // 2 if random.random() < 0.4 else width
            for part in {half, width}:
                start = 0 if part == half else half
                size = (max(1, height - int(random.integers(0, 6))), max(1, part - start))
                score = round(float(random.random()), 1)
                records.append({**place, "score": score, "segmentation": rectangle(y, x + start, *size)})
    content = {
        "images": [{"id": n, "height": 120, "width": 160} for n in range(1, 7)],
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}],
        "annotations": objects,
    }
    return content, records


def section_of(content: dict, records: list[dict]) -> Section:
    truth = Annotations.parse(content)
    return bitmask_section(truth, Results.parse(records, truth), say_nothing)


def slow_numbers(content: dict, records: list[dict], category: int, area: tuple[float, float], most: int) -> tuple:
    """AP and AR of one class, a detection after the other, pixel by pixel."""
    precisions, recalls = [], []
    for threshold in np.linspace(0.5, 0.95, 10):
        counted, wanted = [], 0
        for image in content["images"]:
            objects = [one for one in content["annotations"] if place_of(one) == (image["id"], category)]
            masks = [oracle.decode(one["segmentation"]) > 0 for one in objects]
            optional = [
                o["attributes"]["ignored"] or not area[0] <= m.sum() <= area[1]
                for o, m in zip(objects, masks, strict=True)
            ]
            wanted += len(objects) - sum(optional)
            taken = set()
            found = sorted(
                (one for one in records if place_of(one) == (image["id"], category)), key=lambda one: -one["score"]
            )
            for number, one in enumerate(found):
                mask = oracle.decode(one["segmentation"]) > 0
                ious = [0 if n in taken else (mask & m).sum() / (mask | m).sum() for n, m in enumerate(masks)]
                best = int(np.argmax(ious)) if ious else -1
                if best >= 0 and ious[best] >= threshold:
                    if not objects[best]["attributes"]["crowd"]:
                        taken.add(best)
                    verdict = None if optional[best] else True
                else:
                    verdict = False if area[0] <= mask.sum() <= area[1] else None
                if verdict is not None and number < most:
                    counted.append((one["score"], verdict))
        if not wanted:
            return None, None
        verdicts = [verdict for _, verdict in sorted(counted, key=lambda one: -one[0])]
        right = np.cumsum(verdicts)
        points = [(r / wanted, r / n) for n, r in enumerate(right, start=1)]
        best = [max((p for r, p in points if r >= least), default=0.0) for least in np.linspace(0, 1, 101)]
        precisions.append(np.mean(best))
        recalls.append(right[-1] / wanted if len(right) else 0)
    return np.mean(precisions), np.mean(recalls)


def place_of(one: dict) -> tuple[int, int]:
    return one["image_id"], one["category_id"]


def test_every_number_equals_a_slow_count():
    content, records = some_data()
    section = section_of(content, records)
    for name, area in AREAS.items():
        slow = [slow_numbers(content, records, category, area, 100) for category in (1, 2)]
        assert section.numbers[f"AP{name}"] == pytest.approx(np.mean([ap for ap, _ in slow if ap is not None]))
        number = f"AR{name}" if name else "AR100"
        assert section.numbers[number] == pytest.approx(np.mean([ar for _, ar in slow if ar is not None]))
    slow = [slow_numbers(content, records, category, AREAS[""], 1) for category in (1, 2)]
    assert section.numbers["AR1"] == pytest.approx(np.mean([ar for _, ar in slow]))
    assert section.per_class["bus"]["AP"] == pytest.approx(slow_numbers(content, records, 2, AREAS[""], 100)[0])
    assert 0.2 < section.numbers["AP"] < 0.9


def test_more_than_a_hundred_objects_in_an_image_are_scored():
    objects = [
        {"image_id": 1, "category_id": 1, "segmentation": rectangle(y, x, 8, 8), "iscrowd": 0, "attributes": {}}
        for y in range(0, 120, 10)
        for x in range(0, 160, 10)
    ]
    content = {**some_data()[0], "annotations": objects}
    records = [{**one, "score": 0.5} for one in objects]
    section = section_of(content, records)
    assert section.numbers["AR100"] == pytest.approx(100 / 192)


def test_a_detection_without_a_pixel_is_left_out():
    content, _ = some_data()
    empty = {"image_id": 1, "category_id": 1, "score": 1.0, "segmentation": {"size": [120, 160], "counts": [19200]}}
    section = section_of(content, [empty])
    assert section.numbers["AP"] == 0


def test_undefined_numbers_are_none():
    assert none_where_undefined({"AP": -1.0, "AR": 0.5}) == {"AP": None, "AR": 0.5}
