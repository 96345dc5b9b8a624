"""Load for scripts/rolling: every response must be 200, until a file appears.

Usage: rolling.py URL INIT_JSON STOP_FILE
"""

import base64
import http.client
import json
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

THREADS = 6


def main():
    url, founded, stop = urlsplit(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3])
    key = founded["api_key"]
    basic = base64.b64encode(f"{key['client_id']}:{key['client_secret']}".encode()).decode()
    form = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    counts, failures, slowest, lock = {}, [], [0.0], threading.Lock()

    def run():
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)

        def call(kind, method, path, body=None, headers=None):
            began = time.monotonic()
            try:
                connection.request(method, path, body, headers or {})
                answer = connection.getresponse()
                status, text = answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                status, text = repr(error), b""
            with lock:
                counts[kind] = counts.get(kind, 0) + 1
                slowest[0] = max(slowest[0], time.monotonic() - began)
                if status != 200:
                    failures.append(f"{kind}: {status} {text[:200]!r}")
            return text if status == 200 else None

        while not stop.exists():
            answer = call("exchange", "POST", "/oauth/token", "grant_type=client_credentials", form)
            if answer is None:
                continue
            token = json.loads(answer)["access_token"]
            active = call("introspection", "POST", "/oauth/introspect", f"token={quote(token)}", form)
            if active is not None and json.loads(active)["active"] is not True:
                with lock:
                    failures.append("introspection: a new token is not active")
            call("check", "GET", "/verify", None, {"Authorization": f"Bearer {token}"})

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = ", ".join(f"{count} {kind}s" for kind, count in sorted(counts.items()))
    print(f"{made}; slowest answer {slowest[0] * 1000:.0f} ms; {len(failures)} failed")
    for failure in failures[:20]:
        print(failure, file=sys.stderr)
    return 1 if failures or not counts else 0


sys.exit(main())
