"""More ways to ask for what `facts.py` says of the fleet and its models, in the manner of `subjects.py`."""

from cortex.neuron.demo.asking import Subject

__all__ = ["FLEET_SUBJECTS"]

FLEET_SUBJECTS = {
    "neuron dies": Subject(
        nouns="the death of a neuron|a dead neuron|a neuron failure|failover|fault tolerance|crash recovery|the loss of a host|a crash of a host|lost requests|a broken stream|a failing gpu",
        deeds="(survive|handle|cope with|recover from|deal with|live through) (the loss of a neuron|a dead neuron|a crash|a host failure|the death of a host|a broken gpu host)|continue a request after a crash",
        cases="(a|the|my|one) (neuron|host|gpu host|machine|worker|node) (dies|crashes|breaks|fails|is killed|is lost|burns down|loses power|goes offline|reboots|hangs|stops|vanishes|falls over|is unplugged|goes away)|(a|the) (neuron|host) (dies|crashes|fails|goes away) (during|in the middle of|while it runs) (a request|my request|a stream|my stream)|the power of a host fails|we lose a (neuron|host)|i (kill|unplug|power off) a (neuron|host)",
        asked=(
            "(what happens to|what becomes of|who saves|who finishes|do i lose) (the|my) (request|requests|stream|streams|running work) (of|on|from) (a|the) (dead|crashed|lost|broken|failed) (neuron|host|machine)",
            "(will|does|can) (my|a|the) (request|stream|chat) (survive|continue|go on|be finished|be repeated) (after|despite|when) (a|the) (neuron|host) (crash|failure|dies|crashes)",
        ),
    ),
    "neuron joins": Subject(
        nouns="a new neuron|a new host|joining|the joining of a neuron|registration|how a neuron joins|an additional host|another gpu machine|scaling out|growing the fleet|adding hosts|the arrival of a neuron",
        deeds="(add|join|register|attach|connect|enroll|bring in|include|set up|start) (a|another|a new|one more|a further|an additional) (neuron|host|machine|gpu host|node|worker|gpu machine)|(scale out|grow the fleet|extend the fleet|enlarge the fleet|get more capacity|use another machine)|make (a|my) (new host|new machine|host) (join|a neuron|part of the fleet)",
        cases="(a|the) new (neuron|host|machine) (arrives|comes|appears|is ready|shall join|is installed)|i (have|get|rent|install) (another|a new|one more) (host|gpu machine|machine)",
        asked=(
            "(what|which command|what command) (do i run|runs|must run|do i start|has to run) on (a|the) (new|another|additional) (host|machine|gpu host)",
            "(does|must|do) (a|the|my) (new|) (neuron|neurons|host) (need to be listed|join by itself|be configured at the broker|have to be declared|register by hand)",
        ),
    ),
    "eviction": Subject(
        nouns="eviction|an eviction|to evict|the eviction of a model|model eviction|evicted models|an evicted model|making room on a device|the word evict|the removal of idle models",
        deeds="(make|get|find) (room|space|memory) (on a device|on the gpu|on a card|for another model|for a new model)|evict a model",
        cases="(the memory|the gpu memory|a device|the gpu|vram|every card) (is full|is used up|runs out|has no room|is not enough)|(a|the|my) (new|next|second|requested|) model (does not fit|finds no room|needs more room|is too big for the free memory)|there is (no room|no space|no memory left|too little memory) (for a model|for another model|on the gpu|)|two models (compete for|do not fit in) the memory",
        asked=(
            "(why|when|how come) (did|does|was|is|would) (my|a|the) model (disappear from memory|vanish from the gpu|get evicted|evicted|get removed from the device)",
            "(which|what) models (may|can|could|are allowed to) be (evicted|removed to make room)",
        ),
    ),
    "eviction strategies": Subject(
        nouns="the eviction strategies|eviction strategies|the strategies for eviction|an eviction strategy|the eviction policy|the eviction order|lru|the lru strategy|the cost strategy|the priority strategy|the setting eviction strategy|the choice of a victim",
        deeds="(choose|set|configure|change|select|pick|switch) (the|an|another) (eviction strategy|eviction policy|strategy for eviction|eviction order)",
        asked=(
            "(which|what) model (goes|has to go|is evicted|leaves|is unloaded|is the victim|is chosen|will go) (first|next|)",
            "(how|in which way|on what basis) (is|does cortex choose|is chosen|does it pick|does it select) the (victim|model to evict|model that goes)",
            "(how many|which|what) (strategies|policies|kinds of eviction|eviction policies) (does eviction have|are there|can be set|do you offer|exist)",
        ),
    ),
    "pinned": Subject(
        nouns="a pin|a pinned model|pinning|pinned models|to pin a model|the pin command|cortex-ctl pin|a model that is pinned|the effect of a pin|a model with a pin",
        deeds="(pin|fix|lock|hold) (a|the|my) model|(keep|hold) (a|the|my|one) model (loaded|in memory|hot|resident|on the gpu|forever|always ready)|(prevent|avoid|forbid|stop|block|rule out) (the eviction of a model|eviction|unloading of my model|that a model is evicted)|protect (a|my) model (from eviction|)",
        cases="(i pin a model|a model is pinned|a model has a pin|a pinned model is idle|the memory is full of pinned models)",
        asked=(
            "(my|an important|a) model (must|should|has to|shall) (always|) (stay|remain|be kept) (loaded|in memory|hot|resident|there)(, how|, what do i do|. how do i do that|)",
            "(will|can|may|does) (a|the) pinned model (be evicted|ever leave|be thrown out|stay|go away|get unloaded)",
        ),
    ),
    "load model": Subject(
        nouns="loading a model|the load command|cortex-ctl load|the first load of a model|a cold model|preloading|warming up a model|a model that is not loaded|model loading|the load of a model on demand",
        deeds="(load|preload|warm up|bring in|prepare) (a|the|my|some) model|(get|bring|put) (a|the|my) model (into memory|on the gpu|hot|loaded|ready)|have a model (loaded|ready|warm) (before the first request|in advance|beforehand)",
        cases="(a|the|my) model is (not loaded|cold|only on disk)|i (ask for|name|request) a model that is (cold|not loaded)",
        asked=(
            "(is|are) (a|the|my) (model|models) loaded (automatically|on demand|by itself|when i ask|by a request)",
            "(do|must|should) (i|we) (load|preload|warm up) (a|the|every) model (by hand|first|in advance|ourselves|beforehand)",
            "(when|who|what) (loads|triggers the loading of|starts the load of) (a|the|my) model",
        ),
    ),
    "unload model": Subject(
        nouns="unloading|unloading a model|the unload command|cortex-ctl unload|the idle time of a model|an idle model|an unused model|the removal of a model",
        deeds="(unload|remove|drop|release|take out|get rid of) (a|the|my|an idle|an unused) model|(free|give back) the memory of (a|an idle|an unused) model|take a model (out of|from) (memory|the gpu)",
        cases="(a|my|the) model is (idle|unused|not used|no longer needed|not needed any more)|nobody (uses|asks for) a model (for hours|any more|for a long time)|i no longer need a model",
        asked=(
            "(does|will|can) an (idle|unused) model (unload itself|leave the memory|go away|be unloaded|unload) (by itself|on its own|some time|)",
        ),
    ),
    "drain": Subject(
        nouns="draining|a drain|to drain|the drain command|cortex-ctl drain|a drained neuron|maintenance of a host|the maintenance mode|a planned downtime of a host",
        deeds="(drain|empty|maintain|service|retire|upgrade|update|repair|patch) (a|the|my|one) (neuron|host|machine|node|gpu host)|(take|get|pull) (a|the|one) (neuron|host|machine) (out of service|out of the fleet|down safely|offline without harm)|(do|prepare|plan) (maintenance|an upgrade|work) (on|of) (a|the|one) (neuron|host)|(remove|restart) a (neuron|host) without (losing requests|hurting anybody|cutting streams)",
        cases="(a|the|my) host needs (maintenance|an update|a new kernel|a repair|new drivers)|i want to (upgrade|service|repair|work on) a (host|neuron)",
        asked=(
            "(how can|can|how do) (a|the) (neuron|host) (finish its work first|finish what it does and take nothing new|take no new requests|get no new work)",
            "(before|in order to) (i|we) (upgrade|repair|service|patch) a (host|neuron|machine), what (should|must|do) (i|we) (do|run)",
        ),
    ),
    "explain": Subject(
        nouns="cortex-ctl explain|the explain command|a routing decision|the reason for a decision|the reasons of the broker|the reason why my request waits|the decision of the broker|a placement decision|why a request went there",
        deeds="(see|find out|understand|know|learn|ask|tell) (why|for what reason) (a|my|the) (request|model) (waits|was refused|is queued|went there|is not loaded|landed there|was put there|takes so long to start)|(debug|understand|trace|inspect|examine) (the routing|a routing decision|a placement|the broker's choice)|(see|find out|predict|know) where (a|my|the next) request (goes|would go|will go|would land)",
        asked=(
            "(why|how come|for what reason) (does|did|is|was) (my|a|the|this) (request|model) (wait|waiting|queued|refused|go there|land on that host|not loaded|put there|in the queue)",
            "(which|what) command (explains|tells|shows|says) (the decision|why|the reason|where a request would go)",
        ),
    ),
}
