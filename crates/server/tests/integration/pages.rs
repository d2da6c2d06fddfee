//! The frontend's files.

use std::io::Read;

use crate::client::{Running, start, write_frontend};

fn site() -> Running {
    let folder = tempfile::tempdir().unwrap();
    write_frontend(folder.path());
    start(|options| options.frontend = Some(folder.path().to_owned()))
}

#[test]
fn files_come_with_the_type_that_the_page_needs() {
    let running = site();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/?token=secret&file=a.fits", "text/html; charset=utf-8"),
        ("/manifest.json", "application/json"),
        ("/zfp_wrapper.wasm", "application/wasm"),
        ("/static/js/index.20c83782.js", "text/javascript; charset=utf-8"),
        ("/static/css/index.ac827c6f.css", "text/css; charset=utf-8"),
        ("/static/image/log.7fce6aee.png", "image/png"),
        ("/static/image/%C3%84%20b.png", "image/png"),
    ] {
        let answer = running.get(path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, kind),
            "{path}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(
            answer
                .header("content-security-policy")
                .contains("connect-src 'self'")
        );
    }
    assert_eq!(running.get("/zfp_wrapper.wasm").body, b"\0asm top");
    assert_eq!(running.get("/static/js/zfp_wrapper.wasm").body, b"\0asm worker");
}

#[test]
fn hashed_names_are_kept_for_ever_and_all_others_are_asked_for_again() {
    let running = site();
    let cache = |path: &str| running.get(path).header("cache-control").to_owned();
    assert_eq!(
        cache("/static/js/index.20c83782.js"),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(
        cache("/static/js/index.93c00747.worker.js"),
        "public, max-age=31536000, immutable"
    );
    for path in [
        "/",
        "/index.html",
        "/popout.html",
        "/static/js/zfp_wrapper.wasm",
        "/zfp_wrapper.wasm",
    ] {
        assert_eq!(cache(path), "no-cache", "{path}");
    }
    assert_eq!(cache("/config"), "no-store");
}

#[test]
fn a_known_etag_is_answered_with_304_and_nothing_else() {
    let running = site();
    let first = running.get("/index.html");
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"'), "{tag}");
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"other\", {tag}"),
        "*".to_owned(),
    ] {
        let again = running.send("GET", "/", &format!("If-None-Match: {known}\r\n"), b"");
        assert_eq!(
            (again.status, again.header("etag"), again.body.len()),
            (304, tag.as_str(), 0),
            "{known}"
        );
    }
    assert_eq!(
        running
            .send("GET", "/", "If-None-Match: \"other\"\r\n", b"")
            .status,
        200
    );
}

#[test]
fn text_is_compressed_for_who_accepts_it_under_a_tag_of_its_own() {
    let running = site();
    let path = "/static/js/index.20c83782.js";
    let plain = running.get(path);
    let packed = running.send("GET", path, "Accept-Encoding: gzip, br\r\n", b"");
    assert_eq!(
        (
            plain.header("content-encoding"),
            packed.header("content-encoding")
        ),
        ("", "gzip")
    );
    assert_eq!(
        (plain.header("vary"), packed.header("vary")),
        ("Accept-Encoding", "Accept-Encoding")
    );
    assert_ne!(plain.header("etag"), packed.header("etag"));
    assert!(packed.body.len() < plain.body.len() / 4);
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(packed.body.as_slice())
        .read_to_end(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, plain.body);
    let png = running.send(
        "GET",
        "/static/image/log.7fce6aee.png",
        "Accept-Encoding: gzip\r\n",
        b"",
    );
    assert_eq!((png.header("content-encoding"), png.header("vary")), ("", ""));
}

