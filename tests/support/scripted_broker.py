"""A broker's ctl plane that answers from a script: a real ROUTER socket in a thread of the test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence

import zmq
from in_thread import InThread
from msgspec import Struct

from cortex.protocol.codec import decode
from cortex.protocol.faults import Code, Fault
from cortex.protocol.frames import pack, unpack
from cortex.protocol.kit.sockets import Plane, bind, new_context, open_socket
from cortex.protocol.messages import CommandFailed

LOST = None
"""In a script: the question arrives, and no answer ever does."""

Answer = Struct | None | Callable[[Struct], "Struct | None"]
Script = Mapping[type[Struct], Answer | Sequence[Answer]]


class ScriptedBroker(InThread):
    """`script` maps a message's type to its answers in turn, of which the last is given again and again.

    An answer is a message, LOST, or a function of the question. What the script does not name is refused, as a
    broker refuses what it does not know. `seen` are the questions; setting `session` makes it another process.
    """

    def __init__(self, endpoint: str, script: Script, *, session: bytes = b"process1") -> None:
        super().__init__()
        self.endpoint = endpoint
        self.session = session
        self.seen: list[Struct] = []
        self._script = {
            kind: list(answers) if isinstance(answers, list | tuple) else [answers]
            for kind, answers in script.items()
        }

    def asked(self, kind: type[Struct]) -> list[Struct]:
        """The questions of one type."""
        return [message for message in self.seen if isinstance(message, kind)]

    def run(self) -> None:
        context = new_context()
        socket = open_socket(context, zmq.ROUTER, Plane.CTL_SERVER)
        try:
            bind(socket, self.endpoint)
            self.ready.set()
            while not self.stop.is_set():
                if socket.poll(10):
                    self._answer(socket)
        finally:  # a context that is left open blocks whoever collects it
            socket.close(linger=0)
            context.term()

    def _answer(self, socket: zmq.Socket[bytes]) -> None:
        frames = socket.recv_multipart()
        start = frames.index(b"") + 1
        envelope = unpack(frames[start:])
        message = decode(envelope.kind, envelope.body)
        self.seen.append(message)
        answers = self._script.get(type(message), [unknown])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        reply = answer(message) if callable(answer) else answer
        if reply is not None:
            with contextlib.suppress(zmq.ZMQError):  # an operator that has gone
                socket.send_multipart([*frames[:start], *pack(reply, self.session)])


def unknown(message: Struct) -> CommandFailed:
    """What a broker says to a message that it does not know."""
    text = f"This broker does not know the command {type(message).__name__}."
    return CommandFailed(fault=Fault(code=Code.UNSUPPORTED_MESSAGE, message=text))
