"""Command lines: what a template becomes, and which templates are refused."""

import pytest

from tasks.errors import InputError
from tasks.spec.command_line import build_command, node_output, task_environment


def test_command_line_is_the_same_for_all_files():
    """No file name stands in the command line itself."""
    command = build_command("wc -w {input} {output}")
    assert command.command_line == (
        '/bin/sh -c \'mkdir -p outputs && exec wc -w "$FAN_OUT_INPUT" "$FAN_OUT_OUTPUT"\''
    )
    assert task_environment(command, "it's; $(touch x).txt", "o")["FAN_OUT_NAME"] == "it's; $(touch x).txt"


def test_a_task_may_have_an_application_of_its_own():
    """{application} is then a path in the task's own folder."""
    own = build_command("python3 {application}", "a.py", on_shared=False)
    assert '"$AZ_BATCH_TASK_WORKING_DIR/application/$FAN_OUT_APPLICATION"' in own.command_line


@pytest.mark.parametrize(
    "template", ["cp {input} {output}", """sh -c 'sort "$FAN_OUT_INPUT" > "$FAN_OUT_OUTPUT"'"""]
)
def test_the_output_is_the_file_that_the_command_names(template):
    """By its place, or in a script by its variable; the task has a folder for it."""
    command = build_command(template)
    assert not command.keeps_stdout
    assert command.command_line.startswith("/bin/sh -c 'mkdir -p outputs && exec ")
    assert task_environment(command, "a.txt", "b.txt")["FAN_OUT_OUTPUT"] == "outputs/b.txt"


def test_without_output_what_is_printed_is_the_output():
    """Then no place for another one is told, where it would be lost."""
    command = build_command("wc -w {input}")
    assert command.keeps_stdout
    assert command.command_line == "/bin/sh -c 'exec wc -w \"$FAN_OUT_INPUT\"'"
    assert "FAN_OUT_OUTPUT" not in task_environment(command, "a.txt", "b.txt")


def test_an_output_s_file_on_the_node_is_no_pattern():
    """Characters that a file pattern would expand are replaced, and sub-folders are dropped."""
    assert node_output("sub/a[1]*?.txt") == "outputs/a_1___.txt"
    assert node_output("sub/$HOME %A% ü 日.txt") == "outputs/_HOME _A_ ü 日.txt"


@pytest.mark.parametrize(
    "template",
    [
        "python -c\"print(open('{input}').read())\"",
        "python3 -u -c {input}",
        "perl -e'print \"{name}\"'",
        "perl -0777ne {name}",
        'perl -e 1 -e "{name}"',
        'node --eval="f({name})"',
        "node --eval={input}",
        "node -r fs -e 'f({name})'",
        "node --loader ./x.mjs -e {name}",
        "ruby -r json -e 'puts \"{name}\"'",
        "lua -l m -e 'print(\"{name}\")'",
        "deno eval 'f(\"{input}\")'",
        "deno eval --ext=ts {input}",
        "env -S 'sh -c \"cat {input}\"'",
        "env -i -S 'sh -c' {input}",
        "env -uSHELL sh -c 'cat {input}'",
        "su nobody -c 'cat {input}'",
        "su nobody --command={input}",
        "sudo -u nobody sh -c 'cat {input}'",
        "timeout -k 5 60 bash -c 'cat {input}'",
        "conda run -n words python -c 'f(\"{input}\")'",
        "uv run --with x python -c 'f(\"{input}\")'",
        "busybox sh -c 'cat {input}'",
        "docker run image sh -c 'cat {input}'",
        "xargs -n 1 sh -c 'cat {input}'",
        "ssh host cat {input}",
        "pwsh -NoProfile -Command cat {input}",
        "php -B 'f(\"{name}\");' -F x.php",
        "Rscript --vanilla -e 'f(\"{input}\")'",
        "awk 'BEGIN {{ system(\"wc {input}\") }}'",
        "sed 's/x/{name}/' {input}",
        "gnuplot -e \"file='{input}'\" plot.gp",
    ],
)
def test_no_program_reads_a_file_name_as_its_text(template):
    """However a program is told its script, and whatever starts it."""
    with pytest.raises(InputError, match="read file names"):
        build_command(template)


