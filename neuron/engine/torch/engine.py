"""The torch engine of one device: the models it holds, each with its own jobs, stepped in turn by the device thread."""

from __future__ import annotations

import ctypes
import gc
import logging
import time
import weakref
from types import MappingProxyType
from typing import Any

import msgspec
import torch

from cortex.neuron.config import ModelSettings
from cortex.neuron.discover import available_bytes
from cortex.neuron.engine.base import Change, Job, Key, LoadAdvanced, Order, Output, Unloaded
from cortex.neuron.engine.torch import attention, files, speech
from cortex.neuron.engine.torch.loading import Complete, Loader
from cortex.neuron.engine.torch.readers import Readers
from cortex.neuron.engine.torch.serving import Serving
from cortex.neuron.engine.torch.sleeping import Sleeping
from cortex.neuron.engine.torch.work import ENGINE_FAILED
from cortex.protocol.faults import Code, FaultError, fault
from cortex.protocol.request import model_of
from cortex.protocol.values import Device, Phase, Usage

log = logging.getLogger("cortex.engine")

LOOK_EVERY = 0.05
"""Seconds between two looks at the loader while nothing else is to be done."""
LOOK_SOON = 0.002
"""Seconds between two looks at grammars that are being compiled, while nothing else is to be done."""
SEARCH_EVERY = 1.0
SHARE = 0.5
"""Of the time that a step of those who speak took, how much goes to a model that is being loaded."""
TURN = 0.05
"""Seconds for which weights are taken at a time while nobody speaks: messages wait no longer."""
DTYPES = MappingProxyType(
    {
        "": "auto",
        "none": "auto",
        "auto": "auto",
        "bf16": "bfloat16",
        "bfloat16": "bfloat16",
        "fp16": "float16",
        "f16": "float16",
        "float16": "float16",
        "fp32": "float32",
        "f32": "float32",
        "float32": "float32",
    }
)


