"""``limpid completion``: TAB in bash, zsh and fish.

The shell sends the line up to the cursor in ``_LIMPID_COMPLETE`` (see `cli.main`), and the program answers with
candidates, one a line, each with a tab and a few words of help. typer's own completion knows neither keys of recipes
nor that nothing may be written behind ``optim.lr=`` but its value.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from limpid.core.errors import LimpidError

Shell = Literal["bash", "zsh", "fish"]

BASH = """\
_limpid() {
    local line="${COMP_LINE:0:COMP_POINT}" found IFS=$'\\n'
    local word="${line##*[[:space:]]}"
    found=$(_LIMPID_COMPLETE="$line" "${COMP_WORDS[0]}" 2>/dev/null | cut -f1)
    # bash takes what follows "=" for a word of its own
    [[ $word == *=* ]] && found=${found//"${word%%=*}="/}
    COMPREPLY=($found)
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[.=] ]] && compopt -o nospace
    return 0
}
complete -o default -F _limpid limpid
"""
ZSH = """\
#compdef limpid
_limpid() {
    local answer value
    local -a whole open
    for answer in "${(@f)$(_LIMPID_COMPLETE="$LBUFFER" ${words[1]} 2>/dev/null)}"; do
        [[ -n $answer ]] || continue
        value="${answer%%$'\\t'*}"
        if [[ $value == *[.=] ]]; then open+=("$value"); else whole+=("${value//:/\\\\:}:${answer#*$'\\t'}"); fi
    done
    (( $#open + $#whole )) || { compset -P '*='; _files; return }
    (( $#open )) && compadd -S '' -- $open
    (( $#whole )) && _describe 'limpid' whole
    return 0
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _limpid limpid
"""
FISH = """\
function __limpid_complete
    set -l program (commandline -opc)[1]
    set -l found (_LIMPID_COMPLETE=(commandline -cp) $program 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        # what follows "=" is a path of its own
        set -l word (commandline -ct)
        set -l key (string match -r '^[^=]*=' -- $word; or echo '')
        printf '%s\\n' $key(__fish_complete_path (string replace -r '^[^=]*=' '' -- $word))
    end
end
complete -c limpid -f -a '(__limpid_complete)'
"""
SCRIPTS: dict[Shell, str] = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completion(
    shell: Annotated[Shell | None, typer.Argument(help="Unless given, the one that $SHELL names.")] = None,
    install: Annotated[bool, typer.Option("--install", help="Write the script where the shell finds it.")] = False,
) -> None:
    """Complete verbs, options, recipes, their keys and runs with TAB: print the script, or install it."""
    named = shell or _own_shell()
    if not install:
        typer.echo(SCRIPTS[named], nl=False)
        return
    path = _install(named)
    typer.echo(f"{named} completes limpid from {path}: open a new terminal.")


def answer(line: str) -> None:
    """Print what can stand at the end of ``line``."""
    from limpid.cli.candidates import candidates

    for found in candidates(line):
        typer.echo(f"{found.value}\t{' '.join(found.help.split())}")


def _own_shell() -> Shell:
    name = Path(os.environ.get("SHELL", "")).name
    if name not in SCRIPTS:
        raise LimpidError(
            f"the shell '{name or '(none)'}' is not known here; name one: limpid completion bash|zsh|fish"
        )
    return name


def _install(shell: Shell) -> Path:
    """Write the script, and a line that reads it where the shell does not look by itself. Twice changes nothing."""
    home = Path.home()
    if shell == "fish":
        path = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "fish/completions/limpid.fish"
    else:
        path = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share") / f"limpid/completion.{shell}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SCRIPTS[shell], encoding="utf-8")
    if shell != "fish":
        start = home / f".{shell}rc"
        reading = f'[ -f "{path}" ] && . "{path}"'
        text = start.read_text(encoding="utf-8") if start.exists() else ""
        if reading not in text.splitlines():
            start.write_text(
                f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{reading}\n", encoding="utf-8"
            )
    return path
