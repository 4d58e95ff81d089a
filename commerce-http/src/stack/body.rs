//! Bodies on their way in: how long they may take, and whether an answer came before their end.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use poem::{
    Body, Request, Response,
    http::{HeaderValue, Version, header},
};
use tokio::time::Sleep;

/// So much that a handler didn't ask for is read after it has answered, to keep the connection.
const LEFT_OVER: usize = 64 * 1024;
/// And for so long.
const LEFT_OVER_WAIT: Duration = Duration::from_millis(50);

/// A body as it arrives. The handler reads it; the front keeps it, too, to know afterwards whether all of it has come.
struct Incoming {
    stream: BoxStream<'static, io::Result<Bytes>>,
    has_ended: bool,
    time_is_up: Pin<Box<Sleep>>,
}

impl Incoming {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let next = self.stream.poll_next_unpin(cx);
        match &next {
            Poll::Ready(None) => self.has_ended = true,
            Poll::Pending if self.time_is_up.as_mut().poll(cx).is_ready() => {
                return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
            }
            Poll::Ready(Some(_)) | Poll::Pending => {}
        }
        next
    }
}

/// What is read of it, by one at a time.
#[derive(Clone)]
struct AppState(Arc<Mutex<Incoming>>);

impl Stream for AppState {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).poll_next(cx)
    }
}

/// A body that is being received.
pub struct Upload(Option<AppState>);

impl Upload {
    /// Puts a watched body in the place of the request's own, if it has one.
    pub fn watch(request: &mut Request, limit: Duration) -> Self {
        let body = request.take_body();
        if body.is_empty() {
            return Self(None);
        }
        let incoming = Incoming {
            stream: body.into_bytes_stream().boxed(),
            has_ended: false,
            time_is_up: Box::pin(tokio::time::sleep(limit)),
        };
        let shared = AppState(Arc::new(Mutex::new(incoming)));
        request.set_body(Body::from_bytes_stream(shared.clone()));
        // Streams like this one can't be told from those of HTTP/2, which end without the connection.
        Self((request.version() <= Version::HTTP_11).then_some(shared))
    }

    /// Has an answer that was given before the whole body had come say that the connection ends with it: what is still to come
    /// would be taken for the next request. A small rest that is there already is read, so that most connections stay.
    pub async fn finish(self, response: &mut Response) {
        let Some(body) = self.0 else { return };
        if !matches!(tokio::time::timeout(LEFT_OVER_WAIT, read_rest(body)).await, Ok(true)) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Whether it ended soon.
async fn read_rest(mut body: AppState) -> bool {
    let mut read = 0;
    while read <= LEFT_OVER {
        match body.next().await {
            None => return true,
            Some(Ok(bytes)) => read += bytes.len(),
            Some(Err(_)) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    async fn answer_to(body: Body, version: Version) -> Option<String> {
        let mut request = Request::builder().version(version).body(body);
        let upload = Upload::watch(&mut request, Duration::from_secs(20));
        drop(request);
        let mut response = Response::default();
        upload.finish(&mut response).await;
        response.header("connection").map(ToOwned::to_owned)
    }

    fn unfinished() -> Body {
        let first = stream::iter([io::Result::Ok(Bytes::from_static(b"{"))]);
        Body::from_bytes_stream(first.chain(stream::pending()))
    }

    #[tokio::test]
    async fn the_connection_ends_with_an_answer_that_did_not_wait() {
        assert_eq!(answer_to(unfinished(), Version::HTTP_11).await.as_deref(), Some("close"));
        assert_eq!(answer_to(vec![0; 1 << 20].into(), Version::HTTP_11).await.as_deref(), Some("close"));
        assert_eq!(answer_to(unfinished(), Version::HTTP_2).await, None);
        assert_eq!(answer_to("{}".into(), Version::HTTP_11).await, None);
        assert_eq!(answer_to(Body::empty(), Version::HTTP_11).await, None);
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let mut request = Request::builder().body(unfinished());
        let _upload = Upload::watch(&mut request, Duration::from_millis(10));
        let mut bytes = Vec::new();
        let error = request.take_body().into_async_read().read_to_end(&mut bytes).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
