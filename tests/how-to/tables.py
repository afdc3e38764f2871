"""What the test adds to each page: what comes first, what stands for words such as KEY, and what is not run, and why.

A page that is not in PAGES starts from a running coordinator (`arrange.running_coordinator`) and needs nothing else. To
add one, give it a line here:

- `start`: what the page takes for granted, a function of arrange.py that gets the reader;
- `before`: the same, right before one command or file, which is named as it stands on the page (continued lines joined);
- `words`: text in place of a word on the page, or a function that finds it in what the commands before answered;
- `variants`: for each run through the page the headings whose blocks are left out, where a reader takes one of several ways;
- `not_run`: commands and files that cannot be run here, each with its reason.

Example, for a page whose settings name a file: `before={"/etc/warren-coordinator.toml": lambda reader: reader.bash("…")}`.

What is written here and found nowhere on the page fails the test.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import arrange
from reader import word_pattern


@dataclass(frozen=True)
class Page:
    """The table of one page; see the module."""

    start: Callable = arrange.running_coordinator
    before: dict = field(default_factory=dict)
    words: dict = field(default_factory=dict)
    variants: tuple = ((),)
    not_run: dict = field(default_factory=dict)
    caddy: Callable = arrange.caddy

    def missing_from(self, steps):
        """What this table speaks of and the page does not have."""
        names, headings = {step.name for step in steps}, {step.section for step in steps}
        omitted = {heading for variant in self.variants for heading in variant}
        missing = ({*self.before, *self.not_run} - names) | (omitted - headings)
        return missing | {word for word in self.words if not any(word_pattern(word).search(step.text) for step in steps)}


LITESTREAM = "Debian has no package of Litestream"
LITESTREAM_RESTORE = "litestream restore -config /etc/litestream.yml -o restored.db /var/lib/warren-coordinator/warren.db"
RELAY_ADD = (
    "warren-coordinator admin relay add --name par1 --public-key PUBLIC_KEY --address 203.0.113.20:3478 --stun 203.0.113.20:3479"
)
OWN_CERTIFICATE = (
    "warren-coordinator serve --listen 0.0.0.0:443 --public-url https://mesh.example.org --tls-cert chain.pem --tls-key key.pem"
)

PAGES = {
    "add-a-relay.md": Page(
        words={"VERIFY_KEY": arrange.verify_key, "PUBLIC_KEY": arrange.relay_unit_key},
        before={"warren-coordinator admin relay disable par1": arrange.relay_serves("par1")},
    ),
    "back-up-and-restore.md": Page(
        words={"/backups/warren-2026-11-27.db": arrange.newest_backup},
        before={"warren-coordinator restore restored.db": arrange.backup_here("restored.db")},
        not_run={
            "/etc/litestream.yml": LITESTREAM,
            "litestream replicate -config /etc/litestream.yml": LITESTREAM,
            LITESTREAM_RESTORE: LITESTREAM,
        },
    ),
    "behind-a-proxy.md": Page(start=arrange.proxied, variants=(("Caddy",), ("nginx",))),
    "exit-node.md": Page(start=arrange.exits, before={"warren set --exit-node vps": arrange.exit_offered}),
    "invite-people.md": Page(before={"warren-coordinator admin member set-role ada viewer": arrange.invited("ada")}),
    "names.md": Page(
        start=arrange.named,
        words={"100.92.0.7": arrange.resolver},
        before={"dig @100.92.0.7 -p 15353 storage.office.warren.internal": arrange.known("storage.office.warren.internal")},
    ),
    "route-to-a-network.md": Page(start=arrange.routers),
    "run-a-coordinator.md": Page(
        start=arrange.nothing,
        words={
            "KEY": arrange.random_key,
            "VERIFY_KEY": arrange.verify_key,
            "PUBLIC_KEY": arrange.relay_key,
            "NODE": "web1",
            "FILE": arrange.newest_backup,
        },
        before={
            RELAY_ADD: arrange.started,
            "warren-coordinator admin node allow-relay NODE": arrange.enrolled("web1"),
            "warren-coordinator restore FILE": arrange.stopped,
        },
    ),
    "run-on-a-vps.md": Page(
        start=arrange.service_asks_pebble,
        words={"…": "--listen 127.0.0.1:8080"},
        before={OWN_CERTIFICATE: arrange.own_certificate},
    ),
    "several-networks.md": Page(
        before={
            "warren-coordinator admin node set web1 --tags frontend": arrange.enrolled("web1", "db1", network="lab"),
            "warren-coordinator admin node admit web2": arrange.enrolled("web2", network="lab"),
        }
    ),
    "sign-in-with-oidc.md": Page(before={"/etc/warren-coordinator.toml": arrange.oidc_secret}),
    "upgrade.md": Page(
        start=arrange.older_version,
        words={"NEW": "/opt/warren/programs", "N": arrange.copy_before_schema},
        before={"mkdir -m 700 /tmp/try": arrange.ready},
    ),
}


def page_of(name):
    return PAGES.get(name, Page())
