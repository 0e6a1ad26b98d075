//! What a file costs a shard: looked up, read and described, for files that the kernel has in memory; and what a route
//! costs. A response of 304 is the looking up alone.

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use throng::proto::http::{HeaderSlots, Request};
use throng::{Files, Found, Routes};

fn head(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")
}

fn files(c: &mut Criterion) {
    let root = std::env::temp_dir().join(format!("throng-bench-files-{}", std::process::id()));
    std::fs::create_dir_all(root.join("a/b")).unwrap();
    let files = Files::new(&root).unwrap();
    let mut group = c.benchmark_group("files");
    for size in [1 << 10, 10 << 10, 100 << 10, 1 << 20] {
        let path = format!("/a/b/{size}.js");
        std::fs::write(root.join(&path[1..]), vec![b'x'; size]).unwrap();
        for (name, fields) in [("whole", ""), ("not modified", "If-None-Match: *\r\n")] {
            let head = head(&path, fields);
            let mut slots = HeaderSlots::new();
            let request = Request::parse(head.as_bytes(), &mut slots).unwrap();
            assert_eq!(
                files.answer(&request).unwrap().content().len(),
                if fields.is_empty() { size } else { 0 }
            );
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(format!("{size}/{name}"), |b| b.iter(|| black_box(files.answer(&request))));
        }
    }
    let head = head("/a/b/missing", "");
    let mut slots = HeaderSlots::new();
    let request = Request::parse(head.as_bytes(), &mut slots).unwrap();
    group.throughput(Throughput::Elements(1));
    group.bench_function("missing", |b| b.iter(|| black_box(files.answer(&request))));
    group.finish();
    _ = std::fs::remove_dir_all(root);
}

fn routes(c: &mut Criterion) {
    let mut routes = Routes::new();
    let mut pattern = String::new();
    for number in 0..100 {
        pattern.clear();
        write!(pattern, "/api/kind-{number}/:id").unwrap();
        routes.insert("GET", &pattern, number).unwrap();
    }
    c.bench_function("routes/last of 100", |b| {
        b.iter(|| match routes.find("GET", black_box("/api/kind-99/caf%C3%A9")) {
            Found::Route { value, params } => (*value, params.get("id").map(str::len)),
            _ => unreachable!("it was inserted"),
        });
    });
}

criterion_group!(benches, files, routes);
criterion_main!(benches);
