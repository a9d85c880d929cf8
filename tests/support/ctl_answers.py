"""A small fleet as a broker would describe it: two hosts with three cards, one host that is not there."""

from __future__ import annotations

from cortex.protocol.messages import (
    BrokerStatus,
    CatalogueEntry,
    ConfigReport,
    Decision,
    Events,
    Explanation,
    Models,
    ModelStatus,
    Names,
    NeuronStatus,
    Option,
    Status,
)
from cortex.protocol.values import Device, Model

GIB = 2**30
CODER = "Qwen/Qwen3-Coder-30B-A3B"
NOON_MS = 1_767_268_800_000
"""2026-01-01 12:00 UTC."""


def card(index: int, total: float, free: float, name: str = "NVIDIA RTX 4090") -> Device:
    memory = int(total * GIB)
    return Device(
        kind="cuda",
        index=index,
        name=name,
        memory_bytes=memory,
        budget_bytes=memory - 2 * GIB,
        free_bytes=int(free * GIB),
    )


STATUS = Status(
    broker="alpha",
    version="0.1.0",
    uptime_s=3723,
    edges=2,
    running=4,
    waiting=2,
    served=1204,
    dropped={"stale": 3},
    neurons=(
        NeuronStatus(
            node="beast",
            device=card(0, 24, 1.4),
            state="ready",
            phase="decode",
            seen_ms=420,
            load={CODER: 3},
            models=(
                Model(id=CODER, state="hot", slots=8, footprint_bytes=18 * GIB, pinned=True),
                Model(id="bge-m3", state="hot", slots=16, footprint_bytes=int(2.6 * GIB)),
                Model(id="gemma-3-12b", state="cold", footprint_bytes=9 * GIB),
            ),
            tokens_per_s=141.5,
            cycles=4,
        ),
        NeuronStatus(
            node="beast",
            device=card(1, 24, 13.0),
            state="ready",
            phase="idle",
            seen_ms=420,
            models=(Model(id="gemma-3-12b", state="loading", footprint_bytes=9 * GIB),),
            cycles=12,
        ),
        NeuronStatus(
            node="benjy",
            device=card(0, 12, 10.0),
            state="ready",
            phase="idle",
            seen_ms=810,
            drained=True,
            load={"llama-3.2-3b": 1},
            models=(Model(id="llama-3.2-3b", state="draining", slots=4, footprint_bytes=4 * GIB),),
            tokens_per_s=38.2,
        ),
        NeuronStatus(node="moon", device=Device(kind="cpu"), state="absent"),
    ),
    brokers=(
        BrokerStatus(name="alpha", state="here", running=3, waiting=2, served=800, owns=3),
        BrokerStatus(name="bravo", state="live", running=1, served=404, owns=2),
    ),
)

MODELS = Models(
    models=(
        ModelStatus(
            entry=CatalogueEntry(
                id=CODER, state="hot", loaded=True, locations=(("beast/cuda-0", "hot", 18 * GIB),)
            ),
            owner="alpha",
            priority=100,
            pinned=True,
            footprint_bytes=18 * GIB,
            replicas=1,
            running=3,
            waiting=2,
        ),
        ModelStatus(
            entry=CatalogueEntry(
                id="gemma-3-12b",
                state="loading",
                locations=(("beast/cuda-0", "cold", 9 * GIB), ("beast/cuda-1", "loading", 9 * GIB)),
            ),
            owner="bravo",
            priority=100,
            footprint_bytes=9 * GIB,
            waiting=1,
            percent=63,
            detail="reading weights",
        ),
        ModelStatus(
            entry=CatalogueEntry(
                id="llama-3.2-3b",
                state="draining",
                locations=(("benjy/cuda-0", "draining", 4 * GIB),),
            ),
            owner="alpha",
            priority=50,
            footprint_bytes=4 * GIB,
            running=1,
        ),
        ModelStatus(
            entry=CatalogueEntry(id="mistral-small", state="failed", feasible_on=("beast",)),
            owner="alpha",
            priority=100,
            footprint_bytes=15 * GIB,
            detail="out of memory while reading layer 31",
            retry_ms=42_000,
        ),
        ModelStatus(
            entry=CatalogueEntry(id="phi-4", state="cold", feasible_on=("beast", "benjy")),
            owner="bravo",
            priority=10,
            footprint_bytes=8 * GIB,
        ),
        ModelStatus(
            entry=CatalogueEntry(id="deepseek-v3", state="cold"),
            owner="bravo",
            priority=100,
            footprint_bytes=380 * GIB,
        ),
    ),
    names=Names(aliases={"gpt-4o*": CODER, "claude-sonnet-*": CODER}, small="llama-3.2-3b"),
)

EXPLANATION = Explanation(
    model="mistral-small",
    verdict="load",
    reason="no replica is hot, and beast/cuda-1 has the cheapest idle models that make room",
    node="beast/cuda-1",
    victims=("gemma-3-12b", "bge-m3"),
    wait_ms=34_000,
    owner="bravo",
    waiting=2,
    options=(
        Option(
            node="beast/cuda-1",
            verdict="load",
            reason="15.0 GiB needed, 13.0 GiB free, 9.0 GiB can be freed",
            victims=("gemma-3-12b", "bge-m3"),
        ),
        Option(node="beast/cuda-0", verdict="refuse", reason=f"{CODER} is pinned and the rest is too small"),
        Option(node="benjy/cuda-0", verdict="refuse", reason="drained"),
    ),
)

DECISIONS = (
    Decision(number=1, at_ms=NOON_MS, what="loaded", subject=CODER, reason="pinned by its profile"),
    Decision(
        number=2,
        at_ms=NOON_MS + 61_000,
        what="evicted",
        subject="phi-4 on beast/cuda-1",
        reason="gemma-3-12b needs 9.0 GiB; idle for 12 min, the least lately used",
    ),
    Decision(
        number=3,
        at_ms=NOON_MS + 95_000,
        what="load failed",
        subject="mistral-small on beast/cuda-1",
        reason="out of memory while reading layer 31; next try in 60 s",
    ),
)
EVENTS = Events(events=DECISIONS, next=3)

CONFIG = ConfigReport(
    files={
        "/etc/cortex/cortex.toml": '[gateway]\nlisten = "127.0.0.1:31313"\n',
        "/etc/cortex/models.toml": '[[models]]\nid = "phi-4"\n',
    }
)
