//! A server with a protocol of its own to measure: JSON-RPC 2.0 over WebSocket. It knows `sum`, answers under the id of the
//! request, greets whoever comes, and before every third answer it notifies, with an id among its parameters.
//!
//! ```text
//! cargo run --release -p bench-client --example json_rpc -- 127.0.0.1:9000
//! bench-client echo ws://127.0.0.1:9000/ --match json:/id \
//!     --send '{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":${seq}}'
//! ```

use serde_json::{Value, json};
use throng::{Admission, Conn, Handler, Message, Opening, Server, SetupError};

struct JsonRpc;

impl Handler for JsonRpc {
    /// Requests so far.
    type Data = u64;

    fn admit(&mut self, _opening: &Opening<'_, Self>) -> Admission<u64> {
        Admission::accept(0)
    }

    fn on_open(&mut self, conn: &mut Conn<'_, Self>) {
        conn.send(r#"{"jsonrpc":"2.0","method":"welcome","params":{"version":"2.0"}}"#);
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        let request: Value = serde_json::from_slice(message.as_bytes()).unwrap_or_default();
        let id = request.get("id").cloned().unwrap_or_default();
        let answer = match (request["method"].as_str(), request["params"].as_array()) {
            (Some("sum"), Some(numbers)) => {
                let sum: f64 = numbers.iter().filter_map(Value::as_f64).sum();
                json!({"jsonrpc": "2.0", "result": sum, "id": id})
            }
            _ => json!({"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": id}),
        };
        *conn.data() += 1;
        let number = *conn.data();
        if number.is_multiple_of(3) {
            conn.send(&format!(r#"{{"jsonrpc":"2.0","method":"tick","params":{{"id":{number}}}}}"#));
        }
        conn.send(&answer.to_string());
    }
}

fn main() -> Result<(), SetupError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9000".to_owned());
    let server = Server::builder().bind(address)?.serve(|_shard| JsonRpc)?;
    println!("listening on ws://{}", server.local_addrs()[0]);
    server.join()
}
