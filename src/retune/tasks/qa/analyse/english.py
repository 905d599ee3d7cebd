"""Small word lists of English, by which rules find the parts of a question."""


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


BE = words_of("is are was were")
HAVE = words_of("has have had")
DO = words_of("do does did")
MODALS = words_of("can could would should must will")
AUXILIARIES = BE | HAVE | DO | MODALS
PRESENT = words_of("is are has have do does can will must")
#: Begin a clause that is a part of a sentence.
SUBORDINATORS = words_of(
    "that who whom whose which what where when while because if so than although since as"
)
PREPOSITIONS = words_of(
    "about above across after against along among apart around as at before behind below beneath "
    "beside besides between beyond by down during except for from in inside into like near of off "
    "on onto out outside over past since through to toward towards under until up upon via with "
    "within without"
)
DETERMINERS = words_of(
    "a an the this that these those his her its their our my your no some any each every another"
)
PRONOUNS = words_of("he she it they we you i")
#: Past tense and past participle of irregular verbs, by the base.
IRREGULAR = {
    base: (past, participle)
    for base, past, participle in (
        line.split()
        for line in """\
arise arose arisen
bear bore born
become became become
begin began begun
bring brought brought
build built built
buy bought bought
catch caught caught
choose chose chosen
come came come
cut cut cut
draw drew drawn
drive drove driven
eat ate eaten
fall fell fallen
fight fought fought
find found found
fly flew flown
forget forgot forgotten
gain gained gained
get got got
give gave given
go went gone
grow grew grown
have had had
hear heard heard
hide hid hidden
hit hit hit
hold held held
keep kept kept
know knew known
lay laid laid
lead led led
learn learned learned
leave left left
lend lent lent
let let let
lie lay lain
lose lost lost
make made made
mean meant meant
meet met met
put put put
read read read
ride rode ridden
ring rang rung
rise rose risen
run ran run
say said said
see saw seen
seek sought sought
sell sold sold
send sent sent
set set set
shut shut shut
sing sang sung
sink sank sunk
speak spoke spoken
spend spent spent
spread spread spread
stand stood stood
steal stole stolen
sweep swept swept
swim swam swum
take took taken
teach taught taught
tell told told
think thought thought
throw threw thrown
understand understood understood
wear wore worn
win won won
write wrote written""".splitlines()
    )
}
#: Bases of regular verbs.
REGULAR = words_of(
    "accept achieve agree allow announce appear apply arrive ask attack attain attend attract "
    "avoid believe belong border call campaign carry cause change claim clash collect command "
    "compare complete compose connect consider consist contain contribute cover create cross "
    "decide declare defeat demand describe destroy develop devise die differ discover dismiss "
    "enter establish expect experience explain explore export express extend fail favour finish "
    "follow form found happen help hope identify improve include increase influence intend "
    "introduce invade invent involve join kill launch limit live look love manage marry "
    "measure mention move name need observe obtain occupy occur offer open oppose order organise "
    "own participate pass perform persuade place plan play prefer present prevent produce promise "
    "promote propose protect prove provide publish pursue reach receive recommend record refer "
    "refuse release rely remain replace represent require resist result return reveal rule seem "
    "serve settle show sign spark start stay stop study suffer suggest support surrender survive "
    "touch train travel treat try turn use visit want watch work"
)
BASES = frozenset(IRREGULAR) | REGULAR
PARTICIPLES = frozenset(participle for _, participle in IRREGULAR.values()) | {"been"}
_PASTS = frozenset(past for past, _ in IRREGULAR.values())


def past_of(base: str) -> str:
    """Return the past tense of a verb in `BASES`."""
    if base in IRREGULAR:
        return IRREGULAR[base][0]
    if base.endswith("e"):
        return f"{base}d"
    if base.endswith("y") and base[-2] not in "aeiou":
        return f"{base[:-1]}ied"
    doubled = base[-1] if base in {"plan", "refer", "stop", "travel"} else ""
    return f"{base}{doubled}ed"


def present_of(base: str) -> str:
    """Return the third person of a verb in `BASES`: he carries."""
    if base == "have":
        return "has"
    if base.endswith("y") and base[-2] not in "aeiou":
        return f"{base[:-1]}ies"
    return base + ("es" if base.endswith(("s", "sh", "ch", "x", "o")) else "s")


def is_past(word: str) -> bool:
    """Return whether a word looks like the past tense of a verb."""
    return word in _PASTS or (word.endswith("ed") and len(word) > 4 and not word.endswith("eed"))


def is_participle(word: str) -> bool:
    """Return whether a word looks like a past participle or ends in -ing."""
    return word in PARTICIPLES or is_past(word) or (word.endswith("ing") and len(word) > 5)
