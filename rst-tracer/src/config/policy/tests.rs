use super::*;
use crate::{
    event::{Cause, Class, Direction, Origin, SentBy},
    exit::{self, Code},
};

fn rules(text: &str) -> Vec<Rule> {
    parse(text, Path::new("p.toml")).expect("it is right")
}

#[test]
fn every_key_of_a_rule_is_read() {
    let text = r#"
        [[rule]]
        name = "all"
        [rule.match]
        client = ["10.1.0.0/16", "2001:db8::/32"]
        server = "10.9.0.9"
        net = "0.0.0.0/0"
        port = [5432, "8000-8099"]
        class = "policy_enforcement"
        cause = ["dpi_block", "host_firewall_reject"]
        sent_by = "server"
        origin = "host_firewall"
        process = "ha*"
        direction = "ingress"
        interface = ["eth0", "veth*"]
        [[rule]]
        name = "few"
        match = { port = 22 }
        at_most = 10
        within = "5m"
        [[rule]]
        name = "rest"
        expect = "never"
    "#;
    // The first one expects nothing yet.
    let text = text.replacen("name = \"all\"", "name = \"all\"\nexpect = \"denied\"", 1);
    let [all, few, rest] = &rules(&text)[..] else { panic!("three rules") };
    let net = |text: &str| text.parse().expect("a network");
    let wanted = Match {
        client: vec![net("10.1.0.0/16"), net("2001:db8::/32")],
        server: vec![net("10.9.0.9/32")],
        net: vec![net("0.0.0.0/0")],
        port: vec![5432..=5432, 8000..=8099],
        class: vec![Class::PolicyEnforcement],
        cause: vec![Cause::DpiBlock, Cause::HostFirewallReject],
        sent_by: vec![SentBy::Server],
        origin: vec![Origin::HostFirewall],
        process: vec!["ha*".into()],
        direction: vec![Direction::Ingress],
        interface: vec!["eth0".into(), "veth*".into()],
    };
    assert_eq!((&all.matches, all.expects), (&wanted, Expectation::Denied));
    let limit = Expectation::AtMost { resets: 10, within: Duration::from_secs(300) };
    assert_eq!((few.name.as_str(), few.expects), ("few", limit));
    assert_eq!((&rest.matches, rest.expects), (&Match::default(), Expectation::Never));
}

