"""Every message that a client may read is a sentence; read from the source, so that a new one is looked at too."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for part in ("broker", "edge", "neuron") for path in (ROOT / part).rglob("*.py"))
PYTHON_WORDS = re.compile(r"\b(str|int|float|bool|dict|list|NoneType|None)\b")
MAKERS = re.compile(r"\b(Fault|fault|_http_refusal)\(")
HOLE = "…"
"""What stands for an expression inside a message."""


def text_of(node: ast.expr, assigned: list[ast.Assign]) -> str | None:
    """The text of a literal, an f-string or a variable that was assigned one; None if it comes from elsewhere."""
    if isinstance(node, ast.Name):
        earlier = [a.value for a in assigned if a.lineno < node.lineno and names(a) == [node.id]]
        return text_of(earlier[-1], []) if earlier else None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values)
    return None


def names(assignment: ast.Assign) -> list[str]:
    return [target.id for target in assignment.targets if isinstance(target, ast.Name)]


def messages(path: Path) -> Iterator[tuple[int, str, str | None]]:
    """Line, message and field of every fault that a file makes."""
    source = path.read_text()
    if not MAKERS.search(source):
        return
    nodes = list(ast.walk(ast.parse(source)))
    assigned = sorted((n for n in nodes if isinstance(n, ast.Assign)), key=lambda n: n.lineno)
    for node in nodes:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        message = {"Fault": given.get("message"), "fault": node.args[1] if len(node.args) > 1 else None}
        message["_http_refusal"] = message["fault"]
        if (found := message.get(node.func.id)) is not None and (
            text := text_of(found, assigned)
        ) is not None:
            param = text_of(given["param"], assigned) if "param" in given else None
            yield node.lineno, text, param


FOUND = [(path.relative_to(ROOT), *entry) for path in SOURCES for entry in messages(path)]


def test_messages_are_found_at_all() -> None:
    """This test looks at what it thinks it looks at."""
    assert len(FOUND) > 40


@pytest.mark.parametrize(("path", "line", "text", "param"), FOUND, ids=lambda value: str(value)[:40])
def test_a_message_is_a_sentence(path: Path, line: int, text: str, param: str | None) -> None:
    """It begins with a capital or with the field it is about, ends with a full stop, and speaks no Python."""
    begins = text[0].isupper() or text.startswith((HOLE, f"{param} "))
    assert begins, f"{path}:{line}: {text}"
    assert text.endswith((".", HOLE)), f"{path}:{line}: {text}"
    assert not PYTHON_WORDS.search(text), f"{path}:{line}: {text}"
