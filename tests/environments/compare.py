"""Compares composed environments with a merge written a second time, by other means.

stdin: a JSON list of jobs {lower, higher, result}: directories. Of two layers the higher wins. stdout: a JSON list with
the list of what is wrong for each job, and the number of files by what was done with them.

The expected result follows from paths and PyYAML alone, without any code of the program.
"""
import collections
import json
import os
import sys

import yaml


class Loader(yaml.FullLoader):
    """Keeps what a tag is about, so that CloudFormation's `!Ref` can be compared."""


def tagged(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        return ("!" + suffix, loader.construct_scalar(node))
    if isinstance(node, yaml.SequenceNode):
        return ("!" + suffix, loader.construct_sequence(node, deep=True))
    return ("!" + suffix, loader.construct_mapping(node, deep=True))


Loader.add_multi_constructor("!", tagged)


def files(root):
    found = {}
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            with open(path, "rb") as stream:
                content = stream.read()
            executable = bool(os.stat(path).st_mode & 0o111)
            found[os.path.relpath(path, root)] = (content, executable)
    return found


def mapping(content):
    try:
        documents = list(yaml.load_all(content, Loader=Loader))
    except yaml.YAMLError:
        return None
    return documents[0] if len(documents) == 1 and isinstance(documents[0], dict) else None


def deep(lower, higher):
    if not (isinstance(lower, dict) and isinstance(higher, dict)):
        return higher
    merged = dict(lower)
    for key, value in higher.items():
        merged[key] = deep(lower[key], value) if key in lower else value
    return merged


def is_merged(path):
    *directories, name = path.split("/")
    if {"bitops.before-deploy.d", "bitops.after-deploy.d", "templates", "crds"} & set(directories):
        return False
    if "charts" in directories and not name.startswith("values"):
        return False
    if directories[-1:] == ["values-files"]:
        return True
    return name.endswith((".yaml", ".yml", ".json")) and name.split(".")[0] not in ("inventory", "hosts")


def compare(job):
    lower, higher, result = (files(job[key]) for key in ("lower", "higher", "result"))
    # The list of sources has been taken out of it.
    config = "bitops.config.yaml"
    wrong, tally, known = [], collections.Counter(), {config}
    for path in sorted((set(lower) | set(higher)) - {config}):
        known.add(path)
        ours = [layer[path] for layer in (lower, higher) if path in layer]
        got = result.get(path)
        if got is None:
            wrong.append(f"{path} is missing")
        elif len(ours) == 1 or ours[0] == ours[1]:
            tally["copied"] += 1
            if got != ours[0]:
                wrong.append(f"{path} is not as its layer has it")
        elif path.endswith((".tf", ".tf.json")):
            tally["both kept"] += 1
            stem = path.removesuffix(".json").removesuffix(".tf")
            others = [one for one in result if one.startswith(stem + ".") and one not in lower and one not in higher]
            known.update(others)
            if got != ours[1] or not any(result[other] == ours[0] for other in others):
                wrong.append(f"{path}: not both are there")
        elif path.endswith((".tfvars", ".terraform.lock.hcl")):
            tally["merged, not compared"] += 1
        elif is_merged(path) and None not in (found := [mapping(content) for content, _ in ours]):
            tally["merged"] += 1
            # The texts tell True from 1.
            if repr(deep(*found)) != repr(mapping(got[0])):
                wrong.append(f"{path}: {mapping(got[0])} instead of {deep(*found)}")
        else:
            tally["higher taken"] += 1
            if got[0] != ours[1][0]:
                wrong.append(f"{path} is not the higher layer's")
    wrong += [f"{path} comes from nowhere" for path in sorted(set(result) - known)]
    return wrong, tally


def main():
    wrong, total = [], collections.Counter()
    for job in json.load(sys.stdin):
        of_job, tally = compare(job)
        wrong.append(of_job)
        total += tally
    json.dump({"wrong": wrong, "tally": total}, sys.stdout)


main()
