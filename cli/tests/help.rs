//! `--help` of every command teaches it: what it does, its flags, and where else a flag can be given.

use std::process::Command;

#[test]
fn every_command_explains_itself() {
    for command in
        ["demo", "start-single", "node", "init", "gateway", "sql", "kv", "admin", "backup", "drift"]
    {
        let output =
            Command::new(env!("CARGO_BIN_EXE_nunatak")).args([command, "--help"]).output().expect("it runs");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success(), "{command} --help exits with {}", output.status);
        assert!(text.contains("Usage: nunatak"), "{command}: {text}");
        assert!(text.contains("--") && text.lines().count() > 5, "{command}: {text}");
    }
}

#[test]
fn the_binary_lists_its_commands() {
    let output = Command::new(env!("CARGO_BIN_EXE_nunatak")).arg("--help").output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    for command in ["demo", "start-single", "node", "init", "gateway", "sql", "kv", "admin"] {
        assert!(text.contains(command), "{command} is missing in: {text}");
    }
}

#[test]
fn a_key_that_begins_with_a_hyphen_is_said_how_to_be_passed() {
    let run =
        |words: &[&str]| Command::new(env!("CARGO_BIN_EXE_nunatak")).args(words).output().expect("it runs");
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).expect("UTF-8");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for task in ["get", "set", "delete", "scan", "watch"] {
        let help = text(run(&["kv", task, "--help"]).stdout);
        assert!(help.contains("begins with - stands behind --"), "{task}: {help}");
        let refused = run(&["kv", task, "-key"]);
        let (status, told) = (refused.status.code(), text(refused.stderr));
        assert_eq!(status, Some(2), "{task}: {told}");
        assert!(told.contains("as a value, use '-- -k"), "{task}: {told}");
    }
    assert!(text(run(&["kv", "--help"]).stdout).contains("nunatak kv get -- -key"));
}
