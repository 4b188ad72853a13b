//! Responses that carry a file: conditions, ranges, types [W2] [W4] [W7].

use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};

use crate::boot::tree::{Content, Found, Kind};

use super::body::{Body, Piece};
use super::range::{self, Selection, Span};

/// Between the parts of a multi-range answer. The parts have a stated length, so that it may occur in them.
const BOUNDARY: &str = "bootlace-byte-ranges";

/// The strong entity tag of a file. May ask the file system about an open file.
pub fn etag(found: &Found) -> String {
    match &found.content {
        Content::Memory(bytes) => {
            let mut hasher = DefaultHasher::new();
            hasher.write(bytes);
            format!("\"{:x}-{:x}\"", hasher.finish(), bytes.len())
        }
        Content::File(file) => {
            let (seconds, nanoseconds, inode) =
                file.metadata().map_or((0, 0, 0), |about| (about.mtime(), about.mtime_nsec(), about.ino()));
            format!("\"{seconds:x}.{nanoseconds:x}-{inode:x}-{:x}\"", found.size)
        }
    }
}

/// Content type by name [W7].
fn content_type(path: &str, kind: Kind) -> &'static str {
    let extension =
        path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
    match extension.unwrap_or("").to_ascii_lowercase().as_str() {
        _ if kind == Kind::Generated => "text/plain; charset=utf-8",
        // Debian's names of signed loaders; HTTP Boot goes by the type where the extension says nothing [H7].
        "signed" if path.to_ascii_lowercase().ends_with(".efi.signed") => "application/efi",
        "ipxe" | "cfg" | "conf" | "txt" => "text/plain; charset=utf-8",
        "efi" => "application/efi",
        "iso" => "application/vnd.efi-iso",
        "img" => "application/vnd.efi-img",
        _ => "application/octet-stream",
    }
}

/// The response to GET; for HEAD the caller leaves the body away.
pub fn response(path: &str, found: &Found, etag: &str, request: &HeaderMap) -> Response<Body> {
    let modified = found.modified.and_then(http_date);
    let seconds = found.modified.and_then(|time| Timestamp::try_from(time).ok()).map(Timestamp::as_second);
    let text = |name: HeaderName| request.get(name).and_then(|value| value.to_str().ok());
    let since = |name: HeaderName| text(name).and_then(parse_date);

    let mut response = Response::new(Body::default());
    let headers = response.headers_mut();
    set(headers, header::ETAG, etag);
    if let Some(modified) = &modified {
        set(headers, header::LAST_MODIFIED, modified);
    }

    // RFC 9110, 13.2.2: If-None-Match decides alone where it is there.
    let unchanged = match text(header::IF_NONE_MATCH) {
        Some(tags) => tags
            .split(',')
            .any(|tag| matches!(tag.trim().trim_start_matches("W/"), t if t == etag || t == "*")),
        None => {
            since(header::IF_MODIFIED_SINCE).zip(seconds).is_some_and(|(since, seconds)| seconds <= since)
        }
    };
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }

    set(headers, header::ACCEPT_RANGES, "bytes");
    let kind = content_type(path, found.kind);
    let current = match text(header::IF_RANGE) {
        Some(tag) if tag.starts_with('"') => tag == etag,
        Some(date) => parse_date(date).is_some() && parse_date(date) == seconds,
        None => true,
    };
    let selection = match text(header::RANGE) {
        Some(wanted) if current => range::select(wanted, found.size),
        _ => Selection::Whole,
    };
    let (status, body) = match selection {
        Selection::Whole => {
            set(headers, header::CONTENT_TYPE, kind);
            (StatusCode::OK, Body::new((found.size > 0).then(|| piece(found, 0, found.size))))
        }
        Selection::Parts(spans) => match spans.as_slice() {
            [span] => {
                set(headers, header::CONTENT_TYPE, kind);
                set(headers, header::CONTENT_RANGE, &content_range(*span, found.size));
                (StatusCode::PARTIAL_CONTENT, Body::new([piece(found, span.first, span.length())]))
            }
            spans => {
                set(headers, header::CONTENT_TYPE, &format!("multipart/byteranges; boundary={BOUNDARY}"));
                (StatusCode::PARTIAL_CONTENT, Body::new(multipart(spans, found, kind)))
            }
        },
        Selection::Unsatisfiable => {
            set(headers, header::CONTENT_TYPE, "text/plain; charset=utf-8");
            set(headers, header::CONTENT_RANGE, &format!("bytes */{}", found.size));
            let text = format!("the range lies outside the file of {} bytes\n", found.size);
            (StatusCode::RANGE_NOT_SATISFIABLE, Body::from_bytes(text))
        }
    };
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_LENGTH, body.length().into());
    *response.body_mut() = body;
    response
}

/// The pieces of a multi-range answer (RFC 9110, 14.6).
fn multipart(spans: &[Span], found: &Found, kind: &str) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(spans.len() * 2 + 1);
    let mut before = String::new();
    for span in spans {
        let range = content_range(*span, found.size);
        before.push_str(&format!("--{BOUNDARY}\r\nContent-Type: {kind}\r\nContent-Range: {range}\r\n\r\n"));
        pieces.push(Piece::Memory(std::mem::take(&mut before).into()));
        pieces.push(piece(found, span.first, span.length()));
        before.push_str("\r\n");
    }
    pieces.push(Piece::Memory(format!("\r\n--{BOUNDARY}--\r\n").into()));
    pieces
}

