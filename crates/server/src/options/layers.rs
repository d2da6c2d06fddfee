//! Laying the sources of options over each other.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, ArgMatches, Command, builder::ValueParser, value_parser};

use super::{
    Options,
    table::{Audience, Kind, Preset, Row, TABLE},
};
use crate::error::ServerError;

const PATHS: &str = "DIR";

impl Options {
    /// Reads the options: defaults, under the file named by `--config`, under `variable` (the environment), under
    /// `arguments` (the command line; the first is the name of the program).
    ///
    /// # Errors
    /// [`ServerError::Usage`] for a command line that can not be parsed, and also for `--help` and `--version`;
    /// [`ServerError::Option`] for a value that can not be read; [`ServerError::ConfigFile`] for a bad file.
    pub fn from_sources(
        arguments: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ServerError> {
        let matches = command().try_get_matches_from(without_serve(arguments))?;
        let mut options = Self::default();
        let config = matches
            .get_one::<String>("config")
            .cloned()
            .or_else(|| variable("CHARTROOM_CONFIG"));
        if let Some(path) = config.filter(|path| !path.is_empty()) {
            apply_file(&mut options, Path::new(&path))?;
        }
        apply_environment(&mut options, &variable)?;
        apply_command_line(&mut options, &matches)?;
        Ok(options)
    }
}

/// Sets every option to its default.
pub(super) fn apply_defaults(options: &mut Options) {
    for row in TABLE {
        if let Preset::Set(text) = row.default {
            let read = (row.apply)(options, text);
            debug_assert!(
                read.is_ok(),
                "the default of {} is not readable: {read:?}",
                row.name
            );
        }
    }
}

/// `chartroom serve DIR` is `chartroom DIR`: there is only this one thing to do.
fn without_serve(arguments: impl IntoIterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    arguments
        .into_iter()
        .enumerate()
        .filter(|(at, word)| *at != 1 || word != "serve")
        .map(|(_, word)| word)
}

fn apply_file(options: &mut Options, path: &Path) -> Result<(), ServerError> {
    let unreadable = |reason: String| ServerError::ConfigFile {
        path: path.to_owned(),
        reason,
    };
    let text =
        std::fs::read_to_string(path).map_err(|error| unreadable(format!("can not be read: {error}")))?;
    let table: toml::Table = text
        .parse()
        .map_err(|error| unreadable(format!("is not valid TOML: {error}")))?;
    for (key, value) in &table {
        let row = TABLE
            .iter()
            .find(|row| row.audience == Audience::Everyone && row.key() == key.replace('-', "_"))
            .filter(|row| row.name != "config")
            .ok_or_else(|| unreadable(format!("has an unknown key '{key}'")))?;
        let text =
            scalar(value).ok_or_else(|| unreadable(format!("has no plain value or list for '{key}'")))?;
        (row.apply)(options, &text).map_err(|reason| unreadable(format!("has a wrong '{key}': {reason}")))?;
    }
    options.config = Some(path.to_owned());
    Ok(())
}

/// The text that the same value would have on the command line.
fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(entries) => entries
            .iter()
            .map(toml::Value::as_str)
            .collect::<Option<Vec<_>>>()
            .map(|list| list.join(",")),
        _ => None,
    }
}

fn apply_environment(
    options: &mut Options,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<(), ServerError> {
    for row in TABLE.iter().filter(|row| row.audience != Audience::CartaBackend) {
        let mut origin = row.variable();
        let mut text = variable(&origin);
        if row.name == "auth-token" && text.as_ref().is_none_or(String::is_empty) {
            "CARTA_AUTH_TOKEN".clone_into(&mut origin);
            text = variable(&origin);
        }
        // An empty variable is how launchers say that they have nothing to say.
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            continue;
        };
        (row.apply)(options, &text).map_err(|reason| ServerError::Option {
            origin: format!("Environment variable {origin}"),
            reason,
        })?;
    }
    Ok(())
}

