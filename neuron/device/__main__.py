"""Entry of a device process: `python -m cortex.neuron.device < SPEC`, started by the supervisor, never by hand.

The main thread waits for signals; the pulse starts before torch is imported, because importing it takes seconds; the
device thread does the rest. Exit codes: 0 stopped, 75 the device must be opened afresh, 79 the device thread made no
progress for too long, 70 anything else. (1: not even this thread could run, for one of native code kept the interpreter.)
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import logging
import os
import sys
import threading
import time
import traceback

import msgspec

from cortex.neuron.config import NeuronSettings
from cortex.neuron.core import Core
from cortex.neuron.device.counter import Counter, Tell
from cortex.neuron.device.lines import Addresses, Lines
from cortex.neuron.device.loop import DeviceLoop
from cortex.neuron.device.progress import PREFILL, Progress, Standing
from cortex.neuron.device.pulse import Pulse
from cortex.neuron.engine.base import Engine, Length
from cortex.neuron.ledger import budget_of
from cortex.protocol.frames import SESSION_BYTES
from cortex.protocol.kit import log as logs
from cortex.protocol.kit.process import STALLED, die_with_parent
from cortex.protocol.kit.signals import Stop
from cortex.protocol.kit.sockets import new_context
from cortex.protocol.values import Device

EX_SOFTWARE = 70
EX_TEMPFAIL = 75
FAREWELL_S = 1.5
LOOK_EVERY = 0.2
SHOWN = 8
"""Of a thread that stands, how many calls are told of, the innermost."""

log = logging.getLogger("cortex.device")


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor tells a device process."""

    settings: NeuronSettings
    device: Device
    asleep_bytes: int = 0
    parent: int


def build_engine(spec: Spec) -> Engine:
    """The configured engine; torch is imported only here, on the device's own thread."""
    settings = spec.settings
    if settings.neuron.engine == "sim":
        from cortex.neuron.engine.sim import SimEngine  # noqa: PLC0415  # only the chosen engine is imported

        return SimEngine(spec.device, settings.sim)
    from cortex.neuron.engine.torch.engine import TorchEngine  # noqa: PLC0415

    return TorchEngine(spec.device, settings.neuron.threads, rate=settings.neuron.load_mb_s)


def build_tell(spec: Spec) -> Tell:
    """How the configured engine counts tokens."""
    if spec.settings.neuron.engine == "sim":
        from cortex.neuron.engine.sim_words import prompt_tokens  # noqa: PLC0415

        return lambda chat, _source: Length(prompt_tokens(chat))
    from cortex.neuron.engine.torch.tokens import Tokens  # noqa: PLC0415

    return Tokens(spec.settings.models).count


def serve(spec: Spec) -> int:
    """Run one device until a signal or a fatal error; answers the exit code."""
    stop = Stop().install()
    context = new_context()
    addresses, session = Addresses(spec.settings.neuron.brokers), os.urandom(SESSION_BYTES)
    progress = Progress(time.monotonic())
    pulse = Pulse(context, addresses, session, progress)
    outcome = [EX_SOFTWARE]
    counters: list[Counter] = []

    def device_thread() -> None:
        try:
            node = spec.settings.neuron.name
            lines = Lines(context, addresses)
            lines.introduce(session, node, spec.device)
            progress.begin("loading", time.monotonic())
            engine = build_engine(spec)
            engine.start()
            gc.freeze()  # what imports made lives as long as the process; nobody shall search it for garbage
            # Only now: starting a torch engine forks, and a fork must not find another thread half-way.
            counters.append(Counter(context, addresses, session, build_tell(spec)))
            counters[0].start()
            budget = budget_of(spec.device, spec.settings.neuron.memory_mb)
            counting = tuple(addresses[index].counter for index in range(len(addresses)))
            core = Core(node, engine, len(addresses), budget, spec.asleep_bytes, counters=counting)
            core.start(spec.settings.models, time.monotonic())
            again = DeviceLoop(lines, session, core, engine, progress=progress, stop=stop).run()
            outcome[0] = EX_TEMPFAIL if again else 0
        except Exception as error:
            log.exception("the device stopped")
            poisoned = "CUDA error" in str(error) or type(error).__name__ == "AcceleratorError"
            outcome[0] = EX_TEMPFAIL if poisoned else EX_SOFTWARE
        finally:
            for counter in counters:
                counter.stop()
            stop.request()

    name = f"{spec.device.kind}-dev-{spec.device.index}"
    thread = threading.Thread(target=device_thread, name=name, daemon=True)
    pulse.start()
    thread.start()
    _attend(thread, progress, stop, spec.settings.neuron.stall_s)
    thread.join(FAREWELL_S)
    if thread.is_alive():  # nobody shall wait for a step that hangs
        log.info("left while %s", progress.phase)
        os._exit(0)
    pulse.stop()
    for counter in counters:
        counter.join(FAREWELL_S)
        if counter.is_alive():  # its sockets cannot be closed under it
            os._exit(outcome[0])
    context.destroy(linger=200)
    if any(one.name == "loader" for one in threading.enumerate()):  # a load cannot be interrupted
        os._exit(outcome[0])
    return outcome[0]


def _attend(thread: threading.Thread, progress: Progress, stop: Stop, stall_s: float) -> None:
    """Wait for the device thread's end, or a signal; a process whose device thread stands for ever ends here."""
    standing = Standing(progress, stall_s)
    arm_at = 0.0
    while thread.is_alive() and not stop.requested:
        now = time.monotonic()
        if stall_s and now >= arm_at:  # it needs no interpreter, which may be kept from us
            faulthandler.dump_traceback_later(2 * PREFILL * stall_s, exit=True)
            arm_at = now + max(LOOK_EVERY, stall_s / 8)
        if standing.is_hopeless(now):
            frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001  (there is no other way)
            spot = "".join(traceback.format_stack(frame)[-SHOWN:]).rstrip() if frame else ""
            log.error("gave up after %.0f s without progress, %s:\n%s", stall_s, progress.words, spot)
            os._exit(STALLED)
        thread.join(LOOK_EVERY)
    faulthandler.cancel_dump_traceback_later()


def main() -> int:
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=Spec)  # arguments end at 128 kB
    die_with_parent(spec.parent)
    logs.set_up(f"{spec.device.kind}-{spec.device.index}")
    with contextlib.suppress(KeyboardInterrupt):
        return serve(spec)
    return 0


if __name__ == "__main__":
    sys.exit(main())
