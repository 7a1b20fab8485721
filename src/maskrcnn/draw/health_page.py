"""One HTML page about a data set: findings, numbers and figures, with all pictures inside."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from ..ops.atomic import replacing
from ..structures.findings import SEVERITIES, Example, Finding

STYLE = """
:root{--ink:#1d2430;--soft:#5b6472;--line:#e3e6eb;--paper:#fff;--error:#b3262f;--warning:#c77700;--note:#2f6db3}
*{box-sizing:border-box}
body{margin:0 auto;padding:28px 32px 48px;max-width:1240px;color:var(--ink);background:#f6f7f9;
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:24px;margin:0}h2{font-size:17px;margin:32px 0 10px}p{margin:4px 0}
.path{color:var(--soft);overflow-wrap:anywhere}
.verdict span{display:inline-block;margin:10px 10px 0 0;padding:2px 12px;border-radius:12px;color:#fff;font-weight:600}
.error{background:var(--error)}.warning{background:var(--warning)}.note{background:var(--note)}.none{background:#9aa1ab}
table{border-collapse:collapse;background:var(--paper);border:1px solid var(--line);width:100%}
th,td{padding:6px 12px;text-align:right;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left}th{font-weight:600;color:var(--soft)}
article{background:var(--paper);border:1px solid var(--line);border-left:5px solid;padding:10px 16px 12px;
margin:0 0 10px;border-radius:4px}
article.e{border-left-color:var(--error)}article.w{border-left-color:var(--warning)}article.n{border-left-color:var(--note)}
article small{text-transform:uppercase;font-weight:700;letter-spacing:.05em;margin-right:8px}
.e small{color:var(--error)}.w small{color:var(--warning)}.n small{color:var(--note)}
.advice{color:var(--soft)}code{background:#eef0f4;padding:1px 5px;border-radius:3px;overflow-wrap:anywhere}
pre{background:#1d2430;color:#e8ecf3;padding:12px 16px;border-radius:4px;white-space:pre-wrap;overflow-wrap:anywhere}
.examples{display:flex;flex-wrap:wrap;gap:12px;margin-top:8px}
figure{margin:0;width:160px;font-size:11px;line-height:1.3;color:var(--soft);overflow-wrap:anywhere}
figure img{display:block;margin-bottom:3px}ul{margin:6px 0 0;padding-left:20px;font-size:13px;color:var(--soft)}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(380px,1fr));gap:14px;align-items:start}
.figures img{width:100%;background:var(--paper);border:1px solid var(--line);border-radius:4px}
footer{margin-top:32px;color:var(--soft);font-size:13px}
"""


class Shown(NamedTuple):
    """A finding, and its examples as small JPEG pictures, None where there is nothing to see."""

    finding: Finding
    pictures: Sequence[bytes | None]


class Figure(NamedTuple):
    """A PNG, and what it shows in words."""

    png: bytes
    words: str


def write_page(
    path: Path,
    *,
    source: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    shown: Sequence[Shown],
    command: str | None,
    figures: Sequence[Figure],
    foot: str,
) -> None:
    """Write the page, whole or not at all; missing folders are made.

    Args:
        path: The HTML file.
        source: The data set.
        columns, rows: Of the table of numbers, the first column the split.
        shown: Findings, the worst first.
        command: What to run with the advised settings; None: nothing is advised.
        figures: In the order in which they stand.
        foot: Last line of the page.
    """
    parts = [
        f"<h1>{escape(Path(source).resolve().name)}</h1>",
        f'<p class="path">{escape(source)}</p>',
        _verdict([one.finding for one in shown]),
        "<h2>In numbers</h2>",
        _table(columns, rows),
        "<h2>Findings</h2>",
        *(_article(one) for one in shown),
        "" if shown else "<p>Nothing to say: this data set is in order.</p>",
        "" if command is None else f"<h2>Settings that follow</h2><pre>{escape(command)}</pre>",
        "<h2>Figures</h2>",
        f'<div class="figures">{"".join(_img(one.png, "png", one.words) for one in figures)}</div>',
        f"<footer>{escape(foot)}</footer>",
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(Path(source).resolve().name)}: health of the data</title><style>{STYLE}</style>"
    )
    page = f'<!DOCTYPE html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _verdict(findings: Sequence[Finding]) -> str:
    counts = [(each, sum(one.severity == each for one in findings)) for each in SEVERITIES]
    words = (
        f'<span class="{each if count else "none"}">{count} {each}{"" if count == 1 else "s"}</span>'
        for each, count in counts
    )
    return f'<p class="verdict">{"".join(words)}</p>'


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _article(shown: Shown) -> str:
    one = shown.finding
    settings = " ".join(f"<code>{escape(words)}</code>" for words in one.settings)
    return (
        f'<article class="{one.severity[0]}" id="{one.name}"><p><small>{one.severity}</small>{_marked(one.what)}</p>'
        f'<p class="advice">{_marked(one.advice)}</p>{f"<p>{settings}</p>" if settings else ""}{_examples(shown)}'
        "</article>"
    )


def _examples(shown: Shown) -> str:
    pairs = list(zip(shown.finding.examples, shown.pictures, strict=True))
    seen = "".join(_figure(example, picture) for example, picture in pairs if picture is not None)
    told = "".join(f"<li>{escape(example.words)}</li>" for example, picture in pairs if picture is None)
    return (f'<div class="examples">{seen}</div>' if seen else "") + (f"<ul>{told}</ul>" if told else "")


def _figure(example: Example, picture: bytes) -> str:
    return f"<figure>{_img(picture, 'jpeg', '')}<figcaption>{escape(example.words)}</figcaption></figure>"


def _img(picture: bytes, kind: str, words: str) -> str:
    return f'<img alt="{escape(words)}" src="data:image/{kind};base64,{base64.b64encode(picture).decode("ascii")}">'


def _marked(text: str) -> str:
    """Escaped, with what stands between backticks as code, and lines kept."""
    pieces = escape(text).split("`")
    marked = "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))
    return marked.replace("\n", "<br>")
