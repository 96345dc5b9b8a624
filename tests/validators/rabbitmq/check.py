"""Starts RabbitMQ with its plugin for OAuth 2.0, once for each style, and connects with tokens as passwords.

    check.py FOLDER HOME

FOLDER has what setup.py wrote; the brokers write to HOME alone. VALIDATORS_AS is the command that takes away privileges.
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

import pika
from pika.exceptions import AMQPConnectionError, ChannelClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError

folder, home = map(pathlib.Path, sys.argv[1:])
server = max(pathlib.Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
unprivileged = shlex.split(os.environ.get("VALIDATORS_AS", ""))
configurations = json.loads((folder / "rabbitmq.json").read_text())
rows = json.loads((folder / "rabbitmq.cells.json").read_text())
ports = iter(os.environ["VALIDATORS_SPARE_PORTS"].split())
processes = []
failures = 0

DEFINITIONS = {
    "vhosts": [{"name": "jobs"}, {"name": "/"}],
    "queues": [
        {"name": name, "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}}
        for name in ("jobs-1", "other")
    ],
}


def start(command, log, environment):
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [*unprivileged, *command],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            cwd=home,
        )
    processes.append(process)
    return process


def start_broker(name, audience, jwks, port, environment):
    place = home / name
    place.mkdir()
    (place / "plugins").write_text("[rabbitmq_auth_backend_oauth2].\n")
    (place / "definitions.json").write_text(json.dumps(DEFINITIONS))
    (place / "rabbitmq.conf").write_text(
        "auth_backends.1 = rabbit_auth_backend_oauth2\n"
        f"listeners.tcp.1 = 127.0.0.1:{port}\n"
        f"load_definitions = {place}/definitions.json\n"
    )
    # rabbitmq.conf accepts HTTPS alone, which a JWKS on loopback does not need.
    (place / "advanced.config").write_text(
        f'[{{rabbitmq_auth_backend_oauth2, [{{resource_server_id, <<"{audience}">>}},'
        f' {{key_config, [{{jwks_url, "{jwks}"}}]}}]}}].\n'
    )
    if unprivileged:
        subprocess.run(["chown", "-R", "65534:65534", home], check=True)
    more = {
        "RABBITMQ_NODENAME": f"{name}@localhost",
        "RABBITMQ_DIST_PORT": next(ports),
        "RABBITMQ_MNESIA_BASE": f"{place}/data",
        "RABBITMQ_LOG_BASE": f"{place}/log",
        "RABBITMQ_CONFIG_FILE": f"{place}/rabbitmq.conf",
        "RABBITMQ_ADVANCED_CONFIG_FILE": f"{place}/advanced.config",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{place}/plugins",
        "RABBITMQ_CONF_ENV_FILE": f"{place}/none",
        "RABBITMQ_PID_FILE": f"{place}/pid",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}",
    }
    return start([str(server)], place / "output", {**environment, **more})


def wait(port, process, log, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"no broker on port {port}:\n{log.read_text()[-3000:]}")


def connect(port, host, token):
    credentials = pika.PlainCredentials("token", token)
    parameters = pika.ConnectionParameters("127.0.0.1", port, host, credentials, socket_timeout=20)
    return pika.BlockingConnection(parameters)


def status_of(work, port, host, token):
    """The status that an HTTP API would have: 401 if the token is not accepted, 403 if it does not allow the work."""
    try:
        connection = connect(port, host, token)
    except (ProbableAuthenticationError, ProbableAccessDeniedError):
        return 401
    try:
        work(connection.channel())
        return 200
    except ChannelClosedByBroker as error:
        return error.reply_code
    finally:
        connection.close()


def send_and_receive(channel):
    channel.queue_declare("letters")
    channel.basic_publish("", "letters", b"hello")
    deadline = time.monotonic() + 10
    while channel.basic_get("letters", auto_ack=True)[2] != b"hello":
        if time.monotonic() > deadline:
            raise TimeoutError("the message did not arrive")


def jobs_only(port, token):
    return {name: status_of(lambda channel: channel.basic_get(name), port, "/", token) for name in ("jobs-1", "other")}


def check(what, found, expected):
    global failures
    failures += found != expected
    print(f"{'ok' if found == expected else 'FAILED'} rabbitmq, {what}: {found}, expected {expected}", flush=True)


def main():
    home.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "ERL_EPMD_PORT": next(ports),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "LANG": "C.UTF-8",
    }
    if unprivileged:
        os.chown(home, 65534, 65534)
    start(["epmd"], home.parent / "epmd.log", environment)
    brokers = [
        (row, one, start_broker(row["style"], one["audience"], one["jwks"], one["port"], environment))
        for row, one in zip(rows, configurations)
    ]
    for row, one, process in brokers:
        wait(one["port"], process, home / row["style"] / "output")
        for what, token, expected in row["cells"]:
            if expected == "jobs only":
                check(f"{row['style']}, {what}", jobs_only(one["port"], token), {"jobs-1": 200, "other": 403})
            else:
                found = status_of(send_and_receive, one["port"], "jobs", token)
                check(f"{row['style']}, {what}", found, expected)
    return failures > 0


try:
    sys.exit(main())
except AMQPConnectionError as error:
    sys.exit(f"FAILED rabbitmq: {error!r}")
finally:
    for process in processes:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
