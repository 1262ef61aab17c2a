"""The example: the most common words of each text file in a folder, counted on Azure Batch."""

import codecs
from pathlib import Path
from typing import Annotated

from prefect import flow
from pydantic import AfterValidator, Field

from flows.fan_out import fan_out
from flows.parameters import recorded_lightly, shown_in_form, takes
from flows.running import AS_A_RUN
from tasks.report.words_table import publish_words
from tasks.spec.run_results import RunResult
from tasks.spec.run_spec import Place, Places, RunOptions

SCRIPT = Path(__file__).parents[1] / "node" / "top_n_words.py"
# What each encoding of texts has, and can be read in parts: as node/top_n_words.py sees to it.
SAMPLE = "a b\n"


def _normalize_encoding(name: str) -> str:
    """As Python spells it. Raises ValueError where it is none of text."""
    try:
        parts = codecs.iterdecode([bytes([one]) for one in SAMPLE.encode(name)], name, "replace")
        is_text, reason = "".join(parts) == SAMPLE, ""
    except (LookupError, UnicodeError) as error:
        is_text, reason = False, f": {error}"
    if not is_text:
        raise ValueError(f"{name} is no encoding of texts, such as utf-8, utf-16, cp1250{reason}")
    return codecs.lookup(name).name


Encoding = Annotated[str, AfterValidator(_normalize_encoding)]


class TopNWordsSpec(RunOptions):
    """The text files, and how their words are counted."""

    inputs: Places = Field(
        default="data",
        description="A folder (with its sub-folders), a glob, or a list of those: texts, "
        "texts/*.txt. They lie on the machine where the flow runs, a deployment's worker, or in blob "
        "storage: az://container/texts, or a URL. @FILE: the paths that this file lists, one a line; "
        "-: those on standard input.",
    )
    output_dir: Place = Field(
        default="output",
        description="The folder for the tables, one for each text file, on the machine where the flow runs, "
        "or in blob storage: az://container/tables, or a URL.",
    )
    num_words: int = Field(default=3, ge=1, le=10_000, description="How many words each table has.")
    delay_seconds: float = Field(
        default=0,
        ge=0,
        le=3600,
        description="How long each Batch task sleeps first, to simulate longer work.",
    )
    encoding: Encoding | None = Field(
        default=None,
        description="Of the texts, such as cp1250. Empty: what a file's byte order mark says, else UTF-8.",
    )


@recorded_lightly
@shown_in_form(TopNWordsSpec)
@flow(name="top-n-words", **AS_A_RUN)
@takes(TopNWordsSpec)
def top_n_words(spec: TopNWordsSpec) -> RunResult:
    """Count the most common words of each text file, one Batch task for each."""
    encoding = f" --encoding {spec.encoding}" if spec.encoding else ""
    # The function of that flow: called as a flow it would be a run of its own, and take a second longer.
    result = fan_out.fn(
        inputs=spec.inputs,
        application=str(SCRIPT),
        command="python3 {application} --filepath {input} --output {output} "
        f"--numwords {spec.num_words} --delay {spec.delay_seconds}{encoding}",
        output_dir=spec.output_dir,
        output_name="{stem}_OUTPUT{suffix}",
        **spec.options(),
    )
    publish_words(result)
    return result


if __name__ == "__main__":
    from flows.command_line import main

    raise SystemExit(main(top_n_words))
