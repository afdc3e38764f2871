"""What a page takes for granted: a coordinator, nodes, people, certificates. Each function gets the reader."""

import base64
import json
import os
import re
import sqlite3
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from answers import Failed, answers_dns, is_open, wait_until
from pages import File, steps
from reader import PAGES

STATE = Path("/var/lib/warren-coordinator")
UNIT = "/etc/systemd/system/warren-coordinator.service"
TRUSTED = Path("/etc/ssl/certs/ca-certificates.crt")
MIGRATIONS = Path("/opt/warren/repository/coordinator/src/store/migrations")


def nothing(_reader):
    """The page begins on an empty machine."""


def running_coordinator(reader):
    """The default: run-a-coordinator.md was followed; the service runs, with an owner and the network `default`."""
    install_unit(reader)
    reader.perform("systemctl enable --now warren-coordinator")
    reader.bash("warren-coordinator admin init")


def ready(reader):
    """There is an owner, an organization and a network."""
    reader.bash("warren-coordinator admin init")


def install_unit(reader):
    """Writes the unit of run-a-coordinator.md, as that page has it now."""
    for step in steps(PAGES / "run-a-coordinator.md"):
        if isinstance(step, File) and step.path == UNIT:
            return reader.write(step)
    raise Failed(f"run-a-coordinator.md has no {UNIT} any more")


def stopped(reader):
    """The coordinator does not run."""
    reader.end_serving()


def started(reader):
    """The service runs, and nothing else does."""
    reader.end_serving()
    reader.perform("systemctl start warren-coordinator")


def call(path, body):
    """Sends JSON to the coordinator's API; gives the answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:8080/api/v1/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        raise Failed(f"{path} answers {error.code}: {error.read().decode()}") from None


def random_key(_reader=None):
    """A WireGuard public key: any 32 bytes are one."""
    return base64.b64encode(os.urandom(32)).decode()


def verify_key(reader):
    """What relays verify tokens with."""
    return json.loads(reader.bash("warren-coordinator admin --json relay list"))["verify_key"]


def relay_key(reader):
    """What the relay said in its log when it started."""
    return re.search(r"public_key=(\S+)", reader.last_answer("warren-coordinator relay")).group(1)


def relay_unit_key(_reader):
    """What the relay's service said in its journal when it started."""
    log = Path("/run/services/warren-relay.service.log")
    said = wait_until(lambda: re.search(r"public_key=(\S+)", log.read_text()), "the relay says no key", log.read_text)
    return said.group(1)


def relay_serves(name):
    """The coordinator was let in by this relay when it asked."""

    def arrange(reader):
        relay = json.loads(reader.bash(f"warren-coordinator admin --json relay show {name}"))
        if [check["result"] for check in relay["checks"]] != ["serves"]:
            raise Failed(f"the relay does not serve: {relay}")

    return arrange


def enrolled(*names, network="default"):
    """Nodes of these names, enrolled as agents enroll."""

    def arrange(reader):
        create = f"warren-coordinator admin --json enrollment-key create --network {network} --reusable"
        key = json.loads(reader.bash(create))["key"]
        for name in names:
            call("enroll", {"enrollment_key": key, "public_key": random_key(), "name": name})

    return arrange


def routers(reader):
    """A node `office-gateway` with an agent on this machine, and a node `office-spare`."""
    running_coordinator(reader)
    enrolled("office-spare")(reader)
    joined(reader, "office-gateway", "default")


def exits(reader):
    """A node `laptop` with an agent on this machine, and a node `vps`."""
    running_coordinator(reader)
    enrolled("vps")(reader)
    joined(reader, "laptop", "default")


def exit_offered(reader):
    """The agent has heard of the exit node; this machine, which stood for it as well, is none."""
    reader.bash("warren set --advertise-exit-node false")

    def offered():
        return json.loads(reader.bash("warren status --json"))["exit_nodes"] == ["vps"]

    wait_until(offered, "no exit node", Path("/run/warren.log").read_text)


def joined(reader, name, network):
    """Makes this machine a node with an agent."""
    background("warren", "agent")
    wait_until(Path("/run/warren/warren.sock").exists, "the agent does not answer", Path("/run/warren.log").read_text)
    create = f"warren-coordinator admin --json enrollment-key create --network {network}"
    key = json.loads(reader.bash(create))["key"]
    reader.bash(f"WARREN_ENROLLMENT_KEY={key} warren join http://127.0.0.1:8080 --name {name}")


def named(reader):
    """A network `office` with this machine and a node `nas`."""
    running_coordinator(reader)
    reader.bash("warren-coordinator admin network create office")
    enrolled("nas", network="office")(reader)
    joined(reader, "desk", "office")


def resolver(reader):
    """The address that `warren status` names to ask for names."""
    def found():
        names = json.loads(reader.bash("warren status --json"))["self"]["names"] or {}
        return names.get("resolvers")

    return wait_until(found, "no resolver", Path("/run/warren.log").read_text)[0].rsplit(":", 1)[0]


def known(name):
    """The agent has heard of a node's new name."""

    def arrange(reader):
        label = name.split(".")[0]
        wait_until(lambda: label in reader.bash("warren peers --json"), f"no node {label}", Path("/run/warren.log").read_text)

    return arrange


def invited(name):
    """Somebody of this name has opened the page's link."""

    def arrange(reader):
        link = reader.last_answer("warren-coordinator admin invitation create")
        token = re.search(r"https?://\S*[/#=]([\w-]{20,})", link).group(1)
        call("invitations/accept", {"token": token, "name": name, "password": "correct horse battery staple"})

    return arrange


