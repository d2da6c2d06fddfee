//! How places in objects are written.

/// The parts of a path: between dots or slashes; a backslash takes the character after it literally. Empty parts are left
/// out, so that the empty path has none.
///
/// ```
/// # use chartroom_rpc::objects::segments;
/// assert_eq!(segments(r"actors/3.home\.page"), ["actors", "3", "home.page"]);
/// ```
#[must_use]
pub fn segments(path: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => part.extend(characters.next()),
            '.' | '/' => parts.push(std::mem::take(&mut part)),
            _ => part.push(character),
        }
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_and_slashes_divide_a_path_unless_a_backslash_is_before_them() {
        assert_eq!(segments("a.b/c"), ["a", "b", "c"]);
        assert_eq!(segments(r"a\.b\/c\\d"), [r"a.b/c\d"]);
    }

    #[test]
    fn an_empty_path_is_the_whole() {
        assert!(segments("").is_empty());
        assert!(segments("/").is_empty());
        assert_eq!(segments("/a//b."), ["a", "b"]);
    }

    #[test]
    fn a_backslash_at_the_end_is_nothing() {
        assert_eq!(segments("a\\"), ["a"]);
    }
}
