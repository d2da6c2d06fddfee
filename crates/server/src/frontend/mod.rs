//! The built frontend, read once at start.
//!
//! A request can only get what stands in the [`Frontend`]'s list of names, compared letter by letter with the path as
//! it came: no path is ever decoded, joined or handed to the file system, so nothing outside the folder can be
//! served, whatever a path is spelled like (invariant 6).

mod files;
mod html;
mod kinds;
mod page;

use std::{collections::HashMap, io::Write, path::Path, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
pub(crate) use page::{InlineScripts, RESUMABLE_SOCKET};
use tokio::sync::OnceCell;

use crate::{error::ServerError, percent};

/// Files below this size are not worth compressing.
const SMALLEST_COMPRESSED: usize = 1024;

/// The files of a built frontend, by their canonical URL path below the page's folder.
#[derive(Debug)]
pub(crate) struct Frontend {
    files: HashMap<String, Arc<File>>,
    scripts: InlineScripts,
}

#[derive(Debug)]
struct File {
    content: Bytes,
    content_type: &'static str,
    compressible: bool,
    cache_control: &'static str,
    etag: HeaderValue,
    compressed_etag: HeaderValue,
    compressed: OnceCell<Option<Bytes>>,
}

impl Frontend {
    /// Reads all files below `folder`, and adds `script`, if there is one, to the page as it is served. The files stay
    /// as they are.
    ///
    /// Symbolic links are followed only to places inside the folder.
    ///
    /// # Errors
    /// [`ServerError::Folder`] if the folder can not be read, holds no `index.html`, or is far too large to be a
    /// built frontend.
    pub(crate) fn load(folder: &Path, script: Option<&str>) -> Result<Self, ServerError> {
        let refused = |reason: String| ServerError::Folder {
            role: "The frontend folder",
            path: folder.to_owned(),
            reason,
        };
        let mut files = files::read_tree(folder).map_err(refused)?;
        let scripts = match script {
            Some(script) => page::add_script(&mut files, script),
            None => InlineScripts::Any,
        };
        let files: HashMap<_, _> = files
            .into_iter()
            .map(|(name, content)| (canonical_path(&name), Arc::new(File::new(&name, content))))
            .collect();
        if !files.contains_key("index.html") {
            return Err(refused(
                "holds no index.html; give the folder with the built frontend".to_owned(),
            ));
        }
        Ok(Self { files, scripts })
    }

    /// Which scripts may stand in the pages themselves.
    pub(crate) fn inline_scripts(&self) -> &InlineScripts {
        &self.scripts
    }

    /// Answers a GET or HEAD for `path`, the path below the page's folder exactly as it came; `None` if there is no
    /// such file. An empty path is `index.html`.
    pub(crate) async fn answer(&self, path: &str, request: &HeaderMap) -> Option<Response<Body>> {
        let name = if path.is_empty() { "index.html" } else { path };
        let file = self.files.get(name)?;
        Some(file.answer(request).await)
    }
}

impl File {
    fn new(name: &str, content: Bytes) -> Self {
        let (content_type, compressible) = kinds::of(name);
        let hash = content_hash(&content);
        let cache_control = if kinds::has_content_hash(name) {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        // Hexadecimal digits are always fit for a header.
        let tag = |end: &str| {
            HeaderValue::try_from(format!("\"{hash:016x}{end}\"")).unwrap_or(HeaderValue::from_static("\"\""))
        };
        Self {
            compressible: compressible && content.len() >= SMALLEST_COMPRESSED,
            content_type,
            cache_control,
            etag: tag(""),
            compressed_etag: tag("-gz"),
            compressed: OnceCell::new(),
            content,
        }
    }

    async fn answer(self: &Arc<Self>, request: &HeaderMap) -> Response<Body> {
        let compressed = if self.compressible && accepts_gzip(request) {
            self.compressed().await
        } else {
            None
        };
        let (etag, content) = match &compressed {
            Some(compressed) => (&self.compressed_etag, compressed),
            None => (&self.etag, &self.content),
        };
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(header::ETAG, etag.clone());
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static(self.cache_control),
        );
        if self.compressible {
            headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        if is_known(request, etag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if compressed.is_some() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        *response.body_mut() = Body::from(content.clone());
        response
    }

    /// The content as gzip, made at the first request and kept; `None` if it is not smaller.
    async fn compressed(self: &Arc<Self>) -> Option<Bytes> {
        let file = Arc::clone(self);
        let made = self
            .compressed
            .get_or_init(|| async move {
                // Seconds of work for the largest scripts: not on a thread that serves connections (invariant 2).
                tokio::task::spawn_blocking(move || gzip(&file.content))
                    .await
                    .ok()
                    .flatten()
            })
            .await;
        made.clone()
    }
}

fn gzip(content: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(content.len() / 3), Compression::default());
    encoder.write_all(content).ok()?;
    let compressed = encoder.finish().ok()?;
    (compressed.len() < content.len()).then(|| compressed.into())
}

/// Identifies a content within the life of caches. Another release of the standard library may hash differently;
/// that costs one more download.
fn content_hash(content: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

fn accepts_gzip(request: &HeaderMap) -> bool {
    let entries = request
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    for entry in entries {
        let mut parts = entry.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        if coding.eq_ignore_ascii_case("gzip") || coding == "*" {
            let weight = parts
                .find_map(|part| part.strip_prefix("q="))
                .and_then(|q| q.parse::<f32>().ok());
            return weight.unwrap_or(1.0) > 0.0;
        }
    }
    false
}

/// Whether the client has the content behind `etag` already (RFC 9110, section 13.1.2: weak comparison).
fn is_known(request: &HeaderMap, etag: &HeaderValue) -> bool {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag.as_bytes() == etag.as_bytes())
}

/// The one URL path by which browsers ask for a file of this name (URL Standard, path percent-encode set).
fn canonical_path(name: &str) -> String {
    percent::encode(name, |byte| {
        byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'?' | b'`' | b'{' | b'}' | b'^')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_for_in_their_canonical_form_only() {
        assert_eq!(canonical_path("static/js/a-b_c.1.js"), "static/js/a-b_c.1.js");
        assert_eq!(canonical_path("a b/ä%.png"), "a%20b/%C3%A4%25.png");
    }

    #[test]
    fn gzip_is_sent_only_to_who_accepts_it() {
        let accepts = |value: &'static str| {
            accepts_gzip(&HeaderMap::from_iter([(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static(value),
            )]))
        };
        assert!(accepts("gzip, deflate, br"));
        assert!(accepts("br;q=1.0, gzip;q=0.8"));
        assert!(accepts("*"));
        assert!(!accepts("gzip;q=0"));
        assert!(!accepts("br"));
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