#[test]
fn head_tells_what_get_would_without_the_body() {
    let running = site();
    let get = running.get("/index.html");
    let head = running.send("HEAD", "/index.html", "", b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["content-type", "content-length", "etag", "cache-control"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    let post = running.send("POST", "/index.html", "", b"");
    assert_eq!((post.status, post.header("allow")), (405, "GET, HEAD"));
}

/// The spellings by which scanners read files outside the folder from carta_backend (its issue 1242), and more.
#[test]
fn be1242_no_spelling_of_a_path_leads_out_of_the_frontend_folder() {
    let running = site();
    for path in [
        "//etc/passwd",
        "///etc/passwd",
        "////etc/passwd",
        "//./etc/passwd",
        "/../etc/passwd",
        "/../../../../../../etc/passwd",
        "/./index.html",
        "/static/../index.html",
        "/static/js/../../index.html",
        "/static/..%2findex.html",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/%252e%252e%252fetc%252fpasswd",
        "/.%2e/.%2e/etc/passwd",
        "/....//....//etc/passwd",
        "/..;/..;/etc/passwd",
        "/%2fetc%2fpasswd",
        "/%2F%2Fetc/passwd",
        "/..%5c..%5cetc%5cpasswd",
        "/..\\..\\etc\\passwd",
        "/%5c%5cetc%5cpasswd",
        "/%c0%ae%c0%ae/etc/passwd",
        "/%u002e%u002e/etc/passwd",
        "/index.html%00",
        "/index.html%00.png",
        "/%00",
        "/index.html/",
        "/index.html/.",
        "//index.html",
        "/static//js/index.20c83782.js",
        "/static/%2e/js/index.20c83782.js",
        "/index%2ehtml",
        "/static%2fjs%2findex.20c83782.js",
        "/static",
        "/static/",
        "/INDEX.HTML",
        "/file:///etc/passwd",
        "/~root",
        "/.git/config",
        "/proc/self/environ",
    ] {
        let answer = running.get(path);
        assert!(matches!(answer.status, 404 | 400), "{path}: {answer:?}");
        assert!(!answer.text().contains("root:"), "{path}");
    }
    // The absolute form of a request names the same files, and no others.
    assert_eq!(running.get("http://example.org/index.html").status, 200);
    assert_eq!(running.get("http://example.org//etc/passwd").status, 404);
}

#[test]
#[cfg(unix)]
fn links_out_of_the_frontend_folder_are_not_served() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let build = folder.path().join("build");
    std::fs::create_dir(&build).unwrap();
    write_frontend(&build);
    std::fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    std::fs::create_dir(folder.path().join("outside")).unwrap();
    std::fs::write(folder.path().join("outside/secret.txt"), "secret").unwrap();
    symlink(folder.path().join("secret.txt"), build.join("file.txt")).unwrap();
    symlink("../secret.txt", build.join("relative.txt")).unwrap();
    symlink(folder.path().join("outside"), build.join("folder")).unwrap();
    symlink("nowhere", build.join("dangling.txt")).unwrap();
    symlink("index.html", build.join("inside.html")).unwrap();
    let running = start(|options| options.frontend = Some(build.clone()));
    for path in [
        "/file.txt",
        "/relative.txt",
        "/folder/secret.txt",
        "/dangling.txt",
    ] {
        assert_eq!(running.get(path).status, 404, "{path}");
    }
    assert_eq!(running.get("/inside.html").status, 200);
    // Whatever is done to the folder afterwards changes nothing.
    std::fs::remove_file(build.join("index.html")).unwrap();
    symlink("/etc/passwd", build.join("index.html")).unwrap();
    assert!(running.get("/index.html").text().contains("<title>page</title>"));
}

#[test]
fn unknown_paths_are_404_and_never_the_page() {
    let running = site();
    for path in [
        "/nothing",
        "/static/js/missing.wasm",
        "/configs",
        "/api",
        "/metricsx",
        "/dashboard",
    ] {
        let answer = running.get(path);
        assert!(matches!(answer.status, 404 | 401), "{path}");
        assert!(!answer.text().contains("<title>"), "{path}");
    }
}

#[test]
fn without_a_frontend_the_page_says_how_to_get_one() {
    let running = start(|options| options.serve_frontend = false);
    let answer = running.get("/");
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/plain; charset=utf-8")
    );
    assert!(answer.text().contains("npm pack carta-frontend"));
    assert_eq!(running.get("/index.js").status, 404);
}

