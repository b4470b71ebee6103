"""Writes `config/README.md` and `config/schema/*.json` from the Structs that read the files:

    python -m tests.architecture.config_reference

`test_config_docs.py` compares, so that neither can tell anything else than the code does."""

from __future__ import annotations

from collections.abc import Iterator

from tests.architecture.config_forms import FORMS, Form, Group, groups
from tests.architecture.config_meanings import MEANINGS, VARIABLES
from tests.architecture.config_schemas import schemas
from tests.architecture.source import ROOT

README = ROOT / "config" / "README.md"
SCHEMAS = ROOT / "config" / "schema"

_TOP = """\
# Configuration

Every file here, every key, its unit and its default. This page is written from the code by
`python -m tests.architecture.config_reference`; a test compares it.

- The hub reads the folder `$HUB_CONFIG_DIR`, else `./config`, else the copy inside the package.
- `hub check` reads everything and says what is wrong: file, path, fix. An unknown key is an error that names the nearest
  known one; a key that stands twice is an error too.
- The environment wins over `hub.yaml`: `HUB__SERVER__PORT=9000` sets `server.port`, a double underscore for each step;
  `HUB__RAILS__ADDRESS_DOMAINS__SANDBOX.TEST=http://127.0.0.1:8000` sets an entry of a mapping. `secret_keys`,
  `targets.allow`, `rates.sources` and `rails.use` take several values separated by commas.
- `${env:NAME}` and `${file:/path}` inside a value of `hub.yaml` are read when the hub starts. Secrets of a connector's file
  are whole references: `env:NAME` or `file:/path`; the value itself is refused there.
- YAML 1.2: `on` and `off` are text, `true` and `false` are booleans. Quote what must stay text.
- An editor completes and checks a file that names its schema in the first line:
  `# yaml-language-server: $schema=schema/hub.schema.json` (`../schema/…` one folder down).

| variable | what it sets |
|---|---|
"""


def reference() -> str:
    """The whole page."""
    variables = "".join(f"| `{name}` | {meaning} |\n" for name, meaning in VARIABLES.items())
    return _TOP + variables + "".join(line for form in FORMS for line in _form(form))


def _form(form: Form) -> Iterator[str]:
    yield f"\n## {form.file if '`' in form.file else f'`{form.file}`'}\n"
    if form.schema is not None:
        yield f"\nSchema: `schema/{form.schema}.schema.json`.\n"
    if form.but is not None:
        yield "The common form above, and:\n"
    for group in groups(form):
        yield from _group(group)


def _group(group: Group) -> Iterator[str]:
    if group.path:
        yield f"\n### `{group.path}`\n"
    if group.about:
        yield f"\n{group.about}\n"
    yield "\n| key | meaning | value | default |\n|---|---|---|---|\n"
    for key in group.keys:
        default = "**required**" if key.default is None else key.default
        kind = key.kind.replace("|", "\\|")
        yield f"| `{key.name}` | {MEANINGS[key.place]} | {kind} | {default} |\n"


def main() -> None:
    README.write_text(reference())
    SCHEMAS.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (SCHEMAS / name).write_text(text)


if __name__ == "__main__":
    main()
