//! Which route is meant.

use super::super::{Found, Routes};

/// Patterns in an order that must not matter; the value of each is its own text.
const TABLE: &[(&str, &str)] = &[
    ("GET", "/*rest"),
    ("GET", "/:one"),
    ("POST", "/:one"),
    ("GET", "/"),
    ("GET", "/about"),
    ("GET", "/about/"),
    ("GET", "/api/:id"),
    ("PUT", "/api/:id"),
    ("DELETE", "/api/:number"),
    ("GET", "/api/:id/edit"),
    ("GET", "/api/new/:field"),
    ("GET", "/api/:id/*rest"),
    ("HEAD", "/api/head"),
    ("GET", "/api/head"),
    ("OPTIONS", "/own"),
    ("GET", "/a b/é"),
    ("PATCH", "/deep/:a/:b/:c"),
];

fn table() -> Routes<String> {
    let mut routes = Routes::new();
    for (method, pattern) in TABLE {
        routes.insert(method, pattern, format!("{method} {pattern}")).unwrap();
    }
    routes
}

/// The route's own text and its params; the methods where there is none for this one.
fn find(routes: &mut Routes<String>, method: &str, path: &str) -> String {
    let found = match routes.find(method, path) {
        Found::Route { value, params } => params.iter().fold(value.clone(), |text, (name, value)| {
            assert_eq!(params.get(name), Some(value));
            format!("{text} {name}={value}")
        }),
        Found::WrongMethod(allow) => allow.to_string(),
        Found::Nothing => String::new(),
    };
    let is_route = matches!(routes.find_mut(method, path), Found::Route { .. });
    assert_eq!(is_route, found.contains('/'), "find and find_mut agree");
    found
}

