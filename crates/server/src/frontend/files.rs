//! Reading a folder of files into memory.

use std::{fs, path::Path};

use bytes::Bytes;

/// More files, bytes or levels than these are no built frontend but a slip of the pen, such as `/`.
const MOST_FILES: usize = 10_000;
const MOST_BYTES: u64 = 512 << 20;
const MOST_LEVELS: usize = 16;

/// All regular files below `folder`: names relative to it with `/` between the parts, and contents.
///
/// Entries whose name is no text, and symbolic links that lead out of the folder, are left out. The error ends a
/// sentence that begins with the folder.
pub(super) fn read_tree(folder: &Path) -> Result<Vec<(String, Bytes)>, String> {
    let root = folder
        .canonicalize()
        .map_err(|error| format!("can not be read: {error}"))?;
    let mut tree = Tree {
        root: &root,
        files: Vec::new(),
        bytes: 0,
    };
    tree.read(&root, "", MOST_LEVELS)?;
    Ok(tree.files)
}

struct Tree<'a> {
    root: &'a Path,
    files: Vec<(String, Bytes)>,
    bytes: u64,
}

impl Tree<'_> {
    fn read(&mut self, folder: &Path, prefix: &str, levels: usize) -> Result<(), String> {
        let Some(levels) = levels.checked_sub(1) else {
            return Err(format!("has more than {MOST_LEVELS} levels of folders"));
        };
        let unreadable = |error: std::io::Error| format!("can not be read: {error}");
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str() else { continue };
            // Resolving also settles where a symbolic link leads; one that leads nowhere is left out.
            let Ok(path) = entry.path().canonicalize() else {
                continue;
            };
            if !path.starts_with(self.root) {
                tracing::warn!(path = %entry.path().display(), "a link out of the frontend folder is not served");
                continue;
            }
            let metadata = fs::metadata(&path).map_err(unreadable)?;
            let name = format!("{prefix}{name}");
            if metadata.is_dir() {
                self.read(&path, &format!("{name}/"), levels)?;
            } else if metadata.is_file() {
                self.bytes += metadata.len();
                if self.bytes > MOST_BYTES || self.files.len() >= MOST_FILES {
                    return Err("is too large to be a built frontend".to_owned());
                }
                let content = fs::read(&path)
                    .map_err(|error| format!("holds {name}, which can not be read: {error}"))?;
                self.files.push((name, content.into()));
            }
        }
        Ok(())
    }
}
