"""Every mistake that pipeline.toml can hold: a change to a good file, and the lines that are said of it."""

from __future__ import annotations

import pytest

from config.load import parse
from tests.config.test_load import CARTS, FRAUD, RULE, SMALL, STREAM, TRIGGER, WHOLE, WINDOW, errors, kind

ROUTES = 'routes = ["k", "l"]'
COUNT = 'measures = { n = "count()" }'


def changed(old: str, new: str, text: str = WHOLE) -> str:
    assert old in text
    return text.replace(old, new, 1)


def said(text: str, path: str, *words: str) -> None:
    """Exactly one line, at that path, with these words."""
    [line] = errors(text)
    assert line.startswith(f"{path}: "), line
    assert all(word in line for word in words), line


def test_the_file_that_is_changed_here_is_right() -> None:
    parse(WHOLE)


@pytest.mark.parametrize(
    ("old", "new", "path", "word"),
    [
        # stream
        ('name = "s"', "", "stream.name", "missing"),
        ('name = "s"', 'name = "a b"', "stream.name", "Kinesis"),
        ('name = "s"', f'name = "{"x" * 129}"', "stream.name", "128"),
        ('name = "s"', "name = 5", "stream.name", "5 is not a text"),
        ('name = "s"', 'name = "s"\nformat = "json"', "stream.format", "event, document"),
        ('name = "s"', 'name = "s"\nshards = 0', "stream.shards", "from 1"),
        ('name = "s"', 'name = "s"\nshards = true', "stream.shards", "whole number"),
        ('name = "s"', 'name = "s"\nheartbeat = "0s"', "stream.heartbeat", "longer than nothing"),
        ('name = "s"', 'name = "s"\naggregate = "no"', "stream.aggregate", "true or false"),
        ('name = "s"', 'name = "s"\nsettle = "-1s"', "stream.settle", "negative"),
        # triggers
        ('name = "t"\n', "", "trigger[0].name", "missing"),
        ('database = "d"', 'database = "a.b"', "trigger[0].database", "database name"),
        ('database = "d"', 'database = "local"', "trigger[0].database", "MongoDB itself"),
        ('collection = "c"', 'collection = "system.users"', "trigger[0].collection", "collection name"),
        ('collection = "c"', 'collection = "a$b"', "trigger[0].collection", "collection name"),
        (ROUTES, 'routes = ["k", "k"]', "trigger[0].routes", "twice"),
        (ROUTES, 'routes = ["k", "$x"]', "trigger[0].routes", "not a field"),
        (ROUTES, 'routes = "k"', "trigger[0].routes", "list of texts"),
        (ROUTES, f'{ROUTES}\ntime = "a..b"', "trigger[0].time", "not a field"),
        (ROUTES, f'{ROUTES}\noperations = ["insert", "drop"]', "trigger[0].operations", '"drop"'),
        (ROUTES, f"{ROUTES}\noperations = []", "trigger[0].operations", "empty"),
        (ROUTES, f'{ROUTES}\nupdates = "new_events"', "trigger[0].updates", "new_event"),
        (ROUTES, f"{ROUTES}\nmach = {{ a = 1 }}", "trigger[0].mach", 'did you mean "match"'),
        (ROUTES, f'{ROUTES}\nmatch = {{ "$expr" = {{ a = 1 }} }}', "trigger[0].match", "$expr"),
        (ROUTES, f'{ROUTES}\nmatch = {{ "$where" = "x" }}', "trigger[0].match", "$where"),
        (ROUTES, f'{ROUTES}\nmatch = {{ "$text" = {{ "$search" = "x" }} }}', "trigger[0].match", "$text"),
        (ROUTES, f'{ROUTES}\nmatch = {{ a = {{ "$near" = [1, 2] }} }}', "trigger[0].match", "$near"),
        (ROUTES, f'{ROUTES}\nmatch = {{ "$or" = [ {{ "$expr" = 1 }} ] }}', "trigger[0].match", "$expr"),
        (ROUTES, f'{ROUTES}\nmatch = {{ a = {{ "$date" = "soon" }} }}', "trigger[0].match", "$date"),
        (ROUTES, f"{ROUTES}\nmatch = {{ a = 2024-01-01 }}", "trigger[0].match", "local date"),
        (ROUTES, f"{ROUTES}\nmatch = {{ a = 2024-01-01T00:00:00 }}", "trigger[0].match", "local date"),
        (ROUTES, f"{ROUTES}\nmatch = {{ a = {10**30} }}", "trigger[0].match", "64"),
        (ROUTES, f'{ROUTES}\nmatch = {{ "a\\u0000b" = 1 }}', "trigger[0].match", "zero byte"),
        (ROUTES, f'{ROUTES}\nmatch = {{ "$and" = 5 }}', "trigger[0].match", "takes a list"),
        (ROUTES, f'{ROUTES}\nmatch = {{ "$or" = [] }}', "trigger[0].match", "takes a list"),
        (ROUTES, f'{ROUTES}\nmatch = {{ "$nor" = [5] }}', "trigger[0].match", "takes a list"),
        (ROUTES, f"{ROUTES}\nmatch = {{ a = {'[' * 60}{']' * 60} }}", "trigger[0].match", "nested deeper"),
        (ROUTES, f"{ROUTES}\nbefore = true\nmatch = {{ a = 1 }}", "trigger[0].match", "where"),
        (ROUTES, f"{ROUTES}\nbefore = true\nfull_document = false", "trigger[0].full_document", "must be true"),
        (ROUTES, f'{ROUTES}\nbefore = true\nupdates = "ignore"', "trigger[0].updates", "no meaning"),
        (ROUTES, f'{ROUTES}\ndeletes = "retract"', "trigger[0].deletes", "needs before"),
        (ROUTES, f'{ROUTES}\noversize = "cut"', "trigger[0].oversize", "dead_letter, trim"),
        (ROUTES, f'{ROUTES}\noversize = "trim"', "trigger[0].trim", "missing"),
        (ROUTES, f'{ROUTES}\ntrim = ["photo"]', "trigger[0].trim", "only with"),
        (ROUTES, f'{ROUTES}\noversize = "trim"\ntrim = ["_id"]', "trigger[0].trim", "_id says"),
        (ROUTES, f'{ROUTES}\noversize = "trim"\ntrim = ["a..b"]', "trigger[0].trim", "not a field"),
        (ROUTES, f'{ROUTES}\ntime = "x.at"\noversize = "trim"\ntrim = ["x"]', "trigger[0].trim", "x.at says"),
        (ROUTES, f"{ROUTES}\nprojection = {{}}", "trigger[0].projection", "empty"),
        (ROUTES, f"{ROUTES}\nprojection = {{ k = 1, l = 0 }}", "trigger[0].projection", "fields with 0"),
        (ROUTES, f"{ROUTES}\nprojection = {{ k = 1, a = 1 }}", "trigger[0].projection", 'leaves out "l", and routes'),
        (ROUTES, f"{ROUTES}\nprojection = {{ k = {{ x = 1 }}, l = 1 }}", "trigger[0].projection", 'leaves out "k", and routes'),
        (
            ROUTES,
            f'{ROUTES}\ntime = "x.at"\nprojection = {{ k = 1, l = 1 }}',
            "trigger[0].projection",
            'leaves out "x.at", and time',
        ),
        (ROUTES, f'{ROUTES}\ntime = "x.at"\nprojection = {{ x = 0 }}', "trigger[0].projection", 'leaves out "x", and of x.at'),
        (ROUTES, f"{ROUTES}\nprojection = {{ k = {{ a = false }} }}", "trigger[0].projection", 'leaves out "k.a", and of k'),
        (ROUTES, f"{ROUTES}\nprojection = {{ _id = 0 }}", "trigger[0].projection", 'leaves out "_id"'),
        (ROUTES, f"{ROUTES}\nprojection = {{ a = 2 }}", "trigger[0].projection", "write 1"),
        (ROUTES, f'{ROUTES}\nprojection = {{ a = 0, "a.b" = 0 }}', "trigger[0].projection", "lies inside"),
        (ROUTES, f'{ROUTES}\nprojection = {{ "a.0" = 0 }}', "trigger[0].projection", "no path goes into an array"),
        (ROUTES, f"{ROUTES}\nenabled = false", "trigger[0].enabled", "at least one"),
        (ROUTES, f"{ROUTES}\nenabled = 1", "trigger[0].enabled", "1"),
        (ROUTES, f'{ROUTES}\noperations = ["rename"]', "trigger[0].operations", "logged, and never relayed"),
        ('database = "d"', 'database = "*"', "trigger[0].collection", "must be"),
        (
            'database = "d"\ncollection = "c"',
            'database = "eddy"\ncollection = "*"',
            "trigger[0].collection",
            "would watch the views",
        ),
        ('collection = "c"', 'collection = "*"\nbefore = true', "trigger[0].before", "collection by collection"),
        (ROUTES, f"{ROUTES}\nenvelope = false", "trigger[0].envelope", "document"),
        # window sets
        ('name = "w"', "", "windows[0].name", "missing"),
        ('name = "w"', 'name = "_w"', "windows[0].name", "begins with"),
        ('name = "w"', 'name = "system.w"', "windows[0].name", "no view name"),
        ('name = "w"', f'name = "{"w" * 121}"', "windows[0].name", "120"),
        ('name = "w"', 'name = "r"', "windows[1].name", "taken already: it is the view of windows[0]"),
        ('name = "w"', 'name = "health"', "windows[0].name", "ours"),
        ('name = "w"', 'name = "dead_letters"', "windows[0].name", "ours"),
        ('trigger = "t"', 'trigger = "tt"', "windows[0].trigger", 'did you mean "t"'),
        ('trigger = "t"\n', "", "windows[0].trigger", "missing"),
        ('key = "k"', 'key = "card"', "windows[0].key", "known: k, l"),
        ('key = "k"\n', "", "windows[0].key", "missing"),
        ('tumbling = { size = "1m" }\n', "", "windows[0]", "exactly one of tumbling, sliding, hopping, rolling, session"),
        (COUNT, f'{COUNT}\nsession = {{ gap = "1m" }}', "windows[0]", "tumbling and session"),
        (COUNT, "measures = { }", "windows[0].measures", "at least one"),
        (f"{COUNT}\n", "", "windows[0].measures", "at least one"),
        (COUNT, "measures = { n = 5 }", "windows[0].measures.n", "5 is not a measure"),
        (COUNT, f'{COUNT}\nlate = "keep"', "windows[0].late", "update, dead_letter, drop"),
        (COUNT, f"{COUNT}\nlateness = 3", "windows[0].lateness", 'as in "3s"'),
        (COUNT, f'{COUNT}\nretain = "1w"', "windows[0].retain", "ms, s, m, h or d"),
        (COUNT, f'{COUNT}\nretain = "99999999d"', "windows[0].retain", "longer than"),
        (COUNT, f'{COUNT}\nwhere = "amount >"', "windows[0].where", "not an expression"),
        (COUNT, f'{COUNT}\nwhere = "amount + 1"', "windows[0].where", "condition"),
        (COUNT, f'{COUNT}\nwhere = "acct == 9007199254740993"', "windows[0].where", "doubles"),
        (COUNT, f'{COUNT}\nwhere = "acct in [1, 9007199254740993.0]"', "windows[0].where", "doubles"),
        (COUNT, f'{COUNT}\nwhere = "acct < 1e999"', "windows[0].where", "larger"),
        (COUNT, f'{COUNT}\nwhere = "{"(" * 60}a{")" * 60}"', "windows[0].where", "nested deeper than 50"),
        (COUNT, f'{COUNT}\nwhere = "from > 1 or in > 2"', "windows[0].where", "`in`"),
        (COUNT, f"{COUNT}\nwhere = 'k == \"\\ud83d\"'", "windows[0].where", "half a character"),
        (COUNT, f'{COUNT}\nwhere = \'k in ["a", "\\udc00b"]\'', "windows[0].where", "half a character"),
        (COUNT, "measures = { n = 'count() if k == \"\\ud83d\\ude00\"' }", "windows[0].measures.n", "half a character"),
        (COUNT, f'{COUNT}\nwhere = "items.0.p > 1"', "windows[0].where", "array"),
        (COUNT, 'measures = { n = "sum(price*qty)" }', "windows[0].measures.n", "no field"),
        (COUNT, 'measures = { n = "sum(user-age)" }', "windows[0].measures.n", "`backticks`"),
        (COUNT, 'measures = { n = "last(items.0.p)" }', "windows[0].measures.n", "array"),
        (COUNT, 'measures = { n = "quantile(amount, nan)" }', "windows[0].measures.n", "from 0 to 1"),
        (COUNT, f'{COUNT}\nretain = "{"9" * 5000}d"', "windows[0].retain", "not a duration"),
        ('name = "s"', f'name = "s"\nshards = {"9" * 400}', "stream.shards", "64 bits"),
        ('name = "w"', 'name = "features"', "windows[0].name", "replay"),
        (COUNT, f'{COUNT}\nfilter = "a"', "windows[0].filter", "unknown"),
        (COUNT, f'{COUNT}\nview = "cards"', "windows[0].view", "only rolling sets"),
        # fraud
        (RULE, "", "fraud.rules", "at least one"),
        ('when = "r.n > 3"', 'when = "r.m > 3"', "fraud.rules[0].when", 'has no measure "m"'),
        ('when = "r.n > 3"', 'when = "w.n > 3"', "fraud.rules[0].when", "not a rolling window set"),
        ('when = "r.n > 3"', 'when = "q.n > 3"', "fraud.rules[0].when", "is not a window set"),
        ('when = "r.n > 3"', 'when = "r.n >"', "fraud.rules[0].when", "not an expression"),
        ('when = "r.n > 3"\n', "", "fraud.rules[0].when", "missing"),
        ("weight = 0.5", "weight = 1.5", "fraud.rules[0].weight", "from 0 to 1"),
        ("weight = 0.5", "weight = -1", "fraud.rules[0].weight", "from 0 to 1"),
        ("weight = 0.5", "weight = nan", "fraud.rules[0].weight", "from 0 to 1"),
        ("weight = 0.5\n", "", "fraud.rules[0].weight", "missing"),
        ("{r.n} times", "{r.k} times", "fraud.rules[0].reason", 'has no measure "k"'),
        ("{r.n} times", "{r.n times", "fraud.rules[0].reason", "brace"),
        ("{r.n} times", "{amount!} times", "fraud.rules[0].reason", "pair"),
        ("{r.n} times", "{amount!r} times", "fraud.rules[0].reason", "!"),
        ("{r.n} times", "{amount:zz} times", "fraud.rules[0].reason", "no format"),
        ("{r.n} times", "{amount:999999999} times", "fraud.rules[0].reason", "too much"),
        ("{r.n} times", "{amount:{width}} times", "fraud.rules[0].reason", "too much"),
        ("{r.n} times", "{a.__class__()} times", "fraud.rules[0].reason", "no field"),
        ("{r.n} times", "{} times", "fraud.rules[0].reason", "not a field"),
        ('[fraud]\ntrigger = "t"', '[fraud]\ntrigger = "u"', "fraud.trigger", '"u"'),
        ('[fraud]\ntrigger = "t"', '[fraud]\ntrigger = "t"\nreview = 0.9', "fraud.review", "higher than block 0.8"),
        ('[fraud]\ntrigger = "t"', '[fraud]\ntrigger = "t"\nview = "w"', "fraud.view", "windows[0]"),
        (RULE, RULE + RULE, "fraud.rules[1].name", "fraud.rules[0]"),
        # abandonment
        ('gap = "20s"\n', "", "abandonment.gap", "missing"),
        ('gap = "20s"', 'gap = "0s"', "abandonment.gap", "longer than nothing"),
        ("purchase = \"action == 'purchase'\"", "", "abandonment.purchase", "missing"),
        ('gap = "20s"', 'gap = "20s"\nitems = "a b"', "abandonment.items", "not a field"),
        ('gap = "20s"', 'gap = "20s"\nview = "fraud_scores"', "abandonment.view", "the view of fraud"),
        ('gap = "20s"', 'gap = "20s"\ngaps = "3s"', "abandonment.gaps", 'did you mean "gap"'),
    ],
)
def test_one_mistake(old: str, new: str, path: str, word: str) -> None:
    said(changed(old, new), path, word)


