"""Validates what the documentation shows against the published schemas; says how much that was.

Arguments: the schema of networks, that of the node's settings, and files of documentation (.md) or of
networks (.json). What is on the standard input is a list of networks that have to be refused.
"""

import json
import re
import sys
import tomllib

import jsonschema

network, node = (
    jsonschema.Draft7Validator(json.load(open(path))) for path in sys.argv[1:3]
)
for validator in network, node:
    validator.check_schema(validator.schema)


def networks(text):
    """Objects that are a network or an entry, wherever they stand in a text."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            value, end = None, at + 1
        # An entry has keys beside its type: an "ipam" of its own, shown alone, is none.
        if isinstance(value, dict) and ("plugins" in value or "driver" in value or "delegate" in value):
            yield value
        at = text.find("{", end)


wrong, counts = [], [0, 0]


def hold(which, validator, value, where):
    counts[which] += 1
    for error in validator.iter_errors(value):
        wrong.append(f"{where}: /{'/'.join(map(str, error.absolute_path))}: {error.message}")


for path in sys.argv[3:]:
    text = open(path).read()
    for value in networks(text):
        if "plugins" not in value:
            value.setdefault("type", "wharfinger")
        elif "name" not in value:
            continue
        hold(0, network, value, path)
    for block in re.findall(r"```toml\n(.*?)```", text, re.S):
        value = tomllib.loads(block)
        if "package" not in value and "dependencies" not in value:
            hold(1, node, value, path)
for value in json.load(sys.stdin):
    if network.is_valid(value):
        wrong.append(f"taken: {json.dumps(value)}")
print(json.dumps({"networks": counts[0], "settings": counts[1], "wrong": wrong}))
