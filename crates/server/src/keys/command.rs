//! `chartroom keys`: adding, listing and revoking keys.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use clap::{Arg, ArgMatches, Command};

use super::{
    FILE,
    file::{self, Key},
    secret::{self, Hash},
};
use crate::{
    date,
    error::ServerError,
    folders,
    options::{self, Options},
    permissions::Permissions,
    store::{self, StoreError, file::Lock},
};

/// Runs `chartroom keys …`. `arguments` begin with the name of the program and the word `keys`; `variable` is the
/// environment. What programs read (the new key, the list) goes to `output`, what people read to `remarks`.
///
/// # Errors
/// [`ServerError::Usage`] for a command line that can not be parsed, and also for `--help`; otherwise a sentence that
/// says why nothing was changed.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<String>,
    output: &mut dyn Write,
    remarks: &mut dyn Write,
) -> Result<(), ServerError> {
    let words = arguments.into_iter().enumerate().filter(|(at, _)| *at != 1);
    let matches = command().try_get_matches_from(words.map(|(_, word)| word))?;
    let Some((action, matches)) = matches.subcommand() else {
        return Ok(());
    };
    let folder = state_folder(matches, variable)?;
    match action {
        "add" => add(&folder, matches, SystemTime::now(), output, remarks),
        "revoke" => revoke(&folder, name(matches)?, remarks),
        _ => list(&folder, SystemTime::now(), output),
    }
}

