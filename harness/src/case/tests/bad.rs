//! What is wrong with a file: place, reason and advice.

use super::*;

/// The file is refused, and the error has each of `parts`.
#[track_caller]
fn check(body: &str, parts: &[&str]) {
    let shown = error(body);
    for part in parts {
        assert!(shown.contains(part), "`{part}` is not in: {shown}");
    }
}

/// The body of a task with these steps; they are in line 8.
fn steps(steps: &str) -> String {
    format!("[[task]]\nname = \"a\"\nstep = [{steps}]\n")
}

const LOCK: &str = "[[lock]]\nname = \"guard\"\n";

#[test]
fn an_unknown_step_names_the_nearest() {
    check(&steps("{ aloc = \"GFP_NOFS\" }"), &["t.toml:8:11: no step is called `aloc`", "`alloc`"]);
    check(&steps("\"stopp\""), &["t.toml:8:9:", "did you mean `stop`?"]);
    check(&steps("\"lock\""), &["t.toml:8:9: `lock` needs a value", "{ lock = \"guard\" }"]);
}

#[test]
fn an_unknown_part_or_field_names_the_nearest() {
    check("[[lok]]\nname = \"a\"\n", &["t.toml:6:3: no part or field is called `lok`", "`lock`"]);
    check("[[lock]]\nnam = \"a\"\n", &["t.toml:7:1: a lock has no field `nam`", "`name`"]);
    check(&steps("{ alloc = \"GFP_NOFS\", oder = 1 }"), &["t.toml:8:31:", "`order`"]);
    check(&steps("{ if = { mask-ha = \"__GFP_FS\" } }"), &["t.toml:8:18:", "`mask-has`"]);
    check(
        &steps("{ lock = \"gard\" }").replacen("", LOCK, 1),
        &["no lock is called `gard`", "`guard`"],
    );
}

#[test]
fn a_wrong_type_says_what_is_expected() {
    check(&steps("{ alloc = 3 }"), &["t.toml:8:19: `alloc` expects a mask", "\"GFP_NOFS\""]);
    check(&steps("{ alloc = \"GFP_NOSF\" }"), &["t.toml:8:19: `GFP_NOSF`"]);
    check(&steps("{ stop = 3 }"), &["t.toml:8:18: `stop` expects nothing", "\"stop\" alone"]);
    check("[lock]\nname = \"a\"\n", &["t.toml:6:1: `lock` expects a list", "[[lock]]"]);
    check("[[space]]\nname = \"a\"\n", &["t.toml:6:1: a space needs the field `size`", "size = 1"]);
    check("[[count]]\nname = \"a\"\nfrom = 4294967296\n", &["t.toml:8:8:", "use 0 to 4294967295"]);
    check("[[count]]\nname = \"a\"\nfrom = 99999999999999999999999\n", &["t.toml:8:8:"]);
}

#[test]
fn a_name_is_short_and_printable() {
    check(
        &format!("[[flag]]\nname = \"{}\"\n", "x".repeat(10_240)),
        &["t.toml:7:8: the name is too long"],
    );
    check("[[flag]]\nname = \"a\\u001b\"\n", &["t.toml:7:8: the name has a character"]);
    check("[[flag]]\nname = \"\"\n", &["t.toml:7:8: the name is empty"]);
}

#[test]
fn sizes_are_bounded() {
    let many = "\"free\",".repeat(10_001);
    check(&steps(&many), &["t.toml:8:", "at most 10000 steps"]);
    check(
        "[[task]]\nname = \"a\"\ncopies = 10000\nstep = []\n",
        &["t.toml:8:10:", "use 1 to 1000"],
    );
    let two = "[[task]]\nname = \"a\"\ncopies = 600\nstep = []\n".repeat(2);
    check(&two, &["t.toml:10:1: a case has at most 1000 tasks"]);
    check(
        &"[[flag]]\nname = \"a\"\n".repeat(1_001),
        &["t.toml:2006:1: a case has at most 1000 parts"],
    );
    let flags: String = (0..65).map(|n| format!("[[flag]]\nname = \"f{n}\"\n")).collect();
    check(&flags, &["t.toml:134:1: the parts of a case have at most 128 conditions"]);
    let nested = (0..20)
        .fold("\"stop\"".to_owned(), |inner, _| format!("{{ repeat = 2, step = [{inner}] }}"));
    check(&steps(&nested), &["t.toml:8:", "nested at most 16 deep"]);
    check(&"#".repeat(1 << 20), &["t.toml:1:1: a case has at most 1048576 bytes"]);
}

#[test]
fn a_name_is_defined_once_and_used() {
    check(&LOCK.repeat(2), &["t.toml:9:8: the name `guard` is defined twice"]);
    check(LOCK, &["t.toml:6:1: nothing uses `guard`", "leave it out"]);
    check(&steps("").repeat(2), &["t.toml:9:1: the task `a` is defined twice", "`copies`"]);
}

