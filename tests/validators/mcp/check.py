"""Starts the MCP servers of docs/examples/mcp, and calls a tool of each with the clients of all SDKs.

    check.py FOLDER EXAMPLES PYTHON NODE...

FOLDER has what setup.py wrote; PYTHON and NODE are the commands that run the programs in EXAMPLES.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

folder, examples = map(pathlib.Path, sys.argv[1:3])
python, node = [sys.argv[3], "-B"], sys.argv[4:]
setup = json.loads((folder / "mcp.json").read_text())
failures = 0

SERVERS = {"python": [*python, examples / "server.py"], "typescript": [*node, examples / "server.mjs"]}
CLIENTS = {
    "mcp for Python": [*python, examples / "client.py"],
    "@modelcontextprotocol/client": [*node, examples / "client.mjs"],
    "@modelcontextprotocol/sdk": [*node, examples / "sdk_client.mjs"],
}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "add", "arguments": {"a": 1, "b": 2}}}


def check(what, found, expected):
    global failures
    failures += found != expected
    print(f"{'ok' if found == expected else 'FAILED'} mcp, {what}: {found}, expected {expected}", flush=True)


def environment(server, key):
    own = {"ISSUER": os.environ["VALIDATORS_ISSUER"], "RESOURCE": server["resource"], "PORT": str(server["port"])}
    return {**os.environ, **own, "CLIENT_ID": key["id"], "CLIENT_SECRET": key["secret"]}


def start(name):
    with open(folder / f"mcp-{name}.log", "wb") as log:
        return subprocess.Popen(
            SERVERS[name],
            env=environment(setup["servers"][name], setup["keys"]["server"]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait(name, process):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", setup["servers"][name]["port"]), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"the MCP server for {name} does not listen:\n{(folder / f'mcp-{name}.log').read_text()[-3000:]}")


def run(client, server, key):
    done = subprocess.run(
        CLIENTS[client], env=environment(server, key), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout.strip(), done.stderr


def send(server, token):
    """The status of a tool call, and the challenge."""
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(server["resource"], json.dumps(CALL).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("WWW-Authenticate", "")


processes = {name: start(name) for name in SERVERS}
try:
    for name, process in processes.items():
        server = setup["servers"][name]
        wait(name, process)
        for client in CLIENTS:
            code, output, errors = run(client, server, setup["keys"]["agent"])
            check(f"a tool of the {name} server with {client}", output if code == 0 else errors[-2000:], "42")
            code, output, errors = run(client, server, setup["keys"]["stranger"])
            is_refused = code != 0 and "not an API that this key is granted" in errors
            check(f"{client} without a grant of the {name} server: refused", is_refused or (output, errors[-2000:]), True)
        metadata = server["resource"].replace("/mcp", "/.well-known/oauth-protected-resource/mcp")
        status, challenge = send(server, None)
        check(f"{name}, no token", (status, f'resource_metadata="{metadata}"' in challenge), (401, True))
        for what, expected in (("right", 200), ("narrow", 403), ("copy", 401)):
            check(f"{name}, token {what}", send(server, server["tokens"][what])[0], expected)
    sys.exit(failures > 0)
finally:
    for process in processes.values():
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
