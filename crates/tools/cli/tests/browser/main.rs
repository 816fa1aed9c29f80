//! The page of `rcseal demo --web` in a real browser: headless Chromium, driven over its debugging protocol.
//!
//! A machine may have no browser. Then this says so and looks at nothing, unless `CI` is set, which makes it a failure; `cargo xtask test`
//! counts it as left out, in its part `demo`. With `RCSEAL_SCREENSHOTS=DIR` it leaves pictures there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod chromium;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use self::chromium::Browser;

/// The whole test, browser and all.
const LIMIT: Duration = Duration::from_secs(120);

/// A demo that ends when this goes away.
struct Demo {
    child: Child,
    url: String,
}

impl Demo {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rcseal"))
            .args(["demo", "--web", "--port", "0", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["event"], "web");
        Self { child, url: event["url"].as_str().unwrap().to_owned() }
    }

    /// Ends it as Ctrl-C does; answers its exit code.
    fn interrupt(mut self) -> Option<i32> {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SECRET: &str = "The spare key hangs behind the barometer";
const MARKUP: &str = "<img src=x onerror=\"document.title='broken'\">";
const READABLE: &str = "Anybody on the way can read this";
const LAST: &str = "And this one is mine";
const FALLBACK: &str = "This one meets a carrier that cuts it off";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_two_phones_and_what_is_between_them() {
    let Some(mut browser) = Browser::start().await else {
        assert!(std::env::var_os("CI").is_none(), "there is no browser: install chromium");
        eprintln!("SKIPPED: there is no browser: install chromium");
        return;
    };
    let demo = tokio::task::spawn_blocking(Demo::start).await.unwrap();
    timeout(LIMIT, play(&mut browser, &demo.url)).await.expect("the page takes longer than two minutes");
    browser.end().await;
    assert_eq!(tokio::task::spawn_blocking(move || demo.interrupt()).await.unwrap(), Some(0));
}

async fn play(browser: &mut Browser, url: &str) {
    browser.open(url, 1440, 1000).await;
    browser.until("two phones that know each other", "document.querySelectorAll('#bob-talk li').length >= 2").await;
    let safety: String = browser.text("#safety").await;
    assert_eq!(safety.split(' ').count(), 12, "{safety}");

    // By the carrier, which has bytes and not the words.
    browser.write("alice", "bob", SECRET).await;
    browser.until("the text on Bob's phone", &has("#bob-talk", SECRET)).await;
    browser.until("a message that went natively", "!!document.querySelector('#bob-talk li.native')").await;
    browser.until("bytes at the carrier", "document.querySelectorAll('#wire-carrier pre').length > 0").await;
    let hex = hex::encode(SECRET);
    for pane in ["#wire-carrier", "#wire-relay"] {
        let seen = browser.text(pane).await;
        assert!(seen.contains("0000  "), "{pane} shows no bytes");
        assert!(!is_in_dump(&seen, &hex), "{pane} shows the words");
    }
    browser.picture("1-native").await;

    // A peer's words are text, whatever they say.
    browser.write("bob", "alice", MARKUP).await;
    browser.until("markup as text", &has("#alice-talk", MARKUP)).await;
    assert_eq!(browser.value("document.querySelectorAll('#alice-talk img').length").await, 0);
    assert_ne!(browser.value("document.title").await, "broken");

    // A carrier that mangles: the route changes, and the page says why.
    browser.choose("carrier", "truncate_everything").await;
    browser.until("another carrier", "document.querySelector('#what').textContent.includes('truncate')").await;
    browser.write("alice", "bob", FALLBACK).await;
    browser.until("the text on Bob's phone", &has("#bob-talk", FALLBACK)).await;
    let last = "[...document.querySelectorAll('#alice-talk li')].at(-1)";
    browser
        .until(
            "a message that was relayed",
            &format!("{last}.classList.contains('relayed') && {last}.textContent.includes('delivered')"),
        )
        .await;
    let under = browser.value(&format!("{last}.querySelector('.under').textContent")).await;
    assert!(under.as_str().unwrap().contains("Sent over a relay"), "{under}");
    browser.picture("2-fell-back").await;

    // A number without encryption: refused, and by leave readable, which the carrier's pane shows.
    browser.write("alice", "carol", READABLE).await;
    browser.until("a refusal", &has("#thread-form .said", "Not sent")).await;
    browser.choose("carrier", "clean").await;
    browser.choose("policy", "downgrade").await;
    browser.click("#consent").await;
    browser.until("leave", &has("#thread-next", "readable by carriers")).await;
    browser.click("#thread-form button").await;
    browser.until("the text on Carol's phone", &has("#carol-talk", READABLE)).await;
    browser.until("words marked as readable", "!!document.querySelector('#thread-talk li.readable')").await;
    let hex = hex::encode(READABLE);
    let reads = format!("The carrier reads: {READABLE}");
    browser.until("an open book", &has("#wire-carrier .read", &reads)).await;
    assert!(is_in_dump(&browser.text("#wire-carrier").await, &hex), "the search finds what is there");
    assert!(!is_in_dump(&browser.text("#wire-relay").await, &hex));
    browser.picture("3-readable").await;

    // A carrier that writes under somebody's number gets into no conversation.
    browser.choose("carrier", "inject_plaintext").await;
    browser.until("another carrier", &has("#what", "inject plaintext")).await;
    browser.write("alice", "bob", LAST).await;
    browser.until("words of the carrier's own, apart", &has("#bob-apart", "card number")).await;
    browser.until("the text on Bob's phone", &has("#bob-talk", LAST)).await;
    assert!(!browser.text("#bob-talk").await.contains("card number"));
    browser.picture("4-injected").await;

    browser.open(url, 390, 844).await;
    browser.until("the page on a narrow screen", &has("#bob-talk", SECRET)).await;
    let is_narrow = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(browser.value(is_narrow).await, true, "nothing is wider than a phone");
    browser.picture("5-narrow").await;
    browser.darken().await;
    browser.picture("6-dark").await;
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

fn has(selector: &str, text: &str) -> String {
    let (selector, text) = (Value::from(selector), Value::from(text));
    format!("document.querySelector({selector}).textContent.includes({text})")
}

/// Whether these bytes stand in a dump: its hexadecimal columns are put together again.
fn is_in_dump(shown: &str, hex: &str) -> bool {
    let dense: String =
        shown.lines().filter_map(|line| line.get(6..53)).flat_map(str::chars).filter(|c| *c != ' ').collect();
    dense.contains(hex)
}