def older_version(reader):
    """The service has a database of the last schema but one; the new program lies in the reader's folder."""
    install_unit(reader)
    STATE.mkdir(parents=True)
    database = sqlite3.connect(STATE / "warren.db")
    earlier = sorted(MIGRATIONS.glob("*.sql"))[:-1]
    for step in earlier:
        database.executescript(step.read_text())
    application = re.search(r"PRAGMA application_id = (\d+)", Path("/opt/warren/repository/schema.sql").read_text()).group(1)
    database.executescript(f"PRAGMA application_id = {application}; PRAGMA user_version = {len(earlier)}")
    database.close()
    Path("warren-coordinator").symlink_to("/opt/warren/programs/warren-coordinator")


def copy_before_schema(_reader):
    """The number in the name of the copy that the new version made."""
    copies = sorted(STATE.glob("warren.db.before-schema-*"))
    if not copies:
        raise Failed("the new version made no copy of the old database")
    return copies[-1].name.rsplit("-", 1)[1]


def newest_backup(_reader):
    """The path of what the page's own command has backed up."""
    return str(max(Path("/backups").glob("*.db"), key=lambda path: path.stat().st_mtime))


def backup_here(name):
    """A backup of this name in the reader's folder, and the coordinator stopped."""

    def arrange(reader):
        reader.bash(f"warren-coordinator backup {name}")
        reader.end_serving()

    return arrange


def certificate(folder, chain, key, name="mesh.example.org"):
    """Writes a certificate for a name, and lets this machine trust it."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    words += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=CA:FALSE"]
    words += ["-keyout", f"{folder}/{key}", "-out", f"{folder}/{chain}"]
    subprocess.run(words, check=True, capture_output=True)
    trust(Path(f"{folder}/{chain}").read_text())


def trust(pem):
    """Adds a certificate to those that every program of this machine trusts."""
    with TRUSTED.open("a") as file:
        file.write("\n" + pem)


def authority(_reader):
    """Runs Pebble in the place of Let's Encrypt; it looks at ports 443 and 80 of mesh.example.org, as that does."""
    certificate("/run/pebble", "cert.pem", "key.pem", "localhost")
    settings = {
        "listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000", "httpPort": 80, "tlsPort": 443,
        "certificate": "/run/pebble/cert.pem", "privateKey": "/run/pebble/key.pem",
        "ocspResponderURL": "", "externalAccountBindingRequired": False,
    }
    Path("/run/pebble/config.json").write_text(json.dumps({"pebble": settings}))
    dns = "127.0.0.1:8053"
    nothing_else = [word for name in ("http01", "https01", "tlsalpn01", "defaultIPv6") for word in (f"-{name}", "")]
    background("pebble-challtestsrv", *nothing_else, "-dns01", dns, "-management", "127.0.0.1:8055")
    background("pebble", "-config", "/run/pebble/config.json", "-dnsserver", dns)
    wait_until(lambda: answers_dns(dns), "Pebble's DNS server does not answer")
    trust(wait_until(pebble_root, "Pebble does not answer"))
    wait_until(lambda: is_open(14000), "Pebble's directory does not answer")


def background(*words):
    """Starts something that ends with this machine. Pebble's variables make it neither wait nor refuse at random."""
    environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    log = open(f"/run/{words[0]}.log", "w")
    subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def pebble_root():
    """The root of what it issues, made anew at each start; None while it does not answer."""
    context = ssl.create_default_context(cafile=TRUSTED)
    try:
        with urllib.request.urlopen("https://localhost:15000/roots/0", timeout=5, context=context) as answer:
            return answer.read().decode()
    except OSError:
        return None


def service_asks_pebble(reader):
    """What `systemctl edit` would write: the service gets its certificate from Pebble."""
    authority(reader)
    folder = Path(UNIT + ".d")
    folder.mkdir(parents=True)
    lines = ["[Service]", "Environment=WARREN_ACME_DIRECTORY=https://localhost:14000/dir"]
    lines.append("Environment=WARREN_ACME_ROOTS=/run/pebble/cert.pem")
    (folder / "pebble.conf").write_text("\n".join(lines) + "\n")


def own_certificate(_reader):
    """chain.pem and key.pem in the reader's folder."""
    certificate(".", "chain.pem", "key.pem")


def oidc_secret(reader):
    """The secret of the client at the provider."""
    reader.bash("install -d -m 700 /etc/warren-coordinator && echo secret >/etc/warren-coordinator/oidc-secret")


def proxied(reader):
    """An organization, certificates where certbot puts them, and Pebble for Caddy."""
    reader.bash("warren-coordinator admin init")
    certificate("/etc/letsencrypt/live/mesh.example.org", "fullchain.pem", "privkey.pem")
    authority(reader)


def caddy(reader, path):
    """Starts Caddy with the page's file; all that is added is which authority it asks."""
    asks = Path(path.parent / "with-pebble")
    asks.write_text("{\n    acme_ca https://localhost:14000/dir\n}\n" + f"import {path}\n")
    reader.bash(f"caddy start --adapter caddyfile --config {asks} >/run/caddy.log 2>&1")
    words = ["curl", "-s", "--max-time", "2", "-o", "/dev/null", "https://mesh.example.org/healthz"]
    log = Path("/run/caddy.log").read_text
    wait_until(lambda: subprocess.run(words).returncode == 0, "Caddy has no certificate", log)
