"""Runs every command of docs/how-to as its reader would, each page on a machine of its own (`machine.py`).

Usage: run.py PROGRAMS PROXIES [PAGE…]. PROGRAMS is the folder with warren-coordinator, PROXIES one with unpacked nginx and
Caddy. `tables.py` says how a page gets its set-up; `pages.py` what counts as a command or a file.
"""

import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pages import steps
from tables import PAGES, page_of

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "docs/how-to"
# A page takes some seconds; longer than this it hangs.
PAGE_S = 120
AT_ONCE = 2


def play(programs, proxies, page, variant):
    """One run through a page; gives what the machine printed, parsed."""
    with tempfile.TemporaryDirectory() as stage:
        # Whatever happens to this process, or to unshare, the machine ends with it.
        command = ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork"]
        command += ["--kill-child", "--mount-proc", sys.executable, "-B", HERE / "machine.py"]
        command += [stage, programs, proxies, page, str(variant)]
        try:
            ended = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, timeout=PAGE_S)
        except subprocess.TimeoutExpired:
            return [{"at": -1, "step": page, "problem": f"no end within {PAGE_S} s"}]
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    if ended.returncode != 0:
        lines.append({"at": -1, "step": page, "problem": f"the machine ended with {ended.returncode}"})
    return lines


def play_all(programs, proxies, page):
    """All runs through a page: for each step its number, its name and its problem or why it is not run."""
    plan, outcome = page_of(page), {}
    for variant in range(len(plan.variants)):
        for line in play(programs, proxies, page, variant):
            known = outcome.setdefault(line["at"], line)
            known["problem"] = known.get("problem") or line.get("problem")
    on_page = steps(FOLDER / page)
    for at, step in enumerate(on_page):
        outcome.setdefault(at, {"step": step.name, "problem": "neither run nor listed in tests/how-to/tables.py"})
    for key in sorted(plan.missing_from(on_page)):
        outcome[key] = {"step": key, "problem": "stands in tests/how-to/tables.py and not on the page"}
    return list(outcome.values())


def show(page, lines):
    """Prints what became of a page; gives how many steps passed and failed."""
    print(page)
    failed = 0
    for line in lines:
        if "listed" in line:
            print(f"  not run: {line['step']} ({line['listed']})")
        elif line["problem"]:
            failed += 1
            print(f"  FAILED {line['step']}\n    {line['problem']}")
        else:
            print(f"  ok {line['step']}")
    listed = sum("listed" in line for line in lines)
    sys.stdout.flush()
    return len(lines) - failed - listed, failed


def main():
    programs, proxies = (Path(folder).resolve() for folder in sys.argv[1:3])
    there = sorted(path.name for path in FOLDER.glob("*.md"))
    pages, passed, failed = sys.argv[3:] or there, 0, 0
    for page in sorted(PAGES.keys() - set(there)):
        print(f"FAILED {page}: stands in tests/how-to/tables.py, and there is no such page")
        failed += 1
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for page, lines in zip(pages, pool.map(lambda page: play_all(programs, proxies, page), pages)):
            good, bad = show(page, lines)
            passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    sys.exit(int(failed > 0 or passed == 0))


main()
