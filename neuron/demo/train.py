"""Trains the demo model from nothing on the CPU: `python -m cortex.neuron.demo.train --out DIR`.

Knows the recipe (shape, batches, rates, steps); what the model learns stands in `corpus.py`. Positions are relative
in a rotary model, so what makes it robust is not an offset but prompts of many lengths.

Copying is the skill everything else needs, and it comes late by itself. Three things bring it early: token vectors
large enough not to drown in what the layers add, a circuit laid in by hand (`copying.py`), and drills before the first
conversation. Then come plain questions, and only then conversations with tools, system prompts and earlier turns.
"""

import argparse
import math
import shutil
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch.nn import functional
from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

from cortex.neuron.demo import model_path
from cortex.neuron.demo.copying import lay_in
from cortex.neuron.demo.corpus import Stage, conversations, normal
from cortex.neuron.demo.encoding import END, STOP, build_tokenizer, encode
from cortex.neuron.demo.evaluate import MORE_QUESTIONS, QUESTIONS
from cortex.neuron.demo.muon import Muon

__all__ = ["main"]

SEED = 20260101
VOCABULARY = 1536
COURSE: tuple[tuple[Stage, int], ...] = (
    ("simple", 400),
    ("all", 800),
    ("reworded", 1500),
    ("all", 900),  # questions in other words crowd out the calls of tools that came before them
)
WARM_UP, MOST_DRILLS, DRILLED = 20, 300, 0.3
DRILL_TOKENS, BATCH_TOKENS, LONGEST = 2048, 3072, 4096
MATRIX_RATE, OTHER_RATE = 0.02, 4e-3
LAST_RATE = 0.02  # share of the two above at the end
VECTOR_SIZE = 0.2
UNSEEN = frozenset(normal(question) for question, _ in QUESTIONS + MORE_QUESTIONS)
Row = tuple[list[int], list[float]]
Lesson = tuple[torch.Tensor, torch.Tensor]
"""Ids and their weights in the loss, both of shape [rows, width]."""


def shape(tokenizer: Any) -> Any:
    return Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=160,
        intermediate_size=480,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=131072,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids(END),
        pad_token_id=tokenizer.convert_tokens_to_ids(STOP),
    )


def newborn(tokenizer: Any) -> Any:
    """A model whose token vectors are large and whose layers add nothing yet."""
    model = Qwen3ForCausalLM(shape(tokenizer)).float().train()
    with torch.no_grad():
        model.model.embed_tokens.weight.normal_(0, VECTOR_SIZE)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    lay_in(model, SEED)
    return model


