from dataclasses import replace

import pytest
import torch

from maskrcnn.model.proposals import find_proposals
from tests.model.small import SIZE, small_batch, small_model, small_settings

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
