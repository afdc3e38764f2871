"""A machine of its own for one run through one page: the root of the file system copied on write, no network but
loopback, and names and addresses of the pages that lead to it.

Usage: machine.py STAGE PROGRAMS PROXIES PAGE VARIANT; run.py starts it under `unshare`, and all of it ends with this process.
STAGE is an empty folder to mount on, PROGRAMS holds warren and warren-coordinator, PROXIES holds unpacked nginx and Caddy.
It prints a line of JSON for each step.
"""

import os
import subprocess
import sys
from pathlib import Path

from reader import Reader
from tables import page_of

SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REPOSITORY = Path(__file__).resolve().parents[2]
# What the pages call the coordinator's address and that of another relay.
ADDRESSES = ["203.0.113.10", "203.0.113.20"]
HOSTS = f"127.0.0.1 localhost\n::1 localhost\n{ADDRESSES[0]} mesh.example.org\n"


def run(*words):
    subprocess.run([str(word) for word in words], check=True)


def new_root(stage, programs, proxies):
    """Makes the root below the empty folder `stage`: everything of this machine, writable, and gone at the end."""
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "tmpfs", "stage", stage)
    root = stage / "root"
    for folder in ("above", "work", "root"):
        (stage / folder).mkdir()
    # The kernel takes no folder as a layer beside the root that holds it.
    run("cp", "-a", f"{proxies}/.", stage / "above")
    layers = f"lowerdir=/,upperdir={stage}/above,workdir={stage}/work"
    run("mount", "-t", "overlay", "overlay", "-o", layers, root)
    for name in ("dev", "sys"):
        run("mount", "--rbind", f"/{name}", root / name)
    run("mount", "-t", "proc", "proc", root / "proc")
    for name, mode in (("tmp", "1777"), ("run", "755")):
        run("mount", "-t", "tmpfs", "-o", f"mode={mode}", name, root / name)
    for source, name in ((programs, "programs"), (REPOSITORY, "repository")):
        (root / "opt/warren" / name).mkdir(parents=True)
        run("mount", "--bind", source, root / "opt/warren" / name)
    return root


def settle_in(root):
    """Moves into the root and gives it what a reader's machine has."""
    os.chroot(root)
    os.chdir("/root")
    run("ip", "link", "set", "lo", "up")
    for address in ADDRESSES:
        run("ip", "address", "add", f"{address}/32", "dev", "lo")
    Path("/etc/hosts").write_text(HOSTS)
    for name in ("warren", "warren-coordinator"):
        program = Path("/opt/warren/programs") / name
        installed = Path("/usr/local/bin") / name
        installed.unlink(missing_ok=True)
        # `warren` only stands in a unit here; without it systemd-analyze would call that unit wrong.
        installed.symlink_to(program if program.exists() else "/bin/true")
    systemctl = Path("/usr/local/sbin/systemctl")
    systemctl.unlink(missing_ok=True)
    systemctl.symlink_to("/opt/warren/repository/tests/how-to/systemctl")
    Path("/run/services").mkdir()


def main():
    stage, programs, proxies, page, variant = sys.argv[1:]
    settle_in(new_root(Path(stage), programs, proxies))
    # Nothing of whoever calls the test: neither its programs nor its WARREN_ variables.
    os.environ.clear()
    os.environ |= {"PATH": SEARCH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb"}
    reader = Reader(page, page_of(page), int(variant))
    reader.read()


main()
