"""Whatever the OpenAPI document allows can be sent: nothing breaks, and every answer is one that the document names."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from stack import Stack

from cortex.edge.openapi.entries import ENTRIES

pytestmark = pytest.mark.system

PER_ROUTE = 8
MODEL = "sim-model"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
"""A body that its schema allows may be refused all the same: no schema tells everything that makes no sense."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data: Path = tmp_path_factory.mktemp("openapi") / "c"
    sim = {"tokens_per_s": 100_000, "prefill_per_s": 1e9, "max_tokens": 64}
    with Stack(data, sim=sim, models=(MODEL,)) as running:
        running.wait_until_known()
        yield running


def test_no_route_breaks(stack: Stack) -> None:
    """Drawn from a fixed seed: half the bodies have what their route's example has, so that some get to be served."""
    document = json.loads(stack.get("/openapi.json")[1])
    schema = schemathesis.openapi.from_dict(flat(document))
    schema.config.update(base_url=stack.url)
    seen = {one.ok().label: hold(one.ok()) for one in schema.get_all_operations()}
    for label, statuses in seen.items():
        assert statuses[200] or "{" in label or not ENTRIES[label].replies, f"{label} served none: {statuses}"


def flat(document: dict[str, Any]) -> dict[str, Any]:
    """The document without blocks inside of blocks, of which drawing one takes seconds: there, any object will do."""
    block = document["components"]["schemas"]["anthropic_body.Block"]["properties"]
    assert "anthropic_body.Block" in json.dumps(block["content"])
    block["content"] = block["source"] = {"type": ["object", "string", "null"]}
    return document


def hold(operation: Any) -> Counter[int]:
    """Send what is drawn for one route, and look at what comes back."""
    number = 0
    seen: Counter[int] = Counter()
    never = 501 in ENTRIES[operation.label].failures
    checks = CHECKS[1:] if never else CHECKS
    example = {**(ENTRIES[operation.label].example or {}), "model": MODEL}

    @settings(
        max_examples=PER_ROUTE,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def one(case: Any) -> None:
        nonlocal number
        number += 1
        if number % 2 and isinstance(case.body, dict):
            case.body.update(example)
        seen[case.call_and_validate(checks=checks, timeout=10).status_code] += 1

    one()
    return seen
