//! What a file is, by its name.

/// The `Content-Type` for a file name, and whether compression makes such files smaller.
pub(super) fn of(name: &str) -> (&'static str, bool) {
    let extension = name
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("html" | "htm") => ("text/html; charset=utf-8", true),
        Some("js" | "mjs") => ("text/javascript; charset=utf-8", true),
        Some("css") => ("text/css; charset=utf-8", true),
        Some("json" | "map") => ("application/json", true),
        Some("wasm") => ("application/wasm", true),
        Some("txt") => ("text/plain; charset=utf-8", true),
        Some("svg") => ("image/svg+xml", true),
        Some("ttf") => ("font/ttf", true),
        Some("otf") => ("font/otf", true),
        Some("eot") => ("application/vnd.ms-fontobject", true),
        Some("woff") => ("font/woff", false),
        Some("woff2") => ("font/woff2", false),
        Some("png") => ("image/png", false),
        Some("jpg" | "jpeg") => ("image/jpeg", false),
        Some("gif") => ("image/gif", false),
        Some("webp") => ("image/webp", false),
        Some("ico") => ("image/x-icon", false),
        _ => ("application/octet-stream", false),
    }
}

/// Whether a name under `static/` carries a hash of its content, so that it never changes what it means:
/// a part of at least eight hexadecimal digits between dots, as in `index.20c83782.js`.
pub(super) fn has_content_hash(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let parts: Vec<_> = name.split('.').collect();
    path.starts_with("static/")
        && parts.len() >= 3
        && parts[1..parts.len() - 1]
            .iter()
            .any(|part| part.len() >= 8 && part.chars().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hashed_names_under_static_are_for_ever() {
        assert!(has_content_hash("static/js/index.20c83782.js"));
        assert!(has_content_hash("static/js/index.93c00747.worker.js"));
        for changing in [
            "index.html",
            "static/js/zfp_wrapper.wasm",
            "index.20c83782.js",
            "static/js/20c83782.js",
        ] {
            assert!(!has_content_hash(changing), "{changing}");
        }
    }
}
