//! What people type who come from vtysh, where evpnctl says it otherwise.
//!
//! **A habit is answered with the command to type**, not with a grammar.

/// Words in vtysh, `*` for any one of them, and what to type here. The longest that fits counts.
const HABITS: [(&str, &str); 15] = [
    ("show running-config", "evpnctl config show: every value in force and where it comes from"),
    ("show run", "evpnctl config show: every value in force and where it comes from"),
    ("write", "nothing is to be written: edit /etc/evpnd, then evpnctl config reload"),
    ("wr", "nothing is to be written: edit /etc/evpnd, then evpnctl config reload"),
    (
        "copy running-config",
        "nothing is to be written: the files in /etc/evpnd are the whole of it",
    ),
    ("configure", "edit /etc/evpnd, evpnctl config check /etc/evpnd, then evpnctl config reload"),
    ("conf", "edit /etc/evpnd, evpnctl config check /etc/evpnd, then evpnctl config reload"),
    ("show ip bgp summary", "evpnctl show bgp summary"),
    ("show ip bgp", "evpnctl show bgp ipv4 unicast"),
    ("show bgp * * advertised-routes", "evpnctl show bgp l2vpn evpn route shows every path"),
    ("show bgp * * received-routes", "evpnctl show bgp l2vpn evpn route shows every path"),
    (
        "show evpn mac vni * mac",
        "evpnctl why MAC: where it is, against what, and what the kernel has",
    ),
    ("show ip route", "ip route: evpnd's are those of protocol 110; evpnctl why PREFIX says why"),
    ("clear bgp l2vpn evpn", "evpnctl clear bgp ADDRESS|INTERFACE|all [--soft]"),
    ("clear ip bgp", "evpnctl clear bgp ADDRESS|INTERFACE|all [--soft]"),
];

/// What to type in place of these words, if they are a habit.
pub(crate) fn hint<'a>(words: impl Iterator<Item = &'a str>) -> Option<&'static str> {
    let words: Vec<&str> = words.filter(|word| !word.starts_with('-')).collect();
    let fits = |habit: &str| {
        let mut habit = habit.split(' ').zip(words.iter().copied());
        habit.all(|(wanted, word)| wanted == "*" || wanted == word)
    };
    let length = |habit: &str| habit.split(' ').count();
    let known = HABITS.iter().filter(|(habit, _)| length(habit) <= words.len() && fits(habit));
    known.max_by_key(|(habit, _)| length(habit)).map(|(_, answer)| *answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    #[test]
    fn each_habit_is_no_command_and_has_an_answer_that_is_one() {
        for (habit, answer) in HABITS {
            let typed = habit.replace('*', "10.0.0.2");
            assert!(
                Cli::try_parse_from(format!("evpnctl {typed}").split(' ')).is_err(),
                "{habit} is a command: it needs no answer"
            );
            assert_eq!(hint(typed.split(' ')), Some(answer));
        }
        for known in ["config show", "show bgp summary", "why 10.0.0.1", "health"] {
            assert_eq!(hint(known.split(' ')), None, "{known}");
        }
        assert_eq!(hint("show ip bgp summary json".split(' ')), Some("evpnctl show bgp summary"));
    }
}
