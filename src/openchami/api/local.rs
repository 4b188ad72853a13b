//! The control socket's way into the services: whoever may open it is the administrator of this machine.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderValue};
use hyper::{Request as HttpRequest, Response, StatusCode};
use percent_encoding::percent_decode_str;

use crate::control::server::Handler;
use crate::http::query;

use super::Api;
use super::message::{Asker, Reply, Request};
use super::route::{self, Routed};

/// Answers the requests of the control socket.
#[allow(clippy::disallowed_methods, reason = "the edge: here a request gets its time")]
pub fn handler(api: Api) -> Handler {
    Arc::new(move |request| {
        let api = api.clone();
        Box::pin(async move { response(answer(&api, request, jiff::Timestamp::now()).await) })
    })
}

async fn answer(api: &Api, request: HttpRequest<Bytes>, now: jiff::Timestamp) -> Reply {
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
    let Ok(query) = query::pairs(request.uri().query().unwrap_or("")) else {
        return Reply::problem(StatusCode::BAD_REQUEST, &query::ControlCharacter.to_string());
    };
    let path = route::normalise(&path);
    let found = match route::route(request.method(), &path) {
        Routed::Found(found) => found,
        Routed::NotFound => return route::not_found(),
        Routed::WrongMethod { allow, service } => return route::wrong_method(service, &allow),
    };
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|kind| kind.to_str().ok()).map(str::to_owned);
    let method = request.method().clone();
    let asked = Request {
        method,
        path,
        query,
        content_type,
        body: request.into_body(),
        asker: Asker::unknown(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        base: "http://localhost".to_owned(),
        now,
    };
    api.answer(found, asked).await
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(reply.kind)
        && !reply.kind.is_empty()
    {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}
