//! Clients: one connection each, kept alive, one request after the other.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use commerce_core::id::VariantId;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{BoxError, CONNECTIONS};

/// What clients do, again and again.
#[derive(Clone)]
pub enum Load {
    Get(&'static str),
    Add(Arc<Vec<VariantId>>),
    Checkout(Arc<Vec<VariantId>>),
}

impl Load {
    /// How many requests one turn is.
    pub fn requests(&self) -> f64 {
        if matches!(self, Self::Checkout(_)) { 3.0 } else { 1.0 }
    }

    /// The bytes that a turn's last request answers.
    pub async fn sample(&self, client: &mut Client) -> Result<Bytes, BoxError> {
        let mut token = None;
        Ok(self.turn(client, &mut token, 0).await?.into())
    }

    async fn turn(&self, client: &mut Client, token: &mut Option<String>, n: usize) -> Result<Vec<u8>, BoxError> {
        match self {
            Self::Get(path) => client.send("GET", path, None, None).await,
            Self::Add(variants) => {
                // Eight lines a cart, so that carts don't grow during the run.
                let item = item(variants, n / 10_000 * 10_000 + n % 8);
                let answer = client.send("POST", "/v1/cart/items", token.as_deref(), Some(&item)).await?;
                if token.is_none() {
                    *token = Some(cart_token(&answer)?);
                }
                Ok(answer)
            }
            Self::Checkout(variants) => {
                let first = client.send("POST", "/v1/cart/items", None, Some(&item(variants, 2 * n))).await?;
                let token = cart_token(&first)?;
                client.send("POST", "/v1/cart/items", Some(&token), Some(&item(variants, 2 * n + 1))).await?;
                client.send("POST", "/v1/checkout", Some(&token), Some(&checkout())).await
            }
        }
    }
}

fn item(variants: &[VariantId], n: usize) -> Value {
    json!({ "variant_id": variants[n % variants.len()], "quantity": 1 })
}

fn cart_token(answer: &[u8]) -> Result<String, BoxError> {
    let cart: Value = serde_json::from_slice(answer)?;
    Ok(cart["cart_token"].as_str().ok_or_else(|| format!("no cart: {cart}"))?.to_owned())
}

fn checkout() -> Value {
    let address = json!({
        "name": "Mia Berger", "line1": "Lindenstraße 7", "city": "Berlin", "postal_code": "10969", "country": "DE",
    });
    json!({ "shipping_address": address, "email": "mia@example.com", "payment": { "method": "manual" } })
}

/// Turns a second, of all connections together.
pub async fn rate(server: SocketAddr, load: &Load, span: Duration) -> Result<f64, BoxError> {
    let begun = Instant::now();
    let clients = (0..CONNECTIONS).map(|connection| {
        let load = load.clone();
        tokio::spawn(async move {
            let (mut client, mut token, mut turns) = (Client::connect(server).await?, None, 0);
            while begun.elapsed() < span {
                load.turn(&mut client, &mut token, connection * 10_000 + turns).await?;
                turns += 1;
            }
            Ok::<usize, BoxError>(turns)
        })
    });
    let mut turns = 0;
    for client in clients.collect::<Vec<_>>() {
        turns += client.await??;
    }
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    Ok(turns as f64 / begun.elapsed().as_secs_f64())
}

/// A connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub async fn connect(server: SocketAddr) -> Result<Self, BoxError> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends a request and answers the body; a status that isn't 2xx is an error.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        cart_token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Vec<u8>, BoxError> {
        let token = cart_token.map(|token| format!("X-Cart-Token: {token}\r\n")).unwrap_or_default();
        let body = body.map(ToString::to_string).unwrap_or_default();
        let content = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
        };
        let request = format!("{method} {path} HTTP/1.1\r\nHost: shop\r\n{token}{content}\r\n{body}");
        self.stream.write_all(request.as_bytes()).await?;
        self.receive().await
    }

    async fn receive(&mut self) -> Result<Vec<u8>, BoxError> {
        self.buffer.clear();
        let head = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server hung up".into());
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head])?;
        let is_good = text.starts_with("HTTP/1.1 2");
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or("no length")?.parse()?;
        let mut body = self.buffer.split_off(head);
        while body.len() < length {
            if self.stream.read_buf(&mut body).await? == 0 {
                return Err("the server hung up".into());
            }
        }
        if is_good { Ok(body) } else { Err(String::from_utf8_lossy(&body).into_owned().into()) }
    }
}
