import re

import pytest

from maskrcnn.config import RunSettings
from maskrcnn.config.presets import preset_names
from tests.model.small import objects, small_batch
from tests.rules.source import DOCUMENTS, ROOT

OTHERS = [*ROOT.glob("[!R]*.md"), *sorted((ROOT / "profiling").glob("*.md"))]
SETTING = re.compile(rf"`((?:{'|'.join(RunSettings.model_fields)})\.\w+=[^`\s]+)`")
PRESET = re.compile(r"--preset (\w+/[\w-]+)")
LINK = re.compile(r"\]\((?!https?:)([^()\s#]*)#?([^()\s]*)\)")
ARCHITECTURE = ROOT / "docs" / "ARCHITECTURE.md"
PROGRAM = re.compile(r"^(?<!-->\n)```python\n(.*?)```", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"`((?:\w+/)+(?:\w+\.\w+)?)`")
STEP = re.compile(r"^\| \d+ \| `([\w/]+\.py)` \|", re.MULTILINE)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def words(document: str, pattern: re.Pattern) -> list[str]:
    """What a pattern finds, without the quotes that a shell needs."""
    return [found.replace("'", "") for found in pattern.findall(document)]


def anchors(document: str) -> set[str]:
    """What links call the headings of a page."""
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in HEADING.findall(document)}


@pytest.mark.parametrize("path", [*DOCUMENTS, *OTHERS], ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for file, anchor in LINK.findall(path.read_text(encoding="utf-8")):
        target = path.parent / file if file else path
        assert target.exists(), file
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), f"{file}#{anchor}"


def test_headings_are_called_as_on_the_web():
    assert anchors("# VGG Image `Annotator`\ntext\n## A, b-c\n") == {"vgg-image-annotator", "a-b-c"}
    assert LINK.findall("[a](b.md#c) [d](#e) ![f](g/h.png) [w](https://x.org/#y)") == [
        ("b.md", "c"),
        ("", "e"),
        ("g/h.png", ""),
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_settings_and_presets_named_in_documents_exist(path):
    text = path.read_text(encoding="utf-8")
    for setting in words(text, SETTING):
        if setting.startswith(("input.mean", "input.std")):
            continue  # of one length only together
        RunSettings().changed([setting])
    assert set(words(text, PRESET)) <= set(preset_names())


def test_settings_for_other_channels_hold_together():
    text = (ROOT / "docs" / "variants.md").read_text(encoding="utf-8")
    given = [setting for setting in words(text, SETTING) if setting.startswith("input.")]
    channels = [setting for setting in given if "mean" in setting or "std" in setting]
    assert len(channels) == 2
    assert RunSettings().changed(channels).model.input.channels == 4


def test_the_pattern_finds_settings():
    assert words("set `neck.name=c4`, not `neck=c4`, or `--preset paper/R50-C4`", SETTING) == ["neck.name=c4"]
    assert words("`--preset paper/R50-C4`", PRESET) == ["paper/R50-C4"]


def test_files_named_by_the_architecture_exist():
    named = FILE.findall(ARCHITECTURE.read_text(encoding="utf-8"))
    roots = (ROOT, ROOT / "src" / "maskrcnn")
    assert len(named) > 50
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []


def test_the_way_of_one_image_is_short():
    steps = STEP.findall(ARCHITECTURE.read_text(encoding="utf-8").split("## The way of one training")[0])
    lines = [len((ROOT / "src" / "maskrcnn" / step).read_text(encoding="utf-8").splitlines()) for step in steps]
    assert 15 <= len(steps) <= 20
    assert sum(lines) <= 2700


def test_parts_added_by_the_architectures_example_train_and_predict():
    programs = PROGRAM.findall(ARCHITECTURE.read_text(encoding="utf-8"))
    assert len(programs) == 1
    names: dict = {}
    exec(programs[0], names)
    model = names["model"]
    assert "my_mask" in model(small_batch(objects((5, 5, 45, 50)), objects()))
    assert len(model.eval().predict(small_batch(objects(), objects()))) == 2
