"""Waits until what serves answers: by what it says in its log about where, and then by asking it."""

import os
import re
import socket
import subprocess
import time


class Failed(Exception):
    """What went wrong, in words for whoever reads the page."""


# For what takes a second on an idle machine, such as a certificate.
WAIT_S = 20
SERVES_AT = re.compile(r"the coordinator answers .*listen=\[([^\],]+)")
RELAYS_AT = re.compile(r"relay and STUN answer .*addresses=\[([^\]]+)\]")
# RFC 8489: a binding request, no attributes, the magic cookie.
BINDING_REQUEST = b"\x00\x01\x00\x00\x21\x12\xa4\x42"


def wait_until(condition, what, log=lambda: ""):
    """Gives the first value of the condition that is true; fails with the log's end after WAIT_S."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise Failed(f"{what} within {WAIT_S} s; its log ends with:\n" + "\n".join(log().splitlines()[-8:]))


def logged(pattern, log, is_alive):
    """Where it answers, from its log; at once an error where it ends before."""
    def found():
        if not is_alive():
            raise Failed("it ended: " + log().strip())
        return pattern.search(log())

    return wait_until(found, "it does not say that it answers", log).group(1)


def healthz(address):
    """Whether /healthz answers 200 there, by TLS or without; whose the certificate is only the page's own commands ask."""
    host, port = address.replace("0.0.0.0", "127.0.0.1").rsplit(":", 1)
    for scheme in ("http", "https"):
        words = ["curl", "-ks", "--max-time", "2", "-o", "/dev/null", "-w", "%{http_code}"]
        words += ["--resolve", f"mesh.example.org:{port}:{host}", f"{scheme}://mesh.example.org:{port}/healthz"]
        if subprocess.run(words, capture_output=True, text=True).stdout == "200":
            return True
    return False


def wait_for_serve(log, is_alive):
    address = logged(SERVES_AT, log, is_alive)
    wait_until(lambda: healthz(address), f"/healthz does not answer at {address}", log)


def is_open(port):
    """Whether a TCP port of loopback takes connections."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def answers_dns(address):
    """Whether a DNS server answers a question for an address of mesh.example.org."""
    host, port = address.rsplit(":", 1)
    name = b"".join(bytes([len(label)]) + label for label in (b"mesh", b"example", b"org"))
    question = os.urandom(2) + b"\x01\x00\x00\x01" + bytes(6) + name + b"\0\x00\x01\x00\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.connect((host, int(port)))
        try:
            client.send(question)
            return client.recv(512)[:2] == question[:2]
        except OSError:
            return False


def answers_stun(address):
    host, port = address.replace("0.0.0.0", "127.0.0.1").rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        transaction = os.urandom(12)
        client.sendto(BINDING_REQUEST + transaction, (host, int(port)))
        try:
            return client.recv(1500)[8:20] == transaction
        except OSError:
            return False


def wait_for_relay(log, is_alive):
    for address in logged(RELAYS_AT, log, is_alive).split(", "):
        wait_until(lambda address=address: answers_stun(address), f"no STUN answer from {address}", log)
