"""Starts a Kafka broker with a listener for each style, and connects with librdkafka's method OIDC, which gets tokens by itself.

    check.py FOLDER PROGRAM HOME

FOLDER has what setup.py wrote, PROGRAM/jars the broker; it writes to HOME alone. Kafka authorizes principals by its own lists and
compares no scopes, so the cells are those of the audience.
"""

import json
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import time
import uuid

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

folder, program, home = map(pathlib.Path, sys.argv[1:])
issuer = os.environ["VALIDATORS_ISSUER"]
key = json.loads((folder / "key.json").read_text())
configurations = json.loads((folder / "kafka.json").read_text())
rows = json.loads((folder / "kafka.cells.json").read_text())
unprivileged = shlex.split(os.environ.get("VALIDATORS_AS", ""))
failures = 0


def properties():
    *_, internal, controller = os.environ["VALIDATORS_SPARE_PORTS"].split()
    listeners = {row["style"].upper(): one for row, one in zip(rows, configurations)}
    addresses = {**{name: one["port"] for name, one in listeners.items()}, "INTERNAL": internal}
    protocols = {**dict.fromkeys(listeners, "SASL_PLAINTEXT"), "INTERNAL": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
    yield "process.roles", "broker,controller"
    yield "node.id", "1"
    yield "controller.quorum.voters", f"1@127.0.0.1:{controller}"
    yield "controller.listener.names", "CONTROLLER"
    yield "inter.broker.listener.name", "INTERNAL"
    yield "listeners", ",".join(
        f"{name}://127.0.0.1:{port}" for name, port in {**addresses, "CONTROLLER": controller}.items()
    )
    yield "listener.security.protocol.map", ",".join(f"{name}:{protocol}" for name, protocol in protocols.items())
    yield "sasl.enabled.mechanisms", "OAUTHBEARER"
    yield "log.dirs", f"{home}/data"
    yield "offsets.topic.replication.factor", "1"
    yield "group.initial.rebalance.delay.ms", "0"
    oauth = "org.apache.kafka.common.security.oauthbearer"
    for name, one in listeners.items():
        prefix = f"listener.name.{name.lower()}.oauthbearer.sasl"
        yield f"{prefix}.server.callback.handler.class", f"{oauth}.OAuthBearerValidatorCallbackHandler"
        yield f"{prefix}.jaas.config", f"{oauth}.OAuthBearerLoginModule required;"
        yield f"{prefix}.oauthbearer.jwks.endpoint.url", one["jwks"]
        yield f"{prefix}.oauthbearer.expected.audience", one["audience"]
        yield f"{prefix}.oauthbearer.expected.issuer", one["issuer"]


def java(main, *arguments):
    allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={configurations[0]['jwks']}"
    options = ["-Xmx512m", "-XX:TieredStopAtLevel=1", allowed, "-cp", f"{program}/jars/*"]
    return [*unprivileged, "java", *options, main, *map(str, arguments)]


def start():
    home.mkdir()
    (home / "server.properties").write_text("".join(f"{name}={value}\n" for name, value in properties()))
    if unprivileged:
        subprocess.run(["chown", "-R", "65534:65534", home], check=True)
    cluster = uuid.uuid4().hex[:22]
    common = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "cwd": home}
    formatting = java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", home / "server.properties")
    subprocess.run(formatting, check=True, stdout=subprocess.DEVNULL, **common)
    with open(home / "output", "wb") as log:
        return subprocess.Popen(
            java("kafka.Kafka", home / "server.properties"), stdout=log, start_new_session=True, **common
        )


def wait(process, seconds=90):
    deadline = time.monotonic() + seconds
    waiting = [one["port"] for one in configurations]
    while waiting and time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", waiting[0]), timeout=1).close()
            waiting.pop(0)
        except OSError:
            time.sleep(0.1)
    if waiting:
        sys.exit(f"Kafka does not listen:\n{(home / 'output').read_text()[-3000:]}")


class Client:
    """The settings of a client, and the first error of authentication that it reports."""

    def __init__(self, port, scope):
        self.failed = None
        self.settings = {
            "bootstrap.servers": f"127.0.0.1:{port}",
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.client.id": key["id"],
            "sasl.oauthbearer.client.secret": key["secret"],
            "sasl.oauthbearer.token.endpoint.url": f"{issuer}/oauth/token",
            "sasl.oauthbearer.scope": scope,
            "error_cb": self.note,
            "log_level": 0,
        }

    def note(self, error):
        if error.code() == KafkaError._AUTHENTICATION:
            self.failed = self.failed or error

    def status(self, topic):
        """401 if the broker does not accept the token; 200 if a message can be sent and received."""
        admin = AdminClient(self.settings)
        deadline = time.monotonic() + 30
        is_listed = False
        while not is_listed and self.failed is None:
            try:
                admin.list_topics(timeout=1)
                is_listed = True
            except KafkaException:
                admin.poll(0)  # calls note
                if time.monotonic() > deadline:
                    raise
        if not is_listed:
            return 401
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)
        producer = Producer(self.settings)
        producer.produce(topic, b"hello")
        if producer.flush(20):
            raise TimeoutError("the message was not sent")
        consumer = Consumer({**self.settings, "group.id": topic, "auto.offset.reset": "earliest"})
        consumer.subscribe([topic])
        message = None
        while message is None and time.monotonic() < deadline + 30:
            message = consumer.poll(1)
        consumer.close()
        return 200 if message is not None and message.value() == b"hello" else 500


def check(what, found, expected):
    global failures
    failures += found != expected
    print(f"{'ok' if found == expected else 'FAILED'} kafka, {what}: {found}, expected {expected}", flush=True)


broker = start()
try:
    wait(broker)
    for row, one in zip(rows, configurations):
        check(f"{row['style']}, the right audience", Client(one["port"], one["scope"]).status(row["style"]), 200)
        for other in configurations:
            if other is not one:
                found = Client(one["port"], other["scope"]).status("none")
                check(f"{row['style']}, the audience {other['audience']}", found, 401)
    sys.exit(failures > 0)
finally:
    if failures:
        print((home / "output").read_text()[-3000:])
    os.killpg(broker.pid, signal.SIGKILL)
