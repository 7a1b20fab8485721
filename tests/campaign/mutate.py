"""Valid content made invalid: by values nobody expects, by structure, by single bytes."""

import copy
import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

DEEP = 100_000
WORDS = [
    "9" * 5000, "1" + "0" * 400, "1e999", "nan", "inf", "-1", "0", "1.5", "", " ", "x" * 300, "\u0660\u0661", "1_000",
    "0x10",
    "1000000000", "30000", "../" * 20 + "etc/passwd", "/etc/passwd", "/dev/zero", "/dev/full", ".", "..", "/", "~",
    "C:\\x",
    "http://127.0.0.1:9/x.png", "file:///etc/passwd", "a\tb", "é\u202e", "0,0;1,1;2,2", ";;;", ",", "true", "None",
    "%s{0}",
]  # fmt: skip
NUMBERS = ["NaN", "Infinity", "-0", "1e999", "9" * 5000, "1" + "0" * 400]
"""Numbers that JSON can be written with, and Python's own values cannot."""
VALUES = [
    *WORDS, *(f"@@{number}@@" for number in NUMBERS), "\ud800", "a\0b", 10**18, 2**63, -(2**63), 2**31, 100_000,
    1e308, 5e-324,
    -1, 0, 1.5, True, None, [], {}, [[]], [[[]]], {"a": 1}, [None], [1, 2, 3, 4], [0] * 4, [1e308] * 4, [[1e308] * 6],
    [[1] * 6],
    {"size": [40, 60], "counts": "PPPPPPPPPPPP"}, {"size": [10**9] * 2, "counts": [0, 10**18]},
    {"size": [40, 60], "counts": [0, 2**62, 2**62]}, {"size": [40, 60], "counts": "\uffff"},
    {"size": [65536] * 2, "counts": [0, 2**32]}, {"size": [30000] * 2, "counts": [0, 900_000_000]},
]  # fmt: skip
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


def mutate(content: bytes, ending: str, draw: random.Random) -> bytes:
    """`content` of a file whose name has this ending, changed at random."""
    ways = _WAYS.get(ending)
    if ways is None:
        return damage(content, draw)
    changed, special = ways
    roll = draw.random()
    if roll < 0.05:
        return _encoded(content, draw)
    if roll < 0.2:
        return draw.choice(special(content.decode()))().encode("utf-8", "surrogatepass")
    return damage(content, draw) if roll < 0.3 else changed(content, draw)


