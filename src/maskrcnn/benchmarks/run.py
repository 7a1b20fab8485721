"""A benchmark from its official files to its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingError
from ..evaluation.annotations import Annotations
from ..evaluation.collect import to_segment_results
from ..evaluation.report import Report, library_versions
from ..evaluation.results import Results, to_results
from ..evaluation.sections import Say, say_nothing
from ..predict.class_match import ClassMatch, find_threshold, match_classes
from ..predict.evaluation import predict_results
from ..predict.predictor import Predictor
from .benchmark import Benchmark
from .registry import open_benchmark

if TYPE_CHECKING:
    from ..data.dataset import Dataset


def run_benchmark(
    name: str,
    folder: Path | str,
    split: str | None = None,
    *,
    predictions: Predictor | Path | str | Iterable[dict[str, Any]],
    submission: Path | None = None,
    score_threshold: float | None = None,
    batch_size: int = 1,
    say: Say = say_nothing,
) -> Report:
    """Score by a benchmark's own rules what a model predicts for its images, or what was predicted before.

    Example:
        report = run_benchmark("cityscapes", "data/cityscapes", predictions=Predictor("weights.safetensors"))
        print(report["instances"]["AP"])

    Args:
        name: Of the registry, such as "cityscapes".
        folder: Its files as they lie on disk after unpacking.
        split: None: the usual one.
        predictions: A model that predicts now; a COCO results file, or what the benchmark's server takes; or records.
        submission: Where to write what the server takes; None: nowhere.
        score_threshold: From which predictions count where they are not ranked; None: the model's own, or the usual.
        batch_size: Images that go through the model together.
        say: Called with what is being done.

    Raises:
        SettingError: There is no such benchmark or split, it only ranks, or nothing would be scored or written.
        DataError: Its files, or the predictions, cannot be used.
    """
    benchmark = open_benchmark(name, folder, split)
    predictor = predictions if isinstance(predictions, Predictor) else None
    require_useful(benchmark, submission=submission, score_threshold=score_threshold, predicts=predictor is not None)
    if isinstance(predictions, Predictor):
        data = benchmark.dataset()
        match = match_classes(predictions.classes, data.classes, source=benchmark.source)
        results = predict_benchmark(benchmark, predictions, data, match, batch_size=batch_size)
    elif isinstance(predictions, Path | str):
        results = benchmark.read(Path(predictions))
    else:
        results = benchmark.parse(predictions)
    report = score_benchmark(benchmark, results, predictor, score_threshold=score_threshold, say=say)
    if submission is not None:
        benchmark.submit(results, submission)
    return report


def require_useful(
    benchmark: Benchmark, *, submission: Path | None, score_threshold: float | None, predicts: bool, kept: bool = False
) -> None:
    """Say before the long work, not after it, what cannot be done, or that there is nothing to do.

    Args:
        benchmark: The split.
        submission, score_threshold: As for `run_benchmark`.
        predicts: Whether a model predicts now.
        kept: Whether its predictions are kept, which is something to do where nothing can be scored.

    Raises:
        SettingError: It has no threshold, no server, or its ground truth is not public.
        DataError: A model's predictions cannot be submitted.
    """
    name = f"{benchmark.name} {benchmark.split}"
    if score_threshold is not None and not benchmark.thresholded:
        raise SettingError(
            f"score_threshold (--score-threshold): {name} ranks predictions by their scores and has no threshold."
        )
    if submission is not None and benchmark.submits is None:
        raise SettingError(f"submission {submission} (--submission): {name} has no server. Leave it out.")
    if submission is not None and predicts:
        benchmark.require_submittable()
    if not benchmark.public and submission is None and not kept:
        raise SettingError(
            f"{name}: the ground truth is not public, so nothing can be scored. Give a submission "
            "(--submission PATH), to write what its server takes, or keep the predictions of a model "
            "(--weights NAME --results FILE)."
        )


def predict_benchmark(
    benchmark: Benchmark,
    predictor: Predictor,
    data: Dataset,
    match: ClassMatch,
    *,
    batch_size: int = 1,
    on_progress: Callable[[int], None] | None = None,
) -> Results:
    """What a model finds in the images of a benchmark.

    Args:
        benchmark: The split.
        predictor: The model; give it `benchmark.max_detections`.
        data: The images, of `benchmark.dataset`.
        match: Of the model's and the images' classes.
        batch_size: Images that go through the model together.
        on_progress: Called after each batch with the number of its images.
    """
    classes = data.classes
    names = dict(zip((*classes.category_ids, *classes.stuff_ids), (*classes.names, *classes.stuff), strict=True))
    sizes = {record.image_id: record.size for record in data.records}
    results = predict_results(
        predictor,
        data,
        match,
        Annotations(benchmark.source, sizes, names, [], classes.keypoint_schema),
        describe=to_segment_results if benchmark.panoptic else to_results,
        batch_size=batch_size,
        on_progress=on_progress,
    )
    return benchmark.parse(results)


def score_benchmark(
    benchmark: Benchmark,
    results: Results,
    predictor: Predictor | None = None,
    *,
    score_threshold: float | None = None,
    say: Say = say_nothing,
) -> Report:
    """Score predictions by a benchmark's rules, if its ground truth is public; and set its `score_threshold`.

    Args:
        benchmark: The split.
        results: Its predictions.
        predictor: The model that they are of, whose notes may have a score threshold.
        score_threshold, say: As for `run_benchmark`.
    """
    facts: dict[str, Any] = {
        "benchmark": benchmark.name,
        "split": benchmark.split,
        "annotations": benchmark.source,
        **benchmark.counts,
        "predictions": len(results),
        "versions": library_versions(),
    }
    if benchmark.thresholded:
        threshold = find_threshold(score_threshold, predictor.notes if predictor else {})
        benchmark.score_threshold = threshold.score
        facts |= {"score_threshold": threshold.score, "score_threshold_from": threshold.origin}
    sections = benchmark.score(results, say) if benchmark.public else []
    return Report(tuple(sections), facts, results, benchmark.truth, benchmark.max_detections)
