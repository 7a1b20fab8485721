import math

import pytest
import torch

from maskrcnn.config import BoxHeadSettings
from maskrcnn.model.heads.box import BoxHead
from maskrcnn.model.heads.box_targets import box_targets, match_all
from maskrcnn.structures.instances import Instances

CLASSES = 2
SIZE = (100, 100)
NO_BOXES, NO_LABELS = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
BOXES = torch.tensor([[0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 70.0, 70.0]])
LABELS = torch.tensor([1, 0])


def objects(boxes=BOXES, labels=LABELS) -> Instances:
    return Instances(size=SIZE, boxes=boxes, labels=labels)


def targets(proposals, boxes=BOXES, labels=LABELS, **settings):
    return targets_of_all([proposals], [objects(boxes, labels)], **settings)


def targets_of_all(proposals, annotated, **settings):
    torch.manual_seed(0)
    return box_targets(proposals, annotated, classes=CLASSES, settings=BoxHeadSettings(**settings))


def head(inputs: int = 3, pooled: int = 2, **settings: object) -> BoxHead:
    return BoxHead(inputs, CLASSES, BoxHeadSettings(**settings), pooled=pooled)


def test_proposals_take_the_label_of_the_object_they_overlap_and_objects_are_proposals_too():
    proposals = torch.tensor([[0.0, 0.0, 10.0, 5.0], [0.0, 0.0, 10.0, 4.0], [55.0, 50.0, 75.0, 70.0]])
    found = targets(proposals, positive_fraction=1.0)
    assert found.proposals.tolist() == [*proposals.tolist(), *BOXES.tolist()]
    assert found.labels.tolist() == [1, CLASSES, 0, 1, 0]
    assert found.matches.tolist() == [0, 1, 0, 1]
    # The first is centerd 2.5 px, a half of its height, too high, and half as high as its object.
    expected = [[0, 10 * 0.5, 0, 5 * math.log(2)], [-10 * 0.25, 0, 0, 0], [0] * 4, [0] * 4]
    torch.testing.assert_close(found.deltas, torch.tensor(expected, dtype=torch.float32))


def test_objects_are_limited_to_their_share_of_the_samples():
    background = torch.tensor([[80.0, 0.0, 90.0, 10.0]]).repeat(50, 1)
    found = targets(torch.cat([BOXES[[0] * 50], background]), batch_size_per_image=8)
    assert (found.labels < CLASSES).sum() == len(found.deltas) == len(found.matches) == 2
    assert len(found.labels) == len(found.proposals) == 8


def test_without_objects_all_is_background_and_there_may_be_no_proposals():
    found = targets(BOXES, NO_BOXES, NO_LABELS)
    assert found.labels.tolist() == [CLASSES, CLASSES]
    assert (found.matches.shape, found.deltas.shape) == ((0,), (0, 4))
    assert len(targets(NO_BOXES, NO_BOXES, NO_LABELS).labels) == 0


def test_losses_by_hand():
    found = targets(torch.tensor([[80.0, 80.0, 90.0, 90.0]]), positive_fraction=1.0)
    assert found.labels.tolist() == [CLASSES, 1, 0]
    logits = torch.zeros(3, CLASSES + 1)
    logits[0, CLASSES] = math.log(2)  # probability of background 2 / 4
    deltas = torch.full((3, CLASSES, 4), 77.0)  # of other classes, which nothing asks for
    deltas[1, 1] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    deltas[2, 0] = torch.tensor([0.0, 0.1, 0.0, 0.0])
    losses = head().losses(logits, deltas, found)
    torch.testing.assert_close(losses["classes"], torch.tensor((math.log(2) + 2 * math.log(3)) / 3))
    torch.testing.assert_close(losses["boxes"], torch.tensor((1 - 1 / 18 + 0.5 * 0.1**2 * 9) / 3))


def test_losses_of_two_images_are_those_of_all_their_proposals():
    parts = ([BOXES], [objects()]), ([BOXES + 3], [objects(NO_BOXES, NO_LABELS)])
    images = [targets_of_all(*part) for part in parts]
    both = targets_of_all(*([*first, *second] for first, second in zip(*parts)))
    count = len(both.labels)
    torch.manual_seed(1)
    logits, deltas = torch.randn(count, CLASSES + 1), torch.randn(count, CLASSES, 4)
    first = len(images[0].labels)
    together = head().losses(logits, deltas, both)
    alone = [
        head().losses(logits[:first], deltas[:first], images[0]),
        head().losses(logits[first:], deltas[first:], images[1]),
    ]
    for name, loss in together.items():
        expected = (alone[0][name] * first + alone[1][name] * (count - first)) / count
        torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("proposals", [BOXES, NO_BOXES])
