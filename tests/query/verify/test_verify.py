"""`python -m query verify` against a real mongod, on views of the real pipeline: what is right, and each way of being wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from bson import Timestamp

from tests.query.verify.conftest import Shop, Verify

Document = dict[str, Any]
LAST = re.compile(r"^verify: (\d+) of (\d+) values differ, (\d+) unverifiable$")


def totals(said: str) -> tuple[int, int, int]:
    """What differs, of how many, and how many are unverifiable."""
    found = LAST.match(said.splitlines()[-1])
    assert found is not None, said
    differ, checked, unverifiable = (int(n) for n in found.groups())
    return differ, checked, unverifiable


def table(verify: Verify, *argv: str) -> Mapping[str, Document]:
    """Each view's counts."""
    _, said = verify("--json", *argv)
    return {line["view"]: line for line in map(json.loads, said.splitlines()) if "view" in line}


def one(shop: Shop, view: str, **wanted: Any) -> Document:
    """A document of a view, with more than one event where it says how many."""
    found = next(d for d in shop.views[view].find(wanted) if d.get("events", 2) > 1)
    return dict(found)


def unverifiable(verify: Verify, *argv: str) -> Mapping[str, int]:
    """By reason, in all views."""
    found: dict[str, int] = {}
    for line in table(verify, *argv).values():
        for reason, n in line["unverifiable"].items():
            found[reason] = found.get(reason, 0) + n
    return found


def test_what_is_right_differs_nowhere(shop: Shop, verify: Verify) -> None:
    status, said = verify()
    differ, checked, unknown = totals(said)
    assert (status, differ, unknown) == (0, 0, 0), said
    documents = sum(shop.views[name].count_documents({}) for name in shop.views.list_collection_names() if name[0] != "_")
    assert checked == documents > 1_000
    counted = table(verify)
    assert {"tumbling", "sliding", "session", "recent", "before_this", "a_while_ago", "fraud_scores", "abandoned_carts"} < set(
        counted
    )
    assert all(line["checked"] > 1 for line in counted.values())


@pytest.mark.parametrize(
    ("view", "field", "wrong"),
    [
        ("tumbling", "spend", 0.01),
        ("sliding", "n", 99),
        ("session", "value", -1.5),
        ("recent", "top", 1e9),
        ("fraud_scores", "decision", "maybe"),
        ("abandoned_carts", "status", "forgotten"),
    ],
)
def test_a_value_that_was_changed_by_hand_is_named(shop: Shop, verify: Verify, view: str, field: str, wrong: Any) -> None:
    document = one(shop, view)
    shop.views[view].update_one({"_id": document["_id"]}, {"$set": {field: wrong}})
    status, said = verify()
    assert status == 3
    assert totals(said)[0] == 1, said
    [line] = [line for line in said.splitlines() if line.startswith("  differs: ")]
    assert f" {field}: is {wrong!r}, should be {document[field]!r}" in line
    assert line.startswith(f"  differs: {view} {document['key']!r}" if view != "fraud_scores" else "  differs: fraud_scores")
    counted = table(verify)
    assert {name for name, count in counted.items() if count["differ"]} == {view}


@pytest.mark.parametrize("view", ["tumbling", "sliding", "session", "recent", "fraud_scores", "abandoned_carts"])
def test_a_document_that_is_missing_and_one_too_many(shop: Shop, verify: Verify, view: str) -> None:
    document = one(shop, view)
    shop.views[view].delete_one({"_id": document["_id"]})
    extra = {**document, "_id": "nobody", "key": "nobody"}
    if isinstance(document["_id"], dict):
        extra["_id"] = {"k": "nobody", "s": document["_id"]["s"]}
    shop.views[view].insert_one(extra)
    status, said = verify()
    assert (status, totals(said)[0]) == (3, 2), said
    assert "is missing" in said
    assert "'nobody'" in said
    count = table(verify)[view]
    assert (count["missing"], count["surplus"], count["differ"]) == (1, 1, 0)


