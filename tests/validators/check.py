"""Sends the tokens for one HTTP validator, and compares each status with the expected one.

    check.py FOLDER NAME
"""

import json
import pathlib
import sys
import urllib.error
import urllib.request

folder, name = sys.argv[1:]
failures = 0


def status_of(port, token):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


for row in json.loads(pathlib.Path(folder, f"{name}.cells.json").read_text()):
    for what, token, expected in row["cells"]:
        status = status_of(row["port"], token)
        failures += status != expected
        print(f"{'ok' if status == expected else 'FAILED'} {name}, {row['style']}, {what}: {status}, expected {expected}")
sys.exit(failures > 0)