def drills(tokens: int, seed: int) -> Iterator[Lesson]:
    """Rows of random tokens written twice: the second half is learnt, and only copying foresees it."""
    source = torch.Generator().manual_seed(seed)
    while True:
        length = int(torch.randint(6, 61, (1,), generator=source))
        half = torch.randint(0, tokens, (DRILL_TOKENS // (2 * length), length), generator=source)
        ids = torch.cat([half, half], 1)
        weights = torch.ones(ids.shape)
        weights[:, : length + 1] = 0
        yield ids, weights


def lessons(tokenizer: Any, seed: int, stage: Stage) -> Iterator[Lesson]:
    """Rows of about equal length, padded on the right."""
    rng = Random(seed)
    source = conversations(seed, UNSEEN, stage=stage)
    while True:
        pool = (encode(tokenizer, talk) for talk in islice(source, 512))
        cut: list[list[Row]] = [[]]
        for ids, weights in sorted(pool, key=lambda row: len(row[0])):
            if len(ids) > LONGEST:
                continue
            if (len(cut[-1]) + 1) * len(ids) > BATCH_TOKENS:
                cut.append([])
            cut[-1].append((ids, weights))
        rng.shuffle(cut)
        for rows in cut:
            yield _tensors(rows, tokenizer.convert_tokens_to_ids(STOP))


def _tensors(rows: list[Row], pad: int) -> Lesson:
    width = max(len(ids) for ids, _ in rows)
    ids = [ids + [pad] * (width - len(ids)) for ids, _ in rows]
    weights = [weights + [0.0] * (width - len(weights)) for _, weights in rows]
    return torch.tensor(ids), torch.tensor(weights)


def loss_of(model: Any, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy; logits are computed only where a token counts."""
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    counts = weights[:, 1:] > 0
    each = functional.cross_entropy(model.lm_head(hidden[counts]), ids[:, 1:][counts], reduction="none")
    weight = weights[:, 1:][counts]
    return (each * weight).sum() / weight.sum()


class Trainer:
    """A model and its optimizers, one step at a time."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.start, self.steps, self.mean = time.monotonic(), 0, 0.0
        vectors = model.model.embed_tokens.weight
        matrices = [p for p in model.parameters() if p.ndim == 2 and p is not vectors]
        others = [p for p in model.parameters() if p.ndim != 2 or p is vectors]
        self.rates = {
            Muon(matrices, lr=MATRIX_RATE): MATRIX_RATE,
            torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0): OTHER_RATE,
        }

    def step(self, lesson: Lesson, scale: float) -> None:
        loss = loss_of(self.model, *lesson)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        warmth = min(1.0, (self.steps + 1) / WARM_UP)
        for optimizer, rate in self.rates.items():
            optimizer.param_groups[0]["lr"] = rate * scale * warmth
            optimizer.step()
            optimizer.zero_grad()
        self.mean = loss.item() if self.steps == 0 else 0.9 * self.mean + 0.1 * loss.item()
        if self.steps % 25 == 0:
            print(
                f"step {self.steps:5d}  loss {self.mean:.3f}  {time.monotonic() - self.start:5.0f} s",
                flush=True,
            )
        self.steps += 1

    def follow(self, course: Iterable[Lesson], steps: int, rate: float) -> None:
        """A course of so many steps, its rate falling along a cosine."""
        for number, lesson in enumerate(course):
            fall = 0.5 * (1 + math.cos(math.pi * number / steps))
            self.step(lesson, rate * (LAST_RATE + (1 - LAST_RATE) * fall))
        print(f"{self.steps} steps, loss {self.mean:.3f}, {time.monotonic() - self.start:.0f} s", flush=True)


def train(tokenizer: Any) -> Any:
    """Drills until copying works, then plain questions, conversations, and questions in other words."""
    torch.manual_seed(SEED)
    trainer = Trainer(newborn(tokenizer))
    size = sum(p.numel() for p in trainer.model.parameters())
    print(f"{size / 1e6:.2f} M parameters, {len(tokenizer)} tokens")
    for lesson in islice(drills(len(tokenizer), SEED), MOST_DRILLS):
        trainer.step(lesson, 1.0)
        if trainer.mean < DRILLED:
            break
    print(f"drills done after {trainer.steps} steps")
    course = [islice(lessons(tokenizer, SEED + i, stage), count) for i, (stage, count) in enumerate(COURSE)]
    trainer.follow(chain(*course), sum(count for _, count in COURSE), 1.0)
    return trainer.model.eval()


def save(model: Any, tokenizer: Any, out: Path) -> None:
    """Writes the directory that an engine loads, weights in bfloat16, readable by everybody."""
    end, stop = tokenizer.convert_tokens_to_ids(END), tokenizer.convert_tokens_to_ids(STOP)
    model.generation_config = GenerationConfig(eos_token_id=[end, stop], pad_token_id=stop, do_sample=False)
    out.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    card = model_path() / "README.md"
    if card.exists() and out.resolve() != model_path().resolve():
        shutil.copyfile(card, out / card.name)
    for file in out.iterdir():
        file.chmod(0o644)


def main() -> int:
    parser = argparse.ArgumentParser(description="Train the demo model from nothing on two CPU cores.")
    parser.add_argument("--out", type=Path, default=Path("build/demo-model"), help="directory to write")
    parser.add_argument(
        "--threads", type=int, default=2, help="1 on a busy machine, or they wait for each other"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    template = (model_path() / "chat_template.jinja").read_text(encoding="utf-8")
    texts = [
        str(message["content"] or message["tool_calls"])
        for talk in islice(conversations(SEED + 1, UNSEEN), 12000)
        for message in talk.messages
    ]
    tokenizer = build_tokenizer(texts, VOCABULARY, template)
    save(train(tokenizer), tokenizer, options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