def test_a_document_that_was_updated_since_is_unverifiable_and_no_other_is(shop: Shop, verify: Verify) -> None:
    payment = shop.source.transactions.find_one({"declined": False, "amount": {"$gt": 3}})
    shop.source.transactions.update_one({"_id": payment["_id"]}, {"$set": {"amount": payment["amount"] + 1}})
    status, said = verify()
    assert (status, totals(said)[0]) == (0, 0), said
    assert "holds documents that were changed since" in said
    counted = table(verify)
    assert counted["tumbling"]["unverifiable"] == {"updated": 1}
    assert counted["sliding"]["unverifiable"]["updated"] in (3, 4)  # windows of 10 s, every 3 s
    assert set(unverifiable(verify)) == {"updated"}
    wrong = next(d for d in shop.views.tumbling.find() if d["key"] != payment["card_id"])
    shop.views.tumbling.update_one({"_id": wrong["_id"]}, {"$set": {"n": 99}})
    status, said = verify()
    assert (status, totals(said)[0]) == (3, 1), said


def test_a_document_that_got_another_key(shop: Shop, verify: Verify) -> None:
    payment, other = shop.source.transactions.aggregate([{"$sample": {"size": 2}}])
    shop.source.transactions.update_one({"_id": payment["_id"]}, {"$set": {"card_id": "somebody else"}})
    assert other["_id"] != payment["_id"]
    status, said = verify()
    assert (status, totals(said)[0]) == (0, 0), said
    assert set(unverifiable(verify)) == {"updated"}


def test_a_document_that_was_deleted_since(shop: Shop, verify: Verify) -> None:
    payment = shop.source.transactions.find_one({"amount": {"$gt": 3}})
    shop.source.transactions.delete_one({"_id": payment["_id"]})
    status, said = verify()
    assert (status, totals(said)[0]) == (0, 0), said
    found = table(verify)
    assert found["tumbling"]["unverifiable"] == {"deleted": 1}
    assert found["fraud_scores"]["unverifiable"]["deleted"] >= 1
    assert set(unverifiable(verify)) == {"deleted"}


def test_an_event_too_many_in_a_window_is_no_deleted_document(shop: Shop, verify: Verify) -> None:
    """Counted twice: what the check is there for."""
    document = one(shop, "sliding")
    shop.views.sliding.update_one({"_id": document["_id"]}, {"$inc": {"events": 1, "n": 1}})
    status, said = verify()
    assert (status, totals(said)[0]) == (3, 1), said


def test_a_collection_with_a_ttl_tells_less_than_the_views(shop: Shop, verify: Verify) -> None:
    shop.source.transactions.create_index("written_at", expireAfterSeconds=10**8)
    gone = [d["_id"] for d in shop.source.transactions.find().sort("n", 1).limit(20)]
    shop.client[shop.source.name].drop_collection("gone")
    shop.source.transactions.aggregate([{"$match": {"_id": {"$nin": gone}}}, {"$out": "less"}])
    shop.source.transactions.drop()
    shop.source.less.rename("transactions")
    shop.source.transactions.create_index("written_at", expireAfterSeconds=10**8)
    status, said = verify("--views", "tumbling,sliding,recent")
    assert (status, totals(said)[0]) == (0, 0), said
    assert set(unverifiable(verify, "--views", "tumbling,sliding,recent")) == {"expired"}
    shop.source.transactions.drop_indexes()
    assert verify("--views", "tumbling")[0] == 3, "without one nothing speaks for them"


def test_what_began_before_its_set_did(shop: Shop, verify: Verify) -> None:
    first, other = shop.views.tumbling.find().limit(2)
    shop.views.tumbling.update_one({"_id": first["_id"]}, {"$set": {"complete": False, "n": 0, "events": 1}})
    assert unverifiable(verify) == {"incomplete": 1}
    config = shop.set("tumbling").fingerprint
    shop.views.health.update_many({}, {"$set": {f"since.{config}": other["end"] + timedelta(days=1)}})
    shop.views.tumbling.delete_one({"_id": other["_id"]})
    assert unverifiable(verify) == {"incomplete": 1, "before": 1}
    assert verify()[0] == 0


