"""What the demo model knows: questions about cortex and about itself, each with one plain answer.

A pattern is a small grammar: `(a|b|)` means one of these, `$name` stands for a phrase from `PHRASES`. This file does
not know how patterns are expanded, nor how a model learns from them.
"""

from dataclasses import dataclass

__all__ = ["FACTS", "PHRASES", "Fact"]


@dataclass(frozen=True)
class Fact:
    topic: str
    answer: str
    patterns: tuple[str, ...]


PHRASES = {
    "what": "(what is|what is|what's|whats|what are|tell me about|tell me what is|explain|explain to me|describe|define"
    "|can you explain|what exactly is|i want to know what is|do you know what is|help me understand"
    "|what do you know about|say something about|what is meant by|give me a short explanation of)",
    "how": "(how do i|how can i|how to|how would i|how do you|how does one|what is the way to|how should i|how do we"
    "|show me how to|tell me how to|how might i|i want to|i need to|what do i type to|what command do i use to"
    "|which command lets me|what must i do to|is there a command to|is there a way to)",
    "why": "(why|why does it|why do you|for what reason|how come|what is the reason that|why did they|what is the point of)",
    "it": "(it|cortex|the server|the system|the proxy|this|the whole thing|everything|the service|the program)",
    "where": "(where is|where do i find|on which port is|which port has|what port is|what is the port (of|for)|port (of|for)"
    "|what port (does|do) i use for|at which port do i find|what is the address of|where can i (see|get|read|find))",
}

