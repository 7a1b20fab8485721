import re

from typer.testing import CliRunner

from maskrcnn.cli.catalog import describe_settings
from maskrcnn.cli.main import app
from maskrcnn.config.presets import preset_names, read_preset
from maskrcnn.weights.published import PUBLISHED, SHIPPED


def printed(*arguments):
    result = CliRunner().invoke(app, ["models", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def row(text, name):
    return next(line.split() for line in text.splitlines() if re.match(rf" +{re.escape(name)}( |$)", line))


def test_every_name_stands_in_the_list_uncut():
    words = printed().split()
    for name in [*SHIPPED, *PUBLISHED, *preset_names()]:
        assert name in words


def test_a_row_has_the_published_scores_and_the_second_name():
    text = printed()
    expected = ["41.0", "37.2", "COCO", "2017", "detectron2/R50-FPN-3x"]
    assert row(text, "detectron2/mask_rcnn_R_50_FPN_3x")[1:] == expected
    assert row(text, "mmdetection/panoptic_fpn_r50_fpn_1x_coco")[1:] == ["40.2", "COCO", "2017"]
    assert row(text, "torchvision/resnet50")[1:] == ["76.1", "ImageNet"]


def test_licences_stand_above_the_rows():
    text = printed()
    assert "Detectors of detectron2: CC BY-SA 3.0" in text
    assert "Detectors of mmdetection: Apache-2.0" in text
    assert text.index("Detectors of detectron2") < text.index("Backbones of detectron2")


def test_a_part_of_names_shortens_the_list():
    text = printed("KEYPOINT")
    assert "detectron2/keypoint_rcnn_R_50_FPN_1x" in text
    assert "torchvision/keypointrcnn_resnet50_fpn" in text
    assert "mask_rcnn" not in text


def test_a_second_name_is_found_by_a_part_too():
    assert "detectron2/mask_rcnn_R_101_FPN_400ep_LSJ" in printed("R101-FPN-4")


def test_a_whole_name_shows_all_that_is_known():
    text = printed("detectron2/r50-fpn-3x")
    one = PUBLISHED["detectron2/mask_rcnn_R_50_FPN_3x"]
    for words in (one.address, one.license, one.source, "MD5 begins with f10217", "box AP 41.0, mask AP 37.2"):
        assert words in text
    assert all(words in text for words in (one.file_name, "MASKRCNN_WEIGHTS"))


def test_where_no_hash_is_published_this_is_said():
    assert "none is published" in printed("detectron2/R-50")


def test_what_is_in_no_name_is_an_error():
    result = CliRunner().invoke(app, ["models", "yolo"])
    assert "yolo: " in str(result.exception)


def test_a_model_is_described_in_a_line():
    assert describe_settings(read_preset("detectron2/keypoint_rcnn_R_101_FPN")) == "resnet101, fpn, boxes, keypoints"
    described = describe_settings(read_preset("torchvision/maskrcnn_resnet50_fpn_v2"))
    assert described == "resnet50, fpn, boxes, masks; batch norm"
    assert describe_settings(read_preset("detectron2/faster_rcnn_R_50_DC5")) == "resnet50, c5 dilated, boxes"
