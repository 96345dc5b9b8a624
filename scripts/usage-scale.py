"""Many keys with long use: how long reading it takes over HTTP, and a page of their list, on SQLite and on PostgreSQL.

Usage: scripts/usage-scale [--keys N] [--days N] [--every N] [--slack N]

The rows are written straight into the database, as adding counts day by day would have left them.
"""

import argparse
import html
import http.client
import json
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from datetime import datetime, timedelta, timezone
from pathlib import Path

OUTCOMES = ["exchanged", "verified", "denied_invalid", "denied_expired", "denied_disabled", "denied_network",
            "denied_scope", "denied_audience"]
LIMIT_MS = 20.0
ROUNDS = 31
# A query without a limit, reported only: 2,160 hours with eight outcomes each. No page sends it.
BEYOND = "organization, 90 days by hour"
# No page of the console may be larger, in bytes.
MOST_BYTES = 150_000
ROUNDS_OF_USE = 5
LIST_FILTERS = ["", "status=active", "status=disabled", "status=revoked", "status=expired", "search=key%2099", "search=e",
                "search=nowhere", "status=active&search=999", "status=active&search=nowhere", "owner=nobody",
                "status=active&owner=nobody"]


def statements(columns, keys, days, every, today):
    """The same text for both databases. Key n is used (n * 7 + day * 13) % 97 times on day d where n + d fits."""
    first = today - days + 1
    others = [column for column in columns if column not in ("id", "name", "name_lowercase", "expires_place", "used_place")]
    numbers = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {}), d (d) AS " \
        "(SELECT {} UNION ALL SELECT d + 1 FROM d WHERE d < {})"
    key = "CAST(1000000000000000 + n.n AS TEXT)"
    uses = "((n.n * 7 + d.d * 13) % 97)"
    zeros = ", 0" * 6
    both = numbers.format(keys, first, today)
    active = f"(n.n + d.d) % {every} = 0"
    shown = [column for column in others if column not in ("state", "state_at", "expires_at", "last_used_at", "created_at")]
    # Some of them disabled, revoked or expired, and some never used, for the filters of the list.
    lived = "1700000000000 + n.n, CASE WHEN n.n % 1000 = 11 THEN 'revoked' WHEN n.n % 100 = 7 THEN 'disabled' ELSE 'active' END, " \
        "CASE WHEN n.n % 1000 = 11 OR n.n % 100 = 7 THEN 1700000000000 + n.n END, CASE WHEN n.n % 50 = 9 THEN 1700000000000 " \
        "WHEN n.n % 3 = 0 THEN 1950000000000 + n.n END, CASE WHEN n.n % 2 = 0 THEN 1700000000000 + (n.n * 7919) % 10007 * 1000 END"
    yield f"{both} INSERT INTO api_keys (id, name, name_lowercase, created_at, state, state_at, expires_at, last_used_at, " \
        f"{', '.join(shown)}) SELECT {key}, 'key ' || n.n, 'key ' || n.n, {lived}, {', '.join('k.' + name for name in shown)} " \
        "FROM n, (SELECT * FROM api_keys LIMIT 1) k"
    yield f"{both} INSERT INTO usage_days SELECT 'default', d.d, {key}, CAST(SUM({uses}) OVER w AS BIGINT), " \
        f"CAST(SUM(5) OVER w AS BIGINT){zeros} FROM n, d WHERE {active} WINDOW w AS (PARTITION BY n.n ORDER BY d.d)"
    yield f"{both} INSERT INTO usage_totals SELECT 'default', {key}, CAST(COALESCE(SUM(CASE WHEN {active} THEN {uses} END), 0) " \
        f"AS BIGINT), CAST(COALESCE(SUM(CASE WHEN {active} THEN 5 END), 0) AS BIGINT){zeros} FROM n, d GROUP BY n.n"
    # Ninety days of hours, of the first hundred keys: a key's own hours are found by its id, whatever else there is.
    hours = numbers.format(min(keys, 100), (today - 89) * 24, today * 24 + 23)
    yield f"{hours} INSERT INTO usage_hours SELECT {key}, d.d, 'exchanged', 3 FROM n, d"
    for unit, start, end in [("hour", (today - 89) * 24, today * 24 + 23), ("day", first, today)]:
        for outcome in OUTCOMES:
            span = numbers.format(1, start, end)
            yield f"{span} INSERT INTO usage_of_organization_{unit}s SELECT 'default', d.d, '{outcome}', 1000 FROM d"
    yield "ANALYZE"


class Sqlite:
    name = "SQLite"

    def __init__(self, folder):
        self.path = folder / "data" / "keyturn.db"
        self.environment = {"KEYTURN_STORE__URL": f"sqlite://{self.path}"}

    def fill(self, arguments, today):
        with sqlite3.connect(self.path) as database:
            columns = [row[1] for row in database.execute("PRAGMA table_info(api_keys)")]
            for statement in statements(columns, arguments.keys, arguments.days, arguments.every, today):
                database.execute(statement)
        database.close()