@pytest.mark.parametrize(
    ("text", "path", "word"),
    [
        ('tumbling = { size = "0s" }', "tumbling.size", "longer than nothing"),
        ('tumbling = { size = "-1m" }', "tumbling.size", "negative"),
        ('tumbling = { size = "1 fortnight" }', "tumbling.size", "ms, s, m, h or d"),
        ('tumbling = { size = "1.5h" }', "tumbling.size", "whole number"),
        ("tumbling = { size = 60 }", "tumbling.size", '"60s"'),
        ("tumbling = { }", "tumbling.size", "missing"),
        ('tumbling = "1m"', "tumbling", "not a table"),
        ('tumbling = { size = "1m", sise = "2m" }', "tumbling.sise", 'did you mean "size"'),
        ('tumbling = { size = "1d", zone = "Europe/Berlinn" }', "tumbling.zone", "not a time zone"),
        ('tumbling = { size = "36h", zone = "Europe/Berlin" }', "tumbling.size", "whole days"),
        ('sliding = { size = "1m" }', "sliding.every", "missing"),
        ('sliding = { size = "1m", every = "3m" }', "sliding.every", "3 min is longer than size 1 min"),
        ('hopping = { size = "1s", every = "1500ms" }', "hopping.every", "1500 ms is longer than size 1 s"),
        ('sliding = { size = "1d", every = "1h", zone = "UTC" }', "sliding.every", "1 h is not whole days"),
        ('rolling = { size = "1m", closed = "left" }', "rolling.closed", "right, both"),
        ('rolling = { size = "1m", current = "no" }', "rolling.current", "true or false"),
        ("session = { }", "session.gap", "missing"),
        ('session = { max = "1m" }', "session.gap", "missing"),
        ('session = { gap = "1m", max = "10s" }', "session.max", "10 s is shorter than gap 1 min"),
    ],
)
def test_kinds_that_cannot_be(text: str, path: str, word: str) -> None:
    said(kind(text), f"windows[0].{path}", word)