#[test]
fn a_mistake_is_told_with_its_line_and_what_to_do() {
    let head = "[[rule]]\nname = \"a\"\nexpect = \"never\"\n";
    let wrong = [
        ("", "p.toml: there is no [[rule]] in it"),
        ("[[rules]]\n", "p.toml:1: there is no key `rules` here; did you mean `rule`?"),
        ("[rule]\nname = \"a\"\n", "p.toml:1: write [[rule]], for there may be several"),
        ("rule = [1]\n", "p.toml:1: a rule has keys"),
        ("[[rule]]\nexpect = \"never\"\n", "p.toml:1: the rule has no name"),
        ("\n[[rule]]\nname = \"a\"\n", "p.toml:2: the rule `a` expects nothing; write expect ="),
        (
            "[[rule]]\nname = \"a\"\nexpect = \"nevr\"\n",
            "p.toml:3: expect: there is no `nevr`; did you mean `never`?",
        ),
        (
            "[[rule]]\nname = \"a\"\nexpect = \"at_most\"\n",
            "p.toml:3: expect: a limit has a key of its own: at_most = 10",
        ),
        (
            "[[rule]]\nname = \"a\"\nexpect = \"zzz\"\n",
            "p.toml:3: expect: `zzz` is not one of denied, harmless",
        ),
        (&format!("{head}at_most = 3\n"), "p.toml:1: the rule `a` has both `expect` and `at_most`"),
        (
            &format!("{head}within = \"60s\"\n"),
            "p.toml:1: the rule `a` has `within` without `at_most`",
        ),
        (
            "[[rule]]\nname = \"a\"\nat_most = 0\n",
            "p.toml:3: at_most: `0` is not a number from 1 to 100000",
        ),
        (
            "[[rule]]\nname = \"a\"\nat_most = 1\nwithin = 60\n",
            "p.toml:4: within: `60` is not a time",
        ),
        (
            "[[rule]]\nname = \"a\"\nat_most = 1\nwithin = \"0s\"\n",
            "p.toml:4: within: nothing happens",
        ),
        (
            &format!("{head}mtach = {{}}\n"),
            "p.toml:4: there is no key `mtach` here; did you mean `match`?",
        ),
        (
            &format!("{head}match = \"x\"\n"),
            "p.toml:4: match has keys of its own: match = { server",
        ),
        (
            &format!("{head}match = {{ prot = 1 }}\n"),
            "p.toml:4: there is no key `prot` here; did you mean `port`?",
        ),
        (
            &format!("{head}match = {{ port = 70000 }}\n"),
            "p.toml:4: port: `70000` is neither a port nor a range",
        ),
        (
            &format!("{head}match = {{ port = \"9-1\" }}\n"),
            "p.toml:4: port: `9-1` is neither a port nor a range",
        ),
        (&format!("{head}match = {{ port = [] }}\n"), "p.toml:4: port is empty; leave it out"),
        (
            &format!("{head}match = {{ port = {{}} }}\n"),
            "p.toml:4: port takes a string, a number, or a list",
        ),
        (
            &format!("{head}match = {{ client = \"10.0.0.0/33\" }}\n"),
            "p.toml:4: client: `10.0.0.0/33` is neither an address",
        ),
        (
            &format!("{head}match = {{ cause = \"closed_prot\" }}\n"),
            "p.toml:4: cause: there is no `closed_prot`; did you mean `closed_port`?",
        ),
        (
            &format!("{head}match = {{ process = \"\" }}\n"),
            "p.toml:4: process: write a name, or a glob",
        ),
        ("[[rule]]\nname = [\"a\", \"b\"]\n", "p.toml:2: name takes one value"),
        ("[[rule]]\nname = \" \"\n", "p.toml:2: name: a name has 1 to 64 bytes"),
        ("[[rule]]\nname = \"a\\u001b[2J\"\n", "p.toml:2: name: a name has 1 to 64 bytes"),
        (
            &format!("{}{}", head.replace("expect", "match = { port = 1 }\nexpect"), head),
            "p.toml:5: there is a rule `a` already (p.toml:1); give each its own name",
        ),
        (
            &format!("{head}[[rule]]\nname = \"b\"\nexpect = \"never\"\n"),
            "p.toml:4: the rule `b` is never reached: `a` before it has no match",
        ),
        ("[[rule]]\nname = \n", "p.toml:2: "),
    ];
    for (text, told) in wrong {
        let error = parse(text, Path::new("p.toml")).expect_err(text);
        assert_eq!(exit::code_of(&error), Code::CONFIG);
        let complaint = error.to_string();
        assert!(complaint.starts_with(told), "{complaint}\n{text}");
        assert!(!complaint.contains('\n'), "{complaint}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = read(Path::new("/nowhere/policy.toml")).expect_err("it is not there");
    assert!(error.to_string().starts_with("cannot read /nowhere/policy.toml: "), "{error}");
}

#[test]
fn the_example_that_is_shipped_is_right() {
    let text = include_str!("../../../../contrib/config/policy.toml");
    let rules = rules(text);
    let kinds: std::collections::BTreeSet<_> =
        rules.iter().map(|rule| rule.expects.kind()).collect();
    assert_eq!(kinds.len(), Expect::ALL.len(), "there is one of every kind");
    // What it says in comments is right, too.
    let keys: Vec<_> = KEYS.iter().chain(&MATCHES).filter(|key| !text.contains(*key)).collect();
    assert_eq!(keys, [] as [&&str; 0], "each key is shown");
}