#[test]
fn everything_lives_below_the_prefix_and_the_bare_prefix_leads_there() {
    let folder = tempfile::tempdir().unwrap();
    write_frontend(folder.path());
    let running = start(|options| {
        options.frontend = Some(folder.path().to_owned());
        options.url_prefix = "/a/b".to_owned();
    });
    let redirect = running.get("/a/b?token=secret&file=x");
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (307, "/a/b/?token=secret&file=x")
    );
    for path in [
        "/a/b/",
        "/a/b/index.html",
        "/a/b/health",
        "/a/b/metrics",
        "/a/b/api/database/layouts?token=secret",
    ] {
        assert_eq!(running.get(path).status, 200, "{path}");
    }
    assert_eq!(running.get("/a/b/config").json()["apiAddress"], "/a/b/api");
    for path in [
        "/",
        "/index.html",
        "/a",
        "/a/bc/",
        "/a/b//index.html",
        "/api/database/layouts?token=secret",
    ] {
        assert_eq!(running.get(path).status, 404, "{path}");
    }
    assert!(
        running
            .server
            .as_ref()
            .unwrap()
            .url()
            .ends_with("/a/b/?token=secret")
    );
}

#[test]
fn outside_services_may_be_called_only_when_allowed() {
    let closed = start(|_| {})
        .get("/")
        .header("content-security-policy")
        .to_owned();
    assert!(!closed.contains("http"), "{closed}");
    let open = start(|options| options.external_services = vec!["https://telemetry.cartavis.org".to_owned()]);
    assert!(
        open.get("/")
            .header("content-security-policy")
            .contains("https://telemetry.cartavis.org")
    );
}

#[test]
fn a_folder_that_is_no_frontend_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = crate::client::options(folder.path());
    let mut refused = |frontend: &std::path::Path| {
        options.frontend = Some(frontend.to_owned());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let started = runtime.block_on(chartroom::Server::start(
            &options,
            std::sync::Arc::new(chartroom::NoApplication),
        ));
        started.unwrap_err().to_string()
    };
    assert!(refused(folder.path()).contains("holds no index.html"));
    assert!(refused(&folder.path().join("missing")).contains("can not be read"));
}

/// Pieces of which paths are made that try to leave a folder.
const PIECES: &[&str] = &[
    "/",
    "//",
    "\\",
    "..",
    ".",
    "...",
    "%2e",
    "%2E%2e",
    "%2f",
    "%5c",
    "%00",
    "%",
    "%25",
    "%252e",
    "%c0%ae",
    ";",
    "~",
    "*",
    ":",
    "C:",
    "index.html",
    "static",
    "js",
    "index.20c83782.js",
    "secret.txt",
    "build",
    "outside",
    "etc",
    "passwd",
    "config",
];

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_path_made_of_any_pieces_gives_anything_but_a_listed_file(
        paths in proptest::collection::vec(proptest::collection::vec(proptest::sample::select(PIECES), 1..8), 20),
    ) {
        let running = confined();
        for pieces in paths {
            let path = format!("/{}", pieces.concat());
            let answer = running.get(&path);
            let listed = matches!(
                path.as_str(),
                "/" | "/index.html" | "/static/js/index.20c83782.js" | "/config"
            );
            proptest::prop_assert!(!answer.text().contains("hidden words") && !answer.text().contains("root:"), "{path}");
            proptest::prop_assert_eq!(answer.status == 200, listed, "{}: {:?}", path, answer);
        }
    }
}

/// One server for all cases, with a secret beside its frontend's folder.
fn confined() -> &'static Running {
    static RUNNING: std::sync::OnceLock<(tempfile::TempDir, Running)> = std::sync::OnceLock::new();
    let (_, running) = RUNNING.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let build = folder.path().join("build");
        std::fs::create_dir(&build).unwrap();
        write_frontend(&build);
        std::fs::write(folder.path().join("secret.txt"), "hidden words").unwrap();
        let running = start(|options| options.frontend = Some(build));
        (folder, running)
    });
    running
}
