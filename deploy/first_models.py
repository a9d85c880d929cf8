"""The models.toml that the first `cortex up` writes: the demo model, and an example of every key to learn from."""

from __future__ import annotations

FIRST_MODELS = """\
# Which models there are, what each needs, and how dear it is to lose one. `cortex up` wrote this file once.
# It is read again within a second of a change; while it is wrong, what was read before stays, and the log says why.

# Names that nobody knows but that mean some small, quick model, such as gpt-5-mini or claude-haiku-4-5, get this one.
small_model = "cortex-demo"

[[models]]
id = "cortex-demo"                  # the name that clients use; the neuron of this machine holds it already
limit = { output = 1024 }           # tokens of an answer at most: a model as small as this may not find an end

# Every key, with an example; an id alone is a whole entry.
#
# [[models]]
# id = "org/example-27b"
# source = "/models/example-27b"      # where it is loaded from: a directory in Hugging Face layout
# engine = "torch"                    # torch or sim; without it the neuron's own
# quantization = ""                   # without it: as the files are
# vram_mb = 56000                     # the whole footprint in MiB: weights, keys and values, working memory
# min_devices = 2                     # devices of one host that share it evenly
# min_device_vram_mb = 30000          # what each of them must have in all
# affinity = ["beast"]                # hosts, or devices such as beast/cuda-0, that may hold it; without it: any
# pinned = false                      # true: placed without being asked for, and never evicted
# priority = 100                      # a model is evicted only for one of the same priority or a higher one
# ttl = 0                             # seconds of idleness after which it is unloaded; 0: never
# min_residency = 10                  # seconds for which it stays, whatever is wanted
# load_deadline = 600                 # seconds that one load may take
# replicas = { min = 0, max = 2 }     # copies kept at least; copies allowed while a queue is long and memory free
# slots = 0                           # requests at once on each copy; 0: the neuron's own
# limit = { context = 32768, output = 8192 }                 # tokens; without it: the model's own
# capabilities = ["chat", "text", "tools"]  # told to clients until a neuron reports
# cost = { input = 0.5, output = 2.0, cache_read = 0.05, cache_write = 0.5 }     # US dollars per million tokens
# sampling = { temperature = 0.7, top_p = 0.95, top_k = 20, max_tokens = 4096 }  # where a request is silent
# tool_calls = "hermes"               # formats in which it writes calls; without it: as its chat template tells
# repairs = true                      # mend calls that are almost right; without it: as neuron.toml says
# aliases = ["example", "example-*"]  # other names; * stands for anything
#
# [aliases]                           # the same, in one place: name = id
# "gpt-5*" = "org/example-27b"
# "claude-*" = "org/example-27b"
"""
