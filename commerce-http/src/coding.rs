//! Bodies that arrive compressed (`Content-Encoding`, RFC 9110 §8.4), undone within the size limit.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use poem::http::{HeaderMap, HeaderValue, header};

use crate::problem::{ApiError, Code};

/// The largest body that is read.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// The refusal of a body above the limit, as it was sent or once it is decoded.
pub fn too_large() -> ApiError {
    ApiError::new(Code::PayloadTooLarge, Code::PayloadTooLarge.detail())
}

/// What a client may send.
const SUPPORTED: HeaderValue = HeaderValue::from_static("gzip, deflate, br");

/// The body as it was before it was compressed: 415 for a coding that isn't known, 400 for one that is broken, 413 as soon as the
/// limit is passed, so that a small body can't unfold into a large one.
pub fn decode(headers: &HeaderMap, sent: Vec<u8>) -> Result<Vec<u8>, ApiError> {
    let mut codings = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let value = value.to_str().map_err(|_| unsupported("it"))?;
        let named = value.split(',').map(|coding| coding.trim().to_ascii_lowercase());
        codings.extend(named.filter(|coding| !coding.is_empty() && coding != "identity"));
    }
    match codings.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(sent),
        // Nothing was sent, so nothing was compressed.
        _ if sent.is_empty() => Ok(sent),
        ["gzip" | "x-gzip"] => unfold(MultiGzDecoder::new(&*sent)),
        ["deflate"] if is_zlib(&sent) => unfold(ZlibDecoder::new(&*sent)),
        // RFC 9110 §8.4.1.2: some clients send it without the zlib wrapper.
        ["deflate"] => unfold(DeflateDecoder::new(&*sent)),
        ["br"] => unfold(brotli::Decompressor::new(&*sent, 4096)),
        [other] => Err(unsupported(other)),
        _ => Err(unsupported("more than one")),
    }
}

/// RFC 1950 §2.2: the method, and a check over it.
fn is_zlib(sent: &[u8]) -> bool {
    matches!(sent, [method, flags, ..] if method & 15 == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0)
}

fn unfold(decoder: impl Read) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    decoder.take(BODY_LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(|error| {
        let detail = format!("the body can't be decoded as its Content-Encoding says: {error}");
        ApiError::new(Code::MalformedEncoding, detail)
    })?;
    if bytes.len() > BODY_LIMIT { Err(too_large()) } else { Ok(bytes) }
}

fn unsupported(coding: &str) -> ApiError {
    let detail = format!("a body may be sent plainly or as gzip, deflate or br, not as {coding}");
    ApiError::new(Code::UnsupportedContentEncoding, detail).header(header::ACCEPT_ENCODING, SUPPORTED)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    fn folded(coding: &str, bytes: &[u8]) -> Vec<u8> {
        let level = Compression::best();
        match coding {
            "gzip" => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            "zlib" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            "raw" => {
                let mut encoder = DeflateEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            _ => {
                let mut out = Vec::new();
                brotli::CompressorWriter::new(&mut out, 4096, 5, 20).write_all(bytes).unwrap();
                out
            }
        }
    }

    fn decoded(coding: &'static str, sent: Vec<u8>) -> Result<Vec<u8>, (u16, &'static str)> {
        let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static(coding))]);
        decode(&headers, sent).map_err(|error| (error.code.number(), error.code.word()))
    }

    #[test]
    fn what_was_compressed_is_read() {
        let text = b"{\"everywhere\": true}".repeat(500);
        for (coding, kind) in [
            ("gzip", "gzip"),
            ("X-GZIP", "gzip"),
            ("identity, gzip", "gzip"),
            ("deflate", "zlib"),
            ("deflate", "raw"),
            ("br", "br"),
        ] {
            assert_eq!(decoded(coding, folded(kind, &text)).as_deref(), Ok(&*text), "{coding} {kind}");
            assert_eq!(decoded(coding, Vec::new()), Ok(Vec::new()), "nothing was sent");
        }
        assert_eq!(decoded("identity", text.clone()), Ok(text.clone()));
        assert_eq!(decode(&HeaderMap::new(), text.clone()).unwrap(), text);
    }

    #[test]
    fn what_unfolds_beyond_the_limit_is_refused() {
        let (fits, large) = (vec![b' '; BODY_LIMIT], vec![b' '; 64 * BODY_LIMIT]);
        for (coding, kind) in [("gzip", "gzip"), ("deflate", "zlib"), ("deflate", "raw"), ("br", "br")] {
            assert_eq!(decoded(coding, folded(kind, &fits)).map(|bytes| bytes.len()), Ok(BODY_LIMIT), "{kind}");
            let bomb = folded(kind, &large);
            assert!(bomb.len() < BODY_LIMIT / 10);
            assert_eq!(decoded(coding, bomb), Err((413, "payload_too_large")), "{kind}");
        }
    }

    #[test]
    fn other_codings_and_broken_ones_are_told_apart() {
        for coding in ["zstd", "compress", "gzip, br", "gzip, gzip", "\"gzip\""] {
            assert_eq!(decoded(coding, b"{}".to_vec()), Err((415, "unsupported_content_encoding")), "{coding}");
        }
        for coding in ["gzip", "deflate", "br"] {
            assert_eq!(decoded(coding, b"{\"a\": 1}".to_vec()), Err((400, "malformed_encoding")), "{coding}");
        }
        let mut cut = folded("gzip", &[b'x'; 5000]);
        cut.truncate(cut.len() - 9);
        assert_eq!(decoded("gzip", cut), Err((400, "malformed_encoding")));
    }
}