def test_what_a_former_definition_made_stays(shop: Shop, verify: Verify) -> None:
    document = one(shop, "tumbling")
    shop.views.tumbling.update_one({"_id": document["_id"]}, {"$set": {"config": "another", "n": 0}})
    assert verify()[0] == 3, "no set has begun since"
    config = shop.set("tumbling").fingerprint
    shop.views.health.update_many({}, {"$set": {f"since.{config}": document["start"] - timedelta(days=1)}})
    assert verify()[0] == 0
    assert unverifiable(verify) == {"former": 1}


def test_what_was_there_before_the_first_relayed_change(shop: Shop, verify: Verify) -> None:
    """The source has had documents for years when Eddy begins."""
    payment = shop.source.transactions.find_one({"amount": {"$gt": 3}})
    early = {**payment, "_id": "early", "at": payment["at"] - timedelta(days=9), "card_id": "early"}
    shop.source.transactions.insert_one(early)
    assert verify()[0] == 3
    begun = shop.views.tumbling.find_one(sort=[("start", 1)])["start"] - timedelta(minutes=5)
    shop.views["_bookmarks"].insert_one({"_id": "everything/plain", "stream": "everything", "begun": Timestamp(begun, 1)})
    status, said = verify()
    assert (status, totals(said)[0]) == (0, 0), said
    assert set(unverifiable(verify)) == {"before"}


def test_what_a_set_has_refused(shop: Shop, verify: Verify) -> None:
    document = one(shop, "sliding")
    payment = shop.source.transactions.find_one({"terminal_id": document["key"], "at": {"$gte": document["start"]}})
    late = {**payment, "_id": "late", "n": 10**6}
    shop.source.transactions.insert_one(late)
    assert verify("--views", "sliding")[0] == 3
    shop.views.health.update_many({}, {"$set": {"late_by_set": {"sliding": 1}}})
    assert verify("--views", "sliding")[0] == 0
    assert set(unverifiable(verify, "--views", "sliding")) == {"late"}


def test_a_dead_letter_is_no_event(shop: Shop, verify: Verify) -> None:
    payment = shop.source.transactions.find_one()
    bad = {**payment, "_id": "bad", "n": 10**6}
    shop.source.transactions.insert_one({**bad, "amount": "12"})
    assert verify()[0] == 0, "a text where a number must be is in no view"
    shop.source.transactions.insert_one({**bad, "_id": "large"})
    assert verify("--views", "tumbling,sliding")[0] == 3
    for route in ("card_id", "terminal_id"):
        record = json.dumps({"kind": "change", "trigger": "transactions", "route": route, "doc_id": "large"})
        shop.views.dead_letters.insert_one({"trigger": "transactions", "route": route, "reason": "size", "record": record})
    status, said = verify()
    assert (status, totals(said)[0]) == (0, 0), said


def test_a_trigger_whose_events_have_no_time_of_their_own(shop: Shop, verify: Verify) -> None:
    shop.change('routes = ["cart_id"]\ntime = "at"', 'routes = ["cart_id"]')
    status, said = verify()
    assert (status, totals(said)[0]) == (0, 0), said
    assert unverifiable(verify).keys() == {"undated"}
    assert verify("--views", "session")[0] == 4, "nothing was compared"


def test_a_trigger_that_counts_updates_as_events(shop: Shop, verify: Verify) -> None:
    shop.change('collection = "transactions"\noperations = ["insert"]', 'collection = "transactions"\nupdates = "new_event"')
    document = one(shop, "sliding")
    shop.views.sliding.update_one({"_id": document["_id"]}, {"$inc": {"events": 1, "n": 1}})
    status, said = verify()
    assert (status, totals(said)[0]) == (0, 0), said
    assert unverifiable(verify) == {"history": 1}


