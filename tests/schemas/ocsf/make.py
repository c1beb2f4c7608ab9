"""Writes the JSON Schemas of the OCSF classes that `--format ocsf` uses.

    pip install ocsf-json-schema==1.2.0
    python3 make.py

One file a version: the classes by name, and the objects (`$defs`) that they share. Titles and
descriptions are left out; nothing else is changed.
"""

import json
from pathlib import Path

from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

VERSIONS = ["1.4.0", "1.5.0", "1.6.0", "1.7.0", "1.8.0"]
CLASSES = ["base_event", "detection_finding", "network_activity"]
PROFILES = ["container", "datetime", "host"]


def bare(value):
    if isinstance(value, dict):
        said = {k: v for k, v in value.items() if not (k in ("title", "description") and isinstance(v, str))}
        return {k: bare(said[k]) for k in sorted(said)}
    return [bare(item) for item in value] if isinstance(value, list) else value


for version in VERSIONS:
    maker = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=version))
    classes, defs = {}, {}
    for name in CLASSES:
        schema = bare(maker.get_class_schema(name, PROFILES))
        for key, definition in schema.pop("$defs").items():
            assert defs.setdefault(key, definition) == definition, key
        classes[name] = schema
    lines = ['{"classes":{']
    lines.append(",\n".join(f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in classes.items()))
    lines.append('},"$defs":{')
    lines.append(",\n".join(f"{json.dumps(k)}:{json.dumps(defs[k], separators=(',', ':'))}" for k in sorted(defs)))
    lines.append("}}\n")
    Path(__file__).with_name(f"{version}.json").write_text("\n".join(lines))
