//! Two questions about the server itself: does it live, and is it to be sent clients. Called by the handler's service, which knows
//! whether it drains.

use crate::base::cause::Cause;
use crate::proto::http::{Request, Response};

/// The answer to a request for `/healthz` or `/readyz`; `None` for any other.
pub(crate) fn answer(request: &Request<'_>, is_ready: bool) -> Option<Response> {
    let response = match request.path() {
        "/healthz" => Response::text("ok"),
        "/readyz" if is_ready => Response::text("ready"),
        "/readyz" => Response::refusal(Cause::ServerStops),
        _ => return None,
    };
    let response = match request.method() {
        "GET" | "HEAD" => response,
        _ => Response::refusal(Cause::MethodNotAllowed).header("Allow", "GET, HEAD"),
    };
    Some(response.header("Cache-Control", "no-store"))
}