class TorchEngine:
    """See `cortex.neuron.engine.base.Engine`."""

    name = "torch"

    def __init__(
        self, device: Device, threads: int, readers: Readers | None = None, rate: float = 0.0
    ) -> None:
        self.device = device
        # A device process sees its own GPU alone, whatever its index on the host.
        self._torch_device = torch.device("cuda", 0) if device.kind == "cuda" else torch.device("cpu")
        self._threads = threads
        self._readers = readers or Readers()
        self._loader = Loader(self._torch_device, self._readers.begin, rate)
        self._serving: dict[str, Serving] = {}
        self._reserved: dict[str, int] = {}
        """Bytes that models may take which are being loaded."""
        self._leaving: dict[str, weakref.ref[Any]] = {}
        """Models that were let go; the weights of each are there as long as its reference is alive."""
        self._search_at = 0.0
        self._sleeping = Sleeping(self._torch_device)
        self._prints: dict[str, files.Fingerprint] = {}
        """What the files of each model were when they were read."""

    @property
    def free_bytes(self) -> int:
        if self._torch_device.type == "cuda":
            free: int = torch.cuda.mem_get_info(self._torch_device)[0]
            return free
        return available_bytes()

    @property
    def preemptions(self) -> int:
        """How often answers under way had to give their memory up for a while, of all models held now."""
        return sum(serving.preemptions for serving in self._serving.values())

    @property
    def phase(self) -> Phase:
        phases = {serving.phase for serving in self._serving.values()}
        return next((phase for phase in ("prefill", "decode") if phase in phases), "idle")

    def taken(self, model: str) -> int:
        return self._serving[model].taken

    def start(self) -> None:
        self._readers.start()
        attention.register()
        if self._threads:
            torch.set_num_threads(self._threads)
        if self._torch_device.type == "cuda":
            torch.cuda.init()

    def footprint(self, order: Order) -> int:
        if order.devices:
            message = f"{order.model}: This engine does not spread a model over several devices."
            raise fault(Code.UNSUPPORTED, message, param="devices")
        settings = with_dtype(order)
        speech.check(settings)
        return files.footprint(settings, self._torch_device)

    def load(self, order: Order, reserved: int, now: float) -> None:  # noqa: ARG002  (a load takes what it takes)
        settings = with_dtype(order)
        self._reserved[order.model] = reserved
        sleeper = self._sleeping.take(settings)
        if sleeper is not None:
            sleeper.settings = settings
            self._loader.wake(sleeper)
        else:
            self._prints[order.model] = files.fingerprint(settings)
            self._loader.begin(settings)

    def unload(self, model: str, now: float) -> None:
        serving = self._serving.pop(model, None)
        if serving is None:
            self._loader.abandon(model)
            return
        self._leaving[model] = serving.close()
        self._search_at = now

    def sleep(self, model: str, now: float) -> None:
        if (serving := self._serving.pop(model, None)) is None:
            self.unload(model, now)
            return
        self._sleeping.lay(serving.settings, serving.rest(), self._prints[model])

    def forget(self, model: str) -> None:
        self._sleeping.forget(model)

    def admit(self, job: Job, now: float) -> Usage:
        try:
            with torch.inference_mode():
                return self._serving_of(model_of(job.request)).admit(job, now)
        except FaultError:
            raise
        except Exception as error:  # a tokenizer or a template that meets what nobody thought of
            log.exception("request %s could not be admitted", job.key[0])
            raise FaultError(ENGINE_FAILED) from error

    def cancel(self, key: Key) -> None:
        for serving in self._serving.values():
            serving.cancel(key)

    def step(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        began = time.monotonic()
        with torch.inference_mode():
            for serving in self._serving.values():
                # What went wrong was told to its clients in the step before; now the process has to go.
                if serving.poisoned is not None:
                    raise serving.poisoned
                outputs += serving.step(now)
        if self._leaving:
            outputs += self._returned(now)
        speaking = any(serving.busy for serving in self._serving.values())
        seconds = SHARE * (time.monotonic() - began) if speaking else TURN
        if self._sleeping.is_busy:
            slept = self._sleeping.advance(seconds)
            outputs += slept
            if slept:
                self._give_back()
        if self._loader.is_busy:
            outputs += self._progress(seconds)
        elif self._loader.broken is not None and not speaking:
            raise self._loader.broken  # whoever starts this process afresh has readers again
        if not speaking:
            for serving in self._serving.values():
                serving.warm()
        return outputs

    def _progress(self, seconds: float) -> list[Change]:
        """What the loader has to tell; a model that is complete takes its first job after this step."""
        changes: list[Change] = []
        for event in self._loader.poll(seconds):
            if isinstance(event, Complete):
                reserved = self._reserved.pop(event.model)
                serving = self._serving[event.model] = Serving(event.settings, event.loaded, reserved)
                changes.append(serving.done(event.load_ms, woke=event.woke))
            else:
                changes.append(event)
                if not isinstance(event, LoadAdvanced):
                    self._give_back()
        return changes

    def _returned(self, now: float) -> list[Change]:
        """Whose weights are really gone. What a cycle of references keeps is searched for once a second."""
        back = [model for model, weights in self._leaving.items() if weights() is None]
        if len(back) < len(self._leaving) and now >= self._search_at:
            self._search_at = now + SEARCH_EVERY
            gc.collect()
            back = [model for model, weights in self._leaving.items() if weights() is None]
        for model in back:
            del self._leaving[model]
        if back:
            self._give_back()
        return [Unloaded(model) for model in back]

    def due(self, now: float) -> float | None:
        busy = [serving for serving in self._serving.values() if serving.busy or serving.poisoned]
        if busy:
            return (
                LOOK_SOON if all(serving.is_held(now) and not serving.poisoned for serving in busy) else 0.0
            )
        if self._leaving:
            return max(0.0, self._search_at - now)
        if self._sleeping.is_busy or self._loader.broken is not None:
            return 0.0
        if not self._loader.is_busy:
            return None
        return 0.0 if self._loader.has_news else LOOK_EVERY

    def close(self) -> None:
        for serving in self._serving.values():
            serving.close()
        self._serving.clear()
        self._sleeping.close()
        self._loader.close()
        self._readers.close()
        gc.collect()
        self._leaving.clear()
        self._give_back()

    def _give_back(self) -> None:
        """What nobody uses any more goes back, for allocators keep it otherwise."""
        if self._torch_device.type == "cuda":
            torch.cuda.empty_cache()
        trim_heap()

    def _serving_of(self, model: str) -> Serving:
        serving = self._serving.get(model)
        if serving is None:
            raise fault(Code.MODEL_NOT_FOUND, f"{model} is not held here.", param="model")
        return serving


def trim_heap() -> None:
    """Give free pages of the heap back to the system, where the C library can (glibc's `malloc_trim`)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def with_dtype(order: Order) -> ModelSettings:
    """The settings of an order, with the number format that its quantization names. Raises `FaultError`."""
    wanted = order.quantization.lower()
    dtype = DTYPES.get(wanted)
    if dtype is None:
        known = ", ".join(name for name in DTYPES if name)
        message = f"{order.model}: this engine does not know the quantization {wanted!r}; it knows {known}"
        raise fault(Code.UNSUPPORTED, message, param="quantization")
    return msgspec.structs.replace(order.settings, dtype=dtype) if dtype != "auto" else order.settings
