//! Several runs that belong together: the search for the highest load, and the phases of a file.

use std::path::Path;

use crate::house::installed;
use crate::support::{bench, messages, send, server};

#[test]
fn the_highest_load_that_holds_is_found_and_what_the_next_one_broke_is_told() {
    // A server that forgets what comes after the 60th message of a connection: two of them hold 400 a second for 300 ms.
    let address = server(|socket| {
        messages(socket, |socket, number, message| {
            if number <= 60 {
                send(socket, message);
            }
        });
    });
    let flags = "-c 2 --from 100 --duration 300ms --warmup 0s --drain 100ms";
    let said = bench(&format!("find-max ws://{address}/ --hold loss=0 {flags}"));
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    let found = said.stdout.lines().find(|line| line.starts_with("found")).unwrap();
    let held: u64 = found.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!((380..=404).contains(&held) && found.contains("did not: not loss=0: it is"), "{}", said.stdout);
    assert!(said.stdout.starts_with("step          100 messages/s: loss=0: 0 (held)\n"), "{}", said.stdout);
    assert_eq!(said.count("lost"), 0, "the report is that of what held");

    let said = bench(&format!("find-max ws://{address}/ --hold loss=0 --to 150 {flags}"));
    assert!(
        said.stdout.contains("found         150 messages/s held (loss=0), and no more was tried"),
        "{}",
        said.stdout
    );
    let said = bench(
        &format!("find-max ws://{address}/ --hold p50<0us --from 1 {flags}").replace("--from 100 ", ""),
    );
    assert_eq!(said.code, Some(1), "{}", said.stdout);
    assert!(
        said.stdout.contains("found         nothing: not even the least load held (p50<0us)"),
        "{}",
        said.stdout
    );
}

#[test]
fn the_phases_of_the_example_run_one_after_the_other() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/day.toml");
    // On a machine that is busy with other tests no time is to be relied on.
    let text = std::fs::read_to_string(example).unwrap().replace(">1s", ">60s");
    let text = text.replace("[common]", "[common]\nallow-saturated = true\nquiet = true");
    let output = installed(|client| {
        let file = client.with_file_name("day.toml");
        std::fs::write(&file, &text).unwrap();
        run(client, &file)
    });
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    for phase in ["1 of 4: connect", "2 of 4: echo", "3 of 4: churn", "4 of 4: reconnect"] {
        assert!(stdout.contains(&format!("phase         {phase} ")), "{phase}: {stdout}");
    }
    assert_eq!(stdout.matches("\nresult        fine\n").count(), 4, "{stdout}");
    let server = |line: &&str| line.contains(" of ws://127.0.0.1:");
    let mut ports: Vec<_> = stdout.lines().filter(server).map(|line| line.split(['/', ':']).nth(4)).collect();
    ports.dedup();
    assert_eq!(ports.len(), 1, "one server for all of them: {stdout}");
}

fn run(client: &Path, file: &Path) -> std::process::Output {
    std::process::Command::new(client).arg("run").arg(file).output().unwrap()
}

#[test]
fn a_bad_file_is_one_line_with_its_place() {
    let directory = std::env::temp_dir().join(format!("bench-client-phases-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("bad.toml");
    for (text, words) in [
        (
            "[[phase]]\nscenario = 'echo'\nconections = 5\n",
            "phase 1 (echo): `conections` is no flag of echo; there are ",
        ),
        (
            "[[phase]]\nscenario = 'echo'\nduration = 'soon'\n",
            "phase 1 (echo): invalid value 'soon' for '--duration <TIME>'",
        ),
        ("[[phase]]\nscenario = 'echo'\nduration = \n", "line 3: "),
    ] {
        std::fs::write(&file, text).unwrap();
        let output = run(env!("CARGO_BIN_EXE_bench-client").as_ref(), &file);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
        assert!(stderr.contains(&format!("bad.toml: {words}")), "{stderr}");
    }
    let output = run(env!("CARGO_BIN_EXE_bench-client").as_ref(), &directory.join("none.toml"));
    assert!(
        output.status.code() == Some(2) && String::from_utf8(output.stderr).unwrap().contains("cannot read")
    );
    std::fs::remove_dir_all(directory).unwrap();
}