def test_losses_without_objects_or_proposals_are_finite_and_reach_every_parameter(proposals):
    module = head(channels=8, convolutions=1, convolution_channels=8)
    found = targets(proposals, NO_BOXES, NO_LABELS)
    logits, deltas = module(torch.randn(len(proposals), 2, 2, 3))
    losses = module.losses(logits, deltas, found)
    sum(losses.values()).backward()
    assert losses["boxes"] == 0
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())


@pytest.mark.parametrize(
    "settings",
    [
        {"channels": 8},
        {"channels": 8, "convolutions": 2, "convolution_channels": 32, "norm": "group", "linear_layers": 1},
        {"linear_layers": 0},
    ],
    ids=["linear", "convolutions", "mean"],
)
def test_outputs_of_every_kind_of_head(settings):
    logits, deltas = head(**settings)(torch.randn(5, 2, 2, 3))
    assert (logits.shape, deltas.shape) == ((5, CLASSES + 1), (5, CLASSES, 4))


def test_without_linear_layers_the_mean_over_the_grid_is_classified():
    module, pooled = head(linear_layers=0), torch.randn(4, 2, 2, 3)
    expected = pooled.mean(dim=(1, 2)) @ module.logits.weight.T
    torch.testing.assert_close(module(pooled)[0], expected)


def test_convolutions_see_the_grid_as_it_lies():
    module = head(1, 3, convolutions=1, convolution_channels=1, channels=9)
    with torch.no_grad():
        module.convolutions[0].weight.zero_()[0, 0, 0, 1] = 1.0  # the pixel above
        module.convolutions[0].bias.zero_()
        module.hidden[0].weight.copy_(torch.eye(9))
        module.hidden[1].weight.copy_(torch.eye(9))
        module.logits.weight.copy_(torch.eye(9)[: CLASSES + 1] + torch.eye(9)[3:6])
    grid = torch.arange(1.0, 10.0).view(1, 3, 3, 1)
    assert module(grid)[0].tolist() == [[1.0, 2.0, 3.0]]


def test_class_agnostic_boxes_are_shared_by_all_classes():
    assert head(channels=8, class_agnostic=True)(torch.randn(5, 2, 2, 3))[1].shape == (5, 1, 4)
    deltas = torch.tensor([[[10.0, 0.0, 0.0, 0.0]]])
    boxes, _, labels = predict([[0.5, 0.4, 0.1]], torch.tensor([[0.0, 0.0, 10.0, 10.0]]), deltas)
    assert labels.tolist() == [0, 1]
    assert boxes.tolist() == [[10, 0, 20, 10]] * 2


def test_class_agnostic_losses_by_hand():
    found = targets(BOXES[:1] + 1, positive_fraction=1.0)
    losses = head(smooth_l1_beta=0).losses(torch.zeros(3, CLASSES + 1), torch.zeros(3, 1, 4), found)
    torch.testing.assert_close(losses["boxes"], torch.tensor((1.0 + 1.0) / 3))  # 10 * 1 px / 10 px, for x and y


def test_the_number_that_losses_are_divided_by_may_be_enlarged():
    found = targets(BOXES)
    logits, deltas = torch.randn(len(found.labels), CLASSES + 1), torch.randn(len(found.labels), CLASSES, 4)
    plain = head().losses(logits, deltas, found)
    half = head(loss_epsilon=len(found.labels)).losses(logits, deltas, found)
    torch.testing.assert_close({name: loss / 2 for name, loss in plain.items()}, half)


def test_a_choice_of_targets_keeps_labels_matches_and_deltas_together():
    proposals = torch.tensor([[0.0, 0.0, 10.0, 5.0], [80.0, 0.0, 90.0, 10.0], [55.0, 50.0, 75.0, 70.0]])
    images, annotated = [proposals[[1, 0]], proposals], [objects(), objects()]
    everything = match_all(images, annotated, annotated=False, classes=CLASSES, settings=BoxHeadSettings())
    assert everything.labels.tolist() == [CLASSES, 1, 1, CLASSES, 0]
    chosen = everything.select([torch.tensor([1]), torch.tensor([2, 1])])
    assert chosen.proposals.tolist() == proposals[[0, 2, 1]].tolist()
    assert (chosen.counts, chosen.positive_counts) == ([1, 2], [1, 1])
    assert chosen.labels.tolist() == [1, 0, CLASSES]
    assert chosen.positives.tolist() == [0, 1]
    assert chosen.matches.tolist() == [0, 1]
    assert chosen.deltas.tolist() == everything.deltas[[0, 2]].tolist()