/// Part of the file as part of a body.
fn piece(found: &Found, offset: u64, length: u64) -> Piece {
    match &found.content {
        Content::File(file) => Piece::File { file: Arc::clone(file), offset, length },
        Content::Memory(bytes) => {
            // Shared, not copied: thousands of machines load the same loader at the same time.
            let whole = Bytes::from_owner(Arc::clone(bytes));
            Piece::Memory(whole.slice(offset as usize..(offset + length) as usize))
        }
    }
}

fn content_range(span: Span, size: u64) -> String {
    format!("bytes {}-{}/{size}", span.first, span.last)
}

/// Sets a header; a value that cannot be one is left out rather than sent empty [W6].
pub fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value)
        && !value.is_empty()
    {
        headers.insert(name, value);
    }
}

/// A time as HTTP writes it (RFC 9110, 5.6.7).
fn http_date(time: SystemTime) -> Option<String> {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::try_from(time).ok()?).ok()
}

/// Seconds since 1970 of a date in a request.
fn parse_date(text: &str) -> Option<i64> {
    DateTimeParser::new().parse_timestamp(text).ok().map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn ask(headers: &[(HeaderName, &str)]) -> Response<Body> {
        let found = Found {
            content: Content::Memory(Arc::from(&b"0123456789"[..])),
            size: 10,
            kind: Kind::Asset,
            modified: Some(UNIX_EPOCH + Duration::from_millis(784_111_777_500)),
        };
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        response("a/linux", &found, "\"tag\"", &headers)
    }

    /// [H7] [W7]
    #[test]
    fn http_boot_is_told_what_kind_of_file_it_gets() {
        for (path, expected) in [
            ("a/shimx64.efi", "application/efi"),
            ("grubnetx64.efi.signed", "application/efi"),
            ("SHIM.EFI", "application/efi"),
            ("x.iso", "application/vnd.efi-iso"),
            ("x.img", "application/vnd.efi-img"),
            ("undionly.kpxe", "application/octet-stream"),
            ("x.signed", "application/octet-stream"),
            ("a.efi/linux", "application/octet-stream"),
        ] {
            assert_eq!(content_type(path, Kind::Asset), expected, "{path}");
        }
    }

    /// [W4]
    #[test]
    fn conditions_are_answered_as_rfc_9110_orders_them() {
        use header::{IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
        let later = "Mon, 07 Nov 1994 08:49:37 GMT";
        let earlier = "Sat, 05 Nov 1994 08:49:37 GMT";
        for (headers, status) in [
            (&[][..], 200),
            (&[(IF_NONE_MATCH, "\"tag\"")], 304),
            (&[(IF_NONE_MATCH, "\"x\", W/\"tag\"")], 304),
            (&[(IF_NONE_MATCH, "*")], 304),
            (&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, later)], 200),
            (&[(IF_MODIFIED_SINCE, DATE)], 304),
            (&[(IF_MODIFIED_SINCE, later)], 304),
            (&[(IF_MODIFIED_SINCE, earlier)], 200),
            (&[(IF_MODIFIED_SINCE, "yesterday")], 200),
            (&[(RANGE, "bytes=0-1")], 206),
            (&[(RANGE, "bytes=0-1"), (IF_RANGE, "\"tag\"")], 206),
            (&[(RANGE, "bytes=0-1"), (IF_RANGE, "\"old\"")], 200),
            (&[(RANGE, "bytes=0-1"), (IF_RANGE, "W/\"tag\"")], 200),
            (&[(RANGE, "bytes=0-1"), (IF_RANGE, DATE)], 206),
            (&[(RANGE, "bytes=0-1"), (IF_RANGE, earlier)], 200),
            (&[(RANGE, "bytes=10-")], 416),
        ] {
            assert_eq!(ask(headers).status(), status, "{headers:?}");
        }
        let whole = ask(&[]);
        assert_eq!(whole.headers()[header::LAST_MODIFIED], DATE);
        assert_eq!(ask(&[(RANGE, "bytes=2-")]).headers()[header::CONTENT_RANGE], "bytes 2-9/10");
        assert_eq!(ask(&[(RANGE, "bytes=10-")]).headers()[header::CONTENT_RANGE], "bytes */10");
    }

    /// [W7]
    #[test]
    fn types_are_those_that_firmware_looks_for() {
        for (path, kind) in [
            ("a/snponly.EFI", "application/efi"),
            ("x.iso", "application/vnd.efi-iso"),
            ("x.img", "application/vnd.efi-img"),
            ("x.ipxe", "text/plain; charset=utf-8"),
            ("folder.efi/linux", "application/octet-stream"),
        ] {
            assert_eq!(content_type(path, Kind::Asset), kind, "{path}");
        }
    }

    /// [W6]
    #[test]
    fn no_header_is_ever_sent_empty() {
        let mut headers = HeaderMap::new();
        set(&mut headers, header::SERVER, "");
        assert!(headers.is_empty());
    }
}
