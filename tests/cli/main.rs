//! The `throng` program from outside: what it serves, what it says, how it ends.

mod ends;
mod program;
mod served;
mod tls;
mod told;
