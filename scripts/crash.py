#!/usr/bin/env python3
"""Kills the server in the middle of changes and checks what it kept. Started by scripts/crash; see there.

A cycle: start the server, check what the cycle before left, let a few threads create, rotate, revoke, disable and
enable keys through the management API, and send SIGKILL after 50 to 1500 ms. Some cycles are also killed while
the server is still starting. Every change that was acknowledged to a thread must hold from then on:

  created    the key is there with its name and scopes, and its secret gets a token
  rotated    the new secret gets a token, the old one is refused with API_KEY_INVALID
  revoked    the secret is refused with API_KEY_INVALID
  disabled   the secret is refused with API_KEY_DISABLED
  enabled    the secret gets a token again
  and access tokens from before a rotation, a revocation or a disabling introspect as inactive, for ever

A change that was under way at the kill may have happened or not, but all of it or nothing. A thread changes only
keys of its own, so what a key must be is known exactly. SIGKILL leaves the operating system's cache alone: this
is about what the program promises before it has written, not about power cuts.
"""

import argparse
import base64
import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.parse

KEYS = "/api/v1/organizations/default/keys"
SCOPES = [{"action": "read", "resource": "projects/acme/*"}]
KINDS = ("create", "rotate", "revoke", "disable", "enable")
AFTER = {"create": "active", "rotate": "active", "revoke": "revoked", "disable": "disabled", "enable": "active"}
OLDER_KEYS_CHECKED = 40  # in each cycle, beside every key that the cycle touched
KEYS_CHECKED_AT_THE_END = 3000
SPRINT = 0.03  # seconds without pauses before a kill, so that it falls into as many changes as there are threads
GONE = (OSError, http.client.HTTPException)  # the connection broke: the answer is not known


class Stop(Exception):
    """The run cannot go on."""


class Key:
    """The expected state of one key, from the acknowledged changes."""

    def __init__(self, name):
        self.name = name
        self.id = None  # not known before the creation is acknowledged
        self.text = None
        self.status = None
        self.old_texts = []
        self.tokens = []  # alive
        self.dead_tokens = []
        self.pending = None  # the kind of change whose answer did not come
        self.before = None  # what the server said of the secret before a rotation
        self.faulty = False  # was in a violation: one report is enough

    def happened(self, kind, text=None):
        if kind in ("rotate", "revoke", "disable"):
            self.dead_tokens += self.tokens
            self.tokens = []
        if kind == "rotate":
            self.old_texts.append(self.text)
        if kind in ("create", "rotate"):
            self.text = text
        self.status = AFTER[kind]
        self.pending = None

    def __str__(self):
        return f"key {self.id or '(id unknown)'} ({self.name})"


