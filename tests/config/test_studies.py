import pytest

from maskrcnn.config import RunSettings
from maskrcnn.config.studies import read_studies


@pytest.mark.parametrize("name", read_studies())
def test_every_variant_is_reachable_and_unlike_the_others(name):
    study = read_studies()[name]
    settings = [RunSettings().changed(variant.changes).model for variant in study.variants.values()]
    assert all(one not in settings[:i] for i, one in enumerate(settings))
    head = "keypoint_head" if study.score == "keypoints" else "mask_head"
    assert all(getattr(one, head) is not None for one in settings)


def test_the_papers_numbers():
    studies = read_studies()
    assert studies["roi_pooling"].variants["RoIWarp, max"].published == (27.2, 49.2, 27.1)
    assert studies["activation"].variants["sigmoid"].published == (30.3, 51.2, 31.5)
    assert studies["keypoints"].variants["RoIAlign"].published == (64.2,)
