"""What is drawn of a pack is what is in it: every node once, in its lane, on what it stood on."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

import attrs
import click

from actors.cli.drawing import MAX_WORDS, as_lines, as_page, as_svg
from helm.evidence.difference import difference
from helm.evidence.picture import Lane, Picture, Tone, picture
from helm.evidence.verify import check_pack
from tests.helm.evidence.forger import NODE_LINES, a_log, a_pack, lines_of, pack_of, root_of, unpacked
from tests.helm.evidence.material import Log

SVG = "{http://www.w3.org/2000/svg}"


def seen(raw: bytes, log: Log) -> Picture:
    return picture(check_pack(raw, root_of(log)))


def test_every_node_of_the_pack_is_in_the_picture_once_with_what_it_stood_on() -> None:
    drawn = seen(a_pack(), a_log())
    nodes = lines_of(unpacked(a_pack())[NODE_LINES])
    assert [(mark.node_hash, mark.lamport) for mark in drawn.marks] == [
        (node["node_hash"], node["lamport"]) for node in nodes
    ]
    for mark, node in zip(drawn.marks, nodes, strict=True):
        parents = node["parents"]
        assert isinstance(parents, list)
        assert set(mark.stands_on) <= set(parents)
        assert len(mark.stands_on) + mark.elsewhere == len(parents)
        assert (mark.lane is Lane.SESSION) == (node["session_id"] == "s1")


def test_verdicts_outcomes_and_rules_are_told_apart() -> None:
    marks = seen(a_pack(), a_log()).marks
    tones = Counter(mark.tone for mark in marks)
    assert tones[Tone.ALLOWED] == 3
    assert tones[Tone.DONE] == 2
    assert (tones[Tone.REFUSED], tones[Tone.ASKED]) == (1, 1)
    titles = {mark.title.partition(" ")[0] for mark in marks}
    assert {"TRUST_EVENT", "KERNEL_STARTED", "POLICY_ACTIVATED", "FREEZE", "INTENT", "EFFECT", "REFUSAL"} <= titles
    assert all(mark.tone is Tone.RULE for mark in marks if mark.lane is Lane.LOG)
    assert any("NO_POLICY_DEFINED" in mark.words for mark in marks)


def test_the_drawing_is_a_document_that_stands_by_itself() -> None:
    drawn = seen(a_pack(), a_log())
    root = ElementTree.fromstring(as_svg(drawn))
    assert len(root.findall(f"{SVG}g")) == len(drawn.marks)
    assert len(root.findall(f"{SVG}path")) == sum(len(mark.stands_on) for mark in drawn.marks)
    for text in (as_svg(drawn), as_page(drawn)):
        assert not any(word in text for word in ("<script", "href", "url(", "@import"))


def test_words_of_an_attacker_are_drawn_as_words() -> None:
    log = Log().begin()
    log.refuse("s1", "x</text><script>alert(1)</script>")
    honest = seen(pack_of(log), log)
    *others, last = honest.marks
    drawn = attrs.evolve(honest, marks=(*others, attrs.evolve(last, words="\u202e\x1b[2J" + "y" * 500)))
    for text in (as_svg(drawn), as_page(drawn), "\n".join(map(click.unstyle, as_lines(drawn)))):
        assert "\u202e" not in text
        assert "\x1b" not in text
    assert "<script" not in as_page(drawn)
    ElementTree.fromstring(as_svg(drawn))
    longest = max(len(click.unstyle(line)) for line in as_lines(drawn))
    assert longest < 3 * MAX_WORDS + 200


def test_two_packs_of_one_session_tell_the_same() -> None:
    reading = check_pack(a_pack(), root_of(a_log()))
    redacted = check_pack(pack_of(a_log(), redact_facts=True), root_of(a_log()))
    found = difference(reading, redacted)
    assert found.is_none
    assert found.same == 4


def test_a_session_that_went_on_differs_by_what_came_after() -> None:
    short, long = Log().begin(), Log().begin()
    for log in (short, long):
        log.refuse("s1")
    long.refuse("s1")
    found = difference(*(check_pack(pack_of(log), root_of(log)) for log in (short, long)))
    assert (found.only_first, found.only_second, found.differing, found.same) == ((), (2,), (), 1)
    assert not found.is_none


def test_another_session_is_another_story() -> None:
    found = difference(*(check_pack(a_pack(name), root_of(a_log())) for name in ("s1", "s2")))
    assert ("session_id", "s1", "s2") in found.about
    assert "session_id" in found.differing[0].names
