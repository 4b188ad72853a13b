//! The commands' side: one request, one whole answer.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::ControlError;

/// Time for an answer: a large import is checked and written before it comes.
const ANSWER_LIMIT: Duration = Duration::from_secs(300);

/// Sends one request to the first of `sockets` on which somebody listens, and gives the whole answer.
///
/// `target` is path and query, such as `/page/nodes?state=Ready`; `body` is JSON, or empty.
pub async fn request(
    sockets: &[PathBuf],
    method: Method,
    target: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes), ControlError> {
    let (stream, path) = connect(sockets).await?;
    let no_answer = |cause: String| ControlError::NoAnswer { path: path.to_owned(), cause };
    let exchange = async {
        let request = Request::builder()
            .method(method)
            .uri(target)
            // Without meaning on this socket, but HTTP/1.1 wants one (RFC 9112, 3.2).
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::<Bytes>::from(body))
            .map_err(|problem| problem.to_string())?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|problem| problem.to_string())?;
        let asking = async move {
            let response = sender.send_request(request).await.map_err(|problem| problem.to_string())?;
            let status = response.status();
            let body = response.into_body().collect().await.map_err(|problem| problem.to_string())?;
            Ok((status, body.to_bytes()))
        };
        // The connection is driven beside the question and ends with its answer.
        tokio::pin!(asking);
        tokio::select! {
            answer = &mut asking => answer,
            ended = connection => match asking.await {
                Err(_) if ended.is_ok() => Err("it closed the connection without an answer".to_owned()),
                answer => answer,
            },
        }
    };
    match tokio::time::timeout(ANSWER_LIMIT, exchange).await {
        Ok(answer) => answer.map_err(no_answer),
        Err(_) => Err(no_answer(format!("nothing came within {} s", ANSWER_LIMIT.as_secs()))),
    }
}

async fn connect(sockets: &[PathBuf]) -> Result<(UnixStream, &Path), ControlError> {
    for path in sockets {
        match UnixStream::connect(path).await {
            Ok(stream) => return Ok((stream, path)),
            // Nothing there, or left by a process that is dead: somebody may listen on the next.
            Err(cause)
                if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
                return Err(ControlError::NotAllowed { path: path.clone() });
            }
            Err(cause) => {
                return Err(ControlError::NoAnswer { path: path.clone(), cause: cause.to_string() });
            }
        }
    }
    Err(ControlError::NotRunning { looked: sockets.to_vec() })
}
