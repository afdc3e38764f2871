"""Takes the steps of a page as its reader would, one after the other, and says of each whether it did what it should."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

from answers import Failed, wait_for_relay, wait_for_serve
from pages import Command, File, Unknown, steps

UNIT_NAMES = ("warren-coordinator", "warren-coordinator.service")
PAGES = Path("/opt/warren/repository/docs/how-to")
SERVICES = Path("/run/services")
# No command of a page takes a second, but for the one that says `--max-time 2`.
COMMAND_S = 30
# Each command is a shell of its own, but finds the folder and the variables that the one before left.
SHELL = """[ -e /run/reader ] && . /run/reader
{}
code=$?
{{ export -p; printf 'cd %q\\n' "$PWD"; }} >/run/reader
exit $code
"""


def program(text):
    """The words of a command from the program's name on."""
    try:
        words = shlex.split(text)
    except ValueError:
        return []
    while words and re.match(r"\w+=", words[0]):
        words.pop(0)
    return [os.path.basename(words[0]), *words[1:]] if words else []


def serves(text):
    """Which of the two programs that do not end by themselves a command starts: `serve` or `relay`, or None."""
    words = program(text)
    if words[:1] == ["warren-coordinator"] and words[1:2] in (["serve"], ["relay"]):
        return words[1]
    return None


def word_pattern(word):
    """Finds a placeholder where it is a word of its own."""
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")


class Reader:
    """One run through a page. Set-ups (`arrange.py`) get it, to do what comes before a step."""

    def __init__(self, page, plan, variant):
        self.page, self.plan = page, plan
        self.omitted = plan.variants[variant]
        self.answered = []  # (command as on the page, what it printed)
        self.serving = None  # what runs in the foreground of another terminal

    def read(self):
        """Takes every step until one fails; prints a line of JSON for each."""
        reached = True
        try:
            self.plan.start(self)
        except Failed as failed:
            reached = False
            print(json.dumps({"at": -1, "step": "what the page takes for granted", "problem": str(failed)}), flush=True)
        for at, step in enumerate(steps(PAGES / self.page)):
            if step.section in self.omitted:
                continue
            if step.name in self.plan.not_run:
                print(json.dumps({"at": at, "step": step.name, "listed": self.plan.not_run[step.name]}), flush=True)
                continue
            problem = self.problem_of(step) if reached else "not reached"
            reached = problem is None
            print(json.dumps({"at": at, "step": step.name, "problem": problem}), flush=True)

    def problem_of(self, step):
        try:
            if step.name in self.plan.before:
                self.plan.before[step.name](self)
            self.take(step)
        except Failed as failed:
            return str(failed)
        return None

    def take(self, step):
        if isinstance(step, Unknown):
            raise Failed("this block is neither commands nor a file: say before it which file it is, or fence it as `sh`")
        step = replace(step, text=self.filled(step.text))
        if isinstance(step, File):
            self.write(step)
        else:
            printed = self.perform(step.text)
            if step.answer is not None and printed.strip() != step.answer:
                raise Failed(f"it answers {printed.strip()!r}, the page says {step.answer!r}")

    def filled(self, text):
        """Puts what the table says in the place of words such as KEY."""
        for word, value in self.plan.words.items():
            found = word_pattern(word)
            if found.search(text):
                value = value(self) if callable(value) else value
                text = found.sub(lambda _, value=value: value, text)
        return text

    def perform(self, text):
        """Runs a command; one that serves answers when this returns, and so does what systemctl started."""
        if serves(text):
            self.serve(text)
            return ""
        unit = SERVICES / "warren-coordinator.service.log"
        seen = unit.stat().st_size if unit.exists() else 0
        printed = self.bash(text)
        self.answered.append((text, printed))
        words = program(text)
        if words[:1] == ["systemctl"] and {"start", "restart", "--now"} & set(words) and words[-1] in UNIT_NAMES:
            wait_for_serve(lambda: unit.read_text()[seen:], lambda: True)
        return printed

    def bash(self, text):
        """Runs it to its end; gives its standard output."""
        # Files, not pipes: a service that it starts may keep them open.
        with open("/run/output", "w+") as output, open("/run/errors", "w+") as errors:
            try:
                ended = subprocess.run(
                    ["bash", "-c", SHELL.format(text)], stdin=subprocess.DEVNULL, stdout=output, stderr=errors, timeout=COMMAND_S
                )
            except subprocess.TimeoutExpired:
                raise Failed(f"`{text}` does not end within {COMMAND_S} s") from None
        printed, complaint = Path("/run/output").read_text(), Path("/run/errors").read_text()
        if ended.returncode != 0:
            raise Failed(f"`{text}` ends with {ended.returncode}: {(complaint + printed).strip()}")
        return printed

    def serve(self, text):
        """Starts what serves, in the place of what served before: there is one data directory and each port once."""
        self.end_serving()
        log = Path("/run/serving.log")
        with log.open("w") as output:
            self.serving = subprocess.Popen(
                ["bash", "-c", SHELL.format(text)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        wait = wait_for_serve if serves(text) == "serve" else wait_for_relay
        wait(log.read_text, lambda: self.serving.poll() is None)
        self.answered.append((text, log.read_text()))

    def end_serving(self):
        """Presses Ctrl-C, and stops the service."""
        if self.serving is not None:
            os.killpg(self.serving.pid, signal.SIGTERM)
            self.serving.wait(timeout=COMMAND_S)
            self.serving = None
        if (SERVICES / "warren-coordinator.service.pid").exists():
            self.bash("systemctl stop warren-coordinator")

    def last_answer(self, start):
        """What the last command that begins so printed."""
        for text, printed in reversed(self.answered):
            if text.startswith(start):
                return printed
        raise Failed(f"the page has no command `{start}` before this one")

    def write(self, file):
        """Writes a file and does what one does with such a file: checks a unit or settings, starts a proxy."""
        path = Path(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
        if path.suffix in (".service", ".socket", ".timer"):
            self.verify(path)
        elif path.suffix == ".toml":
            self.bash(f"warren-coordinator config check --config {path}")
        elif path.match("/etc/nginx/conf.d/*.conf"):
            self.bash("nginx -t && nginx")
        elif path.name == "Caddyfile":
            self.plan.caddy(self, path)
        else:
            raise Failed(f"the test does not know what to do with {path}")

    def verify(self, unit):
        """Lets systemd look at a unit, where it is installed. It also speaks of other units: those lines do not count."""
        if shutil.which("systemd-analyze") is None:
            return
        words = ["systemd-analyze", "verify", "--man=no", str(unit)]
        said = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_S)
        wrong = [line for line in said.stderr.splitlines() if unit.name in line]
        if wrong:
            raise Failed("; ".join(wrong))