#[test]
fn what_a_part_is_on_makes_sense() {
    check("[[work]]\nname = \"w\"\nstep = []\n", &["t.toml:6:1: a work needs the field `on`"]);
    check("[[superblock]]\nname = \"s\"\n", &["t.toml:6:1: the superblock `s` evicts to nothing"]);
    let device = |name: &str, on: &str| format!("[[device]]\nname = \"{name}\"\non = \"{on}\"\n");
    let ring = device("a", "b") + &device("b", "a");
    check(&ring, &["t.toml:6:1: the device `a` is below itself"]);
    let push =
        "[[space]]\nname = \"s\"\nsize = 1\npush = [{ reserve = \"s\" }, { release = \"s\" }]\n";
    check(push, &["t.toml:6:1: a push round of `s`"]);
}

#[test]
fn locks_are_balanced_on_every_path() {
    let bad = |body: &str, parts: &[&str]| check(&format!("{LOCK}{}", steps(body)), parts);
    bad("{ lock = \"guard\" }", &["t.toml:10:1: `guard` is still held at the end"]);
    bad("{ unlock = \"guard\" }", &["t.toml:10:1: `guard` is released without being held"]);
    bad(
        "{ if = { kswapd = true }, then = [{ lock = \"guard\" }] }",
        &["t.toml:10:1: the two ways through this step", "\"stop\""],
    );
    bad("{ lock = \"guard\" }, \"stop\"", &["still held at the `stop` in line 10"]);
    bad(
        "{ repeat = 2, step = [{ lock = \"guard\" }] }",
        &["t.toml:10:1: a round of this `repeat`"],
    );
    bad("{ try-lock = \"guard\" }, { unlock = \"guard\" }", &["t.toml:10:1: the two ways"]);
}

#[test]
fn scopes_reservations_and_elements_are_balanced() {
    check(&steps("{ scope = \"nofs\" }"), &["t.toml:8:1: no `end-scope` follows"]);
    check(&steps("\"end-scope\""), &["t.toml:8:1: `end-scope` closes nothing"]);
    let space = "[[space]]\nname = \"s\"\nsize = 1\n".to_owned();
    check(
        &(space + &steps("{ release = \"s\" }")),
        &["t.toml:11:1: `release` of `s`", "{ reserve = \"s\" }"],
    );
    let pool = "[[pool]]\nname = \"p\"\n".to_owned();
    check(&(pool + &steps("{ put = \"p\" }")), &["t.toml:10:1: `put` of `p`", "{ take = \"p\" }"]);
}

#[test]
fn balance_is_of_each_variant() {
    let body = "variants = [\"old\", \"new\"]\n[[lock]]\nname = \"guard\"\n".to_owned();
    let body = body + &steps("{ lock = \"guard\" }, { unlock = \"guard\", in = \"old\" }");
    check(&body, &["t.toml:11:1: `guard` is still held", "variant `new`"]);
}

#[test]
fn variants_have_names_of_their_own() {
    check("variants = [\"lock\"]\n", &["t.toml:6:13: a variant cannot be called `lock`"]);
    check("variants = []\n", &["t.toml:6:12: the number of variants"]);
    let body =
        "variants = [\"old\"]\n".to_owned() + &steps("{ alloc = \"GFP_NOFS\", in = \"odl\" }");
    check(&body, &["t.toml:9:36: no variant is called `odl`", "`old`"]);
}

#[test]
fn pressure_is_at_a_task_that_exists() {
    let plan = "[plan]\npressure = [{ task = \"b\" }]\n";
    check(&format!("{plan}{}", steps("")), &["t.toml:7:22:", "did you mean `a`?"]);
}

#[test]
fn rows_do_not_contradict() {
    let row = |body: &str, parts: &[&str]| {
        let text = HEAD.replace("{ findings = [] }", body);
        let shown = parse(&text, "t.toml").expect_err("the row is wrong").to_string();
        assert!(parts.iter().all(|part| shown.contains(part)), "{shown}");
    };
    row(
        "{ findings = [] }, { findings = [\"RD04\"] }",
        &["t.toml:5:", "is expected in line 5 too"],
    );
    row("{ eras = \"v5.3..v5.2\", findings = [] }", &["t.toml:5:20: no era is from v5.3 to v5.2"]);
    row("{ eras = \"v5.4\", findings = [] }", &["t.toml:5:20: unknown era `v5.4`", "v5.3"]);
    row("{ variant = \"x\", findings = [] }", &["no variant is called `x`"]);
    row("{ findings = [\"RD99\"] }", &["t.toml:5:25:", "RD99"]);
    row("", &["t.toml:5:10: a case expects something"]);
}

#[test]
fn names_inside_the_stack_are_defined() {
    check(
        "[stack]\nbufio = [{ name = \"m\", device = \"l\" }]\n",
        &["t.toml:7:33: no loop device is called `l`"],
    );
    check("[stack]\nfss = []\n", &["t.toml:7:1: unknown field `fss`"]);
    check(
        &steps("{ fsync = { fs = \"x\", file = \"f\" } }"),
        &["t.toml:8:26: the stack has no filesystem `x`"],
    );
}
