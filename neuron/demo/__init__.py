"""The bundled demo model: where it lies and what it is called.

Knows neither torch nor transformers: the launcher asks for the path long before anything loads them.
"""

from pathlib import Path

__all__ = ["MODEL_ID", "model_path"]

MODEL_ID = "cortex-demo"


def model_path() -> Path:
    """The directory with the weights, the tokenizer and the chat template."""
    return Path(__file__).parent / "model"
