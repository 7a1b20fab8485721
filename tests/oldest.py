"""Prints each library at the lowest version that pyproject.toml allows, as requirements for `make test-oldest`."""

import tomllib
from pathlib import Path

EXTRAS = ("heic", "openvino", "timm", "test")


def oldest() -> list[str]:
    """Requirements of the library and of the extras that its tests use, each with `==`."""
    text = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = [needed for extra in EXTRAS for needed in project["optional-dependencies"][extra]]
    return [needed.replace(">=", "==") for needed in [*project["dependencies"], *extras]]


if __name__ == "__main__":
    print("\n".join(oldest()))
