//! The cookie that tells a client its session's id, as the official server sets it: with the answer to the first request of a
//! client that polls, and with no other.

use std::fmt::Write;
use std::time::Duration;

use crate::base::error::SetupError;
use crate::proto::engineio::SessionId;

/// The cookie's attributes (RFC 6265 §4.1). By default it is called `io`, for every path, kept from scripts, `SameSite=Lax`, and
/// ends with the browser.
///
/// ```
/// let mut cookie = throng::io::Cookie::default();
/// cookie.max_age = Some(std::time::Duration::from_secs(86_400));
/// let mut config = throng::io::IoConfig::default();
/// config.cookie = Some(cookie);
/// config.check().unwrap();
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Cookie {
    /// Its name. `io`.
    pub name: String,
    /// For requests of which paths (`Path`). `/`.
    pub path: Option<String>,
    /// For which hosts (`Domain`). None: the one it came from alone.
    pub domain: Option<String>,
    /// How long it is kept (`Max-Age`), in whole seconds. None: until the browser ends.
    pub max_age: Option<Duration>,
    /// Whether scripts may not see it (`HttpOnly`). Yes.
    pub http_only: bool,
    /// Whether it is sent over TLS alone (`Secure`). No.
    pub secure: bool,
    /// Whether other sites' requests carry it (`SameSite`). `Lax`; `None` says nothing, which browsers take for that.
    pub same_site: Option<SameSite>,
}

/// Which requests of other sites' pages carry a cookie.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SameSite {
    /// None.
    Strict,
    /// A visit: not what a page asks for in the background.
    Lax,
    /// All. Browsers want [`Cookie::secure`] with it.
    None,
}

impl Default for Cookie {
    fn default() -> Self {
        Self {
            name: "io".to_owned(),
            path: Some("/".to_owned()),
            domain: None,
            max_age: None,
            http_only: true,
            secure: false,
            same_site: Some(SameSite::Lax),
        }
    }
}

impl Cookie {
    pub(super) fn check(&self) -> Result<(), SetupError> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if self.name.is_empty() || !self.name.bytes().all(is_token) {
            let right = "letters, digits and the other characters of a token (RFC 9110 §5.6.2)".to_owned();
            return Err(SetupError::setting("io.cookie.name", &self.name, right));
        }
        for (setting, value) in [("io.cookie.path", &self.path), ("io.cookie.domain", &self.domain)] {
            let is_value = |byte: u8| matches!(byte, b' '..=b'~') && byte != b';';
            if let Some(wrong) = value.as_ref().filter(|value| !value.bytes().all(is_value)) {
                return Err(SetupError::setting(setting, wrong, "ASCII without a semicolon".to_owned()));
            }
        }
        if self.same_site == Some(SameSite::None) && !self.secure {
            let right = "Lax or Strict, or with `secure`: browsers drop it otherwise".to_owned();
            return Err(SetupError::setting("io.cookie.same_site", "None", right));
        }
        Ok(())
    }

    /// The field's value.
    pub(super) fn value(&self, sid: &SessionId) -> String {
        let mut value = format!("{}={sid}", self.name);
        let mut attribute = |name: &str, text: &str| {
            write!(value, "; {name}").expect("a String takes what is written");
            if !text.is_empty() {
                write!(value, "={text}").expect("a String takes what is written");
            }
        };
        self.max_age.iter().for_each(|age| attribute("Max-Age", &age.as_secs().to_string()));
        self.domain.iter().for_each(|domain| attribute("Domain", domain));
        self.path.iter().for_each(|path| attribute("Path", path));
        if self.http_only {
            attribute("HttpOnly", "");
        }
        if self.secure {
            attribute("Secure", "");
        }
        self.same_site.iter().for_each(|site| attribute("SameSite", &format!("{site:?}")));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_attributes_stand_in_the_official_order() {
        let sid = SessionId { random: [0; 15], shard: 0, slot: 0 };
        let zeros = "A".repeat(28);
        assert_eq!(Cookie::default().value(&sid), format!("io={zeros}; Path=/; HttpOnly; SameSite=Lax"));
        let all = Cookie {
            name: "sticky".to_owned(),
            path: Some("/chat".to_owned()),
            domain: Some("example.org".to_owned()),
            max_age: Some(Duration::from_millis(86_400_999)),
            http_only: true,
            secure: true,
            same_site: Some(SameSite::None),
        };
        assert_eq!(
            all.value(&sid),
            format!(
                "sticky={zeros}; Max-Age=86400; Domain=example.org; Path=/chat; HttpOnly; Secure; SameSite=None"
            )
        );
        let none = Cookie { path: None, http_only: false, same_site: None, ..Cookie::default() };
        assert_eq!(none.value(&sid), format!("io={zeros}"));
    }

    #[test]
    fn what_would_be_another_field_or_no_cookie_is_refused() {
        let default = Cookie::default;
        for (cookie, named) in [
            (Cookie { name: String::new(), ..default() }, "io.cookie.name"),
            (Cookie { name: "a=b".to_owned(), ..default() }, "io.cookie.name"),
            (Cookie { path: Some("/; Secure".to_owned()), ..default() }, "io.cookie.path"),
            (Cookie { domain: Some("a\r\nb".to_owned()), ..default() }, "io.cookie.domain"),
            (Cookie { same_site: Some(SameSite::None), ..default() }, "io.cookie.same_site"),
        ] {
            let refused = cookie.check().unwrap_err().to_string();
            assert!(refused.starts_with(named), "{refused}");
        }
        Cookie { same_site: Some(SameSite::None), secure: true, ..default() }.check().unwrap();
    }
}