class Postgres:
    name = "PostgreSQL"

    def __init__(self, _folder):
        self.url = f"{os.environ['KEYTURN_TEST_POSTGRES']}/usage_scale"
        self.psql(os.environ["KEYTURN_TEST_POSTGRES"] + "/postgres", "CREATE DATABASE usage_scale")
        self.environment = {"KEYTURN_STORE__URL": self.url}

    @staticmethod
    def psql(url, text):
        psql = os.path.join(os.environ["KEYTURN_TEST_POSTGRES_BIN"], "psql")
        done = subprocess.run([psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", url], input=text, text=True,
                              capture_output=True, check=False)
        if done.returncode:
            sys.exit(f"{text[:200]}: {done.stderr}")
        return done.stdout.split()

    def fill(self, arguments, today):
        columns = self.psql(self.url, "SELECT column_name FROM information_schema.columns "
                            "WHERE table_name = 'api_keys' AND is_generated = 'NEVER'")
        for statement in statements(columns, arguments.keys, arguments.days, arguments.every, today):
            self.psql(self.url, statement)
        self.psql(self.url, "VACUUM ANALYZE")


class Visitor:
    """Somebody at the console, as a browser without a script."""

    def __init__(self, port, login):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.origin = f"http://127.0.0.1:{port}"
        self.cookies = {}
        page = self.get("/console/sign-in")[1]
        token = re.search(r'name="csrf" value="([^"]+)"', page).group(1)
        body = urllib.parse.urlencode({"csrf": token, "email": login["email"], "password": login["password"]})
        status = self.send("POST", "/console/sign-in", body)[0]
        if status != 303:
            sys.exit(f"signing in returned {status}")

    def send(self, method, path, body=None):
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), "Origin": self.origin,
                   "Content-Type": "application/x-www-form-urlencoded"}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, value = cookie.split(";")[0].split("=", 1)
            self.cookies[name] = value
        return answer.status, text

    def get(self, path):
        began = time.perf_counter()
        status, text = self.send("GET", path)
        took = (time.perf_counter() - began) * 1000
        if status != 200:
            sys.exit(f"{path}: {status}")
        return took, text


def measure_console(name, port, login):
    """Every page that links lead to from the first one: gives the slowest median."""
    visitor = Visitor(port, login)
    kinds, waiting = {}, ["/console/keys"]
    while waiting:
        path = waiting.pop(0)
        # One of each kind: IDs are all alike, and so are cursors and combinations of filters.
        kind = re.sub(r"(/|=)[\w-]{16,}", r"\1…", path)
        if kind.count("&") > 0:
            kind = kind.split("?")[0] + "?several"
        if kind in kinds:
            continue
        visitor.get(path)
        took, sizes = [], []
        for _ in range(7):
            once, text = visitor.get(path)
            took.append(once)
            sizes.append(len(text.encode()))
        kinds[kind] = (statistics.median(took), max(sizes), path)
        for link in re.findall(r'href="([^"]+)"', text):
            link = urllib.parse.urljoin(path, html.unescape(link)).split("#")[0]
            # An export is a file, which is streamed, and no page.
            if link.startswith("/console") and "/assets/" not in link and "/export" not in link:
                waiting.append(link)
    slowest = sorted(kinds.values(), reverse=True)
    largest = max(kinds.values(), key=lambda page: page[1])
    print(f"{name}: {len(kinds)} kinds of pages of the console: median "
          f"{statistics.median(took for took, _, _ in kinds.values()):.1f} ms, slowest "
          + ", ".join(f"{took:.1f} ms ({path})" for took, _, path in slowest[:3])
          + f"; largest {largest[1] / 1000:.0f} KB ({largest[2]})", flush=True)
    if len(kinds) < 40:
        sys.exit(f"only these pages were found: {sorted(kinds)}")
    if largest[1] > MOST_BYTES:
        sys.exit(f"{largest[2]} has {largest[1]} bytes, and {MOST_BYTES} are allowed")
    return slowest[0][0]


