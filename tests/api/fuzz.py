"""Throws bodies and parameters of every shape, most of them wrong, at every call of the API, by its own description.

Usage: fuzz.py COORDINATOR [EXAMPLES]. Schemathesis makes them from docs/reference/openapi.json. No answer may be a server error, and
each must be one that the description has. Prints what each call answered; fails where a call was never reached, because then its
handler was not tested.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Loaded by Schemathesis in its own process. Limits of the rate are per client address, so each request comes from another one.
HOOKS = '''
import collections, json, os, random
import schemathesis

chance = random.Random(1)
answers = collections.defaultdict(collections.Counter)

@schemathesis.hook
def before_call(context, case, kwargs):
    case.headers["X-Forwarded-For"] = ".".join(str(chance.randrange(1, 255)) for _ in range(4))

@schemathesis.hook
def after_call(context, case, response):
    label = f"{case.operation.method.upper()} {case.operation.path}"
    answers[label][str(response.status_code)] += 1
    with open(os.environ["ANSWERS"], "w") as file:
        json.dump(answers, file)
'''


def admin(coordinator, directory, *words):
    command = [coordinator, "admin", "--data-dir", directory, "--json", *words]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def start(coordinator, directory):
    """Starts it on a free port of loopback; gives the process and its URL."""
    command = [coordinator, "serve", "--data-dir", directory, "--listen", "127.0.0.1:0", "--stun", "127.0.0.1:0"]
    command += ["--log-format", "json", "--trusted-proxy", "127.0.0.1/32"]
    log = open(Path(directory) / "serve.log", "w+")
    process = subprocess.Popen(command, stderr=log)
    for _ in range(200):
        for line in (Path(directory) / "serve.log").read_text().splitlines():
            event = json.loads(line)
            if event.get("message") == "the coordinator answers":
                return process, "http://" + event["listen"].strip("[]")
        time.sleep(0.05)
    process.kill()
    raise SystemExit("the coordinator does not answer")


def known_ids(coordinator, directory):
    """Something real for each parameter, so that calls get past "not found"."""
    key = "mPzsGAW9M9WZmgNb0Sn4nIdc+uWqAYZaaHRTYJpFPnA="
    plain = ["--name", "printer", "--public-key", key, "--endpoint", "198.51.100.4:51820"]
    admin(coordinator, directory, "node", "add", "--network", "default", *plain)
    admin(coordinator, directory, "access-rule", "create", "--network", "default", "allow")
    admin(coordinator, directory, "enrollment-key", "create", "--network", "default")
    admin(coordinator, directory, "invitation", "create", "--public-url", "https://mesh.example")
    relay = ["--name", "par1", "--public-key", key, "--address", "198.51.100.9:3478"]
    admin(coordinator, directory, "relay", "add", *relay)
    admin(coordinator, directory, "stun", "add", "--name", "ams1", "--address", "198.51.100.9:3479")
    database = sqlite3.connect(Path(directory) / "warren.db")
    # Who looks at them has the coordinator ask them: nothing leaves this machine.
    database.execute("""UPDATE relays SET addresses = '["127.0.0.1:9"]'""")
    database.execute("UPDATE stun_servers SET address = '127.0.0.1:9'")
    database.commit()
    tables = {
        "organization": "organizations", "network": "networks", "node": "nodes", "rule": "access_rules",
        "key": "enrollment_keys", "invitation": "invitations", "member": "people", "relay": "relays", "server": "stun_servers",
    }
    first = lambda table: database.execute(f"SELECT id FROM {table} ORDER BY created_at").fetchone()[0]
    return {f"path.{name}": first(table) for name, table in tables.items()}


def description(path):
    """Ours, but that only API tokens prove who calls: Schemathesis would make up cookies beside them."""
    api = json.loads((ROOT / "docs/reference/openapi.json").read_text())
    del api["components"]["securitySchemes"]["session"]
    api["security"] = [{"api_token": []}]
    path.write_text(json.dumps(api))
    return api


# It may revoke the very token that all calls come with: it has a run of its own.
SUICIDAL = "DELETE /api/v1/organizations/{organization}/api-tokens/{token}"


def run(coordinator, examples, which):
    """Plays calls against a fresh coordinator; gives the exit code, the description and what was answered."""
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        data = str(place / "data")
        admin(coordinator, data, "init")
        token = admin(coordinator, data, "api-token", "create", "--description", "fuzz", "--role", "owner")["token"]
        ids = known_ids(coordinator, data)
        api = description(place / "openapi.json")
        config = "[parameters]\n" + "".join(f'"{name}" = "{value}"\n' for name, value in ids.items())
        (place / "schemathesis.toml").write_text(config)
        (place / "hooks.py").write_text(HOOKS)
        process, url = start(coordinator, data)
        try:
            command = [Path(sys.executable).with_name("schemathesis"), "--config-file", place / "schemathesis.toml", "run"]
            command += [place / "openapi.json", "--url", url, "--header", f"Authorization: Bearer {token}"]
            command += ["--phases", "coverage,fuzzing", "--mode", "all", "--max-examples", str(examples), "--seed", "1"]
            checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
            command += [*which, "--checks", checks, "--continue-on-failure", "--warnings", "off", "--no-color"]
            environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(place), "ANSWERS": str(place / "answers")}
            result = subprocess.run([str(word) for word in command], cwd=place, env=environment)
            with urllib.request.urlopen(url + "/healthz", timeout=10) as health:
                assert health.status == 200
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
        answers = {label: Counter(counts) for label, counts in json.loads((place / "answers").read_text()).items()}
        return result.returncode, api, answers


def main():
    coordinator, examples = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 30
    code, api, answers = run(coordinator, examples, ["--exclude-name", SUICIDAL])
    other, _, last = run(coordinator, examples, ["--include-name", SUICIDAL])
    code, answers = code or other, answers | last
    calls = [f"{method.upper()} {path}" for path, item in api["paths"].items() for method in item if method != "parameters"]
    unreached = []
    for call in calls:
        counts = answers.get(call, Counter())
        print(f"{sum(counts.values()):6} {call}: " + ", ".join(f"{status} x {count}" for status, count in sorted(counts.items())))
        if not set(counts) - {"401", "429"}:
            unreached.append(call)
    if unreached:
        print("never reached: " + "; ".join(unreached))
    total = sum(sum(counts.values()) for counts in answers.values())
    failed = code != 0 or bool(unreached)
    print(f"{total} requests at {len(calls)} calls")
    print(f"{int(not failed)} passed, {int(failed)} failed")
    sys.exit(int(failed))


main()
