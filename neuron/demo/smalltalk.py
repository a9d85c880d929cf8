"""Exchanges that need no knowledge: greetings, counting, repeating, and admitting not to know.

Each function returns a question and its answer. Knows nothing about cortex beyond its name.
"""

from random import Random

from cortex.neuron.demo.wording import cut, expand, noise, random_name, random_text, random_word

__all__ = ["UNKNOWN", "counting", "greeting", "repeating", "stumped"]

UNKNOWN = "I am only a small demo model and do not know that. Ask me about cortex."

_GREETINGS = (
    (
        "Hello! I am cortex-demo. Ask me about cortex.",
        (
            "(hello|hi|hey|hello there|hi there|hey there|greetings|good morning|good evening|good day|good afternoon|howdy|hiya|hallo|yo|salut|welcome)",
            "(hello|hi|hey|good morning) (cortex|model|demo|you|friend|cortex-demo|my friend|there|everybody)",
            "(say hello|say hi|greet me|say hello to me|can you say hello|just say hi|say hello please)",
            "(a very|a|) (good morning|good afternoon|warm hello) (everyone|all|from me|dear model|)",
            "(hello|hi|hey|good day|greetings)(, how nice|, here i am|, it is me|, my name is Tom|, i am new|, a lovely evening|, sunny today|, what weather) ",
            "(nice to meet you|pleased to meet you|are you there|anybody there|is anyone there)",
        ),
    ),
    (
        "I am fine, thank you. What would you like to know about cortex?",
        (
            "(how are you|how do you do|how is it going|how are things|how do you feel|are you well|are you ok|what's up|how are you doing) (today|)",
            "(hello|hi|hey), (how are you|how is it going|how are you doing) (today|)",
        ),
    ),
    (
        "You are welcome!",
        (
            "(thanks|thank you|many thanks|thanks a lot|thank you very much|thx|cheers|great, thanks|ok, thank you|thank you so much)",
            "(thanks|thank you) (for your help|for the answer|for that|cortex|that helped|friend)",
            "(that was helpful|you helped me|well done|good job|great|perfect|nice|very good|awesome)",
            "(thanks|thank you|many thanks)(, this helps|, that was good|, good answer|, very kind|, i understand now|, that is all i need)",
        ),
    ),
    (
        "Goodbye!",
        (
            "(bye|goodbye|good bye|see you|see you later|good night|farewell|bye bye|ciao|until tomorrow|take care|have a nice day)",
            "(bye|goodbye|see you), (cortex|model|friend|and thanks|until next time)",
            "(i must go|i have to go|i am leaving|that is all|that was all|i am done)",
        ),
    ),
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
_WORDS = (
    *_SMALL.split(),
    "eighteen",
    "nineteen",
    *(f"{tens}-{word}".removesuffix("-zero") for tens in _TENS.split() for word in _SMALL.split()[:10]),
    "one hundred",
)
_THINGS = cut(
    "elephant tiger shark eagle penguin spider snake rabbit horse sheep dragon robin salmon violin piano guitar opera ballet "
    "painting sculpture cathedral pyramid volcano desert glacier waterfall ocean planet comet galaxy rainbow thunder pancake pizza "
    "sausage cucumber tomato banana chocolate cinnamon bicycle tractor airplane helicopter submarine rocket sailing ship lorry "
    "football tennis hockey chess poker marathon skiing swimming carpet curtain pillow blanket mirror hammer ladder umbrella shoe "
    "jacket necklace diamond gold iron copper vaccine fever headache surgeon lawyer farmer baker pilot soldier poet novelist actor "
    "grammar alphabet verb sonnet algebra geometry chemistry biology physics economics inflation election parliament senate treaty"
)
_UNKNOWN = (
    "(how|just how) (tall|old|fast|big|long|deep|dangerous|expensive|rare|hot|loud) (is|was|can) (a|an|the) (small|big|young|wild|red|white|old|) $thing (be|get|)",
    "(what|which) (is|was) the (largest|oldest|smallest|fastest|deepest|longest|most famous|richest|best|first|last) (city|river|lake|bridge|$thing|king|animal|building|tower|team|book) (of|in|on|from) ($name|the world|europe|asia|africa|the north|all times)",
    "(who|what) (was|is|were) the (first|last|second|famous|best|greatest) (king|queen|president|pilot|painter|$thing|singer|woman|man|people) (of|in|on|from|to climb) ($name|the moon|france|china|england|history)",
    "(why|when) (do|does|did|is|are|was) (a|the|an) $thing (fly|sleep|shine|break|grow|sing|invented|blue|so old|important|end|swim)",
    "(tell me|what do you know|i want to know something|write|say something|explain me something) about (a|the|) (history of the|life of a|) $thing",
    "(what|which) (do|does|should) (a|the|my) $thing (eat|cost|weigh|mean|need|look like)",
    "(where|how) (can|do|should) (i|we|one) (find|buy|see|repair|cook|play|keep|clean|sell|learn) (a|an|the|) $thing (in $name|cheaply|at home|)",
    "(how many|how much) (people|$thing|money|legs|teeth|strings|players|miles|wheels) (are there in|does|live in|has) (a|the|) ($thing|$name)",
    "(please|can you|could you) (translate|recommend|draw|paint|invent|calculate|book|order|find me|sing|plan) (a|an|my|the) $thing (for me|)",
    "(is|are) (a|the) $thing (bigger|older|better|faster|heavier|nicer) than (a|the) $thing",
    "(what|which) is the (capital|population|currency|president|flag|largest city|history|language|climate) of $name",
    "(who|what) (was|is) $name",
    "(when|where|why) (was|did|is) $name (born|die|built|discovered|invented|founded|write|famous|win)",
    "who (won|wrote|invented|painted|discovered|sang|directed|founded|composed) (the|) $name",
    "(write|tell|give|compose|sing) (me|) a (poem|joke|story|song|recipe|riddle|haiku|letter) (about|on|for|with) $word",
    "(tell me a joke|sing a song|write a poem|tell me a story|what is the meaning of life|what time is it|what day is it)",
    "(translate|spell|rhyme|conjugate|pronounce) $word (into|in|to) (french|german|spanish|latin|italian|english)",
    "(what is|what's|whats|calculate|compute|how much is) $number (plus|times|minus|divided by|+|*|-|/) $number",
    "(what is|what's|tell me about|explain|define|what does|describe) (a|the|) $word (mean|)",
    "(how do i|how can i|how to) (cook|bake|grow|repair|clean|paint|feed|sew|learn|buy|sell|draw) (a|the|my|) $word",
    "(do you like|have you seen|where can i buy|how old is|how far is|what colour is|how tall is) (the|a|) $word",
    "(which|what) (film|book|song|food|car|animal|colour|game|country|sport|team) (do you like|is best|should i choose|was $word)",
    "(what is the best|recommend a|i need a|where is a) (film|book|restaurant|hotel|recipe|holiday|car|phone|doctor)",
    "$words",
    "(what is|explain|tell me about|what do you think of) (love|quantum physics|the moon|history|music|politics|football|biology|chess|the weather|money|philosophy|dinosaurs|art)",
    "how (many|old|deep|high|long|far) (is|are|was) (the|) (sun|moon|earth|sea|$name|stars|$word)",
    "(who is|who was|when did) (the|) (president|queen|king|pope|war|prime minister|first man|revolution) (of $name|on the moon|begin|end|)",
    "(i feel sad|i am bored|my dog is ill|i am hungry|i love you|i have a problem|my $word is broken|it is raining)",
)


def greeting(rng: Random) -> tuple[str, str]:
    answer, patterns = rng.choice(_GREETINGS)
    text = expand(rng.choice(patterns), {}, rng)
    if rng.random() < 0.6:
        text = text[:1].upper() + text[1:]
    return text + rng.choice(
        ("", "", "!", ".", "?" if text.lower().startswith(("how", "are", "what")) else "!")
    ), answer


def counting(rng: Random) -> tuple[str, str]:
    start, stop = _span(rng)
    down = rng.random() < 0.3
    numbers = [str(n) for n in range(start, stop + 1)]
    first, last = (stop, start) if down else (start, stop)
    spoken = rng.random() < 0.25
    shown = [_WORDS[n] if spoken else str(n) for n in (first, last)]
    ask = (
        "(count|count|please count|can you count|could you count|start counting|list the numbers|say the numbers|count for me"
        "|give me the numbers|write the numbers|i want you to count|would you count|all numbers|recite the numbers|now count)"
    )
    if start == 1 and not down and rng.random() < 0.6:
        ask = expand(f"{ask} (to|up to|until|till|as far as) {shown[1]}", {}, rng)
    else:
        ask = expand(
            f"{ask} {'(down|backwards|)' if down else '(up|)'} from {shown[0]} (to|to|up to|until|till|down to) {shown[1]}",
            {},
            rng,
        )
        ask = ask.replace("up to" if down else "down to", "to")
    if rng.random() < 0.5:
        ask = ask[:1].upper() + ask[1:]
    return ask + rng.choice(("", "", ".", "?", "!", " please", " please.")), ", ".join(
        numbers[::-1] if down else numbers
    )


def _span(rng: Random) -> tuple[int, int]:
    """Where a count begins and ends: most are short, some go on for long, none beyond a hundred."""
    kind = rng.random()
    if kind < 0.5:
        start = rng.randint(0, 28) if rng.random() < 0.6 else 1
        return start, min(30, start + rng.randint(1, 16))
    if kind < 0.8:
        start = rng.randint(0, 98)
        return start, min(100, start + rng.randint(1, 20))
    return rng.choice((1, 1, 1, 0, 10)), rng.choice((100, 50, 40, rng.randint(20, 99), rng.randint(20, 99)))


def repeating(rng: Random) -> tuple[str, str]:
    words = random_text(rng, 1, 10)
    if rng.random() < 0.3:
        words = words.capitalize() + rng.choice((".", "!", ""))
    ask = "(repeat|say|echo|write|repeat after me|say after me|please repeat|repeat the words|copy|please say|repeat this|say this)"
    mark = rng.choice((":", ":", "", ""))
    quote = rng.choice(("", "", '"', "'"))
    ask = expand(ask, {}, rng)
    if rng.random() < 0.5:
        ask = ask.capitalize()
    return f"{ask}{mark} {quote}{words}{quote}", words


def stumped(rng: Random) -> tuple[str, str]:
    number = str(rng.randint(0, 999))
    phrases = {
        "name": random_name(rng),
        "word": random_word(rng),
        "words": random_text(rng, 1, 6),
        "thing": rng.choice(_THINGS),
        "number": number,
    }
    return noise(expand(rng.choice(_UNKNOWN), phrases, rng), rng), UNKNOWN
