"""More ways to ask for the facts of `insides.py`, in the manner of `subjects.py`."""

from cortex.neuron.demo.asking import Subject

__all__ = ["INSIDE_SUBJECTS"]

INSIDE_SUBJECTS = {
    "licence": Subject(
        nouns="the licence|the license|the licensing|the gpl|the terms of use|the copyright|the licence of cortex|the legal terms|the license of the code|the conditions of use",
        deeds="(use|copy|change|modify|sell|share|redistribute|fork|publish|give away) (cortex|it|the code|this software|the source)|use it (commercially|at work|in a product|at a company)",
        asked=(
            "(is|was) (cortex|it|this|the code|the software) (free software|open source|open|gpl|proprietary|for sale|public domain|commercial|free of charge)",
            "(what|which) (licence|license|terms|rights|conditions) (covers|governs|protects|applies to|come with|do i get with) (it|cortex|the code|the source|)",
            "(does|do) (cortex|i) (cost|have to pay for cortex|need to pay|cost money|cost anything)",
        ),
    ),
    "language": Subject(
        nouns="the programming language|the language of the code|the implementation language|the python version|the source language|the required python|the language cortex is made in",
        asked=(
            "(what|which) (language|programming language|version of python|python) (was|is|do they) (used to make it|behind cortex|chosen for cortex|used for the code|need|the source in|the code in)",
            "(is|was) (cortex|it|the code|the source) (python|rust|go|c++|java|pure python|typescript|in rust|in go|in c++)",
            "(do|must|should) (i|we|a developer) (know|learn|have|install) (python|rust|go|c++) (to change cortex|to work on it|for cortex|to run cortex|)",
            "(which|what) (developers|programmers) (can|could) work on (it|cortex)",
            "(how old|how new) (may|must) (my|the) python be",
        ),
    ),
    "transport": Subject(
        nouns="the transport|the message transport|zeromq|zmq|msgpack|the wire format|the wire|the sockets between the parts|the serialization|the messaging|the connection between the parts|the messaging library|the encoding of the messages",
        asked=(
            "(how|by what|with which library|through what|over what) (do|does|can) (the broker and the neurons|the parts|the processes|broker and neuron|the components|the edge and the broker) (talk|communicate|speak to each other|send messages|reach each other|connect|pass messages)",
            "(which|what) (library|format|transport|technology|sockets|encoding) (carries|carry|is used for|is behind|moves|do you use for) (the messages|messages|the traffic between the parts|internal messages)",
            "(is|does|do) (the parts|it|cortex|the inside) (talk|use|based on|built on|speak) (http|grpc|zeromq|json|msgpack|tcp|protobuf) (internally|inside|between the parts|)",
        ),
    ),
    "why zeromq": Subject(
        nouns="the reason for zeromq|the choice of zeromq|the advantage of zeromq|the merits of zeromq|the case for zeromq|the good sides of zeromq|the strong points of zmq|zeromq's advantages",
        asked=(
            "(why|how come|for what reason|what made them) (did they|do you|does cortex|did you|) (use|take|pick|choose|prefer|like) (zeromq|zmq) (and not grpc|instead of http|over kafka|rather than a message queue|)",
            "(what|which) (benefit|advantage|benefits|good|gain) (does|do|has) (zeromq|zmq) (bring|offer|have|give)",
            "(what|which) is (better|good|nice|so special) (about|with|in) (zeromq|zmq)",
            "(zeromq|zmq), (why|why that|why not something else|for what reason|what is the benefit)",
        ),
    ),
    "heartbeats": Subject(
        nouns="heartbeats|a heartbeat|the heartbeat|the heartbeat interval|the sign of life of a neuron|liveness|missed heartbeats|the frequency of heartbeats|failure detection|the detection of dead neurons",
        cases="(a|one|a single|two|three) heartbeats (is missed|is lost|are missed|get lost|fails to come|do not arrive)|a neuron (is silent|falls silent|sends no heartbeat|stops sending heartbeats)",
        asked=(
            "(how often|how frequently|how many times a minute|with what interval|with which period|how regularly) (does|do) (a neuron|neurons|the neuron|each neuron) (report|send a sign of life|say it is alive|send heartbeats|beat|ping the broker)",
            "(how|by what) (does|do|can|will) (the broker|cortex|one|it|the system) (notice|know|detect|learn|find out|see) (a dead neuron|that a neuron died|that a neuron is gone|a lost host|dead hosts|when a neuron is dead)",
            "(how many|after how many) (missed|lost) (heartbeats|beats) (is a neuron|is it|count as|until it is) (gone|dead|lost|given up|)",
            "(how long|after what time|after how many seconds) (until|before|does it take until|is) a (neuron|host) (is|counts as|) (declared|taken for|) (dead|gone|lost)",
        ),
    ),
    "pulse thread": Subject(
        nouns="the pulse thread|a pulse thread|the pulse|pulse|the thread for heartbeats|the heartbeat thread|the small thread in a device process",
        asked=(
            "(which|what) (thread|part of a device process) (beats|pulses|is for heartbeats|takes care of heartbeats|reports that a device lives)",
        ),
    ),
    "device thread": Subject(
        nouns="the device thread|a device thread|device threads|the thread that runs the model|the thread of a gpu|the thread with the cuda context|the step loop",
        asked=(
            "(which|what) thread (runs the model|makes the steps|holds the cuda context|talks to the gpu|computes|owns the sockets of a device|does the work on a device)",
        ),
    ),
    "supervisor": Subject(
        nouns="the supervisor|a supervisor|supervisor|the neuron supervisor|the supervisor of a host|the parent of the device processes|the discovery of devices|the process that restarts others",
        cases="a device process (dies|crashes|ends|is killed|exits|breaks)",
        asked=(
            "(who|what|which process) (starts|restarts|discovers|detects|counts|launches|looks after) (the|all|) (device processes|gpus of a host|devices of a host|devices on a host|process of a device)",
            "(how many|how much) (processes|device processes) (run|are started) (on a host|per host|per gpu|for each gpu)",
        ),
    ),
    "queue": Subject(
        nouns="the queue|a queue|the fair queue|the request queue|the waiting queue|waiting|the waiting time|fairness|queueing|the order of the requests|a waiting request|the queue at the broker",
        cases="(all|all the|all of the|our|both) (neurons|devices|replicas|slots|gpus|places|hosts) (are|happen to be) (busy|full|taken|in use|overloaded)|(every|each) (neuron|gpu|slot|device) is (busy|full|taken|in use)|there is (too much load|more load than we can take|no free slot|no free place)|too many (requests|users|clients) come (at once|in|)|no (neuron|device|replica) is free",
        asked=(
            "(how long|where|why|in which place) (must|does|can|will|may|should) (a|my) request (wait|be kept waiting|stay in the queue|queue up|stand in line|be queued)",
            "(is|are) (a|my) (request|requests) (refused|lost|dropped|rejected|queued|kept) (under load|when busy|when there is no room|when it is busy)",
            "(how|in what way) (is|does) (the queue|the order|the waiting line) (work|fair|decided|arranged)",
        ),
    ),
    "config": Subject(
        nouns="the configuration|the configuration files|the config|the config files|the settings|the settings files|cortex.toml|models.toml|neuron.toml|the toml files|the options|the file names of the configuration",
        deeds="(configure|customise|adjust|tune|set up|tweak|change the settings of|edit the config of|change the behaviour of) ($it|it|cortex|the broker|a neuron|the gateway)|(edit|change|find|write|see|open) the (config|configuration|settings|config files|toml files)",
        asked=(
            "(which|what|how many) (files|toml files|config files|configuration files) (hold|contain|have|make up|are read for|do i edit for|store) (the|) (settings|configuration|options|config)",
            "(where|in which file|in which files) (do i|can i|does one|are|is) (set|write|put|the|find) (options|settings|config|configuration|the options) (kept|stored|)",
            "(what|which things) (goes|go|is written|belongs|do i write) (into|in) (cortex.toml|models.toml|neuron.toml|the config files)",
        ),
    ),
    "environment": Subject(
        nouns="the environment variables|environment variables|the environment|an environment variable|env vars|the variables that override settings|settings from the environment|cortex_section__key",
        deeds="(override|overrule|replace|set|change|overwrite) (a|one|some|any) (setting|option|config key|config value|key of the config) (by|with|from|through|in|using) (the environment|an environment variable|env vars|a variable|the shell)|override (a setting|the config|a key) (for one run|in a container|in docker|)",
        asked=(
            "(which|what) (environment variable|variable|env var) (overrides|sets|changes|do i export for|is there for) (a setting|an option|a key|the config|a config value)",
            "(how|can) (is|are|do i|settings be|a setting be) (overridden|override a setting|set from outside|given in the environment) (in a container|with docker|from the shell|)",
        ),
    ),
    "keys": Subject(
        nouns="api keys|an api key|keys|the api keys|authentication|access control|passwords|a login|cortex-ctl keys|the keys command|the secret of a client|user accounts|credentials",
        deeds="(create|make|add|get|issue|generate|hand out|obtain|revoke) (an|a|new|some|another) (api key|key|api keys|keys|credentials)|(protect|secure|restrict|guard) (cortex|access|the api|the server) (with a key|with a password|against strangers|)|(authenticate|log in|identify) (a client|users|clients|)",
        asked=(
            "(do|must|does|should) (i|a client|clients|users|my app) (need|have|send|use|present) (an|a|some) (api key|key|password|login|credential|account)",
            "(how|with what) (do|are) (clients|users|they) (authenticate|authenticated|log in|identified)",
            "(where|from whom|how) do i get (a|an|my) (key|api key|password|login)",
        ),
    ),
    "remote access": Subject(
        nouns="remote access|network access|the listen setting|the option --http|access from other machines|access over the network|listening on all interfaces|access from my laptop|opening it to others|changing the port",
        deeds="(reach|open|use|access|expose|call|share|offer) (cortex|it|the api|the server|my cortex) (from|to|for|on|over) (another machine|others|my network|outside|the network|other computers|the whole office|my phone|the lan|another computer)|(change|set|choose|move|pick) (the|another|a different) (port|http port|address|listen address)|(listen|serve) on (another|a different) (port|address)",
        asked=(
            "(can|may|could|how can) (others|other machines|my colleagues|other people|my phone|my laptop|a remote client|the internet) (reach|use|connect to|access|see) (it|cortex|my server)",
            "(why|how come) (can|does) (i not|another machine not|nobody else|my laptop not) (reach|connect to|see) (it|cortex|the server)",
        ),
    ),
    "security": Subject(
        nouns="security|encryption|curve|the encryption|the security of the wire|tls|encrypted sockets|the protection of the traffic|the allow-list|secure connections between hosts|the safety of the traffic|zeromq curve",
        deeds="(encrypt|secure) (the traffic|the sockets|the connections between hosts|the wire|messages between hosts)",
        cases="(somebody|a stranger|an attacker|a hacker) (listens on the network|reads the traffic|tries to connect to the broker|joins with a false neuron|sniffs the wire)",
        asked=(
            "(is|are) (the|) (traffic|messages|sockets|data|wire|network traffic|connections) (between|among) (the|) (hosts|machines|broker and neurons|parts) (encrypted|secure|protected|safe|in clear text|readable)",
            "(how|with what|by what) (is|are) (the|) (traffic|sockets|connection|connections|wire|messages) (encrypted|secured|protected|kept secret)",
            "(can|could) (a stranger|an attacker|somebody|anyone) (read|listen to|intercept|sniff|fake) (the traffic|the network traffic|messages between hosts|a neuron)",
        ),
    ),
    "privacy": Subject(
        nouns="privacy|the logging of prompts|data protection|my private data|the secrecy of my prompts|prompt logging|my prompts in the log|the fate of my prompts",
        asked=(
            "(do|does|will|did) (you|cortex|it|the server|somebody|anybody|the admin) (log|store|keep|record|remember|see|read|collect) (my|our|the|all) (prompts|messages|conversations|questions|words|chats|data|texts|input)",
            "(is|are|will) (my|our|the) (prompt|prompts|chat|chats|data|conversation|questions|input) (be|) (private|logged|stored|kept|recorded|written to a log|saved to disk|safe from others|visible to the admin|collected)",
            "(what|which) (is logged|do you log|data do you keep|is kept of my prompts|lands in the log|stands in the logs)",
            "(where|how long) (are|do you keep) (my|the) (prompts|chats|conversations|messages) (stored|kept|logged|)",
        ),
    ),
    "hardware": Subject(
        nouns="the hardware|hardware|the hardware requirements|the supported gpus|nvidia|cuda|gpus|the gpu support|graphics cards|the requirements|running without a gpu|cpu only",
        deeds="(run|use|try|start) (it|cortex) (without a gpu|on a cpu|on a laptop|without cuda|without a graphics card|on an old machine|with two gpus|on a small machine)|use (several|two|four|many) (gpus|cards) (in one host|)",
        cases="(i have|there is|my machine has|my laptop has|a host has) (no gpu|no graphics card|only a cpu|no nvidia card|two gpus|several gpus|an amd card)",
        asked=(
            "(which|what) (gpu|card|hardware|machine|graphics card|computer) (do i need|does it need|is needed|should i buy|works|is enough|is supported|will do|does cortex want)",
            "(does|can|will|would) (it|cortex|this) (work|run|be used|start) (without|with no) (a gpu|any gpu|graphics card|cuda|nvidia)",
            "(is|are) (a gpu|gpus|nvidia cards|a graphics card|cuda) (needed|required|necessary|mandatory|optional|a must)",
        ),
    ),
    "engines": Subject(
        nouns="the engines|an engine|engines|the inference engine|the engine|torch|the torch engine|the sim engine|sim|the adapters|pytorch|the engine that runs the model|the backends",
        asked=(
            "(which|what) (engine|engines|backend|backends|framework|library) (runs|run|executes|computes|is behind|serve) (the|a) (model|models|inference)",
            "(does|can|will) (cortex|it|a neuron) (use|work with|run|support|drive) (vllm|torch|pytorch|transformers|llama.cpp|another engine|other engines|sglang)",
            "(which|what) (engine|engines) (is|are|do i|does a neuron) (the default|for tests|standard|choose|use|there|have)",
        ),
    ),
    "batching": Subject(
        nouns="batching|continuous batching|the batching of requests|parallel requests|concurrency|many users at a time|requests in parallel|simultaneous requests|sharing a step",
        deeds="(serve|handle|run|process|answer) (many|several|two|more|a hundred) (requests|users|clients|chats) (at once|in parallel|together|simultaneously|at the same time|concurrently)",
        cases="(two|several|many|ten|hundreds of) (users|clients|people|requests) (come together|ask in parallel|arrive at the same moment|share a model|use the same model)",
        asked=(
            "(can|does|will|may) (several|many|two|more) (users|clients|people|programs|requests) (share|use|ask) (a|one|the same) (model|gpu|neuron) (together|in parallel|at the same time|)",
            "(are|is|does) (requests|it|cortex|a neuron) (batched|batch|batch requests|run one after another|handled in parallel|work in parallel)",
        ),
    ),
    "tests": Subject(
        nouns="the tests|testing|the test suite|make test|make check|the checks|the linter|the type check|the import contracts|running the tests|the unit tests",
        deeds="(run|start|execute|launch|see) (the|all|its) (tests|test suite|checks|linter|unit tests|type checks|lint)|(check|test|verify|lint) (the code|my change|my patch|the source|cortex)",
        asked=(
            "(how|with what|by which command) (is|do i|are|can i) (cortex|the code|test|changes|check) (tested|checked|my change|the code|)",
        ),
    ),
    "install": Subject(
        nouns="the installation|installing cortex|the setup|pip install|the package|the extras|the deployment|the pip package|an install on a new machine|installing it by pip",
        deeds="(install|deploy|download|get|put) (it|cortex|the package|the software) (on a machine|on a host|with pip|on linux|on a server|on my machine||)|set cortex up (on a new machine|on a server|)|(install|get) the (dependencies|extras|requirements)",
        asked=(
            "(which|what) (package|extras|extra|dependencies|pip command) (do i|does a host|does one|must i|should i) (install|need|use|choose)",
            "(where|from where|how) (do i|can i|does one) (get|download|obtain|install) (cortex|it|the software|the package)",
        ),
    ),
    "who are you": Subject(
        nouns="yourself|you|your name|your identity|the model behind this chat|the model that answers|cortex-demo|the demo model|the model in the box",
        asked=(
            "(who|what|which model|which ai) (is|am i|do i) (this|chat with|chatting with|answering me|at the other end|writing to me)",
            "(are|is) (you|this|that) (a person|human|claude|chatgpt|an ai|a big model|real|a machine|gpt|llama|a bot|cortex-demo|the demo)",
            "(what|how) (do they|should i|may i|can i|do people) call you",
            "(which|what) (model|llm|ai) (answers|replies|writes|talks|is it that answers|stands behind this) (here|to me|me|now|)",
            "(state|say|give|tell me) your name",
        ),
    ),
    "size": Subject(
        nouns="your size|your parameters|the size of the model|the parameter count|the number of your weights|the size of the demo model|your weights in megabytes|the size of your file",
        asked=(
            "(how|are you) (big|large|small|tiny|heavy|huge) (are you|is your brain|is your file|a model|are your weights|is the demo model|or small|)",
            "(how many|how much) (weights|parameters|megabytes|numbers|bytes|layers|memory) (are in you|do you consist of|have you got|do you take|are you made of|do you need|does the demo model have)",
            "(are|is) (you|the demo|the demo model|this model) (a large model|a big model|small|tiny|large|very small)",
        ),
    ),
    "code": Subject(
        nouns="your coding skills|writing code|programming|code reviews by you",
        asked=(
            "(can|could|would|will|please|do|may) (you|) (write|make|program|code|develop|generate|produce|draft|create) (me|for me|) (a|an|some|the) (function|program|java class|game|web page|app|parser|unit test|sql query|shell script|website|regex|loop)",
            "(are|is) (you|it|the demo) (able to|good at|any good at|capable of) (program|coding|programming|write code|writing code|debugging|software development)",
            "(correct|fix|debug|refactor|review|optimise|translate|test|finish) (my|this|the|our) (code|bug|program|function|script|class|module|loop)",
            "(i need|i want|give me|show me) (a|some) (code|function|program|class|algorithm|script) (for|that|to) (sort a list|parse a file|sum numbers|reverse a string|read json|draw a chart|find primes)",
        ),
    ),
    "abilities": Subject(
        nouns="your abilities|your skills|your capabilities|your talents|your purpose|what you can do|what you know|your features|the things you can do",
        asked=(
            "(what|which things) (are|can|could|do|will) (you|i) (able to do|do for me|ask you|help with|help me with|offer|answer|talk about with you|good for|expect from you|capable of)",
            "(how|in which way|with what) (can|could|will|do) you (help|be of use|assist|support) (me|us|people|)",
            "(what|which) (questions|tasks|topics|jobs) (can|do|may|should) (you|i) (answer|do|know|ask|give you|handle)",
            "(i need|give me|show|can i get|please) (help|some help|a hint what to ask|your menu)",
        ),
    ),
    "speed": Subject(
        nouns="your speed|your tokens per second|the speed of the demo model|your performance|your latency|how fast you are|the reason why you are fast",
        asked=(
            "(how|are you) (fast|quick|slow|rapid) (are you|do you answer|do you write|can you write|or slow|enough|)",
            "(why|how come) (are|do|can) you (so|that|answer so|write so) (fast|quick|quickly|speedy|rapid)",
            "(how many|what number of) tokens (a second|per second|per minute) (do you|can you|will you) (make|write|do|produce|reach)",
            "(is|are) a (real|bigger|large|larger) model (slower|faster|as fast|more useful)",
        ),
    ),
    "maker": Subject(
        nouns="your maker|your training|your training data|your origin|your creator|your authors|the people who made you|the text you learnt from|how you were trained|your history",
        asked=(
            "(who|which people|which company|which lab) (made|trained|built|created|taught|wrote|designed|published) (you|the demo model|this model)",
            "(how|where|on what|with what|from what) (were|was|did) (you|the demo model|this model) (trained|made|learn|taught|created|learn to speak|get your knowledge)",
            "(what|which) (data|text|texts|books|corpus) (were you|was the demo model|did you|have you) (trained on|learn from|read|seen|made of)",
        ),
    ),
    "real model": Subject(
        nouns="a real model|a bigger model|my own model|another model|a larger model|a custom model|a model of my own|a better model than you|models from hugging face|weights of my own|my fine-tuned model",
        deeds="(add|use|serve|install|run|get|host|offer|register|set up|configure|deploy) (a|my own|another|a real|a bigger|a better|a larger|a new|a custom|my fine-tuned) (model|llm|checkpoint)|(put|place|store|copy) (the|my) (weights|model files|safetensors|checkpoint|model) (in the right place|on a host|on a neuron|)|(use|serve|run|add) (qwen|mistral|a qwen model|a model from hugging face|gemma)|replace (you|the demo model)",
        asked=(
            "(where|on which disk|in which directory) (do|must|should) (i|the|my) (put|store|weights|model files|safetensors) (the weights|my model|lie|live|be|a new model|)",
            "(what|which file) (do i|must i|should i) (edit|write|change|do) (to add|to serve|for|to get) (a|another|my own|a bigger) model",
            "(which|what) (format|file format|files) (must|should|do) (the|my) (weights|model|models) (have|be in|need|)",
            "(i have|here are|i fetched|i trained) (weights|a model|a checkpoint|safetensors files|my own model)(, how do i use it|, what next|. how do i serve it)",
        ),
    ),
}
