"""Turns patterns into the many ways people write: expansion, case, typos, random words.

Every function draws from the random source it is given, so a seed fixes the corpus. Nothing here knows cortex,
tools or tokens.
"""

import re
from random import Random

__all__ = ["cut", "expand", "filler", "noise", "random_name", "random_text", "random_word", "reworded"]

_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_PHRASE = re.compile(r"\$([a-z]+)")
_LOOSE_MARK = re.compile(r" ([,.:](?: |$))")


def cut(text: str, mark: str | None = None) -> tuple[str, ...]:
    """The pieces of a text written in a row."""
    return tuple(text.split(mark))


_ONSETS = cut("b br c ch d dr f fl g gr h j k kl l m n p pl qu r s sh sk st t th tr v w y z")
_VOWELS = cut("a e i o u a e i o ai au ea ee ie oo ou y")
_CODAS = cut("n r s t l m d k x ng nd st rt ck p th")
_PLAIN = cut(
    "apple bread river garden chair window summer winter yellow purple market train station music guitar doctor letter "
    "bridge castle mountain island forest horse kitten puppy butter cheese sugar coffee water stone silver paper pencil "
    "book school teacher student number engine wheel motor battery cable light shadow cloud storm rain snow wind fire "
    "table door house roof street city village farm field flower tree leaf root seed fruit berry lemon orange onion "
    "potato soup dinner lunch morning evening night week month year clock watch phone camera screen keyboard mouse "
    "README main test index server client notes plan report todo backup config data image video password user admin "
    "hello world first second third big small cheap old new fast slow red green blue buy sell open close start stop "
    "bicycle airport bottle carpet planet ocean desert valley tunnel museum library hospital office factory kitchen bedroom "
    "mirror candle blanket pillow jacket trousers button pocket shoes hat gloves umbrella suitcase ticket passport journey "
    "holiday weekend birthday wedding concert theatre movie picture painting song piano violin drum dance football tennis "
    "chess puzzle holiday recipe bread pasta pizza salad tomato carrot pepper garlic rice beans chicken fish egg honey tea "
    "juice wine beer glass plate spoon fork knife oven fridge freezer laundry soap towel brush broom bucket hammer nail "
    "screw ladder rope wire pump pipe engine tractor truck bus tram ferry harbour sailor captain pilot driver farmer baker "
    "butcher tailor nurse lawyer judge mayor king queen prince knight dragon giant monkey tiger lion bear wolf fox rabbit "
    "squirrel mouse cow sheep goat pig duck goose eagle owl pigeon spider bee butterfly whale shark dolphin crab history "
    "science physics chemistry biology maths grammar language english german french spanish italian russian chinese letter "
    "envelope stamp parcel invoice contract budget salary meeting agenda minutes deadline project release version branch "
    "commit merge deploy rollback cluster container image volume network router switch firewall proxy cache queue worker "
    "thread process memory disk folder archive backup snapshot restore monitor alert metric trace error warning debug"
)
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_STOPWORDS = frozenset(cut("a an the is are do does i you of to can it for please me exactly that"))
_PREFIXES = cut(
    "hey, |hi, |please: |ok, |so |and |quick question: |one more thing: |hello, |now |please tell me, |could you say "
    "|i was wondering, |can you tell me |do you know |i would like to know |just tell me, |in this project, |tell me, "
    "|suppose i ask: |i am new here. |i have a question. ",
    "|",
)
_SUFFIXES = cut(
    " please|, please| exactly| in cortex| here| thanks| by the way| with cortex| then| again| in short"
    "| in one sentence|, briefly| today| in simple words| for me| in this project| now| at all| in your words",
    "|",
)


def expand(pattern: str, phrases: dict[str, str], rng: Random) -> str:
    """One sentence out of a pattern, its spaces put right."""
    text = pattern
    while _PHRASE.search(text):
        text = _PHRASE.sub(lambda match: phrases[match[1]], text)
    while match := _CHOICE.search(text):
        text = text[: match.start()] + rng.choice(match[1].split("|")) + text[match.end() :]
    return _LOOSE_MARK.sub(r"\1", " ".join(text.replace("(", "").replace(")", "").split()))


def random_word(rng: Random, most: int = 3) -> str:
    """A word that nobody can foresee, most often one without meaning: it can only be copied."""
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(_PLAIN)
    if kind < 0.5:
        return "".join(rng.choices(_LETTERS, k=rng.randint(1, 6)))
    return "".join(
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + (rng.choice(_CODAS) if rng.random() < 0.4 else "")
        for _ in range(rng.randint(1, most))
    )


