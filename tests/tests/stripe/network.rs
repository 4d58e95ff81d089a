use std::{future::Future, time::Duration};

use commerce_core::payment::{
    PaymentGateway,
    gateway::{GatewayError, GatewayState},
    stripe::{RetryPolicy, StripeConfig, StripeGateway},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

use crate::request;

fn gateway(port: u16) -> StripeGateway {
    let config = StripeConfig::new("sk_test_secret").unwrap().api_base(&format!("http://127.0.0.1:{port}")).unwrap();
    let retry = RetryPolicy { attempts: 2, first_delay: Duration::from_millis(1) };
    StripeGateway::new(config.retry(retry).timeout(Duration::from_millis(300))).unwrap()
}

/// A server that treats each connection so, and its port.
async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> (u16, AbortHandle)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket));
        }
    });
    (port, task.abort_handle())
}

async fn read(socket: &mut TcpStream) -> String {
    let mut bytes = vec![0; 8192];
    let read = socket.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

#[tokio::test]
async fn a_refused_connection_is_without_effect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = gateway(port).authorize(&request("pm_card_visa")).await;
    assert!(matches!(refused, Err(GatewayError::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn silence_and_broken_connections_leave_doubt() {
    let (silent, _guard) = server(|mut socket| async move {
        read(&mut socket).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    })
    .await;
    let (broken, _guard) = server(|mut socket| async move {
        read(&mut socket).await;
    })
    .await;
    let (halting, _guard) = server(|mut socket| async move {
        read(&mut socket).await;
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"id\":").await.unwrap();
    })
    .await;
    for port in [silent, broken, halting] {
        let unknown = gateway(port).authorize(&request("pm_card_visa")).await;
        assert!(matches!(unknown, Err(GatewayError::Unknown(_))), "{unknown:?}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed_and_the_key_is_sent() {
    let (port, _guard) = server(|mut socket| async move {
        let head = read(&mut socket).await.to_ascii_lowercase();
        let known = head.contains("authorization: bearer sk_test_secret\r\n")
            && head.contains("content-type: application/x-www-form-urlencoded\r\n")
            && head.contains("idempotency-key: ");
        let answer = if known {
            r#"{"id":"pi_1","status":"succeeded","amount":1000,"amount_received":1000,"currency":"eur"}"#
        } else {
            "{}"
        };
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
        socket.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    assert_eq!(gateway(port).authorize(&request("pm_card_visa")).await.unwrap().state, GatewayState::Captured);
    let (elsewhere, _guard) = server(move |mut socket| async move {
        read(&mut socket).await;
        let answer = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:{port}/\r\ncontent-length: 0\r\n\r\n"
        );
        socket.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let redirected = gateway(elsewhere).authorize(&request("pm_card_visa")).await;
    assert!(matches!(redirected, Err(GatewayError::Unknown(_))), "{redirected:?}");
}
