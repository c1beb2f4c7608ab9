//! As much of HTTP/1.1 as a scraper needs: one request, one response, and the connection is over.
//!
//! In: the bytes of a request. Out: those of a response. No I/O: see `server`.

use super::{Format, Metrics};

/// The longest request, with all its headers, that is read.
pub(super) const LONGEST_REQUEST: usize = 8 << 10;

const PLAIN: &str = "text/plain; charset=utf-8";

/// A response, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    status: &'static str,
    content_type: &'static str,
    /// A further header with its line end.
    header: &'static str,
    body: String,
    /// Only the headers are sent: HEAD asked.
    is_head: bool,
}

impl Response {
    fn plain(status: &'static str, body: impl Into<String>) -> Self {
        Self { status, content_type: PLAIN, header: "", body: body.into(), is_head: false }
    }

    /// The client took too long.
    pub(super) fn too_slow() -> Self {
        Self::plain("408 Request Timeout", "too slow\n")
    }

    /// The client asks too much.
    pub(super) fn too_long() -> Self {
        Self::plain("431 Request Header Fields Too Large", "too long\n")
    }

    /// The bytes on the wire.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Self { status, content_type, header, body, is_head } = self;
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{header}\
             Connection: close\r\n\r\n"
        );
        let body = if *is_head { "" } else { body };
        [head.as_bytes(), body.as_bytes()].concat()
    }
}

/// Whether all headers are there.
pub(super) fn is_whole(request: &[u8]) -> bool {
    request.windows(4).any(|end| end == b"\r\n\r\n") || request.windows(2).any(|end| end == b"\n\n")
}

/// Answers a request.
pub(super) fn answer(request: &[u8], metrics: &Metrics) -> Response {
    let request = String::from_utf8_lossy(request);
    let mut lines = request.lines();
    let Some((method, path)) = lines.next().and_then(request_line) else {
        return Response::plain("400 Bad Request", "this is no HTTP request\n");
    };
    let response = match path {
        "/metrics" | "/healthz" if !["GET", "HEAD"].contains(&method) => {
            let response = Response::plain("405 Method Not Allowed", "there are GET and HEAD\n");
            Response { header: "Allow: GET, HEAD\r\n", ..response }
        }
        "/metrics" => scrape(metrics, wanted(lines)),
        "/healthz" => health(metrics),
        _ => Response::plain("404 Not Found", "there are /metrics and /healthz\n"),
    };
    Response { is_head: method == "HEAD", ..response }
}

fn health(metrics: &Metrics) -> Response {
    match metrics.health() {
        Ok(()) => Response::plain("200 OK", "ok\n"),
        Err(why) => Response::plain("503 Service Unavailable", why + "\n"),
    }
}

/// Method and path of `GET /metrics?x=y HTTP/1.1`.
fn request_line(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_request = words.next().is_none() && version.starts_with("HTTP/1.");
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    is_request.then_some((method, path))
}

/// The format that the headers ask for.
fn wanted<'a>(headers: impl Iterator<Item = &'a str>) -> Format {
    let is_open_metrics = |header: &str| {
        header.split_once(':').is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("accept")
                && value.to_ascii_lowercase().contains("application/openmetrics-text")
        })
    };
    if headers.take_while(|line| !line.is_empty()).any(is_open_metrics) {
        Format::OpenMetrics
    } else {
        Format::Prometheus
    }
}

fn scrape(metrics: &Metrics, format: Format) -> Response {
    let content_type = match format {
        Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
    };
    match metrics.scrape(format) {
        Ok(body) => Response { content_type, ..Response::plain("200 OK", body) },
        Err(error) => Response::plain("500 Internal Server Error", format!("{error}\n")),
    }
}