@pytest.mark.parametrize(
    ("measure", "word"),
    [
        ("amount", "is not a measure"), ("sum", "is not a measure"), ("sum(", "is not a measure"),
        ("summ(amount)", 'did you mean "sum"'),
        ("sum()", "takes one field"), ("sum(a, b)", "takes one field"), ("sum(a * 2)", "takes one field"),
        ("sum($a)", "takes one field"),
        ("sum(a) where b", "only `if <condition>`"), ("sum(a) if", "must follow `if`"), ("sum(a) if b >", "not an expression"),
        ("sum(a) if b + 1", "condition"), ("count(a)", "count takes nothing"), ("share()", "share needs"),
        ("share(a + 1)", "condition"),
        ("quantile(a)", "from 0 to 1"), ("quantile(a, 1.5)", "from 0 to 1"), ("quantile(a, -0.1)", "from 0 to 1"),
        ("quantile(a, x)", "from 0 to 1"), ("quantile(a, nan)", "from 0 to 1"), ("quantile(, 0.5)", "takes one field"),
        ("quantile(a, 0_5)", "from 0 to 1"), ("quantile(a, 0.\u0665)", "from 0 to 1"), ("quantile(a, infinity)", "from 0 to 1"),
        ("count() if b == \u0663", "not understood"), ("count() if b == 1\u0663", "not understood"),
        ("count() if b == 1_000", "not understood"),
    ],
)  # fmt: skip
def test_measures_that_cannot_be(measure: str, word: str) -> None:
    said(changed("count()", measure, SMALL), "windows[0].measures.n", word)


