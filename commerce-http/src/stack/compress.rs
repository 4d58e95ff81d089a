//! Compression of finished bodies, where it pays.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use poem::{
    Body, Response,
    http::{HeaderMap, HeaderValue, header},
};

/// Below this, compression costs more than it saves: it is about what fits one packet.
const MINIMUM: usize = 1400;

/// How a body travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    Brotli,
}

impl Encoding {
    /// The best encoding a client accepts (RFC 9110 §12.5.3).
    pub fn accepted(headers: &HeaderMap) -> Self {
        let Some(header) = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()) else {
            return Self::Identity;
        };
        let accepts = |coding: &str| {
            header.split(',').any(|choice| {
                let (name, weight) = choice.split_once(';').unwrap_or((choice, ""));
                let refused = weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
                name.trim().eq_ignore_ascii_case(coding) && !refused
            })
        };
        if accepts("br") {
            Self::Brotli
        } else if accepts("gzip") {
            Self::Gzip
        } else {
            Self::Identity
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }

    fn encode(self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Identity => None,
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), Compression::new(4));
                encoder.write_all(bytes).ok()?;
                encoder.finish().ok()
            }
            Self::Brotli => {
                let mut out = Vec::with_capacity(bytes.len() / 3);
                let mut encoder = brotli::CompressorWriter::new(&mut out, 4096, 4, 18);
                encoder.write_all(bytes).ok()?;
                drop(encoder);
                Some(out)
            }
        }
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|media| {
        media.starts_with("application/json")
            || media.starts_with("text/")
            || media.starts_with("application/yaml")
            || media.starts_with(crate::problem::CONTENT_TYPE)
    })
}

/// Compresses a body that is large enough; says in any case that the answer depends on `Accept-Encoding`.
pub async fn compress(mut response: Response, encoding: Encoding) -> Response {
    if !is_text(response.headers()) {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if encoding == Encoding::Identity || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let Ok(bytes) = response.take_body().into_bytes().await else { return response };
    match (bytes.len() >= MINIMUM).then(|| encoding.encode(&bytes)).flatten() {
        Some(encoded) => {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
            weaken(response.headers_mut());
            response.set_body(Body::from_vec(encoded));
        }
        None => response.set_body(Body::from_bytes(bytes)),
    }
    response
}

/// Bytes differ by encoding, so a strong entity tag would lie (RFC 9110 §8.8.1).
fn weaken(headers: &mut HeaderMap) {
    let weak =
        headers.get(header::ETAG).and_then(|tag| HeaderValue::from_str(&format!("W/{}", tag.to_str().ok()?)).ok());
    if let Some(weak) = weak {
        headers.insert(header::ETAG, weak);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn accepting(header: &'static str) -> Encoding {
        Encoding::accepted(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(header))]))
    }

    #[test]
    fn the_client_chooses() {
        assert_eq!(accepting("gzip, deflate, br"), Encoding::Brotli);
        assert_eq!(accepting("gzip;q=0.5"), Encoding::Gzip);
        assert_eq!(accepting("br;q=0, GZIP"), Encoding::Gzip);
        assert_eq!(accepting("identity"), Encoding::Identity);
        assert_eq!(Encoding::accepted(&HeaderMap::new()), Encoding::Identity);
    }

    #[tokio::test]
    async fn only_what_is_large_is_compressed() {
        let json = |text: &str| {
            Response::builder().content_type("application/json").header("etag", "\"1-a\"").body(text.to_owned())
        };
        let small = compress(json("{}"), Encoding::Gzip).await;
        assert_eq!((small.header("content-encoding"), small.header("vary")), (None, Some("Accept-Encoding")));

        let text = "commerce ".repeat(1000);
        let gzip = compress(json(&text), Encoding::Gzip).await;
        assert_eq!((gzip.header("content-encoding"), gzip.header("etag")), (Some("gzip"), Some("W/\"1-a\"")));
        let mut read = String::new();
        let bytes = gzip.into_body().into_vec().await.unwrap();
        flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);

        let br = compress(json(&text), Encoding::Brotli).await.into_body().into_vec().await.unwrap();
        let mut read = String::new();
        brotli::Decompressor::new(&*br, 4096).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
    }
}
