//! How many files and sockets the process may have open.

/// Has the process open as many as the system allows. It starts with fewer, mostly 1024, for the sake of old programs; a crowd
/// of pages needs one for each, and more for its images. Where the system refuses, it stays as it was.
#[cfg(unix)]
pub fn allow_as_many_as_possible() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "no more files may be open than at the start");
    }
}

/// Windows has no such limit.
#[cfg(not(unix))]
pub fn allow_as_many_as_possible() {}