def random_name(rng: Random) -> str:
    """A capitalised name of one or two random words."""
    words = [random_word(rng).capitalize() for _ in range(rng.choice((1, 1, 1, 2, 2, 3)))]
    return " ".join(words)


def random_text(rng: Random, least: int = 1, most: int = 6) -> str:
    """Random words and now and then a number."""
    count = rng.randint(least, most)
    return " ".join(
        str(rng.randint(0, 999)) if rng.random() < 0.08 else random_word(rng) for _ in range(count)
    )


def filler(words: int, source: list[str], rng: Random) -> str:
    """A paragraph of about so many words, of sentences from the source and random ones mixed."""
    parts: list[str] = []
    length = 0
    while length < words:
        sentence = rng.choice(source) if rng.random() < 0.6 else random_text(rng, 4, 12).capitalize() + "."
        parts.append(sentence + ("\n" if rng.random() < 0.15 else ""))
        length += len(sentence.split())
    return " ".join(parts).strip()


def noise(question: str, rng: Random) -> str:
    """The question as somebody in a hurry may write it: another opening, case, mark, a slip of the finger."""
    text = question
    if rng.random() < 0.2:
        text = rng.choice(_PREFIXES) + text
    if rng.random() < 0.15:
        text += rng.choice(_SUFFIXES)
    words = text.split()
    if len(words) > 3 and rng.random() < 0.15:
        words = [word for word in words if word not in _STOPWORDS or rng.random() < 0.6]
    if rng.random() < 0.08:
        at = rng.randrange(len(words)) if words else 0
        words = [_slip(word, rng) if i == at else word for i, word in enumerate(words)]
    text = " ".join(words) or question
    case = rng.random()
    if case < 0.45:
        text = text[:1].upper() + text[1:]
    elif case < 0.49:
        text = text.upper()
    elif case < 0.52:
        text = text.title()
    return text + rng.choice(("?", "?", "?", "?", "", "", "", ".", "!", " ?", "??", "..."))


def _slip(word: str, rng: Random) -> str:
    """One letter doubled, dropped or swapped with its neighbour."""
    if len(word) < 5:
        return word
    at = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(3)
    if kind == 0:
        return word[:at] + word[at] + word[at:]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


_LOOSE = cut(
    "actually really just some any much very quite maybe perhaps then now there here again also only even still already "
    "well so but and or if when while because about around with without from into over under by on at in of for to as "
    "have has had got get gets getting give given take takes taken make makes made need needs want wants use used using "
    "know say says said tell see look looking think mean means meant work works working run running call called come "
    "would could should might must will shall may my your our their his her its this that these those one ones thing "
    "things way ways part parts kind sort side people somebody someone anybody friend team colleague machine computer "
    "exactly basically usually normally currently suddenly please sorry question answer explain detail short long able"
)
_REMARKS = cut(
    "I am new to this.|I just read about it.|We have three hosts here.|My colleague asked me.|I have no idea.|"
    "This is for my team.|I am setting it up.|Sorry to bother you.|I looked in the manual.|One last question.|"
    "It is late already.|I have five minutes.|Before I begin,|As far as I understand,|To be honest,|By the way,|"
    "My boss wants to know:|For a talk I give:|When I use it,|Let us say I want to learn:|We are a small lab.|Hello again.|"
    "Hi, thanks for your help so far.|There is one thing I do not get.|We are planning our new setup.|I run this at home.|"
    "Maybe a silly question:|My notes are unclear here.|Somebody in the chat wondered:|Out of curiosity,|For the record,|"
    "It is my first day here.|I need this for a report.|Back to work.|Another topic.|Let me ask something else.",
    "|",
)


def reworded(question: str, rng: Random) -> str:
    """The question with its small words changed, so that only the telling words can be relied on."""
    words: list[str] = []
    for word in question.split():
        if word.lower() not in _STOPWORDS or rng.random() < 0.5:
            words.append(word)
        if rng.random() < 0.22:
            words.append(rng.choice(_LOOSE))
    for _ in range(rng.randint(0, 3)):
        words.insert(rng.randint(0, len(words)) if rng.random() < 0.4 else 0, rng.choice(_LOOSE))
    text = " ".join(words)
    if rng.random() < 0.5:
        text = text[:1].upper() + text[1:]
    if rng.random() < 0.3:
        text = f"{rng.choice(_REMARKS)} {text}"
    return text if text.endswith(("?", ".", "!")) else text + rng.choice(("?", "?", "", "."))
