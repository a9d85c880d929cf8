"""The torch engine of one device: the models it holds, each with its own jobs, stepped in turn by the device thread."""

from __future__ import annotations

import gc
import logging
import os

import msgspec
import torch

from cortex.neuron.config import ModelSettings
from cortex.neuron.engine.base import Job, Key, Output
from cortex.neuron.engine.torch.loader import load
from cortex.neuron.engine.torch.serving import Serving
from cortex.neuron.engine.torch.work import ENGINE_FAILED
from cortex.protocol.faults import Code, FaultError, fault
from cortex.protocol.request import model_of
from cortex.protocol.values import Device, Model, Phase

log = logging.getLogger("cortex.engine")


class TorchEngine:
    """See `cortex.neuron.engine.base.Engine`."""

    def __init__(self, device: Device, models: tuple[ModelSettings, ...], threads: int) -> None:
        self._device = device
        # A device process sees its own GPU alone, whatever its index on the host.
        self._torch_device = torch.device("cuda", 0) if device.kind == "cuda" else torch.device("cpu")
        self._settings = models
        self._threads = threads
        self._serving: dict[str, Serving] = {}
        self._failed: dict[str, str] = {}
        self._version = 0

    @property
    def device(self) -> Device:
        if self._torch_device.type == "cuda":
            free = torch.cuda.mem_get_info(self._torch_device)[0]
        else:
            free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
        return msgspec.structs.replace(self._device, free_bytes=free)

    @property
    def models(self) -> tuple[Model, ...]:
        return tuple(self._describe(settings.id) for settings in self._settings)

    @property
    def version(self) -> int:
        return self._version

    @property
    def phase(self) -> Phase:
        phases = {serving.phase for serving in self._serving.values()}
        return next((phase for phase in ("prefill", "decode") if phase in phases), "idle")

    def start(self) -> None:
        """Load every configured model. One that cannot be loaded is reported as such; if none can, raises."""
        if self._threads:
            torch.set_num_threads(self._threads)
        first: FaultError | None = None
        for settings in self._settings:
            try:
                self._serving[settings.id] = Serving(settings, load(settings, self._torch_device))
            except FaultError as error:
                log.error("cannot load %s: %s", settings.id, error)
                self._failed[settings.id] = str(error)
                first = first or error
        self._version += 1
        if first and not self._serving:
            raise first

    def admit(self, job: Job, now: float) -> int:
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
        with torch.inference_mode():
            for serving in self._serving.values():
                # What went wrong was told to its clients in the step before; now the process has to go.
                if serving.poisoned is not None:
                    raise serving.poisoned
                outputs += serving.step(now)
        return outputs

    def due(self, now: float) -> float | None:  # noqa: ARG002  (nothing here waits for a time)
        waiting = any(serving.busy or serving.poisoned for serving in self._serving.values())
        return 0.0 if waiting else None

    def close(self) -> None:
        for serving in self._serving.values():
            serving.close()
        self._serving.clear()
        gc.collect()
        if self._torch_device.type == "cuda":
            torch.cuda.empty_cache()

    def _serving_of(self, model: str) -> Serving:
        serving = self._serving.get(model)
        if serving is None:
            if model in self._failed:
                raise fault(Code.LOAD_FAILED, self._failed[model], param="model")
            raise fault(Code.MODEL_NOT_FOUND, f"{model} is not held here.", param="model")
        return serving

    def _describe(self, model: str) -> Model:
        if (serving := self._serving.get(model)) is not None:
            return serving.description
        detail = self._failed.get(model, "")
        return Model(id=model, state="failed" if detail else "loading", detail=detail)
