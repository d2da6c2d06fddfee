//! Finding one's way in an HTML page, as far as it takes to add a script to it.
//!
//! A small part of the tokenizer of the HTML Standard (section 13.2.5): comments, tags with their attributes, and
//! elements whose content is no markup. Whatever it does not know it passes over.

use std::ops::Range;

/// Elements whose content ends at their end tag and nowhere else.
const RAW: [&str; 7] = [
    "script", "style", "textarea", "title", "xmp", "iframe", "noframes",
];

/// A start tag in a page.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tag {
    /// Its name in small letters.
    name: String,
    /// The names of its attributes in small letters.
    attributes: Vec<String>,
    /// Where it stands, from `<` to behind `>`.
    place: Range<usize>,
    /// The content, for elements whose content is no markup; otherwise empty.
    content: Range<usize>,
}

/// Adds `element` to `page`: as the first child of the head, wherever the head's tag stands, or, if the page leaves
/// that tag out, as the first thing behind doctype and `<html>`, where the head begins by itself.
pub(super) fn add_to_head(page: &str, element: &str) -> String {
    let tags = tags(page);
    let at = match tags.iter().find(|tag| tag.name == "head") {
        Some(head) => head.place.end,
        None => match tags.first() {
            Some(html) if html.name == "html" => html.place.end,
            _ => end_of_doctype(page),
        },
    };
    let (before, after) = page.split_at(at);
    [before, element, after].concat()
}

/// The contents of all scripts that stand in the page itself, as browsers see them: with line feeds for all ends of
/// lines.
pub(super) fn inline_scripts(page: &str) -> Vec<String> {
    tags(page)
        .into_iter()
        .filter(|tag| tag.name == "script" && !tag.attributes.iter().any(|name| name == "src"))
        .filter_map(|tag| page.get(tag.content))
        .map(|content| content.replace("\r\n", "\n").replace('\r', "\n"))
        .collect()
}

/// Whether any tag has an attribute with a script, such as `onclick`.
pub(super) fn has_event_handlers(page: &str) -> bool {
    tags(page)
        .iter()
        .flat_map(|tag| &tag.attributes)
        .any(|name| name.starts_with("on"))
}

/// Where a doctype at the beginning of the page ends; 0 if there is none.
fn end_of_doctype(page: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = page.get(at..).unwrap_or_default();
        let blank = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{feff}')
                .len();
        let rest = &rest[blank..];
        if rest.starts_with("<!--") {
            at += blank + comment(rest);
        } else if rest
            .get(..9)
            .is_some_and(|start| start.eq_ignore_ascii_case("<!doctype"))
        {
            return at + blank + rest.find('>').map_or(rest.len(), |end| end + 1);
        } else {
            return 0;
        }
    }
}

/// The length of the comment at the beginning of `rest`.
fn comment(rest: &str) -> usize {
    // `<!-->` and `<!--->` are whole comments.
    for short in ["<!-->", "<!--->"] {
        if rest.starts_with(short) {
            return short.len();
        }
    }
    rest.find("-->").map_or(rest.len(), |end| end + 3)
}

/// All start tags of a page in their order.
fn tags(page: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(offset) = page.get(at..).and_then(|rest| rest.find('<')) {
        at += offset;
        let rest = &page[at..];
        if rest.starts_with("<!--") {
            at += comment(rest);
            continue;
        }
        if rest[1..].starts_with(['!', '/', '?']) {
            at += rest.find('>').map_or(rest.len(), |end| end + 1);
            continue;
        }
        if !rest[1..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            at += 1;
            continue;
        }
        let Some(mut tag) = start_tag(rest) else { break };
        tag.place = at..at + tag.place.end;
        at = tag.place.end;
        tag.content = at..at;
        if RAW.contains(&tag.name.as_str()) {
            at += raw_content(&page[at..], &tag.name);
            tag.content.end = at;
        }
        tags.push(tag);
    }
    tags
}

/// The length of the content of the element `name`, up to its end tag or the end of the page.
fn raw_content(rest: &str, name: &str) -> usize {
    let ends = rest.match_indices("</").map(|(at, _)| at).find(|at| {
        let tail = &rest.as_bytes()[at + 2..];
        let (start, after) = (tail.get(..name.len()), tail.get(name.len()));
        start.is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
            && after.is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>'))
    });
    ends.unwrap_or(rest.len())
}

