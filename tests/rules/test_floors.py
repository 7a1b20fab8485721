import ast
from importlib.util import resolve_name

import pytest

from tests.rules.source import trees

FLOORS = (
    {"errors", "progress"},
    {"ops"},
    {"config"},
    {"structures"},
    {"model", "data", "evaluation", "draw"},
    {"weights", "analysis", "engines"},
    {"predict"},
    {"training"},
    {"benchmarks", "doctor", "profiling"},
    {"cli"},
    {"__main__"},
)
KNOWN = {"structures/instances.py": {"data", "draw"}}
"""`Instances.plot` reads and draws an image: the method is convenient, and looks both up only when it is called."""
FLOOR = {part: height for height, floor in enumerate(FLOORS) for part in floor}


def parts_imported(path: str, tree: ast.Module) -> set[str]:
    """First folder or file below `maskrcnn` of everything a module imports, inside its functions too."""
    package = ".".join(["maskrcnn", *path.split("/")[:-1]])
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            home = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
            names |= {f"{home}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("maskrcnn.")} & set(FLOOR)


def upward_imports(path: str, tree: ast.Module) -> list[str]:
    own = path.split("/")[0].removesuffix(".py")
    return [part for part in parts_imported(path, tree) if part != own and FLOOR[part] >= FLOOR[own]]


def test_every_part_has_a_floor():
    parts = {path.split("/")[0].removesuffix(".py") for path in trees()} - {"__init__"}
    assert parts <= set(FLOOR)


@pytest.mark.parametrize("path", [path for path in trees() if path != "__init__.py"])
def test_imports_go_down_the_floors_only(path):
    assert set(upward_imports(path, trees()[path])) == KNOWN.get(path, set())


@pytest.mark.parametrize(
    ("path", "line", "found"),
    [
        ("data/shapes.py", "from ..model.build import build_model", ["model"]),
        ("ops/boxes.py", "from maskrcnn.structures import boxes", ["structures"]),
        ("predict/files.py", "import maskrcnn.training.loop", ["training"]),
        ("model/fpn.py", "def forward():\n    from .. import cli", ["cli"]),
        ("model/fpn.py", "from .resnet import ResNet\nfrom ..ops import boxes\nimport torch", []),
        ("data/readers/coco.py", "from ..records import Record\nfrom ...errors import DataError", []),
    ],
)
def test_an_import_going_up_or_sideways_is_found(path, line, found):
    assert upward_imports(path, ast.parse(line)) == found


def test_nothing_imports_a_benchmark_but_the_registry_the_runner_and_the_command_line():
    for path, tree in trees().items():
        own = path.split("/")
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                package = ".".join(["maskrcnn", *own[:-1]])
                module = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
                parts = (module or "").split(".")
                if parts[:2] == ["maskrcnn", "benchmarks"]:
                    assert own[0] in ("__init__.py", "benchmarks", "cli"), path
                    folder = own[1] if own[0] == "benchmarks" and len(own) == 3 else None
                    assert len(parts) < 4 or parts[2] == folder, f"{path} imports {module}"
