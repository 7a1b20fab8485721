"""YAML of others: plain values, within bounds of time and memory."""

from typing import Any

import yaml

MOST_VALUES = 1_000_000
"""Values of a document with its aliases written out; a few lines of them can stand for more than any memory holds."""


class _Loader(yaml.SafeLoader):
    """Dates stay texts: a class may be called 2024-13-45."""

    yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def parse_yaml(text: str) -> Any:
    """The value of a YAML document.

    Raises:
        ValueError: It is no YAML, nested too deeply, or too large with its aliases written out.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {}, set())
        return loader.construct_document(node)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    finally:
        loader.dispose()


def _count(node: yaml.Node, known: dict[int, int], within: set[int]) -> int:
    """How many values a node stands for; each is looked at once, however often aliases name it."""
    if id(node) in within:
        raise ValueError("an alias stands within what it names")
    if id(node) not in known:
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        within.add(id(node))
        known[id(node)] = 1 + sum(
            _count(part, known, within) for pair in parts for part in (pair if isinstance(pair, tuple) else (pair,))
        )
        within.remove(id(node))
    if known[id(node)] > MOST_VALUES:
        raise ValueError(f"its aliases stand for more than {MOST_VALUES:,} values")
    return known[id(node)]
