//! Serving on connections until it is time to stop, and then the requests that are under way.

use std::{convert::Infallible, sync::Arc};

use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use poem::{
    Endpoint, Request, Response,
    http::{header, uri::Scheme},
    listener::Acceptor,
    web::{LocalAddr, RemoteAddr},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::listener::{Connection, Listener};

/// How many requests may be under way on one HTTP/2 connection.
const STREAMS: u32 = 100;
/// How large the head of an HTTP/2 request may be, in bytes.
const HEAD: u32 = 16 * 1024;

/// Serves until `stop` is cancelled, then accepts no more and waits for the requests that are under way.
pub async fn serve(mut listener: Listener, api: impl Endpoint<Output = Response> + 'static, stop: CancellationToken) {
    let (api, connections) = (Arc::new(api), TaskTracker::new());
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        // A connection that can't be accepted is logged where that happens.
        if let Ok((connection, local, remote, scheme)) = accepted {
            connections.spawn(serve_connection(connection, (local, remote, scheme), api.clone(), stop.clone()));
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn serve_connection(
    connection: Connection,
    (local, remote, scheme): (LocalAddr, RemoteAddr, Scheme),
    api: Arc<impl Endpoint<Output = Response> + 'static>,
    stop: CancellationToken,
) {
    let traffic = connection.traffic();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (api, traffic, in_flight) = (api.clone(), traffic.clone(), traffic.begin());
        let request = Request::from((request, local.clone(), remote.clone(), scheme.clone()));
        async move {
            let response = api.get_response(request).await;
            if response.header(header::CONNECTION) == Some("close") {
                traffic.linger();
            }
            drop(in_flight);
            Ok::<_, Infallible>(hyper::Response::from(response))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(STREAMS).max_header_list_size(HEAD);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(connection), service);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        // How a connection ended is the client's business.
        _ = serving.as_mut() => return,
        () = stop.cancelled() => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = serving.await;
}
