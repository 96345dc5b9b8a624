"""Runs the test vectors: python scope_test.py scope-vectors.json"""

import json
import sys

from scope import allows

vectors = json.load(open(sys.argv[1], encoding="utf-8"))
for vector in vectors:
    found = allows(vector["scope"], vector["action"], vector["resource"])
    assert found == vector["allowed"], vector
print(f"{len(vectors)} vectors hold")
