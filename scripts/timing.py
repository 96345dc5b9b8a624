"""Measures whether response times distinguish an unknown ID, a wrong or previous secret, and a revoked key.

Usage: scripts/timing [--samples N]

Each kind is sent in turn over kept-alive connections, in random order, and timed. For each pair of kinds two
tests are made on the same samples, after the slowest tenth (scheduling noise) is cut at a common threshold:
Welch's t-test of the means, and the difference of medians beside its bootstrap error. A pair is distinguishable
if the means differ with |t| > 4.5, the threshold of leakage assessment (TVLA), and the medians by more
than half a microsecond.
"""

import argparse
import http.client
import json
import math
import os
import random
import statistics
import sys
import time
import zlib

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def key_text(rng, key_id=None):
    key_id = key_id or "".join(rng.choices(ALPHABET, k=16))
    body = f"kt_{key_id}_{''.join(rng.choices(ALPHABET, k=43))}"
    number, digits = zlib.crc32(body.encode()), []
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return body + "".join(reversed(digits))


class Client:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def call(self, method, path, key, body=None):
        headers = {"X-Api-Key": key, "Content-Type": "application/json"}
        self.connection.request(method, path, json.dumps(body or {}), headers)
        answer = self.connection.getresponse()
        return json.loads(answer.read())

    def exchange(self, key):
        body = f"grant_type=client_credentials&client_secret={key}"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        begun = time.perf_counter_ns()
        self.connection.request("POST", "/oauth/token", body, headers)
        answer = self.connection.getresponse()
        payload = answer.read()
        return time.perf_counter_ns() - begun, answer.status, payload


def welch(a, b):
    spread = statistics.variance(a) / len(a) + statistics.variance(b) / len(b)
    return (statistics.fmean(a) - statistics.fmean(b)) / math.sqrt(spread)


def median_error(rng, sample, rounds=50):
    medians = [statistics.median(rng.choices(sample, k=min(len(sample), 5000))) for _ in range(rounds)]
    return statistics.stdev(medians) * math.sqrt(min(len(sample), 5000) / len(sample))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    port, first = int(os.environ["KEYTURN_PORT"]), os.environ["KEYTURN_FIRST_KEY"]
    client = Client(port)
    keys = "/api/v1/organizations/default/keys"
    make = lambda: client.call("POST", keys, first, {"scopes": [{"action": "read", "resource": "a"}]})
    wrong, rotated, revoked = make(), make(), make()
    client.call("POST", f"{keys}/{rotated['id']}/rotate", first)
    client.call("POST", f"{keys}/{revoked['id']}/revoke", first)
    kinds = {
        "unknown id": key_text(rng),
        "wrong secret": key_text(rng, wrong["id"]),
        "rotated out": rotated["secret"],
        "revoked": revoked["secret"],
    }
    times = {kind: [] for kind in kinds}
    answers = set()
    names = list(kinds)
    for _ in range(500):
        for kind in names:
            client.exchange(kinds[kind])
    for _ in range(arguments.samples):
        rng.shuffle(names)
        for kind in names:
            elapsed, status, payload = client.exchange(kinds[kind])
            times[kind].append(elapsed / 1000)
            answers.add((status, payload))
    if len(answers) != 1 or next(iter(answers))[0] != 401:
        sys.exit(f"timing: the answers differ: {answers}")
    everything = sorted(sample for samples in times.values() for sample in samples)
    threshold = everything[len(everything) * 9 // 10]
    kept = {kind: [sample for sample in samples if sample <= threshold] for kind, samples in times.items()}
    print(f"{arguments.samples} samples of each kind; microseconds, the slowest tenth cut at {threshold:.1f}")
    for kind, samples in kept.items():
        print(f"  {kind:14} kept {len(samples):7}  mean {statistics.fmean(samples):8.3f}  median {statistics.median(samples):8.3f}")
    apart = False
    for place, one in enumerate(kept):
        for other in list(kept)[place + 1 :]:
            t = welch(kept[one], kept[other])
            gap = statistics.median(kept[one]) - statistics.median(kept[other])
            error = math.hypot(median_error(rng, kept[one]), median_error(rng, kept[other]))
            told = abs(t) > 4.5 and abs(gap) > 0.5
            apart |= told
            print(f"  {one:12} / {other:12}  t {t:7.2f}  medians apart {gap:7.3f} +- {error:.3f} us  {'TOLD APART' if told else 'same'}")
    if apart:
        sys.exit("timing: a stranger can tell some of them apart")


main()
