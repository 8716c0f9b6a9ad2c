//! The command line as a person writes it.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::global::Format;
use crate::records::RecordCommand;
use crate::{Cli, Command, completion};

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn global_flags_go_anywhere() {
    for line in ["tandem -o json call list", "tandem call list -o json"] {
        assert_eq!(parse(line).unwrap().global.output, Format::Json, "{line}");
    }
}

#[test]
fn fields_of_a_record_become_its_json() {
    let cli =
        parse("tandem user create alice --password correct-horse --cps 5 --forking sequential")
            .unwrap();
    let Command::User(crate::user::UserCommand::Record(command)) = cli.command else {
        panic!("not a user's");
    };
    let RecordCommand::Create { label, fields, .. } = *command else {
        panic!("not a creation");
    };
    assert_eq!(label.as_deref(), Some("alice"));
    let mut json = serde_json::to_value(fields).unwrap();
    json.as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    assert_eq!(
        json,
        serde_json::json!({ "password": "correct-horse", "limits": { "cps": 5 }, "forking": "sequential" })
    );
}

#[test]
fn wrong_values_are_refused_before_anything_is_asked() {
    for line in [
        "tandem user create alice --forking both",
        "tandem number create 4930 --target alice",
        "tandem customer create c --networks 192.0.2.1 --auth-name x",
        "tandem cdr list --since 5",
        "tandem listener add sctp 0.0.0.0:5060",
        "tandem doctor --rtp-ports 5-4",
        "tandem call hangup",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[test]
fn help_names_the_exit_codes() {
    let help = parse("tandem --help").unwrap_err();
    assert_eq!(help.kind(), ErrorKind::DisplayHelp);
    assert!(help.to_string().contains("3 not found"));
}

#[test]
fn routes_are_simulated_and_listed_by_one_noun() {
    assert!(parse("tandem route simulate 4930123 --user alice").is_ok());
    assert!(parse("tandem route list --filter carrier=car_1").is_ok());
    assert!(parse("tandem route simulate 4930123 --user alice --source 192.0.2.1").is_err());
}

#[test]
fn a_machine_joins_with_a_token_of_its_own() {
    let line = "tandem --token tdm_x node join control.example.com:7443 tdj.a.b.c";
    let cli = parse(line).unwrap();
    assert_eq!(cli.global.token.as_deref(), Some("tdm_x"));
    let Command::Node(crate::node::NodeCommand::Join { control, token }) = cli.command else {
        panic!("not a machine that joins");
    };
    assert_eq!(
        (&*control, &*token),
        ("control.example.com:7443", "tdj.a.b.c")
    );
    assert!(parse("tandem node token --valid soon").is_err());
    assert!(parse("tandem server resize berlin --channels many").is_err());
}

#[test]
fn completion_is_written_for_the_common_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let Command::Completion { shell } = parse(&format!("tandem completion {shell}"))
            .unwrap()
            .command
        else {
            panic!("not a completion");
        };
        completion(shell).unwrap();
    }
}
