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