#[test]
fn the_route_that_says_more_is_meant() {
    let mut routes = table();
    for (method, path, expected) in [
        ("GET", "/", "GET /"),
        ("GET", "/about", "GET /about"),
        ("GET", "/about/", "GET /about/"),
        ("GET", "/%61bout", "GET /about"),
        ("GET", "/About", "GET /:one one=About"),
        ("GET", "/x/", "GET /*rest rest=x/"),
        ("GET", "/x/y/z", "GET /*rest rest=x/y/z"),
        ("POST", "/about", "POST /:one one=about"),
        ("GET", "/api", "GET /:one one=api"),
        ("GET", "/api/", "GET /*rest rest=api/"),
        ("GET", "/api/7", "GET /api/:id id=7"),
        ("PUT", "/api/7", "PUT /api/:id id=7"),
        ("DELETE", "/api/7", "DELETE /api/:number number=7"),
        ("GET", "/api/a%20b%2Bc+d", "GET /api/:id id=a b+c+d"),
        ("GET", "/api/7/edit", "GET /api/:id/edit id=7"),
        ("GET", "/api/7/", "GET /api/:id/*rest id=7 rest="),
        ("GET", "/api/7/a/b", "GET /api/:id/*rest id=7 rest=a/b"),
        ("GET", "/api/new/x", "GET /api/new/:field field=x"),
        ("GET", "/api/new/edit", "GET /api/new/:field field=edit"),
        ("GET", "/api/new", "GET /api/:id id=new"),
        ("HEAD", "/about", "GET /about"),
        ("HEAD", "/api/head", "HEAD /api/head"),
        ("GET", "/api/head", "GET /api/head"),
        ("OPTIONS", "/own", "OPTIONS /own"),
        ("GET", "/a%20b/%C3%A9", "GET /a b/é"),
        ("PATCH", "/deep/1/2/3", "PATCH /deep/:a/:b/:c a=1 b=2 c=3"),
        // Known paths, other methods.
        ("PATCH", "/api/7", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("OPTIONS", "/about", "GET, HEAD, OPTIONS, POST"),
        ("get", "/", "GET, HEAD, OPTIONS"),
        ("POST", "/x/y", "GET, HEAD, OPTIONS"),
    ] {
        assert_eq!(find(&mut routes, method, path), expected, "{method} {path}");
    }
}

#[test]
fn a_path_that_is_not_names_between_slashes_matches_nothing() {
    let mut routes = table();
    for path in [
        "",
        "x",
        "*",
        "//",
        "//x",
        "/x//y",
        "/api//edit",
        "/..",
        "/api/..",
        "/api/%2e%2e",
        "/api/.%2E/x",
        "/x/./y",
        "/api/a%2fb",
        "/api/a%5Cb",
        "/api/a\\b",
        "/api/%00",
        "/api/%",
        "/api/%2",
        "/api/%zz",
        "/api/%ff",
        "/api/%c0%ae",
    ] {
        assert_eq!(find(&mut routes, "GET", path), "", "{path}");
    }
    let mut few = Routes::new();
    few.insert("GET", "/a/:b", "GET /a/:b".to_owned()).unwrap();
    for path in ["/", "/a", "/a/", "/a/b/", "/a/b/c", "/A/b", "/b"] {
        assert_eq!(find(&mut few, "GET", path), "", "{path}");
    }
    assert_eq!(find(&mut Routes::new(), "GET", "/"), "");
}

#[test]
fn the_order_of_insertion_does_not_matter() {
    let mut routes = table();
    let mut reversed = Routes::new();
    for (method, pattern) in TABLE.iter().rev() {
        reversed.insert(method, pattern, format!("{method} {pattern}")).unwrap();
    }
    let names = ["", "about", "api", "new", "head", "edit", "own", "deep", "1"];
    for path in names.iter().flat_map(|a| names.map(|b| format!("/{a}/{b}"))) {
        for path in [path.clone(), format!("{path}/edit"), path.trim_end_matches('/').to_owned()] {
            for method in ["GET", "HEAD", "POST", "PATCH", "OPTIONS"] {
                let expected = find(&mut routes, method, &path);
                assert_eq!(find(&mut reversed, method, &path), expected, "{method} {path}");
            }
        }
    }
}

#[test]
fn a_handler_may_change_what_it_keeps() {
    let mut routes = Routes::new();
    let mut sum = 0;
    routes.insert("POST", "/add/:n", |n: &str| sum += n.parse::<u32>().unwrap()).unwrap();
    for path in ["/add/40", "/add/2"] {
        if let Found::Route { value, params } = routes.find_mut("POST", path) {
            value(params.get("n").unwrap());
        }
    }
    drop(routes);
    assert_eq!(sum, 42);
}

#[test]
fn a_route_that_nothing_can_match_is_an_error() {
    for (method, pattern, right) in [
        ("GET", "", "begins with a slash"),
        ("GET", "about", "begins with a slash"),
        ("GET", "/a//b", "empty name"),
        ("GET", "//", "empty name"),
        ("GET", "/*rest/a", "only at the end"),
        ("GET", "/:", "letters, digits"),
        ("GET", "/*", "letters, digits"),
        ("GET", "/:a-b", "letters, digits"),
        ("GET", "/:a/:a", "names nothing twice"),
        ("GET", "/:a/*a", "names nothing twice"),
        ("GET", "/a:b", "all that stands between"),
        ("GET", "/a*", "all that stands between"),
        ("GET", "/a/../b", "when decoded"),
        ("GET", "/.", "when decoded"),
        ("GET", "/a%20b", "when decoded"),
        ("GET", "/a?b", "when decoded"),
        ("GET", "/a#b", "when decoded"),
        ("GET", "/a\\b", "when decoded"),
        ("", "/a", "a method in capitals"),
        ("get", "/a", "a method in capitals"),
        ("G ET", "/a", "a method in capitals"),
    ] {
        let error = Routes::new().insert(method, pattern, ()).unwrap_err().to_string();
        assert!(error.contains(right), "{method} {pattern}: {error}");
        let was = if right.contains("capitals") { method } else { pattern };
        assert!(error.contains(&format!("is {was:?}; it must be a")), "{error}");
    }
    for (first, second) in [("/a", "/a"), ("/:a/b", "/:c/b"), ("/*a", "/*b"), ("/", "/")] {
        let mut routes = Routes::new();
        routes.insert("GET", first, ()).unwrap();
        routes.insert("POST", second, ()).unwrap();
        let error = routes.insert("GET", second, ()).unwrap_err().to_string();
        assert!(error.contains("no other route"), "{error}");
    }
}
