//! Long bodies are handed to a connection piece by piece.
//!
//! A connection buffers what it is handed until the client reads. Handed a long body at once, it would hold all of it for
//! each client that does not read.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, EitherBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::web::Bytes;

/// Bytes of a piece.
const PIECE: usize = 16 * 1024;

/// The rest of a body.
pub struct BodyChunks(Bytes);

impl MessageBody for BodyChunks {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let length = self.0.len().min(PIECE);
        Poll::Ready((length > 0).then(|| Ok(self.0.split_to(length))))
    }
}

/// Cuts the body of a response into pieces if it is longer than one and in memory.
pub fn in_chunks<B: MessageBody>(response: ServiceResponse<B>) -> ServiceResponse<EitherBody<B, BodyChunks>> {
    response.map_body(|_, body| match body.size() {
        BodySize::Sized(length) if length > PIECE as u64 => match body.try_into_bytes() {
            Ok(bytes) => EitherBody::right(BodyChunks(bytes)),
            Err(body) => EitherBody::left(body),
        },
        BodySize::Sized(_) | BodySize::None | BodySize::Stream => EitherBody::left(body),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::poll_fn;

    #[tokio::test]
    async fn the_pieces_are_the_body() {
        for length in [PIECE + 1, 5 * PIECE, 100_000] {
            let body: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let mut pieces = BodyChunks(Bytes::from(body.clone()));
            assert_eq!(pieces.size(), BodySize::Sized(length as u64));
            let mut sent = Vec::new();
            while let Some(Ok(piece)) = poll_fn(|context| Pin::new(&mut pieces).poll_next(context)).await {
                assert!((1..=PIECE).contains(&piece.len()));
                sent.extend_from_slice(&piece);
            }
            assert_eq!(sent, body);
        }
    }
}
