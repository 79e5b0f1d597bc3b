"""What every `--help` shows, and what a shell completes."""

import os
import shlex
import subprocess
import sys

import pytest
import typer

from auricle.cli import build_app

GROUP = typer.main.get_command(build_app())
VERBS = {(name,): verb for name, verb in GROUP.commands.items() if name != "data"}
VERBS |= {("data", name): verb for name, verb in GROUP.commands["data"].commands.items()}


def examples(text: str) -> list[str]:
    """Return the commands after "Example:" or "Examples:" of a help."""
    _, _, after = text.partition("\n  Example")
    return [line.strip() for line in after.splitlines()[1:]]


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_every_help_ends_with_commands_that_are_parsed_as_they_stand(auricle, words):
    answer = auricle(*words, "--help")
    assert answer.code == 0
    assert max(map(len, answer.out.splitlines())) <= 80
    assert "range>" not in answer.out
    assert "[[" not in answer.out
    commands = examples(answer.out)
    assert commands
    for command in commands:
        program, *typed = shlex.split(command)
        verb = tuple(typed[: 2 if typed[0] == "data" else 1])
        assert program == "auricle"
        assert verb[-1] == words[-1]
        VERBS[verb].make_context(" ".join(verb), typed[len(verb) :])


def test_the_help_of_all_and_of_data_show_a_command(auricle):
    assert "auricle study quickstart" in auricle("--help").out
    assert examples(auricle("data", "--help").out)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("auricle stu", {"study"}),
        ("auricle train transformer", {"transformer-h1", "transformer-h2", "transformer-h4"}),
        ("auricle study esc", {"esc10", "esc10-official"}),
        ("auricle study esc10 --data esc", {"esc10", "esc50"}),
        ("auricle config cn", {"cnn"}),
        ("auricle train cnn --ep", {"--epochs"}),
    ],
)
def test_bash_completes_verbs_models_studies_and_datasets(typed, words):
    shell = {"_AURICLE_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    program = "from auricle.cli import main; main()"
    answer = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **shell}, capture_output=True, text=True, check=False
    )
    assert set(answer.stdout.split()) == words


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_each_shell_is_shown(shell):
    program = f"from auricle.cli import main; main(['--show-completion', {shell!r}])"
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0
    assert "_AURICLE_COMPLETE" in answer.stdout
