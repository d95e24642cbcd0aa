"""Says whether merged files load to the deep merge of what they were merged from.

Reads a JSON list of jobs {"format", "inputs", "result"} and prints a JSON list with one text per job: empty when the
result is right, else what is wrong. An input that does not load makes the job "unloadable: ...".
"""
import json
import sys

import yaml


class Tagged:
    """A node with a tag that PyYAML does not know."""

    def __init__(self, tag, value):
        self.tag, self.value = tag, value


class Loader(yaml.FullLoader):
    pass


def unknown(loader, node):
    if isinstance(node, yaml.ScalarNode):
        return Tagged(node.tag, node.value)
    if isinstance(node, yaml.SequenceNode):
        return Tagged(node.tag, loader.construct_sequence(node, deep=True))
    return Tagged(node.tag, loader.construct_mapping(node, deep=True))


def fast_loader():
    """The same with libyaml, which is several times faster; None if PyYAML was built without it."""
    if not hasattr(yaml, "CFullLoader"):
        return None

    class FastLoader(yaml.CFullLoader):
        pass

    FastLoader.add_constructor(None, unknown)
    return FastLoader


Tagged.__hash__ = lambda self: hash((self.tag, repr(frozen(self.value))))
Tagged.__eq__ = lambda self, other: isinstance(other, Tagged) and frozen(self) == frozen(other)
Loader.add_constructor(None, unknown)


def load(format, text, loader=Loader):
    if format == "json":
        return json.loads(text, parse_float=lambda digits: ("float", digits))
    value = yaml.load(text, loader)
    return {} if value is None else value


def merged(lower, higher):
    if not (isinstance(lower, dict) and isinstance(higher, dict)):
        return higher
    result = dict(lower)
    for key, value in higher.items():
        result[key] = merged(result[key], value) if key in result else value
    return result


def frozen(value):
    """With types, and without the order of keys."""
    if isinstance(value, dict):
        return ("dict", sorted((repr(frozen(key)), frozen(item)) for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [frozen(item) for item in value])
    if isinstance(value, Tagged):
        return ("tagged", value.tag, frozen(value.value))
    return (type(value).__name__, repr(value))


def answer(job):
    """Real files are many: where libyaml agrees, PyYAML's own scanner is not asked again."""
    fast = fast_loader() if job.get("fast") else None
    return (check(job, fast) and check(job)) if fast else check(job)


def check(job, loader=Loader):
    try:
        inputs = [load(job["format"], text, loader) for text in job["inputs"]]
    except Exception as error:
        return "unloadable: " + " ".join(str(error).split())
    expected = inputs[0]
    for value in inputs[1:]:
        expected = merged(expected, value)
    if job["result"] is None:
        return ""
    try:
        result = load(job["format"], job["result"], loader)
    except Exception as error:
        return "the result does not load: " + " ".join(str(error).split())
    if frozen(result) != frozen(expected):
        return "expected %r, got %r" % (frozen(expected), frozen(result))
    return ""


if __name__ == "__main__":
    sys.setrecursionlimit(20000)
    json.dump([answer(job) for job in json.load(sys.stdin)], sys.stdout)
