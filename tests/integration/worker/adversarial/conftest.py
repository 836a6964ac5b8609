"""Has the assertions of this suite's helpers rewritten, as those of its tests are."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.integration.worker.adversarial.verdict")