@pytest.mark.parametrize("name", ["_id", "key", "start", "end", "events", "final", "complete", "as_of", "$x", '"a.b"', "_x", "9x"])
def test_measure_names_that_are_taken_or_no_names(name: str) -> None:
    quoted = name if name.startswith('"') else f'"{name}"'
    [line] = errors(changed("{ n =", f"{{ {quoted} =", SMALL))
    assert line.startswith(f"windows[0].measures.{name.strip(chr(34))}: ")


def test_sections_that_are_missing_or_no_tables() -> None:
    assert [line.split(":")[0] for line in errors("")] == ["stream", "trigger"]
    assert [line.split(":")[0] for line in errors('stream = "s"\ntrigger = 5\nwindows = [1]\nfraud = 1\nviews = []')] == [
        "stream", "trigger", "windows", "fraud", "views",
    ]  # fmt: skip
    said(SMALL + "[window]\n", "window", 'did you mean "windows"')


def test_two_triggers_of_one_name() -> None:
    said(STREAM + TRIGGER + TRIGGER + WINDOW, "trigger[1].name", "trigger[0]")


def test_bare_documents_need_one_trigger_one_route_and_a_time() -> None:
    bare = changed('name = "s"', 'name = "s"\nformat = "document"', SMALL)
    one = changed(ROUTES, 'routes = ["k"]', bare)
    said(one, "trigger[0].time", "missing")
    said(changed('"]', '"]\ntime = "at"\nenvelope = true', one), "trigger[0].envelope", "false")
    said(changed('"]', '"]\ntime = "at"\nbefore = true', one), "trigger[0].before", "old value")
    said(changed(ROUTES, f'{ROUTES}\ntime = "at"', bare), "trigger[0].routes", "must be one")
    aggregate = changed('format = "document"', 'format = "document"\naggregate = true', one)
    said(changed('"]', '"]\ntime = "at"', aggregate), "stream.aggregate", "bare documents")
    second = TRIGGER.replace('"t"', '"u"').replace(ROUTES, 'routes = ["k"]\ntime = "at"')
    said(changed('"]', '"]\ntime = "at"', one) + second, "stream.format", "exactly one [[trigger]]; there are 2")


