"""What `maskrcnn profile --all --json profiling/results.json` measured, as a page and as a chart.

    python profiling/results.py [--json profiling/results.json]

writes `RESULTS.md` beside this file and the README's image; `make profile` measures first.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from maskrcnn.draw.curves import draw_bars
from maskrcnn.profiling.contenders import PEERS
from maskrcnn.profiling.report import markdown_of
from maskrcnn.profiling.works import WORKS

HERE = Path(__file__).parent
PEER, TUNED_PEER = PEERS


def shares(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Time of everybody as a share of torchvision's as it comes, by work."""
    works: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["peer"] in PEERS:
            seconds = works.setdefault(WORKS[row["work"]].title, dict.fromkeys(PEERS, 0.0))
            seconds[row["peer"]] = row["peer_seconds"]
            seconds[f"maskrcnn {row['setting']}"] = row["seconds"]
    return {work: {name: one / seconds[PEER] for name, one in seconds.items()} for work, seconds in works.items()}


def batches(rows: list[dict[str, Any]]) -> str:
    """What several images at once are worth."""
    found = {row["work"]: row["images"] / row["seconds"] for row in rows if row["setting"] == "default"}
    if not {"prediction", "prediction-batch4"} <= found.keys():
        return ""
    one, four = found["prediction"], found["prediction-batch4"]
    return f"\nFour images at once: {four:.2f} images a second, {four / one:.2f} times as many as one by one.\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=HERE / "results.json")
    parser.add_argument("--page", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--chart", type=Path, default=HERE.parent / "docs" / "images" / "speed.png")
    arguments = parser.parse_args()
    report = json.loads(arguments.json.read_text(encoding="utf-8"))
    arguments.page.write_text(markdown_of(report) + batches(report["rows"]), encoding="utf-8")
    draw_bars(shares(report["rows"]), arguments.chart, label="time, as a share of torchvision's as it comes")
    print(f"Written: {arguments.page} and {arguments.chart}")


if __name__ == "__main__":
    main()
