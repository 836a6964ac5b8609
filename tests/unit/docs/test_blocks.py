"""Every block of README and docs is proved by something: a test that runs it, a schema, a grammar; or it is output."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import click
import jsonschema
import pytest
import yaml
from pydantic import BaseModel, TypeAdapter

from octo_api.auth.bindings import Binding
from octo_cli.main import grammar
from octo_cli.settings import Settings
from octo_core.domain.job import OctoJobSpec
from octo_core.domain.provider import OctoProviderSpec
from octo_worker.cli.arguments import parser
from tests.support.documents import CHECKED, OUTPUT, PROGRAMS, ROOT, RUN_BY, Block, blocks

BLOCKS = blocks()
MODELS: dict[str, type[BaseModel]] = {"OctoProvider": OctoProviderSpec, "OctoJob": OctoJobSpec}
KUBECTL = ("apply", "auth", "create", "delete", "describe", "exec", "explain", "get", "logs", "octo", "patch", "wait")


def of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_is_classified(block: Block) -> None:
    assert block.run_by or block.language in (*CHECKED, *OUTPUT), (
        f"{block}: nothing proves it; see tests.support.documents"
    )


def test_the_tests_that_run_blocks_are_there() -> None:
    for name in RUN_BY.values():
        file, _, test = name.partition("::")
        assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), name


@pytest.mark.parametrize("block", of("text"), ids=str)
def test_output_is_no_command(block: Block) -> None:
    for line in block.text.splitlines():
        assert line.split(" ")[0] not in PROGRAMS, f"{block}: commands are `sh` or `shell`"


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_a_manifest_is_valid(block: Block) -> None:
    """One without an apiVersion is values of the chart."""
    documents = [document for document in yaml.safe_load_all(block.text) if document]
    assert documents
    for document in documents:
        if "apiVersion" not in document:
            schema = json.loads((ROOT / "charts" / "octo" / "values.schema.json").read_text())
            jsonschema.Draft7Validator(schema).validate(document)
        elif document["apiVersion"].startswith("octo.dev/"):
            model = MODELS[document["kind"]]
            # A page may show a part, and says so by an ellipsis; then each field of it is looked at by itself.
            if "…" in re.sub(r'"[^"]*"', "", block.text):
                for name, value in document["spec"].items():
                    field = next(each for each in model.model_fields.values() if each.alias == name)
                    TypeAdapter[Any](cast(Any, field.annotation)).validate_python(value)
            else:
                model.model_validate(document["spec"])
        elif document["kind"] == "Kustomization":
            for resource in document["resources"]:
                assert (ROOT / resource.replace("../", "")).exists(), resource
            assert all(yaml.safe_load(patch["patch"]) for patch in document.get("patches", ()))
        else:
            assert document["kind"] in ("Secret", "ServiceAccount", "NetworkPolicy", "Cluster", "ExternalSecret"), block
            assert document["metadata"]["name"], block


@pytest.mark.parametrize("block", of("json"), ids=str)
def test_json_is_bindings(block: Block) -> None:
    TypeAdapter(list[Binding]).validate_python(json.loads(block.text))


@pytest.mark.parametrize("block", of("shell"), ids=str)
def test_a_command_is_one(block: Block) -> None:
    for command in block.commands():
        _check(command)


def _check(command: list[str]) -> None:
    program, *words = itertools.takewhile(lambda word: word != ">", command)
    if program == "octo" or (program, words[:1]) == ("kubectl", ["octo"]):
        _octo(words[1:] if program == "kubectl" else words)
    elif program == "octo-worker":
        parser().parse_args(words)
    elif program == "make":
        verbs = re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert next(word for word in words if "=" not in word) in verbs, command
    elif program == "helm":
        _helm(words)
    elif program.startswith("deploy/"):
        # A script of ours names its verbs at its head.
        assert f"{program} {words[0]} " in (ROOT / program).read_text(), command
    elif program == "curl":
        assert any(_is_route(word) for word in words), command
    elif program == "kubectl":
        verb = next(word for word in words if word in KUBECTL)
        assert verb in words[:3], command
    elif program == "xargs":
        _check(list(itertools.dropwhile(lambda word: word not in PROGRAMS, words)))
    else:
        assert program in ("source", "cp", "umask", "export"), command


def _octo(words: list[str]) -> None:
    """Raises UsageError unless the grammar knows it."""
    group: click.Group = grammar
    context = grammar.make_context("octo", list(words), obj=Settings())
    while True:
        name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, rest, parent=context)
        if not isinstance(command, click.Group):
            return
        group = command


def _helm(words: list[str]) -> None:
    values = yaml.safe_load((ROOT / "charts" / "octo" / "values.yaml").read_text())
    if words[0] in ("history", "rollback"):
        # What was installed before, by its release and its number.
        assert words[1] == "octo", words
    else:
        assert "charts/octo" in words
    for before, word in itertools.pairwise(words):
        if before == "--set":
            found: Any = values
            for part in word.partition("=")[0].split("."):
                assert part in found, word
                found = found[part]


def _is_route(word: str) -> bool:
    path = re.search(r"(/v1/[^?\"' ]*)", word)
    if path is None:
        return False
    document = json.loads((ROOT / "api" / "openapi" / "openapi.json").read_text())
    known = {re.sub(r"\{\w+\}", "*", each) for each in document["paths"]}
    return re.sub(r"\$[A-Z_]+", "*", path[1]) in known


def test_a_block_that_nobody_proves_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A\n\n```ruby\nputs 1\n```\n\n~~~\nx\n~~~\n\n```shell\nocto dance | octo ls\nocto ls \\\n  -o json\n```\n"
    )
    ruby, bare, shell = blocks([page])
    assert (ruby.language, ruby.line, ruby.text) == ("ruby", 3, "puts 1\n")
    assert not any(block.run_by or block.language in (*CHECKED, *OUTPUT) for block in (ruby, bare))
    assert shell.commands() == [["octo", "dance"], ["octo", "ls"], ["octo", "ls", "-o", "json"]]
    with pytest.raises(click.UsageError):
        _check(["octo", "dance"])
    with pytest.raises(click.UsageError):
        _check(["octo", "ls", "--dance"])
    page.write_text("```sh\nx\n")
    with pytest.raises(AssertionError, match="no end"):
        blocks([page])


def links() -> Iterator[tuple[str, str]]:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                yield page.name, target


@pytest.mark.parametrize(("page", "target"), list(links()))
def test_links_beside_the_site_lead_somewhere(page: str, target: str) -> None:
    """Those of the site are looked at when it is built."""
    assert (ROOT / target).exists()
