//! Which folders the server works with.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{error::ServerError, options::Options};

/// The folders with the data, resolved and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFolders {
    /// Nothing outside is seen. Absolute, without symbolic links.
    pub top_level: PathBuf,
    /// Where file browsers begin (`$BASE`), below the top-level folder: parts with `/` between, empty for the top.
    pub starting: String,
    /// Files to open at once, named like `starting`.
    pub files: Vec<String>,
}

impl DataFolders {
    /// Resolves the folders that `options` name; relative paths count from `current`.
    ///
    /// # Errors
    /// [`ServerError::Folder`] if something does not exist or lies outside the top-level folder.
    pub fn resolve(options: &Options, current: &Path) -> Result<Self, ServerError> {
        let top_level = match &options.top_level_folder {
            Some(path) => {
                let top = resolve("The top-level folder", &current.join(path))?;
                if !top.is_dir() {
                    return Err(refused("The top-level folder", path, "is no folder"));
                }
                Some(top)
            }
            None => None,
        };
        let paths = options
            .paths
            .iter()
            .map(|path| resolve("The starting folder or file", &current.join(path)))
            .collect::<Result<Vec<_>, _>>()?;
        let starting = match paths.first() {
            Some(path) if path.is_dir() => path.clone(),
            Some(path) => path.parent().unwrap_or(path).to_owned(),
            None => {
                let current = resolve("The current folder", current)?;
                // Somebody who names only the top need not stand below it.
                match &top_level {
                    Some(top) if !current.starts_with(top) => top.clone(),
                    _ => current,
                }
            }
        };
        if let Some(folder) = paths.iter().skip(1).find(|path| path.is_dir()) {
            return Err(refused(
                "The folder",
                folder,
                "can not be given beside another folder or file",
            ));
        }
        let top_level = top_level.unwrap_or_else(|| starting.clone());
        let below = |path: &Path| {
            name_below(&top_level, path).ok_or_else(|| {
                let reason = format!("is not inside the top-level folder {}", top_level.display());
                refused("The starting folder or file", path, &reason)
            })
        };
        let files = paths
            .iter()
            .filter(|path| !path.is_dir())
            .map(|path| below(path))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            starting: below(&starting)?,
            files,
            top_level,
        })
    }
}

fn resolve(role: &'static str, path: &Path) -> Result<PathBuf, ServerError> {
    path.canonicalize()
        .map_err(|error| refused(role, path, &format!("can not be used: {error}")))
}

fn refused(role: &'static str, path: &Path, reason: &str) -> ServerError {
    ServerError::Folder {
        role,
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

fn name_below(top: &Path, path: &Path) -> Option<String> {
    let parts: Option<Vec<_>> = path
        .strip_prefix(top)
        .ok()?
        .iter()
        .map(|part| part.to_str())
        .collect();
    parts.map(|parts| parts.join("/"))
}

/// The user's folder for the state of programs, by the customs of the system; `None` if it can not be told.
pub(crate) fn default_state_folder() -> Option<PathBuf> {
    let variable = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")))
    };
    base.map(|base| base.join("chartroom"))
}

/// Where an installation keeps the frontend: `share/carta/frontend` beside the `bin` folder of the binary.
pub(crate) fn installed_frontend() -> Option<PathBuf> {
    let binary = env::current_exe().ok()?;
    let folder = binary.parent()?.parent()?.join("share/carta/frontend");
    folder.join("index.html").is_file().then_some(folder)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn options(paths: &[&str], top: Option<&str>) -> Options {
        Options {
            paths: paths.iter().map(PathBuf::from).collect(),
            top_level_folder: top.map(PathBuf::from),
            ..Options::default()
        }
    }

    fn tree() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("data/set")).unwrap();
        fs::create_dir_all(folder.path().join("other")).unwrap();
        fs::write(folder.path().join("data/set/a.fits"), "").unwrap();
        fs::write(folder.path().join("data/b.fits"), "").unwrap();
        let path = folder.path().canonicalize().unwrap();
        (folder, path)
    }

    #[test]
    fn the_starting_folder_is_the_top_unless_another_is_named() {
        let (_folder, root) = tree();
        let folders = DataFolders::resolve(&options(&["data/set"], None), &root).unwrap();
        assert_eq!(
            (folders.top_level, folders.starting),
            (root.join("data/set"), String::new())
        );
        let folders = DataFolders::resolve(&options(&["data/set"], Some("data")), &root).unwrap();
        assert_eq!(
            (folders.top_level, folders.starting),
            (root.join("data"), "set".to_owned())
        );
        let folders = DataFolders::resolve(&options(&[], Some(".")), &root.join("data")).unwrap();
        assert_eq!(
            (folders.top_level, folders.starting),
            (root.join("data"), String::new())
        );
        let folders = DataFolders::resolve(&options(&[], Some("../data")), &root.join("other")).unwrap();
        assert_eq!(
            (folders.top_level, folders.starting),
            (root.join("data"), String::new())
        );
    }

    #[test]
    fn files_are_named_from_the_top() {
        let (_folder, root) = tree();
        let folders =
            DataFolders::resolve(&options(&["data/set/a.fits", "data/b.fits"], Some("data")), &root).unwrap();
        assert_eq!(folders.starting, "set");
        assert_eq!(folders.files, ["set/a.fits", "b.fits"]);
    }

    #[test]
    fn what_is_missing_or_outside_is_refused_with_a_sentence() {
        let (_folder, root) = tree();
        let message = |options: Options| DataFolders::resolve(&options, &root).unwrap_err().to_string();
        assert!(message(options(&["nowhere"], None)).contains("can not be used"));
        assert!(message(options(&["other"], Some("data"))).contains("is not inside the top-level folder"));
        assert!(message(options(&["data/set/a.fits", "data/b.fits"], None)).contains("is not inside"));
        assert!(message(options(&[], Some("data/b.fits"))).contains("is no folder"));
    }
}
