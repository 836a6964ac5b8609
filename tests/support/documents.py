"""The fenced blocks of README and docs, and what proves each of them.

A block's language says what it is: `sh`, `bash` and `python` are run by a named test; `yaml`, `json` and `shell` are
checked against the schemas and grammars that they speak of; `text` is output or a picture.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
RUN_BY = {
    ("sh", "README.md"): "tests/e2e/test_readme.py::test_every_shell_command_runs",
    ("sh", "docs/"): "tests/e2e/test_readme.py::test_every_shell_command_runs",
    ("bash", "docs/worker.md"): "tests/integration/worker/test_cli_docs.py::test_the_example_can_be_followed",
    # The other one by the test beside it.
    ("bash", "docs/operations.md"): "tests/integration/disasters/test_postgres_lost.py::"
    "test_history_is_rebuilt_from_the_manifests",
    ("python", "docs/client.md"): "tests/integration/api/test_client.py::test_the_page_tells_the_truth",
    ("python", "docs/webhooks.md"): "tests/unit/octo_api/webhooks/test_docs.py::"
    "test_the_snippet_takes_what_octo_sends_and_nothing_else",
}
"""The test that runs the blocks of a language on a page, or on all below a folder."""
CHECKED = ("yaml", "json", "shell")
OUTPUT = ("text",)
PROGRAMS = ("kubectl", "octo", "octo-api", "octo-worker", "octo-controller", "helm", "curl", "make", "source", "export")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line} ({self.language or 'no language'})"

    @property
    def run_by(self) -> str | None:
        """The test that runs it, if there is one."""
        found = (
            test
            for (language, where), test in RUN_BY.items()
            if language == self.language
            and (self.page == where or (where.endswith("/") and self.page.startswith(where)))
        )
        return next(found, None)

    def commands(self) -> list[list[str]]:
        """Its simple commands, each as words: of a pipe, each part."""
        # A comment would take the end of its line with it.
        joined = re.sub(r"(^|\s)#.*", "", self.text.replace("\\\n", " "), flags=re.MULTILINE)
        lexer = shlex.shlex(joined, posix=True, punctuation_chars="|&;\n")
        lexer.whitespace = " \t"
        lexer.whitespace_split = True
        found: list[list[str]] = [[]]
        for word in lexer:
            if word and set(word) <= set("|&;\n"):
                found.append([])
            else:
                found[-1].append(word)
        return [command for command in found if command]


def blocks(pages: list[Path] | None = None) -> list[Block]:
    """All of them. Raises AssertionError for a fence that is not closed."""
    found = []
    for page in pages or PAGES:
        name = str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else page.name
        language, begin, body = None, 0, list[str]()
        for number, line in enumerate(page.read_text().splitlines(), 1):
            fence = re.match(r"^\s*(`{3,}|~{3,})\s*(.*)$", line)
            if fence is None:
                body.append(line)
            elif language is None:
                language, begin, body = fence[2].strip(), number, []
            else:
                found.append(Block(name, begin, language, "".join(f"{each}\n" for each in body)))
                language = None
        assert language is None, f"{name}: the block of line {begin} has no end"
    return found
