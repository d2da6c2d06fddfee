//! The script that Chartroom adds to the page as it serves it.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::html;

/// Makes WebSockets to this server outlive their connections; see `clients/js/resumable-socket`.
pub(crate) const RESUMABLE_SOCKET: &str =
    include_str!("../../../../clients/js/resumable-socket/dist/resumable-socket.js");

/// The page to which the script is added. Others that the frontend opens have no WebSocket of their own.
const PAGE: &str = "index.html";

/// Which scripts may stand in the pages themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InlineScripts {
    /// Any: the pages are served as they are, or have scripts that can not be listed.
    Any,
    /// Those with these SHA-256 hashes, in base64.
    Hashes(Vec<String>),
}

/// Adds `script` to the page among `files`, and tells which scripts the pages have then.
///
/// A page that is no text, and a script that would end early in a page, are left alone, with a word in the log.
pub(super) fn add_script(files: &mut [(String, Bytes)], script: &str) -> InlineScripts {
    // Browsers compare the hash with the content as they read it, where every end of a line is a line feed.
    let script = script.replace("\r\n", "\n");
    let Some((_, content)) = files.iter_mut().find(|(name, _)| name == PAGE) else {
        return InlineScripts::Any;
    };
    let Ok(page) = std::str::from_utf8(content) else {
        tracing::warn!(
            "{PAGE} of the frontend is not UTF-8, so no script is added: connections are not resumed by it"
        );
        return InlineScripts::Any;
    };
    let element = format!("<script>{script}</script>");
    // A script may end early for its own text, or late for the beginning of a comment in it.
    if script.contains("<!--") || html::inline_scripts(&element) != [script] {
        tracing::warn!("the script for the page can not stand in a page: connections are not resumed by it");
        return InlineScripts::Any;
    }
    *content = html::add_to_head(page, &element).into();
    let pages: Vec<&str> = files
        .iter()
        .filter(|(name, _)| name.ends_with(".html"))
        .filter_map(|(_, content)| std::str::from_utf8(content).ok())
        .collect();
    if pages.iter().any(|page| html::has_event_handlers(page)) {
        tracing::warn!(
            "a page of the frontend has event handlers in its tags: scripts in its pages are not checked"
        );
        return InlineScripts::Any;
    }
    let mut hashes: Vec<_> = pages
        .iter()
        .flat_map(|page| html::inline_scripts(page))
        .map(|script| STANDARD.encode(Sha256::digest(script.as_bytes())))
        .collect();
    hashes.sort();
    hashes.dedup();
    InlineScripts::Hashes(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(page: &[u8]) -> Vec<(String, Bytes)> {
        vec![
            (
                "other.html".to_owned(),
                Bytes::from_static(b"<script>window.ready = true;</script>"),
            ),
            (PAGE.to_owned(), Bytes::copy_from_slice(page)),
        ]
    }

    #[test]
    fn the_hashes_of_all_scripts_in_pages_are_listed_once() {
        let mut files = files(b"<head><script>alert('Hello, world.');</script>");
        let scripts = add_script(&mut files, "window.ready = true;");
        assert_eq!(
            files[1].1,
            "<head><script>window.ready = true;</script><script>alert('Hello, world.');</script>"
        );
        let InlineScripts::Hashes(hashes) = scripts else {
            panic!("{scripts:?}")
        };
        // The first is the example of the Content Security Policy Level 3 draft, the second from `openssl dgst`.
        for hash in [
            "qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=",
            "asm8aAmFS8uQhg2Eqy2o33b0pmZM8bVE6479NcKZ0mk=",
        ] {
            assert!(hashes.iter().any(|listed| listed == hash), "{hash}: {hashes:?}");
        }
        assert_eq!(hashes.len(), 2);
    }

    #[test]
    fn pages_that_can_not_take_the_script_are_left_alone() {
        for (page, script) in [
            (&b"<head>\xff"[..], "x"),
            (b"<head>", "'</script>'"),
            (b"<head>", "'<!--'"),
        ] {
            let mut files = files(page);
            assert_eq!(add_script(&mut files, script), InlineScripts::Any);
            assert_eq!(files[1].1, page);
        }
    }

    #[test]
    fn handlers_in_tags_leave_all_scripts_allowed() {
        let mut files = files(b"<head></head><body onload='start()'>");
        assert_eq!(add_script(&mut files, "x"), InlineScripts::Any);
        assert!(files[1].1.starts_with(b"<head><script>x</script>"));
    }

    #[test]
    fn the_script_for_the_page_can_stand_in_a_page() {
        let mut files = files(b"<head>");
        assert_ne!(add_script(&mut files, RESUMABLE_SOCKET), InlineScripts::Any);
    }
}
