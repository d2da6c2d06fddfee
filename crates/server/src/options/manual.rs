//! The page of documentation, made from the table.

use std::fmt::Write;

use super::table::{Audience, Kind, Preset, TABLE};

/// The text of `docs/options.md`.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(
        "# Options\n\n\
         <!-- Made by `chartroom --print-options-markdown`; a test keeps it true. -->\n\n\
         `chartroom [serve] [OPTIONS] [DIR]` serves DIR, by default the current folder. Files instead of a folder\n\
         are opened at once in the page.\n\n\
         An option is taken from the command line, else from the environment, else from the TOML file named by\n\
         `--config`, else its default holds. In the file, keys are written with `_` or `-`, lists as TOML arrays.\n\
         Relative paths count from the folder where the server is started. Sizes are written like `512MiB` or `4GB`,\n\
         times like `250ms`, `30s`, `1h30m`; a bare number counts seconds. Flags may be taken back: `--read-only=false`.\n\n\
         | option | environment | key | default | what it does |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for row in TABLE.iter().filter(|row| row.audience != Audience::CartaBackend) {
        let (option, key) = match row.audience {
            Audience::Environment => ("—".to_owned(), "—".to_owned()),
            _ => {
                let short = row
                    .short
                    .map(|letter| format!("`-{letter}`, "))
                    .unwrap_or_default();
                let value = if let Kind::Value(word) = row.kind {
                    format!(" {word}")
                } else {
                    String::new()
                };
                let key = if row.name == "config" {
                    "—".to_owned()
                } else {
                    format!("`{}`", row.key())
                };
                (format!("{short}`--{}{value}`", row.name), key)
            }
        };
        let default = match row.default {
            Preset::Set(text) => format!("`{text}`"),
            Preset::Said(text) => text.to_owned(),
        };
        // Writing to a string can not fail.
        let _ = writeln!(
            page,
            "| {option} | `{}` | {key} | {default} | {} |",
            row.variable(),
            row.help
        );
    }
    page.push_str(
        "\n## Spellings of carta_backend\n\n\
         These are understood as well, so that `chartroom` can be started where `carta_backend` was.\n\n\
         | spelling | same as |\n| --- | --- |\n",
    );
    for row in TABLE {
        for alias in row
            .aliases
            .iter()
            .chain((row.audience == Audience::CartaBackend).then_some(&row.name))
        {
            let meaning = match row.name {
                "base" => "DIR".to_owned(),
                "no_http" => "`--no-frontend --no-database`".to_owned(),
                "verbosity" => "`--log-level`, from 0 (off) to 5 (debug)".to_owned(),
                _ if row.audience == Audience::CartaBackend => {
                    "nothing; it is accepted and mentioned in the log".to_owned()
                }
                name => format!("`--{name}`"),
            };
            let _ = writeln!(page, "| `--{alias}` | {meaning} |");
        }
    }
    page.push_str(KEYS);
    page
}

const KEYS: &str = "
## Access keys

The token opens the server as its owner. Others, people and programs, get a key each:

    chartroom keys add NAME [--permissions view,write,script] [--expires 30d] [--state-dir DIR]
    chartroom keys list [--state-dir DIR]
    chartroom keys revoke NAME [--state-dir DIR]

`keys add` prints the key once; only its hash is kept, in `keys.json` of the state folder. A running server knows of
every change at the next use of a key. The state folder is found as the server finds it, by `--state-dir`, the
environment, or the file named by `--config`. To serve a folder that is called `keys`, write `chartroom serve keys`.

A key stands where the token may: in the address of the page (`?token=chk_…`), as `Authorization: Bearer chk_…`, and in
the cookie `carta-auth-token`; or in the field `api_key` of the ICD's REGISTER_VIEWER. Whoever brings it has sessions,
preferences, layouts, snippets and workspaces of NAME's own, kept in `principals/` of the state folder.

| permission | allows |
| --- | --- |
| `view` | to look at images; it goes with every key |
| `write` | to write files, and to change preferences, layouts, snippets and workspaces |
| `script` | to drive a session by programs, if the server has `--enable-scripting` |
| `admin` | to see `/metrics` from other machines |

A key that is revoked or has expired opens nothing any more; WebSockets that are open stay open until they are closed.
NAME's settings stay, and belong to the next key of that name. With `--read-only` no key allows writing.
";