@pytest.mark.parametrize(
    "template",
    [
        "tool --engine node -p {input}",
        "tool --lang R -e {input}",
        "timeout 60 tool --engine node -p {input}",
        "tool --with timeout node -p {input}",
        "nice -n 5 -- tool --engine node -p {input}",
        "python3 {application} --title 'Words of {name}' -c {input}",
        "python3 -u {application} --title 'Words of {name}' -c {input}",
        "python3 -X utf8 {application} in={input}",
        "julia -t 4 {application} in={input}",
        "bash -o pipefail {application} in={input}",
        "python3 -m words -c {input} 'Words of {name}'",
        "python3 -X dev words.py --of={input} {output}.json",
        "Rscript --vanilla words.R 'Words of {name}' {input}",
        "node --max-old-space-size=4096 words.js -p {input}",
        "perl -ne 'print' {input}",
        "perl -w words.pl -e {input}",
        "sh -c 'cat \"$1\"' sh {input}",
        "sh -c 'echo \"$1\"' sh 'Words of {name}'",
        "bash -e run.sh {input} logs/{name}.log",
        "awk -F: -v name={name} '{{print name, $1}}' {input}",
        "sed -n -e 5p -f more.sed {input}",
        "deno run words.ts 'Words of {name}'",
        "env LANG=C NAME={name} sort {input}",
        "env -S 'sort -n' {input}",
        "su nobody -s /bin/sh -c 'wc \"$FAN_OUT_INPUT\"'",
        "conda run -n words python words.py {input}",
        "ffmpeg -i {input} -vf 'drawtext=text={name}' {output}",
    ],
)
def test_a_place_that_is_an_argument_is_taken(template):
    """Where no program takes it for a script, a place may stand anywhere, also within a word."""
    assert build_command(template, "words.py").command_line


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "python3 {inptu}",
            r"has \{inptu\}; there are only \{application\}, \{input\}, \{name\}, \{output\}",
        ),
        ("python3 {}", r"has \{\}"),
        ("python3 {application}", "no application is given"),
        ("python3 {input", r"has \{; there"),
        ("python3 'x", "can't be read: no closing quotation\\.$"),
        ("wc {input:>5}", r"has \{input:>5\}; .*Is \{input\} meant\?"),
        ("wc { Input }", r"Is \{input\} meant\?"),
        ("wc {{ input }}", r"write \{input\} for what it means"),
        ("jq '{a: .b}' {input}", r"twice: jq '\{\{a: .b\}\}' \{input\}$"),
        ("awk '{ if ($1) { print } }' {input}", r"twice: awk '\{\{ if \(\$1\) \{\{ print \}\} \}\}'"),
        ("""python -c 'f"{x}"'""", r"""twice: python -c 'f"\{\{x\}\}"'$"""),
        ("", "is empty"),
        ("awk '{print $1}' {input}", r"twice: awk '\{\{print \$1\}\}' \{input\}$"),
        (
            """sh -c '{ cat "$FAN_OUT_INPUT"; }'""",
            r"""twice: sh -c '\{\{ cat "\$FAN_OUT_INPUT"; \}\}'$""",
        ),
        ("awk '{{print}' {input}", r"written twice: \{\{ and \}\}\.$"),
        ("xargs -I{} wc {input}", r"twice: xargs -I\{\{\}\} wc \{input\}$"),
        ("wc -w {input} | sort", r"no shell: \| would be an argument"),
        ("cat {input} > {output}", r"no shell: > would be"),
        ("cat {input} 2>/dev/null", r"no shell: 2>/dev/null would be"),
        ("wc {input} && wc {input}", r"no shell: && would be"),
        ("wc {input}; ls", r"no shell: \{input\}; would be"),
        ("wc {input}|sort", r"no shell: \{input\}\|sort would be"),
        ("wc {input}>{output}", "would be an argument"),
        ("(wc {input})", r"\(wc would be"),
        ("wc $(cat {input})", r"\$\(cat would be"),
        ("wc `cat {input}`", "`cat would be"),
        ("wc {input} *.txt", r"\*\.txt would be .* single quotes"),
        ("wc ~/list {input}", "~/list would be"),
        ("wc {input} # count", "# would be"),
        ("cp {input} $AZ_BATCH_NODE_SHARED_DIR", r"\$AZ_BATCH_NODE_SHARED_DIR would be"),
        ("wc ${input}", r"Write \{input\}\."),
        ('wc "$FAN_OUT_INPUT"', r"Write \{input\}\."),
        ("cd x && wc {input}", "cd is a word of the shell's"),
        ("LANG=C wc {input}", "Write env LANG=C"),
        ("'' {input}", "the program, is empty"),
        (r"C:\Python\python.exe {input}", "lose its backslash"),
        ("wc “{input}”", 'no program takes for "'),
        ("wc —w {input}", "takes for --"),
        ("wc {input} \0", "NUL"),
        (f"echo {'x' * 131_072} {{input}}", "too long: 131,"),
        (f"echo '{'ä' * 70_000}' {{input}}", "too long: 140,000 bytes"),
        ("wc < {input}", r"no shell: < would be"),
        ("sh -c 'wc {input} > {output}'", r'"\$FAN_OUT_INPUT"'),
        ("/bin/bash -ec 'cat <{input}'", "let a shell read file names"),
        ("env A=1 nice sh -c 'cat {input}'", "let a shell read file names"),
        ("bash -c -x 'cat {input}'", "let a shell read file names"),
        ("bash -o errexit -c {input}", "let a shell read file names"),
        ("python3 -c 'print(open(\"{input}\").read())'", "let python3 read file names"),
        ("perl -ne 'print \"{name}: $_\"' {input}", "let perl read file names"),
    ],
)
def test_a_template_that_cannot_be_right_is_refused(template, message):
    """A mistake in the template is told before anything is created."""
    with pytest.raises(InputError, match=message):
        build_command(template)


@pytest.mark.parametrize(
    "template",
    [
        "grep '|' {input}",
        'expr 1 ">" {input}',
        "find . -name '*.c' -exec wc {{}} \\;",
        "convert {input}[0] {output}",
        "bash run.sh -c {input}",
        "bash -x run.sh {input}",
        "sh -c 'cat \"$1\"' sh {input}",
        "python3 -c 'import sys; print(sys.argv)' {input}",
        """sh -c "wc $FAN_OUT_INPUT" """,
        """perl -ne "print if $_" {input}""",
        "awk '{{print $1; exit}}' {input}",
        """sh -c '{{ cat "$FAN_OUT_INPUT"; }} | sort > "$FAN_OUT_OUTPUT" && echo'""",
        "jq '{{a: {{b: .c}}}}' {input}",
        "say 'it'\\''s' {input}",
    ],
)
def test_signs_in_quotes_are_meant(template):
    """What stands in quotes, or within a word, is the program's argument."""
    assert build_command(template).command_line
