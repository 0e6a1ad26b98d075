//! How connections are opened where one is not opened as the next: URL, header fields and subprotocol from templates, and the
//! same for what Socket.IO says when it joins. The flags about it are here too.
//!
//! Where nothing differs, everything is made once, as it always was. Where something does, it is made anew for each connection
//! when that is opened, from the connection's number and its row of `--csv`. All rows that will be used are tried before the
//! first connection is.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::handshake::Handshake;
use crate::script::Script;
use crate::socketio::SocketIo;
use crate::spoken::{Said, Transport, socket_io};
use crate::table::Table;
use crate::target::Target;
use crate::template::{Scope, Template};

/// Flags about what differs from connection to connection.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct OpeningFlags {
    /// A file of values for ${csv.COLUMN}: commas between them, quotes where one needs them, the names of the columns in the
    /// first line. Connections take its rows in order, and from the beginning again. ${csv.COLUMN} and ${conn} may stand in
    /// the URL's path and query, --header, --cookie, --subprotocol, --auth, --namespace and events
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// A cookie for the handshake; may be given again
    #[arg(long = "cookie", value_name = "NAME=VALUE", value_parser = cookie)]
    cookies: Vec<String>,
    /// What each connection says and hears before it counts as open, in a file or as it stands, a line each: send TEMPLATE,
    /// emit EVENT JSON (Socket.IO), expect PATTERN [within TIME] (10s), wait TIME. PATTERN is a text that comes in a message,
    /// prefix:TEXT, regex:PATTERN or json:/pointer[=VALUE]. A connection that does not hear what it expects is not opened
    #[arg(long, value_name = "FILE|LINES")]
    pub(crate) on_open: Option<String>,
}

fn cookie(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.trim().is_empty() && !text.contains(['\r', '\n', ';']) => {
            Ok(text.to_owned())
        }
        _ => Err("a cookie is NAME=VALUE, without a semicolon".into()),
    }
}

impl OpeningFlags {
    /// The file of values.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn table(&self) -> Result<Option<Arc<Table>>, String> {
        Ok(self.csv.as_deref().map(Table::read).transpose()?.map(Arc::new))
    }

    /// What each connection says and hears first.
    ///
    /// # Errors
    /// What is wrong with it, and in which line.
    pub(crate) fn script(
        &self,
        table: Option<&Arc<Table>>,
        is_socket_io: bool,
    ) -> Result<Option<Arc<Script>>, String> {
        let script = self.on_open.as_deref().map(|flag| Script::read(flag, table, is_socket_io));
        Ok(script.transpose()?.map(Arc::new))
    }

    /// The header fields that are asked for, the cookies as the one field that they are.
    pub(crate) fn fields(&self, headers: &[(String, String)]) -> Vec<(String, String)> {
        let mut fields = headers.to_vec();
        if !self.cookies.is_empty() {
            fields.push(("Cookie".into(), self.cookies.join("; ")));
        }
        fields
    }
}

/// The opening handshakes of a run.
#[derive(Debug)]
pub(crate) struct Openings {
    /// The first connection's, which is everybody's where nothing differs.
    first: Handshake,
    differing: Option<Parts>,
    /// Whether sessions begin with polling and stay with it.
    pub(crate) is_polling: bool,
}

/// What handshakes are made of.
#[derive(Debug)]
struct Parts {
    target: Target,
    path: Template,
    subprotocol: Option<Template>,
    origin: Option<String>,
    fields: Vec<(String, Template)>,
    transport: Option<Transport>,
    deflates: bool,
}