def test_views_that_would_lie_over_what_is_watched() -> None:
    watched = changed('database = "d"\ncollection = "c"', 'database = "eddy"\ncollection = "w"', SMALL)
    said(watched, "windows[0].name", "watched collection")
    said(changed('database = "d"\ncollection = "c"', 'database = "eddy"\ncollection = "abandoned_carts"', SMALL) + CARTS,
         "abandonment.view", "watched collection")  # fmt: skip


def sharing(view: str, name: str = "r", key: str = "k", text: str = WHOLE) -> str:
    """The file, with a view given to its rolling set, which may have another name and key."""
    begin, end = text.split('name = "r"\ntrigger = "t"\nkey = "k"\n')
    return f'{begin}name = "{name}"\ntrigger = "t"\nkey = "{key}"\nview = {view}\n{end}'


def test_a_view_that_sets_share_has_a_name_of_its_own() -> None:
    parse(sharing('"cards"'))
    for view, words in {
        '"w"': ("taken already", "view of windows[0]"),
        '"r"': ("taken already", "name of windows[1]"),
        '"health"': ("taken already", "ours"),
        '"features"': ("taken already", "replay"),
        '"fraud_scores"': ("taken already", "view of fraud"),
        '"_cards"': ("begins with",),
        '""': ("no view name",),
        '"a b"': ("no view name",),
        "5": ("5 is not a text",),
        f'"{"v" * 121}"': ("120",),
    }.items():
        said(sharing(view), "windows[1].view", *words)
    watched = changed('database = "d"\ncollection = "c"', 'database = "eddy"\ncollection = "cards"', sharing('"cards"'))
    said(watched, "windows[1].view", "watched collection")


