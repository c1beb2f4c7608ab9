"""Resources of Kubernetes against the official schemas of some versions, unknown keys refused.

In: files of YAML. Out: a line for each resource and version that is valid; it fails with what is wrong at the first
that is not.
"""

import sys

import kubernetes_validate
import yaml

# The oldest with what we use, and the newest that the package knows.
VERSIONS = ("1.25", kubernetes_validate.latest_version())

for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        for resource in yaml.safe_load_all(file):
            for version in VERSIONS:
                kubernetes_validate.validate(resource, version, strict=True)
                print(resource["kind"], version)