impl Openings {
    /// The handshakes with `target` of so many connections, with these header fields.
    ///
    /// # Errors
    /// Which flag, or which row of the table, is wrong.
    pub(crate) fn new(
        target: &Target,
        transport: Option<Transport>,
        subprotocol: Option<&str>,
        origin: Option<&str>,
        fields: &[(String, String)],
        table: Option<&Arc<Table>>,
        connections: usize,
    ) -> Result<Self, String> {
        let compile = |what: &str, text: &str| {
            Template::compile(text, table, Scope::Opening).map_err(|wrong| format!("{what}: {wrong}"))
        };
        let line = |what: &str, template: &Template| {
            template.check_each(connections, |text| {
                match text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
                    true => {
                        Err(format!("{what} comes to {text:?}, and a header field has no control characters"))
                    }
                    false => Ok(()),
                }
            })
        };
        let path = compile("the URL", &target.path)?;
        path.check_each(connections, |text| {
            match text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'#') {
                true => Err(format!(
                    "the URL comes to {text:?}: percent-encode what a URL cannot have (a space is %20)"
                )),
                false => Ok(()),
            }
        })?;
        let subprotocol = subprotocol.map(|text| compile("--subprotocol", text)).transpose()?;
        if let Some(subprotocol) = &subprotocol {
            line("--subprotocol", subprotocol)?;
        }
        let field = |(name, value): &(String, String)| {
            let value = compile(&format!("--header {name}"), value)?;
            line(name, &value)?;
            Ok((name.clone(), value))
        };
        let fields = fields.iter().map(field).collect::<Result<Vec<_>, String>>()?;
        let differs = !path.is_constant()
            || subprotocol.as_ref().is_some_and(|subprotocol| !subprotocol.is_constant())
            || fields.iter().any(|(_, value)| !value.is_constant());
        let origin = origin.map(str::to_owned);
        let parts =
            Parts { target: target.clone(), path, subprotocol, origin, fields, transport, deflates: false };
        let is_polling = transport == Some(Transport::Polling);
        Ok(Self { first: parts.of(0), differing: differs.then_some(parts), is_polling })
    }

    /// The same, with compression offered or not.
    pub(crate) fn deflating(mut self, deflates: bool) -> Self {
        self.first.deflates = deflates;
        if let Some(parts) = &mut self.differing {
            parts.deflates = deflates;
        }
        self
    }

    /// Whether every connection has the same.
    pub(crate) fn is_same(&self) -> bool {
        self.differing.is_none()
    }

    /// The handshake of a connection.
    pub(crate) fn of(&self, connection: u32) -> Cow<'_, Handshake> {
        match &self.differing {
            None => Cow::Borrowed(&self.first),
            Some(parts) => Cow::Owned(parts.of(connection)),
        }
    }
}

impl Parts {
    fn of(&self, connection: u32) -> Handshake {
        let target = Target { path: self.path.of(connection), ..self.target.clone() };
        let subprotocol = self.subprotocol.as_ref().map(|subprotocol| subprotocol.of(connection));
        let fields: Vec<_> =
            self.fields.iter().map(|(name, value)| (name.clone(), value.of(connection))).collect();
        let mut handshake = Handshake::new(&target, subprotocol.as_deref(), self.origin.as_deref(), &fields);
        handshake.deflates = self.deflates;
        match self.transport {
            None | Some(Transport::Websocket) => handshake,
            Some(transport) => handshake.by_polling(&target, transport == Transport::Polling),
        }
    }
}

/// What connections speak in Socket.IO where it differs.
#[derive(Debug)]
pub(crate) struct Dialects {
    said: Said,
    /// In the order of [`Said::texts`].
    texts: Vec<Option<Template>>,
    /// Whether more differs than what a connection joins with.
    pub(crate) is_lasting: bool,
}

/// What is spoken: by the first connection, or all, and where it differs by each.
pub(crate) type Speech = (Option<SocketIo>, Option<Arc<Dialects>>);

impl Dialects {
    /// What `said` comes to for so many connections.
    ///
    /// # Errors
    /// Which flag, or which row of the table, is wrong.
    pub(crate) fn new(
        mut said: Said,
        table: Option<&Arc<Table>>,
        connections: usize,
    ) -> Result<Speech, String> {
        let compile = |text: &mut Option<String>| {
            text.as_deref().map(|text| Template::compile(text, table, Scope::Opening)).transpose()
        };
        let texts: Vec<_> = said.texts().into_iter().map(compile).collect::<Result<_, String>>()?;
        let differs = |template: &Option<Template>| template.as_ref().is_some_and(|text| !text.is_constant());
        // The first is what a namespace is joined with, and is never needed again.
        let is_lasting = texts[1..].iter().any(differs);
        let is_any = texts.iter().any(differs);
        let dialects = Self { said, texts, is_lasting };
        let place = |connection, what| match table.filter(|_| is_any) {
            Some(table) => format!("{}: {what}", table.place(connection)),
            None => what,
        };
        let first = dialects.of(0).map_err(|what| place(0, what))?;
        if !is_any || first.is_none() {
            return Ok((first, None));
        }
        for connection in 1..table.map_or(1, |table| table.rows()).min(connections) as u32 {
            dialects.of(connection).map_err(|what| place(connection, what))?;
        }
        Ok((first, Some(Arc::new(dialects))))
    }

