"""The torch engine: continuous batching over unmodified transformers model classes."""