def test_a_set_that_shares_a_view_is_a_field_of_its_documents() -> None:
    alone = changed(FRAUD + RULE, "")
    for name in ("as_of", "expires_at", "config", "updated_at", "complete"):
        parse(alone.replace('"r"', f'"{name}"'))
        said(sharing('"cards"', name, text=alone), "windows[1].name", "every document", '"cards"')
    said(sharing('"cards"', "a.b", text=alone), "windows[1].name", "no dot")


def test_sets_that_share_a_view_have_one_key() -> None:
    text = changed(FRAUD + RULE, "")
    other = '[[windows]]\nname = "o"\ntrigger = "t"\nkey = "l"\nview = "cards"\nrolling = { size = "1h" }\n' + COUNT + "\n"
    said(sharing('"cards"', text=text) + other, "windows[2].view", "document for each k, as windows[1] says", 'key "l"')
    parse(sharing('"others"', text=text) + other)
    parse(sharing('"cards"', key="l", text=text) + other)
    parse(sharing('"cards"', text=text) + other.replace('key = "l"', 'key = "k"'))


def test_the_age_of_a_shared_view_goes_by_its_own_name() -> None:
    assert parse(sharing('"cards"') + '[views.ttl]\ncards = "1d"\n').views.ttl == {"cards": 86_400_000}
    said(sharing('"cards"') + '[views.ttl]\nr = "1d"\n', "views.ttl.r", "no such view", "cards")