    /// What a connection speaks.
    ///
    /// # Errors
    /// What is wrong with it; never where the row was tried before.
    pub(crate) fn of(&self, connection: u32) -> Result<Option<SocketIo>, String> {
        let mut said = self.said.clone();
        for (text, template) in said.texts().into_iter().zip(&self.texts) {
            *text = template.as_ref().map(|template| template.of(connection));
        }
        socket_io(&said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn table(name: &str, csv: &str) -> Arc<Table> {
        let path = std::env::temp_dir().join(format!("bench-client-{name}-{}.csv", std::process::id()));
        std::fs::File::create(&path).unwrap().write_all(csv.as_bytes()).unwrap();
        let table = Table::read(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        Arc::new(table)
    }

    fn head(openings: &Openings, connection: u32) -> String {
        let mut request = Vec::new();
        openings.of(connection).append_request(&mut request, None);
        String::from_utf8(request).unwrap()
    }

    #[test]
    fn each_connection_is_opened_with_its_own_row() {
        let table = table("rows", "user,token\nann,t1\nbob,t2\n");
        let target = Target::resolve("ws://127.0.0.1:1/${csv.user}?c=${conn}").unwrap();
        let flags =
            OpeningFlags { cookies: vec!["a=1".into(), "t=${csv.token}".into()], csv: None, on_open: None };
        let fields = flags.fields(&[("X-User".into(), "${csv.user}".into())]);
        let openings =
            Openings::new(&target, None, Some("p.${csv.token}"), Some("http://o"), &fields, Some(&table), 9)
                .unwrap();
        for (connection, user, token) in [(0, "ann", "t1"), (1, "bob", "t2"), (2, "ann", "t1")] {
            let head = head(&openings, connection);
            assert!(head.starts_with(&format!("GET /{user}?c={connection} HTTP/1.1\r\n")), "{head}");
            assert!(head.contains(&format!("X-User: {user}\r\nCookie: a=1; t={token}\r\n")), "{head}");
            assert!(head.contains(&format!("Sec-WebSocket-Protocol: p.{token}\r\n")), "{head}");
        }
        let plain = Target::resolve("ws://127.0.0.1:1/").unwrap();
        let same = Openings::new(&plain, None, None, None, &[], Some(&table), 9).unwrap();
        assert!(matches!(same.of(7), Cow::Borrowed(_)), "nothing is made twice");
    }

    #[test]
    fn a_row_that_cannot_be_sent_is_refused_with_its_place() {
        let table = table("bad", "user\nann\n\"a b\"\n\"c\nd\"\n");
        let open = |url: &str, fields: &[(&str, &str)], connections| {
            let fields: Vec<_> = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            let target = Target::resolve(url).unwrap();
            Openings::new(&target, None, None, None, &fields, Some(&table), connections).map(drop)
        };
        let said = open("ws://127.0.0.1:1/?u=${csv.user}", &[], 9).unwrap_err();
        assert!(said.contains(".csv:3: ") && said.contains("%20"), "{said}");
        assert_eq!(open("ws://127.0.0.1:1/?u=${csv.user}", &[], 1), Ok(()), "the row is not used");
        let said = open("ws://127.0.0.1:1/", &[("X", "${csv.user}")], 9).unwrap_err();
        assert!(said.contains(".csv:4: ") && said.contains("control characters"), "{said}");
        let said = open("ws://127.0.0.1:1/", &[("X", "${seq}")], 9).unwrap_err();
        assert!(said.starts_with("--header X: ${seq} is not known here"), "{said}");
    }
}
