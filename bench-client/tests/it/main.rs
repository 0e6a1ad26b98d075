//! The client as a user runs it, against servers that the tests bring along.

mod deflate;
mod documented;
mod honest;
mod house;
mod messages;
mod openings;
mod polling;
mod refusals;
mod remote;
mod results;
mod runs;
mod scenarios;
mod several;
mod socketio;
mod support;
mod tls;
mod tls_front;
mod told;
