"""What the demo model knows about the inside of cortex and about itself: the second half of its facts.

The grammar of the patterns is the one of `facts.py`; how they are expanded is not known here either.
"""

from cortex.neuron.demo.facts import Fact

__all__ = ["INSIDES"]

INSIDES = (
    Fact(
        "licence",
        "Cortex is free software under the GPL-3.0-or-later licence.",
        (
            "(which|what) (licence|license) (does cortex have|is it under|is cortex under|applies|has it|is used|do you use)",
            "(licence|license|the licence|gpl|what is the license|what's the licence|copyright|licensing)",
            "(is cortex|is it|is this) (free|open source|free software|gpl|proprietary|opensource|commercial)",
            "(may|can|am i allowed to) i (use|copy|change|modify|sell|share|redistribute) (cortex|it|the code) (freely|at work|for free|)",
            "under (which|what) (terms|licence|license) (is cortex|is it) (released|published|distributed|available)",
        ),
    ),
    Fact(
        "language",
        "Cortex is written in Python 3.11 or later.",
        (
            "(which|what) (language|programming language) (is cortex written in|is it written in|is used|does cortex use|is this)",
            "(in|with) (which|what) (language|programming language) (is|was) (cortex|it|the code) (written|made|built|programmed|implemented|coded)",
            "(programming language|python|python version|implementation language|the language)",
            "(is cortex|is it) (written|made|programmed|implemented|coded) in (rust|go|python|java|c|javascript)",
            "(which|what) (version of python|python version|python) (do i need|is required|does it need|does cortex need|is needed)",
        ),
    ),
    Fact(
        "transport",
        "The parts talk over ZeroMQ sockets, with msgpack messages.",
        (
            "(which|what) (transport|message transport|wire protocol|messaging|message queue|message library) (does cortex use|is used|do the parts use|is it)",
            "(how|over what|with what|through what) do (the parts|edge and broker|the broker and the neurons|neurons and brokers|the processes) (talk|communicate|speak|exchange messages|connect) (to each other|)",
            "(transport|zeromq|zmq|msgpack|wire format|the transport|serialization|sockets)",
            "(does|is) (cortex|it) (use|using) (grpc|zeromq|zmq|msgpack|rabbitmq|kafka|redis|http between the parts)",
            "what is (zeromq|zmq|msgpack|pyzmq) used for",
        ),
    ),
    Fact(
        "why zeromq",
        "ZeroMQ needs no server of its own, reconnects by itself and moves small messages fast.",
        (
            "$why (zeromq|zmq|use zeromq|using zeromq|does cortex use zeromq|did you choose zeromq|not grpc)",
            "(what are|name) the (advantages|benefits|strengths|reasons) (of|for) (zeromq|zmq)",
            "(reason for zeromq|advantage of zeromq|why zmq)",
            "what (speaks for|is good about|is nice about) (zeromq|zmq)",
        ),
    ),
    Fact(
        "heartbeats",
        "A neuron sends a heartbeat every second and counts as gone after three missed ones.",
        (
            "$what (heartbeats|a heartbeat|the heartbeat|heart beats)",
            "(how often|when|at what interval|how frequently) (are|is|does a neuron send|do neurons send) (heartbeats|a heartbeat|the heartbeat) (sent|)",
            "(heartbeat|heartbeats|heartbeat interval|liveness|missed heartbeats)",
            "(how does cortex|how do you|how does the broker|how quickly does it) (know|notice|detect|see|find out) (that|if|when|) (a|) (neuron|host) (is dead|is gone|is alive|died|is down)",
            "(when|after how long|after what time) (is a neuron|does a neuron count as|is a host|is a neuron considered) (gone|dead|lost|missing)",
            "(how many|what number of) (missed heartbeats|heartbeats) (mean|can be missed|until a neuron is gone|may be missed)",
        ),
    ),
    Fact(
        "pulse thread",
        "The pulse thread is a small thread in each device process that sends the heartbeats.",
        (
            "$what (the|a|) pulse (thread|)",
            "(pulse|pulse thread|the pulse thread|the pulse)",
            "(which|what) thread (sends|makes|emits) (the|) heartbeats",
            "(what does|what is|why is there) (the|a) pulse thread (do|for|good for|)",
        ),
    ),
    Fact(
        "device thread",
        "The device thread owns one device and its sockets: it runs the model step by step.",
        (
            "$what (the|a|) device (thread|threads)",
            "(device thread|the device thread|device threads)",
            "(which|what) thread (owns|uses|drives|runs on) (the|a) (device|gpu|card|model)",
            "(what does|why is there) (the|a) device thread (do|)",
            "(how many|which) threads (does a neuron have|are there|run on a device)",
        ),
    ),
    Fact(
        "supervisor",
        "The supervisor finds the devices of a host and starts one process for each of them.",
        (
            "$what (the|a|) supervisor",
            "(supervisor|the supervisor|neuron supervisor)",
            "(who|what|which part) (starts|restarts|watches|finds) the (device processes|devices|processes)",
            "(what happens|what) (if|when) a device process (dies|crashes|fails)",
        ),
    ),
    Fact(
        "queue",
        "A request that finds no free place waits in a fair queue at the broker, for 30 seconds at most.",
        (
            "$what (the|a|) (queue|fair queue|waiting queue|request queue)",
            "(what happens|what) (if|when) (all|all the|) (neurons|devices|replicas|models) are busy",
            "(queue|queueing|waiting|fairness|the queue|queue time)",
            "(how long|where) (does|can|may|will) (a|my) request (wait|wait in the queue|queue)",
            "(is|how is) the (queue|order|scheduling) (fair|made fair)",
        ),
    ),
    Fact(
        "config",
        "The configuration is in three files: cortex.toml, models.toml and neuron.toml.",
        (
            "(which|what) (config|configuration|settings) files (are there|does cortex read|does it use|exist|do i need|)",
            "$how (configure|set up|change the settings of|customise|customize|tune|edit the configuration of) $it",
            "(where is|where are|where do i find|where can i find|where do i change) the (config|configuration|settings|options|config files|configuration files)",
            "(config|configuration|config files|settings|toml|cortex.toml|models.toml|neuron.toml|options)",
            "(what is in|what goes into|what is) (cortex.toml|models.toml|neuron.toml)",
        ),
    ),
    Fact(
        "environment",
        "Set an environment variable named `CORTEX_SECTION__KEY` to override a setting.",
        (
            "$how (override|overwrite) (a setting|the config|a key|a config value|settings|an option)",
            "(which|what) environment variables (are there|does cortex read|can i set)",
            "(environment variables|environment variable|override a setting|env vars|env)",
            "(can|may) i (override|set) (settings|a setting|config) (by|with|through|in) (the environment|environment variables|an environment variable)",
        ),
    ),
    Fact(
        "keys",
        "Create API keys with `cortex-ctl keys`; without keys cortex listens only on this machine.",
        (
            "$how (create|make|add|get|issue|set|generate) (an|a|) (api key|key|api keys|keys|token)",
            "(do|must) i (need|have) (an|a) (api key|key|password|token)",
            "(api key|api keys|keys|authentication|auth|access control|password|login)",
            "$how (protect|secure|restrict|lock) (cortex|access|the api|it)",
        ),
    ),
    Fact(
        "remote access",
        "Cortex listens on 127.0.0.1 by default; give `--http HOST:PORT` and API keys to open it to others.",
        (
            "$how (reach|open|use|access|expose|call) (cortex|it|the api) (from another machine|to others|in my network|from outside|remotely|from another host)",
            "(can|may) (others|other machines|my colleagues|other people|other computers) (reach|use|connect to|access) (it|cortex)",
            "(remote access|network access|listen on all interfaces|other host)",
            "$how (change|set) the (http|listen|) (port|address)",
        ),
    ),
    Fact(
        "security",
        "Sockets between hosts are encrypted with CURVE, and every key has to be on an allow-list.",
        (
            "(is|are|how is|how are) (the|) (connections|traffic|connection between hosts|cortex|sockets|communication|wire) (secure|encrypted|secured|safe|protected)",
            "(security|encryption|curve|encrypted|tls)",
            "(does|do) (cortex|the parts) (encrypt|use encryption|use tls|secure) (the traffic|traffic|)",
            "(which|what) encryption (is used|does cortex use)",
        ),
    ),
    Fact(
        "privacy",
        "No: prompts are never logged.",
        (
            "(are|do you|does cortex|is) (log|logging|logged|store|storing|save|record|keep|saving) (my|the|) (prompts|prompt|messages|requests|data|conversations|text)",
            "(are|is) (my|the) (prompts|messages|prompt|conversations|data) (logged|stored|saved|recorded|private|kept)",
            "(privacy|private|logging of prompts|data protection)",
            "(does|can) (anybody|someone|anyone) (read|see) my (prompts|messages|conversations)",
        ),
    ),
    Fact(
        "hardware",
        "Cortex uses every NVIDIA GPU it finds on a host; without one it runs on the CPU.",
        (
            "(do|must|does) (i|cortex|it) need a (gpu|graphics card|cuda device|nvidia card)",
            "(can|does|will) (cortex|it) (run|work) (without a gpu|on a cpu|on the cpu|on my laptop|without cuda|on cpu only)",
            "(which|what) (hardware|gpus|gpu|cards|devices) (does cortex|do i|does it|is|are) (need|support|use|supported|required|)",
            "(hardware|gpu|cpu|nvidia|requirements|gpu support|cuda)",
        ),
    ),
    Fact(
        "engines",
        "Engines run the models: torch is the default, sim is scripted for tests, and adapters reach others.",
        (
            "(which|what) (engine|engines|inference engine) (does cortex use|are there|is used|run the models|exist|can i choose)",
            "$what (an|the|) (engine|engines|inference engine)",
            "(engine|engines|torch|sim engine|the engine|pytorch)",
            "(does|is) (cortex|it) (use|using|based on) (torch|pytorch|vllm|transformers)",
        ),
    ),
    Fact(
        "batching",
        "Yes: requests of one model are batched continuously, so many clients share each step.",
        (
            "(does|can) (cortex|it|a neuron) (batch|handle many|serve many|serve several|run many|handle several) (requests|clients|users) (at once|at the same time|together|in parallel|)",
            "$what (continuous batching|batching)",
            "(batching|continuous batching|parallel requests|concurrency|many users)",
            "(how many) (requests|users|clients) (at once|at the same time|can it serve|in parallel|can cortex handle)",
        ),
    ),
    Fact(
        "tests",
        "Run `make test` for the tests and `make check` for lint, types and import contracts.",
        (
            "$how (run|start|execute) the (tests|test suite|checks|linter|unit tests)",
            "(tests|testing|make test|make check|test suite|run tests|lint)",
            "(how is|is) cortex tested",
            "what does (make test|make check) do",
        ),
    ),
    Fact(
        "install",
        "In a checkout `make up` installs what is needed; elsewhere use pip with the extras edge and neuron.",
        (
            "$how (install|get|set up|deploy|download) (cortex|it|the package|the software)",
            "(install|installation|installing|setup|installing cortex|pip install|deployment)",
            "(which|what) (pip package|package|extras) do i (need|install)",
            "(where do i|how do i) (download|get) (cortex|it)",
        ),
    ),
    Fact(
        "who are you",
        "I am cortex-demo, a tiny demo model that comes with cortex.",
        (
            "(who|what) are you",
            "(which|what) (model|language model|llm|ai|version|kind of model) (are you|is this|am i talking to|do i talk to|answers me)",
            "(what is your name|your name|introduce yourself|tell me about yourself|describe yourself|who is this|who am i talking to|what do i call you|whats your name)",
            "are you (claude|chatgpt|gpt|gpt-4|llama|qwen|gemini|a human|a robot|an ai|a real model|human|a person|a bot|a language model|a demo)",
        ),
    ),
    Fact(
        "size",
        "I am very small: fewer than two million parameters, in a file of less than four megabytes.",
        (
            "(how big|how large|how small|how heavy) (are you|is this model|is the model|is the demo model|is the file)",
            "(how many|what number of) (parameters|weights|layers|params|megabytes|bytes) (do you have|have you|are you|has the model|does the model have|does the demo model have)",
            "(your size|model size|size|parameter count|parameters|number of parameters)",
            "what is your (size|parameter count)",
        ),
    ),
    Fact(
        "code",
        "No, I cannot write code: I am only a tiny demo model.",
        (
            "(can|could|do|are) you (write|able to write|generate|produce|create|help me with|debug|refactor|review|fix) (code|python|a program|programs|a function|a script|python code|software|my code)",
            "(write|implement|program|code|give me) (a|an|some|me a) (python|rust|small|simple|new|short|) (function|program|script|class|game|web page|app|code|algorithm)",
            "(fix|debug|refactor|review|improve) (my|this|the) (code|bug|program|function|script)",
            "(can you|do you know how to) (program|code|do programming)",
        ),
    ),
    Fact(
        "abilities",
        "I answer questions about cortex, count, repeat words and call the tools I am offered.",
        (
            "what (can|do) you (do|know|do for me|help me with|know about|offer)",
            "(help|help me|what can i ask|what can i ask you|your abilities|capabilities|what should i ask|what else can you do)",
            "(how can you help|how can you help me|can you help me|what are you good at|what are you able to do|what are your skills)",
            "(what are you for|what is your purpose|why do you exist|what are your capabilities|what tasks can you do)",
        ),
    ),
    Fact(
        "speed",
        "Yes, I am fast because I am tiny; a real model is slower and far more useful.",
        (
            "(are you|is it|is this|is the model|is the demo model) (fast|quick|slow|speedy)",
            "(how fast|how quick|how slow) (are you|is it|is this model|is the model)",
            "(speed|your speed|tokens per second|performance|latency)",
            "how many tokens per second (do you|can you|does the model) (make|do|generate|produce|write)",
            "why are you so (fast|quick)",
        ),
    ),
    Fact(
        "maker",
        "The cortex project trained me from scratch, only on text that it wrote itself.",
        (
            "(who|which company|what company) (made|built|trained|created|wrote|developed|programmed|is behind) (you|this model|the demo model)",
            "(where do you come from|who is your maker|your maker|your creator|your author|who is your creator|who are your authors)",
            "(what|on what data|on what|how|with which data) (were you|have you been|was this model) (trained|trained on|made|made of|created)",
            "(training data|your training|your training data)",
        ),
    ),
    Fact(
        "real model",
        "Name it in models.toml and put its safetensors files on a neuron's disk; then ask for it by name.",
        (
            "$how (add|use|serve|install|run|get|configure|host) (a|my own|another|a real|a bigger|my|a better|a new|an own|a larger) (model|llm|models|checkpoint)",
            "(add a model|own model|real model|bigger model|another model|custom model|new model)",
            "(can|may) i (use|serve|run|add) (my own|another|other|bigger|real) (model|models)",
            "(where|how) do i put (the|my) (weights|model files|safetensors|model)",
        ),
    ),
)
