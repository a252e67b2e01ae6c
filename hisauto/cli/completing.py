"""Completion in bash, zsh and fish: commands and options are click's, the names below the site's own.

While a word is completed nothing may be printed and nothing may fail: what can't be found out is not offered.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string

from hisauto.cli.language import tr

if TYPE_CHECKING:
    from hisauto.app import App

VARIABLE = "_HISAUTO_COMPLETE"
"""In the environment when a shell asks."""
SHELLS = ("bash", "zsh", "fish")
_MOST = 50

Offer = tuple[str, str]
"""A word, and what it is."""
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


@add_completion_class
class Bash(BashComplete):
    """Click's, but words end at spaces only: bash splits ``-p name=value`` at the equals sign, and so loses it."""

    source_template = """\
%(complete_func)s() {
    local IFS=$'\\n' line=${COMP_LINE:0:COMP_POINT} response completion type value given=
    local word=${line##*[[:space:]]}
    # What bash replaces is only what stands behind the last of its own separators.
    if [[ $COMP_WORDBREAKS == *=* ]]; then given=${word%%"${word##*[=:]}"}; fi
    response=$(env COMP_WORDS="$line" %(complete_var)s=bash_complete "$1" 2>/dev/null)
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                COMPREPLY+=("${value#"$given"}")
                if [[ $value == *= ]]; then compopt -o nospace; fi ;;
        esac
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)[1:]
        return (words, "") if not words or line[-1:].isspace() else (words[:-1], words[-1])


def _offering(find: Callable[[App, click.Context, str], Iterable[Offer]]) -> Complete:
    """Those that begin with what is typed so far, of the site that is meant."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        from hisauto.cli.options import session

        try:
            with ctx.scope(cleanup=False):
                found = list(find(session().app, ctx, incomplete))
        except Exception:  # a broken site completes nothing; `hisauto check` says why
            return []
        return [CompletionItem(word, help=about or None) for word, about in found if word.startswith(incomplete)]

    return complete


@_offering
def runbooks(app: App, ctx: click.Context, incomplete: str) -> Iterator[Offer]:
    """Names of the site's runbooks."""
    for path in app.runbook_files():
        yield path.stem, ""


@_offering
def params(app: App, ctx: click.Context, incomplete: str) -> Iterator[Offer]:
    """``NAME=VALUE`` for what the runbook takes, as far as its values are known. The file is only read, not checked."""
    from hisauto.model.yamltext import load

    words = split_arg_string(os.environ["COMP_WORDS"])  # click drops all arguments when an option still lacks its own
    path = next(path for path in app.runbook_files() if path.stem in words)
    read: Any = load(path.read_bytes(), path.name).value
    given = {word.partition("=")[0] for word in words if "=" in word and word != incomplete}
    for name, param in read.get("params", {}).items():
        if name in given:
            continue
        kind, about = param.get("type", "text"), param.get("help", "")
        match kind:
            case "choice":
                values = param["of"]
            case "flag":
                values = ["true", "false"]
            case "host" | "group" if incomplete.startswith(f"{name}="):
                values = app.inventory.hosts if kind == "host" else app.inventory.groups
            case _:
                values = [""]
        yield from ((f"{name}={value}", about) for value in values)


@_offering
def hosts(app: App, ctx: click.Context, incomplete: str) -> Iterator[Offer]:
    """Groups and hosts of the inventory, also behind what a pattern begins with."""
    head = re.match(r"(.*[:,][!&]?)?", incomplete)
    begun = head[0] if head else ""
    yield from ((f"{begun}{group}", "group") for group in app.inventory.groups)
    yield from ((f"{begun}{host}", "host") for host in app.inventory.hosts)


@_offering
def runs(app: App, ctx: click.Context, incomplete: str) -> Iterator[Offer]:
    """The newest runs. A site that has had none yet gets no database from being asked."""
    url = app.site.database_url
    if not url.startswith("sqlite") or Path(url.partition("///")[2]).is_file():
        for view in app.store.runs(limit=_MOST):
            yield view.id, f"{view.runbook}, {view.state.value}"


@_offering
def steps(app: App, ctx: click.Context, incomplete: str) -> Iterator[Offer]:
    """The step that the run asks about."""
    for question in app.store.find_run(str(ctx.params["run"])).questions:
        if "step" in question:
            yield question["step"], question["kind"]


@_offering
def people(app: App, ctx: click.Context, incomplete: str) -> Iterator[Offer]:
    """Who is listed in the site."""
    for name, person in app.site.people.items():
        yield name, ", ".join(sorted(person.roles))


def rules(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Codes of rules."""
    from hisauto.runbook.rules import RULES

    found = [("all", tr("every rule")), *((rule.code, tr(rule.title)) for rule in RULES.values())]
    return [CompletionItem(code, help=about) for code, about in found if code.startswith(incomplete)]


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """The script by which SHELL completes hisauto: commands, options, runbooks, parameters, runs, hosts, people.

    \b
    Examples:
      source <(hisauto completion bash)                      # in ~/.bashrc
      source <(hisauto completion zsh)                       # in ~/.zshrc, below compinit
      hisauto completion fish > ~/.config/fish/completions/hisauto.fish
    \b
    Exit codes: 0 · 2 no such shell
    """
    from click.shell_completion import get_completion_class

    from hisauto.cli.root import cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "hisauto", VARIABLE).source())
