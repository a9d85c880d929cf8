"""How people put a question about anything: frames round a noun, a deed, or something that happens.

In a frame `$x` stands for what is asked about; a `Subject` gives it for one fact. Ten frames round ten nouns are worth
a hundred sentences written out, and they teach that the frame does not decide the answer. The grammar is the one of
`facts.py`; nothing here knows cortex.
"""

from dataclasses import dataclass
from random import Random

from cortex.neuron.demo.wording import expand

__all__ = ["Subject", "framed"]


@dataclass(frozen=True)
class Subject:
    """Nouns ("a broker"), deeds ("stop it"), cases ("a neuron dies") and whole questions about one fact."""

    nouns: str = ""
    deeds: str = ""
    cases: str = ""
    asked: tuple[str, ...] = ()


_NOUNS = (
    "$what $x",
    "what does $x (mean|stand for|refer to)",
    "(the meaning of|the definition of|the idea behind|a summary of|the short version of|a few words on|facts about) $x",
    (
        "(i keep reading about|i came across|somebody mentioned|the manual mentions|they talk about|i have to learn about) $x"
        "(, what is that|, what is it|, can you explain it|. please explain|, what is it good for|. what is this|)"
    ),
    (
        "(could you|can you|would you|will you|please) (explain|describe|clarify|tell me about|say something about"
        "|introduce me to|sum up|define|talk about) $x (to me|please|for a beginner|in your own words||)"
    ),
    "(what|how) about $x",
    "(i do not|i don't|we do not|i still don't) (understand|get|know|follow) $x",
    (
        "(i would like|i want|i'd like|i need|we want|my colleague wants|i try) to (understand|know about|learn about|hear about"
        "|know more about|read about) $x"
    ),
    "(any|some|more|got) (information|details|words|notes|news|help) (on|about|regarding|with) $x",
    "$x (please|, what is it|, explain|, what does it mean|: explain|, in short|)",
    "(teach me|sum up|summarise|briefly describe|quickly explain|a question about|i ask about|question on) $x",
    "is there (something|anything) (i should|i must|to) know about $x",
    "what (should|must|can|do) (i|we|one|a user|a beginner) know about $x",
    "(what's|what is) the (deal|story|situation|matter) with $x",
    "(where|how) does $x (come in|fit in|matter)",
    "(so|and|ok so|right, and|but) what (is|are) $x (really|then|exactly|anyway|)",
)
_DEEDS = (
    "$how $x",
    "(could you|can you|would you|please|will you|somebody) (tell|show|teach) me how (to|i can|one can|we|i could|i) $x",
    "(could you|can you|please) (explain|say|describe|list the steps) how to $x",
    (
        "(i|we) (want|need|have|would like|wish|plan|try|hope|intend) to $x"
        "(, how|, how do i do that|, what do i do|, what now|, any idea|. how|. what is the command|, which command is it||||)"
    ),
    "(help me|help me to|let me|i'd like to|i'd love to|let us|i am trying to|i am about to|i was told to) $x",
    "(please|now|just|) $x (please|now|for me||)",
    (
        "(is it possible|is it hard|is it easy|how hard is it|is there an easy way|is there a quick way|am i able|are we able"
        "|what would it take|is it allowed) to $x"
    ),
    "(may|can|could|might|shall|should) (i|we|one|somebody|a user|an admin) $x",
    "(what is|what's|tell me|i look for|i need|know) the (right|best|easiest|proper|quickest|simplest|usual) way to $x",
    (
        "what (is needed|is required|does it take|is the command|is the trick|is the procedure|must happen|has to be done"
        "|do i have to do|shall i do|should i run|do i enter) to $x"
    ),
    "which (command|steps|setting|option|tool|button) (do i need|is used|is there|helps me|should i use|does one use) to $x",
    "my (boss|colleague|team|friend|manager|admin) (wants|asked|needs|told|expects) me to $x",
    "(i forgot|i don't know|i have no idea|nobody told me|remind me|the manual does not say|i wonder) how to $x",
    "(suppose|say|imagine|assume) (i|we|somebody) (want|need|have|wanted|had) to $x(, what would i do|, how|, what is to do|)",
    "(instructions|steps|a command|the procedure|a recipe|advice) (to|how to|for how to) $x",
    "(in order to|to) $x, (what do i do|what do i run|which command do i need|what is needed|how do i begin)",
)
_CASES = (
    (
        "(what happens|what will happen|what would happen|what do you do|what does cortex do|what goes on|what is done"
        "|what is the plan|what would you do|what should i expect) (if|when|once|as soon as|after|in case|whenever) $x"
    ),
    (
        "(if|when|once|in case|after|whenever|as soon as) $x, (what happens|what does cortex do|does anything break"
        "|am i in trouble|what do i do|what now|will it work|what is next|what becomes of my request|is that ok)"
    ),
    (
        "(suppose|say|imagine|assume|let us say|what if|and if|but if|given that) (that|) $x"
        "(, what happens|, what now|. what happens|, what does cortex do|, and now||)"
    ),
    "(is it|would it be|how is it) (bad|a problem|serious|dangerous|ok|a disaster|fatal) (if|when) $x",
    (
        "(does it matter|do i have to worry|should i worry|must i do something|do i need to act|should i be afraid"
        "|can it cope|can cortex handle it|who helps|do users notice) (if|when) $x"
    ),
    "$x(, what now|, what happens now|, what do i do|, help|, is that bad|, and now|. what happens|. now what|)",
    "(i fear|i am afraid|i think|it seems|i see|i worry|it may be|they say) that $x(, what now|, what do i do|. what happens|)",
    "how does (cortex|it|the system) (react|respond|behave|cope|deal with it|help) (if|when|once) $x",
    "(tell me|explain|describe|i want to know) what (happens|cortex does|you do|goes on|follows) (if|when|after) $x",
)
_FRAMES = {"nouns": _NOUNS, "deeds": _DEEDS, "cases": _CASES}


def framed(subject: Subject, phrases: dict[str, str], rng: Random) -> str:
    """One question about the subject, each kind of frame as likely as a few of its whole questions."""
    kinds = [kind for kind in _FRAMES if getattr(subject, kind)]
    kind = rng.choice([*kinds, *kinds, *("asked" for _ in subject.asked)])
    if kind == "asked":
        return expand(rng.choice(subject.asked), phrases, rng)
    return expand(rng.choice(_FRAMES[kind]), {**phrases, "x": f"({getattr(subject, kind)})"}, rng)
