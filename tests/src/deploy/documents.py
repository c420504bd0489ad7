"""YAML files as JSON, each a list of its documents: templates of CloudFormation, with its short forms, or any others."""

import json
import sys

import yaml


class Loader(yaml.SafeLoader):
    pass


def function(loader, name, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if name == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


Loader.add_multi_constructor("!", function)
json.dump([list(yaml.load_all(open(file), Loader)) for file in sys.argv[1:]], sys.stdout, default=str)