fn apply_command_line(options: &mut Options, matches: &ArgMatches) -> Result<(), ServerError> {
    if let Some(paths) = matches.get_many::<PathBuf>(PATHS) {
        options.paths = paths.cloned().collect();
    }
    for row in TABLE.iter().filter(|row| row.audience != Audience::Environment) {
        let Some(text) = matches.get_one::<String>(row.name) else {
            continue;
        };
        (row.apply)(options, text).map_err(|reason| ServerError::Option {
            origin: format!("Option --{}", row.name),
            reason,
        })?;
    }
    Ok(())
}

/// The parser, made from the table.
pub(super) fn command() -> Command {
    let paths = Arg::new(PATHS)
        .num_args(0..)
        .value_parser(value_parser!(PathBuf))
        .help("The starting folder, or files to open at once [default: the current folder]");
    Command::new("chartroom")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A server for viewing astronomical images in the CARTA frontend, whose sessions are not lost.")
        .override_usage("chartroom [serve] [OPTIONS] [DIR]")
        .after_help(
            "Each option can also be given by an environment variable (--log-level: CHARTROOM_LOG_LEVEL) or in the \
             TOML file named by --config (log_level = \"info\"). The command line wins over the environment, the \
             environment over the file.\n\
             Sizes are written like 512MiB, times like 30s or 1h30m.\n\n\
             `chartroom keys` makes and revokes access keys for users and programs; see `chartroom keys --help`.\n\
             `chartroom script` has the page of a session carry out actions; see `chartroom script --help`.",
        )
        .args_override_self(true)
        .arg(paths)
        .args(TABLE.iter().filter(|row| row.audience != Audience::Environment).map(argument))
}

