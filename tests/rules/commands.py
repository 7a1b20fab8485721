"""Commands shown in the documentation, and how the tests run them.

Every ```bash block of README.md and docs/ is run as it stands, the blocks of a file one after the other in one folder
that holds what a reader brings (`train.json`, `val.json`, `images/`, `photos/`, `photo.png`, and `model_final.pkl` of
detectron2). A comment in the line above a block, which readers do not see, says what is different about it:

    <!-- tested slowly -->                   it takes minutes, and runs under `make test-slow`
    <!-- tested with train.steps=2 -->       these words are added to each `maskrcnn train`, to make it short
    <!-- untested: needs a GPU -->           it is not run, and this is why
"""

import re
from dataclasses import dataclass

BLOCK = re.compile(r"(?:<!-- *((?:un)?tested[^>]*?) *-->\n)?```bash\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """Shell commands of one block, ready to run; `reason` says why they are not."""

    commands: str
    slow: bool = False
    reason: str = ""


def blocks_of(markdown: str) -> list[Block]:
    """The ```bash blocks of a page in their order."""
    return [_block(note, commands) for note, commands in BLOCK.findall(markdown)]


def _block(note: str, commands: str) -> Block:
    if note.startswith("untested"):
        return Block(commands, reason=note.removeprefix("untested").lstrip(": ") or "no reason given")
    slow, _, words = note.removeprefix("tested").strip().partition("with ")
    lines = commands.replace("\\\n", " ").splitlines()
    lines = [f"{line} {words}".rstrip() if line.startswith("maskrcnn train") else line for line in lines]
    return Block("\n".join(lines), slow=slow.strip() == "slowly")
