import math

import pytest
import torch

from maskrcnn.config import AnchorSettings, RPNSettings
from maskrcnn.model.anchors import Anchors
from maskrcnn.model.rpn import RPN, _choose_at_once, neighbors
from maskrcnn.ops.devices import at_least_float32
from maskrcnn.ops.roi_align import make_table

ANCHORS = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0], [40.0, 0.0, 50.0, 10.0]])
OBJECT = ANCHORS[:1]
NONE = torch.zeros(0, 4)


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


def network(**settings: object) -> RPN:
    """For maps of 4 channels, with two anchors at each pixel."""
    return RPN(4, Anchors(AnchorSettings(ratios=(1.0, 2.0))), RPNSettings(**settings))


def losses_of(logits, deltas, boxes, **settings):
    """Of outputs [B, N] and [B, N, 4] for the anchors of each image."""
    rpn = network(**settings)
    positives, negatives, target_deltas = rpn.choose_anchors(ANCHORS, boxes)
    chosen = torch.cat([positives, negatives])
    return rpn.losses(logits.flatten()[chosen], deltas.flatten(0, 1)[chosen], target_deltas, len(boxes))


def test_outputs_are_ordered_as_the_anchors():
    rpn = network(convolutions=2)
    features = {2: torch.randn(3, 4, 5, 6), 3: torch.randn(3, 4, 2, 3)}
    logits, deltas = rpn(features)
    assert [level.shape for level in logits] == [(3, 60), (3, 12)]
    assert [level.shape for level in deltas] == [(3, 60, 4), (3, 12, 4)]
    hidden = torch.relu(rpn.convolutions[1](torch.relu(rpn.convolutions[0](features[2]))))
    row, column, ratio = 3, 4, 1
    place = (row * 6 + column) * 2 + ratio
    torch.testing.assert_close(logits[0][1, place], rpn.logits(hidden)[1, ratio, row, column])
    torch.testing.assert_close(deltas[0][1, place], rpn.deltas(hidden)[1, 4 * ratio : 4 * ratio + 4, row, column])


@pytest.mark.parametrize("convolutions", [1, 2])
@pytest.mark.parametrize("count", [70, 1, 0])
def test_single_anchors_have_the_outputs_and_gradients_of_whole_maps(convolutions, count):
    torch.manual_seed(0)
    rpn = network(convolutions=convolutions).double()
    for parameter in rpn.parameters():
        torch.nn.init.normal_(parameter)  # biases too: what a convolution sees beyond the map is 0, not its bias
    features = {2: torch.randn(3, 4, 5, 6).double(), 3: torch.randn(3, 4, 2, 3).double()}
    inputs = [map.requires_grad_() for map in features.values()] + list(rpn.parameters())
    positions = torch.randperm(3 * 72)[:count]
    logits, deltas = rpn(features)
    expected = torch.cat(logits, dim=1).flatten()[positions], torch.cat(deltas, dim=1).flatten(0, 1)[positions]
    found = rpn.of_anchors(make_table(features), positions)
    weights = torch.randn(count, 5).double()
    gradients = [
        torch.autograd.grad((logits * weights[:, 0]).sum() + (deltas * weights[:, 1:]).sum(), inputs)
        for logits, deltas in (found, expected)
    ]
    for ours, whole in [*zip(found, expected), *zip(*gradients)]:
        torch.testing.assert_close(ours, whole, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("convolutions", "samples", "pay"), [(1, 10, True), (1, 11, False), (2, 4, False)])
def test_patches_pay_where_they_hold_less_than_two_thirds_of_the_maps(convolutions, samples, pay):
    maps = {2: torch.zeros(3, 4, 10, 12), 3: torch.zeros(3, 4, 5, 5)}  # 145 pixels in each image
    assert network(convolutions=convolutions, batch_size_per_image=samples).patches_pay(maps) == pay


