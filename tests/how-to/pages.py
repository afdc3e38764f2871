"""Reads a how-to page as steps in the order in which a reader meets them: commands to run and files to write.

Blocks are indented by four spaces or fenced. A block is

- a file where its fence says `ini`, `toml`, `nginx`, `yaml` or nothing and the text before it ends in the file's name,
  as in "`/etc/caddy/Caddyfile`:", or where its first line is the path as a comment (`# /etc/warren-coordinator.toml`);
  a unit without a folder lies in /etc/systemd/system;
- commands where it is indented or its fence says `sh`, `bash` or `console`: one per line, joined where a line ends in `\\`.

A comment that begins like an answer (`# {"status":"ok"}`, `# HTTP/1.1 101 …`), behind its command or on a line of its own
below it, is what the command must answer.
"""

import re
from dataclasses import dataclass
from pathlib import Path

COMMANDS = {"sh", "bash", "console", "shell"}
PATH_IN_TEXT = re.compile(r"`(/[\w./-]+|[\w@-]+\.(?:service|socket|timer))`[^`]*:\s*$")
PATH_IN_COMMENT = re.compile(r"^# (/[\w./-]+\.\w+)$")
COMMENT = re.compile(r"(?:^|\s+)# ?(.*)$")
ANSWER = re.compile(r"^(?:\{|\[|HTTP/)")


@dataclass
class Command:
    """One command, as the page has it, and what its comment says it answers, if it does."""

    text: str
    answer: str | None
    section: str

    @property
    def name(self):
        return self.text


@dataclass
class File:
    """A file that the page shows whole."""

    path: str
    text: str
    section: str

    @property
    def name(self):
        return self.path


@dataclass
class Unknown:
    """A block that is neither: the test fails, unless it is listed by its first line."""

    text: str
    section: str

    @property
    def name(self):
        return self.text.splitlines()[0]


def blocks(text):
    """Gives (fence's word or None where indented, lines, text before, heading) of each block of code."""
    before, heading, lines, fence = [], "", [], None
    previous = ""
    for line in [*text.splitlines(), ""]:
        if fence is not None:
            if line.startswith("```"):
                yield fence, lines, "\n".join(before), heading
                lines, fence, before = [], None, []
            else:
                lines.append(line)
        elif line.startswith("```"):
            fence = line[3:].strip()
        elif line.startswith("    ") and (lines or not previous.strip()):
            lines.append(line[4:])
        else:
            if lines:
                yield None, lines, "\n".join(before), heading
                lines, before = [], []
            if line.startswith("#"):
                heading, before = line.lstrip("# "), []
            elif line.strip():
                before.append(line)
        previous = line
    if fence is not None:
        raise ValueError(f"a fence is not closed: {lines[:1]}")


def commands(lines, section):
    """The commands of a block, continued lines joined by a space."""
    found, continued = [], ""
    for line in lines:
        line = continued + line.strip()
        if line.endswith("\\"):
            continued = line[:-1].rstrip() + " "
            continue
        continued = ""
        comment = COMMENT.search(line)
        text = line[: comment.start()].strip() if comment else line.removeprefix("$ ")
        answer = comment.group(1).strip() if comment and ANSWER.match(comment.group(1)) else None
        if text:
            found.append(Command(text, answer, section))
        elif answer and found and found[-1].answer is None:
            found[-1].answer = answer
    if continued:
        found.append(Command(continued.strip(), None, section))
    return found


def place(path):
    return path if path.startswith("/") else f"/etc/systemd/system/{path}"


def steps(page):
    """All steps of a page, in order."""
    found = []
    for fence, lines, before, section in blocks(Path(page).read_text()):
        text = "\n".join(lines) + "\n"
        in_comment, in_text = PATH_IN_COMMENT.match(lines[0]) if lines else None, PATH_IN_TEXT.search(before)
        if in_comment:
            found.append(File(in_comment.group(1), text, section))
        elif fence is None or fence in COMMANDS:
            found += commands(lines, section)
        elif in_text:
            found.append(File(place(in_text.group(1)), text, section))
        else:
            found.append(Unknown(text, section))
    return found
