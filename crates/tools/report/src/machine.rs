//! Names the machine a figure was measured on.
//!
//! A figure without its machine is worthless, and so is one taken while something else kept the processor busy; the
//! description therefore carries the load as well. Everything comes from `/proc`; what cannot be read is left out, because a
//! report is still a report on a system without it.

use std::fs;

/// Describes this machine in one line: processor, usable cores, memory, load over the last minute.
///
/// The line holds no host name, user or path, so that a report can be published as it is.
#[must_use]
pub fn describe_machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    describe(&read("/proc/cpuinfo"), cores, &read("/proc/meminfo"), &read("/proc/loadavg"))
}

fn describe(cpuinfo: &str, cores: usize, meminfo: &str, loadavg: &str) -> String {
    let mut parts = Vec::with_capacity(4);
    let model = field(cpuinfo, "model name").or_else(|| field(cpuinfo, "Model"));
    parts.push(match model {
        Some(model) => model.split_whitespace().collect::<Vec<_>>().join(" "),
        None => format!("unnamed {} processor", std::env::consts::ARCH),
    });
    parts.push(if cores == 1 { "1 core".to_owned() } else { format!("{cores} cores") });
    if let Some(memory) = memory_gib(meminfo) {
        parts.push(format!("{memory} GiB"));
    }
    if let Some(load) = loadavg.split_whitespace().next() {
        parts.push(format!("load {load}"));
    }
    parts.join(", ")
}

/// The value of the first `name : value` line of that name.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

fn memory_gib(meminfo: &str) -> Option<u64> {
    const KIB_PER_GIB: u64 = 1024 * 1024;
    let kib: u64 = field(meminfo, "MemTotal")?.split_whitespace().next()?.parse().ok()?;
    // The kernel keeps some memory for itself, so the nearest whole number names the machine better than the floor.
    Some((kib + KIB_PER_GIB / 2) / KIB_PER_GIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_named_by_processor_cores_memory_and_load() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Example  CPU @ 2.10GHz\n";
        let line = describe(cpuinfo, 2, "MemTotal:       16301234 kB\n", "0.42 0.30 0.10 1/200 4242\n");
        assert_eq!(line, "Example CPU @ 2.10GHz, 2 cores, 16 GiB, load 0.42");
    }

    #[test]
    fn a_machine_without_proc_is_still_described() {
        let line = describe("", 1, "", "");
        assert_eq!(line, format!("unnamed {} processor, 1 core", std::env::consts::ARCH));
    }

    #[test]
    fn nonsense_in_proc_is_left_out() {
        let line = describe("model name: X\n", 4, "MemTotal: lots\n", "");
        assert_eq!(line, "X, 4 cores");
    }
}