def test_outputs_of_a_bfloat16_network_are_float32():
    logits, deltas = network().bfloat16()({2: torch.zeros(1, 4, 2, 2, dtype=torch.bfloat16)})
    assert logits[0].dtype == deltas[0].dtype == torch.float32
    assert at_least_float32(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64


def test_anchors_are_chosen_with_their_deltas():
    boxes = torch.tensor([[1.0, 0.0, 11.0, 10.0]])  # overlaps the first anchor by 9 / 11
    positives, negatives, deltas = network().choose_anchors(ANCHORS, [boxes, NONE, OBJECT + 20])
    # Three anchors in each of the images; the last object is moved down too, where it overlaps none.
    assert (positives.tolist(), negatives.tolist()) == ([0], [1, 2, 3, 4, 5, 6, 7, 8])
    torch.testing.assert_close(deltas, torch.tensor([[0.1, 0.0, 0.0, 0.0]]))


def test_objects_of_several_images_are_matched_with_their_own_anchors():
    boxes = [ANCHORS[:2], ANCHORS[2:], ANCHORS[[1, 2, 0]] + 1]
    positives, negatives, deltas = network(positive_iou=0.6).choose_anchors(ANCHORS, boxes)
    assert (positives.tolist(), negatives.tolist()) == ([0, 1, 5, 6, 7, 8], [2, 3, 4])
    torch.testing.assert_close(deltas, torch.tensor([0.0] * 3 + [0.1] * 3)[:, None] * torch.tensor([1.0, 1, 0, 0]))


def test_an_object_without_a_good_anchor_gets_its_best_one():
    boxes = torch.tensor([[40.0, 0.0, 50.0, 2.0]])  # overlaps the last anchor by a fifth
    positives, negatives, _ = network().choose_anchors(ANCHORS, [boxes])
    assert (positives.tolist(), negatives.tolist()) == ([2], [0, 1])


def test_losses_by_hand():
    logits = torch.tensor([[2.0, -1.0, 0.5]])
    deltas = torch.zeros(1, 3, 4)
    deltas[0, 0] = torch.tensor([0.1, -1.0, 0.0, 0.0])
    deltas[0, 1] = 99.0  # of background, which has no box
    losses = losses_of(logits, deltas, [OBJECT])
    objectness = (softplus(-2) + softplus(-1) + softplus(0.5)) / 3
    # 0.1 lies in the parabola below 1/9, 1.0 on the line above it.
    boxes = (0.5 * 0.1**2 * 9 + 1 - 1 / 18) / 3
    torch.testing.assert_close(losses["rpn_objectness"], torch.tensor(objectness))
    torch.testing.assert_close(losses["rpn_boxes"], torch.tensor(boxes))


def test_losses_are_means_over_the_chosen_anchors_of_all_images():
    logits, deltas = torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]), torch.ones(2, 3, 4)
    losses = losses_of(logits, deltas, [OBJECT, NONE])
    objectness = (softplus(0) + sum(map(softplus, (1, 2, 3, 4, 5)))) / 6
    torch.testing.assert_close(losses["rpn_objectness"], torch.tensor(objectness))
    torch.testing.assert_close(losses["rpn_boxes"], torch.tensor(4 * (1 - 1 / 18) / 6))


@pytest.mark.parametrize(
    ("boxes", "settings"),
    [(NONE, {}), (ANCHORS[:1] + 500, {"negative_iou": 0})],
    ids=["all are background", "none is chosen"],
)
def test_images_whose_objects_have_no_anchor_have_finite_losses_that_reach_the_outputs(boxes, settings):
    logits, deltas = torch.zeros(2, 3, requires_grad=True), torch.zeros(2, 3, 4, requires_grad=True)
    losses = losses_of(logits, deltas, [boxes, boxes], **settings)
    sum(losses.values()).backward()
    assert losses["rpn_boxes"] == 0
    assert losses["rpn_objectness"].isfinite()
    assert logits.grad.isfinite().all()
    assert (deltas.grad == 0).all()


def predict(logits, anchors, *, sizes=((100, 100),), candidates=10, proposals=10, deltas=None, **settings):
    deltas = [torch.zeros(*level.shape, 4) for level in logits] if deltas is None else deltas
    return network(**settings).choose_proposals(logits, deltas, anchors, list(sizes), candidates, proposals)


def test_proposals_come_best_first_with_their_probability():
    boxes, scores = predict([torch.tensor([[0.0, 2.0, 1.0]])], [ANCHORS])
    assert boxes[0].tolist() == ANCHORS[[1, 2, 0]].tolist()
    torch.testing.assert_close(scores[0], torch.tensor([2.0, 1.0, 0.0]).sigmoid())


def test_the_best_of_each_level_are_candidates_and_the_best_of_all_are_kept():
    near = ANCHORS + 60
    logits = [torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([[-1.0, -2.0, -3.0]])]
    boxes, _ = predict(logits, [ANCHORS, near], candidates=2)
    assert boxes[0].tolist() == [*ANCHORS[:2].tolist(), *clipped(near[:2])]
    boxes, _ = predict(logits, [ANCHORS, near], candidates=2, proposals=3)
    assert len(boxes[0]) == 3


def clipped(boxes: torch.Tensor) -> list:
    return boxes.clamp(max=100).tolist()


@pytest.mark.parametrize("settings", [{}, {"score_threshold": 0.5}, {"rank_by": "logit"}, {"min_box_size": 20.0}])
def test_a_gpu_s_proposals_are_those_of_a_cpu(settings):
    random = torch.Generator().manual_seed(0)
    counts, sizes = (200, 50), [(100, 120), (90, 100)]
    corners = [torch.rand(2, count, 2, generator=random) * 100 - 10 for count in counts]
    sides = [torch.rand(2, count, 2, generator=random) * 50 for count in counts]
    boxes = [torch.cat([corner, corner + side], dim=2) for corner, side in zip(corners, sides)]
    logits = [torch.randn(2, count, generator=random).sort(descending=True).values for count in counts]
    found = _choose_at_once(boxes, logits, sizes, RPNSettings(**settings), 60)
    for i, size in enumerate(sizes):  # without deltas a box is its anchor; each image has its own here
        expected = predict([level[i : i + 1] for level in logits], [level[i] for level in boxes], sizes=[size],
                           candidates=500, proposals=60, **settings)  # fmt: skip
        assert 20 < len(expected[0][0]) <= 60
        torch.testing.assert_close(found[0][i], expected[0][0], atol=1e-4, rtol=0)
        torch.testing.assert_close(found[1][i], expected[1][0])


