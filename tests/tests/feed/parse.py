"""Reads YAML and TOML files with the parsers of others; one JSON list of documents a file."""

import json
import pathlib
import sys
import tomllib

import yaml

for name in sys.argv[1:]:
    text = pathlib.Path(name).read_text()
    if name.endswith(".toml"):
        documents = [tomllib.loads(text)]
    else:
        documents = list(yaml.safe_load_all(text))
    print(json.dumps(documents))