def measure(kind, arguments):
    folder = Path(tempfile.mkdtemp())
    backend = kind(folder)
    port = os.environ["KEYTURN_PORT"]
    environment = {"PATH": os.environ["PATH"], "KEYTURN_LIMITS__CHANGES_PER_MINUTE": "0",
                   "KEYTURN_SERVER__LISTEN": f"127.0.0.1:{port}",
                   "KEYTURN_SECRETS__MASTER_KEY_FILE": str(folder / "data" / "master.key"), **backend.environment}
    binary = os.environ["KEYTURN_BIN"]
    made = subprocess.run([binary, "init", "--json"], cwd=folder, env=environment, capture_output=True, check=True)
    made = json.loads(made.stdout)
    text = made["api_key"]["client_secret"]
    now = datetime.now(timezone.utc)
    today = int(now.timestamp()) // 86_400
    backend.fill(arguments, today)
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen([binary, "serve"], cwd=folder, env=environment, stdout=log, stderr=log)
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)

    def get(path):
        began = time.perf_counter()
        connection.request("GET", f"/api/v1/organizations/default/{path}", headers={"Authorization": f"Bearer {text}"})
        answer = connection.getresponse()
        body = answer.read()
        took = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            sys.exit(f"{path}: {answer.status} {body}")
        return took, json.loads(body)

    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                connection.request("GET", "/readyz")
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    break
            except OSError:
                connection.close()
            if time.monotonic() > deadline:
                sys.exit("the server is not ready after a minute")
            time.sleep(0.1)
        # The upkeep after the start is over by then; a connection at rest would be closed.
        connection.close()
        time.sleep(10)
        ago = lambda days: (now - timedelta(days=days)).strftime("%Y-%m-%dT00:00:00Z")
        page = get("usage?interval=day")[1]
        key = "1000000000000001"
        slowest = 0.0
        for what, path in [
            ("organization, 30 days, busiest 50", "usage?interval=day"),
            ("organization, 30 days, next page", f"usage?interval=day&cursor={page['next_cursor']}"),
            ("organization, a year", f"usage?interval=day&from={ago(arguments.days - 1)}"),
            ("organization, a month half a year ago", f"usage?interval=day&from={ago(210)}&to={ago(180)}"),
            ("organization, 24 hours", "usage"),
            ("organization, 7 days by hour", f"usage?from={ago(6)}"),
            ("organization, 90 days", f"usage?interval=day&from={ago(89)}"),
            (BEYOND, f"usage?from={ago(89)}"),
            ("one key, 24 hours", f"keys/{key}/usage"),
            ("one key, 90 days by hour", f"keys/{key}/usage?from={ago(89)}"),
            ("one key, 30 days", f"keys/{key}/usage?interval=day"),
            ("one key, a year", f"keys/{key}/usage?interval=day&from={ago(arguments.days - 1)}"),
        ]:
            first = get(path)[0]
            took = [get(path)[0] for _ in range(ROUNDS)]
            median = statistics.median(took)
            slowest = max(slowest, median if what != BEYOND else 0)
            print(f"{backend.name}: {what}: first {first:.1f} ms, then median {median:.1f} ms, longest of {ROUNDS} "
                  f"{max(took):.1f} ms", flush=True)
        slowest = max(slowest, measure_console(backend.name, int(port), made["console"]))
        pages = []
        for order in ["created_at", "name", "expires_at", "last_used_at"]:
            for direction in ["", "-"]:
                for chosen in LIST_FILTERS:
                    path = f"keys?sort={direction}{order}&limit=50&{chosen}"
                    get(path)
                    pages.append((statistics.median(get(path)[0] for _ in range(5)), path))
        worst, path = max(pages)
        slowest = max(slowest, worst)
        print(f"{backend.name}: {len(pages)} pages of 50 keys, in every order and under every filter: median "
              f"{statistics.median(took for took, _ in pages):.1f} ms, slowest {worst:.1f} ms ({path})", flush=True)
        # Nothing was counted meanwhile, so what every key had been used up to now was read once. Where something is:
        took = []
        for _ in range(ROUNDS_OF_USE):
            counted = get("usage?interval=day&limit=1")[1]["totals"]
            connection.request("POST", "/oauth/token", "grant_type=client_credentials",
                               {"X-Api-Key": text, "Content-Type": "application/x-www-form-urlencoded"})
            answer = connection.getresponse()
            if answer.read() and answer.status != 200:
                sys.exit(f"an exchange returned {answer.status}")
            # Counts are written every two seconds.
            connection.close()
            time.sleep(3)
            get("keys?limit=1")
            time_taken, found = get("usage?interval=day")
            if found["totals"]["exchanges"] != counted["exchanges"] + 1:
                sys.exit(f"{backend.name}: an exchange was not counted: {counted}, then {found['totals']}")
            took.append(time_taken)
        slowest = max(slowest, statistics.median(took))
        print(f"{backend.name}: organization, 30 days, right after something was counted: median {statistics.median(took):.1f} "
              f"ms, longest of {ROUNDS_OF_USE} {max(took):.1f} ms", flush=True)
        top = page["items"][0]["totals"]
        want = max(sum((n * 7 + d * 13) % 97 + 5 for d in range(today - 29, today + 1) if (n + d) % arguments.every == 0)
                   for n in range(1, arguments.keys + 1))
        if top["exchanges"] + top["verifications"] != want:
            sys.exit(f"{backend.name}: the busiest key has {top}, and {want} uses are expected")
        return slowest
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--slack", type=float, default=1.0)
    arguments = parser.parse_args()
    slowest = max(measure(kind, arguments) for kind in (Sqlite, Postgres))
    if slowest > LIMIT_MS * arguments.slack:
        sys.exit(f"the slowest reading took {slowest:.1f} ms, and {LIMIT_MS * arguments.slack:.0f} ms are allowed")
    print(f"ok usage-scale: every reading under {LIMIT_MS * arguments.slack:.0f} ms")


if __name__ == "__main__":
    main()
