"""The description of the REST interface, held against a running server with schemathesis."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TOKEN, serving


def test_every_call_answers_as_it_is_described(tmp_path: Path) -> None:
    pytest.importorskip("schemathesis", exc_type=ImportError)
    (tmp_path / "state").mkdir()
    for address in serving(tmp_path / "state", "--enable-scripting"):
        description = address.split("?")[0].rstrip("/") + "/api/openapi.json"
        command = [sys.executable, "-m", "schemathesis.cli", "run", description]
        command += ["--header", f"Authorization: Bearer {TOKEN}"]
        # A call that ends the server would end the test.
        command += ["--exclude-path", "/server/stop"]
        # Names must fit into file names once they are encoded, which JSON Schema can not say.
        command += ["--exclude-checks", "positive_data_acceptance"]
        command += ["--phases", "examples,fuzzing", "--max-examples", "10", "--generation-deterministic", "--no-color"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1200)
        assert done.returncode == 0, done.stdout + done.stderr