def test_views_settings() -> None:
    said(WHOLE + '[views]\ndatabase = ""\n', "views.database", "database name")
    said(WHOLE + '[views.ttl]\nww = "1d"\n', "views.ttl.ww", 'did you mean "w"')
    said(WHOLE + '[views.ttl]\nw = "0s"\n', "views.ttl.w", "longer than nothing")
    said(WHOLE + '[views]\nttl = "1d"\n', "views.ttl", "not a table")


def test_a_secret_or_address_has_no_place_in_the_file() -> None:
    said(changed('name = "s"', 'name = "s"\nmongodb_uri = "mongodb://u:p@h"', SMALL), "stream.mongodb_uri", "unknown")


def test_more_measures_than_one_set_can_keep() -> None:
    measures = ", ".join(f'm{i} = "sum(f{i})"' for i in range(63))
    said(changed(COUNT, f"measures = {{ {measures} }}", SMALL), "windows[0]", "64", "63", "two sets")


@pytest.mark.parametrize(
    ("line", "name", "word"),
    [
        ('snapshot = "0s"', "snapshot", "longer than nothing"),
        ("snapshot = 60", "snapshot", '"60s"'),
        ('memory = "512"', "memory", "kB, MB or GB"),
        ("memory = 512", "memory", "a text"),
        ('memory = "0.5GB"', "memory", "whole number"),
        ('memory = "1MB"', "memory", "from 16MB"),
        ('heap = "5000GB"', "heap", "to 1000GB"),
        ('port = "9464"', "port", "a whole number"),
        ("port = 65536", "port", "from 1 to 65000"),
        ("port = -1", "port", "0 for none"),
        ('address = "localhost"', "address", '"127.0.0.1"'),
        ('heaps = "1GB"', "heaps", 'did you mean "heap"'),
    ],
)
def test_the_consumers_own_section(line: str, name: str, word: str) -> None:
    said(f"{WHOLE}[consumer]\n{line}\n", f"consumer.{name}", word)


def test_the_producers_own_section() -> None:
    said(f"{WHOLE}[producer]\nport = 70000\n", "producer.port", "from 1 to 65000")
    said(f"{WHOLE}[producer]\nports = 1\n", "producer.ports", 'did you mean "port"')


HUGE = "0x" + "F" * 5_000  # Python writes no such number


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('size = "1m"', f"size = {HUGE}"),
        ('routes = ["k", "l"]', f"routes = [{HUGE}]"),
        ('database = "d"', f'database = "d"\nmatch = {{ x = {{ "$numberLong" = {HUGE} }} }}'),
        ('database = "d"', f'database = "d"\nmatch = {{ x = {{ "$oid" = [{HUGE}] }} }}'),
        ('database = "d"', f'database = "d"\nmatch = {{ x = {{ "$gt" = {HUGE} }} }}\nupdates = {HUGE}'),
        ('database = "d"', f'database = "d"\noperations = [{HUGE}]'),
        ('name = "s"', f'name = "s"\nshards = [{{ a = {HUGE} }}]'),
        ('name = "s"', f"name = {HUGE}"),
        ('name = "w"', f"name = {HUGE}"),
    ],
)
def test_numbers_of_thousands_of_digits_are_lines_like_others(old: str, new: str) -> None:
    assert all(": " in line and len(line) < 300 for line in errors(SMALL.replace(old, new)))


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-00:01"])
@pytest.mark.parametrize(
    "where", ["{}", '{{ "$in" = [{}] }}', '{{ "$elemMatch" = {{ b = {} }} }}', '{{ "$not" = {{ "$gt" = {} }} }}']
)
def test_dates_of_a_match_that_their_zone_puts_outside_all_years(date: str, where: str) -> None:
    for match in (
        f"match = {{ a = {where.format(date)} }}",
        f'match = {{ "$or" = [{{ b = 1 }}, {{ a = {where.format(date)} }}] }}',
    ):
        said(
            SMALL.replace('database = "d"', f'database = "d"\n{match}'), "trigger[0].match", "outside the years 1 to 9999", date[:4]
        )
    parse(SMALL.replace('database = "d"', 'database = "d"\nmatch = { a = 0001-01-01T00:00:00-23:00, b = 9999-12-31T23:59:59Z }'))


