"""Time and memory of COCO scoring beside pycocotools and plain faster-coco-eval, on generated COCO-like data.

Every contender reads the same two files and scores them in a process of its own, because peak memory holds for a whole
process; their runs alternate, so that all of them see the same moods of the machine. Prints a table of medians and
ratios, and writes it to `scoring.md` beside this file.

    python profiling/scoring.py [--count 5000] [--rounds 1]
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np

HEIGHT, WIDTH, CLASSES, DETECTIONS, OBJECTS = 480, 640, 80, 100, 7
CORNERS = 28
IOU_TYPES = ("bbox", "segm")
Numbers = list[float]


def draw_polygon(random: np.random.Generator, box: np.ndarray) -> list[float]:
    """A wavy closed polygon inside a box x, y, width, height, as a polygon."""
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    waves = sum(random.normal(0, 0.5 / k**1.5) * np.cos(k * angles + random.uniform(0, 2 * np.pi)) for k in range(2, 6))
    radius = np.clip(0.8 + 0.2 * waves, 0.2, 1)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius[:, None] * box[2:] / 2 + box[:2] + box[2:] / 2
    return points.clip(0, [WIDTH, HEIGHT]).ravel().tolist()


def draw_box(random: np.random.Generator) -> np.ndarray:
    """Sides from 8 to 400 pixels, small ones more often, as in COCO."""
    sides = np.exp(random.uniform(np.log(8), np.log(400), 1) + random.normal(0, 0.3, 2)).clip(6, [WIDTH, HEIGHT])
    return np.concatenate([random.uniform(0, [WIDTH, HEIGHT] - sides), sides])


def move_box(random: np.random.Generator, box: np.ndarray) -> np.ndarray:
    """A box that fits another more or less well."""
    spread = random.choice([0.03, 0.1, 0.3])
    sides = (box[2:] * np.exp(random.normal(0, spread, 2))).clip(4, [WIDTH, HEIGHT])
    middle = box[:2] + box[2:] / 2 + random.normal(0, spread / 2, 2) * box[2:]
    return np.concatenate([(middle - sides / 2).clip(0, [WIDTH, HEIGHT] - sides), sides])


def make_files(folder: Path, images: int) -> None:
    """Write `annotations.json` and `results.json`, about 7 objects and 100 detections in each image."""
    from pycocotools import mask as coco_mask

    random = np.random.default_rng(0)
    common = 1 / np.arange(1, CLASSES + 1)  # classes are as unequal as COCO's
    objects, results = [], []
    for image_id in range(1, images + 1):
        boxes = [draw_box(random) for _ in range(random.poisson(OBJECTS))]
        labels = random.choice(CLASSES, len(boxes), p=common / common.sum())
        for box, label in zip(boxes, labels, strict=True):
            polygon = draw_polygon(random, box)
            rle = coco_mask.frPyObjects([polygon], HEIGHT, WIDTH)[0]
            found = {"id": len(objects) + 1, "image_id": image_id, "category_id": int(label) + 1}
            area, crowd = float(coco_mask.area(rle)), int(random.random() < 0.01)
            objects.append({**found, "bbox": box.tolist(), "segmentation": [polygon], "area": area, "iscrowd": crowd})
        for _ in range(DETECTIONS):
            near = len(boxes) > 0 and random.random() < 0.6
            chosen = int(random.integers(len(boxes))) if near else 0
            box = move_box(random, boxes[chosen]) if near else draw_box(random)
            label = labels[chosen] if near and random.random() < 0.7 else random.integers(CLASSES)
            rle = coco_mask.frPyObjects([draw_polygon(random, box)], HEIGHT, WIDTH)[0]
            found = {"image_id": image_id, "category_id": int(label) + 1, "score": round(float(random.beta(0.5, 2)), 5)}
            mask = {"size": [HEIGHT, WIDTH], "counts": rle["counts"].decode()}
            results.append({**found, "bbox": box.round(2).tolist(), "segmentation": mask})
    records = [{"id": number, "width": WIDTH, "height": HEIGHT} for number in range(1, images + 1)]
    categories = [{"id": number, "name": f"class {number}"} for number in range(1, CLASSES + 1)]
    content = {"images": records, "categories": categories, "annotations": objects}
    (folder / "annotations.json").write_text(json.dumps(content))
    (folder / "results.json").write_text(json.dumps(results))


def score_ours(folder: Path, iou_type: str) -> Numbers:
    from maskrcnn.evaluation.annotations import Annotations
    from maskrcnn.evaluation.coco import coco_sections
    from maskrcnn.evaluation.results import Results

    truth = Annotations.read(folder / "annotations.json")
    sections = coco_sections(truth, Results.read(folder / "results.json", truth), iou_types=(iou_type,))
    return list(sections[0].numbers.values())


def score_pycocotools(folder: Path, iou_type: str) -> Numbers:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO(str(folder / "annotations.json"))
    evaluation = COCOeval(truth, truth.loadRes(records_of(folder, iou_type)), iou_type)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats.tolist()


def score_faster_coco_eval(folder: Path, iou_type: str) -> Numbers:
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(str(folder / "annotations.json"))
    evaluation = COCOeval_faster(truth, truth.loadRes(records_of(folder, iou_type)), iou_type)
    evaluation.run()
    return evaluation.stats.tolist()[:12]


def records_of(folder: Path, iou_type: str) -> list[dict]:
    """Records of one IoU type, as the other evaluators need them: a box beside the mask would give its area."""
    records = json.loads((folder / "results.json").read_text())
    for record in records:
        del record["segmentation" if iou_type == "bbox" else "bbox"]
    return records


CONTENDERS: dict[str, Callable[[Path, str], Numbers]] = {
    "maskrcnn": score_ours,
    "pycocotools": score_pycocotools,
    "faster-coco-eval": score_faster_coco_eval,
}


def run_contender(name: str, iou_type: str, folder: Path) -> dict:
    """Seconds, processor seconds, peak memory in GB and numbers of one contender, in a new process."""
    command = [sys.executable, __file__, "--contender", name, "--iou_type", iou_type, "--folder", str(folder)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def contend(name: str, iou_type: str, folder: Path) -> None:
    """What the new process does."""
    start, busy = time.perf_counter(), time.process_time()
    numbers = CONTENDERS[name](folder, iou_type)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(json.dumps({"seconds": seconds, "busy": busy, "memory": memory, "numbers": numbers}))


def compare(folder: Path, rounds: int) -> list[str]:
    """Rows of the table."""
    rows = []
    for iou_type in IOU_TYPES:
        runs: dict[str, list[dict]] = {name: [] for name in CONTENDERS}
        for _ in range(rounds):
            for name in CONTENDERS:
                runs[name].append(run_contender(name, iou_type, folder))
                print(iou_type, name, {key: round(runs[name][-1][key], 2) for key in ("seconds", "busy", "memory")})
        rows += rows_of(iou_type, runs)
    return rows


def rows_of(iou_type: str, runs: dict[str, list[dict]]) -> list[str]:
    """Medians of each contender, and the largest difference of its numbers to the official ones."""
    medians = {
        name: {key: statistics.median(run[key] for run in found) for key in ("seconds", "busy", "memory")}
        for name, found in runs.items()
    }
    official = medians["pycocotools"]
    rows = []
    for name, found in medians.items():
        difference = np.abs(np.subtract(runs[name][0]["numbers"], runs["pycocotools"][0]["numbers"])).max()
        rows.append(
            f"| {iou_type} | {name} | {found['busy']:.1f} | {found['busy'] / official['busy']:.2f} | "
            f"{found['seconds']:.0f} | {found['memory']:.2f} | {found['memory'] / official['memory']:.2f} | "
            f"{difference:.0e} |"
        )
    return rows


def write_table(images: int, rounds: int, rows: list[str]) -> None:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("pycocotools", "faster-coco-eval", "numpy"))
    lines = [
        "# Scoring COCO results",
        "",
        f"{images} generated images of {WIDTH} x {HEIGHT}, {DETECTIONS} detections and about {OBJECTS} objects in "
        f"each, {CLASSES} classes. Each run reads both JSON files and scores one IoU type in its own process; median "
        f"of {rounds} alternating run{'s' if rounds > 1 else ''} on a machine that did other work too, so compare the "
        "seconds of the processor, not those of the clock. The last column is the largest difference of the twelve "
        "numbers to those of pycocotools.",
        "",
        f"Python {platform.python_version()}, {versions}.",
        "",
        "| iou_type | scorer | processor s | of pycocotools | clock s | peak GB | of pycocotools | differs by |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *rows,
        "",
        "Made by `python profiling/scoring.py`.",
    ]
    (Path(__file__).with_suffix(".md")).write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keep the generated files here, and use them if they are there")
    parser.add_argument("--contender", choices=CONTENDERS, help="run only this one, on the files in --folder")
    parser.add_argument("--iou_type", choices=IOU_TYPES, default="segm")
    arguments = parser.parse_args()
    if arguments.contender:
        contend(arguments.contender, arguments.iou_type, arguments.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "results.json").is_file():
            make_files(folder, arguments.count)
        rows = compare(folder, arguments.rounds)
    write_table(arguments.count, arguments.rounds, rows)


if __name__ == "__main__":
    main()
