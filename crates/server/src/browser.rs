//! Opening the page for somebody who sits in front of the machine.

use std::{
    env,
    process::{Command, Stdio},
};

/// Opens `url` with the user's own `command`, or in the desktop's browser if there is likely a desktop. Whatever
/// goes wrong is only logged: the address is printed anyway.
pub(crate) fn open(url: &str, command: Option<&str>) {
    let command = match command {
        Some(command) => custom(command, url),
        None if has_desktop() => Some(desktop(url)),
        None => None,
    };
    let Some(mut command) = command else { return };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match command.spawn() {
        // Somebody has to wait for the process, else its entry stays until the server ends.
        Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
        Err(error) => tracing::warn!(%error, "no browser could be opened"),
    }
}

/// The words of `command` with the address in the place of `CARTA_URL`, or behind.
fn custom(command: &str, url: &str) -> Option<Command> {
    let mut words: Vec<String> = command
        .split_whitespace()
        .map(|word| word.replace("CARTA_URL", url))
        .collect();
    if !command.contains("CARTA_URL") {
        words.push(url.to_owned());
    }
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments);
    Some(command)
}

fn desktop(url: &str) -> Command {
    if cfg!(windows) {
        let mut command = Command::new("rundll32");
        command.args(["url.dll,FileProtocolHandler", url]);
        return command;
    }
    let mut command = Command::new(if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    });
    command.arg(url);
    command
}

/// A desktop is likely where windows can be opened and nobody came in from afar.
fn has_desktop() -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("SSH_CONNECTION") {
        return false;
    }
    cfg!(any(windows, target_os = "macos")) || set("DISPLAY") || set("WAYLAND_DISPLAY")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &str) -> Vec<String> {
        let command = custom(command, "http://a/").unwrap();
        std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| word.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn the_address_goes_where_the_command_wants_it() {
        assert_eq!(words("firefox"), ["firefox", "http://a/"]);
        assert_eq!(
            words("chrome --app=CARTA_URL --kiosk"),
            ["chrome", "--app=http://a/", "--kiosk"]
        );
    }
}