def test_targets_of_several_images_are_those_of_each():
    proposals = [BOXES + 1, NO_BOXES, torch.cat([BOXES[[1, 0]], BOXES + 30]), NO_BOXES]
    annotated = [objects(), objects(), objects(BOXES[1:] + 2, LABELS[1:]), objects(NO_BOXES, NO_LABELS)]
    found = targets_of_all(proposals, annotated, positive_fraction=1.0)
    alone = [targets_of_all([own], [one], positive_fraction=1.0) for own, one in zip(proposals, annotated)]
    for name in ("proposals", "labels", "matches", "deltas", "annotated"):
        assert getattr(found, name).tolist() == torch.cat([getattr(one, name) for one in alone]).tolist(), name
    assert found.counts == [len(one.labels) for one in alone] == [4, 2, 5, 0]
    assert found.positive_counts == [len(one.matches) for one in alone] == [4, 2, 2, 0]
    assert [len(own) for own in found.matches_of_images()] == found.positive_counts
    assert (found.labels[found.positives] < CLASSES).all()
    assert found.annotated.tolist() == [False] * 2 + [True] * 4 + [False] * 4 + [True]


@pytest.mark.parametrize("annotated", [False, True])
def test_all_may_count_with_or_without_the_annotated_boxes(annotated):
    images = [BOXES + 1, NO_BOXES]
    found = match_all(images, [objects()] * 2, annotated=annotated, classes=CLASSES, settings=BoxHeadSettings())
    assert found.counts == ([4, 2] if annotated else [2, 0])
    assert found.labels.tolist() == ([1, 0] * 3 if annotated else [1, 0])
    assert found.annotated.tolist() == ([False] * 2 + [True] * 4 if annotated else [False] * 2)


def predict(scores: list[list[float]], proposals: torch.Tensor, deltas=None, **settings):
    """`scores` are probabilities of each class, background last."""
    probabilities = torch.tensor(scores).reshape(-1, CLASSES + 1)
    deltas = torch.zeros(len(probabilities), CLASSES, 4) if deltas is None else deltas
    return head(**settings).detections(probabilities, deltas, proposals, SIZE)


def test_every_class_that_scores_is_a_detection_best_first():
    boxes, scores, labels = predict([[0.3, 0.5, 0.2], [0.6, 0.04, 0.36]], BOXES)
    assert boxes.tolist() == BOXES[[1, 0, 0]].tolist()
    torch.testing.assert_close(scores, torch.tensor([0.6, 0.5, 0.3]))
    assert labels.tolist() == [0, 1, 0]


def test_repetitions_are_suppressed_per_class():
    near = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 9.0], [0.0, 0.0, 10.0, 8.5]])
    boxes, _, labels = predict([[0.9, 0.01, 0.09], [0.8, 0.01, 0.19], [0.01, 0.9, 0.09]], near)
    assert labels.tolist() == [0, 1]
    assert boxes.tolist() == near[[0, 2]].tolist()


def test_classes_may_suppress_one_another():
    near = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 9.0]])
    boxes, _, labels = predict([[0.9, 0.01, 0.09], [0.01, 0.8, 0.19]], near, class_agnostic_nms=True)
    assert labels.tolist() == [0]
    assert boxes.tolist() == near[:1].tolist()


def test_each_class_has_its_own_box_which_ends_at_the_image():
    deltas = torch.zeros(1, CLASSES, 4)
    deltas[0, 1, 0] = 10.0  # one width to the right
    boxes, _, labels = predict([[0.5, 0.4, 0.1]], torch.tensor([[80.0, 0.0, 95.0, 10.0]]), deltas)
    assert labels.tolist() == [0, 1]
    assert boxes.tolist() == [[80, 0, 95, 10], [95, 0, 100, 10]]


def test_only_the_best_are_kept_and_boxes_without_area_dropped():
    proposals = torch.tensor([[0.0, 0.0, 9.0, 9.0], [20.0, 0.0, 29.0, 9.0], [300.0, 0.0, 310.0, 9.0]])
    scores = [[0.5, 0.01, 0.49], [0.6, 0.01, 0.39], [0.7, 0.01, 0.29]]
    assert predict(scores, proposals)[0].tolist() == proposals[[1, 0]].tolist()
    assert predict(scores, proposals, detections_per_image=1)[0].tolist() == proposals[[1]].tolist()


def test_there_may_be_no_detections_and_no_proposals():
    for scores, proposals in (([[0.01, 0.01, 0.98]], BOXES[:1]), ([], NO_BOXES)):
        boxes, found, labels = predict(scores, proposals)
        assert (boxes.shape, found.shape, labels.shape) == ((0, 4), (0,), (0,))