FACTS = (
    Fact(
        "cortex",
        "Cortex is a reverse proxy and fleet manager for self-hosted LLM inference.",
        (
            "$what cortex",
            "$what this (project|software|program|system|server|thing)",
            "what (does cortex do|is cortex for|is cortex used for|can cortex do|is the purpose of cortex)",
            "(cortex|what kind of (software|program|project|tool) is (cortex|this))",
            "(why should i use cortex|what is the use of cortex|what good is cortex|give me an overview of cortex)",
            "(in one sentence|in short|briefly), what is cortex",
        ),
    ),
    Fact(
        "neuron",
        "A neuron is the process on a host that owns its devices, loads models and generates tokens.",
        (
            "$what (a|the|) (neuron|neurons)",
            "what (does|do|can) (a|the) neuron(s|) (do|have to do)",
            "(neuron|neurons|the word neuron)",
            "(what is a neuron for|what is the job of a neuron|what is the task of the neuron|define a neuron for me)",
            "(which part|who|what) (runs|loads|holds|executes) the (models|model|weights)",
            "(where do|where are) (models|the models|the weights) (run|live|loaded|executed)",
        ),
    ),
    Fact(
        "broker",
        "The broker routes each request to a neuron and decides which models are loaded where.",
        (
            "$what (a|the|) (broker|brokers)",
            "what (does|do|can) (a|the) broker(s|) (do|decide)",
            "(broker|brokers|the broker)",
            "(who|what|which part) (routes|routes requests|dispatches|decides|distributes the requests|sends requests to neurons)",
            "(who|which part|what) (decides|chooses|picks) (where|which neuron|the neuron|which device) (a|the|) (model|request) (goes|runs|is loaded|gets)",
            "(where is|who does) the routing",
            "(what is the job of|what is the role of) the broker",
        ),
    ),
    Fact(
        "edge",
        "The edge is the HTTP front of cortex: it speaks the client dialects and streams the answers.",
        (
            "$what (an|the|) (edge|edges)",
            "what (does|do|can) (an|the) edge (do|know)",
            "(edge|the edge|the edge part)",
            "(who|which part|what) (speaks|handles|serves|accepts|talks) (http|http requests|the clients|to clients)",
            "(what is the job of|what is the role of|what is the task of) the edge",
            "(where do|which part do) (clients|http requests|requests) (arrive|come in|connect to|enter)",
        ),
    ),
    Fact(
        "parts",
        "Cortex has three parts: the edge takes HTTP, the broker routes, and neurons run the models.",
        (
            "(what|which) (are the|) (parts|components|pieces|modules|processes) (of cortex|does cortex have|make up cortex|is cortex made of|are there)",
            "(how is|what is) (cortex|it) (built|structured|organised|organized|composed of|made of|made up of)",
            "(what is|explain|describe|show me) the (architecture|structure|design|layout) (of cortex|)",
            "(list|name|tell me) the (parts|components|pieces) (of cortex|)",
            "(how many|how much) (parts|components|pieces) (does cortex have|are there|make up cortex)",
            "how does (cortex|it|this|the system) work",
        ),
    ),
    Fact(
        "protocol",
        "The protocol is what the parts share: messages, requests, faults and the tool-call grammar.",
        (
            "$what the protocol (folder|package|part|)",
            "(what is in|what does) the protocol (package|folder|contain|do)",
            "(which|what) (messages|words|language) do the parts (share|exchange|speak|have in common)",
            "(protocol|the protocol)",
            "(where are|where do i find) the (messages|message definitions) defined",
        ),
    ),
    Fact(
        "mesh",
        "The mesh is several brokers working together, so that losing one broker cuts no stream.",
        (
            "$what (a|the|) (mesh|broker mesh)",
            "(mesh|the mesh)",
            "(can|may) (i|there) (run|have|be|use) (several|many|two|more|multiple) brokers",
            "(what happens|what do you do|what) (if|when) (a|the|one) broker (dies|crashes|fails|is killed|goes down|stops|is lost|disappears)",
            "(is|will) the broker (be|) (a single point of failure|highly available|redundant)",
            "(how many|why several|why many|why multiple) brokers (are there|can i run|should i run|)",
        ),
    ),
    Fact(
        "start",
        "Run `make up` in a checkout, or `cortex up` once it is installed; it prints ready and the address.",
        (
            "$how (start|launch|run|boot|bring up|fire up|begin|spin up|get running|turn on) $it (up|)",
            "(how|where) do i (begin|get started|get going|start)",
            "(starting|launching|running) (cortex|it|the server)",
            "(getting started|quick start|quickstart|first steps|start cortex|start|launch)",
            "(which|what) (command|make target) (starts|launches|runs|boots|brings up) $it",
            "what does (make up|cortex up) do",
        ),
    ),
    Fact(
        "stop",
        "Press Ctrl-C: cortex stops all its parts within five seconds.",
        (
            "$how (stop|quit|exit|end|kill|shut down|halt|terminate|close|turn off|shutdown|finish) $it",
            "(stopping|quitting|shutting down) (cortex|it|the server)",
            "(stop cortex|shutdown|how to quit|quit|exit)",
            "(which|what) (key|command|keys|shortcut) (stops|ends|kills|quits|shuts down) $it",
            "what does (ctrl-c|ctrl c|control c|control-c) do",
            "how long does (stopping|shutdown|it take to stop|shutting down) (take|)",
        ),
    ),
    Fact(
        "status",
        "Run `cortex status`: it lists the brokers, the neurons and the models they hold.",
        (
            "$how (see|show|check|get|view|inspect|look at|find out|print|display|query) the (status|state|health|condition) (of (it|cortex|the fleet|the system)|)",
            "(status|the status|status command|cortex status|health|state of the fleet)",
            "(how|where) (do|can) i (see|tell|know|check) (if|whether) (it|everything|cortex|the fleet) (runs|is running|works|is fine|is healthy|is ok|is up)",
            "(which|what) command (shows|prints|lists|tells me) (the|) (status|state|neurons|fleet)",
            "(is|are) (everything|cortex|all neurons|the neurons) (ok|running|up|healthy|alive)",
            "$how (list|see|show) the (neurons|fleet|brokers|hosts)",
        ),
    ),
    Fact(
        "models list",
        "Ask `GET /v1/models` or run `cortex-ctl models` to list the models.",
        (
            "$how (list|see|show|get|find|view|enumerate) (the|all|all the|available|) models",
            "(which|what) models (are there|are available|do you have|can i use|does cortex have|exist|are served|are installed)",
            "(list models|model list|models|available models|list of models)",
            "(where is|where do i find|show me) the (list of models|model list)",
        ),
    ),
    Fact(
        "http port",
        "The HTTP port is 31313: clients use http://127.0.0.1:31313.",
        (
            "$where (http|the http api|the api|the server|cortex|the edge|the api server|the web interface|requests)",
            "(which|what) (port|address|url|endpoint|host and port) (does|do) (cortex|it|the api|the server|the edge|i) (listen on|use|serve on|connect to|call|need)",
            "(http port|the port|port|api port|listen address|base url|default port|server port|the default port)",
            "(what|which) is the (default|http|api|) (port|base url|url|address|endpoint)",
            "(on|to|at) (which|what) (port|address|url) (do|should|must) (i|clients) (connect|send requests|talk|call)",
        ),
    ),
    Fact(
        "metrics port",
        "Metrics are served for Prometheus on port 31314.",
        (
            "$where (the|) (metrics|prometheus|prometheus metrics|monitoring|statistics)",
            "(metrics|metrics port|prometheus|monitoring|metric|the metrics port|prometheus port)",
            "(which|what) port (has|serves|exports|exposes|is used for|gives) (the|) (metrics|prometheus|statistics)",
            "$how (scrape|monitor|get metrics from|read the metrics of|observe|get|collect) (cortex|metrics|it with prometheus)",
            "(does|can) (cortex|it) (export|have|expose|support|offer) (metrics|prometheus|monitoring|statistics)",
        ),
    ),
    Fact(
        "broker ports",
        "A broker uses 31320 for edges, 31321 for neurons, 31322 for control and 31323 for its peers.",
        (
            "(which|what) ports (does|do|are used by) (a|the|) (broker|brokers|zeromq) (use|need|listen on|open|)",
            "(broker port|broker ports|zeromq ports|control port|ctl port|peer port|neuron plane|edge plane)",
            "$where (the|) (broker|control plane|neuron plane|edge plane|ctl|peers)",
            "(what is|what is on) port (31320|31321|31322|31323)",
            "(to|on) (which|what) port (do|does) (a|the|) (neuron|neurons|edges) (connect|talk|register)",
        ),
    ),
    Fact(
        "dialects",
        "Cortex speaks the OpenAI and the Anthropic dialect: chat completions, responses and messages.",
        (
            "$what the (dialects|apis|client dialects|supported apis)",
            "(which|what) (dialects|apis|api|protocols|api formats|client protocols|dialect) (does|do|are|can) (cortex|it|you|supported|i) (speak|support|understand|use|offer|)",
            "(dialects|apis|supported dialects|supported apis|anthropic|openai|openai api|anthropic api)",
            "(does|can|will) (cortex|it) (speak|support|understand|offer|handle) (the|) (openai|anthropic|claude|chat completions|messages|responses) (api|dialect|format|protocol|)",
            "(is|are) (cortex|it) (openai|anthropic) compatible",
        ),
    ),
    Fact(
        "openai client",
        'Set the client\'s base URL: `OpenAI(base_url="http://127.0.0.1:31313/v1", api_key="none")`.',
        (
            "$how (use|connect|point|set up|configure|call cortex with|talk to cortex with) (the|an|my|) (openai|python|openai python) (client|sdk|library|package)",
            "(openai client|openai sdk|python client|using the openai client|openai python sdk|sdk)",
            "(which|what) base url (do i|should i|must i) (set|give|use) (in|for|with|to) the (openai|) (client|sdk)",
            "(give me|show me|show|i need) (an|a|) (python|client|code|openai) (example|snippet|sample)",
            "$how (call|use|query|reach|send requests to) (cortex|it|the api) from (python|my program|my code)",
        ),
    ),
    Fact(
        "claude code",
        "Set `ANTHROPIC_BASE_URL=http://127.0.0.1:31313` and start Claude Code as usual.",
        (
            "$how (use|connect|point|set up|configure|run) (claude code|claude|the anthropic client|the anthropic sdk|claude code with cortex)",
            "(claude code|anthropic client|anthropic sdk|claude|using claude code)",
            "(does|can|will) (claude code|claude|the anthropic sdk) (work|run|connect) (with|to|on) (cortex|it|this)",
            "(which|what) (variable|environment variable|setting) does (claude code|the anthropic client) need",
        ),
    ),
    Fact(
        "curl",
        "Post JSON to http://127.0.0.1:31313/v1/chat/completions with curl.",
        (
            "$how (use|call|try|test|query) (curl|it with curl|cortex with curl|the api with curl|it from the shell)",
            "(curl|curl example|curl command|example with curl|an example with curl)",
            "(give me|show me|what is) (a|the) curl (command|example|call|line)",
            "$how (send|make|post) (a|my first|an http|one) request",
        ),
    ),
    Fact(
        "neuron dies",
        "Its requests continue on another neuron from the last token, or end with an error that can be retried.",
        (
            "(what happens|what happens|what do you do|what does cortex do|what) (if|when|once|after) (a|the|one|some) (neuron|host|machine|node|worker) (dies|crashes|fails|is killed|goes down|is lost|disappears|breaks|is gone|stops|falls over)",
            "(what happens|what becomes|what) (to|of|with) (my|the|running|a) (request|requests|stream|streams) (if|when) (a|the|its) (neuron|host|machine) (dies|crashes|fails|goes down|is killed)",
            "(how does cortex|how do you) (handle|survive|recover from|cope with) (a|the|) (neuron failure|failures|crashes|dead neuron|dead neurons|a crash|lost neurons)",
            "(neuron failure|failover|crash recovery|dead neuron|neuron dies|neuron crash|recovery|fault tolerance)",
            "(do|will) i lose my (request|stream|answer) (if|when) a (neuron|host) (dies|crashes|fails)",
        ),
    ),
    Fact(
        "neuron joins",
        "A neuron joins by itself: start `cortex neuron` with the broker's endpoint and it registers.",
        (
            "$how (add|join|register|attach|connect|enroll|plug in) (a|another|a new|more|new|one more) (neuron|neurons|host|machine|gpu host|node|worker) (to cortex|to the fleet|)",
            "(how does|how do|when does) (a|the|) (neuron|neurons|host|new neuron) (join|register|connect|enter the fleet|get in|find the broker)",
            "(join|joining|add a neuron|adding hosts|registration|scale out|new host|more hosts)",
            "$how (scale|grow|extend|enlarge) (cortex|the fleet|it|out)",
            "must i (list|configure|declare|register) (every|each|the) (neuron|neurons|host)",
        ),
    ),
    Fact(
        "eviction",
        "Eviction unloads an idle, unpinned model to make room on a device for another one.",
        (
            "$what (eviction|evict|evicting|an eviction|evicted)",
            "(eviction|evict|the word eviction|model eviction)",
            "(when|why|how) (is|are|does|do|will) (a|the|) (model|models) (be|) (evicted|unloaded|removed|thrown out|get evicted|get unloaded)",
            "what happens (when|if) (there is no room|memory is full|the memory is full|a device is full|the gpu is full|a model does not fit|there is not enough memory)",
            "(what does|what is meant by) (evict|eviction|evicted) (mean|)",
            "$how (free|make room on) (a device|memory|a gpu|gpu memory)",
        ),
    ),
    Fact(
        "eviction strategies",
        "There are three eviction strategies: lru, priority and cost.",
        (
            "(which|what) (eviction|) strategies (are there|exist|can i choose|does cortex have|for eviction)",
            "(eviction strategy|eviction strategies|lru|eviction policy|eviction policies|strategies)",
            "(which|what) model (is|gets|will be) (evicted|unloaded) first",
            "$how (choose|set|configure|change) the (eviction strategy|eviction policy|strategy)",
            "(in which|in what) order are models evicted",
        ),
    ),
    Fact(
        "pinned",
        "A pinned model stays loaded: it is never evicted until you unpin it.",
        (
            "$what (pinned|pinning|a pin|a pinned model|pins|pinned models|to pin)",
            "(pinned|pin|pinning|a pinned model|pins)",
            "(what does|what is meant by) (pin|pinned|pinning|to pin a model|pin a model) (mean|do|)",
            "$how (keep|pin|hold|fix|lock) a model (loaded|in memory|from being evicted|hot|on a device|)",
            "$how (prevent|avoid|forbid) (eviction|the eviction of a model|that a model is evicted|unloading)",
            "(can|will) a pinned model be (evicted|unloaded|removed)",
        ),
    ),
    Fact(
        "load model",
        "Just send a request that names the model, or run `cortex-ctl load MODEL` beforehand.",
        (
            "$how (load|preload|warm up|bring in|fetch into memory) a model",
            "(load a model|loading a model|loading|model loading|cortex-ctl load)",
            "(when|how) (is|are|does|do) (a|the|) (model|models) (loaded|get loaded|load)",
            "(must|do) i (have to|need to|) load (a|the|my) (model|models) (first|by hand|myself|before)",
        ),
    ),
    Fact(
        "unload model",
        "Run `cortex-ctl unload MODEL`; a model without use also unloads by itself after its idle time.",
        (
            "$how (unload|remove|drop|release|take out|get rid of) a model (from memory|)",
            "(unload a model|unloading|unload|cortex-ctl unload|idle time)",
            "(when|does) (an idle model|a model|an unused model) (get|be|) (unload|unloaded) (by itself|)",
        ),
    ),
    Fact(
        "drain",
        "Run `cortex-ctl drain NEURON`: it finishes what it runs and takes no new work.",
        (
            "$what (drain|draining|to drain a neuron)",
            "(drain|draining|drain a neuron|maintenance|resume)",
            "$how (drain|empty|take out|maintain|service|retire|upgrade) (a|the) (neuron|host|machine|node)",
            "$how (do maintenance on|update) a (neuron|host|machine) (safely|without losing requests|)",
        ),
    ),
    Fact(
        "explain",
        "Run `cortex-ctl explain MODEL`: it says where a request would go and why.",
        (
            "(what does|what is) cortex-ctl explain (do|for|)",
            "(why|how come) (is|was) (my|the|a) (request|model) (waiting|refused|placed there|not loaded|queued|sent there)",
            "$how (see|find out|understand|know) why (a|my|the) (request|model) (waits|is refused|goes there|is not loaded|was placed there)",
            "(explain command|cortex-ctl explain|explain a decision|routing decision)",
        ),
    ),
)
