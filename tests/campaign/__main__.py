"""The campaign: `python -m tests.campaign SEED COUNT`; `make campaign`.

Of COUNT cases, four fifths are annotations, an eighth images and the rest checkpoints; a run is killed and resumed
COUNT / 150 times.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.campaign.kills import kill_and_resume
from tests.campaign.watch import Outcome, run_watched


def shares(count: int) -> dict[str, int]:
    """How many cases each part has."""
    images, checkpoints = count * 3 // 25, count * 2 // 25
    return {"annotations": count - images - checkpoints, "images": images, "checkpoints": checkpoints}


def report(part: str, outcomes: list[Outcome]) -> Iterator[str]:
    """A line of counts, and one for each fault."""
    ends = Counter(one.end for one in outcomes)
    yield f"{part}: {len(outcomes)} cases; " + ", ".join(f"{count} {end}" for end, count in ends.most_common())
    for one in outcomes:
        if one.is_fault:
            yield f"  {part} {one.number}, {one.end}: {one.what}"


def main(seed: int, count: int) -> int:
    """The number of faults."""
    faults = 0
    for part, size in shares(count).items():
        outcomes = run_watched(part, seed, range(size))
        faults += sum(one.is_fault for one in outcomes)
        print("\n".join(report(part, outcomes)), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        kills, differences = kill_and_resume(Path(folder), seed, kills=count // 150)
    print(f"kills: {kills}; different from the unbroken run: {', '.join(differences) or 'nothing'}")
    return faults + len(differences)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])) > 0)
