"""What clients are told that a model can do: what its chat template teaches it, and what is read of it here."""

import pytest

from cortex.neuron.engine.torch.forcing import thought_of
from cortex.neuron.engine.torch.speech import Speech
from cortex.protocol.toolcalls.detect import family_of
from cortex.protocol.toolcalls.steps import ALL

TOOLS = "{% if tools %}{{ tools | tojson }} <tool_call>{'arguments'}</tool_call>{% endif %}"
HISTORY = "{{ '<tool_call>' + call.arguments }}"
THINKS = "{{ '<think>\n' }}"


@pytest.mark.parametrize(
    ("template", "family", "abilities"),
    [
        ("{{ messages }}", "", ()),
        (TOOLS, "", ("tools",)),
        (TOOLS + THINKS, "", ("reasoning", "tools")),
        (THINKS, "", ("reasoning",)),
        (HISTORY, "", ()),
        ("{{ tools }}", "", ()),
        ("{{ messages }}", "hermes", ("tools",)),
        (TOOLS, "plain", ()),
        ("<|channel|> <|message|> {{ tools }}", "", ("reasoning", "tools")),
    ],
)
def test_abilities_are_those_of_the_template(template: str, family: str, abilities: tuple[str, ...]) -> None:
    """Calls that the model is not told of, or that nothing here reads, are none; the settings know better."""
    meant = family or family_of(template)
    speech = Speech(meant, ALL, lambda _ids: "", thought_of(meant, template))
    assert speech.abilities(template) == abilities
