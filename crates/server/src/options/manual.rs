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
    page
}
