"""How the demo calls helm."""

from __future__ import annotations

import pytest
from deploy.demo import install


@pytest.mark.parametrize("there", [True, False])
def test_definitions_that_are_there_are_left_to_the_charts_job(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    calls: list[tuple[str, ...]] = []

    def run(*command: object, **_: object) -> str:
        calls.append(tuple(str(part) for part in command))
        return ""

    monkeypatch.setattr(install, "run", run)
    monkeypatch.setattr(install, "apply", lambda *_: None)
    asked: list[tuple[object, ...]] = []

    def succeeds(*command: object) -> bool:
        asked.append(command)
        return there

    monkeypatch.setattr(install, "succeeds", succeeds)
    install.install_octo("tag")
    (helm,) = [call for call in calls if call[:2] == ("helm", "upgrade")]
    assert ("--skip-crds" in helm) is there
    assert asked == [("kubectl", "get", "customresourcedefinitions", "octojobs.octo.dev", "octoproviders.octo.dev")]
