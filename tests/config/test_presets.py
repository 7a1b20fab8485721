import pytest
import torch

from maskrcnn.config import CascadeSettings, ModelSettings, RunSettings
from maskrcnn.config.presets import preset_changes, preset_names, read_preset, read_studies
from maskrcnn.errors import SettingError
from maskrcnn.model.build import build_model


def leaves(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_gives_settings_of_a_model(name):
    assert set(preset_changes(name)) <= set(ModelSettings.model_fields)
    assert read_preset(name) == ModelSettings.model_validate(preset_changes(name))


@pytest.mark.parametrize("name", preset_names())
def test_a_file_of_the_changes_alone_would_do_the_same(name):
    """A section that is only switched on has no leaf, and would be lost where presets are put over other settings."""
    changed = {key.split(".")[0] for key, _ in leaves(preset_changes(name))}
    given = read_preset(name).model_dump(mode="json")
    default = ModelSettings().model_dump(mode="json")
    assert {key for key in given if given[key] != default[key]} <= changed


def test_what_a_preset_adds_lies_over_its_base():
    settings = read_preset("detectron2/mask_rcnn_R_101_C4")
    assert (settings.backbone.name, settings.backbone.stride_in_1x1) == ("resnet101", True)
    assert (settings.neck.name, settings.input.resize, settings.mask_head.convolutions) == ("c4", "pillow", 0)


def test_a_base_may_be_another_publishers():
    settings = read_preset("mmocr/mask_rcnn_oclip_ctw1500")
    assert (settings.backbone.name, settings.input.max_size, settings.input.resize) == ("clip_resnet50", 1600, "opencv")
    assert settings.anchors.sizes == ((16,), (32,), (64,), (128,), (256,))


def test_the_papers_models_are_as_the_paper_says():
    small, pyramid = read_preset("paper/R50-C4"), read_preset("paper/R50-FPN")
    assert (small.box_head.batch_size_per_image, small.rpn.post_nms_top_n) == (64, 300)
    assert (
        pyramid.box_head.batch_size_per_image,
        pyramid.rpn.post_nms_top_n,
        pyramid.box_head.detections_per_image,
    ) == (512, 1000, 100)
    assert read_preset("paper/X101-FPN").backbone.name == "resnext101_64x4d"
    assert (read_preset("paper/R50-C5").neck.name, read_preset("paper/R50-C5").backbone.dilate_stage5) == ("c5", False)


def test_detectron2s_cascade_has_the_default_stages():
    assert read_preset("detectron2/cascade_mask_rcnn_R_50_FPN").cascade == CascadeSettings()


def test_means_are_those_of_imagenet_in_all_libraries():
    for name in preset_names():
        assert read_preset(name).input.mean == ModelSettings().input.mean


def test_an_unknown_preset_names_its_neighbors():
    with pytest.raises(SettingError, match="R50-C4: .* paper/R50-C4 or paper/R"):
        read_preset("R50-C4")


def signature(settings):
    """What decides which layers are built."""
    sections = ("backbone", "neck", "cascade", "mask_head", "keypoint_head", "semantic_head")
    return repr([getattr(settings, name) for name in sections]) + repr(
        (settings.box_head.convolutions, settings.box_head.norm, settings.box_head.linear_layers)
    )


BUILT = {signature(read_preset(name).model_copy(deep=True)): name for name in reversed(preset_names())}


@pytest.mark.parametrize("name", [n for n in BUILT.values() if "101" not in n])
def test_every_kind_of_model_can_be_built(name):
    settings = read_preset(name)
    with torch.device("meta"):
        model = build_model(settings, 3, keypoints=17 if settings.keypoint_head else 0)
    assert all(parameter.is_meta for parameter in model.parameters())
    assert (model.settings.mask_head is None) == (model.mask_head is None)


@pytest.mark.parametrize("name", read_studies())
def test_every_variant_is_reachable_and_unlike_the_others(name):
    study = read_studies()[name]
    settings = [RunSettings().changed(variant.changes).model for variant in study.variants.values()]
    assert all(one not in settings[:i] for i, one in enumerate(settings))
    head = "keypoint_head" if study.score == "keypoints" else "mask_head"
    assert all(getattr(one, head) is not None for one in settings)


@pytest.mark.parametrize(
    ("study", "variant", "published"),
    [
        ("roi_pooling", "RoIWarp, max", (27.2, 49.2, 27.1)),
        ("activation", "sigmoid", (30.3, 51.2, 31.5)),
        ("keypoints", "RoIAlign", (64.2,)),
    ],
)
def test_the_papers_numbers(study, variant, published):
    assert read_studies()[study].variants[variant].published == published
