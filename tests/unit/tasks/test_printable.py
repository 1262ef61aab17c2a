"""Text from elsewhere, made fit for logs, states, events and terminals."""

import logging

import pytest
from markdown_it import MarkdownIt

from tasks.base import hidden
from tasks.base.printable import (
    WORD_JOINER,
    Markup,
    make_code,
    make_inert,
    make_json_printable,
    make_plain,
    make_printable,
)
from tasks.errors import FilesFailedError
from tasks.logs import keep_logs_printable, run_logger
from tasks.prefect import observing
from tasks.prefect.observing import left_out_on_failure

HOSTILE = "a\0b\x1b[31mred\x1b[0m\r\u202egpj.exe\ud800"


@pytest.fixture
def nothing_hidden(monkeypatch):
    monkeypatch.setattr(hidden, "_hidden", frozenset())


def test_a_secret_is_hidden_wherever_it_is_shown(nothing_hidden):
    """In messages, line by line if it has several, and what is left of it in the end of a longer text."""
    hidden.hide_from_now_on("pass-word\n")
    hidden.hide_from_now_on("-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----")
    hidden.hide_from_now_on("abc")
    shown = [
        str(FilesFailedError("curl: token=pass-word&x=1")),
        make_printable("  MIIEvQIBADANBg"),
        make_printable("-word: denied"),
    ]
    assert shown == ["curl: token=********&x=1", "  ********", "********: denied"]
    assert make_json_printable({"pass-word": ["\tpass-word"]}) == {"********": ["\t********"]}
    assert make_printable("abc is short; word is no end of it") == "abc is short; word is no end of it"


@pytest.mark.parametrize("text", ["plain", "zażółć 日本 “quotes” – 👩‍👩‍👧", "two\nlines\tand a tab", ""])
def test_what_people_write_stays(text):
    """Text of any script, with lines and tabs, is left as it is."""
    assert make_printable(text) == text


def test_what_steers_a_terminal_or_a_database_is_replaced():
    """Control characters, lone surrogates and changes of direction become a mark; the text stays readable."""
    assert make_printable(HOSTILE) == "a�b�[31mred�[0m��gpj.exe�"
    assert make_json_printable({"f\0": [HOSTILE, 1, None]}) == {"f�": [make_printable(HOSTILE), 1, None]}


MARKUP = [
    "[l](javascript:alert(1))",
    "![i](http://evil.example/i.png)",
    "[l][r]\n\n[r]: javascript:alert(1)",
    "<javascript:alert(1)>",
    "<img src=x onerror=alert(1)>",
    "</td><svg onload=alert(1)>",
    "<!-- x -->",
    "a`[l](javascript:alert(1))`b ``` c",
    "![[x](javascript:a)](http:\\\\evil.example)",
]


@pytest.mark.parametrize("make", [make_inert, make_plain, make_code])
@pytest.mark.parametrize("text", MARKUP)
def test_nothing_that_a_dashboard_shows_becomes_a_link_or_an_element(text, make):
    """What a program prints, and what files are called, looks as it is and can't be followed, nor loads
    anything: a dashboard's pages may do whatever its user may."""
    reader = MarkdownIt("commonmark", {"html": True})
    reader.validateLink = lambda url: True
    for shown in (make(text), f"| {make(text)} |", f"- {make(text)}"):
        tokens = [part for token in reader.parse(shown) for part in (token, *(token.children or []))]
        assert not {token.type for token in tokens} & {"link_open", "image", "html_inline", "html_block"}
    assert make_inert(text).replace(WORD_JOINER, "") == text


def test_cells_are_shown_as_they_are_but_for_links_of_our_own(monkeypatch):
    """All tables go through here, with the descriptions over them."""
    made = []
    monkeypatch.setattr(observing, "create_table_artifact", lambda table, **rest: made.append((table, rest)))
    row = {"file": "[l](javascript:x)", "log": Markup("[log](/artifacts/x)"), "seconds": 1.5}
    observing.publish_table([row], key="k", description="<b>")
    ((table, rest),) = made
    assert table == [{**row, "file": make_inert("[l](javascript:x)")}]
    assert table[0]["file"] != row["file"]
    assert type(table[0]["log"]) is str
    assert rest["description"] == make_inert("<b>") != "<b>"


def test_the_message_of_an_error_of_ours_is_printable():
    """It becomes the message of a state, which Prefect keeps in its database."""
    assert str(FilesFailedError(f"stderr: {HOSTILE}")) == f"stderr: {make_printable(HOSTILE)}"


def test_lines_of_the_log_are_printable(caplog):
    """Whatever is logged of a run reaches no terminal and no server with a control character."""
    keep_logs_printable()
    with caplog.at_level(logging.INFO):
        logging.getLogger("prefect.fan_out").propagate = True
        run_logger().info("%s | %s", "a.txt", HOSTILE)
    assert caplog.messages[-1:] == [f"a.txt | {make_printable(HOSTILE)}"]


def test_what_only_tells_of_a_run_never_fails_it():
    """It is left out, with one line that says what and why."""
    with left_out_on_failure("The artifact fan-out-files"):
        raise ValueError("500 Internal Server Error\nmore")