fn argument(row: &'static Row) -> Arg {
    let default = match row.default {
        Preset::Set(text) | Preset::Said(text) => text,
    };
    let argument = Arg::new(row.name)
        .long(row.name)
        .short(row.short)
        .aliases(row.aliases)
        .hide(row.audience == Audience::CartaBackend)
        .action(ArgAction::Set)
        .value_parser(ValueParser::string());
    match row.kind {
        Kind::Flag => argument
            .help(row.help)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("BOOL")
            .hide_possible_values(true),
        Kind::Value(word) => argument
            .help(format!("{} [default: {default}]", row.help))
            .value_name(word)
            .allow_negative_numbers(true),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, time::Duration};

    use super::*;
    use crate::options::{LogFormat, PortChoice};

    fn read(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Options, ServerError> {
        let words = std::iter::once("chartroom")
            .chain(arguments.iter().copied())
            .map(OsString::from);
        Options::from_sources(words, |name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_parser_is_sound_and_every_default_is_readable() {
        command().debug_assert();
        let mut options = Options::default();
        for row in TABLE {
            if let Preset::Set(text) = row.default {
                (row.apply)(&mut options, text).unwrap();
            }
        }
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "host = \"file\"\nlog_format = \"json\"\nread-only = true\nsession_retention = 5\nallowed_origins = [\"http://a\", \"http://b\"]\n").unwrap();
        let config = file.path().to_str().unwrap();
        let environment = [
            ("CHARTROOM_HOST", "environment"),
            ("CHARTROOM_SESSION_RETENTION", "6s"),
        ];
        let options = read(
            &[
                "--config",
                config,
                "--session-retention",
                "7s",
                "--read-only=false",
            ],
            &environment,
        )
        .unwrap();
        assert_eq!(options.host, "environment");
        assert_eq!(options.log_format, LogFormat::Json);
        assert_eq!(options.session_retention, Duration::from_secs(7));
        assert!(!options.read_only);
        assert_eq!(options.allowed_origins, ["http://a", "http://b"]);
        assert_eq!(read(&["--config", config], &[]).unwrap().host, "file");
        assert_eq!(read(&[], &[("CHARTROOM_CONFIG", config)]).unwrap().host, "file");
        assert_eq!(read(&[], &[]).unwrap().host, "127.0.0.1");
    }

    #[test]
    fn serve_is_a_word_that_may_be_left_out() {
        for arguments in [
            &["serve", "data"][..],
            &["data"],
            &["serve", "--port", "1", "data"],
            &["--port", "1", "data"],
        ] {
            assert_eq!(
                read(arguments, &[]).unwrap().paths,
                [PathBuf::from("data")],
                "{arguments:?}"
            );
        }
    }

    #[test]
    fn a_command_line_for_carta_backend_is_understood() {
        let options = read(
            &[
                "--top_level_folder",
                "/data",
                "--no_browser",
                "--debug_no_auth",
                "--frontend_folder",
                "/front",
                "--read_only_mode",
                "--enable_scripting",
                "--http_url_prefix",
                "/carta/",
                "--idle_timeout",
                "60",
                "-t",
                "-1",
                "--verbosity",
                "5",
                "--no_database",
                "--no_user_config",
                "--no_system_config",
                "--event_thread_count",
                "2",
                "--exit_timeout",
                "0",
                "--initial_timeout",
                "30",
                "-g",
                "50051",
                "--controller_deployment",
                "--no_runtime_config",
                "--no_log",
                "--log_performance",
                "--log_protocol_messages",
                "--browser",
                "firefox CARTA_URL",
                "-p",
                "3010",
                "--host",
                "::1",
                "/data/start",
            ],
            &[],
        )
        .unwrap();
        assert_eq!(options.top_level_folder, Some(PathBuf::from("/data")));
        assert_eq!(options.frontend, Some(PathBuf::from("/front")));
        assert_eq!(options.paths, [PathBuf::from("/data/start")]);
        assert!(!options.open_browser && !options.require_auth && !options.database);
        assert!(options.read_only && options.scripting && options.serve_frontend);
        assert_eq!(options.url_prefix, "/carta");
        assert_eq!(options.idle_timeout, Some(Duration::from_secs(60)));
        assert_eq!(options.initial_timeout, Some(Duration::from_secs(30)));
        assert_eq!(options.exit_timeout, Some(Duration::ZERO));
        assert_eq!(options.threads, None);
        assert_eq!(options.log_level, "debug");
        assert_eq!(options.port, PortChoice::Exactly(3010));
        assert_eq!(options.without_effect.len(), 9);

        let options = read(
            &[
                "--no_http",
                "--base",
                "/data/a",
                "--root",
                "/data",
                "--omp_threads",
                "3",
            ],
            &[],
        )
        .unwrap();
        assert!(!options.serve_frontend && !options.database);
        assert_eq!(options.paths, [PathBuf::from("/data/a")]);
        assert_eq!(options.threads.map(std::num::NonZeroUsize::get), Some(3));
    }

    #[test]
    fn the_token_comes_from_the_environment_only_and_the_own_name_wins() {
        assert!(matches!(
            read(&["--auth-token", "x"], &[]),
            Err(ServerError::Usage(_))
        ));
        let both = [("CARTA_AUTH_TOKEN", "theirs"), ("CHARTROOM_AUTH_TOKEN", "ours")];
        assert_eq!(read(&[], &both).unwrap().auth_token.unwrap().expose(), "ours");
        assert_eq!(
            read(&[], &both[..1]).unwrap().auth_token.unwrap().expose(),
            "theirs"
        );
        assert!(!format!("{:?}", read(&[], &both).unwrap()).contains("ours"));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let message = |result: Result<Options, ServerError>| result.unwrap_err().to_string();
        assert_eq!(
            message(read(&["--port", "x"], &[])),
            "Option --port: 'x' is not a port number from 0 to 65535."
        );
        assert_eq!(
            message(read(&[], &[("CHARTROOM_READ_ONLY", "maybe")])),
            "Environment variable CHARTROOM_READ_ONLY: 'maybe' is neither true nor false."
        );
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "colour = 3").unwrap();
        let config = file.path().to_str().unwrap();
        assert_eq!(
            message(read(&["--config", config], &[])),
            format!("Configuration file {config} has an unknown key 'colour'.")
        );
        assert!(message(read(&["--config", "/does/not/exist"], &[])).contains("can not be read"));
        assert!(matches!(read(&["--colour"], &[]), Err(ServerError::Usage(_))));
    }
}
