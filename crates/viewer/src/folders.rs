//! Where files may be found: the top level folder and how clients spell what lies below it.

use std::path::{Path, PathBuf};

use crate::ViewerError;

/// The text by which clients ask for the folder to start in.
const BASE: &str = "$BASE";

/// The folder that is served and the one to start in.
///
/// Invariant 6: nothing outside the top is ever reached, whatever a path is spelled like and whatever links lie in it.
#[derive(Debug, Clone)]
pub struct Folders {
    top: PathBuf,
    start: String,
}

/// A folder below the top, or the top itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    /// Where it is, with all links followed.
    pub(crate) path: PathBuf,
    /// How clients know it: `/` for the top, which must not be empty, else without a leading slash.
    pub(crate) name: String,
}

impl Folder {
    /// How clients know the folder above: empty for the top.
    pub(crate) fn parent(&self) -> String {
        match self.name.rsplit_once('/') {
            Some(("", "")) => String::new(),
            Some((parent, _)) => parent.to_owned(),
            None => "/".to_owned(),
        }
    }
}

impl Folders {
    /// Serves what lies below `top`; clients start in `start`, which lies below it.
    ///
    /// # Errors
    /// If one of them is not a folder, or `start` is not below `top`.
    pub fn new(top: &Path, start: &Path) -> Result<Self, ViewerError> {
        let canonical = |path: &Path| {
            let folder = |source| ViewerError::Folder {
                path: path.display().to_string(),
                source,
            };
            let path = path.canonicalize().map_err(folder)?;
            std::fs::read_dir(&path).map_err(folder)?;
            Ok::<_, ViewerError>(path)
        };
        let (top, start) = (canonical(top)?, canonical(start)?);
        let below = start.strip_prefix(&top).map_err(|_| ViewerError::Outside {
            path: start.display().to_string(),
        })?;
        let start = below.to_string_lossy().replace('\\', "/");
        Ok(Self { top, start })
    }

    /// The top level folder.
    #[must_use]
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// How clients know the file at `path`, as [`Folders::file`] gave it.
    pub(crate) fn name<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.top).unwrap_or(path)
    }

    /// The folder that a client calls `directory`.
    pub(crate) fn folder(&self, directory: &str) -> Result<Folder, ViewerError> {
        let (path, name) = self.resolve(directory)?;
        if !path.is_dir() {
            return Err(ViewerError::Missing {
                path: directory.into(),
            });
        }
        let name = if name.is_empty() { "/".to_owned() } else { name };
        Ok(Folder { path, name })
    }

    /// The file `name` in what a client calls `directory`.
    pub(crate) fn file(&self, directory: &str, name: &str) -> Result<PathBuf, ViewerError> {
        let joined = format!("{directory}/{name}");
        let (path, _) = self.resolve(&joined)?;
        Ok(path)
    }

    /// The real path, and the name without doubled, leading and trailing slashes.
    fn resolve(&self, spelled: &str) -> Result<(PathBuf, String), ViewerError> {
        let outside = || ViewerError::Outside {
            path: spelled.to_owned(),
        };
        let based = match spelled.strip_prefix(BASE) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{}/{rest}", self.start),
            _ => spelled.to_owned(),
        };
        if based.contains('\0') {
            return Err(outside());
        }
        let mut parts: Vec<&str> = Vec::new();
        for part in based.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop().ok_or_else(outside)?;
                }
                part => parts.push(part),
            }
        }
        let name = parts.join("/");
        let path = self.top.join(&name);
        let real = path.canonicalize().map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => ViewerError::Missing {
                path: spelled.trim_start_matches(['/', '.']).into(),
            },
            _ => ViewerError::Folder {
                path: spelled.to_owned(),
                source,
            },
        })?;
        if !real.starts_with(&self.top) {
            return Err(outside());
        }
        Ok((real, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, Folders) {
        let root = tempfile::tempdir().unwrap();
        let top = root.path().join("top");
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::fs::write(root.path().join("secret"), "x").unwrap();
        std::fs::write(top.join("a/b/cube.fits"), "x").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.path(), top.join("out")).unwrap();
        let folders = Folders::new(&top, &top.join("a")).unwrap();
        (root, folders)
    }

    #[test]
    fn folders_are_found_however_their_slashes_are_spelled() {
        let (_root, folders) = tree();
        for spelled in [
            "a/b", "/a/b", "a//b/", "./a/./b", "//a/b//", "a/b/../b", "$BASE/b",
        ] {
            assert_eq!(folders.folder(spelled).unwrap().name, "a/b", "{spelled}");
        }
        for spelled in ["", "/", ".", "//", "a/.."] {
            let folder = folders.folder(spelled).unwrap();
            assert_eq!(
                (folder.name.as_str(), folder.parent().as_str()),
                ("/", ""),
                "{spelled}"
            );
        }
        assert_eq!(folders.folder("$BASE").unwrap().name, "a");
        assert_eq!(folders.folder("a").unwrap().parent(), "/");
        assert_eq!(folders.folder("a/b").unwrap().parent(), "a");
        assert!(
            folders
                .file("a/b", "cube.fits")
                .unwrap()
                .ends_with("a/b/cube.fits")
        );
        assert!(folders.file("/", "/a/b/cube.fits").is_ok());
    }

    #[test]
    fn nothing_outside_the_top_is_reached() {
        let (_root, folders) = tree();
        for spelled in [
            "..",
            "../secret",
            "a/../../secret",
            "/../secret",
            "a/b/../../..",
            "$BASE/../../secret",
        ] {
            assert!(
                matches!(folders.file("", spelled), Err(ViewerError::Outside { .. })),
                "{spelled}"
            );
        }
        assert!(folders.file("", "nul\0byte").is_err());
        assert!(folders.file("", "/etc/passwd").is_err());
        #[cfg(unix)]
        for spelled in ["out", "out/secret"] {
            assert!(
                matches!(folders.file("", spelled), Err(ViewerError::Outside { .. })),
                "{spelled}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_spelling_leaves_the_top(parts in proptest::collection::vec("[a-b.]{0,3}|out|secret|%2e%2e|\\$BASE", 0..8)) {
            let (_root, folders) = tree();
            if let Ok(path) = folders.file("", &parts.join("/")) {
                assert!(path.starts_with(folders.top()));
            }
        }
    }
}