class Server:
    def __init__(self, binary, folder, port):
        self.binary = binary
        self.folder = folder
        self.port = port
        self.database = folder / "keyturn.db"
        self.log = folder / "serve.log"
        self.process = None
        self.environment = os.environ | {
            "KEYTURN_SERVER__LISTEN": f"127.0.0.1:{port}",
            "KEYTURN_STORE__URL": f"sqlite://{self.database}",
            "KEYTURN_SECRETS__MASTER_KEY_FILE": str(folder / "master.key"),
            "KEYTURN_LIMITS__CHANGES_PER_MINUTE": "0",
        }

    def init(self):
        done = subprocess.run(
            [self.binary, "init", "--json"],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )
        if done.returncode:
            raise Stop(f"keyturn init --json left with {done.returncode}: {done.stderr or done.stdout}")
        return json.loads(done.stdout)["api_key"]

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve"],
                cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )

    def wait_ready(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Stop(f"the server left by itself with {self.process.returncode}")
            try:
                if self.call("GET", "/readyz")[0] == 200:
                    return
            except GONE:
                pass
            time.sleep(0.02)
        raise Stop("the server was not ready within 60 s of its start")

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            return None

    def call(self, method, path, headers=None, body=None, source="127.0.0.1"):
        """One request on a connection of its own, so that a broken one is always about this request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20, source_address=(source, 0))
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, (json.loads(text) if text.strip() else {}), answer.headers
        except ValueError as error:
            raise http.client.HTTPException(f"{method} {path}: not JSON") from error
        finally:
            connection.close()

    def tail(self):
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-20:])


class Api:
    """The calls, with the first key's credentials."""

    def __init__(self, server, first):
        self.server = server
        self.headers = {"X-Api-Key": first["client_secret"], "Content-Type": "application/json"}
        pair = f"{first['client_id']}:{first['client_secret']}".encode()
        self.basic = {"Authorization": "Basic " + base64.b64encode(pair).decode()}
        self.can_introspect = False

    def change(self, kind, key):
        """Sends a change: (acknowledged, answer), acknowledged None when it is not known. Refused: not sent at all."""
        path, body = f"{KEYS}/{key.id}/{kind}", {}
        if kind == "create":
            path, body = KEYS, {"name": key.name, "scopes": SCOPES}
        try:
            status, answer, _ = self.server.call("POST", path, self.headers, json.dumps(body))
        except ConnectionRefusedError:
            raise
        except GONE:
            return None, None
        if 200 <= status < 300:
            return True, answer
        if status == 503:
            return None, None
        return False, f"{status} {json.dumps(answer)[:200]}"

    def patient(self, *call, **more):
        """A call that must be decided in the end: busy and limited answers are waited out."""
        deadline = time.monotonic() + 60
        while True:
            try:
                status, answer, headers = self.server.call(*call, **more)
            except GONE as error:
                if self.server.process.poll() is not None:
                    raise Stop(f"the server left by itself with {self.server.process.returncode}") from error
                status, answer, headers = 0, {"code": repr(error)}, {}
            if status not in (0, 429, 503) or time.monotonic() > deadline:
                return status, answer
            try:
                pause = int(headers.get("Retry-After", ""))
            except ValueError:
                pause = 0.2
            time.sleep(min(pause, 5))

    def view(self, key):
        return self.patient("GET", f"{KEYS}/{key.id}", self.headers)

    def search(self, name):
        status, answer = self.patient("GET", f"{KEYS}?search={urllib.parse.quote(name)}", self.headers)
        if status != 200:
            raise Stop(f"searching keys returned {status} {answer}")
        return [item for item in answer["items"] if item["name"] == name]

    def all_ids(self):
        ids, cursor = set(), None
        while True:
            query = {"limit": 100} | ({"cursor": cursor} if cursor else {})
            status, answer = self.patient("GET", f"{KEYS}?{urllib.parse.urlencode(query)}", self.headers)
            if status != 200:
                raise Stop(f"listing keys returned {status} {answer}")
            ids |= {item["id"] for item in answer["items"]}
            cursor = answer.get("next_cursor")
            if not cursor:
                return ids

    def exchange(self, text):
        """('token', token) or (status, code)."""
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_secret": text})
        status, answer = self.patient("POST", "/oauth/token", FORM, form, source=any_loopback())
        if status == 200:
            return "token", answer["access_token"]
        return status, answer.get("code")

    def is_dead(self, token):
        form = urllib.parse.urlencode({"token": token})
        status, answer = self.patient("POST", "/oauth/introspect", FORM | self.basic, form)
        return status == 200 and answer == {"active": False}

    def look_for_introspection(self):
        status, answer = self.patient("GET", "/.well-known/oauth-authorization-server")
        self.can_introspect = status == 200 and "introspection_endpoint" in answer


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
EXPECTED = {"active": ("token",), "disabled": (403, "API_KEY_DISABLED"), "revoked": (401, "API_KEY_INVALID")}


def any_loopback():
    """Failures are limited by address, and checking refusals makes many: each comes from another one."""
    return f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"


class Worker(threading.Thread):
    """Changes its own keys, as fast as the pace allows, until the server is gone."""

    def __init__(self, run, cycle, number):
        super().__init__(daemon=True)
        self.run_state = run
        self.api = run.api
        self.random = random.Random(f"{run.seed}/{cycle}/{number}")
        self.prefix = f"crash-{cycle}-{number}-"
        self.keys = run.keys_of[number]
        self.touched = []
        self.pause = 0.008
        self.stop = threading.Event()

    def run(self):
        try:
            self.change_until_stopped()
        except Exception as error:  # an answer of an unexpected shape must not end in silence
            self.run_state.violation(f"an answer could not be read: {error!r}")

    def change_until_stopped(self):
        made = 0
        while not self.stop.is_set():
            kind, key = self.pick(made)
            try:
                self.prepare(kind, key)
                acknowledged, answer = self.api.change(kind, key)
            except GONE:
                return  # nothing was sent that changes anything
            if acknowledged is False:
                if answer.startswith("429"):
                    time.sleep(0.2)
                    continue
                self.run_state.violation(f"{kind} of {key} returned {answer}")
                return
            if kind == "create":
                made += 1
                self.keys.append(key)
            self.touched.append(key)
            if acknowledged:
                key.id = key.id or answer["id"]
                key.happened(kind, answer.get("secret"))
                self.run_state.acknowledged(kind)
            else:
                key.pending = kind
            self.stop.wait(self.random.expovariate(1) * self.pause)

    def pick(self, made):
        settled = [key for key in self.keys if key.status in ("active", "disabled") and not (key.pending or key.faulty)]
        if len(settled) < 3 or self.random.random() < 0.35:
            return "create", Key(f"{self.prefix}{made}")
        key = self.random.choice(settled[-40:])
        if key.status == "disabled":
            return self.random.choices(("enable", "revoke"), (4, 1))[0], key
        return self.random.choices(("rotate", "disable", "revoke"), (5, 3, 2))[0], key

    def prepare(self, kind, key):
        if kind == "rotate":
            status, view, _ = self.api.server.call("GET", f"{KEYS}/{key.id}", self.api.headers)
            key.before = secret_marks(view) if status == 200 else None
        if self.api.can_introspect and key.status == "active" and self.random.random() < 0.3:
            form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_secret": key.text})
            status, answer, _ = self.api.server.call("POST", "/oauth/token", FORM, form, source=any_loopback())
            if status == 200:
                key.tokens.append(answer["access_token"])


def secret_marks(view):
    return view.get("rotated_at"), view.get("hint")


class Run:
    def __init__(self, options):
        self.seed = options.seed
        self.random = random.Random(options.seed)
        self.cycles = options.cycles
        self.threads = options.threads
        self.keys_of = [[] for _ in range(options.threads)]
        self.server = Server(options.binary, options.folder, options.port)
        self.api = None
        self.lock = threading.Lock()
        self.counts = dict.fromkeys(KINDS, 0)
        self.in_flight = {"happened": 0, "not happened": 0}
        self.killed_at_start = 0
        self.checks = 0
        self.integrity_checks = 0
        self.violations = []
        self.cycle = 0

    def acknowledged(self, kind):
        with self.lock:
            self.counts[kind] += 1

    def violation(self, what):
        with self.lock:
            self.violations.append(f"cycle {self.cycle}: {what}")

    def expect(self, holds, what, key=None):
        with self.lock:
            self.checks += 1
        if not holds:
            self.violation(what)
            if key:
                key.faulty = True

    def go(self):
        first = self.server.init()
        self.api = Api(self.server, first)
        touched = []
        for self.cycle in range(1, self.cycles + 1):
            self.start(may_be_killed=self.cycle > 1)
            if self.cycle == 1:
                self.api.look_for_introspection()
            self.check(touched)
            touched = self.changes_until_killed()
            self.check_database(always=self.cycle == self.cycles)
            if len(self.violations) > 50:
                raise Stop("too many violations to go on")
        self.start(may_be_killed=False)
        self.check(touched)
        self.check_everything(first["client_id"])
        left = self.server.terminate()
        self.expect(left == 0, f"SIGTERM at the end: exit code {left}, 0 was expected")

    def start(self, may_be_killed):
        if may_be_killed and self.random.random() < 0.15:
            self.server.start()
            time.sleep(self.random.uniform(0, 0.15))
            self.server.kill()
            self.killed_at_start += 1
        self.server.start()
        self.server.wait_ready()

    def changes_until_killed(self):
        workers = [Worker(self, self.cycle, number) for number in range(self.threads)]
        for worker in workers:
            worker.start()
        time.sleep(self.random.uniform(0.05, 1.5) - SPRINT)
        for worker in workers:
            worker.pause = 0
        time.sleep(SPRINT)
        if self.server.process.poll() is not None:
            raise Stop(f"the server left by itself with {self.server.process.returncode}")
        self.server.kill()
        for worker in workers:
            worker.stop.set()
        for worker in workers:
            worker.join(timeout=30)
        return list(dict.fromkeys(key for worker in workers for key in worker.touched))

    def check(self, touched):
        older = [key for keys in self.keys_of for key in keys if key.id and not key.faulty]
        older = self.random.sample(older, min(OLDER_KEYS_CHECKED, len(older)))
        self.in_parallel(self.settle_and_check, list(dict.fromkeys(touched + older)))
        for keys in self.keys_of:  # a creation that did not happen leaves nothing to know
            keys[:] = [key for key in keys if key.id]

    def check_everything(self, first_id):
        known = [key for keys in self.keys_of for key in keys]
        sample = self.random.sample(known, min(KEYS_CHECKED_AT_THE_END, len(known)))
        self.in_parallel(self.check_key, sample)
        listed, expected = self.api.all_ids(), {key.id for key in known} | {first_id}
        self.expect(not listed - expected, f"keys that nobody asked for are listed: {sorted(listed - expected)[:5]}")
        self.expect(not expected - listed, f"keys that were made are not listed: {sorted(expected - listed)[:5]}")

    def in_parallel(self, work, keys):
        with concurrent.futures.ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(work, keys))

    def settle_and_check(self, key):
        kind = key.pending
        if kind:
            happened = self.settle(key)
            if happened is None:
                key.pending, key.status, key.faulty = None, "unknown", True
                return
            with self.lock:
                self.in_flight["happened" if happened else "not happened"] += 1
        if key.id:
            self.check_key(key)

    def settle(self, key):
        """Finds out whether the change under way at the kill happened; None when it is neither."""
        kind = key.pending
        if kind == "create":
            found = self.api.search(key.name)
            if not found:
                key.pending = None
                return False
            self.expect(len(found) == 1, f"one creation of {key} made {len(found)} keys")
            key.id = found[0]["id"]
            key.happened("create")
            return self.take_over(key)
        status, view = self.api.view(key)
        if status != 200:
            self.violation(f"{key} is gone after an unacknowledged {kind}: {status} {view}")
            return None
        if kind == "rotate":
            shown, works = secret_marks(view) != key.before, self.api.exchange(key.text)[0] == "token"
            self.expect(view["status"] == "active", f"{key} is {view['status']} after an unacknowledged rotate")
            if shown == works:
                self.violation(
                    f"{key}: an unacknowledged rotate happened by half: the record says "
                    f"{'rotated' if shown else 'not rotated'}, the old secret {'works' if works else 'is refused'}"
                )
                return None
            key.pending = None
            return self.take_over(key) if shown else False
        if view["status"] not in (key.status, AFTER[kind]):
            self.violation(f"{key} was {key.status}, {kind} was under way, and it is {view['status']}")
            return None
        happened = view["status"] == AFTER[kind]
        if happened:
            key.happened(kind)
        key.pending = None
        return happened

    def take_over(self, key):
        """The secret went down with the kill: rotates to get one that is known. The change before it must be whole."""
        acknowledged, answer = self.api.change("rotate", key)
        if not acknowledged:
            self.violation(f"{key}: made or rotated by an unacknowledged change, it cannot be rotated: {answer}")
            return None
        lost = key.text is None
        key.happened("rotate", answer["secret"])
        if lost:
            key.old_texts.pop()
        self.acknowledged("rotate")
        return True

    def check_key(self, key):
        if key.faulty:
            return
        status, view = self.api.view(key)
        self.expect(status == 200, f"{key} is {key.status}, acknowledged, and gone: {status} {view}", key)
        if status != 200:
            return
        self.expect(view["status"] == key.status, f"{key} is shown as {view['status']}, acknowledged was {key.status}", key)
        self.expect(
            view["name"] == key.name and view["scopes"] == SCOPES,
            f"{key} is shown with name {view['name']!r} and scopes {view['scopes']}",
            key,
        )
        self.expect_exchange(key, key.text, EXPECTED[key.status], f"is {key.status}, acknowledged; its secret")
        for old in key.old_texts[-2:]:
            self.expect_exchange(key, old, EXPECTED["revoked"], "was rotated, acknowledged; the secret from before")
        for token in key.dead_tokens[-3:]:
            self.expect(self.api.is_dead(token), f"{key} is {key.status}; a token from before is still alive", key)

    def expect_exchange(self, key, text, expected, what):
        answer = self.api.exchange(text)
        seen = "got a token" if answer[0] == "token" else f"returned {answer[0]} {answer[1]}"
        self.expect(answer[: len(expected)] == expected, f"{key} {what} {seen}", key)

    def check_database(self, always):
        """On a copy: opening the files themselves would recover them in the server's place."""
        if not always and self.random.random() > 0.25:
            return
        copy = self.server.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for suffix in ("", "-wal"):
            source = pathlib.Path(f"{self.server.database}{suffix}")
            if source.exists():
                shutil.copy(source, copy)
        database = sqlite3.connect(copy / self.server.database.name)
        try:
            problems = [row[0] for row in database.execute("PRAGMA integrity_check")]
            self.expect(problems == ["ok"], f"PRAGMA integrity_check: {problems[:5]}")
            orphans = database.execute("PRAGMA foreign_key_check").fetchall()
            self.expect(not orphans, f"PRAGMA foreign_key_check: {orphans[:5]}")
            self.integrity_checks += 1
        finally:
            database.close()
            shutil.rmtree(copy, ignore_errors=True)

    def report(self, seconds):
        done = sum(self.counts.values())
        print(f"cycles: {self.cycle}, and {self.killed_at_start} kills during a start; seed {self.seed}; {seconds:.0f} s")
        print(f"acknowledged changes: {done} ({', '.join(f'{kind} {count}' for kind, count in self.counts.items())})")
        print(
            f"under way at a kill: {sum(self.in_flight.values())} "
            f"({', '.join(f'{what} {count}' for what, count in self.in_flight.items())})"
        )
        print(f"checks: {self.checks}, of the database file: {self.integrity_checks}")
        if self.api and not self.api.can_introspect:
            print("tokens of changed keys were not checked: the metadata names no introspection_endpoint")
        print(f"violations: {len(self.violations)}")
        for violation in self.violations[:20]:
            print(f"  {violation}")
        if self.violations:
            print(f"the same choices again (not the same moments): scripts/crash --cycles {self.cycles} --seed {self.seed}")
            print(f"the end of the server's output:\n{self.server.tail()}")
        elif done < self.cycles:
            print("fewer changes than cycles were acknowledged: this run has shown nothing")
        return not self.violations and done >= self.cycles


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def main():
    parser = argparse.ArgumentParser(prog="scripts/crash", description="kill -9 in the middle of changes")
    parser.add_argument("--cycles", type=positive, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--threads", type=positive, default=4)
    for given in ("--binary", "--folder", "--port"):  # by the wrapper
        kind = {"--folder": pathlib.Path, "--port": int}.get(given, str)
        parser.add_argument(given, type=kind, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = Run(options)
    began = time.monotonic()
    try:
        run.go()
    except Stop as reason:
        run.violation(str(reason))
    finally:
        run.server.kill()
    sys.exit(0 if run.report(time.monotonic() - began) else 1)


if __name__ == "__main__":
    main()
