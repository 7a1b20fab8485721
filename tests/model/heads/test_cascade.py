import pytest
import torch

from maskrcnn.config import BoxHeadSettings, CascadeSettings, CascadeStage, ModelSettings
from maskrcnn.model.build import make_box_head
from maskrcnn.model.heads.box import BoxHead
from maskrcnn.model.heads.cascade import Cascade
from maskrcnn.structures.instances import Instances

SIZE = (100, 100)
CLASSES = 2
STAGES = (
    CascadeStage(positive_iou=0.5, delta_weights=(10, 10, 5, 5)),
    CascadeStage(positive_iou=0.7, delta_weights=(20, 20, 10, 10), loss_weight=0.5),
)


class FixedHead(BoxHead):
    """Says the same of every box: given logits, and one delta."""

    def __init__(self, settings: BoxHeadSettings, logits: list[float], delta: list[float], weight: float) -> None:
        super().__init__(1, CLASSES, settings, pooled=1, loss_weight=weight)
        self.said = torch.tensor(logits), torch.tensor(delta)

    def forward(self, pooled: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.said[0].expand(len(pooled), -1), self.said[1].expand(len(pooled), 1, -1)


def cascade(*said: tuple[list[float], list[float]], average="scores", resample=False, **box_head: object) -> Cascade:
    """Two heads that say the same of every box."""
    heads = []
    for stage, (logits, delta) in zip(STAGES, said, strict=True):
        own = {"positive_iou": stage.positive_iou, "delta_weights": stage.delta_weights}
        settings = BoxHeadSettings(**{"class_agnostic": True, "smooth_l1_beta": 0, **own, **box_head})
        heads.append(FixedHead(settings, logits, delta, stage.loss_weight))
    return Cascade(heads, CascadeSettings(stages=STAGES, average=average, resample=resample))


def pool(boxes: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat(boxes)


def target(*boxes: list[float]) -> Instances:
    return Instances(size=SIZE, boxes=torch.tensor(boxes).reshape(-1, 4), labels=torch.arange(len(boxes)) % CLASSES)


def test_one_head_is_a_cascade_of_one_stage():
    plain = ModelSettings()
    (head,) = make_box_head(plain, 2, CLASSES, 1).heads
    assert (head.settings, head.loss_weight) == (plain.box_head, 1.0)
    first, second = make_box_head(ModelSettings(cascade=CascadeSettings(stages=STAGES)), 2, CLASSES, 1).heads
    assert (first.settings.positive_iou, second.settings.positive_iou, second.loss_weight) == (0.5, 0.7, 0.5)
    assert second.settings.delta_weights == (20, 20, 10, 10)


def test_each_stage_refines_the_boxes_of_the_one_before():
    said = ([2.0, 0.0, 0.0], [10.0, 0.0, 0.0, 0.0]), ([2.0, 0.0, 0.0], [20.0, 0.0, 0.0, 0.0])
    proposals = [torch.tensor([[0.0, 0.0, 10.0, 10.0]])]
    boxes, _, labels = cascade(*said, score_threshold=0.5).predict(pool, proposals, [SIZE])[0]
    # Each delta stands for one width to the right.
    assert boxes.tolist() == [[20, 0, 30, 10]]
    assert labels.tolist() == [0]


@pytest.mark.parametrize("average", ["scores", "logits"])
def test_classes_are_averaged_over_the_stages(average):
    logits = torch.tensor([[3.0, 0.0, 0.0], [-1.0, 1.0, 0.0]])
    head = cascade(*((one.tolist(), [0.0] * 4) for one in logits), average=average, score_threshold=0.01)
    proposals = [torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.zeros(0, 4)]
    found = head.predict(pool, proposals, [SIZE, SIZE])
    expected = logits.softmax(1).mean(0) if average == "scores" else logits.mean(0).softmax(0)
    torch.testing.assert_close(found[0][1], expected[:-1].sort(descending=True).values)
    assert len(found[1][0]) == 0


def test_boxes_of_classes_are_refined_by_their_best_class():
    deltas = torch.zeros(2, CLASSES, 4)
    deltas[:, 1, 0] = 10.0
    logits = torch.tensor([[0.0, 1.0, 9.0], [1.0, 0.0, 9.0]])
    boxes = [torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([[95.0, 0.0, 120.0, 10.0]])]
    first, second = BoxHead(1, CLASSES, BoxHeadSettings(), pooled=1).refine(boxes, logits, deltas, [SIZE, SIZE])
    assert first.tolist() == [[10, 0, 20, 10]]
    assert second.tolist() == [[95, 0, 100, 10]]  # kept inside the image


def test_losses_of_the_stages_are_weighted_and_matched_anew():
    # Overlap .6 with the object: positive in the first stage, background in the second.
    proposals = [torch.tensor([[0.0, 0.0, 10.0, 6.0]])]
    head = cascade(([0.0, 0.0, 0.0], [0.0] * 4), ([0.0, 0.0, 1.0], [0.0] * 4), positive_fraction=1.0)
    losses, outputs = head.loss(pool, proposals, [target([0.0, 0.0, 10.0, 10.0])], [SIZE])
    assert [output.targets.labels.tolist() for output in outputs] == [[0, 0], [CLASSES, 0]]
    uniform = torch.log(torch.tensor(3.0))
    rest = torch.log(torch.tensor([1.0, 1.0, torch.e]).sum())
    torch.testing.assert_close(losses["classes"], uniform + 0.5 * ((rest - 1) + rest) / 2)
    assert [output.weight for output in outputs] == [1.0, 0.5]
    assert outputs[1].pooled.tolist() == [[0, 0, 10, 6], [0, 0, 10, 10]]


def test_a_stage_may_choose_anew_among_refined_and_annotated_boxes():
    proposals = [torch.tensor([[0.0, 0.0, 10.0, 6.0]])]
    said = [([0.0, 0.0, 0.0], [0.0] * 4)] * 2
    boxes = {}
    for resample in (False, True):
        head = cascade(*said, resample=resample, positive_fraction=1.0)
        _, outputs = head.loss(pool, proposals, [target([0.0, 0.0, 10.0, 10.5])], [(10, 20)])
        boxes[resample] = outputs[1].targets.proposals.tolist()
    # Refinement keeps boxes inside the image; an annotated box that is added again reaches out as before.
    assert boxes == {False: [[0, 0, 10, 6], [0, 0, 10, 10]], True: [[0, 0, 10, 6], [0, 0, 10, 10.5]]}


def test_hard_examples_are_the_proposals_with_the_largest_losses():
    proposals = [torch.tensor([[0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0], [70.0, 70.0, 80.0, 80.0]])]

    class Judge(BoxHead):
        """Takes everything right of 60 for an object, and misses all else."""

        def forward(self, pooled):
            logits = torch.zeros(len(pooled), CLASSES + 1)
            logits[:, 0] = torch.where(pooled[:, 0] > 60, 9.0, 0.0)
            logits[:, CLASSES] = torch.where(pooled[:, 0] > 60, 0.0, 9.0)
            return logits, torch.zeros(len(pooled), 1, 4)

    settings = BoxHeadSettings(class_agnostic=True, ohem=True, batch_size_per_image=3)
    head = Cascade([Judge(1, CLASSES, settings, pooled=1)])
    _, outputs = head.loss(pool, proposals, [target([0.0, 0.0, 10.0, 10.0])], [SIZE])
    # The missed object, twice (it is a proposal itself), and the false one; not the background that is right.
    found = outputs[0].targets
    assert sorted(found.proposals[:, 0].tolist()) == [0, 0, 70]
    assert sorted(found.labels.tolist()) == [0, 0, CLASSES]
    assert len(found.matches) == 2
    assert found.annotated.sum() == 1


def test_without_proposals_and_objects_a_cascade_has_finite_losses():
    head = cascade(*[([0.0] * 3, [0.0] * 4)] * 2)
    losses, _ = head.loss(pool, [torch.zeros(0, 4)], [target()], [SIZE])
    assert all(loss == 0 for loss in losses.values())
