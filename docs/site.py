"""What mkdocs cannot know by itself: pages that lie outside docs/, their links, and the reference of the public names.

Pages are written for the repository, where links are relative to files. Here each link is turned into one of the site,
or, where it leads to a file that is no page, into one to the repository.
"""

import posixpath
import re
from collections import defaultdict
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import maskrcnn

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    **{f"profiling/{path.name}": f"profiling/{path.name}" for path in sorted((ROOT / "profiling").glob("*.md"))},
}
"""Places of pages on the site, by their places in the repository."""
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^()\s#]+)")


def reference() -> dict[str, str]:
    """A page for each folder that has public names: what each name is, from its docstring."""
    areas: dict[str, list[str]] = defaultdict(list)
    for name in maskrcnn.__all__:
        module = maskrcnn._HOMES[name]
        areas[module.split(".")[0]].append(f"::: maskrcnn.{module}.{name}\n")
    return {f"reference/{area}.md": "\n".join([f"# {area}\n", *areas[area]]) for area in sorted(areas)}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name the pages of each folder in the navigation, and the reference."""
    assert config.nav is not None
    _list_folders(config.nav, Path(config.docs_dir))
    config.nav.insert(2, {"Reference": sorted(reference())})
    return config


def _list_folders(entries: list, docs: Path) -> None:
    """Put the pages of a folder where the navigation names the folder."""
    for place, entry in enumerate(entries):
        if isinstance(entry, dict):
            ((title, inside),) = entry.items()
            if isinstance(inside, list):
                _list_folders(inside, docs)
            else:
                entries[place] = {title: _pages(inside, docs)}
        elif not entry.endswith(".md"):
            entries[place : place + 1] = [{entry.capitalize(): _pages(entry, docs)}]


def _pages(folder: str, docs: Path) -> list[str]:
    inside = [path.relative_to(docs).as_posix() for path in sorted((docs / folder).glob("*.md"))]
    outside = [page for page in OUTSIDE.values() if posixpath.dirname(page) == folder]
    return sorted({*inside, *outside}, key=lambda page: (not page.endswith("README.md"), page))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/, and the reference."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for page, text in reference().items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the links of the repository into those of the site."""
    here = page.file.src_uri
    source = {page: source for source, page in OUTSIDE.items()}.get(here, f"docs/{here}")

    def target(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), found[1]))
        there = OUTSIDE.get(path, path.removeprefix("docs/"))
        if files.get_file_from_path(there) is not None:
            return posixpath.relpath(there, posixpath.dirname(here) or ".")
        return f"{config.repo_url}/blob/main/{path}" if (ROOT / path).exists() else found[1]

    return LINK.sub(target, markdown)
