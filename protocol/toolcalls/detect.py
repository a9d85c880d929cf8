"""stub"""


def family_of(template: str) -> str:
    return "hermes" if "<tool_call>" in template else "plain"


def reasoning_is_open(family: str, tail: str) -> bool:
    return family != "plain" and tail.rstrip().endswith("<think>")