fn command() -> Command {
    let name = Arg::new("NAME")
        .required(true)
        .help("Whose key it is: letters, digits and - _ . @");
    let state = Arg::new("state-dir")
        .long("state-dir")
        .value_name("DIR")
        .global(true)
        .help("The state folder of the server [default: as for the server]");
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .global(true)
        .help("TOML file with the server's options");
    let add = Command::new("add")
        .about("Make a key, and print it once")
        .after_help("Only the hash of the key is kept. A server that is running knows the key at once.")
        .arg(name.clone())
        .arg(
            Arg::new("permissions")
                .long("permissions")
                .value_name("LIST")
                .default_value("view,write,script")
                .help("What may be done with the key, between commas: view, write, script, admin"),
        )
        .arg(
            Arg::new("expires")
                .long("expires")
                .value_name("TIME")
                .help("How long the key is to be good, e.g. 30d [default: until it is revoked]"),
        );
    let revoke = Command::new("revoke")
        .about("Take a key back; its settings stay")
        .after_help(
            "Links that are open stay open until they are closed; nothing new is opened with the key.",
        )
        .arg(name);
    Command::new("chartroom keys")
        .bin_name("chartroom keys")
        .about("Keys by which users and programs prove who they are.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .args([state, config])
        .subcommands([
            add,
            Command::new("list").about("Show the names, permissions and times of all keys"),
            revoke,
        ])
}

fn name(matches: &ArgMatches) -> Result<&str, ServerError> {
    let name = matches.get_one::<String>("NAME").map_or("", String::as_str);
    file::check_name(name)
        .map(|()| name)
        .map_err(|reason| wrong("Argument NAME", reason))
}

/// The folder that a server with the same options would use.
fn state_folder(
    matches: &ArgMatches,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<PathBuf, ServerError> {
    let mut words = vec![OsString::from("chartroom")];
    for option in ["state-dir", "config"] {
        if let Some(value) = matches.get_one::<String>(option) {
            words.push(format!("--{option}={value}").into());
        }
    }
    let options = Options::from_sources(words, variable)?;
    let folder = options.state_dir.or_else(folders::default_state_folder);
    folder.ok_or_else(|| {
        wrong(
            "Option --state-dir",
            "is needed, since no state folder is known".to_owned(),
        )
    })
}

fn wrong(origin: &str, reason: String) -> ServerError {
    ServerError::Option {
        origin: origin.to_owned(),
        reason,
    }
}

fn failed(error: StoreError) -> ServerError {
    ServerError::Keys(Box::new(error))
}

fn unwritten(source: io::Error) -> ServerError {
    ServerError::System {
        what: "The answer could not be written",
        source,
    }
}

fn add(
    folder: &Path,
    matches: &ArgMatches,
    now: SystemTime,
    output: &mut dyn Write,
    remarks: &mut dyn Write,
) -> Result<(), ServerError> {
    let name = name(matches)?;
    let words = matches
        .get_one::<String>("permissions")
        .map_or("", String::as_str);
    let permissions = Permissions::from_words(options::list(words).iter().map(String::as_str))
        .map_err(|reason| wrong("Option --permissions", reason))?;
    let created = date::seconds(now);
    let expires = match matches.get_one::<String>("expires") {
        Some(text) => {
            let length = options::duration(text).map_err(|reason| wrong("Option --expires", reason))?;
            if length.as_secs() == 0 {
                return Err(wrong(
                    "Option --expires",
                    "must be at least one second".to_owned(),
                ));
            }
            Some(created.saturating_add(length.as_secs()))
        }
        None => None,
    };
    let secret = secret::generate()?;
    let key = Key {
        name: name.to_owned(),
        hash: Hash::of(&secret),
        permissions,
        created,
        expires,
    };
    store::make_private_folder(folder).map_err(|error| ServerError::Folder {
        role: "The state folder",
        path: folder.to_owned(),
        reason: format!("can not be made: {error}"),
    })?;
    let end = key.times().1;
    change(folder, |keys| {
        if keys.iter().any(|other| other.name == name) {
            let reason = format!("'{name}' has a key already; revoke it first, its settings stay");
            return Err(wrong("Argument NAME", reason));
        }
        keys.push(key);
        Ok(())
    })?;
    writeln!(output, "{secret}")
        .and_then(|()| output.flush())
        .and_then(|()| {
            writeln!(
                remarks,
                "The key of '{name}' allows {permissions} and expires: {end}. It is not shown again."
            )
        })
        .map_err(unwritten)
}

fn revoke(folder: &Path, name: &str, remarks: &mut dyn Write) -> Result<(), ServerError> {
    change(folder, |keys| {
        let before = keys.len();
        keys.retain(|key| key.name != name);
        if keys.len() == before {
            return Err(failed(StoreError::NotFound {
                kind: "key",
                name: name.to_owned(),
            }));
        }
        Ok(())
    })?;
    writeln!(remarks, "The key of '{name}' is revoked.").map_err(unwritten)
}

fn list(folder: &Path, now: SystemTime, output: &mut dyn Write) -> Result<(), ServerError> {
    let keys = file::read(&folder.join(FILE)).map_err(failed)?;
    let width = keys.iter().map(|key| key.name.len()).max().unwrap_or(0).max(4);
    let mut line = |name: &str, permissions: &str, created: &str, end: &str| {
        writeln!(output, "{name:width$}  {permissions:23}  {created:20}  {end}").map_err(unwritten)
    };
    line("NAME", "PERMISSIONS", "CREATED", "EXPIRES")?;
    for key in &keys {
        let (created, end) = key.times();
        let over = key.expires.is_some_and(|end| end <= date::seconds(now));
        let end = if over { format!("{end} (expired)") } else { end };
        line(&key.name, &key.permissions.to_string(), &created, &end)?;
    }
    Ok(())
}

/// Changes the keys while nobody else does.
fn change(
    folder: &Path,
    change: impl FnOnce(&mut Vec<Key>) -> Result<(), ServerError>,
) -> Result<(), ServerError> {
    let path = folder.join(FILE);
    if !folder.exists() {
        return change(&mut Vec::new());
    }
    let _lock = Lock::new(folder.join("lock")).acquire().map_err(failed)?;
    let mut keys = file::read(&path).map_err(failed)?;
    change(&mut keys)?;
    file::write(&path, &keys).map_err(failed)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
