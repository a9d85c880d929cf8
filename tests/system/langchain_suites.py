"""LangChain's own suites, as its clients are really used, against real processes and the demo model.

What fails is listed with its reason: what a model of two million parameters cannot do, never what is on the wire. Those
tests are run once more with a model that says what they wait for.
`test_langchain` runs this in a process of its own: these clients leave connections open, and bring plugins of pytest.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import toml
from langchain_anthropic import ChatAnthropic
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from stack import Stack

pytestmark = pytest.mark.asyncio(
    loop_scope="module"
)  # the clients keep connections from one test to the next

MODEL = "cortex-demo"
SCRIPTED = "scripted"
URLS: dict[str, str] = {}


def called(name: str, **arguments: object) -> str:
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


REPLIES = {
    "What is the value of magic_function(3)? Use the tool.": called("magic_function", input=3),
    "What is the value of magic_function_no_args()? Use the tool.": called("magic_function_no_args"),
    "Create a customer named '你好啊集团' (Hello Group) - a Chinese technology company": called(
        "unicode_customer", customer_name="你好啊集团", description="技术"
    ),
    "Create a customer named 'こんにちは株式会社' (Hello Corporation) - a Japanese company": called(
        "unicode_customer", customer_name="こんにちは株式会社", description="会社"
    ),
    "Tell me a joke about cats. Return the result as a JSON with 'setup' and 'punchline' keys. Return nothing other "
    "than JSON.": '{"setup": "Why?", "punchline": "Meow."}',
}
"""What the suites ask for that the demo model cannot do, and what a model that could would say."""


@pytest.fixture(scope="module", autouse=True)
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all suites: the demo model on one host, a scripted one on another."""
    data = tmp_path_factory.mktemp("langchain") / "c"
    with Stack(data, engine="torch", models=(MODEL,), threads=2) as running:
        script = {"family": "hermes", "replies": REPLIES, "otherwise": "As you wish."}
        host = {
            "neuron": {"name": "scripts", "engine": "sim"},
            "models": [{"id": SCRIPTED}],
            "sim": {"tokens_per_s": 2000, "scripts": {SCRIPTED: script}},
        }
        scripts = data / "scripts.toml"
        scripts.write_text(toml.dumps(host))
        running.run("scripts", "neuron", scripts, data)
        running.wait_for(lambda: hot(running) == {MODEL, SCRIPTED}, 120, "the models are never hot")
        URLS["edge"] = running.url
        yield running


def hot(stack: Stack) -> set[str]:
    report = stack.try_status()
    neurons = () if report is None else report.neurons
    return {model.id for neuron in neurons for model in neuron.models if model.state == "hot"}


@pytest.fixture
def benchmark() -> Callable[[Callable[[], None]], None]:
    """Runs what a suite would time, once: timings gate nothing here."""
    return lambda run: run()


@pytest.fixture
def vcr() -> None:
    """No answers are recorded: they are all real."""


class Suite(ChatModelIntegrationTests):
    """What all chat clients have in common."""

    @property
    def supports_image_inputs(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return SCRIPTED

    @pytest.mark.xfail(reason="the demo model copies numbers of one digit only", run=False)
    def test_tool_calling(self, model: BaseChatModel) -> None:
        super().test_tool_calling(model)

    @pytest.mark.xfail(reason="the demo model copies numbers of one digit only", run=False)
    async def test_tool_calling_async(self, model: BaseChatModel) -> None:
        await super().test_tool_calling_async(model)

    @pytest.mark.xfail(reason="the demo model always passes an argument", run=False)
    def test_tool_calling_with_no_arguments(self, model: BaseChatModel) -> None:
        super().test_tool_calling_with_no_arguments(model)

    @pytest.mark.xfail(reason="the demo model knows no Chinese", run=False)
    def test_unicode_tool_call_integration(self, model: BaseChatModel, **more: Any) -> None:
        super().test_unicode_tool_call_integration(model, **more)


class TestChat(Suite):
    """`ChatOpenAI` over `/v1/chat/completions`."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": MODEL,
            "base_url": f"{URLS['edge']}/v1",
            "api_key": "none",
            "stream_usage": True,
            "max_tokens": 100,
        }


class TestResponses(Suite):
    """`ChatOpenAI` over `/v1/responses`."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": MODEL,
            "base_url": f"{URLS['edge']}/v1",
            "api_key": "none",
            "use_responses_api": True,
            "max_tokens": 100,
        }


class TestMessages(Suite):
    """`ChatAnthropic` over `/v1/messages`."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatAnthropic

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": MODEL, "base_url": URLS["edge"], "api_key": "none", "max_tokens": 100}

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True


class TestEmbeddings(EmbeddingsIntegrationTests):
    """`OpenAIEmbeddings` over `/v1/embeddings`."""

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return OpenAIEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {
            "model": MODEL,
            "base_url": f"{URLS['edge']}/v1",
            "api_key": "none",
            "check_embedding_ctx_length": False,
        }


@pytest.mark.parametrize("name", [
    "test_tool_calling", "test_tool_calling_async", "test_tool_calling_with_no_arguments", "test_unicode_tool_call_integration",
])  # fmt: skip
@pytest.mark.parametrize("dialect", [TestChat, TestResponses, TestMessages])
async def test_the_wire_bears_what_the_model_cannot(dialect: type[Suite], name: str) -> None:
    """What the suites are told to expect to fail passes where a model says the right thing."""
    await run(dialect(), name)


@pytest.mark.parametrize("dialect", [TestChat, TestResponses])
async def test_any_json(dialect: type[Suite]) -> None:
    """A joke in two keys, which nothing but the prompt names."""

    class AnyJson(dialect):  # type: ignore[misc, valid-type]
        @property
        def supports_json_mode(self) -> bool:
            return True

    await run(AnyJson(), "test_json_mode")


async def run(suite: Suite, name: str) -> None:
    """The suite's own test, as it was before it was expected to fail."""
    model = suite.chat_model_class(**{**suite.chat_model_params, "model": SCRIPTED})
    done = getattr(ChatModelIntegrationTests, name)(suite, model)
    if inspect.isawaitable(done):
        await done
