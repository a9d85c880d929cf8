"""More ways to ask for the facts of `facts.py`: what each is about, to be put into the frames of `asking.py`.

Keys are the topics of the facts. Synonyms matter more than sentences here. Knows no answers.
"""

from cortex.neuron.demo.asking import Subject

__all__ = ["SUBJECTS"]

SUBJECTS = {
    "cortex": Subject(
        nouns="cortex|cortex|cortex mesh|the cortex project|this software|this project|this program|the whole project|the purpose of cortex|the goal of this project",
        asked=(
            "what (does|can) (cortex|this program|this project|the software) (do|do for me|give me|solve|offer|bring)",
            "(what|which) (problem|problems|need) does (cortex|it|this) (solve|address)",
            "(who|what kind of people) (needs|need|would use|uses) cortex",
            "(what|which) (sort|kind|type) of (software|tool|thing|server|program) (do i have here|is cortex|is this|did i install)",
            "(i never heard of|new here, i do not know|first time i see) cortex",
            "(why|when) (would|should) (anybody|somebody|we|i|a company) (use|want|run|install|choose) cortex",
            "(is cortex|is this) (a proxy|a gateway|a load balancer|a fleet manager|an inference server|a model server)",
            "(the main|the) (idea|purpose|aim|benefit|job|function) of cortex (is what|)",
        ),
    ),
    "neuron": Subject(
        nouns="a neuron|the neuron|neurons|neuron|the neuron process|the neuron part|a neuron in cortex|the word neuron|the duty of a neuron|the work of a neuron|a neuron's job",
        asked=(
            "(which|what) (process|part|piece|program) (generates|makes|computes|creates|writes) (the|) (tokens|text|answers|words)",
            "(who|what|which part|which process) (owns|uses|manages|holds|controls) the (gpus|gpu|devices|cards)",
            "(who|what|which part) (does|performs|is doing) the (inference|computing|calculation|heavy work|generation)",
            "(what|which) (process|program|part) runs on (a|the|each|every) (gpu host|host|gpu machine|worker)",
            "what (happens|is done|goes on|takes place) (in|on|inside) a neuron",
            "what (is a neuron|are neurons) (responsible for|in charge of|good for|there for|supposed to do)",
        ),
    ),
    "broker": Subject(
        nouns="a broker|the broker|brokers|broker|the broker process|the broker part|the word broker|the duty of the broker|the work of the broker|the broker's job|the routing|the router",
        asked=(
            "(who|what|which part|which process) (assigns|forwards|distributes|places|schedules|balances|hands out|sends) (the|my|) (requests|request|load|work|models)",
            "(who|what|which part) (decides|determines|knows|settles|plans) (where|on which host|on which device) (a model|models|the models|my model|my request) (goes|is loaded|lives|are loaded|is sent|ends up)",
            "(who|what|which part) is (responsible for|in charge of|doing) (the|) (routing|placement|dispatching|scheduling|load balancing)",
            "what is the broker (responsible for|in charge of|good for|there for|needed for|supposed to do)",
            "what (happens|is done|goes on) (in|on|inside) the broker",
            "(how|by whom) (is|are) (a request|requests|my request) (routed|distributed|dispatched|sent to a neuron|balanced)",
        ),
    ),
    "edge": Subject(
        nouns="an edge|the edge|edges|edge|the edge process|the edge part|the word edge|the duty of the edge|the work of the edge|the edge's job|the http front|the web front|the front end of cortex",
        asked=(
            "(who|what|which part|which process) (answers|receives|terminates|gets|reads|takes|parses) (the|my|) (http|http requests|client requests|web requests|http traffic)",
            "(who|what|which part) (streams|sends|delivers|writes) the (answer|answers|tokens|events|stream) (to the client|back to the client|back|)",
            "what is the edge (responsible for|in charge of|good for|there for|needed for|supposed to do)",
            "what (happens|is done|goes on) (in|on|inside|at) the edge",
            "(which part|what|who) is (nearest to|facing|in front of|between cortex and) (the|my|) (client|clients|user|users)",
            "(which part|who) (translates|converts|understands) the (dialects|dialect|client formats|api formats)",
        ),
    ),
    "parts": Subject(
        nouns="the parts|the components|the parts of cortex|the three parts|the architecture|the architecture of cortex|the structure of the system|the design|the anatomy of cortex|the inner structure|the modules of cortex|the big picture|how the parts fit together|the way a request takes",
        asked=(
            "(what|which) (parts|components|pieces|processes|services|elements) (belong to|are in|form|does one find in|would i find in|are there in) (cortex|it|the system)",
            "(what|which processes) (is|are) cortex (composed of|put together from|made from|split into|divided into)",
            "(how|in which way) (does|is) (it all|cortex|everything|the system) (work|put together|organised|fit together|function|divided) (inside|under the hood|internally|)",
            "(give|draw|show|sketch) (me|us|) (an overview of|a picture of|a map of|a sketch of) the (parts|architecture|components|system)",
            "(name|list|enumerate|tell me) (all|) (the|its) (components|parts|pieces|modules|three parts)",
        ),
    ),
    "protocol": Subject(
        nouns="the protocol|protocol|the protocol package|the protocol folder|the shared messages|the common language of the parts|the message format package|the directory protocol",
        asked=(
            "(what|which things) (is|are) (shared|common) (by|between|among|to) (all|) the parts",
            "(what|which things) (stands|is|do i find|lives) in (the folder|the package|the directory|) protocol",
            "(where|in which package) (are|do i find) (the|) (faults|messages|tool-call grammar|request definitions|grammar) (defined|written down|kept|)",
        ),
    ),
    "mesh": Subject(
        nouns="the mesh|a mesh|mesh|the broker mesh|several brokers|many brokers|a second broker|broker redundancy|high availability of the broker|more than one broker|broker failover",
        deeds="run (two|three|several|more) brokers|add (a|another) broker|have a spare broker|survive the loss of a broker|make the broker redundant|avoid a single point of failure",
        cases="(a|the|my|some) broker (dies|crashes|fails|breaks|is killed|goes offline|stops working|is rebooted|disappears|hangs|is lost)|we lose (a|the) broker|i (kill|stop|restart|reboot) (a|the) broker|the host of (a|the) broker (burns|fails|dies)",
        asked=("(why|what for) (have|run|use|need|start) (several|two|more|many|multiple) brokers",),
    ),
    "start": Subject(
        nouns="starting cortex|the start command|the first start|getting started|the quick start|the first steps|launching it|make up|cortex up|the up command|bringing it up",
        deeds="(start|launch|run|boot|bring up|fire up|spin up|turn on|try out|try|begin with|start up|power up|get up) ($it|it|cortex|the demo|the gateway)|make (it|cortex) (run|start|work)|get (it|cortex) (running|started|up|to work)|see it (run|work)|have a first try",
        asked=(
            "(i downloaded|i unpacked|i checked out|i have got|here is|i have a checkout of) (it|cortex|the repository|the code)(, what next|, what now|. what is the next step|, how do i begin|. and now)",
            "(how|where) does one (start|begin)",
            "(what|which) is the (first|very first|start|starting) (command|step|thing to do)",
            "(nothing is running|it does not run yet|cortex is not running|the server is down)(, how do i start it|, what do i do|. how do i bring it up)",
        ),
    ),
    "stop": Subject(
        nouns="stopping cortex|the stop command|the shutdown|shutting it down|ctrl-c|a clean exit|the way out|the end of a run|control-c",
        deeds="(stop|quit|exit|end|kill|shut down|halt|terminate|close|finish|leave|abort|bring down|take down|interrupt) ($it|it|cortex|the server|the gateway|the process)|get out of (it|cortex|here)|make (it|cortex) (quit|end|exit|go away)|end (all parts|all processes)",
        asked=(
            "(which|what) (key|keys|keystroke|shortcut|signal) (do i|should i|must i) (use|hit|type|send) (to|in order to) (end|quit|halt|kill|leave) (it|cortex|the program)",
            "(it|cortex|the server) (runs and runs|is still running|should be gone|must end)(, how do i end it|, how do i get rid of it|. how do i halt it)",
            "how (fast|quickly|soon|long) does (it|cortex|everything) (stop|end|exit|take to end|shut down)",
        ),
    ),
    "status": Subject(
        nouns="the status|the status command|cortex status|the state of the fleet|the health of the fleet|the condition of my hosts|an overview of the fleet|a list of the neurons|the list of hosts|a health check|the load of the neurons",
        deeds="(see|show|check|get|view|inspect|look at|print|display|query|watch|verify|list) (the status|the state|the health|the fleet|the neurons|the hosts|all neurons|all hosts|my hosts|what is running|the condition of the fleet|the brokers)|(see|check|tell|know|find out|make sure) (whether|if|that) (it|everything|cortex|every neuron|a neuron|each host) (runs|works|is up|is healthy|is alive|is there|is connected|has joined)",
        asked=(
            "(which|how many|what) (neurons|hosts|nodes|brokers|machines) (are there|are connected|are up|are running|have joined|do i have|are in my fleet|are alive)",
            "(is|are) (my|the|all) (neuron|neurons|host|hosts|fleet|system) (up|ok|fine|alive|healthy|online|working|connected|running)",
            "(what is|how is) (my fleet|the fleet|everything|the system|cortex) doing",
        ),
    ),
    "models list": Subject(
        nouns="the models|the list of models|the available models|all models|the model list|the installed models|the names of the models|the models on offer|the models route|the served models",
        deeds="(list|see|show|get|find|view|enumerate|print|query|look up|fetch) (the|all|all the|available|) (models|model names|names of the models|available models)|find out which models (are there|exist|i can use|are available|are served)|learn the names of the models",
        asked=(
            "(which|what) (models|llms|model names) (may|can|could) (i|we|a client|one) (ask|name|choose from|select|pick|request|use)",
            "(which|what) (models|llms) (are|does cortex|do you|does the fleet) (on offer|serve|there|provide|hold|have|known|installed)",
            "(where|how) (does|can) (a client|my client|my program|an app) (get|see|find|read) the (models|model names|list of models)",
        ),
    ),
    "http port": Subject(
        nouns="the http port|the port|the api port|the address|the base address|the api address|the port of the api|the default port|the http address|the listen address|the server's port|the url of the api|the api url|the endpoint for clients",
        deeds="(reach|find|connect to|contact|talk to|call|open|access) (the api|the server|cortex|the http api|the edge) (from my client|from my browser|with a client|on this machine|)|find the (port|address|url|endpoint)",
        asked=(
            "(where|on which port|at which address|at what url) (does|is|can|do) (cortex|the server|the api|it|the http server|i reach the api) (listen|listening|be reached|serve|found|answer|wait for requests)",
            "(which|what) (port|address|url|host and port|number) (do|must|should|shall) (i|we|clients|my app|my browser|my editor) (open|use|point at|enter|connect to|configure|put in)",
            "(my|the) (browser|editor|client|program|app|chat program) (asks for|wants|needs) (a|the) (port|address|url|server address|endpoint|base url)(, what do i enter|, which one|. what is it|)",
        ),
    ),
    "metrics port": Subject(
        nouns="metrics|the metrics|prometheus|the prometheus metrics|monitoring|the metrics port|the prometheus port|statistics|the statistics|the metrics address|figures for a dashboard|grafana|a dashboard|observability|counters and histograms",
        deeds="(scrape|collect|read|get|export|see|watch|graph|plot|gather|observe) (the|) (metrics|statistics|counters|prometheus metrics|performance figures|latency figures)|(monitor|observe|watch) (cortex|it|the gateway) with (prometheus|grafana|a dashboard)|(set up|configure|connect|add|attach|point) (prometheus|grafana|monitoring|a dashboard)",
        asked=(
            "(where|on which port|at what port|at which address) (are|do i find|can i scrape|can i read|are there|does cortex export|does prometheus find|does prometheus get) (the|) (metrics|statistics|counters)",
            "(which|what) (port|address|target|url) (do i give|do i enter in|should|does|goes into) (to prometheus|prometheus use|prometheus need|prometheus scrape|the prometheus config|grafana need)",
            "(how many|how do i see how many) (requests|tokens) (per second|were served|did we serve)",
        ),
    ),
    "broker ports": Subject(
        nouns="the broker ports|the ports of the broker|the zeromq ports|port 31320|port 31321|port 31322|port 31323|the control port|the peer port|the neuron plane|the edge plane|the control plane|the internal ports",
        asked=(
            "(which|what) (port|ports) (does|do|must|should) (a broker|the broker|brokers|neurons|my firewall) (listen on|use|open|have|bind|open for brokers|need between hosts)",
            "(which|what) (port|number) (is|belongs to|has) (the control plane|the peers|the neuron plane|the edge plane|the broker's control socket)",
            "(what is|who listens on|what runs on|what do i find on) (31320|31321|31322|31323)",
            "(which|what) ports must (the|my) firewall (open|let through|allow) (for the broker|between the hosts|for neurons|)",
        ),
    ),
    "dialects": Subject(
        nouns="the dialects|the client dialects|the supported apis|the api formats|the supported dialects|the anthropic dialect|the openai dialect|the openai api|the anthropic api|the responses api|the messages api|chat completions|api compatibility|the client protocols",
        deeds="(use|speak|send|call) (the openai api|the anthropic api|the responses api|chat completions|the messages api|openai style requests|anthropic style requests)",
        asked=(
            "(does|can|will|would) (cortex|it|the edge|the server) (speak|understand|accept|support|take|answer) (openai|anthropic|chat completions|responses|both openai and anthropic|anthropic messages|openai requests|requests for anthropic)",
            "(which|what) (kinds of|sorts of|) (clients|sdks|client libraries|request formats|formats|apis|dialects) (are|can|does|will) (supported|work|cortex accept|be used|cortex know|it understand|it take)",
            "(is|how) (cortex|it|the api) (compatible with|like|similar to) (openai|anthropic|the openai api|the anthropic api|chatgpt)",
        ),
    ),
    "openai client": Subject(
        nouns="the openai client|the openai sdk|the python client|the openai python sdk|the openai library|an example in python|a python example|the client's base url|base_url|the openai package for python|client code in python",
        deeds="(use|connect|point|set up|configure|try|import) (the|an|my|) (openai|openai python|python openai) (client|sdk|library|module)|(call|use|query|reach|talk to|access) (cortex|it|the api|the models) (from|in|with|out of) (python|a python script|my python code|my own program|a notebook)|write a (client|program that calls cortex)",
        asked=(
            "(which|what) (base url|base_url|setting|argument) (does|do|must|should) (the openai client|the openai sdk|the python client|i) (need|get|give the client|set|have|pass)",
            "(i have|my team has|we have) (code|a program|a script|a notebook) (for|written for|that uses|with) (openai|the openai sdk|the openai library)(, how do i point it at cortex|, what do i change|. can it use cortex)",
        ),
    ),
    "claude code": Subject(
        nouns="claude code|claude|the anthropic client|the anthropic sdk|claude code with cortex|anthropic_base_url|the setting for claude code|the claude command line",
        deeds="(use|connect|point|set up|configure|run|start|try|make work) (claude code|claude|the anthropic client|the anthropic sdk) (with cortex|against cortex|here|through my fleet|)|make claude code (talk to|use|connect to|work with) (cortex|my server|my models)",
        asked=(
            "(does|can|will|could) (claude code|claude|the anthropic client) (use|work with|talk to|run on|speak to|connect to) (cortex|this server|my models|local models|my fleet|it)",
            "(which|what) (environment variable|variable|setting|address) (does|do i set for|is needed by|must i set for|goes into) (claude code|claude|the anthropic client) (need|use|)",
        ),
    ),
    "curl": Subject(
        nouns="curl|a curl example|the curl command|an example with curl|a curl line|a request by hand|a first request|a test from the shell|a raw http request|a test request",
        deeds="(use|call|try|test|query|ask|talk to|reach) (cortex|it|the api|the model) (with curl|by curl|from the shell|from the command line|from a terminal|by hand)|(send|make|post|try) (a|my first|an http|one|a test|a raw) (request|chat request|message)",
        asked=(
            "(what|how) does a (curl command|curl call|chat request|request) look like",
            "(which|what) (route|path|url) (takes|gets|accepts|is for|do i post to for) (chat|chat requests|chat completions|a chat)",
        ),
    ),
}