def test_a_number_that_no_reader_of_toml_reads_is_told_with_its_line() -> None:
    said(SMALL.replace('name = "s"', f'name = "s"\nshards = {"9" * 5_000}'), "pipeline.toml", "thousands of digits", "(line 3)")


def test_a_key_of_several_lines_is_still_one_line() -> None:
    said(SMALL.replace('name = "s"', 'name = "s"\n"a\\nb: c" = 1'), "stream.a b: c", "unknown")


def test_filters_that_bson_cannot_hold() -> None:
    match = 'match = { x = { "$numberLong" = "9223372036854775808" } }'
    said(SMALL.replace('database = "d"', f'database = "d"\n{match}'), "trigger[0].match", "no value of BSON")


def test_paths_that_would_go_into_an_array() -> None:
    said(SMALL.replace('routes = ["k", "l"]', 'routes = ["k", "a.0"]'), "trigger[0].routes", "into an array")
    said(SMALL.replace('database = "d"', 'database = "d"\ntime = "a.0.b"'), "trigger[0].time", "into an array")
    for name in ("items", "value"):
        said(WHOLE.replace("[abandonment]", f'[abandonment]\n{name} = "cart.0.{name}"'), f"abandonment.{name}", "into an array")


def test_a_sliding_set_whose_events_lie_in_too_many_windows() -> None:
    said(kind('sliding = { size = "1d", every = "1ms" }'), "windows[0]", "86,400,000 of its windows")
    parse(kind('sliding = { size = "10s", every = "1ms" }'))


@pytest.mark.parametrize("name", ["id", "trigger", "key", "at"])
def test_rolling_sets_that_are_called_like_fields_of_features(name: str) -> None:
    said(kind('rolling = { size = "1m" }').replace('name = "w"', f'name = "{name}"'), "windows[0].name", "is taken")
    parse(SMALL.replace('name = "w"', f'name = "{name}"'))


def test_a_reason_cannot_make_characters_of_numbers() -> None:
    said(WHOLE.replace("{r.n}", "{amount:c}"), "fraud.rules[0].reason", "makes a character")


@pytest.mark.parametrize(
    ("lines", "path", "word"),
    [
        ('database = "eddy"\ncollection = "dead_letters"', "trigger[0].collection", "written by Eddy"),
        ('database = "eddy"\ncollection = "health"', "trigger[0].collection", "written by Eddy"),
        ('database = "eddy"\ncollection = "_bookmarks"', "trigger[0].collection", "written by Eddy"),
        ('database = "eddy"\ncollection = "*"', "trigger[0].collection", "would watch the views"),
    ],
)
def test_nobody_watches_what_eddy_writes(lines: str, path: str, word: str) -> None:
    found = errors(changed('database = "d"\ncollection = "c"', lines))
    assert any(line.startswith(f"{path}: ") and word in line for line in found), found


@pytest.mark.parametrize("words", ["k = 1, l = 1", "a = 0", '"a.b" = 0'])
def test_a_projection_leaves_nothing_out_that_a_window_reads(words: str) -> None:
    text = SMALL.replace("count()", "sum(a.b)")
    said(text.replace(ROUTES, f"{ROUTES}\nprojection = {{ {words} }}"), "trigger[0].projection", "windows[0] reads")
    for fine in ("k = 1, l = 1, a = 1", '"a.c" = 0'):
        parse(text.replace(ROUTES, f"{ROUTES}\nprojection = {{ {fine} }}"))
