"""Says what PyYAML's FullLoader makes of texts.

Reads a JSON list of texts and prints a JSON list with the nodes of each, in text order: scalars as [value, tag, start, end],
collections as [kind, tag, flow] and a closing [kind], aliases as []. null: PyYAML refuses the text.
"""
import json
import re
import sys

import yaml


def nodes(text):
    root = yaml.compose(text, Loader=yaml.FullLoader)
    if root is None or root.start_mark.index == root.end_mark.index:
        return []
    resolved = {}
    collect(root, resolved)
    found = []
    for event in yaml.parse(text, Loader=yaml.FullLoader):
        if isinstance(event, yaml.AliasEvent):
            found.append([])
        elif isinstance(event, yaml.ScalarEvent):
            start, end = event.start_mark.index, event.end_mark.index
            tag = resolved[start, end]
            # The end of a block scalar is behind the blank lines after it. An omitted one is anywhere before the next token.
            if event.style in ("|", ">"):
                end = None
            elif start == end:
                start = end = None
            found.append([without_surrogates(event.value), tag, start, end])
        elif isinstance(event, yaml.SequenceStartEvent):
            found.append(["sequence", event.tag, bool(event.flow_style)])
        elif isinstance(event, yaml.MappingStartEvent):
            found.append(["mapping", event.tag, bool(event.flow_style)])
        elif isinstance(event, yaml.SequenceEndEvent):
            found.append(["sequence"])
        elif isinstance(event, yaml.MappingEndEvent):
            found.append(["mapping"])
    return found


def without_surrogates(value):
    """A pair is the character that it stands for, and half of one is U+FFFD with its number, as in a Rust string."""
    pairs = re.sub("[\ud800-\udbff][\udc00-\udfff]", lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), value)
    return re.sub("[\ud800-\udfff]", lambda half: f"\ufffd{ord(half[0]):x}", pairs)


def collect(node, resolved, seen=None):
    """The tags of scalars by their places."""
    seen = set() if seen is None else seen
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        resolved[node.start_mark.index, node.end_mark.index] = node.tag
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            collect(item, resolved, seen)
    else:
        for pair in node.value:
            for item in pair:
                collect(item, resolved, seen)


def answer(text):
    try:
        return nodes(text)
    except (yaml.YAMLError, ValueError, OverflowError):
        return None


sys.stdout.write(json.dumps([answer(text) for text in json.load(sys.stdin)]))
