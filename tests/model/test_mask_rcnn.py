from dataclasses import replace

import pytest
import torch

from maskrcnn.model.proposals import find_proposals
from maskrcnn.model.rpn import RPN
from maskrcnn.structures.annotated_masks import ObjectMasks
from maskrcnn.structures.batch import Batch
from tests.model.small import CLASSES, SIZE, fill_norms, objects, small_batch, small_model, small_settings

LOSSES = {"rpn_objectness", "rpn_boxes", "classes", "boxes", "masks"}
TWO = objects((5, 5, 30, 40), (50, 10, 90, 30))
NOTHING = objects()


def losses_of(model, *targets, precision: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        return model(small_batch(*targets))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("norm", ["frozen_batch", "group", "batch"])
@pytest.mark.parametrize(
    "targets", [(TWO, TWO), (TWO, NOTHING), (NOTHING, NOTHING), (NOTHING,)], ids=["both", "one", "none", "alone"]
)
def test_every_loss_is_finite_and_reaches_every_parameter_also_without_objects(targets, norm, precision):
    model = small_model(small_settings(norm))
    fill_norms(model)
    losses = losses_of(model, *targets, precision=precision)
    assert set(losses) == LOSSES
    assert all(loss.shape == () and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    without = [name for name, one in model.named_parameters() if one.grad is None or not one.grad.isfinite().all()]
    assert without == []


def test_objects_move_every_part_of_the_model():
    settings = small_settings()
    settings.rpn.batch_size_per_image = (
        10_000  # all anchors, so that none of the few on the coarse levels is left out by chance
    )
    model = small_model(settings)
    sum(losses_of(model, TWO, NOTHING).values()).backward()
    still = [name for name, one in model.named_parameters() if name.endswith("weight") and not one.grad.any()]
    assert still == []


@pytest.mark.parametrize("targets", [(TWO, NOTHING), (NOTHING,)], ids=["objects", "none"])
def test_patches_around_the_chosen_anchors_teach_the_same_as_whole_maps(targets, monkeypatch):
    settings = small_settings()
    settings.rpn.batch_size_per_image = 16
    results = []
    for pay in (True, False):
        monkeypatch.setattr(RPN, "patches_pay", lambda self, features, pay=pay: pay)
        model = small_model(settings).double()
        torch.manual_seed(3)
        losses = model(small_batch(*targets, dtype=torch.float64))
        sum(losses.values()).backward()
        results.append([*losses.values(), *(parameter.grad for parameter in model.parameters())])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def test_patches_teach_the_layers_of_the_rpn_also_under_autocast(monkeypatch):
    monkeypatch.setattr(RPN, "patches_pay", lambda self, features: True)
    model = small_model()
    sum(losses_of(model, TWO, precision=torch.bfloat16).values()).backward()
    assert all(parameter.grad.any() for parameter in model.rpn.parameters())


def test_each_loss_moves_its_own_head():
    heads = {"rpn_objectness": "rpn.logits", "rpn_boxes": "rpn.deltas", "classes": "box_head.0.logits"}
    heads |= {"boxes": "box_head.0.deltas", "masks": "mask_head.logits"}
    for name, head in heads.items():
        model = small_model()
        losses_of(model, TWO, TWO)[name].backward()
        moved = {other for other in heads.values() if model.get_parameter(f"{other}.weight").grad is not None}
        moved = {other for other in moved if model.get_parameter(f"{other}.weight").grad.any()}
        assert moved == {head}


def test_a_frozen_part_stays_and_the_rest_learns():
    settings = small_settings("frozen_batch")
    settings.backbone.frozen_stages = 2
    model = small_model(settings)
    sum(losses_of(model, TWO).values()).backward()
    without = {name for name, one in model.named_parameters() if one.grad is None}
    assert without == {name for name, one in model.named_parameters() if not one.requires_grad}
    assert {name.rsplit(".", 2)[0][: len("backbone.stages.0")] for name in without} == {
        "backbone.stem",
        "backbone.stages.0",
    }


def test_a_batch_without_targets_or_with_masks_of_another_kind_has_no_loss():
    model = small_model()
    with pytest.raises(ValueError, match="targets"):
        model(small_batch())
    polygons = objects((5, 5, 30, 40))
    polygons.masks = ObjectMasks.of([b"0"], SIZE)
    with pytest.raises(ValueError, match="MaskCrops.*ObjectMasks"):
        model(small_batch(polygons))


def test_losses_of_one_part_are_those_it_has_beside_the_other():
    model, batch = small_model(), small_batch(objects((5, 5, 30, 40)), objects())
    losses = []
    for parts in (("rpn", "heads"), ("rpn",), ("heads",)):
        torch.manual_seed(0)
        losses.append(model(batch, parts))
    both, rpn, heads = losses
    assert set(rpn) == {"rpn_objectness", "rpn_boxes"}
    assert set(heads) == set(both) - set(rpn)
    assert all(torch.equal(rpn[name], both[name]) for name in rpn)
    assert all(torch.equal(heads[name], both[name]) for name in heads)


@pytest.mark.parametrize("cascade", [None, {}])
def test_hard_examples_train_every_head(cascade):
    box_head = small_settings().box_head.model_dump() | {"ohem": True, "class_agnostic": cascade is not None}
    model = small_model(small_settings(box_head=box_head, cascade=cascade))
    losses = model(small_batch(objects((5, 5, 30, 40), (40, 8, 90, 60)), objects()))
    sum(losses.values()).backward()
    assert set(losses) == LOSSES
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_faster_rcnn_needs_no_masks():
    boxes_only = objects((5, 5, 30, 40))
    boxes_only.masks = None
    model = small_model(small_settings(mask_head=None))
    assert set(model(small_batch(boxes_only))) == LOSSES - {"masks"}
    assert model.predict(small_batch())[0].masks is None


@pytest.mark.parametrize("norm", ["frozen_batch", "group"])
def test_features_are_channels_last_from_the_first_to_the_last(norm):
    model = small_model(small_settings(norm))
    images = small_batch().images
    backbone = model.backbone(images)
    pyramid = model.neck(backbone)
    maps = [*backbone.values(), *[pyramid[level] for level in (2, 3, 4, 5)]]
    assert all(map.is_contiguous(memory_format=torch.channels_last) for map in maps)


def test_predictions_are_sorted_inside_their_image_and_have_a_mask_each():
    found = small_model().predict(small_batch())
    assert len(found) == 2
    for one in found:
        assert 0 < len(one) <= 10
        assert one.size == SIZE
        assert (one.scores.diff() <= 0).all()
        assert ((one.labels >= 0) & (one.labels < CLASSES)).all()
        assert (one.boxes >= 0).all()
        assert (one.boxes[:, 2:] <= torch.tensor([SIZE[1], SIZE[0]])).all()
        assert one.masks.probabilities.shape == (len(one), 28, 28)
        assert one.masks.bitmap(0).shape == SIZE


def test_predictions_are_in_the_pixels_of_the_callers_image():
    model, batch = small_model(), small_batch()
    plain = model.predict(batch)[0]
    height, width = SIZE
    batch.image_sizes = [(height * 2, width * 3), SIZE]
    larger = model.predict(batch)[0]
    torch.testing.assert_close(larger.boxes, plain.boxes * torch.tensor([3.0, 2.0, 3.0, 2.0]))
    torch.testing.assert_close(larger.masks.boxes, larger.boxes)
    assert larger.size == larger.masks.size == (height * 2, width * 3)


def test_nothing_is_found_in_the_padding():
    batch = small_batch()
    batch.sizes = batch.image_sizes = [(40, 50), SIZE]
    found = small_model().predict(batch)
    assert (found[0].boxes[:, 2:] <= torch.tensor([50, 40])).all()
    assert (found[1].boxes[:, 2:] > torch.tensor([50, 40])).any()


def assert_empty(found) -> None:
    assert (found.boxes.shape, found.labels.shape, found.scores.shape) == ((0, 4), (0,), (0,))
    assert len(found.masks) == 0


@pytest.mark.parametrize("part", [{"rpn": {"score_threshold": 1}}, {"box_head": {"score_threshold": 1}}])
def test_no_proposals_and_no_detections_are_legal(part):
    for found in small_model(small_settings(**part)).predict(small_batch()):
        assert_empty(found)


def test_one_image_of_a_batch_may_have_nothing():
    model, batch = small_model(), small_batch()
    alone = model.predict(batch)[1]
    with torch.no_grad():
        proposals = model.propose(model.features(batch.images), batch)[0]
    batch.proposals = [torch.zeros(0, 4), proposals[1]]
    found = model.predict(batch)
    assert_empty(found[0])
    torch.testing.assert_close(found[1].boxes, alone.boxes)


def test_an_image_is_found_the_same_alone_and_in_a_batch():
    model, batch = small_model().double(), small_batch(dtype=torch.float64)
    together = model.predict(batch)
    for i, expected in enumerate(together):
        found = model.predict(Batch(batch.images[i : i + 1], [SIZE], [SIZE]))[0]
        torch.testing.assert_close(found.boxes, expected.boxes)
        torch.testing.assert_close(found.masks.probabilities, expected.masks.probabilities)


@pytest.mark.parametrize("norm", ["frozen_batch", "group"])
def test_training_mode_changes_nothing(norm):
    model = small_model(small_settings(norm))
    evaluating, training = (model.train(mode).predict(small_batch())[0] for mode in (False, True))
    assert torch.equal(evaluating.boxes, training.boxes)
    first, second = (sum(losses_of(model.train(mode), TWO).values()) for mode in (False, True))
    assert first == second


def test_proposals_that_a_batch_brings_replace_those_of_the_network():
    model, batch = small_model(), small_batch(TWO)
    batch.proposals = [torch.tensor([[5.0, 5.0, 30.0, 40.0], [50.0, 10.0, 90.0, 30.0], [0.0, 0.0, 20.0, 20.0]])]
    assert set(model(batch)) == LOSSES - {"rpn_objectness", "rpn_boxes"}
    proposals, _ = model.propose(model.features(batch.images), batch)
    assert proposals[0].tolist() == batch.proposals[0].tolist()
    assert 0 < len(model.predict(batch)[0]) <= 3 * CLASSES


def test_a_semantic_head_needs_the_classes_of_pixels():
    model = small_model(small_settings(semantic_head={"classes": 3, "channels": 32}))
    with pytest.raises(ValueError, match="semantic"):
        model(small_batch(TWO))


HALF = (SIZE[0] // 2, SIZE[1] // 2)


def test_proposals_are_those_of_the_model_in_the_callers_pixels_best_first():
    model, batch = small_model().eval(), replace(small_batch(), image_sizes=[SIZE, HALF])
    with torch.no_grad():
        boxes, scores = model.propose(model.features(batch.images), batch)
    whole, half = find_proposals(model, batch)
    assert torch.equal(whole.boxes, boxes[0])
    assert torch.allclose(half.boxes * 2, boxes[1])
    assert torch.equal(half.scores, scores[1])
    assert (half.scores.diff() <= 0).all()
    assert (half.size, set(half.labels.tolist())) == (HALF, {0})


def test_scores_are_fractions_also_where_logits_rank():
    model = small_model(small_settings(rpn={"post_nms_top_n": 5, "rank_by": "logit"})).eval()
    model.rpn.logits.bias.data.fill_(-3)
    found = find_proposals(model, small_batch())[0]
    assert found.scores.max().item() == pytest.approx(torch.tensor(-3.0).sigmoid().item(), abs=0.02)


def test_an_image_may_have_none():
    model = small_model(small_settings(rpn={"score_threshold": 1.0})).eval()
    found = find_proposals(model, small_batch())[0]
    assert (found.boxes.shape, found.scores.shape) == ((0, 4), (0,))