/// The tag at the beginning of `rest`; `None` if it does not end.
fn start_tag(rest: &str) -> Option<Tag> {
    let bytes = rest.as_bytes();
    let separates = |byte: u8| byte.is_ascii_whitespace() || byte == b'/';
    let mut at = 1;
    let name_end = bytes
        .iter()
        .skip(at)
        .position(|&byte| separates(byte) || byte == b'>')?
        + at;
    let name = rest.get(at..name_end)?.to_ascii_lowercase();
    at = name_end;
    let mut attributes = Vec::new();
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| !separates(byte))?;
        if bytes[at] == b'>' {
            return Some(Tag {
                name,
                attributes,
                place: 0..at + 1,
                content: 0..0,
            });
        }
        // An equals sign at the beginning of a name belongs to it.
        let ends = |byte: u8| separates(byte) || matches!(byte, b'=' | b'>');
        let end = bytes.iter().skip(at + 1).position(|&byte| ends(byte))? + at + 1;
        attributes.push(rest.get(at..end)?.to_ascii_lowercase());
        at = end
            + bytes
                .get(end..)?
                .iter()
                .position(|byte| !byte.is_ascii_whitespace())?;
        if bytes[at] != b'=' {
            continue;
        }
        at += 1;
        at += bytes
            .get(at..)?
            .iter()
            .position(|byte| !byte.is_ascii_whitespace())?;
        at = match bytes[at] {
            quote @ (b'"' | b'\'') => {
                at + 1 + bytes.get(at + 1..)?.iter().position(|&byte| byte == quote)? + 1
            }
            _ => {
                at + bytes[at..]
                    .iter()
                    .position(|&byte| byte.is_ascii_whitespace() || byte == b'>')?
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn added(page: &str) -> String {
        add_to_head(page, "*")
    }

    #[test]
    fn the_element_becomes_the_first_child_of_the_head() {
        for (page, with) in [
            (
                "<!doctype html><html lang=\"en\"><head><meta>",
                "<!doctype html><html lang=\"en\"><head>*<meta>",
            ),
            (
                "<HTML><HEAD\n class='a>b'><TITLE>",
                "<HTML><HEAD\n class='a>b'>*<TITLE>",
            ),
            ("<!-- <head> --><html><head >x", "<!-- <head> --><html><head >*x"),
            ("<!----><!--><head><!-- > -->", "<!----><!--><head>*<!-- > -->"),
            (
                "<html data-x=\"<head>\"><head>",
                "<html data-x=\"<head>\"><head>*",
            ),
            ("<html a = b c><head/>x", "<html a = b c><head/>*x"),
        ] {
            assert_eq!(added(page), with);
        }
    }

    #[test]
    fn a_page_without_a_head_gets_it_where_the_head_begins_by_itself() {
        for (page, with) in [
            (
                "<!doctype html><title>page</title>",
                "<!doctype html>*<title>page</title>",
            ),
            (
                "\u{feff}\n<!-- a > b --> <!DOCTYPE html>\n<p>",
                "\u{feff}\n<!-- a > b --> <!DOCTYPE html>*\n<p>",
            ),
            (
                "<!doctype html><html><body><header><p>",
                "<!doctype html><html>*<body><header><p>",
            ),
            ("<header>", "*<header>"),
            ("<script>'<head>'</script>", "*<script>'<head>'</script>"),
            ("text < more", "*text < more"),
            ("", "*"),
        ] {
            assert_eq!(added(page), with);
        }
    }

    #[test]
    fn scripts_in_the_page_are_found_as_browsers_see_them() {
        let page = "<script>one\r\ntwo\r</script><script defer src=a.js></script><!--<script>no</script>-->\
                    <style><script></style><SCRIPT type='module' data-a=\"src\">three</SCRIPT\n>\
                    <title><script>no</script></title><script>'</scripts>'</script>";
        assert_eq!(inline_scripts(page), ["one\ntwo\n", "three", "'</scripts>'"]);
    }

    #[test]
    fn event_handlers_are_attributes_and_nothing_else() {
        for with in [
            "<p onclick=x>",
            "<p class=\"a\" ONLOAD = 'x'>",
            "<svg/onload=x>",
            "<p a=b/ onerror>",
        ] {
            assert!(has_event_handlers(with), "{with}");
        }
        for without in [
            "<p title=\"onclick=x\">",
            "<!-- <p onclick=x> -->",
            "<script>'<p onclick=x>'</script>",
            "onclick=x",
            "</p onclick=x>",
        ] {
            assert!(!has_event_handlers(without), "{without}");
        }
    }

    proptest! {
        #[test]
        fn no_page_is_too_odd(page in "(<|>|/|!--|-->|head|script|html|=|'|\"| |\\n|ä|x){0,40}") {
            let with = added(&page);
            prop_assert_eq!(with.replacen('*', "", 1), page.clone());
            inline_scripts(&page);
            has_event_handlers(&page);
        }
    }
}