def damage(content: bytes, draw: random.Random) -> bytes:
    """Bytes that are cut off, flipped, removed, repeated, or numbers in the file's binary form that are extreme."""
    values = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        if not values:
            return b"\0"
        at = draw.randrange(len(values)) if draw.random() < 0.5 else draw.randrange(min(len(values), 128))
        match draw.randrange(6):
            case 0:
                del values[at:]
            case 1:
                values[at] ^= 1 << draw.randrange(8)
            case 2:
                values[at] = draw.randrange(256)
            case 3:
                del values[at : at + draw.choice((1, 2, 7, 100))]
            case 4:
                values[at:at] = values[at : at + draw.choice((1, 2, 7, 100))]
            case 5:
                extreme = draw.choice((b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\x7f\xff\xff\xff", b"\0\1\0\0", b"\0" * 8))
                values[at : at + len(extreme)] = extreme
    return bytes(values)


def _encoded(content: bytes, draw: random.Random) -> bytes:
    text = content.decode()
    ways = [text.encode(name, "replace") for name in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp500", "gbk")]
    return draw.choice([*ways, content + b"\0", b"\0" + content, content * 2, b"", b"\n", content + b"\xff\xfe"])


def _mutate_json(content: bytes, draw: random.Random) -> bytes:
    lines = content.split(b"\n")
    if len(lines) > 1 and lines[1].startswith(b"{"):  # JSON Lines
        at = draw.randrange(len(lines))
        lines[at] = _mutate_json(lines[at] or b"{}", draw)
        return b"\n".join(lines)
    tree = json.loads(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        paths = [path for path in _paths(tree) if path]
        if not paths:
            break
        *place, key = draw.choice(paths)
        parent = tree
        for step in place:
            parent = parent[step]
        _change(parent, key, draw)
    return re.sub(r'"@@([^"]*)@@"', r"\1", json.dumps(tree)).encode()


def _change(parent: Any, key: Any, draw: random.Random) -> None:
    value = parent[key]
    match draw.choices(("replace", "delete", "repeat", "wrap", "number"), (6, 2, 1, 1, 1))[0]:
        case "replace":
            parent[key] = copy.deepcopy(draw.choice(VALUES))
        case "delete":
            del parent[key]
        case "repeat" if isinstance(parent, list):
            parent.insert(key, copy.deepcopy(value))
        case "repeat":
            parent[draw.choice(("x", "id", *parent))] = copy.deepcopy(value)
        case "number" if isinstance(value, int | float):
            parent[key] = draw.choice((-value, value * 1000, value + 0.5, str(value), -value - 1))
        case _:
            parent[key] = [value]


def _paths(tree: Any, path: tuple = ()) -> Iterator[tuple]:
    yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from _paths(value, (*path, key))


def _mutate_text(pattern: str) -> Callable[[bytes, random.Random], bytes]:
    """Parts of a text that a pattern finds are replaced, left out or repeated."""

    def changed(content: bytes, draw: random.Random) -> bytes:
        text = content.decode()
        for _ in range(draw.choice((1, 1, 2, 4))):
            found = list(re.finditer(pattern, text))
            if not found:
                break
            one, other = draw.choice(found), draw.choice(found)
            new = draw.choices((draw.choice(WORDS), "", one.group() * 2, other.group()), (6, 2, 1, 1))[0]
            text = text[: one.start()] + new + text[one.end() :]
        return text.encode("utf-8", "surrogatepass")

    return changed


def _special_json(text: str) -> list[Callable[[], str]]:
    return [
        lambda: "[" * DEEP, lambda: "[" * DEEP + "]" * DEEP, lambda: '{"a":' * DEEP + "1" + "}" * DEEP,
        lambda: re.sub(r"\d+", "[" * 900 + "1" + "]" * 900, text, count=1),
        *(lambda number=number: re.sub(r"\b\d+\b", number, text, count=5) for number in NUMBERS),
        *(lambda word=word: re.sub(r'"\w+\.\w{3}"', json.dumps(word), text,
        count=1) for word in VALUES if isinstance(word, str)),
        *(lambda word=word: word for word in ("null", "[]", "{}", "1", '"a"', "[1, 2]", "[{}]", "[[]]")),
        *(lambda side=side: re.sub(r"\b[46]0\b", side, text) for side in ("30000", "1000000000")),
    ]  # fmt: skip


def _special_xml(text: str) -> list[Callable[[], str]]:
    root = re.search(r"<(\w+)", text.split("?>")[-1])[1]
    text = text.split("?>")[-1]
    entity = lambda name: re.sub(r">[^<>]+<", f">&{name};<", text, count=1)  # noqa: E731
    return [
        lambda: f'<!DOCTYPE {root} [<!ENTITY l0 "lol">{LAUGHS}]>' + entity("l9"),
        lambda: f'<!DOCTYPE {root} [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + entity("x"),
        lambda: f'<!DOCTYPE {root} [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;]>' + text,
        lambda: "<a>" * DEEP, lambda: f"<{root}>" + "<a>" * DEEP + "</a>" * DEEP + f"</{root}>",
        *(lambda name=name: f'<?xml version="1.0" encoding="{name}"?>' + text for name in ("utf-7", "nonsense",
        "utf-16")),
        *(lambda side=side: re.sub(r'(width|height)="\d+"', rf'\1="{side}"', text) for side in ("1000000", "9" * 5000)),
        *(lambda side=side: re.sub(r"<(width|height)>\d+<", rf"<\1>{side}<", text) for side in ("1000000", "9" * 5000)),
        lambda: re.sub(r'rle="[^"]*"', 'rle="900000000"', re.sub(r'(width|height)="\d+"', r'\1="30000"', text)),
    ]  # fmt: skip


def _special_yaml(text: str) -> list[Callable[[], str]]:
    named = lambda names: re.sub(r"names:(\n[ -].*)+", f"names: {names}", text)  # noqa: E731
    more = [
        "path: *a9", "2001-99-99: 1", "x: 2001-99-99", "? {a: b}\n: c", "[1]: 2", "x: 0b2", "x: !!int abc",
        "x: !!timestamp abc",
        "x: !!set [1]", "<<: 1", "x: !!binary ///", "x: !!python/object/apply:os.mkdir [executed]", "&b [*b]",
        "nc: 1000000000",
        "nc: -1", "kpt_shape: [1000000000, 3]",
    ]  # fmt: skip
    trees = ["[" * 20000, "[" * 20000 + "]" * 20000, "{a: " * 20000 + "1" + "}" * 20000, "- " * 20000 + "1", "&a [*a]"]
    return [
        *(lambda line=line: BOMB + text + f"\n{line}\n" for line in more),
        *(lambda names=names: BOMB + named(names) for names in ("*a9", "{0: *a9, 1: x}", "[1.5, 2001-01-01, [c]]")),
        *(lambda tree=tree: tree for tree in trees),
        *(lambda word=word: re.sub(r"images/\w+", json.dumps(word), text) for word in WORDS),
    ]  # fmt: skip


def _special_lines(text: str) -> list[Callable[[], str]]:
    return [
        lambda: text.replace("0", "9" * 400), lambda: ",".join(["1"] * DEEP), lambda: " ".join(["0.5"] * DEEP),
        lambda: '"' * DEEP, lambda: '"' + "x" * 200_000, lambda: text.replace("\n", "\0\n"),
        *(lambda word=word: word + "\n" for word in WORDS),
        *(lambda word=word: re.sub(r"\w+\.\w{3}\b", lambda _: word, text) for word in WORDS),
        lambda: "1000000 1000000\n" + text, lambda: "0 0\n", lambda: "0 " + "1e308 " * 8, lambda: "0 " + "1e-320 " * 8,
    ]  # fmt: skip


_JSON = (_mutate_json, _special_json)
_LINES = (_mutate_text(r"[^\s,]+|\n"), _special_lines)
_WAYS = {
    "json": _JSON,
    "jsonl": _JSON,
    "xml": (_mutate_text(r'(?<=")[^"<>]*(?=")|(?<=>)[^<>]+(?=<)|<[^>]*>| \w+="[^"]*"'), _special_xml),
    "yaml": (_mutate_text(r"[^\s,:\[\]{}]+|\n"), _special_yaml),
    "csv": _LINES,
    "txt": _LINES,
}
"""By the ending of a file's name: how a part of it is changed, and what else it could be."""
