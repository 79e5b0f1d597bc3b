"""YAML within bounds: text that is too long, has too many values or is nested too deeply is refused."""

from typing import Any

import yaml

from auricle.text import short_line

MAX_DEPTH = 40
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, if PyYAML was built with it
# What PyYAML raises for invalid YAML, such as `!!bool x`, `2024-99-99` or a thousand brackets
_ERRORS = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


def read_yaml(text: str, max_bytes: int, max_values: int) -> Any:
    """Read YAML, or raise a ValueError that says in one line why not.

    Size, depth and number of values are limited before any value is built; an alias counts as often as it is used, so
    that a few lines cannot expand to millions.
    """
    if len(text.encode(errors="surrogatepass")) > max_bytes:
        raise ValueError(f"longer than {max_bytes} bytes")
    try:
        _check_events(text, max_values)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check_values(node, max_values)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except _ERRORS as error:
        raise ValueError(short_line(str(error)) or type(error).__name__) from error


def _check_events(text: str, max_values: int) -> None:
    """Limit depth and number of values as written, without recursion, which deep nesting would break."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or number > 2 * max_values:  # a list of one value is three events
            raise ValueError(f"more than {max_values} values, or nested deeper than {MAX_DEPTH}")


def _check_values(node: yaml.Node, max_values: int) -> None:
    """Limit depth and number of values with every alias and merged mapping expanded."""
    pending, num_values = [(node, 0)], 0
    while pending:
        node, depth = pending.pop()
        num_values += 1
        if num_values + len(pending) > max_values or depth > MAX_DEPTH:
            raise ValueError(f"more than {max_values} values, or nested deeper than {MAX_DEPTH}")
        if isinstance(node, yaml.ScalarNode):
            if node.value.encode(errors="ignore").decode() != node.value:
                raise ValueError("a text that is not valid Unicode (half a surrogate pair)")
        elif isinstance(node, yaml.MappingNode):
            pending += [(part, depth + 1) for pair in node.value for part in pair]
        else:
            pending += [(part, depth + 1) for part in node.value]
