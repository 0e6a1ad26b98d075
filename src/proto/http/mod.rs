//! HTTP/1.1: heads, bodies, responses.