def test_repetitions_are_suppressed_within_a_level_only():
    twice = ANCHORS[[0, 0]]
    boxes, _ = predict([torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.5]])], [twice, twice])
    assert boxes[0].tolist() == [ANCHORS[0].tolist()] * 2


def test_proposals_are_clipped_to_their_own_image_and_those_without_area_dropped():
    logits = [torch.tensor([[2.0, 1.0, 0.0]] * 2)]
    boxes, scores = predict(logits, [ANCHORS], sizes=((5, 25), (100, 45)))
    assert boxes[0].tolist() == [[0, 0, 10, 5], [20, 0, 25, 5]]
    assert boxes[1].tolist() == [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 45, 10]]
    assert list(map(len, scores)) == [2, 3]


def test_deltas_move_the_anchors():
    deltas = torch.zeros(1, 3, 4)
    deltas[0, 0] = torch.tensor([0.5, 0.0, 0.0, math.log(2)])
    boxes, _ = predict([torch.tensor([[9.0, 0.0, 0.0]])], [ANCHORS + 20], deltas=[deltas])
    torch.testing.assert_close(boxes[0][0], torch.tensor([25.0, 15.0, 35.0, 35.0]))


def test_there_may_be_no_proposals():
    boxes, scores = predict([torch.tensor([[0.0, 1.0, 2.0]])], [ANCHORS], score_threshold=0.99)
    assert (boxes[0].shape, scores[0].shape) == ((0, 4), (0,))


def test_losses_may_be_plain_distances_over_the_number_of_samples_asked_for():
    logits, deltas = torch.zeros(2, 3), torch.ones(2, 3, 4)
    settings = {"smooth_l1_beta": 0, "loss_normalizer": "batch_size_per_image", "batch_size_per_image": 10}
    losses = losses_of(logits, deltas, [OBJECT, NONE], **settings)
    torch.testing.assert_close(losses["rpn_objectness"], torch.tensor(6 * math.log(2) / 20))
    torch.testing.assert_close(losses["rpn_boxes"], torch.tensor(4 / 20))
    losses = losses_of(logits, deltas, [OBJECT, NONE], **settings, loss_epsilon=20)
    torch.testing.assert_close(losses["rpn_boxes"], torch.tensor(4 / 40))


def test_ranked_by_logits_proposals_keep_their_order_where_scores_are_all_one():
    far = ANCHORS.repeat(1, 1) + torch.tensor([0.0, 30.0, 0.0, 30.0])
    levels = [torch.tensor([[40.0, 41.0, 42.0]]), torch.tensor([[43.0, 44.0, 45.0]])]
    by_score, _ = predict(levels, [ANCHORS, far])
    by_logit, ranks = predict(levels, [ANCHORS, far], rank_by="logit")
    assert by_logit[0].tolist() == [*far.flip(0).tolist(), *ANCHORS.flip(0).tolist()]
    assert ranks[0].tolist() == [45, 44, 43, 42, 41, 40]
    assert by_score[0].tolist() != by_logit[0].tolist()


def test_the_shortest_side_of_a_proposal_is_a_setting():
    thin = torch.tensor([[0.0, 0.0, 10.0, 1e-4], [20.0, 0.0, 30.0, 0.0]])
    logits = [torch.zeros(1, 2)]
    assert len(predict(logits, [thin])[0][0]) == 0
    assert predict(logits, [thin], min_box_size=0)[0][0].tolist() == thin[:1].tolist()


def test_neighbors_are_found_in_their_own_image_and_level():
    # Two images: 2 rows of 3 pixels, then 1 row of 2. The table has the level's images one after the other.
    maps = {2: torch.arange(12.0).view(2, 1, 2, 3), 3: 100 + torch.arange(4.0).view(2, 1, 1, 2)}
    table = make_table(maps)
    # The first image's middle pixel of the lower row; the second image's first, and its last of the coarser level.
    rows, inside = neighbors(table, torch.tensor([4, 8, 15]), reach=1)
    seen = torch.where(inside, table.rows[rows, 0], -1)
    assert seen.tolist() == [
        [[0, 1, 2], [3, 4, 5], [-1, -1, -1]],
        [[-1, -1, -1], [-1, 6, 7], [-1, 9, 10]],
        [[-1, -1, -1], [102, 103, -1], [-1, -1, -1]],
    ]


def test_a_reach_of_nothing_is_the_pixel_itself_and_there_may_be_none():
    table = make_table({4: torch.arange(6.0).view(1, 1, 2, 3)})
    rows, inside = neighbors(table, torch.arange(6), reach=0)
    assert rows.flatten().tolist() == list(range(6))
    assert inside.all()
    assert neighbors(table, torch.arange(0), reach=2)[0].shape == (0, 5, 5)
