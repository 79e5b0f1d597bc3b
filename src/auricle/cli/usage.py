"""Messages about a wrong command line: what is wrong, and what was probably meant."""

import re
from difflib import get_close_matches
from typing import Any

import typer


def usage_line(error: typer.TyperException, command: str) -> str:
    """Return one line with what is wrong in a command and what may be meant; the help, if there are no arguments."""
    message = error.format_message().strip()
    if type(error).__name__ == "NoArgsIsHelpError":
        return message
    message = " ".join(message.split())
    context: Any = getattr(error, "ctx", None)
    option = getattr(error, "option_name", "")
    meant: list[str] = []
    if hasattr(error, "possibilities") and context:
        message, meant = f"no option {option}", _options_like(error, context)
        if any(option in each.opts for each in context.find_root().command.params):
            before, _, after = context.command_path.partition(" ")
            message, meant = f"{option} is given before the command: {before} {option} {after}", []
    elif context and (wrong := re.match("No such command '(.*?)'", message)):
        message = f"no command {wrong[1]!r}"
        meant = [repr(each) for each in get_close_matches(wrong[1], context.command.commands, n=1)]
    elif context and (surplus := re.search(r"unexpected extra argument.*\((.*)\)", message)):
        message = _list_hint(context, surplus[1].split()) or message
    ending = f": did you mean {' or '.join(meant)}? See" if meant else "; see"
    path = context.command_path if context else f"auricle {command}".rstrip()
    return f"auricle: {message.rstrip('.')}{ending} {path} --help"


def _options_like(error: Any, context: Any) -> list[str]:
    """Return the options that a wrong one may mean; if the command has --set, also fields of that name."""
    options = [option for each in context.command.params for option in each.opts if option.startswith("--")]
    meant = [f"--{near}" for near in get_close_matches(error.option_name.strip("-"), [o[2:] for o in options], n=1)]
    if not any("--set" in parameter.opts for parameter in context.command.params):
        return meant
    from auricle.config import fields_like

    name = error.option_name.lstrip("-").replace("-", "_")
    fields = fields_like(name)
    is_field = any(field.endswith(f".{name}") for field in fields)
    return [f"--set {field}=..." for field in fields] if is_field or not meant else meant


def _list_hint(context: Any, surplus: list[str]) -> str:
    """Return how to write the list option that was given with blanks between its values; empty where none was.

    A list option is one whose metavar shows a comma, such as `0,1,...`.
    """
    given = [
        (option.opts[0], value)
        for option in context.command.params
        if "," in (option.metavar or "") and isinstance(value := context.params.get(option.name), str)
    ]
    if not given:
        return ""
    name, value = min(given, key=lambda each: "," in each[1])  # rather one without a comma
    return f"{name} takes a comma-separated list, for example {name} {','.join([value, *surplus])}"
