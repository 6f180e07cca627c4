//! The keys: the page that lists them, and how few are needed.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use rpcshark_tui::command::{COMMANDS, Context};

use super::rig::Rig;

/// What precedes the generated part of the page.
const GENERATED: &str = "page_of_keys -->\n";

/// The tables of keys: those that work everywhere, then those of each screen.
fn tables() -> String {
    let mut page = String::new();
    for &context in Context::ALL {
        let commands = COMMANDS.iter().filter(|command| command.contexts.contains(&context));
        let name = context.name();
        let heading =
            format!("{}{}", name.chars().take(1).flat_map(char::to_uppercase).collect::<String>(), &name[1..]);
        let _ = write!(page, "\n### {heading}\n\n| key | does | command |\n| --- | --- | --- |\n");
        for command in commands {
            let quoted = |key: &&str| match *key {
                "`" => "`` ` ``".to_owned(),
                "|" => "`\\|`".to_owned(),
                key => format!("`{key}`"),
            };
            let keys: Vec<String> = command.keys.iter().map(quoted).collect();
            let _ = writeln!(page, "| {} | {} | `{}` |", keys.join(" "), command.title, command.name);
        }
    }
    page
}

#[test]
fn the_page_of_keys_is_that_of_the_commands() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tui.md");
    let page = fs::read_to_string(&path).expect("docs/tui.md is there");
    let (before, after) = page.split_once(GENERATED).expect("the page has a generated part");
    let tables = tables();
    if std::env::var_os("RPCSHARK_UPDATE").is_some_and(|value| !value.is_empty()) {
        fs::write(&path, format!("{before}{GENERATED}{tables}")).expect("the page is written");
        return;
    }
    assert_eq!(after, tables, "RPCSHARK_UPDATE=1 writes the page anew");
}

#[test]
fn every_key_in_a_footer_stands_in_the_table() {
    let tables = tables();
    for command in COMMANDS.iter().filter(|command| !command.footer.is_empty()) {
        let key = command.keys.first().expect("a command in the footer has a key");
        assert!(tables.contains(&format!("`{key}`")) || *key == "|", "{}", command.name);
    }
}

#[test]
fn the_slowest_call_is_four_keys_away() {
    let mut rig = Rig::open("shop");
    // Sort by duration, the first row, open.
    let keys = "s d g Enter";
    assert!(keys.split(' ').count() <= 4);
    rig.keys("s d");
    rig.until("Took ▾");
    rig.keys("g Enter");
    rig.until("Calls › #19 ");
}

#[test]
fn the_next_failure_is_one_key_away_and_its_error_text_none() {
    let mut rig = Rig::open("shop");
    rig.keys("e");
    let screen = rig.until("FAILED_PRECONDITION");
    assert_eq!(rig.selected(), 16, "{screen}");
    assert!(screen.contains("out of stock") || screen.contains("FAILED_PRECONDITION  "), "{screen}");
}

#[test]
fn only_this_method_is_two_keys_away() {
    let mut rig = Rig::open("shop");
    rig.keys("= =");
    rig.until("rpc.path == \"/acme.shop.v1.Orders/GetOrder\"");
}

#[test]
fn a_named_filter_is_found_in_the_list_of_commands_and_applied() {
    let mut rig = Rig::open("shop");
    rig.app.set_saved_filters(vec![("failed".to_owned(), "rpc.outcome == error".to_owned())]);
    rig.keys("?").text("filter failed");
    rig.until("Filter: failed");
    rig.keys("Enter");
    rig.until("6 of 74");
}

#[test]
fn keys_of_the_configuration_replace_the_default_ones() {
    let mut rig = Rig::open("shop");
    let mut keymap = rpcshark_tui::command::Keymap::default();
    keymap.set("methods", vec!["Ctrl-t".to_owned()]).expect("a command and a key");
    keymap.check().expect("no key has two commands");
    rig.app.set_keymap(keymap);
    rig.keys("4");
    assert!(rig.draw().contains("call 1 of 74"));
    rig.keys("Ctrl-t");
    rig.until("methods, 74 calls");
}

#[test]
fn filters_of_earlier_runs_come_back_with_ctrl_r() {
    let mut rig = Rig::open("shop");
    rig.app.set_history(vec!["rpc.no == 1".to_owned(), "rpc.no == 2".to_owned()]);
    rig.keys("/ Ctrl-r Ctrl-r Enter");
    rig.until("/ rpc.no == 1");
}
