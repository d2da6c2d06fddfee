//! Set-up, demonstration, tests and benchmarks of the workspace: `cargo xtask help`.
//!
//! Everything that is fetched or generated goes into the ignored folder `.chartroom/`; what is there already is used
//! again, so that every command works offline from its second run on.

mod bench;
mod browser;
mod clients;
mod command;
mod conformance;
mod demo;
mod frontend;
mod node;
mod places;
mod python;
mod schemas;
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

fn main() -> ExitCode {
    let matches = interface().get_matches();
    let outcome = match matches.subcommand() {
        Some(("demo", options)) => demo::run(&demo_options(options)),
        Some(("test", options)) => tests::run(parts(options)),
        Some(("bench", options)) => {
            bench::run_named(options.get_many::<String>("ratio").into_iter().flatten())
        }
        Some(("conformance", _)) => conformance::run(),
        Some(("schemas", _)) => schemas::write(),
        _ => unreachable!("clap asks for one of the commands above"),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn interface() -> Command {
    Command::new("cargo xtask")
        .about("Set-up, demonstration, tests and benchmarks of Chartroom")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("demo")
                .about("Build the server, fetch the CARTA frontend, and serve demonstration data or a folder")
                .arg(
                    Arg::new("folder")
                        .value_name("DIR")
                        .value_parser(value_parser!(PathBuf))
                        .help("Folder of images to serve instead of the demonstration data"),
                )
                .arg(
                    Arg::new("port")
                        .long("port")
                        .value_name("N")
                        .value_parser(value_parser!(u16))
                        .help("Port to listen on [default: 3002 or the next free one]"),
                )
                .arg(
                    Arg::new("version")
                        .long("frontend-version")
                        .value_name("VERSION")
                        .value_parser(frontend::VERSIONS)
                        .default_value(frontend::VERSIONS[0])
                        .help("Version of the CARTA frontend"),
                )
                .arg(
                    Arg::new("server")
                        .value_name("OPTION")
                        .num_args(0..)
                        .last(true)
                        .help("Options handed to the server as they are"),
                ),
        )
        .subcommand(
            Command::new("test")
                .about("Run all tests, or one part of them, installing what they need where that is allowed")
                .arg(
                    Arg::new("rust")
                        .long("rust")
                        .action(ArgAction::SetTrue)
                        .help("The Rust tests"),
                )
                .arg(
                    Arg::new("browser")
                        .long("browser")
                        .action(ArgAction::SetTrue)
                        .help("The official frontend in a headless Chromium"),
                )
                .arg(
                    Arg::new("clients")
                        .long("clients")
                        .action(ArgAction::SetTrue)
                        .help("The client libraries, in Node.js"),
                )
                .arg(
                    Arg::new("python")
                        .long("python")
                        .action(ArgAction::SetTrue)
                        .help("The client library for Python"),
                ),
        )
        .subcommand(
            Command::new("bench")
                .about("Measure every performance ratio that is demanded, and print them as a table")
                .arg(
                    Arg::new("ratio")
                        .value_name("NAME")
                        .num_args(0..)
                        .help("Only the ratios whose name contains one of these"),
                ),
        )
        .subcommand(
            Command::new("conformance")
                .about("Run the Autobahn test suite against the WebSocket; needs a CPython 2.7"),
        )
        .subcommand(
            Command::new("schemas")
                .about("Write the schemas and TypeScript declarations of what the server offers to clients"),
        )
}

fn demo_options(matches: &ArgMatches) -> demo::Options {
    demo::Options {
        folder: matches.get_one::<PathBuf>("folder").cloned(),
        port: matches.get_one::<u16>("port").copied(),
        frontend: matches.get_one::<String>("version").cloned().unwrap_or_default(),
        server: matches
            .get_many::<String>("server")
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
    }
}

/// All parts unless some are named.
fn parts(matches: &ArgMatches) -> tests::Parts {
    let [rust, clients, python, browser] =
        ["rust", "clients", "python", "browser"].map(|part| matches.get_flag(part));
    let all = !(rust || clients || python || browser);
    tests::Parts {
        rust: rust || all,
        clients: clients || all,
        python: python || all,
        browser: browser || all,
    }
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        interface().debug_assert();
    }

    #[test]
    fn test_means_all_parts_unless_one_is_named() {
        let parts = |line: &[&str]| {
            let matches = interface().get_matches_from([&["xtask", "test"], line].concat());
            let parts = parts(matches.subcommand_matches("test").unwrap());
            (parts.rust, parts.clients, parts.python, parts.browser)
        };
        assert_eq!(parts(&[]), (true, true, true, true));
        assert_eq!(parts(&["--rust"]), (true, false, false, false));
        assert_eq!(parts(&["--clients"]), (false, true, false, false));
        assert_eq!(parts(&["--python"]), (false, false, true, false));
        assert_eq!(parts(&["--browser"]), (false, false, false, true));
        assert_eq!(parts(&["--browser", "--rust"]), (true, false, false, true));
    }
}
