//! The script that is added to the page.

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use crate::client::{Answer, Running, start};

const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<script>window.mine = 1;</script>\n\
                    <script defer src=\"a.js\"></script></head><body></body></html>";
const POPOUT: &str = "<!DOCTYPE html><html><body><script>window.ready = true;</script></body></html>";

fn site(change: impl FnOnce(&mut chartroom::Options)) -> (tempfile::TempDir, Running) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("index.html"), PAGE).unwrap();
    fs::write(folder.path().join("popout.html"), POPOUT).unwrap();
    let running = start(|options| {
        options.frontend = Some(folder.path().to_owned());
        change(options);
    });
    (folder, running)
}

/// The sources of scripts in the policy of an answer.
fn script_sources(answer: &Answer) -> Vec<String> {
    let policy = answer.header("content-security-policy");
    let (_, rest) = policy.split_once("script-src ").unwrap();
    let sources = rest.split(';').next().unwrap();
    sources.split(' ').map(str::to_owned).collect()
}

fn hash(script: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script)))
}

/// The first script in a page and everything around it.
fn taken_out(page: &str) -> (String, String) {
    let (before, rest) = page.split_once("<script>").unwrap();
    let (script, after) = rest.split_once("</script>").unwrap();
    (script.to_owned(), [before, after].concat())
}

#[test]
fn the_page_gets_the_script_first_in_its_head_and_the_file_stays_as_it_is() {
    let (folder, running) = site(|_| {});
    for path in ["/", "/index.html", "/?token=secret"] {
        let answer = running.get(path);
        let page = answer.text();
        assert!(page.contains("<head><script>"), "{page}");
        let (script, rest) = taken_out(&page);
        assert!(script.contains("chartroom.resume.v1"));
        assert_eq!(rest, PAGE);
        let mut expected = [
            hash(&script),
            hash("window.mine = 1;"),
            hash("window.ready = true;"),
        ]
        .to_vec();
        expected.extend(["'self'", "'unsafe-eval'", "data:", "blob:"].map(str::to_owned));
        expected.sort();
        let mut sources = script_sources(&answer);
        sources.sort();
        assert_eq!(sources, expected);
    }
    assert_eq!(running.get("/popout.html").text(), POPOUT);
    assert_eq!(
        fs::read_to_string(folder.path().join("index.html")).unwrap(),
        PAGE
    );
}

#[test]
fn the_changed_page_has_tags_and_lengths_of_its_own() {
    let (_with, with) = site(|_| {});
    let (_without, without) = site(|options| options.transparent_resume = false);
    let (changed, plain) = (with.get("/"), without.get("/"));
    assert_ne!(changed.header("etag"), plain.header("etag"));
    assert_eq!(changed.header("content-length"), changed.body.len().to_string());
    let known = format!("If-None-Match: {}\r\n", changed.header("etag"));
    assert_eq!(with.send("GET", "/", &known, b"").status, 304);
    let packed = with.send("GET", "/", "Accept-Encoding: gzip\r\n", b"");
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut unpacked = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(packed.body.as_slice());
    std::io::Read::read_to_end(&mut decoder, &mut unpacked).unwrap();
    assert_eq!(unpacked, changed.body);
}

#[test]
fn without_transparent_resumption_the_page_is_served_byte_for_byte() {
    let (_folder, running) = site(|options| options.transparent_resume = false);
    let answer = running.get("/");
    assert_eq!(answer.text(), PAGE);
    assert!(script_sources(&answer).contains(&"'unsafe-inline'".to_owned()));
}

/// The builds of the official frontend, where `cargo xtask` has fetched them.
#[test]
fn the_pages_of_the_official_frontend_take_the_script_and_a_policy_of_hashes() {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.chartroom/frontend");
    for version in ["6.0.0", "4.1.0"] {
        let build = fetched.join(version).join("package/build");
        if !build.join("index.html").exists() {
            continue;
        }
        let original = fs::read_to_string(build.join("index.html")).unwrap();
        let running = start(|options| options.frontend = Some(build));
        let answer = running.get("/");
        let (script, rest) = taken_out(&answer.text());
        assert!(
            script.contains("chartroom.resume.v1") && rest == original,
            "{version}"
        );
        let sources = script_sources(&answer);
        assert!(sources.contains(&hash(&script)) && !sources.contains(&"'unsafe-inline'".to_owned()));
    }
}