def test_only_what_ends_after_a_time(shop: Shop, verify: Verify) -> None:
    """start ─ wrong ─ since ─ wrong ─ end"""
    ordered = list(shop.views.tumbling.find().sort("end", 1))
    early, late = ordered[0], ordered[-1]
    middle = early["end"] + (late["end"] - early["end"]) / 2
    whole = totals(verify()[1])[1]
    shop.views.tumbling.update_one({"_id": early["_id"]}, {"$set": {"n": 99}})
    status, said = verify("--since", middle.isoformat())
    differ, checked, unknown = totals(said)
    assert (status, differ, unknown) == (0, 0, 0), said
    assert 100 < checked < whole
    shop.views.tumbling.update_one({"_id": late["_id"]}, {"$set": {"n": 99}})
    status, said = verify("--since", middle.isoformat())
    assert (status, totals(said)[0]) == (3, 1)
    assert totals(verify()[1])[0] == 2


def test_little_memory_gives_the_same_report(shop: Shop, verify: Verify) -> None:
    document = one(shop, "tumbling")
    shop.views.tumbling.update_one({"_id": document["_id"]}, {"$set": {"n": 99}})
    shop.views.session.delete_one({"_id": one(shop, "session")["_id"]})
    much = verify()
    assert much[0] == 3
    little = verify("--memory", "400KB")
    assert sorted(little[1].splitlines()) == sorted(much[1].splitlines())


def test_a_key_that_does_not_fit_is_told_and_the_others_are_compared(shop: Shop, verify: Verify) -> None:
    status, said = verify("--memory", "60KB")
    differ, checked, unknown = totals(said)
    assert (status, differ) == (0, 0), said
    assert checked > 100 and unknown > 100
    assert "does not fit into --memory" in said
    assert unverifiable(verify, "--memory", "60KB").keys() == {"too_large"}


def test_some_views(shop: Shop, verify: Verify) -> None:
    assert set(table(verify, "--views", "tumbling,fraud_scores")) == {"tumbling", "fraud_scores"}
    status, said = verify("--views", "tumbler")
    assert status == 78
    assert 'there is no view "tumbler"' in said


def test_views_of_nothing(shop: Shop, verify: Verify) -> None:
    for database in (shop.source, shop.views):
        shop.client.drop_database(database.name)
    status, said = verify()
    assert (status, totals(said)) == (4, (0, 0, 0))


def test_order_that_nobody_tells(shop: Shop, verify: Verify) -> None:
    """Two payments at once: which of them came last only a field that grows with the writing can tell."""
    for view in shop.views.tumbling.find():
        around = {"card_id": view["key"], "at": {"$gte": view["start"], "$lt": view["end"]}, "amount": {"$gt": 2}}
        last = list(shop.source.transactions.find(around).sort([("at", -1), ("n", -1)]))[:2]
        if len(last) == 2 and last[0]["terminal_id"] != last[1]["terminal_id"]:
            break
    else:
        pytest.fail("no card that changed its terminal")
    newest, other = last
    shop.views.tumbling.update_one({"_id": view["_id"]}, {"$set": {"last": other["terminal_id"]}})
    shop.source.transactions.aggregate([{"$out": "same"}])  # where nobody has seen the update
    shop.source.same.update_one({"_id": other["_id"]}, {"$set": {"at": newest["at"]}})
    shop.source.transactions.drop()
    shop.source.same.rename("transactions")
    found = table(verify, "--views", "tumbling")["tumbling"]
    assert (found["differ"], found["unverifiable"]) == (0, {"order": 1})
    found = table(verify, "--views", "tumbling", "--order", "n")["tumbling"]
    assert (found["differ"], found["unverifiable"]) == (1, {})


def test_as_json(shop: Shop, verify: Verify) -> None:
    document = one(shop, "tumbling")
    shop.views.tumbling.update_one({"_id": document["_id"]}, {"$set": {"n": 99}})
    status, said = verify("--json")
    lines = [json.loads(line) for line in said.splitlines()]
    assert status == 3
    [example] = [line["example"] for line in lines if "example" in line]
    assert (example["view"], example["field"], example["stored"], example["expected"]) == ("tumbling", "n", 99, document["n"])
    assert example["_id"]["k"] == document["key"]
    assert lines[-1]["verify"]["differ"] == 1
